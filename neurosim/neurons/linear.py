"""Linear unit."""

from dataclasses import dataclass

from neurosim.local import NeuronModel


@dataclass(frozen=True)
class Linear(NeuronModel):
    """``x_t = a_t``, the readout's model; leaky in time with ``tau > 1``."""

    @staticmethod
    def activity(a, x, leak, keep):
        """Activity from the pre-activation `a` and the previous activity `x`."""
        return leak * a + keep * x

    @staticmethod
    def slope(leak):
        """Derivative of the activity with respect to the pre-activation."""
        return leak
