"""Mackey-Glass: foresee a chaotic series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurosim_tasks.checks import fits, numbers, one_of, settle, shown, whole
from neurosim_tasks.task import Array, Pair, Task, freeze

SUBSTEPS = 10
"""Euler steps a unit of time."""


@dataclass(frozen=True)
class MackeyGlass(Task):
    """Foresee the Mackey-Glass series [1]_ `horizon` units of time ahead, after [2]_ and [3]_.

    The series obeys ``dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)``. Each starts at
    1.2 from a random history of its own; `batch` series are for training, as many for testing.

    Parameters
    ----------
    horizon : int
        How far to look ahead [units of time], 1 or more and less than `steps`.
    steps : int
        Length of a series [units of time], one sample a unit.
    batch : int
        Number of training series, and of test series.
    seed : int
        Where the histories come from. Series k of a seed is the same for every `batch`, but for
        the mean of the training series, which is subtracted from all.
    tau : int
        Delay of the equation [units of time], 1 or more; chaotic from about 17.
    squash : {"tanh", None}
        Pass the series through ``tanh(x - 1)``, as in [2]_, or leave it.
    direction : {"future", "past"}
        ``"future"``: the input is ``x(t)`` and the target ``x(t + horizon)``. ``"past"``
        reproduces the published code of [3]_, which feeds the later value and asks for the
        earlier one: recall, not prediction, and much easier (24 lags of a linear regression
        leave less than a tenth of the error).
    washout : int
        Units of time dropped from the start.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    The samples are the same on every machine: the map is chaotic, so only operations that are
    exact by IEEE 754 touch it, in a fixed order. Only the last tanh may differ, in its last bit.

    References
    ----------
    .. [1] Mackey and Glass (1977), Oscillation and chaos in physiological control systems.
    .. [2] Voelker, Kajic and Eliasmith (2019), Legendre memory units.
    .. [3] Garcia Fernandez, Keemink and van Gerven (2024), Gradient-free training of recurrent
       neural networks using random perturbations, section 3.1.
    """

    horizon: int = 15
    steps: int = 5000
    batch: int = 10
    seed: int = 0
    tau: int = 17
    squash: str | None = "tanh"
    direction: str = "future"
    washout: int = 100

    def __post_init__(self) -> None:
        """Check every field."""
        settle(self, {"steps": 2, "batch": 1, "seed": 0, "tau": 1, "washout": 0})
        limit = ("steps", self.steps)
        object.__setattr__(self, "horizon", whole(self, "horizon", self.horizon, 1, limit))
        one_of(self, "squash", self.squash, ("tanh", None))
        one_of(self, "direction", self.direction, ("future", "past"))
        length = self.washout + self.steps + self.horizon + self.tau
        what = f"{shown(2 * self.batch)} series (batch, for training and for testing)"
        # The path in float64, and what draws a series.
        nbytes = 2 * self.batch * (8 * SUBSTEPS * length + 1000)
        fits(self, f"{what} of {shown(length)} units of time", nbytes)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The value the network is given."""
        return ("x(t)",) if self.direction == "future" else (f"x(t + {self.horizon})",)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The value it is asked for."""
        return (f"x(t + {self.horizon})",) if self.direction == "future" else ("x(t)",)

    def train(self, epoch: int = 0) -> Pair:
        """Return inputs and targets, each ``(steps, batch, 1)``; the same in every epoch."""
        whole(self, "epoch", epoch, at_least=0)
        return self._pairs[0]

    def test(self) -> Pair:
        """Return inputs and targets, each ``(steps, batch, 1)``, of other series."""
        return self._pairs[1]

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Persistence: the value asked for is the value given."""
        return {"persistence": numbers(self, "inputs", inputs, "(T, series, 1)")}

    @cached_property
    def _pairs(self) -> tuple[Pair, Pair]:
        # A series is named by its part (0 train, 1 test) and its place in it, never by how many
        # there are: that is what keeps it the same when `batch` changes.
        names = [(part, k) for part in (0, 1) for k in range(self.batch)]
        seeds = [np.random.SeedSequence(self.seed, spawn_key=name) for name in names]
        streams = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        x = mackey_glass(streams, self.washout + self.steps + self.horizon, self.tau)
        x = x[self.washout :, :, None]
        if self.squash == "tanh":
            x = np.tanh(x - 1)
        # fsum rounds once, so the mean does not depend on how a machine orders its sums.
        known = x[:, : self.batch]
        x = x - math.fsum(known.ravel().tolist()) / known.size
        now, later = x[: self.steps], x[self.horizon :]
        given, asked = (now, later) if self.direction == "future" else (later, now)
        return (
            freeze(given[:, : self.batch], asked[:, : self.batch]),
            freeze(given[:, self.batch :], asked[:, self.batch :]),
        )


def mackey_glass(
    streams: Sequence[np.random.Generator], length: int, tau: int
) -> NDArray[np.float64]:
    """Integrate the Mackey-Glass equation, by Euler steps of a tenth of a unit of time.

    Parameters
    ----------
    streams : sequence of numpy.random.Generator
        One a series: where its history comes from, ``1.2 + 0.2 (uniform - 0.5)`` a substep.
    length : int
        Samples to return, one a unit of time, the first one unit after x = 1.2.
    tau : int
        The delay [units of time].

    Returns
    -------
    ndarray, shape (length, series), float64
        The same to the last bit on every machine.
    """
    delay, substeps = tau * SUBSTEPS, length * SUBSTEPS
    path = np.empty((delay + 1 + substeps, len(streams)))
    path[:delay] = 1.2 + 0.2 * (np.stack([s.random(delay) for s in streams], axis=1) - 0.5)
    path[delay] = 1.2
    # A whole delay ahead, the delayed term is known already: one array operation makes it, and
    # what is left to do step by step is linear.
    for start in range(0, substeps, delay):
        past = path[start : min(start + delay, substeps)]
        # The power by multiplications: `**` is a library's, and libraries differ in the last bit.
        past_2 = past * past
        past_8 = past_2 * past_2 * (past_2 * past_2)
        production = 0.2 * past / (1.0 + past_8 * past_2)
        for i, produced in enumerate(production, start=delay + start):
            path[i + 1] = path[i] + (produced - 0.1 * path[i]) / SUBSTEPS
    return path[delay + SUBSTEPS :: SUBSTEPS]
