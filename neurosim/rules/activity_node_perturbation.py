"""Activity-based node perturbation."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from neurosim.local import Perturbation, Sizes


@dataclass(frozen=True)
class ANP(Perturbation):
    """Activity-based node perturbation [1]_: credit the change in activity, whatever caused it.

    Eq. 3, with the *change* in loss where its print has the loss. No neuron needs
    to know any noise: the population's change in activity is measured, and its
    power is folded into the broadcast scalar. Options: `neurosim.local.Perturbation`.

    With a later reward (``reward="return_to_go"`` or ``"global"``) the readout's
    credit stays local: an output's noise ends with its step, and dividing a later
    loss by its power has no finite variance.

    Parameters
    ----------
    passes : {2, "both"}
        2: a baseline pass, without perturbation, and a perturbed one. "both": no pass is
        clean; two passes with independent noise are compared, and `pre` is the mean of
        both. The chip's own noise is then enough (``noise_std=0``, where its passes differ).

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Eq. 3.
    """

    outputs_may_wait: ClassVar[bool] = False
    scales: ClassVar[tuple[str, ...]] = ("population", "network", "published")

    passes_known: ClassVar[tuple[int | str, ...]] = (2, "both")
    passes: int | str = field(default=2, kw_only=True)

    @staticmethod
    def reward(delta_loss, power, n):
        """What the teacher broadcasts: one scalar per timestep."""
        return n * delta_loss / power

    @staticmethod
    def neuron(a, a_perturbed, reward):
        """What one neuron makes of it, from its own pre-activations alone."""
        return reward * (a_perturbed - a)

    @staticmethod
    def synapse(pre, signal):
        """What one synapse changes by, from its two ends alone."""
        return signal * pre

    def factor(self, sizes: Sizes) -> float:
        """Replace the population's size by the network's, or by what the published code has."""
        if self.scale == "network":
            return sizes.network / sizes.population
        if self.scale == "published":
            everyone = sizes.inputs + sizes.network
            batch_wide = sizes.population * sizes.replicas**2 * sizes.outputs
            return math.sqrt(everyone) / batch_wide
        return 1.0
