"""Evidence: count cues on two sides, and say which had more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurosim_tasks.checks import real, refuse
from neurosim_tasks.random_sequences import Decisions, Uniform, signs
from neurosim_tasks.task import Array, Pair, freeze


@dataclass(frozen=True)
class Evidence(Decisions):
    """Say when asked which side had more cues, after [1]_ and [2]_.

    Each sequence has a side, left or right by a coin. `cues` cues come, one every `every` steps
    from step 0 on, each a 1 on the channel ``left`` or ``right``: on the sequence's side with
    `probability`, else on the other. `delay` silent steps follow, then one step with a 1 on the
    channel ``go``, which asks: the target there is +1 if more cues were left and -1 if more were
    right; everywhere else it is 0. A sequence takes ``T = (cues - 1) every + delay + 2`` steps.

    Parameters
    ----------
    cues : int
        Cues a sequence, odd, so that there is no tie; [2]_ has 7.
    every : int
        Steps from a cue to the next, 1 or more.
    delay : int
        Silent steps between the last cue and the question, 0 or more.
    probability : float
        Of a cue on the sequence's side, from 0.5 (each cue a coin of its own) to 1 (all on one
        side); [2]_ has 0.7.
    batch, sequences, seed, test_sequences : int
        See `neurosim_tasks.random_sequences.RandomSequences`.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    The answer is that of the cues that came, not the side that they were drawn from, so that the
    best is always right: accuracy 1, mse 0. The last cue alone (or any other) is right in
    73 % of sequences as they are by default, and in 66 % with a `probability` of 0.5.

    There are ``2**cues`` sequences: the test is of what was trained on, in other numbers. A
    linear regression on lags sums cues at every step, also where the target is 0, so that it
    leaves two thirds of the ``1 / T`` that the answer 0 has.

    References
    ----------
    .. [1] Morcos and Harvey (2016), History-dependent variability in population dynamics during
       evidence accumulation in cortex.
    .. [2] Bellec et al. (2020), A solution to the learning dilemma for recurrent networks of
       spiking neurons.
    """

    cues: int = 7
    every: int = 2
    delay: int = 6
    probability: float = 0.7
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    test_sequences: int = 20

    decided_at_end: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "probability", real(self, "probability", self.probability, 0.5, 1))
        self._settle({"cues": 1, "every": 1, "delay": 0})
        if self.cues % 2 == 0:
            raise refuse(self, "cues", self.cues, "odd, so that there is no tie")

    @property
    def input_names(self) -> tuple[str, ...]:
        """Cues by side, and the question."""
        return ("left", "right", "go")

    @property
    def target_names(self) -> tuple[str, ...]:
        """Whether more cues were left."""
        return ("more left",)

    @property
    def steps(self) -> int:
        """Steps a sequence, T."""
        return (self.cues - 1) * self.every + self.delay + 2

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer 0 throughout; and with the side of the last cue alone."""
        given = self._given(inputs)
        nothing = np.zeros_like(given[..., :1])
        last = nothing.copy()
        cue = given[(self.cues - 1) * self.every]
        last[-1, :, 0] = cue[:, 0] - cue[:, 1]
        return {"ignores its input": nothing, "the last cue": last}

    @property
    def _draws(self) -> int:
        return 1 + self.cues

    def _show(self, uniform: Uniform) -> Pair:
        side = signs(uniform[:, :1])
        cues = (side * signs(uniform[:, 1:], self.probability)).T
        inputs = np.zeros((self.steps, len(uniform), 3))
        shown = inputs[: self.cues * self.every : self.every]
        shown[..., 0], shown[..., 1] = cues > 0, cues < 0
        inputs[-1, :, 2] = 1
        targets = np.zeros_like(inputs[..., :1])
        targets[-1, :, 0] = np.sign(cues.sum(axis=0))
        return freeze(inputs, targets)
