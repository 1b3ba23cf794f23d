"""Figures 4, 5, 6, 11, 13 and 14: a task learned by every method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosim.experiments import figures
from neurosim.experiments.reproduce import panels
from neurosim.experiments.reproduce.data import Data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(data: Data) -> Figure:
    """Panels a: the series and predictions; b: learning curves; c: final errors."""
    shown = [name for name in data.plan.file.shown if data.run_of(name) is not None]
    figure = figures.new(13.0, 4.2 * 2 + 3.0 * len(shown))
    heights = [3.0] * len(shown) + [4.2, 4.6]
    rows: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    for row, name in zip(rows, shown, strict=False):
        _predictions(row, data, name)
    methods = data.methods
    train, test = rows[-2].subplots(1, 2, sharey=True)
    panels.curves(train, data.epochs[data.epochs["epoch"] > 0], methods, "train_mse")
    panels.letter(train, "b  training, while learning")
    panels.curves(test, data.epochs, methods, "test_mse")
    panels.letter(test, "   test")
    test.set_ylabel("")
    test.set_ylim(*panels.window(data.epochs["train_mse"], data.epochs["test_mse"]))
    rows[-2].legend(*test.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    left, right = rows[-1].subplots(1, 2, sharey=True)
    panels.finals(left, data.finals, methods, "train_mse")
    panels.letter(left, "c  final error, training")
    panels.finals(right, data.finals, methods, "test_mse")
    panels.letter(right, "   test, and baselines (dashed)")
    panels.lines(right, data.baselines)
    right.set_ylabel("")
    figure.suptitle(figures.as_it_is(data.plan.title), fontsize=10)
    return figure


def _predictions(row: Any, data: Data, name: str) -> None:
    run = data.run_of(name)
    assert run is not None
    task = run.config.shown
    inputs, targets = task.test()
    seen: list[NDArray[Any]] = []
    for sim in (run.config.simulator(), data.trained(run)):
        outputs = sim.evaluate(inputs, targets).outputs
        assert outputs is not None
        seen.append(np.asarray(outputs))
    stretch = 2000 if hasattr(task, "to_fahrenheit") else 500  # as in the paper's panels
    figures.answers(row, task, seen[0], seen[1], f"a  {name}: target and answers", stretch)
