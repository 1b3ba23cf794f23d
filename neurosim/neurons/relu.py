"""Rectified linear unit."""

from dataclasses import dataclass

from neurosim.local import NeuronModel


@dataclass(frozen=True)
class ReLU(NeuronModel):
    """``x_t = max(a_t, 0)``; leaky in time with ``tau > 1``."""

    @staticmethod
    def activity(a, x, leak, keep):
        """Activity from the pre-activation `a` and the previous activity `x`."""
        # a - a is a zero of a's own type: a literal 0 would widen float32 to float64.
        return leak * max(a, a - a) + keep * x

    @staticmethod
    def slope(a, leak):
        """Derivative of the activity with respect to the pre-activation `a`; at 0 it is 0."""
        return leak if a > a - a else a - a
