"""Chips seen from outside: networks and rules that show what hardware did, and its moments.

Nothing here looks into the package: all is recomputed from probes, records and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

import neurosim as ns
from neurosim.network import Network, Population, Projection

LIMIT = 4.0  # standard errors that a moment may be off
NOBODY = 1e-12  # a learning rate with which nothing is learnt, but rewards are broadcast
INJECTED = 0.1
SOURCES, TARGETS = 6, 80
CODE = 4.0 ** np.arange(SOURCES)  # a weight for each source: sums tell what arrived of whom


@dataclass(frozen=True)
class Shown:
    """A rule that shows what neurons and synapses read: signals are `a`, changes are `pre`."""

    learning_rate: Any
    noise_std: float = INJECTED

    @staticmethod
    def reward(delta_loss):
        return delta_loss

    @staticmethod
    def neuron(a):
        return a

    @staticmethod
    def synapse(pre):
        return pre


@dataclass(frozen=True)
class Contrast:
    """Shows what the teacher reads of all neurons, and a neuron of its perturbed pass."""

    learning_rate: Any
    noise_std: float = INJECTED

    @staticmethod
    def reward(power):
        return power

    @staticmethod
    def neuron(a_perturbed, a):
        return a_perturbed - a

    @staticmethod
    def synapse(pre):
        return pre


def fan(n_in, n_hidden, n_out=1, neuron=None, gain=0.0):
    """Input, hidden, output, nothing recurrent; weights of 0 leave nothing but noise."""
    return Network(
        (
            Population("input", n_in),
            Population("hidden", n_hidden, neuron or ns.Tanh()),
            Population("output", n_out, ns.Linear()),
        ),
        (
            Projection("A", "input", "hidden", gain=gain),
            Projection("B", "hidden", "output", gain=gain),
        ),
        seed=1,
    )


def simulate(net, chip, inputs, rule=None, weights=None, seed=5, target=1.0, **more):
    """Run once on a chip; targets are all the same, or one for each step."""
    rule = ns.NP(NOBODY, noise_std=INJECTED) if rule is None else rule
    inputs = np.asarray(inputs, dtype=float)
    sim = ns.Simulator(net, rule, substrate=chip, batch=inputs.shape[1], seed=seed)
    if weights is not None:
        sim.weights = weights
    targets = np.ones((*inputs.shape[:2], net.outputs.size)) * np.reshape(target, (-1, 1, 1))
    return sim, sim.run(inputs, targets, **more)


def noise_alone(chip, steps=60, replicas=4, hidden=200, out=1, seed=5, neuron=None, probes=()):
    """Pre-activations of a network without weights: baseline, and perturbed less injected.

    Gives ``{population: (baseline, perturbed)}``, each (steps, replicas, neurons).
    """
    sizes = {"hidden": hidden, "output": out}
    wanted = [ns.Probe(name, "a", pass_=k) for name in sizes for k in (0, 1)]
    wanted += [ns.Probe(name, "noise", pass_=1) for name in sizes]
    inputs = np.zeros((steps, replicas, 2))
    net = fan(2, hidden, out, neuron)
    _, record = simulate(net, chip, inputs, probes=[*wanted, *probes], seed=seed)
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    return {
        name: (seen[f"{name}.a"], seen[f"{name}.a@1"] - seen[f"{name}.noise@1"]) for name in sizes
    }


def devices(chip, wanted, start=0.0, post=100, seed=5, rule=None, more=None):
    """Ask every synapse of a matrix for changes ``wanted`` (steps, pre), the same in each row.

    Gives the simulator, the weights at first and those after every step, (post, pre) each.
    """
    wanted = np.asarray(wanted, dtype=float)
    net = fan(wanted.shape[1], post)
    sim = ns.Simulator(net, rule or Shown({"A": 1.0}), substrate=chip, seed=seed)
    sim.weights = {"A": np.broadcast_to(start, (post, wanted.shape[1])), **(more or {})}
    first = sim.weights["A"].astype(float)
    inputs, targets = -wanted[:, None, :], np.ones((len(wanted), 1, 1))
    seen = sim.run(inputs, targets, probes=[ns.Probe("A", "w")]).probes["A.w"]
    return sim, first, seen.astype(float)


def arrivals(chip, inputs, seed=5):
    """What arrived, 0 to 3 events of size 1, (passes, steps, replicas, targets, sources)."""
    net = fan(SOURCES, TARGETS)
    probes = [ns.Probe("hidden", v, pass_=k) for v, k in (("a", 0), ("a", 1), ("noise", 1))]
    weights = {"A": np.broadcast_to(CODE, (TARGETS, SOURCES))}
    record = simulate(net, chip, inputs, weights=weights, probes=probes, seed=seed)[1]
    a, perturbed, noise = (record.probes[p.name].astype(float) for p in probes)
    sums = np.array([a, perturbed - noise])
    np.testing.assert_allclose(sums, np.round(sums), atol=1e-3)
    return np.round(sums).astype(int)[..., None] // CODE.astype(int) % 4


# ------------------------------------------------------------------ statistics


def scores(values, sd=1.0, mean=0.0, law="norm", fourth=3.0):
    """Deviations, in standard errors, from white noise of shape (steps, replicas, units).

    Of its mean and variance, of what follows each other in time, of neighbours and of
    replicas; and of its distribution, by the test of Kolmogorov and Smirnov. `fourth` is the
    distribution's fourth standardised moment; None: its variance is what its mean says.
    """
    z = (np.asarray(values, dtype=float) - mean) / sd
    found = {"mean": z.mean() * np.sqrt(z.size)}
    if fourth is not None:
        found["variance"] = ((z**2).mean() - 1.0) * np.sqrt(z.size / (fourth - 1.0))
    for axis, name in enumerate(("time", "replicas", "neighbours")):
        first, second = (np.delete(z, at, axis) for at in (-1, 0))
        if first.size:
            found[name] = uncorrelated(first, second)
    if law is not None:
        p = stats.kstest(z.ravel(), law).pvalue
        found["distribution"] = float(stats.norm.isf(p / 2))
    return {name: abs(float(score)) for name, score in found.items()}


def uniform_scores(values):
    """Likewise, of numbers uniform in [0, 1]."""
    law = stats.uniform(-np.sqrt(3.0), np.sqrt(12.0)).cdf
    return scores(values, np.sqrt(1 / 12), 0.5, law, 1.8)


def uncorrelated(first, second):
    """Mean product of two sets of numbers of variance 1, in standard errors if unrelated."""
    return abs(float((first * second).mean() * np.sqrt(np.size(first))))


def normal(values, sd, mean=0.0):
    """Assert that numbers are white and normal."""
    found = scores(values, sd, mean)
    assert max(found.values()) < LIMIT, found


def chance(hits, p):
    """How far the part of what is true is from a chance, in standard errors."""
    hits = np.asarray(hits, dtype=float)
    return abs(hits.mean() - p) * np.sqrt(hits.size / (p * (1 - p)))


def by_chance(hits, p):
    """Assert that something (steps, replicas, units) happens by chance, each independently."""
    found = scores(hits, np.sqrt(p * (1 - p)), p, law=None, fourth=None)
    assert max(found.values()) < LIMIT, found


def of_chains(values, expected):
    """How far the mean over independent numbers is from what is expected, by their scatter."""
    values = np.asarray(values, dtype=float).ravel()
    return abs(values.mean() - expected) / (values.std(ddof=1) / np.sqrt(values.size))
