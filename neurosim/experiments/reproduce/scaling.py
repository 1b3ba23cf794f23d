"""Figure 7: how the final error grows or shrinks with the network, and where runs blow up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neurosim.experiments import figures
from neurosim.experiments.reproduce import panels
from neurosim.experiments.reproduce.data import METHOD, Data, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = "network.hidden"


def draw(data: Data) -> Figure:
    """Final train and test error over the number of neurons."""
    figure = figures.new(11.0, 5.2)
    for ax, score, words in zip(
        figure.subplots(1, 2, sharey=True),
        ("train_mse", "test_mse"),
        ("final training error", "final test error"),
        strict=True,
    ):
        _panel(ax, data, score)
        panels.letter(ax, words)
        if score == "test_mse":
            panels.lines(ax, data.baselines, ("persistence", "ridge"))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=8)
    figure.suptitle(
        f"{figures.as_it_is(data.plan.title)}\n"
        "full: every seed stable; empty: some not, mean of the others; absent: none",
        fontsize=10,
    )
    return figure


def _panel(ax: Axes, data: Data, score: str) -> None:
    for method in data.methods:
        look = panels.style(method, data.methods)
        points = stability(data.finals, method, score)
        known = points.dropna(subset=["mean"])
        ax.plot(known["size"], known["mean"], label=method, linewidth=1.2, **look)
        for full, of in known.groupby(known["stable"] == known["runs"]):
            fill = look["color"] if full else "white"
            ax.plot(of["size"], of["mean"], "o", color=look["color"], markerfacecolor=fill)
    sizes = sorted(data.finals[SIZE].unique())
    ax.set(xscale="log", yscale="log", xlabel="hidden neurons", ylabel="mean squared error")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()


def stability(finals: pd.DataFrame, method: str, score: str) -> pd.DataFrame:
    """Mean over the stable runs of each size, and how many there are."""
    rows = []
    for size, of in finals[finals[METHOD] == method].groupby(SIZE):
        stable = of[of["stable"].astype(bool)]
        mean, least, greatest = spread(stable[score])
        rows.append((size, mean, least, greatest, len(stable), len(of)))
    return pd.DataFrame(rows, columns=["size", "mean", "min", "max", "stable", "runs"])


def tell(data: Data) -> list[str]:
    """The numbers, one line a method, one column a size."""
    sizes = sorted(data.finals[SIZE].unique())
    lines = ["Final test MSE, mean of the stable runs; how many, where not all.", ""]
    lines += ["| | " + " | ".join(f"N = {size}" for size in sizes) + " |"]
    lines += ["|---" * (len(sizes) + 1) + "|"]
    for method in data.methods:
        cells = []
        for _, row in stability(data.finals, method, "test_mse").set_index("size").iterrows():
            stable, runs, mean = int(row["stable"]), int(row["runs"]), row["mean"]
            some = "" if stable == runs else f" ({stable}/{runs})"
            cells.append(f"{mean:.3g}{some}" if np.isfinite(mean) else "none stable")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return [*lines, "", "Stable: the run did not diverge, and ended better than it began."]
