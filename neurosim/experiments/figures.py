"""Figures of a run."""

from __future__ import annotations

import string
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosim.files import whole
from neurosim.screen import one_line
from neurosim.task import task_name
from neurosim.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

TARGET, TRAIN, AFTER, FAINT = "0.15", "tab:orange", "tab:blue", "0.6"
STRETCH = 400  # steps of a series that can still be told apart in a figure
SEQUENCES = 6  # short sequences side by side
LONGEST = 80  # characters of a name
NARROW_STRETCH, NARROW_SEQUENCES = 150, 2  # on a narrow page


def new(width: float, height: float) -> Figure:
    """An empty figure; without pyplot there is no global state, and no window is looked for."""
    from neurosim.drawing import Figure, FigureCanvasAgg

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def defaults() -> Iterator[None]:
    """Draw and save by Matplotlib's defaults: a user's own settings may ask for LaTeX, or worse.

    A name in letters that its font does not have is drawn as boxes; tables have it as it is.
    """
    from neurosim.drawing import context

    with context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def learning_curve(history: History, baselines: pd.Series, narrow: bool = False) -> Figure:
    """Train and test error over epochs, with a line for every baseline's test error."""
    figure = new(4.4, 5.4) if narrow else new(8.0, 4.8)
    ax = figure.add_subplot()
    frame = history.frame
    ax.plot(frame["epoch"], frame["train_mse"], color=TRAIN, label="train, while learning")
    ax.plot(frame["epoch"], frame["test_mse"], color=AFTER, label="test")
    errors_over_epochs(ax, frame[["train_mse", "test_mse"]].to_numpy(), baselines, history.epoch)
    if narrow:
        ax.set_title("Error over training; dashed: baselines", loc="left", fontsize=10)
    else:
        ax.set_title("Error over training, and what baselines reach on the test", loc="left")
    legend(figure, ax, baselines, narrow)
    return figure


def errors_over_epochs(ax: Axes, curves: NDArray[Any], baselines: pd.Series, epochs: int) -> None:
    """Set axes for curves of errors, with a line for every baseline that has an error."""
    from neurosim.drawing import MaxNLocator

    baselines = finite(baselines)
    ax.set(yscale="log", xlabel="epoch", ylabel="mean squared error")
    ax.set_xlim(0, max(1, epochs))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_ylim(*_limits(curves, baselines.to_numpy()))
    plain_numbers(ax)
    for error in baselines:
        ax.axhline(error, color=FAINT, linewidth=0.8, linestyle="--", zorder=0)


def finite(errors: pd.Series) -> pd.Series:
    """Leave out what cannot be drawn: a baseline that blew up has no error."""
    found: pd.Series = errors[np.isfinite(errors.astype(float))]
    return found


def as_it_is(words: object) -> str:
    """Have a name drawn as it is: a dollar begins no formula, and `_` does not hide it.

    Of a long name the beginning is drawn.
    """
    text = one_line(words)
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def plain_numbers(ax: Axes) -> None:
    """Mark a logarithmic y-axis by numbers without powers of ten, some even if it is short."""
    from neurosim.drawing import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 8 * low else MaxNLocator(5))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, ax: Axes, baselines: pd.Series, narrow: bool) -> None:
    """Name curves below the axes; baselines at their lines, or, on a narrow page, by letters."""
    from neurosim.drawing import Line2D

    handles, labels = ax.get_legend_handles_labels()
    baselines = finite(baselines)
    if not narrow:
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False)
        name_lines(ax, baselines)
        return
    letters = pd.Series(dict(zip(string.ascii_lowercase, baselines.sort_values(), strict=False)))
    name_lines(ax, letters)
    names = baselines.sort_values().index
    labels += [as_it_is(f"{key}  {name}") for key, name in zip(letters.index, names, strict=False)]
    dashes = Line2D([], [], color=FAINT, linewidth=0.8, linestyle="--")
    handles += [dashes] * (len(labels) - len(handles))
    figure.legend(handles, labels, loc="outside lower left", ncols=1, frameon=False, fontsize=9)


def _limits(curves: NDArray[Any], baselines: NDArray[Any]) -> tuple[float, float]:
    """Limits that hold the curves and every baseline near them: not one that is all but 0."""
    seen = curves[np.isfinite(curves) & (curves > 0)]
    if not seen.size:
        return 0.1, 1.0
    near = [error for error in baselines if seen.min() / 10 < error < seen.max() * 10]
    return min(seen.min(), *near, np.inf) / 1.3, max(seen.max(), *near, 0.0) * 1.3


def name_lines(ax: Axes, values: pd.Series) -> None:
    """Write names right of the axes, at the height of their lines, none over another."""
    low, high = np.log(ax.get_ylim())
    ordered = finite(values).sort_values()
    with np.errstate(divide="ignore"):
        heights = ((np.log(ordered) - low) / (high - low)).to_numpy()
    outside = (heights < 0) | (heights > 1)
    heights = heights.clip(0, 1)
    places = _apart(heights, room=0.055)
    for name, value, height, place, out in zip(
        ordered.index, ordered, heights, places, outside, strict=True
    ):
        ax.annotate(
            as_it_is(f"{name} ({value:.2g}, outside)" if out else name),
            xy=(1.0, height),
            xytext=(1.04, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color="0.35",
            arrowprops={
                "arrowstyle": "-",
                "color": FAINT,
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
        )


def _apart(heights: NDArray[Any], room: float) -> NDArray[Any]:
    """Push sorted heights apart, as little as it takes, until they are `room` from each other."""
    places = np.array(heights, dtype=np.float64)
    for _ in range(200):
        lack = room - np.diff(places)
        if not (lack > 1e-9).any():
            break
        push = np.maximum(lack, 0) / 2
        places[:-1] -= push
        places[1:] += push
    return places


def predictions(
    task: Any, before: NDArray[Any], after: NDArray[Any], narrow: bool = False
) -> Figure:
    """What was asked for on the first test series, and what the network answers.

    Parameters
    ----------
    task : task
    before, after : ndarray, (T, series, n_targets)
        Outputs on the test series of the untrained and of the trained network.
    narrow : bool
        Whether the figure is for a narrow page.
    """
    targets = task.test()[1]
    several = targets.shape[2] > 1
    if narrow:
        figure = new(4.4, 4.8)
        if several:
            _images(figure, task, targets, before, after, "", NARROW_SEQUENCES)
        else:
            _lines(figure, task, before, targets, after, "", NARROW_STRETCH, columns=1)
        return figure
    figure = new(9.0, 5.6 if several else 4.2)
    name = task_name(task)
    if several:
        title = f"{name}: what was asked for and what the network answers"
    else:
        error = float(np.mean(np.square(np.asarray(after, dtype=np.float64) - targets)))
        title = f"{name}: target and answers (MSE of all test series, after: {error:.3g})"
    answers(figure, task, before, after, title)
    return figure


def answers(
    figure: Figure | SubFigure,
    task: Any,
    before: NDArray[Any],
    after: NDArray[Any],
    title: str,
    stretch: int = 0,
) -> None:
    """Draw what `predictions` shows into a figure, or a part of one.

    With a `stretch`, that many steps of the test, its series one after the other.
    """
    targets = task.test()[1]
    if targets.shape[2] > 1:
        _images(figure, task, targets, before, after, title)
        return
    pieces = len(targets) if stretch > len(targets) else 0
    if stretch:
        before, targets, after = (
            np.swapaxes(values, 0, 1).reshape(-1, 1, 1)[:stretch]
            for values in (before, targets, after)
        )
    _lines(figure, task, before, targets, after, title, stretch or STRETCH, pieces)


def _lines(
    figure: Any,
    task: Any,
    before: Any,
    targets: Any,
    after: Any,
    title: str,
    stretch: int,
    pieces: int = 0,
    columns: int = 3,
) -> None:
    convert = getattr(task, "to_fahrenheit", lambda values: values)
    steps = np.arange(min(stretch, len(targets)))
    ax = figure.add_subplot()
    for outputs, words, color, width in (
        (before, "network before training", FAINT, 1.0),
        (targets, "target", TARGET, 1.4),
        (after, "network after training", AFTER, 1.4),
    ):
        ax.plot(steps, convert(outputs[steps, 0, 0]), color=color, linewidth=width, label=words)
    weather = hasattr(task, "to_fahrenheit")
    horizon = getattr(task, "horizon", None)
    ahead = f" {horizon} hours later" if weather else ""
    unit = "hour" if weather else "step"
    where = "test series" if pieces else "first test series"
    joined = f" (pieces of {pieces}, each from rest)" if pieces else ""
    ax.set_xlabel(f"{unit} of the {where}{joined}")
    named = next(iter(getattr(task, "target_names", ())), "output")
    ax.set_ylabel(f"temperature{ahead} [°F]" if weather else as_it_is(named))
    ax.set_xlim(0, max(1, len(steps) - 1))
    ax.set_title(title, loc="left")
    figure.legend(loc="outside lower center", ncols=columns, frameon=False)


def _images(
    figure: Any,
    task: Any,
    targets: Any,
    before: Any,
    after: Any,
    title: str,
    most: int = SEQUENCES,
) -> None:
    from neurosim.drawing import MaxNLocator

    steps = len(targets)
    shown = max(1, min(most, targets.shape[1], STRETCH // steps))
    rows = figure.subplots(3, 1, sharex=True)
    for ax, values, words in zip(
        rows, (targets, before, after), ("target", "before training", "after training"), strict=True
    ):
        image = np.concatenate([values[:, k] for k in range(shown)]).T
        drawn = ax.imshow(image, aspect="auto", vmin=0, vmax=1, cmap="Greys", interpolation="none")
        for k in range(1, shown):
            ax.axvline(k * steps - 0.5, color=AFTER, linewidth=0.8)
        ax.set_title(words, loc="left", fontsize=10)
        ax.set_ylabel("channel")
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    sequences = f"{shown} test sequence{'s' * (shown > 1)} of {steps} steps"
    rows[-1].set_xlabel(f"step ({sequences}{', one after the other' * (shown > 1)})")
    figure.colorbar(drawn, ax=rows, label="output", shrink=0.8)
    if title:
        figure.suptitle(title)
