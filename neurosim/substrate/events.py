"""Events on their way from a neuron to a synapse."""


def arrives_now(lost, loss, late, jitter):
    """Whether an event arrives in its own step; `lost` and `late` are uniform in (0, 1]."""
    return (lost > loss) & (late > jitter)


def arrives_later(lost, loss, late, jitter):
    """Whether it arrives one step late."""
    return (lost > loss) & (late <= jitter)
