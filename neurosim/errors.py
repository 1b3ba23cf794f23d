"""Exceptions that neurosim raises on purpose: one base, a class for each kind of cause."""

from __future__ import annotations


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
    """A step was not computed to its end: its numbers, and what follows from them, are lost."""


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
