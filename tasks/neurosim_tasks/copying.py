"""Copying: say again, after a while, what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from neurosim_tasks.checks import one_of, whole
from neurosim_tasks.random_sequences import RandomSequences, Uniform
from neurosim_tasks.task import Array, Pair, freeze

SYMBOLS = 8
CHANNELS = SYMBOLS + 2
DELAY, RECALL = 0, CHANNELS - 1
BLANK = 0


@dataclass(frozen=True)
class Copying(RandomSequences):
    """Hear `length` symbols, wait `delay` steps, repeat the symbols in order, after [1]_ and [2]_.

    A sequence takes ``T = 2 length + delay`` steps. Inputs are ten channels, one of them on: 0
    while waiting, 1 to 8 for the eight symbols, 9 while recalling. Targets are ten channels, one
    of them on: 0 ("blank") until the recall, then the symbols on channels 1 to 8; channel 9 is
    never on.

    Parameters
    ----------
    length : int
        Symbols a sequence, 1 or more. [1]_ has 100, with a delay of 10 and a batch of 1. A network
        as it starts in [1]_ stays near `chance` there; an orthogonal R remembers them.
    delay : int
        Steps to wait, 0 or more.
    batch : int
        Sequences shown side by side.
    sequences : int
        Batches an epoch: ``sequences * batch`` sequences.
    seed : int
        Where the sequences come from.
    fixed_sequence : bool
        Train on one and the same sequence, in every replica and epoch, as the published code of
        [1]_ does. The training loss it reaches is memorisation of that sequence; the test, on
        fresh sequences, shows it.
    test_sequences : int
        Batches to be judged by: ``test_sequences * batch`` sequences.

    Raises
    ------
    TaskError
        If a value is not of these.

    Notes
    -----
    Test sequences come from a stream of their own. There are ``8**length`` sequences, so a short
    one may turn up in training too, by chance.

    Of the baselines, a regression on lagged inputs solves the task exactly once it reaches back
    ``length + delay`` steps: with the default 24 lags, whenever ``length + delay < 24``. Inputs
    before the first step are zero: nothing was said yet.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink and van Gerven (2024), Gradient-free training of recurrent
       neural networks using random perturbations, section 3.2.
    .. [2] Arjovsky, Shah and Bengio (2016), Unitary evolution recurrent neural networks.
    """

    length: int = 5
    delay: int = 5
    batch: int = 10
    sequences: int = 20
    seed: int = 0
    fixed_sequence: bool = False
    test_sequences: int = 20

    chance: ClassVar[float] = 1 / SYMBOLS
    """Recall accuracy of someone who guesses."""

    def __post_init__(self) -> None:
        """Check every field."""
        self._settle({"length": 1, "delay": 0})
        one_of(self, "fixed_sequence", self.fixed_sequence, (False, True))

    @property
    def input_names(self) -> tuple[str, ...]:
        """Delay marker, symbols, recall marker."""
        return ("delay", *self._symbol_names, "recall")

    @property
    def target_names(self) -> tuple[str, ...]:
        """Blank, symbols, and a channel that is never on."""
        return ("blank", *self._symbol_names, "unused")

    @property
    def steps(self) -> int:
        """Steps a sequence, T."""
        return 2 * self.length + self.delay

    @property
    def loss_floor(self) -> float:
        """The least mse of an answer that knows the phase but not the symbols.

        It answers 1/8 on every symbol channel while recalling: its squared error there is
        ``7 (1/8)^2 + (7/8)^2 = 7/8``, over ten channels, in `length` of T steps.
        """
        return self.length / self.steps * (1 - 1 / SYMBOLS) / CHANNELS

    def train(self, epoch: int = 0) -> Pair:
        """Return inputs and targets, each ``(T, sequences * batch, 10)``.

        Parameters
        ----------
        epoch : int
            Every epoch has sequences of its own (one for all, if `fixed_sequence`), the same
            whenever it is asked for.
        """
        if not self.fixed_sequence:
            return super().train(epoch)
        whole(self, "epoch", epoch, at_least=0)
        return self._show(np.repeat(self._draw(1, 0, 0), self.sequences * self.batch, axis=0))

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Answer by the phase alone, every symbol alike: its error is `loss_floor`."""
        answer = np.zeros_like(self._given(inputs))
        answer[: -self.length, :, BLANK] = 1
        answer[-self.length :, :, 1 : SYMBOLS + 1] = 1 / SYMBOLS
        return {"ignores its input": answer}

    def score(self, outputs: ArrayLike, targets: ArrayLike) -> dict[str, float]:
        """Judge `outputs` by `targets`.

        Parameters
        ----------
        outputs, targets : array_like, shape (T, series, 10)
            What was answered, and what should have been.

        Returns
        -------
        dict of str to float
            ``mse``, and ``accuracy``: how often, while recalling, the largest of the eight
            symbol channels is the right one; `chance` for someone who guesses.

        Raises
        ------
        TaskError
            If the shapes differ or are not those of the task's targets.
        """
        mse = super().score(outputs, targets)
        answer, truth = np.asarray(outputs), np.asarray(targets)
        self._refuse_part(truth)
        said, meant = (
            array[-self.length :, :, 1 : SYMBOLS + 1].argmax(axis=2) for array in (answer, truth)
        )
        return {**mse, "accuracy": float(np.mean(said == meant))}

    @property
    def _symbol_names(self) -> tuple[str, ...]:
        return tuple(f"symbol {k}" for k in range(1, SYMBOLS + 1))

    @property
    def _draws(self) -> int:
        return self.length

    def _show(self, uniform: Uniform) -> Pair:
        symbols = 1 + (SYMBOLS * uniform.T).astype(np.intp)
        heard = np.full((self.steps, symbols.shape[1]), DELAY)
        heard[: self.length], heard[-self.length :] = symbols, RECALL
        asked = np.full_like(heard, BLANK)
        asked[-self.length :] = symbols
        one_hot = np.eye(CHANNELS, dtype=np.float32)
        return freeze(one_hot[heard], one_hot[asked])
