"""What becomes of a wanted change when a device is written."""

import math

from neurosim.substrate.grid import on_grid


def pulsed(step, smallest, threshold):
    """Whole pulses of the `smallest` step (0: any step); `threshold` as for `on_grid`."""
    if smallest > 0 and step == step:
        size = math.floor(abs(step) / smallest + threshold) * smallest
        return size if step > 0 else -size
    return step


def asymmetric(step, asymmetry):
    """Steps up are larger, steps down smaller, by this part."""
    return step + abs(step) * asymmetry


def varied(step, spread, draw):
    """A step that differs from device to device, or from one time to the next."""
    return step + step * spread * draw


def soft_bounded(step, weight, softness, full_scale):
    """Steps up shrink as ``1 - w / w_max``, steps down as ``1 + w / w_max``."""
    return step - abs(step) * softness * weight / full_scale


def step_made(
    wanted, weight, smallest, threshold, asymmetry, d2d, device, c2c, cycle, softness, full_scale
):
    """Step that a device makes when one is wanted; `device` and `cycle` ~ N(0, 1)."""
    step = asymmetric(pulsed(wanted, smallest, threshold), asymmetry)
    step = varied(varied(step, d2d, device), c2c, cycle)
    return soft_bounded(step, weight, softness, full_scale)


def weight_written(weight, step, noise, draw, limit, spacing, threshold):
    """Weight that is stored after a step; where there is none, nothing is written."""
    if step == 0:
        return weight
    return on_grid(weight + step + noise * draw, limit, spacing, threshold)
