"""Sine: a constant input sets a frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim_tasks.checks import real, refuse
from neurosim_tasks.random_sequences import RandomSequences, Uniform
from neurosim_tasks.task import Array, Pair, freeze


@dataclass(frozen=True)
class Sine(RandomSequences):
    """Make a sine wave whose frequency a constant input sets, after [1]_.

    The input is ``u`` at every step, drawn uniformly from [-1, 1) for each sequence. It sets the
    frequency linearly, from ``1 / longest`` at -1 to ``1 / shortest`` at 1 [cycles per step]:

        ``y(t) = sin(2 pi f (t + 1))``, with
        ``f = 1 / longest + (1 / shortest - 1 / longest) (u + 1) / 2``.

    The first target, at ``t = 0``, is one step into the wave; at the start of the wave it
    would be 0 whatever the input.

    Parameters
    ----------
    steps : int
        Steps a sequence, T, 1 or more.
    shortest, longest : float
        Periods [steps], from 2 (a shorter wave looks like a longer one at whole steps) to 1e6; the
        longest no less than the shortest.
    batch, sequences, seed, test_sequences : int
        See `neurosim_tasks.random_sequences.RandomSequences`.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    There is no decision in it, so that `score` has no ``accuracy``.

    A regression on lagged inputs, which are 0 before the first step, has a weight of its own for
    every step up to the number of its lags; it lacks what is not linear in the input.

    References
    ----------
    .. [1] Sussillo and Barak (2013), Opening the black box: low-dimensional dynamics in
       high-dimensional recurrent neural networks.
    """

    steps: int = 20
    shortest: float = 20.0
    longest: float = 100.0
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    test_sequences: int = 20

    def __post_init__(self) -> None:
        """Check every field."""
        for field in ("shortest", "longest"):
            object.__setattr__(self, field, real(self, field, getattr(self, field), 2, 1e6))
        if self.longest < self.shortest:
            raise refuse(self, "longest", self.longest, f"at least shortest ({self.shortest:g})")
        self._settle({"steps": 1})

    @property
    def input_names(self) -> tuple[str, ...]:
        """Name the channel that sets the frequency."""
        return ("frequency",)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The wave."""
        return ("sine",)

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer by the step alone: the mean of the waves of all frequencies."""
        given = self._given(inputs)
        low, high, t = 1 / self.longest, 1 / self.shortest, self._times
        mean = np.sin(np.pi * (low + high) * t) * np.sinc((high - low) * t)
        return {"ignores its input": np.broadcast_to(mean, given.shape).astype(np.float32)}

    @property
    def _draws(self) -> int:
        return 1

    @property
    def _times(self) -> NDArray[np.float64]:
        return np.arange(1.0, self.steps + 1)[:, None, None]

    def _show(self, uniform: Uniform) -> Pair:
        low, high = 1 / self.longest, 1 / self.shortest
        angle = 2 * np.pi * (low + (high - low) * uniform) * self._times
        return freeze(np.broadcast_to(2 * uniform - 1, angle.shape), np.sin(angle))
