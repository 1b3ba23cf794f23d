"""Sequences drawn at random, fresh in every epoch, and signs that are judged as decisions."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim_tasks.checks import TaskError, fits, numbers, settle, shown, whole
from neurosim_tasks.task import Array, Pair, Task

Uniform = NDArray[np.float64]


class RandomSequences(Task):
    """Draw sequences from (seed, epoch), and test sequences from a stream of their own.

    A task that inherits from it is a frozen dataclass with the four fields below and more. It says
    how many random numbers a sequence takes (`_draws`) and makes sequences of them (`_show`).

    Inputs before the first step are zero: nothing was said yet.

    Parameters
    ----------
    batch : int
        Sequences shown side by side.
    sequences : int
        Batches an epoch: ``sequences * batch`` sequences.
    seed : int
        Where the sequences come from.
    test_sequences : int
        Batches to be judged by: ``test_sequences * batch`` sequences.
    """

    batch: int
    sequences: int
    seed: int
    test_sequences: int

    lag_padding: ClassVar[Literal["edge", "zero"]] = "zero"

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps a sequence, T."""

    @property
    @abstractmethod
    def _draws(self) -> int:
        """Random numbers that a sequence takes."""

    @abstractmethod
    def _show(self, uniform: Uniform) -> Pair:
        """Make inputs and targets of numbers in [0, 1), ``(series, _draws)``."""

    def train(self, epoch: int = 0) -> Pair:
        """Return inputs and targets, each ``(T, sequences * batch, features)``.

        Parameters
        ----------
        epoch : int
            Every epoch has sequences of its own, the same whenever it is asked for.

        Raises
        ------
        TaskError
            If `epoch` is not a whole number of at least 0.
        """
        epoch = whole(self, "epoch", epoch, at_least=0)
        return self._show(self._draw(self.sequences * self.batch, 0, epoch))

    def test(self) -> Pair:
        """Return inputs and targets, each ``(T, test_sequences * batch, features)``."""
        return self._test

    @cached_property
    def _test(self) -> Pair:
        return self._show(self._draw(self.test_sequences * self.batch, 1, 0))

    def _settle(self, at_least: dict[str, int]) -> None:
        """Check the fields of all such tasks, those of one task in `at_least`, and the size."""
        common = {"batch": 1, "sequences": 1, "seed": 0, "test_sequences": 1}
        settle(self, {**at_least, **common})
        count = max(self.sequences, self.test_sequences) * self.batch
        nbytes = count * (4 * self.steps * (self.n_inputs + self.n_targets) + 8 * self._draws)
        what = f"{shown(count)} sequences (sequences * batch) of {shown(self.steps)} steps"
        fits(self, what, nbytes)

    def _draw(self, count: int, part: int, epoch: int) -> Uniform:
        """Return numbers in [0, 1), ``(count, _draws)``; `part` is 0 for train and 1 for test."""
        seed = np.random.SeedSequence(self.seed, spawn_key=(part, epoch))
        # Sequence by sequence: asking for more of them leaves the first ones as they are.
        return np.random.Generator(np.random.PCG64(seed)).random((count, self._draws))

    def _given(self, inputs: ArrayLike) -> Array:
        """Return the inputs that an answer is asked for, or refuse what are none."""
        shape = f"({self.steps}, series, {self.n_inputs})"
        given = numbers(self, "inputs", inputs, shape)
        if given.ndim != 3 or given.shape[::2] != (self.steps, self.n_inputs):
            name = type(self).__name__
            raise TaskError(f"{name}: inputs of shape {given.shape} must have shape {shape}")
        return given.astype(np.float32, copy=False)

    def _refuse_part(self, targets: Array) -> None:
        """Refuse part of a sequence: its answer may be elsewhere."""
        if len(targets) != self.steps:
            name = type(self).__name__
            raise TaskError(f"{name}: targets of {len(targets)} steps must have {self.steps}")


class Decisions(RandomSequences):
    """Sequences whose target is a sign: +1 or -1."""

    decided_at_end: ClassVar[bool] = False
    """Whether the last step alone has an answer, the others a target of 0."""
    chance: ClassVar[float] = 0.5
    """Accuracy of an answer drawn by a coin."""

    def score(self, outputs: ArrayLike, targets: ArrayLike) -> dict[str, float]:
        """Judge `outputs` by `targets`.

        Parameters
        ----------
        outputs, targets : array_like, shape (T, series, n_targets)
            What was answered, and what should have been.

        Returns
        -------
        dict of str to float
            ``mse``, and ``accuracy``: how often the output is positive where the target is, and
            only there; of all steps, or of the last step alone if `decided_at_end`.

        Raises
        ------
        TaskError
            If the shapes differ or are not those of the task's targets.
        """
        scores = super().score(outputs, targets)
        answer, truth = np.asarray(outputs), np.asarray(targets)
        if self.decided_at_end:
            self._refuse_part(truth)
            answer, truth = answer[-1], truth[-1]
        return {**scores, "accuracy": float(np.mean((answer > 0) == (truth > 0)))}


def signs(uniform: Uniform, probability: float = 0.5) -> Uniform:
    """Return +1 where a number in [0, 1) is below a probability, else -1."""
    return np.where(uniform < probability, 1.0, -1.0)
