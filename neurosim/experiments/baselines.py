"""Compute baselines of training: the same untrained network with only its readout learned."""

from __future__ import annotations

import math
import numbers
import sys
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosim.experiments.readout import States, ridge_readout, scores
from neurosim.simulator import Simulator
from neurosim.task import checked, task_name
from neurosim.values import EPOCHS, require, require_count, require_name

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0)

RIDGE = "ridge readout of the untrained network"
DELTA = "readout-only delta rule"
BEFORE, AFTER = "network, before training", "network, after training"
REFITTED = "network, after training, its readout refitted"
# Rows of the table of a run: those of a task have other names.
ROWS = (RIDGE, DELTA, BEFORE, AFTER, REFITTED)

# Explanations for readers of a table; the baselines of a user's own task may be missing.
MEANING = {
    "mean": "always the mean of the training targets",
    "persistence": "everything stays as it is now",
    "ignores its input": "knows the step but not the inputs",
    "the present input": "knows the step and the present input: the best that needs no memory",
    "the last cue": "the side of the last cue",
    "ridge": "linear regression on the inputs of the same step",
    "ridge on lags": "linear regression on the inputs of the last 24 steps",
    RIDGE: "linear regression on what its neurons send",
    REFITTED: "linear regression on what its neurons send: how good the hidden layer is; not local",
    DELTA: "the same network, only its readout learns, by its exact gradient, online",
}


def compute(task: Any, untrained: Simulator, epochs: int = 50) -> pd.DataFrame:
    """Compute every baseline of a result, on the task's own split.

    Parameters
    ----------
    task : task
    untrained : Simulator
        As it is before training. It stays as it is.
    epochs : int
        How long the readout alone may learn.

    Returns
    -------
    pandas.DataFrame
        ``train_mse`` and ``test_mse``, and the task's other scores likewise, by baseline;
        ``note`` says what was chosen, and how.

    Raises
    ------
    InputError
        For a task whose data, scores or own baselines cannot be used, for what is no simulator or
        no number of epochs.

    Examples
    --------
    ::

        table = ns.baselines(task, ns.Simulator(net, batch=10), epochs=50)
    """
    task = checked(task, "baselines")
    fine = isinstance(untrained, Simulator)
    require(fine, "baselines", "untrained", untrained, "a Simulator")
    epochs = require_count("baselines", "epochs", epochs, 1, EPOCHS)
    return beside(of_task(task), task, untrained, epochs)


def beside(own: pd.DataFrame, task: Any, untrained: Simulator, epochs: int) -> pd.DataFrame:
    """Compute the baselines that are not the task's own, as `of_task` computed, and join both."""
    rows = {str(name): dict(row) for name, row in own.iterrows()}
    states = States(task, untrained, epochs)
    rows[RIDGE] = ridge_readout(task, states)
    rows[DELTA] = delta_rule(task, states, untrained, epochs)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("baseline")


def of_task(task: Any) -> pd.DataFrame:
    """Compute the baselines that a task has of its own, and refuse what is no number.

    Raises
    ------
    InputError
        If they are no table of finite errors, or have names that others have.
    """
    if not hasattr(task, "baselines"):
        return pd.DataFrame()
    owner, own = f"{task_name(task)}.baselines()", task.baselines()
    columns: Any = list(own.columns) if isinstance(own, pd.DataFrame) else type(own)
    fine = isinstance(columns, list) and "test_mse" in columns
    allowed = "those of a pandas.DataFrame, test_mse among them"
    require(fine, owner, "columns", columns, allowed)
    for column in columns:
        require_name(owner, "a column", column)
        require(columns.count(column) == 1, owner, "columns", columns, "different from each other")
    names = [str(name) for name in own.index]
    rows: dict[str, dict[str, Any]] = {}
    for name, cells in zip(names, own.to_numpy(dtype=object).tolist(), strict=True):
        require_name(owner, "baseline", name)
        allowed = f"a name that no other row has; the others are {', '.join([*ROWS, *names])}"
        require(names.count(name) == 1 and name not in ROWS, owner, "baseline", name, allowed)
        given = zip(columns, cells, strict=True)
        rows[name] = {column: _cell(owner, name, column, cell) for column, cell in given}
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _cell(owner: str, name: str, column: str, cell: Any) -> Any:
    """Take a cell of a task's own table: an error, a note, or another score, which may be missing.

    Raises
    ------
    InputError
        If it is none of these.
    """
    missing = cell is None or cell is pd.NA or (isinstance(cell, float) and cell != cell)
    number = isinstance(cell, numbers.Real) and not isinstance(cell, bool)
    if column == "note":
        fine, allowed = missing or isinstance(cell, str), "text, or missing"
    elif column in ("train_mse", "test_mse"):
        fine, allowed = number and 0 <= cell <= sys.float_info.max, "a finite number >= 0"
    else:
        fine, allowed = missing or number, "a number, or missing"
    require(fine, owner, f"{column} of {name!r}", cell, allowed)
    if missing:
        return None if column == "note" else math.nan
    return cell if column == "note" else float(cell)


# ----------------------------------------------------------------------- delta rule


def delta_rule(task: Any, states: States, sim: Simulator, epochs: int) -> dict[str, Any]:
    """Train the readout alone, online, by its exact gradient, from its own initial weights.

    All rates learn side by side; the one with the lowest train error in the last
    epoch, while learning, is reported.
    """
    w0 = sim.weights[states.projection.name].astype(np.float64)
    power = float(np.mean(np.square(states.train[0], dtype=np.float64).sum(axis=2))) or 1.0
    rates = np.array(RATES) / power
    w = np.tile(w0.T, (1, len(rates)))  # one column per rate and output
    rate = np.repeat(rates, len(w0))
    error = np.full(len(rates), np.inf)
    with np.errstate(all="ignore"):  # too high a rate blows up, and is not chosen
        for epoch in range(epochs):
            s, y = states.of_epoch(epoch)
            total = np.zeros(w.shape[1])
            for first in range(0, s.shape[1], sim.batch):
                group = slice(first, first + sim.batch)
                total += _learn(w, s[:, group], np.tile(y[:, group], len(rates)), rate)
            error = total.reshape(len(rates), -1).sum(axis=1) / y.size
    best = int(np.argmin(np.where(np.isfinite(error), error, np.inf)))
    chosen = w.reshape(len(w), len(rates), -1)[:, best]
    answers = {"train": states.train, "test": states.test}
    found = scores(task, {part: (s @ chosen, y) for part, (s, y) in answers.items()})
    words = f"rate {rates[best]:.2g} ({RATES[best]:g} / mean power), picked on train"
    return found | {"note": f"{words}; {epochs} epochs"}


def _learn(
    w: NDArray[np.float64], s: NDArray[np.float32], y: NDArray[np.float32], rate: NDArray[Any]
) -> NDArray[np.float64]:
    """Change `w` in place, step by step; return the squared errors, summed, by column."""
    total = np.zeros(w.shape[1])
    factor = 2 * rate / s.shape[1]
    for state, target in zip(s.astype(np.float64), y, strict=True):
        wrong = state @ w - target
        total += np.square(wrong).sum(axis=0)
        w -= state.T @ (wrong * factor)
    return total
