"""Learning rules and neuron models: functions of local quantities.

A rule is a class with a few static functions. **The names of a function's
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
``trace``  one synapse: how a trace that it keeps of the past goes on
``synapse`` one synapse: by how much it changes (``w <- w - learning_rate * dw``)
========== =================================================================

A rule whose neurons or synapses ask for ``feedback`` broadcasts the vector of output
errors; each neuron weighs it with feedback weights of its own, which are random, or
change by ``feedback_synapse``.

``reward`` must be proportional to ``delta_loss``: a reward that comes later is
credited to an eligibility that the same function formed for ``delta_loss = 1``.
"""

from neurosim.local.budget import Budget, LearningRule
from neurosim.local.decorrelation import DecorrelationRule
from neurosim.local.feedback import check_feedback, check_feedback_numbers
from neurosim.local.neuron import NeuronModel
from neurosim.local.perturbation import LEAST_NOISE, Perturbation, Sizes, options
from neurosim.local.projection import ProjectionRule
from neurosim.local.vocabulary import (
    ACTIVITY,
    DECORRELATION,
    FEEDBACK,
    FIRST,
    NEURON,
    REWARD,
    SECOND,
    SLOPE,
    STEP,
    SYNAPSE,
    TRACE,
    TRACED,
    arguments,
    asked,
    check_scalar,
    scalar,
)

__all__ = [
    "ACTIVITY",
    "DECORRELATION",
    "FEEDBACK",
    "FIRST",
    "LEAST_NOISE",
    "NEURON",
    "REWARD",
    "SECOND",
    "SLOPE",
    "STEP",
    "SYNAPSE",
    "TRACE",
    "TRACED",
    "Budget",
    "DecorrelationRule",
    "LearningRule",
    "NeuronModel",
    "Perturbation",
    "ProjectionRule",
    "Sizes",
    "arguments",
    "asked",
    "check_feedback",
    "check_feedback_numbers",
    "check_scalar",
    "options",
    "scalar",
]
