"""Process noise on pre-activations."""


def act_noise(a, sigma, draw):
    """Pre-activation `a` with process noise of standard deviation `sigma`; `draw` ~ N(0, 1)."""
    return a + sigma * draw
