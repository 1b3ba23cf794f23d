"""Panels that figures have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurosim.experiments.figures import name_lines
from neurosim.experiments.reproduce.data import METHOD, spread
from neurosim.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "NP": "tab:orange",
    "WP": "tab:green",
    "ANP": "tab:blue",
    "BP": "tab:red",
    "BPTT": "tab:purple",
    "RFLO": "tab:brown",
}
OTHERS = ("0.2", "tab:pink", "tab:olive", "tab:cyan", "0.55")
FAINT = "0.6"
NEAR = 10.0  # times what is shown: a baseline further off is only named


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG and SVG, each whole or not at all."""
    # Nothing in a file that changes with the day or the machine.
    for suffix, more in ((".png", {"dpi": 130}), (".svg", {"metadata": {"Date": None}})):
        with whole(folder / f"{name}{suffix}") as temporary:
            figure.savefig(temporary, format=suffix[1:], **more)


def style(method: str, methods: Sequence[str]) -> dict[str, Any]:
    """Colour by rule; with decorrelation dashed."""
    rule, decorrelated = _rule(method)
    line = "--" if decorrelated else "-"
    if rule in COLOURS:
        return {"color": COLOURS[rule], "linestyle": line}
    rest = [name for name in methods if _rule(name)[0] not in COLOURS]
    return {"color": OTHERS[rest.index(method) % len(OTHERS)], "linestyle": line}


def _rule(method: str) -> tuple[str, bool]:
    """The rule in a method's name, and whether it is decorrelated."""
    first = method.split(",")[0].split(" (")[0].removeprefix("full ")
    decorrelated = first.startswith("D") and first[1:] in COLOURS
    return (first[1:] if decorrelated else first), decorrelated


def curves(ax: Axes, epochs: pd.DataFrame, methods: Sequence[str], score: str) -> None:
    """Mean over seeds of a score, over epochs, least to greatest as a band; log scale."""
    for method in methods:
        of = epochs[epochs[METHOD] == method]
        if of.empty or score not in of:
            continue
        by = of.groupby("epoch")[score].agg(["mean", "min", "max"]).replace([np.inf], np.nan)
        look = style(method, methods)
        ax.plot(by.index, by["mean"], label=method, linewidth=1.2, **look)
        ax.fill_between(by.index, by["min"], by["max"], color=look["color"], alpha=0.12, lw=0)
    ax.set(yscale="log", xlabel="epoch", ylabel="mean squared error")


def window(*columns: pd.Series) -> tuple[float, float]:
    """Limits that what blew up does not blow up."""
    values = pd.concat(columns)
    fine = values[np.isfinite(values) & (values > 0)]
    if fine.empty:
        return 0.1, 1.0
    high = min(fine.max(), fine.quantile(0.98) * 5)
    return fine.min() / 1.3, high * 1.3


def finals(
    ax: Axes,
    found: pd.DataFrame,
    methods: Sequence[str],
    score: str,
    colour: Callable[[str], str] | None = None,
) -> None:
    """Mean over seeds of a final score, least to greatest as a bar; log scale."""
    for place, method in enumerate(methods):
        values = found[found[METHOD] == method][score]
        mean, least, greatest = spread(values)
        look = style(method, methods)
        if colour is not None:
            look["color"] = colour(method)
        if np.isfinite(mean):
            point(ax, place, (mean, least, greatest), look)
        lost = int((~np.isfinite(values)).sum())
        if lost:
            words = f"{lost} of {len(values)} diverged"
            ax.annotate(
                words,
                (place, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                fontsize=7,
                ha="right" if np.isfinite(mean) else "center",
            )
    name_places(ax, methods)
    ax.set(yscale="log", ylabel="mean squared error")


def point(ax: Axes, place: float, of: tuple[float, float, float], look: dict[str, Any]) -> None:
    """A mean, with a bar from the least to the greatest; open with decorrelation."""
    mean, least, greatest = of
    ax.errorbar(
        place,
        mean,
        [[mean - least], [greatest - mean]],
        marker="o",
        markersize=7,
        color=look["color"],
        markerfacecolor=look["color"] if look["linestyle"] == "-" else "white",
        capsize=4,
    )


def name_places(ax: Axes, names: Sequence[str]) -> None:
    """Names below the places 0, 1, 2, ... of an axis."""
    ax.set_xticks(range(len(names)), names, rotation=50, ha="right", fontsize=8)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(axis="y", linewidth=0.4, alpha=0.6)


def lines(ax: Axes, baselines: pd.DataFrame, names: Sequence[str] | None = None) -> None:
    """A dashed line for every baseline's mean test error near the rest, named at the right."""
    by = baselines.groupby(METHOD)["test_mse"].mean()
    by = by if names is None else by[by.index.isin(names)]
    low, high = ax.get_ylim()
    near = [error for error in by if low / NEAR < error < high * NEAR]
    ax.set_ylim(min([low, *(e / 1.2 for e in near)]), max([high, *(e * 1.2 for e in near)]))
    for error in near:
        ax.axhline(error, color=FAINT, linewidth=0.8, linestyle="--", zorder=0)
    if len(by):
        name_lines(ax, by)


def letter(ax: Axes, text: str) -> None:
    """A panel's letter and title."""
    ax.set_title(text, loc="left", fontsize=10)
