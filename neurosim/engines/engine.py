"""What every engine does: run steps of a sequence from a plan, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.overflow import divergence
from neurosim.engines.plan import Plan
from neurosim.errors import DivergenceError
from neurosim.network import Weights

# What can be observed of a population: in any pass; in a perturbed pass only.
VARIABLES = ("a", "x", "s")
PERTURBED_VARIABLES = ("noise", "signal")
# What rules read of it.
READINGS = {"a_read": "a", "x_read": "x", "s_read": "s"}


@dataclass
class Progress:
    """One stretch of a sequence, and where its record goes.

    Attributes
    ----------
    inputs : ndarray of float32, (T, batch, n_in)
    targets : ndarray of float32, (T, batch, n_out)
    learn : bool
    clock : int
        Simulator step at which the sequence starts: it counts the noise.
    start, stop : int
        Steps of the sequence to run now, ``start <= t < stop``.
    loss : ndarray of float32, (T, batch)
        Squared error summed over outputs, baseline pass.
    reward : ndarray of float32, (n_populations - 1, T, batch)
        Scalar broadcast to each population, mean over comparisons.
    outputs : ndarray of float32, (T, batch, n_out) or (0, batch, n_out)
        Baseline outputs, when they are wanted.
    rates : ndarray of float64, (T, projections) or (1, projections)
        Learning rates of changes that are made in each step, or in all of them.
    decorrelation_rates : ndarray of float64, (T,) or (1,)
    events, operations, writes : ndarray of int64, (T,)
        Events sent, weights multiplied with an event's payload, weights changed.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    learn: bool
    clock: int
    start: int
    stop: int
    loss: NDArray[np.float32]
    reward: NDArray[np.float32]
    outputs: NDArray[np.float32]
    rates: NDArray[np.float64]
    decorrelation_rates: NDArray[np.float64]
    events: NDArray[np.int64]
    operations: NDArray[np.int64]
    writes: NDArray[np.int64]

    @property
    def steps(self) -> int:
        """Length of the sequence."""
        return len(self.inputs)

    def rates_in(self, t: int) -> tuple[NDArray[np.float64], float]:
        """Look up the learning rates of a step: of projections, and of decorrelation."""
        own = self.decorrelation_rates
        return self.rates[t % len(self.rates)], float(own[t % len(own)])


class Engine(ABC):
    """Runs a plan. The order of calls is ``begin``, ``advance`` once or more, ``finish``."""

    name: str
    plan: Plan
    threads: int

    @abstractmethod
    def __init__(self, plan: Plan, weights: Weights, threads: int = 1) -> None: ...

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} holds addresses of this process and cannot be pickled; pickle "
            f"its Simulator"
        )

    @property
    def speed(self) -> float:
        """How many times as much it may do as a core before it looks at the world outside."""
        return 1.0

    @abstractmethod
    def weights(self) -> Weights:
        """Copies of all weight matrices, every change due so far written."""

    @abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Overwrite all weight matrices with what is stored."""

    def program(self, weights: Weights) -> None:
        """Have devices store some of the matrices, as well as they can."""
        self.set_weights(self.weights() | weights)

    def ages(self) -> dict[str, Any]:
        """Steps since each device was written, where it matters."""
        return {}

    def set_ages(self, ages: dict[str, Any]) -> None:
        """Overwrite what `ages` gives."""
        assert not ages

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Copies of what a step needs of the one before: per lane and unit."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Overwrite what `state` gives."""

    @property
    def nbytes(self) -> int:
        """Most bytes that its arrays took so far; of an engine without, weights and state."""
        return sum(values.nbytes for values in (*self.weights().values(), *self.state().values()))

    @abstractmethod
    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        """Look at a state after the last step; `VARIABLES` lists them.

        Parameters
        ----------
        name : str
            Of a population; of a projection for its eligibilities.
        variable : str
        pass_ : int

        Returns
        -------
        ndarray, (batch, n) or (batch, n_post, n_pre)
        """

    @abstractmethod
    def begin(self, rest: bool) -> None:
        """Start a sequence, from rest (all activity zero) or from where the last one ended."""

    @abstractmethod
    def advance(self, progress: Progress) -> None:
        """Run steps ``progress.start`` to ``progress.stop``.

        Raises
        ------
        DivergenceError
            At the first step at which a loss or an activity is not finite.
        """

    @classmethod
    def side_by_side(cls, engines: Sequence[Engine]) -> list[Engine]:
        """Engines in the state of these that can run together, if there is something to gain."""
        return list(engines)

    @classmethod
    def advance_all(cls, engines: Sequence[Engine], stretches: Sequence[Progress]) -> None:
        """Advance engines that `side_by_side` gave, each by its own stretch."""
        for engine, progress in zip(engines, stretches, strict=True):
            engine.advance(progress)

    @abstractmethod
    def finish(self) -> None:
        """Write every weight change that is due."""

    def divergence(self, progress: Progress, t: int) -> DivergenceError:
        """Find what overflowed at step `t` of a sequence."""
        return divergence(self, progress.clock + t, progress.targets[t])
