"""Rules that feed errors back: each change is its formula, and a gradient where F is ``(B D)^T``.

Nothing is drawn but F's initial values and the noise that teaches F: all is exact up to float32.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from laws_reference import forward, gradient, presynaptic, rflo

import neurosim as ns

ENGINES = ["cpu", "objects"]
T, N_IN, N, N_OUT = 8, 2, 5, 2
TAUS = [1.0, 3.0, 10.0]


def data(batch, steps=T, seed=1):
    generator = np.random.default_rng(seed)
    shape = (steps, batch)
    return generator.normal(size=(*shape, N_IN)), generator.normal(size=(*shape, N_OUT))


def build(rule, batch=1, tau=1.0, decorrelate=False, engine="cpu", transposed=False, **more):
    """A network with a D that is not the identity, and F random or ``(B D)^T``."""
    net = ns.rnn(N_IN, N, N_OUT, decorrelate=decorrelate, neuron=ns.Tanh(tau=tau), seed=4)
    sim = ns.Simulator(net, rule, batch=batch, engine=engine, **{"seed": 9, **more})
    if decorrelate:
        skew = np.random.default_rng(5).normal(size=(N, N))
        sim.weights = {"D": np.eye(N) + 0.2 * skew}
    if transposed:
        sim.weights = {"F": paths(sim.weights).T}
    return sim


def paths(w):
    """What each neuron's activity does to each output."""
    return w["B"] @ w["D"] if "D" in w else w["B"]


def change(sim, inputs, targets):
    """What one run takes from the weights."""
    before = sim.weights
    sim.run(inputs, targets)
    return {name: before[name].astype(float) - sim.weights[name] for name in "ARB"}


def equal(found, expected, names="ARB", tolerance=2e-5):
    """Whether changes are the same, up to so much of the largest."""
    return all(
        np.abs(found[name] - expected[name]).max() <= tolerance * np.abs(expected[name]).max()
        for name in names
    )


# --------------------------------------------------------------------------- RFLO


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("tau", TAUS)
def test_rflo_is_murrays_equations_step_by_step(tau, decorrelate, batch, engine):
    for schedule in ("online", "sequence"):
        sim = build(ns.RFLO(0.05, schedule=schedule), batch, tau, decorrelate, engine)
        inputs, targets = data(batch)
        expected = rflo(sim.weights, inputs, targets, 0.05, tau, schedule == "online")
        seen = sim.run(inputs, targets, probes=[ns.Probe(name, "w") for name in "ARB"]).probes
        for name in "ARB":
            assert np.abs(expected[name][-1] - expected[name][0]).max() > 2e-3
            np.testing.assert_allclose(seen[f"{name}.w"], expected[name][1:], atol=1e-6)


@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("tau", TAUS)
def test_rflo_with_the_transpose_fed_back_takes_half_the_detached_gradient(tau, decorrelate):
    """Only the leak carries credit; the loss is twice the paper's, hence the half."""
    sim = build(ns.RFLO(2.0, schedule="sequence"), 3, tau, decorrelate, transposed=True)
    start, (inputs, targets) = sim.weights, data(3)
    found = change(sim, inputs, targets)
    assert equal(found, gradient(start, inputs, targets, detached=True, tau=tau))
    for other in ({"chunk": 1}, {}):  # the test can tell them apart
        same = equal(found, gradient(start, inputs, targets, tau=tau, **other), "AR", 1e-2)
        assert same == (tau == 1 and other == {"chunk": 1})


def test_rflo_follows_its_own_feedback_and_no_transpose():
    found = [change(build(ns.RFLO(1.0), transposed=t), *data(1)) for t in (False, True)]
    assert not equal(*found, "A", 0.1)
    assert not equal(*found, "R", 0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_random_feedback_never_changes(engine):
    sim = build(ns.RFLO(0.1), 3, 3.0, engine=engine)
    start = sim.weights
    for schedule in range(3):
        sim.run(*data(3, seed=schedule))
    np.testing.assert_array_equal(sim.weights["F"], start["F"])
    assert all((sim.weights[name] != start[name]).any() for name in "ARB")


def test_random_feedback_is_xavier_normal_times_its_gain():
    drawn = {}
    for gain in (0.5, 1.0, 2.0):
        net = ns.rnn(1, 400, 20, seed=3)
        drawn[gain] = ns.Simulator(net, ns.RFLO(1e-3, feedback_gain=gain)).weights["F"]
        assert drawn[gain].shape == (400, 20)
        std = gain * np.sqrt(2 / 420)
        assert abs(drawn[gain].mean()) < 4 * std / np.sqrt(8000)
        assert drawn[gain].std() == pytest.approx(std, rel=4 / np.sqrt(16000))
    np.testing.assert_array_equal(drawn[2.0], 4 * drawn[0.5])
    assert not np.array_equal(drawn[1.0], ns.Simulator(net).weights["B"].T)


@pytest.mark.parametrize("engine", ENGINES)
def test_rflo_rewards_nobody(engine):
    record = build(ns.RFLO(0.1), 3, engine=engine).run(*data(3))
    assert {name: reward.shape for name, reward in record.reward.items()} == dict.fromkeys(
        "ARB", (T, 3)
    )
    assert not any(reward.any() for reward in record.reward.values())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.RFLO(0.1), ns.LearnedFeedback(0.1, 0.1)])
def test_an_evaluation_leaves_feedback_alone_and_a_file_carries_it(rule, engine, tmp_path):
    sim = build(rule, 2, 3.0, True, engine)
    sim.run(*data(2))
    kept = sim.weights["F"]
    sim.evaluate(*data(5))
    np.testing.assert_array_equal(sim.weights["F"], kept)
    sim.weights = {"F": 2 * kept}
    sim.save(tmp_path / "saved.npz")
    for loaded_by in ENGINES:
        loaded = ns.Simulator.load(tmp_path / "saved.npz", engine=loaded_by)
        np.testing.assert_array_equal(loaded.weights["F"], 2 * kept)
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    for one in (sim, loaded):
        one.run(*data(2), reset=False)
    for name, weights in sim.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weights)


# ---------------------------------------------------------------- learned feedback


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("pairs", [0, 2])
def test_learned_feedback_becomes_what_activity_does_to_outputs(pairs, decorrelate, engine):
    """From zero to within a thousandth, without anyone having seen B or D."""
    rule = ns.LearnedFeedback(1e-12, 0.1, pairs=pairs, feedback_rate=0.5)
    sim = build(rule, 2, 2.0, decorrelate, engine)
    start, steps = sim.weights, 400 if pairs == 0 else 150
    assert start["F"].shape == (N, N_OUT)
    assert not start["F"].any()
    sim.run(*data(2, steps))
    assert all(np.array_equal(sim.weights[name], start[name]) for name in start if name != "F")
    np.testing.assert_allclose(sim.weights["F"], paths(start).T, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pairs", [0, 2])
def test_feedback_is_mended_by_normalised_least_mean_squares(pairs, engine):
    """Step by step, from probes: ``F += rate * mean of (dy - F^T dx) dx / |dx|^2``."""
    rule = ns.LearnedFeedback(0.01, 0.1, pairs=pairs, feedback_rate=0.3)
    sim = build(rule, 3, 2.0, True, engine)
    sim.weights = {"F": np.random.default_rng(2).normal(size=(N, N_OUT))}
    compared = [(0, 1)] if pairs == 0 else [(2, 1), (4, 3)]
    passes = range(1 + max(max(c) for c in compared))
    probes = [ns.Probe(*of, pass_=p) for of in (("hidden", "x"), ("output", "s")) for p in passes]
    inputs, targets = data(3)
    for t in range(T):
        now, f = slice(t, t + 1), sim.weights["F"].astype(float)
        seen = sim.run(inputs[now], targets[now], probes=probes, reset=t == 0).probes
        seen = {name: values[0].astype(float) for name, values in seen.items()}
        seen |= {f"{name}@0": seen[name] for name in ("hidden.x", "output.s")}
        fresh = np.zeros_like(f)
        for one, other in compared:
            dx = seen[f"hidden.x@{other}"] - seen[f"hidden.x@{one}"]
            dy = seen[f"output.s@{other}"] - seen[f"output.s@{one}"]
            left = dy - dx @ f
            fresh += 0.3 * dx.T @ (left / (dx**2).sum(1, keepdims=True)) / 3 / len(compared)
        assert np.abs(fresh).max() > 1e-2
        np.testing.assert_allclose(sim.weights["F"] - f, fresh, atol=2e-4 * np.abs(fresh).max())


@pytest.mark.parametrize("pairs", [0, 1])
@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_learned_feedback_takes_the_one_step_gradient(tau, decorrelate, pairs):
    """Once F is what it becomes; the readout's delta rule is exact whatever F is."""
    rule = ns.LearnedFeedback(1.0, 0.1, schedule="sequence", pairs=pairs)
    sim = build(rule, 3, tau, decorrelate, transposed=True)
    start, (inputs, targets) = sim.weights, data(3)
    found = change(sim, inputs, targets)
    assert equal(found, gradient(start, inputs, targets, chunk=1, tau=tau))
    assert not equal(found, gradient(start, inputs, targets, tau=tau), "AR", 1e-2)
    bent = build(rule, 3, tau, decorrelate)
    other = change(bent, inputs, targets)
    assert not equal(other, found, "AR", 0.1)
    trace = forward(start, inputs, tau=tau)
    exact = np.einsum("tbo,tbi->oi", 2 * (trace["y"] - targets), trace["s"]) / 3
    assert equal({"B": other["B"]}, {"B": exact}, "B")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_noise_reaches_what_is_learnt_by_feedback(engine):
    """Noise is in the hidden population alone, and only F feels it."""
    rule = ns.LearnedFeedback(1.0, 0.1, schedule="sequence")
    probes = [ns.Probe(p, "noise", pass_=1) for p in ("hidden", "output")]
    ends, noises = [], []
    for seed in (1, 2):
        sim = build(rule, 3, engine=engine, transposed=True, seed=seed)
        seen = sim.run(*data(3), probes=probes).probes
        ends.append(sim.weights)
        noises.append(seen["hidden.noise@1"])
        assert not seen["output.noise@1"].any()
    assert (noises[0] != noises[1]).all()
    for name in "ARB":
        np.testing.assert_allclose(ends[0][name], ends[1][name], atol=1e-5)


def test_feedback_is_learnt_though_noise_is_all_that_differs():
    """Negative control: with ``F`` at zero the hidden population learns nothing at all at first."""
    sim = build(ns.LearnedFeedback(1.0, 0.1, schedule="online"), 3)
    start, (inputs, targets) = sim.weights, data(3)
    sim.run(inputs[:1], targets[:1])
    assert np.array_equal(sim.weights["A"], start["A"])
    assert not np.array_equal(sim.weights["B"], start["B"])
    sim.run(inputs[1:2], targets[1:2], reset=False)
    assert not np.array_equal(sim.weights["A"], start["A"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.RFLO, ns.LearnedFeedback])
def test_changes_are_normalised_by_what_each_projection_transmits(rule, engine):
    inputs, targets = data(3)
    if rule is ns.RFLO:
        sim = build(rule(0.5, normalise=0.7), 3, 3.0, True, engine)
        expected = rflo(sim.weights, inputs, targets, 0.5, 3.0, normalise=0.7)
        expected = {name: values[0] - values[-1] for name, values in expected.items()}
    else:
        given = {"schedule": "sequence", "normalise": 0.7}
        sim = build(rule(1.0, 0.1, **given), 3, 1.0, True, engine, transposed=True)
        w = {name: values.astype(float) for name, values in sim.weights.items()}
        trace = forward(w, inputs)
        error = 2 * (trace["y"] - targets)
        hidden = (error @ w["F"].T) * (1 - np.tanh(trace["a"]) ** 2)
        expected = {}
        for name, pre in presynaptic(trace, inputs).items():
            shrunk = pre / (0.7 + (pre**2).sum(axis=2, keepdims=True))
            signal = error if name == "B" else hidden
            expected[name] = np.einsum("tbi,tbj->ij", signal, shrunk) / 3
    assert equal(change(sim, inputs, targets), expected)


@dataclass(frozen=True)
class Nameless:
    """A neuron model without a slope."""

    @staticmethod
    def activity(a):
        return a


@pytest.mark.parametrize("rule", [ns.RFLO(0.1), ns.LearnedFeedback(0.1)])
def test_a_neuron_without_a_slope_cannot_learn_by_feedback(rule):
    said = (
        rf"{type(rule).__name__}: population 'hidden' has neuron = Nameless\(\), which has no "
        rf"function slope\(\)"
    )
    for engine in ENGINES:
        with pytest.raises(ns.InputError, match=said):
            ns.Simulator(ns.rnn(2, 3, 1, neuron=Nameless()), rule, engine=engine)
    ns.Simulator(ns.rnn(2, 3, 1, neuron=Nameless()), ns.NP(0.1))
