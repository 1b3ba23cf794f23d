"""Noise of the weights whenever they are read, summed over a dot product."""

import math


def w_read_noise(total, sigma, power, draw):
    """Sum with the noise of all weights that went into it; `draw` ~ N(0, 1).

    Independent noise of standard deviation `sigma` on every weight adds up to
    ``sigma * ||x||``, exactly; `power` is the sum of squares of what the weights met (noise
    that grows with a weight: of what they let through).
    """
    return total + sigma * math.sqrt(power) * draw
