"""Figure 9: local against global reward; and over lengths of a sequence and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurosim.experiments import figures
from neurosim.experiments.reproduce import panels
from neurosim.experiments.reproduce.data import METHOD, Data, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LENGTH, NOISE, RATE = "task.length", "rule.noise_std", "rule.learning_rate"


def draw(data: Data) -> Figure:
    """Curves and final errors; below, recall over length, a line for each noise."""
    figure = figures.new(12.0, 9.0)
    halves: Any = figure.subfigures(2, 1)
    upper, lower = halves
    plain = [name for name in data.methods if name not in _swept_names(data)]
    curves, ends = upper.subplots(1, 2)
    for method in plain:
        of = data.epochs[data.epochs[METHOD] == method]
        look = {"color": _colour(method)}
        for score, style in (("train_mse", "--"), ("test_mse", "-")):
            by = of[of["epoch"] > 0].groupby("epoch")[score].agg(["mean", "min", "max"])
            words = f"{method}: {score.partition('_')[0]}"
            curves.plot(by.index, by["mean"], linestyle=style, label=words, **look)
            curves.fill_between(by.index, by["min"], by["max"], alpha=0.12, lw=0, **look)
    curves.set(yscale="log", xlabel="epoch", ylabel="mean squared error")
    curves.legend(fontsize=8)
    panels.letter(curves, "a  training (dashed) and test")
    panels.finals(ends, data.finals, plain, "test_mse", _colour)
    panels.letter(ends, "b  final test error, and baselines (dashed)")
    panels.lines(ends, data.baselines)
    found = best(data)
    noises = sorted(found[NOISE].unique())
    axes = lower.subplots(1, max(1, len(noises)), sharey=True, squeeze=False)[0]
    for ax, noise in zip(axes, noises, strict=False):
        for method, of in found[found[NOISE] == noise].groupby(METHOD):
            of = of.sort_values(LENGTH)
            reach = [of["recall"] - of["least"], of["greatest"] - of["recall"]]
            look = {"color": _colour(str(method)), "label": method}
            ax.errorbar(of[LENGTH], of["recall"], reach, marker="o", capsize=3, **look)
        ax.axhline(1 / 8, color=panels.FAINT, linestyle="--", linewidth=0.8)
        ax.set(xlabel="symbols to copy", ylim=(0, 1.02))
        panels.letter(ax, f"c  recall, σ = {noise:g}")
    axes[0].set_ylabel("recall on the test (chance dashed)")
    axes[0].legend(fontsize=8)
    figure.suptitle(figures.as_it_is(data.plan.title), fontsize=10)
    return figure


def _colour(method: str) -> str:
    return "tab:red" if "global" in method else "tab:blue"


def _swept_names(data: Data) -> set[str]:
    if LENGTH not in data.finals:
        return set()
    return set(data.finals[data.finals[LENGTH].notna()][METHOD])


def best(data: Data) -> pd.DataFrame:
    """Each cell of length and noise with its own rate: the one with the lowest training error."""
    rows: list[dict[str, Any]] = []
    if LENGTH not in data.finals:
        return pd.DataFrame(columns=[METHOD, LENGTH, NOISE, "recall"])
    swept = data.finals[data.finals[LENGTH].notna()]
    for (method, length, noise), cell in swept.groupby([METHOD, LENGTH, NOISE]):
        errors = cell.groupby(RATE)["train_mse"].mean()
        rate = errors.idxmin()
        of = cell[cell[RATE] == rate]
        mean, least, greatest = spread(of["test_accuracy"] if np.isfinite(errors[rate]) else [])
        error = spread(of["test_mse"])[0]
        edge = rate in (errors.index.min(), errors.index.max())
        rows.append(
            {METHOD: method, LENGTH: length, NOISE: noise, "rate": rate, "recall": mean}
            | {"least": least, "greatest": greatest, "test_mse": error, "edge": edge}
        )
    return pd.DataFrame(rows)


def _cell(of: Any) -> str:
    if not np.isfinite(of["recall"]):
        return "diverged with every rate"
    return f"{of['recall']:.2f} ({of['test_mse']:.3g}; {of['rate']:g}{'*' * bool(of['edge'])})"


def tell(data: Data) -> list[str]:
    """The numbers of panel c."""
    found = best(data)
    if found.empty:
        return []
    lines = [
        "Length of the sequence and noise: recall on the test (test MSE; rate). Each cell has the "
        "rate of those tried that had the lowest training error; * marks one at the edge of them.",
        "",
    ]
    noises = sorted(found[NOISE].unique())
    lines += ["| | symbols | " + " | ".join(f"σ = {noise:g}" for noise in noises) + " |"]
    lines += ["|---" * (len(noises) + 2) + "|"]
    for (method, length), of in found.groupby([METHOD, LENGTH]):
        cells = {row[NOISE]: row for _, row in of.iterrows()}
        said = [_cell(cells[noise]) for noise in noises]
        lines.append(f"| {method} | {length:g} | {' | '.join(said)} |")
    return [*lines, "", "Recall by chance is 0.125."]
