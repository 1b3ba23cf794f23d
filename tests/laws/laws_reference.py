"""An independent network in NumPy, float64, and its gradients by finite differences.

Shares nothing with the package: written from the equations.
"""

import numpy as np

FUNCTIONS = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0.0), "linear": lambda a: a}


def forward(w, inputs, neuron="tanh", tau=1.0, restart=None, noise=None, received=None):
    """Run the network.

    ``a = A u + R s + xi``, ``x = f(a) / tau + (1 - 1 / tau) x``, ``s = D x``, ``y = B s + nu``.
    `restart` maps a step to the state (x, s) it starts from; `noise` is (xi, nu) over time;
    `received` is what R receives over time, where that is given and not what was sent.
    """
    f, d = FUNCTIONS[neuron], w.get("D")
    steps, batch, _ = inputs.shape
    x = np.zeros((batch, len(w["R"])))
    s = np.zeros_like(x)
    trace = {name: [] for name in "axsy"}
    for t in range(steps):
        if restart is not None and t in restart:
            x, s = restart[t]
        if received is not None:
            s = received[t]
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


def gradient(w, inputs, targets, chunk=None, detached=False, h=1e-5, **how):
    """Gradient of `total_loss` by central differences.

    With `chunk`, every chunk of so many steps starts from a state that is taken as
    given: 1 is the gradient truncated to one step. If `detached`, what R receives is taken
    as given, and only neurons' leaks carry credit.
    """
    w = {name: np.asarray(values, dtype=float) for name, values in w.items()}
    if chunk is not None:
        clean = forward(w, inputs, **how)
        rest = np.zeros_like(clean["x"][0])
        how["restart"] = {
            t: (clean["x"][t - 1], clean["s"][t - 1]) if t else (rest, rest)
            for t in range(0, len(inputs), chunk)
        }
    if detached:
        sent = forward(w, inputs, **how)["s"]
        how["received"] = np.concatenate([np.zeros_like(sent[:1]), sent[:-1]])
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


def presynaptic(trace, inputs):
    """What the synapses of each projection transmit at every step."""
    s = trace["s"]
    return {"A": inputs, "R": np.concatenate([np.zeros_like(s[:1]), s[:-1]]), "B": s}


def rflo(w, inputs, targets, rate, tau=1.0, online=True, normalise=None):
    """Learn by Murray's rule, tanh; weights after every step, those at the start first.

    ``p = (1 - 1 / tau) p + f'(a) pre / tau``, ``dw = (F e) p``; the readout's ``dw = e s``.
    """
    w = {name: np.array(values, dtype=float) for name, values in w.items()}
    batch, n = inputs.shape[1], len(w["R"])
    x, s = np.zeros((2, batch, n))
    p = {"A": np.zeros((batch, *w["A"].shape)), "R": np.zeros((batch, n, n))}
    owed, history = {name: np.zeros_like(w[name]) for name in "ARB"}, [w]
    for t, (u, target) in enumerate(zip(inputs, targets, strict=True)):
        pre = {"A": u, "R": s}
        a = u @ w["A"].T + s @ w["R"].T
        x = np.tanh(a) / tau + (1 - 1 / tau) * x
        s = x @ w["D"].T if "D" in w else x
        pre["B"] = s
        error = s @ w["B"].T - target
        power = {k: 1.0 if normalise is None else normalise + (v**2).sum(1) for k, v in pre.items()}
        heard, eligible = error @ w["F"].T, (1 - np.tanh(a) ** 2) / tau
        for name in "AR":
            fresh = np.einsum("bi,bj->bij", eligible, pre[name]) / np.reshape(
                power[name], (-1, 1, 1)
            )
            p[name] = (1 - 1 / tau) * p[name] + fresh
            owed[name] += np.einsum("bi,bij->ij", heard, p[name]) / batch
        owed["B"] += error.T @ (s / np.reshape(power["B"], (-1, 1))) / batch
        w = dict(w)
        if online or t == len(inputs) - 1:
            for name in "ARB":
                w[name] = w[name] - rate * owed[name]
                owed[name] = np.zeros_like(w[name])
        history.append(w)
    return {name: np.array([w[name] for w in history]) for name in "ARB"}


def cosine(a, b):
    """Cosine of the angle between two dicts of arrays, taken as one vector each."""
    left = np.concatenate([a[name].ravel() for name in a])
    right = np.concatenate([b[name].ravel() for name in a])
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
