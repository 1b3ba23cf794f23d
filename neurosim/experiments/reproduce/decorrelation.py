"""Figure 8: how correlated hidden units are as they learn; and what the rate does to the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neurosim.experiments import figures
from neurosim.experiments.reproduce import panels
from neurosim.experiments.reproduce.data import METHOD, Data, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = "decorrelation.learning_rate"
MEASURE = "s_covariance"


def draw(data: Data) -> Figure:
    """Covariance per epoch and its spread; error and covariance over the rate."""
    figure = figures.new(12.0, 9.0)
    (per_epoch, spreads), (loss, left) = figure.subplots(2, 2)
    plain = [name for name in data.methods if not _of(data, name)[RATE].notna().any()]
    for name in plain:
        of = data.epochs[data.epochs[METHOD] == name]
        by = of.groupby("epoch")[MEASURE].agg(["mean", "min", "max"])
        look = panels.style(name, data.methods)
        per_epoch.plot(by.index, by["mean"], label=name, **look)
        band = {"color": look["color"], "alpha": 0.15, "lw": 0}
        per_epoch.fill_between(by.index, by["min"], by["max"], **band)
    per_epoch.set(xlabel="epoch", ylabel="mean squared covariance", yscale="log")
    per_epoch.legend(fontsize=8)
    panels.letter(per_epoch, "a  off-diagonal covariance of s, per epoch")
    learned = data.epochs[data.epochs["epoch"] > 0]
    spreads.boxplot(
        [learned[learned[METHOD] == name][MEASURE] for name in plain], tick_labels=plain
    )
    spreads.set(yscale="log", ylabel="mean squared covariance")
    panels.letter(spreads, "b  its spread over epochs and seeds")
    for ax, score, words in (
        (loss, "test_mse", "c  final test error over the rate ε"),
        (left, MEASURE, "d  covariance that is left, over the rate ε"),
    ):
        for name, of in _swept(data).groupby(METHOD):
            by = of.groupby(RATE)[score].apply(lambda v: pd.Series(spread(v), list("mlg")))
            by = by.unstack()
            bars = [by["m"] - by["l"], by["g"] - by["m"]]
            look = panels.style(str(name), data.methods)
            ax.errorbar(by.index, by["m"], bars, marker="o", capsize=3, label=name, **look)
        for name in plain:
            mean, look = spread(_of(data, name)[score])[0], panels.style(name, data.methods)
            ax.axhline(mean, color=look["color"], linestyle=":", label=f"{name} of panel a")
        ax.set(xscale="log", yscale="log", xlabel="ε", ylabel=score.replace("_", " "))
        panels.letter(ax, words)
    left.legend(fontsize=8)
    panels.lines(loss, data.baselines, ("persistence", "ridge"))
    figure.suptitle(figures.as_it_is(data.plan.title), fontsize=10)
    return figure


def _of(data: Data, method: str) -> pd.DataFrame:
    finals = data.finals if RATE in data.finals else data.finals.assign(**{RATE: np.nan})
    return finals[finals[METHOD] == method]


def _swept(data: Data) -> pd.DataFrame:
    return data.finals[data.finals[RATE].notna()] if RATE in data.finals else data.finals[:0]


def _lowest(data: Data) -> list[str]:
    """Where the error and the covariance are lowest, if every seed came to a result."""
    lines = []
    for name, of in _swept(data).groupby(METHOD):
        by = of.groupby(RATE)[["test_mse", MEASURE]].mean()
        fine = by[np.isfinite(by["test_mse"])]
        if len(fine):
            loss, left = fine["test_mse"].idxmin(), fine[MEASURE].idxmin()
            lines.append(
                f"{name}: the lowest test error is at ε = {loss:g}, the lowest covariance at "
                f"ε = {left:g}, where the error is {fine['test_mse'][left]:.3g}."
            )
    return [*lines, ""]


def tell(data: Data) -> list[str]:
    """The numbers."""
    lines = ["Means over the last tenth of the epochs (least to greatest over seeds).", ""]
    lines += ["| | ε | test MSE | covariance | second moment |", "|---|---|---|---|---|"]
    keyed = data.finals if RATE in data.finals else data.finals.assign(**{RATE: np.nan})
    for (method, rate), of in keyed.groupby([METHOD, RATE], dropna=False, sort=False):
        cells = [method, "" if rate != rate else f"{rate:g}"]
        for score in ("test_mse", MEASURE, "s_second_moment"):
            mean, least, greatest = spread(of[score])
            cells.append(f"{mean:.3g} ({least:.3g}-{greatest:.3g})" if mean == mean else "diverged")
        lost = int((~np.isfinite(of["test_mse"])).sum())
        cells[2] += f"; {lost} of {len(of)} diverged" if lost and cells[2] != "diverged" else ""
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        *_lowest(data),
        "Covariance: the mean squared entry below the diagonal of the covariance matrix of s over "
        "steps and series of the training data. Second moment: the same without taking means off; "
        "it is what Eq. 6 drives to zero.",
    ]
