"""Rules by which projections learn: the options they all have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neurosim import rates
from neurosim.frozen import freeze
from neurosim.local.budget import LearningRule
from neurosim.local.vocabulary import FEEDBACK, NEURON, REWARD, TRACE, TRACED
from neurosim.values import require_number, require_one_of

OPTIMISERS = ("sgd", "momentum", "adam")


@dataclass(frozen=True)
class ProjectionRule(LearningRule):
    """What rules for the synapses of projections have: rates, and what a change goes through.

    Parameters
    ----------
    learning_rate : float, schedule or mapping of str to these
        One rate, or one per projection; projections that are not named do not learn. For rates
        that change, see `neurosim.rates`.
    optimiser : {"sgd", "momentum", "adam"}
        What a synapse makes of the changes that the rule calls for, with memories of its
        own: nothing; a sum that fades by `beta1` (heavy ball); their running mean over the
        root of their running mean square (Adam).
    beta1, beta2, epsilon : float
        Of the optimiser, as in Adam.
    normalise : float, optional
        Divide what a projection's synapses change by by this number plus the power of what
        the projection transmits, ``sum_j pre_j^2`` in the same replica (normalised LMS):
        one more scalar to broadcast per projection. None: leave it.

    Raises
    ------
    InputError
        For a value outside what is allowed.
    """

    learning_rate: float | rates.Schedule | Mapping[str, Any]
    _: KW_ONLY
    optimiser: str = "sgd"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    normalise: float | None = None

    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "reward": REWARD,
        "neuron": NEURON,
        "trace": TRACE,
        "synapse": TRACED,
        "feedback_synapse": FEEDBACK,
    }

    def changed_budget(self) -> tuple[str, ...]:
        """What options that are not as by default change in the budget."""
        found = []
        if self.normalise is not None:
            words = "one more scalar per projection and replica, the power of what it transmits"
            found.append(f"normalise = {self.normalise:g}: {words}")
        if self.optimiser != "sgd":
            kept = "one number" if self.optimiser == "momentum" else "two numbers"
            found.append(f"optimiser = {self.optimiser!r}: each synapse keeps {kept} more")
        return tuple(found)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        object.__setattr__(self, "learning_rate", rates.checked(owner, self.learning_rate))
        require_one_of(owner, "optimiser", self.optimiser, OPTIMISERS)
        for name in ("beta1", "beta2"):
            require_number(owner, name, getattr(self, name), "[0, 1)")
        require_number(owner, "epsilon", self.epsilon, "(0, inf)")
        require_number(owner, "normalise", self.normalise, "(0, inf)", optional=True)
        freeze(self)
