"""Two noisy passes are compared with each other: no pass is clean, and no noise is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from chips import LIMIT, fan, normal, uncorrelated
from laws_reference import cosine, gradient
from mean_updates import draws, estimates

import neurosim as ns
from neurosim import noise

STEPS, HIDDEN = 6, 5
NOISY = ns.Substrate(act_noise=0.01)


@dataclass(frozen=True)
class Both:
    """Shows what a synapse transmitted, as far as it can tell."""

    learning_rate: Any
    noise_std: float = 0.0
    passes: str = "both"

    @staticmethod
    def reward(delta_loss):
        return delta_loss

    @staticmethod
    def neuron(a, a_perturbed):
        return a_perturbed - a

    @staticmethod
    def synapse(pre):
        return pre


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(8)
    return generator.normal(size=(STEPS, 1, 2)), generator.normal(size=(STEPS, 1, 2))


def network():
    net = ns.rnn(2, HIDDEN, 2, decorrelate=True, seed=3)
    weights, generator = net.initial_weights(), np.random.default_rng(5)
    weights["D"] = weights["D"] + 0.2 * generator.normal(size=weights["D"].shape)
    return net, weights


def rule(**options):
    return ns.ANP(1.0, schedule="sequence", resync_every=1, passes="both", **options)


@pytest.mark.parametrize(
    ("options", "chip", "part"),
    [
        ({"noise_std": 0}, NOISY, 1.0),
        # Where passes happen to be equal in all 5 neurons, there is nothing to say.
        ({"noise_std": 0}, ns.Substrate(act_telegraph=0.01, telegraph_dwell=2), 1 - 2.0**-5),
        ({"noise_std": 0.01}, None, 1.0),
        ({"noise_std": 0.007}, ns.Substrate(act_noise=0.007), 1.0),
    ],
    ids=["the chip's own", "telegraph", "injected", "both"],
)
def test_anp_estimates_the_one_step_gradient_from_any_noise(data, options, chip, part):
    """In the hidden population, as with a clean pass: outputs inherit hidden noise."""
    net, weights = network()
    updates = draws(rule(**options), data, net, weights, substrate=chip)
    expected = gradient(weights, *data, chunk=1)
    hidden = {name: updates[name] for name in ("A", "R")}
    hidden = {name: values / part for name, values in hidden.items()}
    assert estimates(hidden, expected)
    assert not estimates(hidden, gradient(weights, *data))  # the test can tell them apart
    assert not estimates({name: 1.1 * values for name, values in hidden.items()}, expected)


def test_a_readout_alone_gets_its_delta_rule(data):
    """One output: its own noise is all there is if nothing before it learns or is noisy."""
    net, weights = ns.rnn(2, HIDDEN, 1, seed=3), ns.rnn(2, HIDDEN, 1, seed=3).initial_weights()
    inputs, targets = data[0], data[1][..., :1]
    learning = ns.ANP({"B": 1.0}, noise_std=0.01, schedule="sequence", passes="both")
    updates = draws(learning, (inputs, targets), net, weights)["B"]
    expected = gradient(weights, inputs, targets, chunk=1)["B"]
    error = updates.std(axis=0, ddof=1) / np.sqrt(len(updates))
    np.testing.assert_array_less(np.abs(updates.mean(axis=0) - expected), LIMIT * error + 1e-4)


def test_with_a_clean_pass_chip_noise_costs_anp_nothing_that_two_noisy_ones_save(data):
    """On a noisy chip both kinds of pass find the gradient; telling signs is all they need."""
    net, weights = network()
    expected = gradient(weights, *data, chunk=1)
    for learning in (
        rule(noise_std=0),
        ns.ANP(1.0, noise_std=0.01, schedule="sequence", resync_every=1),
    ):
        updates = draws(learning, data, net, weights, substrate=NOISY)
        mean = {name: updates[name].mean(axis=0) for name in ("A", "R")}
        assert cosine(mean, {name: expected[name] for name in mean}) > 0.99


@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_noises_of_both_passes_are_independent_and_of_the_same_size(sigma):
    net, inputs = fan(2, 200), np.zeros((40, 3, 2))
    probes = [ns.Probe("hidden", "a", pass_=k) for k in (0, 1)]
    for injected, own in ((sigma, 0.0), (0.0, sigma), (sigma * 0.6, sigma * 0.8)):
        learning = ns.ANP(1e-12, noise_std=injected, passes="both")
        chip = ns.Substrate(act_noise=own)
        sim = ns.Simulator(net, learning, None, chip, batch=3, seed=5)
        record = sim.run(inputs, np.ones((40, 3, 1)), probes=probes)
        one, other = (record.probes[p.name].astype(float) for p in probes)
        normal(one, sigma)
        normal(other, sigma)
        assert uncorrelated(one / sigma, other / sigma) < LIMIT


def transmitted(chip, matrix, net, inputs):
    """What synapses took for what they transmitted; what was sent in both passes."""
    probes = [ns.Probe(matrix, "w")] + [ns.Probe("hidden", "s", pass_=k) for k in (0, 1)]
    sim = ns.Simulator(net, Both({matrix: 1.0}), None, chip, seed=5)
    start = sim.weights[matrix].astype(float)[None]
    record = sim.run(inputs, np.ones((len(inputs), 1, net.outputs.size)), probes=probes)
    w = np.concatenate([start, record.probes[f"{matrix}.w"].astype(float)])
    sent = [record.probes[p.name][:, 0].astype(float) for p in probes[1:]]
    return w[:-1] - w[1:], *sent


def test_pre_is_the_mean_of_both_passes(data):
    net = fan(2, 60, 3, gain=1.0)
    change, one, other = transmitted(ns.Substrate(act_noise=0.5), "B", net, data[0])
    assert np.abs(one - other).max() > 0.5
    np.testing.assert_allclose(change, ((one + other) / 2)[:, None].repeat(3, axis=1), atol=3e-6)


def test_pre_is_read_in_both_passes(data):
    net = fan(2, 200, 1, gain=1.0)
    inputs = np.repeat(data[0], 5, axis=0)
    chip = ns.Substrate(act_noise=0.5, act_read_noise=0.3)
    change, one, other = transmitted(chip, "B", net, inputs)
    normal(change - ((one + other) / 2)[:, None], 0.3 / np.sqrt(2))


def test_pre_is_the_mean_of_what_arrived_in_both_passes():
    """Each event is lost by itself: 0, 1 or 2 of the two arrive."""
    net, loss = fan(20, 60), 0.3
    change, *_ = transmitted(ns.Substrate(event_loss=loss), "A", net, np.ones((30, 1, 20)))
    arrived = np.round(2 * change).astype(int)
    np.testing.assert_allclose(2 * change, arrived, atol=1e-4)
    for count, p in enumerate((loss**2, 2 * loss * (1 - loss), (1 - loss) ** 2)):
        hits = arrived == count
        assert abs(hits.mean() - p) < LIMIT * np.sqrt(p * (1 - p) / hits.size)


@pytest.mark.parametrize("name", ["noise", "variance"])
def test_noise_that_nobody_knows_cannot_be_asked_for(name):
    functions = {
        "noise": {"neuron": staticmethod(lambda noise: noise)},
        "variance": {"reward": staticmethod(lambda delta_loss, variance: delta_loss / variance)},
    }
    mine = type("Mine", (Both,), functions[name])
    with pytest.raises(ns.InputError, match=rf"Mine: .* asks for '{name}', but with passes = 'bo"):
        ns.Simulator(fan(2, 3), mine(1.0), substrate=NOISY)


def learned_in_numpy(net, weights, data, every, sigma, seed, normalise=None):
    """Learn by ANP from two noisy passes, of which the second is set back every so many steps."""
    w = {name: np.array(values, dtype=float) for name, values in weights.items()}
    streams = {p.name: noise.PERTURBATION + i for i, p in enumerate(net.populations)}

    def drawn(name, size, t):  # the noise of the one that is set back comes first
        where = (noise.DISTRIBUTIONS["normal"], seed, streams[name], t)
        draws = [[noise.draw(*where, k, 0, i) for i in range(size)] for k in (1, 0)]
        return sigma * np.array(draws)

    x = np.zeros((2, HIDDEN))
    for t, (u, target) in enumerate(zip(*data, strict=True)):
        if t % every == 0:
            x[1] = x[0]
        pre = {"A": u[0], "R": x.mean(axis=0)}
        a = u @ w["A"].T + x @ w["R"].T + drawn("hidden", HIDDEN, t)
        x = np.tanh(a)
        pre["B"] = x.mean(axis=0)
        y = x @ w["B"].T + drawn("output", 2, t)
        loss = ((y - target) ** 2).sum(axis=1)
        for name, changed in (("A", a[1] - a[0]), ("R", a[1] - a[0]), ("B", y[1] - y[0])):
            power = 1.0 if normalise is None else normalise + (pre[name] ** 2).sum()
            signal = len(changed) * (loss[1] - loss[0]) * changed / (changed**2).sum() / power
            w[name] = w[name] - 0.1 * np.outer(signal, pre[name])
    return w


@pytest.mark.parametrize("engine", ["objects", "cpu", "emulator"])
def test_pre_of_a_pass_that_was_set_back_is_what_it_transmits_then(data, engine):
    """Through a delay it sends again what the other pass sent: their mean is that."""
    net, seed = ns.rnn(2, HIDDEN, 2, seed=3), 6
    for every, normalise in ((1, None), (3, 0.5)):
        given = {"noise_std": 0.3, "resync_every": every, "normalise": normalise}
        sim = ns.Simulator(net, ns.ANP(0.1, passes="both", **given), engine=engine, seed=seed)
        start = sim.weights
        sim.run(*data)
        expected = learned_in_numpy(net, start, data, every, 0.3, seed, normalise)
        never = learned_in_numpy(net, start, data, STEPS + 1, 0.3, seed, normalise)
        for name in ("A", "R", "B"):
            np.testing.assert_allclose(sim.weights[name], expected[name], rtol=1e-5, atol=3e-6)
        assert np.abs(sim.weights["R"] - never["R"]).max() > 1e-2
