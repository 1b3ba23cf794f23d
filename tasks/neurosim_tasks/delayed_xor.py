"""Delayed exclusive or: say after a while whether two signs differed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurosim_tasks.random_sequences import Decisions, Uniform, signs
from neurosim_tasks.task import Array, Pair, freeze


@dataclass(frozen=True)
class DelayedXor(Decisions):
    """Say when asked whether two signs that came before differ, after [1]_.

    Two pulses of +1 or -1 come on the first channel, at step 0 and `gap` steps later. `delay`
    silent steps follow, then one step with a 1 on the second channel, which asks: the target
    there is +1 if the signs differ and -1 if they do not, ``-x(0) x(gap)``; everywhere else it
    is 0. A sequence takes ``T = gap + delay + 2`` steps.

    Parameters
    ----------
    delay : int
        Silent steps between the second pulse and the question, 0 or more.
    gap : int
        Steps from the first pulse to the second, 1 or more.
    batch, sequences, seed, test_sequences : int
        See `neurosim_tasks.random_sequences.RandomSequences`.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    There are four sequences: the test is of what was trained on, in another order.

    An error of ``1 / T``, that of the answer 0, is that of any linear regression too: neither
    sign alone says anything about the target. The answer 0 throughout is right at chance.

    References
    ----------
    .. [1] Miconi (2017), Biologically plausible learning in recurrent neural networks reproduces
       neural dynamics observed during cognitive tasks: delayed non-match to sample.
    """

    delay: int = 5
    gap: int = 3
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    test_sequences: int = 20

    decided_at_end: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check every field."""
        self._settle({"delay": 0, "gap": 1})

    @property
    def input_names(self) -> tuple[str, ...]:
        """Pulses, and the question."""
        return ("pulse", "go")

    @property
    def target_names(self) -> tuple[str, ...]:
        """Whether the signs differ."""
        return ("differ",)

    @property
    def steps(self) -> int:
        """Steps a sequence, T."""
        return self.gap + self.delay + 2

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer 0 throughout: its error is ``1 / T``."""
        return {"ignores its input": np.zeros_like(self._given(inputs)[..., :1])}

    @property
    def _draws(self) -> int:
        return 2

    def _show(self, uniform: Uniform) -> Pair:
        first, second = signs(uniform).T
        inputs = np.zeros((self.steps, len(uniform), 2))
        inputs[0, :, 0], inputs[self.gap, :, 0], inputs[-1, :, 1] = first, second, 1
        targets = np.zeros_like(inputs[..., :1])
        targets[-1, :, 0] = -first * second
        return freeze(inputs, targets)
