"""Decorrelation without the retrograde sum."""

from dataclasses import dataclass

from neurosim.local import DecorrelationRule


@dataclass(frozen=True)
class LocalDecorrelation(DecorrelationRule):
    """Anti-Hebbian decorrelation: Eq. 6 without its factor D, which makes it strictly local.

    Two different neurons that are active together inhibit each other more. Nothing
    travels backwards. Used by the published code before October 2024.

    Parameters
    ----------
    learning_rate : float or schedule
        Epsilon, > 0.
    """

    @staticmethod
    def synapse(post, pre, different):
        """What one synapse changes by, from its two ends alone."""
        return different * post * pre
