"""A bias, wherever it has to be thought of: referee, probes, sizes."""

from __future__ import annotations

import numpy as np
import pytest

import neurosim as ns

GENERATOR = np.random.default_rng(4)
INPUTS, TARGETS = GENERATOR.normal(size=(2, 9, 3, 2))


def weights_with_bias(decorrelate):
    net = ns.rnn(2, 6, 2, decorrelate=decorrelate, bias=0.5, seed=1)
    weights = {name: w.astype(float) for name, w in net.initial_weights().items()}
    if decorrelate:
        weights["D"] += 0.2 * GENERATOR.normal(size=(6, 6))
    return weights


@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_its_gradient_is_that_by_finite_differences(decorrelate, tau):
    weights = weights_with_bias(decorrelate)
    _, found = ns.bptt.gradients(weights, INPUTS, TARGETS, tau=tau)
    h, expected = 1e-5, np.zeros((6, 1))
    for i in range(6):
        sides = []
        for sign in (1, -1):
            moved = {**weights, "b": weights["b"].copy()}
            moved["b"][i] += sign * h
            sides.append(ns.bptt.gradients(moved, INPUTS, TARGETS, tau=tau)[0])
        expected[i] = (sides[0] - sides[1]) / (2 * h)
    assert np.abs(found["b"] - expected).max() < 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("reach", [{"truncate": 1}, {"truncate": 4}, {"chunk": 3}])
def test_it_is_an_input_that_is_always_one(reach):
    weights = weights_with_bias(True)
    loss, found = ns.bptt.gradients(weights, INPUTS, TARGETS, **reach)
    bias = weights.pop("b")
    wider = {**weights, "A": np.hstack([weights["A"], bias])}
    ones = np.concatenate([INPUTS, np.ones((9, 3, 1))], axis=2)
    same_loss, same = ns.bptt.gradients(wider, ones, TARGETS, **reach)
    assert loss == pytest.approx(same_loss, rel=1e-12)
    np.testing.assert_allclose(np.hstack([found["A"], found["b"]]), same["A"], rtol=1e-9)
    for name in "RB":
        np.testing.assert_allclose(found[name], same[name], rtol=1e-9)


def test_the_referee_learns_it():
    net = ns.rnn(2, 6, 2, bias=0.5, seed=1)
    start = net.initial_weights()
    sim = ns.Simulator(net, ns.BPTT(0.1, optimiser="sgd"), batch=3)
    _, gradients = ns.bptt.gradients(start, INPUTS.astype(np.float32), TARGETS.astype(np.float32))
    probes = [ns.Probe("one", "x"), ns.Probe("b", "w", steps=[8])]
    record = sim.run(INPUTS, TARGETS, probes=probes)
    assert (record.probes["one.x"] == 1).all()
    for name, gradient in gradients.items():
        expected = start[name] - 0.1 * gradient
        np.testing.assert_allclose(sim.weights[name], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(record.probes["b.w"][0], sim.weights["b"])


def test_referee_and_engine_send_the_same_through_it():
    net = ns.rnn(2, 6, 2, bias=0.5, seed=1)
    outputs = [
        ns.Simulator(net, rule, batch=3).evaluate(INPUTS, TARGETS).outputs
        for rule in (ns.BPTT(0.1), ns.ANP(0.1))
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)


@pytest.mark.parametrize("scale", ["network", "published"])
def test_it_does_not_count_as_a_neuron_where_rewards_are_scaled(scale):
    factors = []
    for bias in (0.0, 0.5):
        net = ns.rnn(2, 6, 2, bias=bias)
        plan = ns.Simulator(net, ns.ANP(0.1, scale=scale), batch=3)._plan
        factors.append([plan.factor(net.population(name)) for name in ("hidden", "output")])
    assert factors[0] == factors[1]


def test_feedback_weights_can_be_probed():
    sim = ns.Simulator(ns.rnn(2, 6, 2), ns.LearnedFeedback(0.1), batch=3)
    record = sim.run(INPUTS, TARGETS, probes=[ns.Probe("F", "w", units=[0, 5])])
    assert record.probes["F.w"].shape == (9, 2, 2)
    np.testing.assert_array_equal(record.probes["F.w"][-1], sim.weights["F"][[0, 5]])


def test_updates_of_a_network_with_a_bias_are_compared_with_its_gradients():
    sim = ns.Simulator(ns.rnn(2, 6, 2, bias=0.5, seed=1), ns.BPTT(0.1, truncate=2), batch=3)
    frame = ns.align(sim, INPUTS, TARGETS, truncations=[2], progress=False).frame
    own = frame[frame.reference == "k=2"].set_index("projection")
    assert set(own.index) == {"A", "R", "B", "b", "hidden", "all"}
    np.testing.assert_allclose(own.cosine, 1, atol=1e-5)
    np.testing.assert_allclose(own.scale, 1, atol=1e-4)
