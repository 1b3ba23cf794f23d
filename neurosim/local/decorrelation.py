"""Decorrelation rules: what they all have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from neurosim.frozen import freeze
from neurosim.local.budget import LearningRule
from neurosim.local.vocabulary import DECORRELATION
from neurosim.values import require_number


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
        require_number(type(self).__name__, "learning_rate", self.learning_rate, "(0, inf)")
        freeze(self)
