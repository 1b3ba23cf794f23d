"""Mean updates over fresh noise, and whether they are a gradient, in standard errors."""

import numpy as np

import neurosim as ns

GROUPS = 40


def draws(rule, data, net, weights, replicas=400, groups=GROUPS, substrate=None):
    """Mean updates of `groups` runs with fresh noise, all from the same weights."""
    inputs, targets = (np.repeat(values, replicas, axis=1) for values in data)
    sim = ns.Simulator(net, rule, substrate=substrate, batch=replicas, seed=7)
    found = []
    for _ in range(groups):
        sim.weights = weights
        sim.run(inputs, targets)
        after = sim.weights
        found.append({n: weights[n].astype(float) - after[n] for n in ("A", "R", "B")})
    return {name: np.array([update[name] for update in found]) for name in found[0]}


def deviations(updates, expected, floor=0.0):
    """Deviation of every weight's mean update from `expected`, in standard errors."""
    scores = []
    for name, values in updates.items():
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        allowed = np.hypot(error, floor * np.abs(expected[name]).max())
        if not values.any() and not expected[name].any():
            continue  # no activity, no gradient and no update
        scores.append((np.abs(values.mean(axis=0) - expected[name]) / allowed).ravel())
    return np.concatenate(scores)


def estimates(updates, expected):
    """Whether the mean update is `expected`, judged over all weights at once.

    45 weights: the largest deviation of that many normal numbers exceeds 5 once in 40000
    tries; the mean square of t-distributed scores with 39 degrees of freedom is 1.05 and
    stays below 1.7. Rounding to float32 may add 1e-4 of the largest entry.
    """
    scores = deviations(updates, expected, floor=1e-4)
    return scores.max() < 5 and (scores**2).mean() < 1.7
