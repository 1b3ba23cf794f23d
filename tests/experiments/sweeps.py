"""Many small runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from neurosim import checkpoint
from neurosim.experiments import config as configs
from neurosim.experiments.sweep import Run, axes, runs
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.runs import carry_out

TINY = Path(__file__).parent / "tiny.toml"
QUICK = ("baselines.enabled=false",)
CODE = "from neurosim.cli import main; main()"


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


def measured(*names):
    return f"training.measures={json.dumps([f'own_parts:{name}' for name in names])}"


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def epochs_kept(folder):
    """Epochs in the checkpoints of a sweep's runs."""
    found = folder.glob(f"{POOL}/*/checkpoint.npz")
    return [checkpoint.read(path)[1]["extra"]["epoch"] for path in found]


def start(*arguments, folder=None):
    """Start the command line as a process of its own, with a group of its own as on a terminal."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def options(*overrides):
    return [part for text in (*QUICK, *overrides) for part in ("--set", text)]
