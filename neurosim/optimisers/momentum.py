"""Momentum."""


class Momentum:
    """The heavy ball [1]_: changes that keep their sign add up. One memory per synapse.

    References
    ----------
    .. [1] Polyak (1964), Some methods of speeding up the convergence of iteration methods.
    """

    @staticmethod
    def first(change, first, beta1):
        """The sum of all changes, each fading with time."""
        return beta1 * first + change

    @staticmethod
    def step(first):
        """What is taken from the weight, in units of the learning rate."""
        return first
