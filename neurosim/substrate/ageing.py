"""What time does to a stored weight, step by step."""

import math

from neurosim.substrate.grid import within


def drifted(weight, age, nu):
    """Go on with ``w(t) = w(1) t**-nu``, t the steps since the device was written.

    From ``age - 1`` to `age` that is ``exp(nu log((age - 1) / age))``, the logarithm by the
    series of atanh, whose argument is at most 1/3.
    """
    if age > 1 and nu > 0:
        z = 1.0 / (age + age - 1.0)
        z2 = z * z
        series = z2 * (1 / 3 + z2 * (1 / 5 + z2 * (1 / 7 + z2 * (1 / 9 + z2 / 11))))
        return weight * math.exp(-2.0 * nu * (z + z * series))
    return weight


def aged(weight, age, nu, keep, diffusion, draw, limit):
    """Weight one step later: it drifts, leaks, and diffuses; `draw` ~ N(0, 1)."""
    return within(drifted(weight, age, nu) * keep + diffusion * draw, limit)
