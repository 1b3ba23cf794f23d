"""The referee: backpropagation through time, to judge local rules by.

NumPy alone, with a forward pass, optimisers and a decorrelation of its own: it
shares no code with what it judges. It is not local, and says so.
"""

from neurosim.bptt.decorrelate import decorrelation, local_decorrelation
from neurosim.bptt.gradient import gradients
from neurosim.bptt.optimisers import SGD, Adam, Momentum, optimiser
from neurosim.bptt.rule import BPTT

__all__ = [
    "BPTT",
    "SGD",
    "Adam",
    "Momentum",
    "decorrelation",
    "gradients",
    "local_decorrelation",
    "optimiser",
]
