"""Numbers that are stored or sent with so many bits."""

import math


def within(value, limit):
    """Saturate a value at both ends of ``[-limit, limit]``; NaN stays what it is."""
    value = limit if value > limit else value
    return -limit if value < -limit else value


def on_grid(value, limit, spacing, threshold):
    """Saturate a value, and put it on a grid.

    A `threshold` of 0.5 takes it to the nearest level, one drawn uniformly from [0, 1) up or
    down with the chances that keep its mean. A `spacing` of 0 stands for no grid.
    """
    value = within(value, limit)
    if spacing > 0 and value == value:
        return math.floor(value / spacing + threshold) * spacing
    return value


def spacing(limit, bits):
    """Distance of neighbours among ``2**bits - 1`` levels from ``-limit`` to ``limit``."""
    return limit / (2 ** (bits - 1) - 1)
