"""What a learning rule and a neuron model are: functions of local quantities.

A rule is a class with up to three static functions. **The names of a function's
arguments are all that it can know**: an engine reads them and hands over exactly
those quantities. There is nothing else to reach for, because a rule imports
nothing but ``math``, ``dataclasses``, ``typing`` and this module. The same names
make up the rule's information budget, so a budget cannot promise less than the
rule uses.

========== =================================================================
function   what it answers
========== =================================================================
``reward`` the teacher: which scalar is broadcast to a population this step
``neuron`` one neuron: which signal it forms from its own activity
``synapse`` one synapse: by how much it changes (``w <- w - learning_rate * dw``)
========== =================================================================

``reward`` must be proportional to ``delta_loss``: a reward that comes later is
credited to an eligibility that the same function formed for ``delta_loss = 1``.
"""

from neurosim.local.budget import Budget, LearningRule
from neurosim.local.decorrelation import DecorrelationRule
from neurosim.local.neuron import NeuronModel
from neurosim.local.perturbation import Perturbation, Sizes, check_rate, options
from neurosim.local.vocabulary import (
    ACTIVITY,
    DECORRELATION,
    NEURON,
    REWARD,
    SYNAPSE,
    arguments,
    scalar,
)

__all__ = [
    "ACTIVITY",
    "DECORRELATION",
    "NEURON",
    "REWARD",
    "SYNAPSE",
    "Budget",
    "DecorrelationRule",
    "LearningRule",
    "NeuronModel",
    "Perturbation",
    "Sizes",
    "arguments",
    "check_rate",
    "options",
    "scalar",
]
