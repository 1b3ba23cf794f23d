"""What neurosim says when something cannot be done.

Every message names the object, the field, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any


class NeurosimError(Exception):
    """Base of every error that neurosim raises on purpose."""


class InputError(NeurosimError, ValueError):
    """A value that a user gave cannot be used."""


class BusyError(NeurosimError, RuntimeError):
    """Another process is at work on the same folder, or another call on the same simulator."""


class CheckpointError(NeurosimError, ValueError):
    """A saved file is damaged, or belongs to something else."""


class StorageError(NeurosimError, OSError):
    """A file could not be written."""


class DeviceError(NeurosimError, RuntimeError):
    """A GPU cannot be used, is out of memory, or was lost.

    Attributes
    ----------
    lost : bool
        Whether this process cannot use the device any more; another one may.
    """

    def __init__(self, message: str, lost: bool = False) -> None:
        self.lost = lost
        super().__init__(message)


class KernelError(NeurosimError, RuntimeError):
    """A compiled kernel raised an exception: its numbers, and what follows from them, are lost."""


class DivergenceError(NeurosimError, ArithmeticError):
    """Numbers overflowed: weights of a projection, the activity of a population, or the loss.

    Attributes
    ----------
    step : int
        Timestep, counted from the simulator's first, at which the run stopped.
    projection : str or None
        Name of the projection whose weights blew up.
    population : str or None
        Name of the population whose activity overflowed, while all weights are finite.
    """

    def __init__(
        self,
        message: str,
        step: int = 0,
        projection: str | None = None,
        population: str | None = None,
    ) -> None:
        self.step, self.projection, self.population = step, projection, population
        super().__init__(message)


def require(ok: bool, owner: str, field: str, value: Any, allowed: str) -> None:
    """Raise `InputError` unless `ok`, naming object, field, value and what is allowed."""
    if not ok:
        raise InputError(f"{owner}: {field} = {value!r} must be {allowed}")


def is_number(value: Any) -> bool:
    """Whether `value` is a finite real number (a bool is not)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number of any integer type (a bool is not)."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral)


def nearest(name: object, known: Iterable[str]) -> str:
    """Suggest the known name that `name` was probably meant to be."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known) or 'none'}"
