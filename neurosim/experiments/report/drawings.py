"""Figures of many runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neurosim.experiments import figures
from neurosim.experiments.sweep.runs import FINISHED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def curves(
    groups: Mapping[str, Sequence[pd.DataFrame]], baselines: pd.Series, narrow: bool
) -> Figure:
    """Test error over epochs: the mean of each group's runs, and a band from least to greatest."""
    figure = figures.new(4.4, 5.6 + 0.2 * len(groups)) if narrow else figures.new(8.0, 5.2)
    ax = figure.add_subplot()
    seen, last = [np.empty(0)], 0
    for colour, (name, histories) in zip(COLOURS, groups.items(), strict=False):
        each = pd.concat(histories).groupby("epoch")["test_mse"].agg(["mean", "min", "max"])
        ax.plot(each.index, each["mean"], color=colour, label=figures.as_it_is(name))
        ax.fill_between(each.index, each["min"], each["max"], color=colour, alpha=0.15, lw=0)
        seen.append(each["mean"].to_numpy())
        last = max(last, int(each.index.max()))
    figures.errors_over_epochs(ax, np.concatenate(seen), baselines, last)
    title = (
        "Test error" if narrow else "Test error over training: mean over seeds, least to greatest"
    )
    ax.set_title(title, loc="left", fontsize=10 if narrow else None)
    figures.legend(figure, ax, baselines, narrow)
    return figure


def axes(frame: pd.DataFrame, fields: Sequence[str], narrow: bool) -> Figure:
    """Test error against every field that was varied: a dot a run, a line through the means."""
    columns = 1 if narrow else min(2, len(fields))
    rows = math.ceil(len(fields) / columns)
    figure = figures.new(4.4 if narrow else 8.0, 2.9 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    done = frame[frame["status"] == FINISHED]
    for ax, name in zip(panels, fields, strict=False):
        _axis(ax, done, name)
    for ax in panels[len(fields) :]:
        ax.set_visible(False)
    figures.plain_numbers(panels[0])  # the others share its axis
    for ax in panels[::columns]:
        ax.set_ylabel("test MSE")
    return figure


def _axis(ax: Any, done: pd.DataFrame, name: str) -> None:
    values = done[name]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        places = values.astype(float)
        positive = places[places > 0]
        if len(positive) == len(places) and places.max() > 20 * places.min():
            ax.set_xscale("log")
    else:
        words = values.astype("string").fillna("none")
        order = sorted(words.unique())
        places = words.map({word: float(k) for k, word in enumerate(order)}).astype(float)
        ax.set_xticks(
            range(len(order)), [*map(figures.as_it_is, order)], rotation=30 if len(order) > 3 else 0
        )
        ax.set_xlim(-0.5, len(order) - 0.5)
    means = done["test_mse"].groupby(places).mean()
    ax.plot(means.index, means, color=figures.FAINT, linewidth=1, zorder=1)
    ax.scatter(places, done["test_mse"], s=14, color=figures.AFTER, alpha=0.7, zorder=2)
    ax.set(yscale="log", xlabel=figures.as_it_is(name))
