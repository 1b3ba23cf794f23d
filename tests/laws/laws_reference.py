"""An independent network in NumPy, float64, and its gradients by finite differences.

Shares nothing with the package: written from the equations.
"""

import numpy as np

FUNCTIONS = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0.0), "linear": lambda a: a}


def forward(w, inputs, neuron="tanh", tau=1.0, restart=None, noise=None):
    """Run the network.

    ``a = A u + R s + xi``, ``x = f(a) / tau + (1 - 1 / tau) x``, ``s = D x``, ``y = B s + nu``.
    `restart` maps a step to the state (x, s) it starts from; `noise` is (xi, nu) over time.
    """
    f, d = FUNCTIONS[neuron], w.get("D")
    steps, batch, _ = inputs.shape
    x = np.zeros((batch, len(w["R"])))
    s = np.zeros_like(x)
    trace = {name: [] for name in "axsy"}
    for t in range(steps):
        if restart is not None and t in restart:
            x, s = restart[t]
        a = inputs[t] @ w["A"].T + s @ w["R"].T + (0 if noise is None else noise[0][t])
        x = f(a) / tau + (1 - 1 / tau) * x
        s = x if d is None else x @ d.T
        y = s @ w["B"].T + (0 if noise is None else noise[1][t])
        for name, value in zip("axsy", (a, x, s, y), strict=True):
            trace[name].append(value)
    return {name: np.array(values) for name, values in trace.items()}


def total_loss(w, inputs, targets, **how):
    """Sum over steps, mean over replicas, of the squared error summed over outputs."""
    y = forward(w, inputs, **how)["y"]
    return ((y - targets) ** 2).sum(axis=(0, 2)).mean()


def gradient(w, inputs, targets, chunk=None, h=1e-5, **how):
    """Gradient of `total_loss` by central differences.

    With `chunk`, every chunk of so many steps starts from a state that is taken as
    given: 1 is the gradient truncated to one step.
    """
    w = {name: np.asarray(values, dtype=float) for name, values in w.items()}
    if chunk is not None:
        clean = forward(w, inputs, **how)
        rest = np.zeros_like(clean["x"][0])
        how["restart"] = {
            t: (clean["x"][t - 1], clean["s"][t - 1]) if t else (rest, rest)
            for t in range(0, len(inputs), chunk)
        }
    found = {}
    for name in ("A", "R", "B"):
        found[name] = np.zeros_like(w[name])
        for index in np.ndindex(w[name].shape):
            sides = []
            for sign in (1, -1):
                moved = {**w, name: w[name].copy()}
                moved[name][index] += sign * h
                sides.append(total_loss(moved, inputs, targets, **how))
            found[name][index] = (sides[0] - sides[1]) / (2 * h)
    return found


def cosine(a, b):
    """Cosine of the angle between two dicts of arrays, taken as one vector each."""
    left = np.concatenate([a[name].ravel() for name in a])
    right = np.concatenate([b[name].ravel() for name in a])
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
