"""Neuron models: what they all have."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.frozen import freeze
from neurosim.values import require_number


@dataclass(frozen=True)
class NeuronModel:
    """What neuron models share: a leak.

    Parameters
    ----------
    tau : float
        Time constant in steps, >= 1: ``x_t = f(a_t) / tau + (1 - 1 / tau) x_{t-1}``.
        1 means no memory, ``x_t = f(a_t)``.

    Raises
    ------
    InputError
        If `tau` is not a finite number >= 1.
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        allowed = "a finite number of steps >= 1"
        require_number(type(self).__name__, "tau", self.tau, "[1, inf)", allowed)
        freeze(self)
