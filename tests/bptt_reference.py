"""The paper's network in plain NumPy, and its gradients by finite differences, slowly.

Shares nothing with the package: written from the equations.
"""

import numpy as np

FUNCTIONS = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0.0), "linear": lambda a: a}


def forward(w, inputs, neuron, tau, start):
    """States x and s, and outputs, of every step from a state ``(x, s)``."""
    x, s = start
    states, outputs = [], []
    for u in inputs:
        a = u @ w["A"].T + s @ w["R"].T + (w["b"][:, 0] if "b" in w else 0)
        x = FUNCTIONS[neuron](a) / tau + (1 - 1 / tau) * x
        s = x @ w["D"].T if "D" in w else x
        states.append((x, s))
        outputs.append(s @ w["B"].T)
    return states, outputs


def losses(w, inputs, targets, neuron="tanh", tau=1.0, truncate=None, chunk=None, given=None):
    """Mean loss of the sequence, every step's from the state that is `given` to reach it from.

    Step s is run again from where its loss stops reaching back, for itself alone.
    """
    steps, batch, _ = inputs.shape
    rest = (np.zeros((batch, len(w["R"]))),) * 2
    if given is None:
        given = forward(w, inputs, neuron, tau, rest)[0]
    total = 0.0
    for s in range(steps):
        first = 0
        if truncate is not None:
            first = max(0, s - truncate + 1)
        if chunk is not None:
            first = s - s % chunk
        start = given[first - 1] if first else rest
        y = forward(w, inputs[first : s + 1], neuron, tau, start)[1][-1]
        total += ((y - targets[s]) ** 2).sum() / batch
    return total / steps


def given_states(w, inputs, neuron="tanh", tau=1.0, **_):
    """What `losses` takes as given: the states of the network as it is."""
    rest = (np.zeros((inputs.shape[1], len(w["R"]))),) * 2
    return forward(w, inputs, neuron, tau, rest)[0]


def gradient(w, inputs, targets, h=1e-5, **how):
    """Gradient of A, R, B and b by central differences, entry by entry."""
    given = given_states(w, inputs, **how)
    found = {}
    for name in (name for name in "ARBb" if name in w):
        found[name] = np.zeros_like(w[name])
        for index in np.ndindex(w[name].shape):
            direction = {name: np.zeros_like(w[name])}
            direction[name][index] = 1.0
            found[name][index] = slope(w, direction, inputs, targets, h, given=given, **how)
    return found


def slope(w, direction, inputs, targets, h=1e-5, **how):
    """Derivative of `losses` in the direction of some weights, by a central difference."""
    sides = []
    for step in (h, -h):
        moved = {name: v + step * direction.get(name, 0.0) for name, v in w.items()}
        sides.append(losses(moved, inputs, targets, **how))
    return (sides[0] - sides[1]) / (2 * h)
