"""What training has to beat: the same untrained network with nothing but its readout learned."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosim.network import Population, Projection
from neurosim.record import Probe
from neurosim.simulator import Simulator
from neurosim.task import checked, task_name
from neurosim.values import EPOCHS, require, require_count, require_name

STRENGTHS = 10.0 ** np.arange(-9, 2)
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0)

RIDGE = "ridge readout of the untrained network"
DELTA = "readout-only delta rule"
BEFORE, AFTER = "network, before training", "network, after training"
ROWS = (RIDGE, DELTA, BEFORE, AFTER)  # of the table of a run: a task's own have other names

# What they are, for readers of a table; those of a task of your own may not be among them.
MEANING = {
    "mean": "always the mean of the training targets",
    "persistence": "everything stays as it is now",
    "ignores its input": "knows the step but not the inputs",
    "the present input": "knows the step and the present input: the best that needs no memory",
    "the last cue": "the side of the last cue",
    "ridge": "linear regression on the inputs of the same step",
    "ridge on lags": "linear regression on the inputs of the last 24 steps",
    RIDGE: "linear regression on what its neurons send",
    DELTA: "the same network, only its readout learns, by its exact gradient, online",
}


def compute(task: Any, untrained: Simulator, epochs: int = 50) -> pd.DataFrame:
    """Compute every baseline that could embarrass a result, on the task's own split.

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


class States:
    """What the untrained network's hidden population sends, on a task's data."""

    def __init__(self, task: Any, sim: Simulator, epochs: int) -> None:
        self.projection = readout(sim)
        self._task, self._sim = task, sim
        self._probe = Probe(self.projection.pre, "s")
        first, again = task.train(0), task.train(1)
        self.fresh = not all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        self.epochs = epochs
        self.train = self._of(*first)
        self.test = self._of(*task.test())

    def _of(self, inputs: Any, targets: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        record = self._sim.evaluate(inputs, targets, probes=[self._probe])
        return record.probes[self._probe.name], np.asarray(targets, dtype=np.float32)

    def of_epoch(self, epoch: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """States ``(T, series, n)`` and targets of an epoch, counted from 0."""
        # States of data that never change are computed once.
        fixed = not self.fresh or epoch == 0
        return self.train if fixed else self._of(*self._task.train(epoch))

    def different(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """States of all epochs that have data of their own."""
        for epoch in range(self.epochs if self.fresh else 1):
            yield self.of_epoch(epoch)


def readout(sim: Simulator) -> Projection:
    """The projection onto the output population."""
    output: Population = sim.network.outputs
    return next(p for p in sim.network.projections if p.post == output.name)


def _scores(task: Any, answers: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {
        f"{part}_{name}": value
        for part, (outputs, targets) in answers.items()
        for name, value in task.score(outputs, targets).items()
    }


# ---------------------------------------------------------------------------- ridge


class _Moments:
    """Sums over samples that a linear regression needs, in float64."""

    def __init__(self) -> None:
        self.x2: Any = 0.0
        self.xy: Any = 0.0
        self.y2: Any = 0.0

    def add(self, states: NDArray[Any], targets: NDArray[Any]) -> None:
        """Add samples, some at a time: float64 takes twice the memory."""
        for x, y in zip(states, targets, strict=True):
            x = _with_one(x.astype(np.float64))
            y = y.astype(np.float64)
            self.x2 = self.x2 + x.T @ x
            self.xy = self.xy + x.T @ y
            self.y2 = self.y2 + y.T @ y

    def solve(self, strength: float) -> NDArray[np.float64]:
        """Weights, the intercept last; `strength` is relative to the mean power of the states."""
        # States that are all 0 explain nothing; any power but 0 will do.
        power = np.trace(self.x2[:-1, :-1]) / (len(self.x2) - 1) or 1.0
        penalty = np.full(len(self.x2), strength * power)
        penalty[-1] = 0.0
        return np.linalg.solve(self.x2 + np.diag(penalty), self.xy)

    def error(self, w: NDArray[np.float64]) -> float:
        """Sum of squared errors of weights on these samples."""
        return float(np.trace(self.y2 - 2 * w.T @ self.xy + w.T @ self.x2 @ w))


def _with_one(x: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1)


def ridge_readout(task: Any, states: States) -> dict[str, Any]:
    """Fit the best linear readout of the untrained network's states.

    The strength is picked on a fifth of the training data: the last series, or, of a
    few series, the last steps. Of less than five of either one is held out, and of a single
    step of a single series none.
    """
    fit, held = _Moments(), _Moments()
    for s, y in states.different():
        steps, series = y.shape[:2]
        by_series = series >= 5 or steps == 1
        n = series if by_series else steps
        cut = n - max(1, n // 5) if n > 1 else 1
        for moments, part in ((fit, np.s_[:cut]), (held, np.s_[cut:] if n > 1 else np.s_[:])):
            moments.add(*((v[:, part] if by_series else v[part]) for v in (s, y)))
    errors = [held.error(fit.solve(strength)) for strength in STRENGTHS]
    best = float(STRENGTHS[int(np.argmin(errors))])
    for name in ("x2", "xy", "y2"):
        setattr(fit, name, getattr(fit, name) + getattr(held, name))
    weights = fit.solve(best)

    def answer(s: NDArray[Any]) -> NDArray[np.float64]:
        return np.stack([_with_one(x.astype(np.float64)) @ weights for x in s])

    parts_of_task = {"train": states.train, "test": states.test}
    scores = _scores(task, {part: (answer(s), y) for part, (s, y) in parts_of_task.items()})
    return scores | {"note": f"strength {best:.0e}, picked on a held-out fifth of train"}


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
    scores = _scores(task, {part: (s @ chosen, y) for part, (s, y) in answers.items()})
    words = f"rate {rates[best]:.2g} ({RATES[best]:g} / mean power), picked on train"
    return scores | {"note": f"{words}; {epochs} epochs"}


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
