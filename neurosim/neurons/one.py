"""A unit that is always on."""

from dataclasses import dataclass

from neurosim.local import NeuronModel


@dataclass(frozen=True)
class One(NeuronModel):
    """``x_t = 1``: what it is connected to has a bias, one weight per neuron."""

    @staticmethod
    def activity(leak, keep):
        """Always 1."""
        return leak + keep

    @staticmethod
    def slope(leak):
        """Nothing moves it."""
        return leak - leak
