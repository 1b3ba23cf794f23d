"""The page of many runs: a sweep's, or some that are put side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from neurosim.experiments.baselines import MEANING
from neurosim.experiments.markdown import block, code, plain, table
from neurosim.experiments.report import costs, drawings
from neurosim.experiments.report import run as one
from neurosim.experiments.report.kept import Kept
from neurosim.experiments.report.page import Page, Picture
from neurosim.experiments.sweep import compare, results
from neurosim.experiments.sweep.runs import FINISHED

LINES = 40  # groups in a table; the rest is in the sweep's own
PANELS = 8  # fields that were varied
DEFAULT = "as it is by default"
CURVES = len(drawings.COLOURS)


def page(title: str, runs: Sequence[Kept], lost: Sequence[str] = ()) -> Page:
    """Write and draw what came of runs, those that differ in nothing but seeds as one.

    Parameters
    ----------
    title : str
    runs : sequence of Kept
    lost : sequence of str
        Why other runs, which are not among these, cannot be read.
    """
    # Folders in different places may have the same name: runs are told apart by a number.
    by_name = {str(k): run for k, run in enumerate(runs)}
    rows = [{**results.row_of(run.folder), "run": name} for name, run in by_name.items()]
    rows = [rows[k] for k in compare.distinct(rows)]
    by_name = {row["run"]: by_name[row["run"]] for row in rows}
    frame = compare.together(rows)
    fields = compare.varied(frame)
    groups = _groups(frame, fields)
    baselines = compare.baselines(frame)
    done = frame[frame["status"] == FINISHED]
    pictures: dict[str, Picture] = {}
    alike = not any(name.startswith("task.") for name in fields)
    verdict = (
        _verdict(groups) if alike else ["Tasks differ, and errors of different ones with them."]
    )
    lines = [*_headline(frame, groups), "", *verdict]
    lines += ["", "## Errors", "", *_errors(groups, baselines)]
    if len(fields) and len(done):
        pictures["axes"] = Picture.drawn(
            lambda narrow: drawings.axes(frame, fields[:PANELS], narrow)
        )
        lines += ["", "## What was varied", "", "![Test error of every run](axes)"]
    if len(done):
        shown = {name: _histories(of, by_name) for name, of in list(groups.items())[:CURVES]}
        shown = {name: histories for name, histories in shown.items() if histories}
        # Of several tasks there would be too many lines, and none that all curves compare with.
        near = baselines if alike else baselines[:0]
        pictures["curves"] = Picture.drawn(lambda narrow: drawings.curves(shown, near, narrow))
        lines += ["", "## Learning", "", "![Test error over epochs](curves)"]
        if len(groups) > len(shown):
            lines += ["", f"Of {len(groups)} groups the {len(shown)} of the lowest test error."]
        row = done.sort_values("test_mse", kind="stable").iloc[0]
        best = by_name[row["run"]]
        lines += ["", *_best(best, row, fields, pictures)]
    lines += _without_result(frame, fields)
    damage = [*lost, *(run.damage for run in runs if run.damage)]
    if damage:
        lines += ["", "## Damaged files", "", *(f"- {code(said)}" for said in damage)]
    lines += ["", "## What the chip is assumed to do", "", *_chips(runs)]
    lines += ["", "## What the rules have to know", "", *one.budgets(runs)]
    lines += ["", "## Costs", "", *_costs(groups, by_name)]
    if len(done) and not best.missing:
        lines += ["", "Of the run of the lowest test error:", ""]
        lines += costs.learning(best.learned)
        lines += ["", *costs.network(best.trained, best.task, best.learned)]
    lines += ["", "## Settings", "", *_settings(frame)]
    return Page(title, "\n".join(lines) + "\n", pictures)


def _groups(frame: pd.DataFrame, fields: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Runs that differ in seeds alone, by what the others differ in; the lowest error first."""
    if not fields:
        return {"all runs": frame}
    found = [of for _, of in frame.groupby(list(fields), dropna=False, sort=False)]
    found.sort(key=lambda of: _finished(of).mean() if len(_finished(of)) else math.inf)
    named: dict[str, pd.DataFrame] = {}
    for of in found:
        words = compare.words(of.iloc[0], fields) or DEFAULT
        # Numbers that differ in a late digit only are written alike.
        named[words if words not in named else f"{words} [{len(named) + 1}]"] = of
    return named


def _headline(frame: pd.DataFrame, groups: Mapping[str, Any]) -> list[str]:
    counts = Counter(frame["status"])
    states = ", ".join(f"{counts[status]} {status}" for status in counts)
    names = {
        key: frame[key].dropna().unique() for key in ("task.name", "rule.name") if key in frame
    }
    words = " on ".join(", ".join(map(str, names[key])) for key in ("rule.name", "task.name"))
    several = f" in {len(groups)} groups that differ in more than seeds" if len(groups) > 1 else ""
    return [f"**{plain(words)}**: {len(frame)} runs{several}; {states}."]


def _verdict(groups: Mapping[str, pd.DataFrame]) -> list[str]:
    name, best = next(iter(groups.items()))
    scores, baselines = _finished(best), compare.baselines(best)
    if scores.empty:
        return ["No run came to a result."]
    said = f"Lowest mean test error: **{plain(name)}**, {_spread(scores)}."
    lower = [str(who) for who, error in baselines.items() if error <= scores.mean()]
    if baselines.empty:
        said += " No baselines were computed, so nothing is said about how good this is."
    elif lower:
        better = plain(", ".join(lower))
        said += f" As good or better, with nothing learned step by step: {better}."
    else:
        said += f" Better than every baseline; the nearest is {plain(baselines.index[0])}."
    if len(groups) > 1:
        held_out = bool((best["training.held_out"] > 0).all())
        by = "data that were held out of training" if held_out else "the test itself"
        chosen = f"It was chosen among {len(groups)} groups by {by}: its error is a flattering one."
        return [said, "", chosen]
    return [said]


def _finished(of: pd.DataFrame, column: str = "test_mse") -> pd.Series:
    found: pd.Series = of.loc[of["status"] == FINISHED, column] if column in of else pd.Series()
    return found.dropna()


def _spread(scores: pd.Series) -> str:
    if scores.empty:
        return ""
    if len(scores) == 1:
        return f"{scores.iloc[0]:.4g}"
    return f"{scores.mean():.4g} ({scores.min():.4g} to {scores.max():.4g})"


def _errors(groups: Mapping[str, pd.DataFrame], baselines: pd.Series) -> list[str]:
    rows: list[tuple[float, list[str]]] = []
    for name, of in list(groups.items())[:LINES]:
        test, train = _finished(of), _finished(of, "train_mse")
        cells = [f"**{plain(name)}**", _spread(test), _spread(train), f"{len(test)} of {len(of)}"]
        rows.append((test.mean() if len(test) else float("inf"), cells))
    rows += [(error, [plain(who), f"{error:.4g}", "", ""]) for who, error in baselines.items()]
    rows.sort(key=lambda row: row[0])
    lines = table(["", "test MSE", "train MSE", "runs finished"], [cells for _, cells in rows])
    lines += [
        "",
        "Means over runs (least to greatest); the lowest test error first. Plain lines are ",
    ]
    lines[-1] += "baselines. MSE: over steps, series and outputs, in the task's own units."
    if any((of["training.held_out"] > 0).any() for of in groups.values()):
        lines.append("Judged by training data that were held out, not by the test.")
    if len(groups) > LINES:
        lines += ["", f"{len(groups) - LINES} more groups are in the sweep's results.parquet."]
    names = dict.fromkeys(str(who).partition(" (")[0] for who in baselines.index)
    told = [f"- {name}: {MEANING[name]}" for name in names if name in MEANING]
    return [*lines, "", *told] if told else lines


def _histories(of: pd.DataFrame, by_name: Mapping[str, Kept]) -> list[pd.DataFrame]:
    names = of.loc[of["status"] == FINISHED, "run"]
    histories = [by_name[name].history for name in names]
    return [history.frame for history in histories if len(history)]


def _best(best: Kept, row: Any, fields: Sequence[str], pictures: dict[str, Picture]) -> list[str]:
    what = f"{plain(compare.words(row, fields) or DEFAULT)}, " if fields else ""
    lines = [
        "## Predictions",
        "",
        f"Of {what}seed {best.config.training.seed}: of all runs the one",
    ]
    lines[-1] += f" with the lowest test error, {row['test_mse']:.4g}, hence a flattering choice."
    if best.missing:
        return [*lines, "", f"They cannot be shown: {plain(best.missing)}."]
    pictures["predictions"] = one.predictions(best)
    return [*lines, "", "![What was asked for and what the network answers](predictions)"]


def _without_result(frame: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    rest = frame[frame["status"] != FINISHED]
    if rest.empty:
        return []
    rows = []
    for name, of in _groups(rest, fields).items():
        for status, some in of.groupby("status"):
            seeds = ", ".join(map(str, some["training.seed"]))
            reasons = [reason for reason in some["reason"] if reason]
            rows.append([plain(name), seeds, status, code(reasons[0]) if reasons else ""])
    lines = table(["", "seeds", "status", "why (of the first)"], rows[:LINES], words=4)
    return ["", "## Runs without a result", "", *lines]


def _chips(runs: Sequence[Kept]) -> list[str]:
    """Say it of every chip there is; of many, of the first ones."""
    chips = {repr(run.config.substrate | {"seed": 0}): run.config for run in runs}
    if len(chips) == 1:
        return one.chip(runs[0].config)
    lines = [f"{len(chips)} chips; those that differ in their seed alone count once."]
    for name, config in list(chips.items())[:LINES]:
        lines += ["", f"### {code(name)}", "", *one.chip(config)]
    return lines


def _costs(groups: Mapping[str, pd.DataFrame], by_name: Mapping[str, Kept]) -> list[str]:
    rows = []
    for name, of in list(groups.items())[:LINES]:
        took = pd.DataFrame([by_name[run].learned for run in of["run"]])
        if not took["steps"].any():
            continue
        mean = took[took["steps"] > 0].mean(numeric_only=True)
        memory = took["memory"].dropna()
        rows.append(
            [
                plain(name),
                f"{mean['steps']:,.0f}",
                costs.duration(mean["seconds"]),
                costs.duration(mean["seconds_per_step"]),
                costs.size(float(memory.max())) if len(memory) else "",
                *(f"{mean[count]:,.0f}" for count in costs.COUNTS),
            ]
        )
    head = ["", "steps", "time", "a step", "memory", "events", "synaptic operations", "writes"]
    return [*table(head, rows), "", "Means over runs; events, operations and writes are of a step."]


def _settings(frame: pd.DataFrame) -> list[str]:
    """What all runs share, and what was varied."""
    own = [name for name in frame if results.is_field(str(name))]
    values = {name: list(map(_number, frame[name].dropna().drop_duplicates())) for name in own}
    everywhere = {name for name in own if not frame[name].isna().any()}
    shared = [name for name in own if len(values[name]) == 1 and name in everywhere]
    told = [f"{name} = {values[name][0]}" for name in shared]
    lines = ["All runs:", "", *block("\n".join(told)), ""]
    for name in own:
        if name not in shared and values[name]:
            some = "" if name in everywhere else " (of those that have it)"
            given = ", ".join(map(code, values[name][:LINES]))
            more = " ..." * (len(values[name]) > LINES)
            lines.append(f"- {plain(name)}{some}: {given}{more}")
    return lines


def _number(value: Any) -> Any:
    """A value as a config would have it: columns with gaps make 2 into 2.0."""
    return f"{value:g}" if isinstance(value, float) else value
