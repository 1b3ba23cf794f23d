"""The record of hardware assumptions."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.errors import is_number, require


@dataclass(frozen=True)
class Substrate:
    """What the chip is assumed to do to the network. Every field's default is the ideal chip.

    Parameters
    ----------
    act_noise : float
        Process noise: standard deviation, in units of the pre-activation, of the
        normal noise that is added to every pre-activation in every pass, at every
        step, and that nobody can measure.

    Raises
    ------
    InputError
        For a value that is not finite or is negative.
    """

    act_noise: float = 0.0

    def __post_init__(self) -> None:
        fine = is_number(self.act_noise) and self.act_noise >= 0
        require(fine, "Substrate", "act_noise", self.act_noise, "a finite number >= 0")
