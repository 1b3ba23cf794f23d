"""Adam."""

import math


class Adam:
    """Adaptive moments [1]_: changes are measured by their own size. Two memories per synapse.

    References
    ----------
    .. [1] Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """

    @staticmethod
    def first(change, first, beta1, fresh1):
        """Running mean of the change."""
        return beta1 * first + fresh1 * change

    @staticmethod
    def second(change, second, beta2, fresh2):
        """Running mean of its square."""
        return beta2 * second + fresh2 * change * change

    @staticmethod
    def step(first, second, unbias1, unbias2, epsilon):
        """What is taken from the weight, in units of the learning rate."""
        return unbias1 * first / (math.sqrt(unbias2 * second) + epsilon)
