"""The best readout of a network's hidden population: ridge regression on what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import InputError
from neurosim.network import Projection
from neurosim.neurons import Linear
from neurosim.record import Probe
from neurosim.simulator import Simulator
from neurosim.task import checked
from neurosim.training import judged
from neurosim.values import EPOCHS, require, require_count, require_flag

STRENGTHS = 10.0 ** np.arange(-9, 2)


class States:
    """What the hidden population of a network sends, on a task's data."""

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
    """The projection onto the output population; of several, that of the last hidden one."""
    network = sim.network
    onto = {p.pre: p for p in network.projections if p.post == network.outputs.name}
    # Inputs and a unit that is always on receive nothing.
    receiving = {p.post for p in network.projections}
    hidden = [p.name for p in network.populations[:-1] if p.name in receiving and p.name in onto]
    return onto[hidden[-1]] if hidden else next(iter(onto.values()))


def scores(task: Any, answers: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Score answers to parts of a task's data, such as ``train``, and name scores by part."""
    return {
        f"{part}_{name}": value
        for part, (outputs, targets) in answers.items()
        for name, value in task.score(outputs, targets).items()
    }


class _Moments:
    """Sums over samples that a linear regression needs, in float64."""

    def __init__(self, intercept: bool) -> None:
        self.intercept = intercept
        self.x2: Any = 0.0
        self.xy: Any = 0.0
        self.y2: Any = 0.0

    def add(self, states: NDArray[Any], targets: NDArray[Any]) -> None:
        """Add samples, some at a time: float64 takes twice the memory."""
        for x, y in zip(states, targets, strict=True):
            x = with_one(x.astype(np.float64)) if self.intercept else x.astype(np.float64)
            y = y.astype(np.float64)
            self.x2 = self.x2 + x.T @ x
            self.xy = self.xy + x.T @ y
            self.y2 = self.y2 + y.T @ y

    def solve(self, strength: float) -> NDArray[np.float64]:
        """Weights, the intercept last; `strength` is relative to the mean power of the states."""
        n = len(self.x2) - self.intercept
        # States that are all 0 explain nothing; any power but 0 will do.
        power = np.trace(self.x2[:n, :n]) / n or 1.0
        penalty = np.full(len(self.x2), strength * power)
        penalty[n:] = 0.0
        return np.linalg.solve(self.x2 + np.diag(penalty), self.xy)

    def error(self, w: NDArray[np.float64]) -> float:
        """Sum of squared errors of weights on these samples."""
        return float(np.trace(self.y2 - 2 * w.T @ self.xy + w.T @ self.x2 @ w))


def with_one(x: NDArray[Any]) -> NDArray[Any]:
    """Append a state that is always 1, by which there is an intercept."""
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1)


def fit(states: States, intercept: bool = True) -> tuple[NDArray[np.float64], float]:
    """Fit the best linear readout of states, and give its weights and its strength.

    The strength is picked on a fifth of the training data: the last series, or, of a
    few series, the last steps. Of less than five of either one is held out, and of a single
    step of a single series none.

    Returns
    -------
    weights : ndarray, (n, n_out); (n + 1, n_out) with an intercept, which is the last row
    strength : float
        Relative to the mean power of the states.
    """
    fit, held = _Moments(intercept), _Moments(intercept)
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
    return fit.solve(best), best


def ridge_readout(task: Any, states: States) -> dict[str, Any]:
    """Score the best linear readout of states, intercept included: see `fit`."""
    weights, strength = fit(states)

    def answer(s: NDArray[Any]) -> NDArray[np.float64]:
        return np.stack([with_one(x.astype(np.float64)) @ weights for x in s])

    parts_of_task = {"train": states.train, "test": states.test}
    found = scores(task, {part: (answer(s), y) for part, (s, y) in parts_of_task.items()})
    return found | {"note": f"strength {strength:.0e}, picked on a held-out fifth of train"}


def refit_readout(
    sim: Simulator, task: Any, *, epochs: int = 1, write: bool = False
) -> dict[str, Any]:
    """Fit a network's readout anew by ridge regression on what its hidden population sends.

    It is not local: it needs the states of all steps at once, and a matrix inverse. As a measure
    it tells whether the *hidden* layer has become better, for a readout that has merely not come
    to its end hides that. As a deliberate last step it gives the network that readout.

    Parameters
    ----------
    sim : Simulator
        As it is now. It stays as it is, unless `write`.
    task : task
    epochs : int
        Of whose data it is fitted, where every epoch has data of its own.
    write : bool
        Whether to write the readout's weights, as well as the chip can store them. A network
        has no intercept at its output, so that none is fitted then.

    Returns
    -------
    dict
        ``train_mse``, ``test_mse`` and the task's other scores likewise: of the regression,
        intercept included, or, of what was written, those of the network as it then is. And a
        ``note`` on the regression's strength, which is picked on a held-out fifth of the
        training data.

    Raises
    ------
    InputError
        For what is no simulator, no task or no number of epochs; to `write`, for a network
        whose output is not one linear sum of what one population sends in the same step.

    Examples
    --------
    ::

        before = ns.refit_readout(ns.Simulator(net, batch=10), task)["test_mse"]
        ns.train(sim, task)
        after = ns.refit_readout(sim, task)["test_mse"]  # lower, if the hidden layer learned
    """
    require(isinstance(sim, Simulator), "refit_readout", "sim", sim, "a Simulator")
    epochs = require_count("refit_readout", "epochs", epochs, 1, EPOCHS)
    require_flag("refit_readout", "write", write)
    task = checked(task, "refit_readout")
    states = States(task, sim, epochs)
    if not write:
        return ridge_readout(task, states)
    _refuse_other_sums(sim)
    weights, strength = fit(states, intercept=False)
    sim.weights = {states.projection.name: weights.T}
    found: dict[str, Any] = {}
    for part, (inputs, targets) in (("train", task.train(0)), ("test", task.test())):
        given, _ = judged(sim, task, inputs, targets)
        found |= {f"{part}_{name}": value for name, value in given.items()}
    return found | {"note": f"strength {strength:.0e}, picked on a held-out fifth of train"}


def _refuse_other_sums(sim: Simulator) -> None:
    """Refuse outputs that are another function of states than a product with one matrix."""
    output = sim.network.outputs
    onto = [p for p in sim.network.projections if p.post == output.name]
    fine = len(onto) == 1 and onto[0].delay == 0
    fine = fine and output.neuron == Linear() and output.decorrelation is None
    if not fine:
        raise InputError(
            f"refit_readout: write = True needs an output {output.name!r} of neuron = Linear(), "
            f"without decorrelation, and one projection onto it, of delay 0; it has "
            f"{output.neuron!r} and {', '.join(f'{p.name!r} of delay {p.delay}' for p in onto)}"
        )
