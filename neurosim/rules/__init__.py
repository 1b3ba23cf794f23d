"""Learning rules: one file each, scalar functions of local quantities.

A new rule is a new file here and a line below; nothing else has to know of it.
"""

from neurosim.rules.activity_node_perturbation import ANP
from neurosim.rules.decorrelation import Decorrelation
from neurosim.rules.learned_feedback import LearnedFeedback
from neurosim.rules.local_decorrelation import LocalDecorrelation
from neurosim.rules.node_perturbation import NP
from neurosim.rules.rflo import RFLO
from neurosim.rules.weight_perturbation import WP

__all__ = [
    "ANP",
    "NP",
    "RFLO",
    "WP",
    "Decorrelation",
    "LearnedFeedback",
    "LocalDecorrelation",
]
