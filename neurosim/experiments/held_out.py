"""Training data that are held out of training, to choose settings by: never by the test."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np

from neurosim.task import Pair, checked, task_name
from neurosim.values import require

UNSEEN = 1_000_000  # an epoch nobody gets to; seeds from here on


class HeldOut:
    """A task whose test is a part of its training data, which training does not see.

    Where data are drawn, nothing has to be held back: the test is an epoch that is never reached,
    if no two epochs are alike, or the training data of another seed. Otherwise it is the middle
    of every series. The end would be what follows at once upon what was learned: a network that
    learns online, and whose weights run after the signal, looks better there than it is.

    Parameters
    ----------
    task : task
        Drawn, if it is a dataclass with a field ``seed`` that its training data depend on.
    part : float
        How much of the steps is held out, above 0 and below 1, where data are not drawn.
    """

    def __init__(self, task: Any, part: float) -> None:
        self._task, self._part = checked(task, "held_out"), part
        self.n_inputs, self.n_targets = (getattr(task, n, None) for n in ("n_inputs", "n_targets"))
        self._test = self._drawn(task)

    def _drawn(self, task: Any) -> Pair | None:
        """Data that training never comes to see, if they can be drawn."""
        first = self._task.train(0)
        if not _alike(first, self._task.train(1)):
            inputs, targets = self._task.train(UNSEEN)
            return inputs, targets
        seed = getattr(task, "seed", None)
        if is_dataclass(task) and isinstance(seed, int):
            other: Any = replace(task, seed=(seed + UNSEEN) % 2**32)  # type: ignore[type-var]
            inputs, targets = checked(other, "held_out").train(0)
            if not _alike(first, (inputs, targets)):
                return inputs, targets
        steps = len(first[0])
        allowed = "2 or more, for a part of them to be held out"
        require(steps >= 2, task_name(task), "steps of train()", steps, allowed)
        return None

    @property
    def target_names(self) -> Any:
        """As the task's."""
        return self._task.target_names

    def _middle(self, steps: int) -> slice:
        held = min(steps - 1, max(1, round(steps * self._part)))
        start = (steps - held + 1) // 2
        return slice(start, start + held)

    def train(self, epoch: int = 0) -> Pair:
        """What may be learned from."""
        inputs, targets = self._task.train(epoch)
        if self._test is not None:
            return inputs, targets
        rows = self._middle(len(inputs))
        return np.delete(inputs, rows, axis=0), np.delete(targets, rows, axis=0)

    def test(self) -> Pair:
        """What was held out."""
        if self._test is not None:
            return self._test
        inputs, targets = self._task.train(0)
        rows = self._middle(len(inputs))
        return inputs[rows], targets[rows]

    def score(self, outputs: Any, targets: Any) -> Any:
        """As the task does."""
        return self._task.score(outputs, targets)


def _alike(one: Pair, other: Pair) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
