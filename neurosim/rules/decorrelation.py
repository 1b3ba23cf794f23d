"""Decorrelation of what a population sends."""

from dataclasses import dataclass

from neurosim.local import DecorrelationRule


@dataclass(frozen=True)
class Decorrelation(DecorrelationRule):
    """Decorrelation [1]_: Eq. 6, synapse by synapse.

    ``(s s^T - diag(s^2)) D`` is, at the synapse from neuron k to neuron i,
    ``s_i (sum_j s_j d_jk - s_i d_ik)``. The sum runs over the synapses that leave
    neuron k: it travels backwards, and k must hear it.

    Parameters
    ----------
    learning_rate : float or schedule
        Epsilon of Eq. 6, > 0.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Eq. 6.
    """

    @staticmethod
    def synapse(post, weight, retrograde):
        """What one synapse changes by."""
        # Multiplied out: what a weight is multiplied by is then one sum over replicas.
        return post * retrograde - post * post * weight
