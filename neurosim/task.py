"""Tasks: the interface that training needs, and a check of data and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurosim.checks import numbers
from neurosim.errors import InputError
from neurosim.values import SIZES, require, require_count, require_name

Pair = tuple[NDArray[Any], NDArray[Any]]

ORDINARY = 1e6  # an output that is larger may come of weights that blew up


class TaskLike(Protocol):
    """Interface of a task; the package `neurosim_tasks` has some."""

    n_inputs: int
    n_targets: int

    def train(self, epoch: int = 0) -> Pair:
        """Inputs and targets ``(T, series, features)`` to learn from, epochs counted from 0."""

    def test(self) -> Pair:
        """Inputs and targets to be judged by."""

    def score(self, outputs: Any, targets: Any) -> Mapping[str, float]:
        """Judge outputs by targets: ``mse``, and whatever else says how good they are."""


class CheckedTask:
    """Check the data and scores of a task; all other attributes are the task's own.

    Parameters
    ----------
    task : task

    Raises
    ------
    InputError
        By `train` and `test`, for what is no pair of finite numbers ``(T, series, features)``,
        as many features as the task says; by `score`, for what is no number by name, ``mse``
        among them.
    """

    def __init__(self, task: TaskLike) -> None:
        self._task = task
        for size in ("n_inputs", "n_targets"):
            require_count(task_name(task), size, getattr(task, size, 1), 1, SIZES)

    def __repr__(self) -> str:
        return repr(self._task)

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "_task":  # a copy does not have it yet
            raise AttributeError(attribute)
        return getattr(self._task, attribute)

    def train(self, epoch: int = 0) -> Pair:
        """Give inputs and targets to learn from."""
        return self._pair(self._task.train(epoch), f"train({epoch})")

    def test(self) -> Pair:
        """Give inputs and targets to be judged by."""
        return self._pair(self._task.test(), "test()")

    def _pair(self, given: Any, call: str) -> Pair:
        owner = f"{task_name(self)}.{call}"
        try:
            inputs, targets = given
        except Exception as error:  # no pair, or an object whose own code raises
            what = f"is {type(given).__name__}, must be two arrays: (inputs, targets)"
            raise InputError(f"{owner}: what it returns {what}") from error
        features = (getattr(self._task, size, None) for size in ("n_inputs", "n_targets"))
        n_in, n_out = features
        inputs = numbers(inputs, "inputs", (None, None, n_in), owner)
        return inputs, numbers(targets, "targets", (*inputs.shape[:2], n_out), owner)

    def score(self, outputs: Any, targets: Any) -> dict[str, float]:
        """Judge outputs by targets.

        ``mse`` is a number >= 0; another score may be NaN, where it has no value.
        """
        found = self._task.score(outputs, targets)
        owner = f"{task_name(self)}.score()"
        fine = isinstance(found, Mapping) and "mse" in found
        require(fine, owner, "what it returns", found, "numbers by name, 'mse' among them")
        scores = {}
        for key, value in found.items():
            require_name(owner, "a name", key)
            require(_is_scalar(value), owner, key, value, "a number")
            scores[key] = float(value)
        mse = scores["mse"]
        # Of outputs that blew up no number is asked: the weights are to blame, not the task.
        blown = not np.abs(np.asarray(outputs)).max(initial=0.0) <= ORDINARY
        fine = blown or (math.isfinite(mse) and mse >= 0)
        require(fine, owner, "mse", mse, "a finite number >= 0 (these outputs are finite)")
        return scores


def checked(task: Any, owner: str) -> Any:
    """Have what a task gives checked.

    Raises
    ------
    InputError
        If it is no task.
    """
    if isinstance(task, CheckedTask):
        return task
    fine = all(callable(getattr(task, part, None)) for part in ("train", "test", "score"))
    fine = fine and not isinstance(task, type)
    allowed = "a task: an object with train(epoch), test() and score(outputs, targets)"
    require(fine, owner, "task", task, allowed)
    return CheckedTask(task)


def task_name(task: Any) -> str:
    """Name a task by its class."""
    return type(task._task if isinstance(task, CheckedTask) else task).__name__


def _is_scalar(value: Any) -> bool:
    """Whether a value is one real number: Python's, NumPy's or another library's."""
    try:
        array = np.asarray(value)
    except Exception:  # each library has errors of its own
        return False
    return array.ndim == 0 and array.dtype.kind in "fiu" and not np.ma.is_masked(value)
