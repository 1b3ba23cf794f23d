"""Weight perturbation."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.local import Perturbation


@dataclass(frozen=True)
class WP(Perturbation):
    """Weight perturbation [1]_: credit each weight's own noise with the change in loss.

    Eq. 5 with the local reward, Eq. 4 with the global one. Every weight gets fresh
    noise at every step, the same in all replicas (a weight is one device); a
    synapse must know its noise. Options: `neurosim.local.Perturbation`.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Eqs. 4 and 5.
    """

    perturbs: ClassVar[str] = "weights"

    @staticmethod
    def reward(delta_loss, variance):
        """What the teacher broadcasts: one scalar per timestep."""
        return delta_loss / variance

    @staticmethod
    def synapse(noise, reward):
        """What one synapse changes by, from its own noise alone."""
        return reward * noise
