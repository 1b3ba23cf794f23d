"""Node perturbation."""

from dataclasses import dataclass

from neurosim.local import Perturbation


@dataclass(frozen=True)
class NP(Perturbation):
    """Node perturbation [1]_: credit each neuron's injected noise with the change in loss.

    Eq. 2 with the local reward, Eq. 1 with the global one. A neuron must know the
    noise that was injected into it. Options: `neurosim.local.Perturbation`.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Eqs. 1 and 2.
    """

    @staticmethod
    def reward(delta_loss, variance):
        """What the teacher broadcasts: one scalar per timestep."""
        return delta_loss / variance

    @staticmethod
    def neuron(noise, reward):
        """What one neuron makes of it, from the noise it was given."""
        return reward * noise

    @staticmethod
    def synapse(pre, signal):
        """What one synapse changes by, from its two ends alone."""
        return signal * pre
