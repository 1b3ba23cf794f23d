"""Decorrelation rules: what they all have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from neurosim import rates
from neurosim.frozen import freeze
from neurosim.local.budget import LearningRule
from neurosim.local.vocabulary import DECORRELATION


@dataclass(frozen=True)
class DecorrelationRule(LearningRule):
    """What rules that decorrelate a population have: one rate.

    Parameters
    ----------
    learning_rate : float or schedule
        Finite and > 0; for a rate that changes, see `neurosim.rates`.

    Raises
    ------
    InputError
        If it is not.
    """

    learning_rate: float | rates.Schedule | Mapping[str, Any]

    passes: ClassVar[int] = 1
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {"synapse": DECORRELATION}

    def __post_init__(self) -> None:
        rate = rates.checked(type(self).__name__, self.learning_rate, each=False)
        object.__setattr__(self, "learning_rate", rate)
        freeze(self)
