"""Neuron models: one file each, one scalar function each.

A new model is a new file here and a line below; nothing else has to know of it.
"""

from neurosim.neurons.linear import Linear
from neurosim.neurons.one import One
from neurosim.neurons.relu import ReLU
from neurosim.neurons.tanh import Tanh

__all__ = ["Linear", "One", "ReLU", "Tanh"]
