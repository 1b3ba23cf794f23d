"""Noise on pre-activations that nobody can measure: white, telegraph and 1/f."""


def act_noise(a, sigma, draw):
    """Pre-activation `a` with white noise of standard deviation `sigma`; `draw` ~ N(0, 1)."""
    return a + sigma * draw


def telegraph_state(state, draw, rate):
    """Next state, +1 or -1, of a two-state fluctuator; `draw` is uniform in (0, 1]."""
    return -state if draw <= rate else state


def act_telegraph(a, amplitude, state):
    """Pre-activation `a` with a telegraph signal on it."""
    return a + amplitude * state


OCTAVES = 12


def slow(step, octave):
    """Step at which an octave of 1/f noise was last drawn: each lasts twice as long (Voss)."""
    return (step >> octave) << octave


def act_flicker(a, sigma, share, total):
    """Pre-activation `a` with 1/f noise, the sum `total` of `OCTAVES` draws times a `share`."""
    return a + sigma * share * total
