"""Parity: multiply the last few signs."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim_tasks.random_sequences import Decisions, Uniform, signs
from neurosim_tasks.task import Array, Pair, freeze


@dataclass(frozen=True)
class Parity(Decisions):
    """Say at every step whether an even number of the last `bits` inputs is -1, after [1]_.

    The input is ``x(t)``, +1 or -1 at random at each of the `steps`; the target is

        ``y(t) = x(t) x(t - 1) ... x(t - bits + 1)``, with ``x(t) = 1`` for ``t < 0``.

    It needs a memory of ``bits - 1`` steps and a nonlinear function of it: from step ``bits - 1``
    on, any ``bits - 1`` of the inputs say nothing about the target.

    Parameters
    ----------
    bits : int
        Inputs to multiply, 1 or more; 2 is the exclusive or of neighbours.
    steps : int
        Steps a sequence, T, 1 or more.
    batch, sequences, seed, test_sequences : int
        See `neurosim_tasks.random_sequences.RandomSequences`.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    There are ``2**steps`` sequences: a short one of the test may turn up in training too.

    A linear regression, on however many lags, leaves an error near 1, that of the answer 0.

    References
    ----------
    .. [1] Bertschinger and Natschlaeger (2004), Real-time computation at the edge of chaos in
       recurrent neural networks: parity of the last three bits.
    """

    bits: int = 3
    steps: int = 20
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    test_sequences: int = 20

    def __post_init__(self) -> None:
        """Check every field."""
        self._settle({"bits": 1, "steps": 1})

    @property
    def input_names(self) -> tuple[str, ...]:
        """The present sign."""
        return ("x(t)",)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The product of the last signs."""
        return ("parity",)

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer by the step and the present input: right at step 0, and 0 where more is asked."""
        answer = self._given(inputs).copy()
        answer[1 if self.bits > 1 else self.steps :] = 0
        return {"the present input": answer}

    @property
    def _draws(self) -> int:
        return self.steps

    def _show(self, uniform: Uniform) -> Pair:
        x = signs(uniform).T[:, :, None]
        product = x.copy()
        for lag in range(1, min(self.bits, self.steps)):
            product[lag:] *= x[:-lag]
        return freeze(x, product)
