"""Many small runs."""

from __future__ import annotations

from pathlib import Path

from neurosim.experiments import config as configs
from neurosim.experiments.sweep import Run, axes, runs
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.runs import carry_out

TINY = Path(__file__).parent / "tiny.toml"
QUICK = ("baselines.enabled=false",)


def many(*overrides: str, source: Path = TINY, **table) -> list[Run]:
    """The runs of a sweep with this table."""
    given, name, where = configs.read(source, [*QUICK, *overrides])
    return runs(given, name, where, axes.parse(table))


def done_here(found: list[Run], folder: Path) -> list[tuple[str, str]]:
    """Do runs in this process, one after the other: what came of each."""
    (folder / POOL).mkdir(parents=True, exist_ok=True)
    return [
        carry_out(run.config.resolved(), run.config.name, str(run.folder(folder / POOL).path))
        for run in found
    ]
