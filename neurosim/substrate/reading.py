"""What a learning rule is shown of an activity; the activity itself stays as it is."""

from neurosim.substrate.grid import on_grid


def act_read(value, sigma, draw, limit, spacing):
    """Read an activity through a noisy converter; `draw` ~ N(0, 1)."""
    return on_grid(value + sigma * draw, limit, spacing, 0.5)
