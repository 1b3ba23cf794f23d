"""Hyperbolic tangent."""

import math
from dataclasses import dataclass

from neurosim.local import NeuronModel


@dataclass(frozen=True)
class Tanh(NeuronModel):
    """``x_t = tanh(a_t)``; with ``tau > 1`` the leaky unit of the paper's appendix D, Eq. 7."""

    @staticmethod
    def activity(a, x, leak, keep):
        """Activity from the pre-activation `a` and the previous activity `x`."""
        return leak * math.tanh(a) + keep * x

    @staticmethod
    def slope(a, leak):
        """Derivative of the activity with respect to the pre-activation `a`."""
        x = math.tanh(a)
        return leak - leak * x * x
