"""The line on which the one scalar per step is broadcast."""

from neurosim.substrate.grid import on_grid

MEMORY = 1000  # broadcasts over which the line's power is averaged
RANGE = 4.0  # of the line's converter, in units of the root of that power


def line_power(power, value, count):
    """Running mean square of what goes over the line, `value` being number `count`."""
    return power + (value * value - power) / min(count, MEMORY)


def reward_received(value, unit, noise, draw, limit, spacing, lost, loss):
    """What arrives of a broadcast value; `unit` is the root of the line's power.

    Noise, `limit` and `spacing` are in that unit; `draw` ~ N(0, 1), `lost` uniform in (0, 1].
    """
    received = on_grid(value + noise * unit * draw, limit * unit, spacing * unit, 0.5)
    return received if lost > loss else 0.0
