"""Decorrelation rules: what they all have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from neurosim.errors import is_number, require
from neurosim.frozen import freeze
from neurosim.local.budget import LearningRule
from neurosim.local.vocabulary import DECORRELATION


@dataclass(frozen=True)
class DecorrelationRule(LearningRule):
    """What rules that decorrelate a population have: one rate.

    Parameters
    ----------
    learning_rate : float
        Finite and > 0.

    Raises
    ------
    InputError
        If it is not.
    """

    learning_rate: float

    passes: ClassVar[int] = 1
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {"synapse": DECORRELATION}

    def __post_init__(self) -> None:
        fine = is_number(self.learning_rate) and self.learning_rate > 0
        owner = type(self).__name__
        require(fine, owner, "learning_rate", self.learning_rate, "a finite number > 0")
        freeze(self)
