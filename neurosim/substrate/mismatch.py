"""Fixed-pattern differences between neurons that were meant to be alike."""


def mismatched(a, gain, offset):
    """Summed input `a` as a neuron with a gain and an offset of its own gets it."""
    return gain * a + offset


def own_tau(tau, spread, draw):
    """Time constant of one neuron, in steps, at least 1; a neuron without memory has none."""
    if tau > 1:
        own = tau + tau * spread * draw
        return own if own > 1 else 1.0
    return tau
