"""What a synapse makes of the changes that a rule calls for: one file each, scalar functions.

Every synapse has up to two memories of its own. ``first`` and ``second`` say how they go
on, ``step`` what is taken from the weight: ``w <- w - learning_rate * step``.
"""

from neurosim.optimisers.adam import Adam
from neurosim.optimisers.momentum import Momentum

OPTIMISERS = {"sgd": None, "momentum": Momentum, "adam": Adam}

__all__ = ["OPTIMISERS", "Adam", "Momentum"]
