"""Random feedback local online learning."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.local import ProjectionRule, check_feedback


@dataclass(frozen=True)
class RFLO(ProjectionRule):
    """Random feedback local online learning [1]_: a trace of the past meets today's error.

    Its ``p_ij(t) = phi'(a_i) pre_j / tau + (1 - 1 / tau) p_ij(t - 1)`` is a synapse's
    trace, and ``dw_ij = sum_o F_io (y_o - y*_o) p_ij``, with random feedback weights F that
    never change; an output hears its own error. (Appendix D of [2]_ prints these
    equations garbled.) One pass, no noise; but what is broadcast is the vector of errors,
    not a scalar. Without a leak (``tau = 1``) traces last one step.

    There the loss is half the squared error; so this is half the step that a gradient of
    ours would take.

    Parameters
    ----------
    learning_rate, optimiser, beta1, beta2, epsilon, normalise
        See `neurosim.local.ProjectionRule`.
    schedule : {"online", "sequence"}
        Whether weights change every step, or once at the end of the sequence.
    feedback_gain : float
        Feedback weights are normal with Xavier's standard deviation times this.

    Raises
    ------
    InputError
        For a value outside what is allowed.

    References
    ----------
    .. [1] Murray (2019), Local online learning in recurrent networks with random feedback,
       eLife 8:e43299, Eqs. 1 to 5.
    .. [2] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations.
    """

    schedule: str = "online"
    feedback_gain: float = 1.0

    passes: ClassVar[int] = 1
    memory: ClassVar[str] = "one trace per synapse and replica; feedback weights, fixed"

    def __post_init__(self) -> None:
        check_feedback(self)
        super().__post_init__()

    @staticmethod
    def neuron(slope):
        """What makes a neuron's synapses eligible."""
        return slope

    @staticmethod
    def trace(trace, pre, signal, keep):
        """How far what came through a synapse still acts on its neuron's activity."""
        return keep * trace + signal * pre

    @staticmethod
    def synapse(trace, feedback):
        """What one synapse changes by."""
        return feedback * trace
