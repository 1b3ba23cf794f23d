"""Do what a figure needs, and write its table, figure and summary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neurosim.experiments import figures
from neurosim.experiments.folder import write_text
from neurosim.experiments.parquet import write_table
from neurosim.experiments.reproduce import (
    claims,
    costs,
    decorrelation,
    learning,
    panels,
    report,
    reward,
    scaling,
)
from neurosim.experiments.reproduce.claims import Finding
from neurosim.experiments.reproduce.data import gather
from neurosim.experiments.reproduce.spec import Reproduction
from neurosim.experiments.sweep.board import Board
from neurosim.experiments.sweep.sweep import Outcome, Sweep, Workers
from neurosim.files import place

SUMMARY, TABLE, FIGURE, REPORT = "summary.md", "table.parquet", "figure", "report.md"


@dataclass(frozen=True)
class Report:
    """What came out of a figure.

    Attributes
    ----------
    plan : Reproduction
    folder : Path
        Holds ``summary.md``, ``table.parquet``, ``figure.png`` and ``figure.svg``.
    findings : list of Finding
    text : str
        The summary.
    outcomes : list of Outcome
        Of the runs; of costs, which are measured otherwise, none.
    """

    plan: Reproduction
    folder: Path
    findings: list[Finding]
    text: str
    outcomes: list[Outcome] = field(default_factory=list)


def reproduce(
    plan: Reproduction,
    out: Path,
    workers: Workers,
    board: Board | None = None,
) -> Report:
    """Run what is not there yet, and report.

    Parameters
    ----------
    plan : Reproduction
    out : Path
        Runs are kept here for all figures together: what two of them need is run once. The
        report goes to a folder of the figure's name.
    workers : Workers
    board : Board, optional
        Shows how it is getting on.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C. What is done is kept.
    """
    out = place(out)
    folder = out / plan.name
    if plan.file.panels == "costs":
        return _costs(plan, folder, None if board is None else board.counted)
    sweep = Sweep(plan.runs, out)
    watchers = (None, None) if board is None else (board.seen, board.reached)
    outcomes = sweep.run(workers, *watchers)
    data = gather(plan, outcomes, sweep.pool)
    kinds = {
        "learning": (learning.draw, lambda _: []),
        "scaling": (scaling.draw, scaling.tell),
        "decorrelation": (decorrelation.draw, decorrelation.tell),
        "reward": (reward.draw, reward.tell),
    }
    draw, tell = kinds[plan.file.panels]
    findings = claims.judge(plan.file.claim, report.scores(data))
    numbers = report.table(data) if plan.file.panels == "learning" else tell(data)
    if plan.file.panels == "reward":
        numbers = [*report.table(data.without_varied()), "", *numbers]
    text = report.page(plan, findings, numbers, report.settings(plan))
    _write(folder, data.tidy(), text)
    with figures.defaults():
        panels.save(draw(data), folder, FIGURE)
    return Report(plan, folder, findings, text, outcomes)


def _costs(plan: Reproduction, folder: Path, measured: Callable[[int, int], None] | None) -> Report:
    frame = costs.measure(plan, folder, measured)
    findings = claims.judge(plan.file.claim, costs.scores(frame))
    text = report.page(plan, findings, costs.tell(frame), report.settings(plan))
    _write(folder, frame, text)
    with figures.defaults():
        panels.save(costs.draw(plan, frame), folder, FIGURE)
    return Report(plan, folder, findings, text)


def _write(folder: Path, table: pd.DataFrame, text: str) -> None:
    write_table(table, folder / TABLE)
    write_text(folder / SUMMARY, text)


def join(reports: Sequence[Report], out: Path) -> Path:
    """Write one report of several figures: what differs from the paper first, of all of them."""
    scale = reports[0].plan.scale
    lines = [f"# The paper's figures, scale {scale}", ""]
    for each in reports:
        differ = sum(f.verdict == claims.DIFFERS for f in each.findings)
        unclear = sum(f.verdict == claims.UNCLEAR for f in each.findings)
        holds = sum(f.verdict == claims.HOLDS for f in each.findings)
        lines.append(
            f"- [{each.plan.file.title}](#{each.plan.name}) ({each.plan.file.figure}): of "
            f"{len(each.findings)} comparisons {differ} differ from the paper's claim, {unclear} "
            f"are not clear, {holds} agree"
        )
    for each in reports:
        text = each.text.replace(f"({FIGURE}.png)", f"({each.plan.name}/{FIGURE}.png)")
        text = "\n".join(f"#{x}" if x.startswith("#") else x for x in text.splitlines())
        lines += ["", f'<a id="{each.plan.name}"></a>', "", text]
    write_text(out / REPORT, "\n".join(lines) + "\n")
    return out / REPORT
