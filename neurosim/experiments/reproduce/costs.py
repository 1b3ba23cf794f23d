"""Figures 10 and 12: what a step costs, in time and memory; and memory over the sequence's length.

Every number is of a process of its own, which learns from one sequence, once: what it needs
above what the same process needs for some neurons and a sequence of some steps, so that
interpreter, imports and compiled code do not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurosim.errors import NeurosimError
from neurosim.experiments import config as configs
from neurosim.experiments import figures, settings
from neurosim.experiments.folder import write_text
from neurosim.experiments.reproduce import panels
from neurosim.experiments.reproduce.data import METHOD, spread
from neurosim.experiments.reproduce.spec import Reproduction
from neurosim.files import parse_json, read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 0.05  # MB; processes that do the same differ by as much
SHORT, TINY = 1, 8  # symbols and neurons of what everything else is measured above
MODULE = "neurosim.experiments.reproduce.costs"
KEPT = "costs.json"


# ------------------------------------------------------------------- in a process of its own


def _learn_once(resolved: dict[str, Any]) -> dict[str, float]:
    """Learn from one epoch, everything compiled; give the process's peak and the seconds."""
    from threadpoolctl import threadpool_limits

    config = configs.parse(resolved, "costs", "costs")
    short = settings.changed(resolved, {"task.length": SHORT})
    few = configs.parse(short, "costs", "costs")
    with threadpool_limits(limits=1):
        few.simulator().run(*few.task.train(0))
        sim, data = config.simulator(), config.task.train(0)
        start = time.perf_counter()
        sim.run(*data)
        seconds = time.perf_counter() - start
    return {"mb": _peak() / 1e6, "seconds": seconds, "steps": float(len(data[0]))}


def _peak() -> int:
    """The most memory this process has had [bytes]."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage tells of the parent's peak too, up to its exec
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _measured(resolved: dict[str, Any]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", MODULE],  # -P: a random.py here is not Python's
        input=json.dumps(resolved),
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise NeurosimError(f"costs: a measuring process failed ({last})")
    found: dict[str, float] = parse_json(done.stdout, dict[str, float], "costs: what was measured")
    return found


# ----------------------------------------------------------------------------- measuring


def measure(
    plan: Reproduction, folder: Path, seen: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Measure every run of the plan, one after the other: two would disturb each other.

    Parameters
    ----------
    plan : Reproduction
    folder : Path
        Keeps what was measured, so that an interrupted measurement goes on.
    seen : callable, optional
        Told how many measurements are done, of how many.

    Returns
    -------
    pandas.DataFrame
        One row a run: ``method``, ``seed`` (the repeat's number), what is varied, ``steps``,
        ``us_per_step``, ``mb`` above the same process with few neurons and a short sequence.

    Raises
    ------
    CheckpointError
        If what was measured earlier is damaged.
    """
    kept = folder / KEPT
    known = read_json(kept, dict[str, dict[str, float]]) if kept.exists() else {}
    rows = []
    for k, run in enumerate(plan.runs):
        key = f"{run.name}-{run.config.training.seed}"
        resolved = run.config.resolved()
        few = settings.changed(resolved, {"task.length": SHORT, "network.hidden": TINY}, seed=0)
        for what, given in ((json.dumps(few, sort_keys=True), few), (key, resolved)):
            if what not in known:
                known[what] = _measured(given)
                write_text(kept, json.dumps(known))
        base = known[json.dumps(few, sort_keys=True)]
        setting = {key: value for key, value in run.setting.items() if key != "training.seed"}
        rows.append({**setting, "seed": run.config.training.seed, **_above(known[key], base)})
        if seen is not None:
            seen(k + 1, len(plan.runs))
    return pd.DataFrame(rows)


def _above(whole: dict[str, float], base: dict[str, float]) -> dict[str, float]:
    return {
        "steps": whole["steps"],
        "us_per_step": 1e6 * whole["seconds"] / whole["steps"],
        "mb": max(0.0, whole["mb"] - base["mb"]),
        "mb_of_process": whole["mb"],
    }


# ------------------------------------------------------------------------------- showing


def one_length(frame: pd.DataFrame) -> pd.DataFrame:
    """The part that the paper's figures show."""
    return frame[frame["task.length"].isna()] if "task.length" in frame else frame


def draw(plan: Reproduction, frame: pd.DataFrame) -> Figure:
    """Time and memory by method; memory and time over the length of the sequence."""
    figure = figures.new(12.0, 9.5)
    upper, lower = figure.subplots(2, 2)
    single = one_length(frame)
    methods = list(dict.fromkeys(single[METHOD]))
    for ax, column, words in (
        (upper[0], "us_per_step", "time a step [µs]"),
        (upper[1], "mb", f"memory for the network and one sequence [MB, at least {LEAST}]"),
    ):
        for place, method in enumerate(methods):
            values = single[single[METHOD] == method][column].clip(lower=LEAST)
            panels.point(ax, place, spread(values), panels.style(method, methods))
        panels.name_places(ax, methods)
        ax.set(yscale="log")
        panels.letter(ax, words)
    long = frame[frame["task.length"].notna()] if "task.length" in frame else frame[:0]
    for ax, column, words in (
        (lower[0], "mb", f"memory over steps of the sequence [MB, at least {LEAST}]"),
        (lower[1], "us_per_step", "time a step over steps of the sequence [µs]"),
    ):
        several = list(dict.fromkeys(long[METHOD]))
        for method, of in long.groupby(METHOD, sort=False):
            by = of.groupby("steps")[column].median().clip(lower=LEAST)
            look = panels.style(str(method), several)
            ax.plot(by.index, by, marker="o", label=str(method).split(",")[0], **look)
        ax.set(xscale="log", yscale="log", xlabel="steps T")
        panels.letter(ax, words)
    lower[0].legend(fontsize=8)
    figure.suptitle(figures.as_it_is(plan.title), fontsize=10)
    return figure


def tell(frame: pd.DataFrame) -> list[str]:
    """The numbers."""
    lines = ["One sequence, learned from once; mean over processes (least to greatest).", ""]
    lines += ["| | steps | µs a step | MB |", "|---|---:|---:|---:|"]
    frame = frame if "task.length" in frame else frame.assign(**{"task.length": np.nan})
    for (method, _), of in frame.groupby([METHOD, "task.length"], dropna=False, sort=False):
        cells = [f"{of['steps'].iloc[0]:.0f}"]
        for column, digits in (("us_per_step", ".3g"), ("mb", ".2f")):
            mean, least, greatest = spread(of[column])
            cells.append(f"{mean:{digits}} ({least:{digits}}-{greatest:{digits}})")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        f"MB: the peak of a process above that of the same process with {TINY} neurons and a "
        "sequence of one symbol. It holds weights, states and traces; the sequence itself and the "
        "run's record, which grow with it whoever learns; and what the method keeps of the past.",
    ]


def scores(frame: pd.DataFrame) -> dict[str, dict[str, dict[int, float]]]:
    """What claims are held against."""
    single = one_length(frame)
    return {
        column: {
            str(method): {int(row["seed"]): float(row[column]) for _, row in of.iterrows()}
            for method, of in single.groupby(METHOD)
        }
        for column in ("us_per_step", "mb")
    }


if __name__ == "__main__":
    print(json.dumps(_learn_once(json.load(sys.stdin))))
