"""A figure's report: differences from the paper first, then numbers, then what they are of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurosim.experiments import environment, markdown, summary
from neurosim.experiments.reproduce.claims import DIFFERS, HOLDS, UNCLEAR, Finding, Scores
from neurosim.experiments.reproduce.data import METHOD, Data, spread
from neurosim.experiments.reproduce.spec import Reproduction
from neurosim.experiments.sweep.runs import Run


def scores(data: Data) -> dict[str, Scores]:
    """What claims are held against: final scores by method and seed, and the baselines'."""
    plain = data.without_varied().finals
    if "test_accuracy" in plain:
        plain = plain.assign(missed=1 - plain["test_accuracy"])
    columns = ("test_mse", "train_mse", "missed", "s_covariance")
    found: dict[str, Scores] = {
        column: {
            str(method): dict(zip(rows["seed"].astype(int), rows[column], strict=True))
            for method, rows in plain.groupby(METHOD)
        }
        for column in columns
        if column in plain
    }
    rivals = data.baselines.groupby(METHOD)
    seeds = data.plan.seeds
    found["test_mse"] = {
        **{str(name): dict.fromkeys(seeds, rows["test_mse"].mean()) for name, rows in rivals},
        **found.get("test_mse", {}),
    }
    return found


def page(
    plan: Reproduction, findings: Sequence[Finding], numbers: Sequence[str], more: Sequence[str]
) -> str:
    """Write the page.

    Parameters
    ----------
    plan : Reproduction
    findings : sequence of Finding
    numbers, more : sequence of str
        Lines about what came out; lines about settings.
    """
    lines = [f"# {plan.file.title} ({plan.file.figure}), scale {plan.scale}", "", *_caution(plan)]
    lines += [*differences(findings), "", "![figure](figure.png)", "", "## Numbers", "", *numbers]
    lines += ["", "## What this does and does not show", ""]
    lines += [f"- {words}" for words in _limits(plan)]
    lines += ["", "## Settings", "", *more, "", *[summary.versions(environment.describe())]]
    return "\n".join(lines) + "\n"


def differences(findings: Sequence[Finding]) -> list[str]:
    """What the paper claims and these numbers do not bear out; then the rest."""
    groups = {verdict: [f for f in findings if f.verdict == verdict] for verdict in ORDER}
    if not findings:
        return ["The paper makes no claim here that numbers could contradict."]
    lines = []
    for verdict, found in groups.items():
        if verdict == DIFFERS and not found:
            lines += [f"## {HEADS[verdict]}", "", "Nowhere.", ""]
        elif found:
            lines += [f"## {HEADS[verdict]}", ""]
            for claim in dict.fromkeys(f.claim.says for f in found):
                lines.append(f"- The paper: {claim}")
                lines += [f"  - {f.words}" for f in found if f.claim.says == claim]
            lines.append("")
    return lines[:-1]


ORDER = (DIFFERS, UNCLEAR, HOLDS)
HEADS = {
    DIFFERS: "Where this differs from the paper",
    UNCLEAR: "Where it is not clear",
    HOLDS: "What agrees with the paper",
}


def _limits(plan: Reproduction) -> list[str]:
    words = [*plan.file.limits]
    if plan.scale == "small" and plan.file.panels != "costs":
        but = " (but for what was changed)" if plan.changes else ""
        size = f"Not the paper's size: {plan.common.words}{but}"
        words.insert(0, f"{size}. Orders, not values, compare.")
    return words


def _caution(plan: Reproduction) -> list[str]:
    """Say before anything else what makes verdicts worth little."""
    words = []
    if plan.changes:
        said = ", ".join(f"{key} = {value}" for key, value in plan.changes.items())
        words.append(f"Settings were changed for this run: {markdown.plain(said)}.")
    if len(plan.seeds) < 3:
        words.append(f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}: too few to say much.")
    if not words:
        return []
    return [f"**{' '.join(words)} This is a look, and no evidence about the paper.**", ""]


# ------------------------------------------------------------------------------ numbers


def table(data: Data) -> list[str]:
    """Final scores of all methods and baselines, the lowest test error first."""
    recall = "test_accuracy" in data.finals
    head = ["method", "test MSE", "train MSE, while learning", *["recall"] * recall]
    head += ["seeds without result", "ms a step"]
    rows: list[tuple[float, list[str]]] = []
    for method in data.methods:
        of = data.finals[data.finals[METHOD] == method]
        cells = [f"**{method}**", *(_cell(of[score]) for score in ("test_mse", "train_mse"))]
        if recall:
            cells.append(_cell(of["test_accuracy"], ".3f"))
        lost = int((~np.isfinite(of["test_mse"])).sum())
        pace = of["seconds_per_step"].median() * 1e3 if "seconds_per_step" in of else math.nan
        cells += [str(lost) if lost else "", "" if math.isnan(pace) else f"{pace:.2g}"]
        mean = spread(of["test_mse"])[0]
        rows.append((math.inf if math.isnan(mean) else mean, cells))
    for name, of in data.baselines.groupby(METHOD):
        cells = [markdown.plain(name), _cell(of["test_mse"]), *[""] * (len(head) - 2)]
        rows.append((of["test_mse"].mean(), cells))
    lines = [
        "Means over the last tenth of the epochs, then over seeds (least to greatest); the lowest "
        "test error first. Plain: baselines, which nothing is trained for step by step.",
        "",
        *markdown.table(head, [cells for _, cells in sorted(rows, key=lambda row: row[0])]),
    ]
    return [*_beside(rows), *lines]


PERTURBATION = ("NP", "DNP", "WP", "DWP", "ANP", "DANP")


def _beside(rows: Sequence[tuple[float, list[str]]]) -> list[str]:
    """Say what the paper's rules lose to, before anybody asks."""
    named = {cells[0].strip("*"): error for error, cells in rows}
    own = {name: named[name] for name in PERTURBATION if math.isfinite(named.get(name, math.inf))}
    if not own:
        return []
    best = min(own, key=lambda name: own[name])
    better = sorted((error, name) for name, error in named.items() if error <= own[best])
    said = ", ".join(f"{name} {error:.3g}" for error, name in better if name != best)
    return [
        f"Of the paper's perturbation rules {best} has the lowest test MSE, {own[best]:.3g}, which "
        f"flatters it a little: the test chose it. "
        + (f"As good or better: {said}." if said else "Nothing here is better."),
        "",
    ]


def _cell(values: pd.Series, digits: str = ".3g") -> str:
    mean, least, greatest = spread(values)
    if math.isnan(mean):
        return "diverged"
    if least == greatest:
        return f"{mean:{digits}}"
    return f"{mean:{digits}} ({least:{digits}}-{greatest:{digits}})"


# ----------------------------------------------------------------------------- settings


def settings(plan: Reproduction) -> list[str]:
    """What was run: the command, what all methods share, and each one's own."""
    command = f"neurosim reproduce {plan.name} --scale {plan.scale} --seeds {len(plan.seeds)}"
    command += "".join(f" --set {key}={value}" for key, value in plan.changes.items())
    seeds = ", ".join(map(str, plan.seeds))
    lines = [f"{markdown.code(command)}; seeds {seeds}: of weights, noise and data."]
    source = next((s for run in plan.runs if (s := getattr(run.config.task, "source", None))), None)
    if source:
        lines.append(f"Data: {markdown.plain(source)}.")
    first: dict[str, Run] = {}
    for run in plan.runs:
        first.setdefault(run.setting[METHOD], run)
    flats = {name: run.config.flat() for name, run in first.items()}
    shared = _shared(list(flats.values()))
    lines += ["", "All methods:", "", *_toml(shared), "", "Each method:", ""]
    for name, flat in flats.items():
        own = {key: value for key, value in flat.items() if key not in shared}
        varied = {k for run in plan.runs if run.setting[METHOD] == name for k in run.setting}
        own = {key: "varied" if key in varied else value for key, value in own.items()}
        said = ", ".join(f"{key} = {value}" for key, value in own.items() if _told(key))
        lines.append(f"- {name}: {markdown.plain(said) or 'nothing of its own'}")
    return lines


def _shared(flats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = flats[0]
    return {k: v for k, v in first.items() if all(k in f and f[k] == v for f in flats)}


def _told(key: str) -> bool:
    """What decides nothing here, or is said already, need not be told of every method."""
    silent = ("training.seed", "network.seed", "task.seed", "baselines.", "network.decorrelate")
    return not key.startswith(silent)


def _toml(flat: Mapping[str, Any]) -> list[str]:
    told = {key: value for key, value in flat.items() if _told(key)}
    return markdown.block("\n".join(f"{key} = {value}" for key, value in told.items()))
