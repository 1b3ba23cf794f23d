"""Flip-flop: hold the sign of the last pulse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim_tasks.checks import real
from neurosim_tasks.random_sequences import Decisions, Uniform, signs
from neurosim_tasks.task import Array, Pair, freeze


@dataclass(frozen=True)
class FlipFlop(Decisions):
    """Hold the sign of the last pulse, in each of `bits` channels, after [1]_.

    At every step each input channel has, with `probability`, a pulse of +1 or -1, else 0; at step
    0 every channel has one. The target of a channel is the sign of its last pulse, that of the
    present step included. A pulse has to be held for ``1 / probability`` steps on average; that a
    network holds it for good is seen on longer sequences, those of a second task::

        FlipFlop(steps=300, probability=0.02).test()

    Parameters
    ----------
    bits : int
        Channels, 1 or more; [1]_ has 3.
    steps : int
        Steps a sequence, T, 1 or more.
    probability : float
        Of a pulse, per step and channel, from 0 to 1.
    batch, sequences, seed, test_sequences : int
        See `neurosim_tasks.random_sequences.RandomSequences`.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    Of ``bits * steps`` targets, ``(1 - probability) (steps - 1) / steps`` have no pulse beside
    them: that is the mse of the best answer that needs no memory.

    References
    ----------
    .. [1] Sussillo and Barak (2013), Opening the black box: low-dimensional dynamics in
       high-dimensional recurrent neural networks.
    """

    bits: int = 1
    steps: int = 20
    probability: float = 0.2
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    test_sequences: int = 20

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "probability", real(self, "probability", self.probability, 0, 1))
        self._settle({"bits": 1, "steps": 1})

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return self.bits

    @property
    def n_targets(self) -> int:
        """Number of target channels."""
        return self.bits

    @property
    def input_names(self) -> tuple[str, ...]:
        """Pulses, by channel."""
        return tuple(f"pulse {k}" for k in range(1, self.bits + 1))

    @property
    def target_names(self) -> tuple[str, ...]:
        """Signs of the last pulses, by channel."""
        return tuple(f"last pulse {k}" for k in range(1, self.bits + 1))

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer by the present pulse alone, 0 where there is none."""
        return {"the present input": self._given(inputs)}

    @property
    def _draws(self) -> int:
        return self.steps * self.bits

    def _show(self, uniform: Uniform) -> Pair:
        uniform = uniform.reshape(-1, self.steps, self.bits).transpose(1, 0, 2)
        # One number for both: below the probability there is a pulse, below half of it a positive.
        pulses = np.where(uniform < self.probability, signs(uniform, self.probability / 2), 0.0)
        pulses[0] = signs(uniform[0])
        steps = np.arange(self.steps)[:, None, None]
        last = np.maximum.accumulate(np.where(pulses == 0, 0, steps), axis=0)
        return freeze(pulses, np.take_along_axis(pulses, last, axis=0))
