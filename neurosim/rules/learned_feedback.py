"""Node perturbation that learns what to feed back."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.local import Perturbation, check_feedback


@dataclass(frozen=True)
class LearnedFeedback(Perturbation):
    """Learned feedback, after [1]_: perturbations teach each neuron what it does to the outputs.

    A neuron keeps one feedback weight per output, its guess of what its activity does to
    that output. Whenever noise changes activities, guesses are mended so that together they
    explain the outputs' change (normalised LMS): with B fixed they become ``(B D)^T``, without
    anyone having seen B. Learning itself is then free of the noise: an output learns by
    its own error, a hidden neuron by the errors as its feedback weighs them.

    The credit is that of the one-step truncated gradient. What is broadcast is a vector,
    the outputs' errors, and a second one, what is left unexplained; not a scalar.

    Parameters
    ----------
    learning_rate, noise_std, distribution, schedule, window, resync_every, pairs
        See `neurosim.local.Perturbation`; the reward is always local, there is none.
    feedback_rate : float
        Of the feedback weights, in (0, 2); they start from zero.

    References
    ----------
    .. [1] Lansdell, Prakash and Kording (2020), Learning to solve the credit assignment
       problem, ICLR. There the feedback is a least-squares fit; here each step mends it.
    """

    feedback_rate: float = 0.3

    memory: ClassVar[str] = "one feedback weight per output and neuron"
    options_without_meaning: ClassVar[tuple[str, ...]] = (
        "reward",
        "reward_scope",
        "scale",
        "trace_decay",
        "layers",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_feedback(self)

    @staticmethod
    def neuron(slope, feedback):
        """What one neuron makes of the errors: the derivative of their square is twice them."""
        return slope * (feedback + feedback)

    @staticmethod
    def synapse(pre, signal):
        """What one synapse changes by, from its two ends alone."""
        return signal * pre

    @staticmethod
    def feedback_synapse(change, residual, power):
        """What one feedback synapse changes by."""
        return -residual * change / power
