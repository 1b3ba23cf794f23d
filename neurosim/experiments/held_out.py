"""Training data that are held out of training, to choose settings by: never by the test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNSEEN = 1_000_000  # an epoch nobody gets to

Pair = tuple[NDArray[Any], NDArray[Any]]


class HeldOut:
    """A task whose test is a part of its training data, which training does not see.

    Where every epoch shows the same data, that part is the last steps of every series. Where no
    two epochs are alike, nothing has to be held back: an epoch that is never reached is the test.

    Parameters
    ----------
    task : task
    part : float
        How much of the steps is held out, above 0 and below 1.
    """

    def __init__(self, task: Any, part: float) -> None:
        self._task, self._part = task, part
        self.n_inputs, self.n_targets = task.n_inputs, task.n_targets
        pairs = zip(task.train(0), task.train(1), strict=True)
        self._fresh = not all(np.array_equal(a, b) for a, b in pairs)

    @property
    def target_names(self) -> Any:
        """As the task's."""
        return self._task.target_names

    def _cut(self, steps: int) -> int:
        return max(1, steps - max(1, round(steps * self._part)))

    def train(self, epoch: int = 0) -> Pair:
        """What may be learned from."""
        inputs, targets = self._task.train(epoch)
        cut = len(inputs) if self._fresh else self._cut(len(inputs))
        return inputs[:cut], targets[:cut]

    def test(self) -> Pair:
        """What was held out."""
        if self._fresh:
            inputs, targets = self._task.train(UNSEEN)
            return inputs, targets
        inputs, targets = self._task.train(0)
        cut = self._cut(len(inputs))
        return inputs[cut:], targets[cut:]

    def score(self, outputs: Any, targets: Any) -> Any:
        """As the task does."""
        return self._task.score(outputs, targets)
