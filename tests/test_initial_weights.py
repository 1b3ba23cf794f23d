"""What a network can start with besides Xavier's weights: orthogonal ones, and biases."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import neurosim as ns
from neurosim import describe

ENGINES = ["objects", "cpu"]
RNG = np.random.default_rng(0)
INPUTS, TARGETS = RNG.normal(size=(6, 2, 3)), RNG.normal(size=(6, 2, 1))

# ------------------------------------------------------------------- orthogonal


def matrix(shape, gain=1.0, seed=0):
    """The initial weights of one orthogonal projection."""
    net = ns.Network(
        (ns.Population("in", shape[1]), ns.Population("out", shape[0], ns.Linear())),
        (ns.Projection("P", "in", "out", gain=gain, initial="orthogonal"),),
        seed=seed,
    )
    return net.initial_weights()["P"]


@pytest.mark.parametrize("gain", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("shape", [(1, 1), (40, 40), (40, 7), (7, 40), (1, 5), (5, 1)])
def test_what_passes_through_an_orthogonal_matrix_keeps_its_length(shape, gain):
    w = matrix(shape, gain)
    assert (w.shape, w.dtype, w.flags.c_contiguous) == (shape, np.float32, True)
    w = w.astype(float) / gain
    few = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(few, np.eye(min(shape)), atol=1e-6)


def test_only_the_recurrent_weights_of_an_rnn_are_orthogonal():
    xavier = ns.rnn(3, 30, 2, gain=0.9, input_gain=2.0, seed=5)
    net = ns.rnn(3, 30, 2, gain=0.9, input_gain=2.0, recurrent="orthogonal", seed=5)
    assert [p.initial for p in net.projections] == ["xavier", "orthogonal", "xavier"]
    assert [p.gain for p in net.projections] == [2.0, 0.9, 1.0]
    w, other = net.initial_weights(), xavier.initial_weights()
    np.testing.assert_array_equal(w["A"], other["A"])
    np.testing.assert_array_equal(w["B"], other["B"])
    r = w["R"].astype(float) / 0.9
    np.testing.assert_allclose(r @ r.T, np.eye(30), atol=1e-6)
    assert np.abs(other["R"] @ other["R"].T - 0.81 * np.eye(30)).max() > 0.1
    assert not ns.rnn(3, 30, 2, gain=0.0, recurrent="orthogonal").initial_weights()["R"].any()


def test_orthogonal_matrices_have_haars_distribution():
    """Of uniform ones traces have mean 0 and variance 1; QR alone gives signs of its own."""
    seeds, n = 400, 6
    traces = np.array([np.trace(matrix((n, n), seed=seed)) for seed in range(seeds)])
    assert abs(traces.mean()) < 4 / math.sqrt(seeds)
    assert traces.var() == pytest.approx(1.0, abs=4 * math.sqrt(2 / seeds))
    signs = np.array([matrix((1, 1), seed=seed).item() for seed in range(seeds)])
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 4 / math.sqrt(seeds)
    generator = np.random.default_rng(0)  # negative control
    raw = [np.trace(np.linalg.qr(generator.normal(size=(n, n)))[0]) for _ in range(seeds)]
    assert abs(np.mean(raw)) > 4 / math.sqrt(seeds)


def test_orthogonal_matrices_depend_on_the_seed_and_the_name():
    np.testing.assert_array_equal(matrix((4, 4), seed=3), matrix((4, 4), seed=3))
    assert not np.allclose(matrix((4, 4), seed=3), matrix((4, 4), seed=4))
    np.testing.assert_allclose(matrix((4, 4), 3.0), 3 * matrix((4, 4)), rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"recurrent": "identity"}, r"'R': initial = 'identity' must be 'xavier' or 'orthogonal'"),
        ({"recurrent": None}, r"Projection 'R': initial = None must be"),
        ({"bias": -0.1}, r"rnn: bias = -0\.1 must be a finite number >= 0"),
        ({"bias": math.nan}, "rnn: bias = nan must be"),
        ({"bias": math.inf}, "rnn: bias = inf must be"),
        ({"bias": "1"}, "rnn: bias = '1' must be"),
        ({"bias": None}, "rnn: bias = None must be"),
        ({"bias": True}, "rnn: bias = True must be"),
        ({"gain": -1}, "Projection 'R': gain = -1 must be"),
        ({"input_gain": -1}, "Projection 'A': gain = -1 must be"),
    ],
)
def test_an_rnn_refuses(given, said):
    with pytest.raises(ns.InputError, match=said):
        ns.rnn(2, 3, 1, **given)


# ----------------------------------------------------------------------- biases


def test_a_bias_is_a_weight_from_a_unit_that_is_always_on():
    net = ns.rnn(3, 4, 1, bias=0.5, decorrelate=True, neuron=ns.Tanh(tau=2.0))
    assert [(p.name, p.size) for p in net.populations] == [
        ("input", 3),
        ("one", 1),
        ("hidden", 4),
        ("output", 1),
    ]
    assert net.population("one").neuron == ns.One()
    assert net.matrices == ("A", "R", "B", "b", "D")
    assert net.shape("b") == (4, 1)
    assert not net.lasts("output")


@pytest.mark.parametrize("std", [0.01, 0.5, 3.0])
def test_biases_have_their_standard_deviation(std):
    b = ns.rnn(1, 4000, 1, bias=std, seed=3).draw("b", (4000, 1), std / math.sqrt(2 / 4001))
    np.testing.assert_array_equal(ns.rnn(1, 4000, 1, bias=std, seed=3).initial_weights()["b"], b)
    assert abs(b.mean()) < 4 * std / math.sqrt(4000)
    assert b.std() == pytest.approx(std, rel=4 / math.sqrt(8000))


@pytest.mark.parametrize("given", [{}, {"decorrelate": True, "recurrent": "orthogonal"}])
def test_no_bias_leaves_everything_as_it_was(given):
    net, biased = (ns.rnn(3, 5, 1, bias=bias, seed=4, **given) for bias in (0, 0.3))
    assert net == ns.rnn(3, 5, 1, seed=4, **given)
    assert [p.name for p in net.populations] == ["input", "hidden", "output"]
    for name, w in net.initial_weights().items():
        np.testing.assert_array_equal(biased.initial_weights()[name], w)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_without_a_bias_a_network_of_tanh_units_is_odd(bias, engine):
    net = ns.rnn(3, 6, 1, bias=bias, decorrelate=True, seed=2)
    sim = ns.Simulator(net, batch=2, engine=engine)
    there, back = (sim.evaluate(s * INPUTS, TARGETS).outputs for s in (1, -1))
    assert np.allclose(there, -back, atol=1e-6) == (bias == 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bias_is_added_to_every_pre_activation(engine):
    net = ns.rnn(3, 6, 1, bias=0.5, seed=2)
    sim = ns.Simulator(net, ns.NP(1e-3), batch=2, engine=engine)
    probes = [ns.Probe("hidden", v, pass_=p) for v in "as" for p in (0, 1)]
    probes += [ns.Probe("one", v, pass_=p) for v in "xs" for p in (0, 1)]
    probes += [ns.Probe(n, "noise", pass_=1) for n in ("one", "hidden")]
    start = net.initial_weights()
    seen = sim.run(INPUTS, TARGETS, probes=probes).probes
    for name in ("one.x", "one.s", "one.x@1", "one.s@1"):
        assert (seen[name] == 1).all()
    assert not seen["one.noise@1"].any()
    expected = INPUTS[0] @ start["A"].T + start["b"][:, 0]
    np.testing.assert_allclose(seen["hidden.a"][0], expected, atol=1e-6)
    np.testing.assert_allclose(
        seen["hidden.a@1"][0], expected + seen["hidden.noise@1"][0], atol=1e-6
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "rule", [ns.NP(0.01, 0.1), ns.ANP(0.01, 0.1), ns.RFLO(0.1), ns.WP(1e-3, 0.1)]
)
def test_a_bias_learns_as_any_other_weight(rule, engine):
    """As if a fourth input had been 1 all along."""
    learnt = {}
    net = ns.rnn(3, 6, 1, bias=0.5, neuron=ns.Tanh(tau=2.0), seed=2)
    sim = ns.Simulator(net, rule, batch=2, engine=engine, seed=1)
    record = sim.run(INPUTS, TARGETS)
    assert record.reward.keys() == {"A", "R", "B", "b"}
    np.testing.assert_array_equal(record.reward["b"], record.reward["A"])
    learnt["b"] = sim.weights["b"] - net.initial_weights()["b"]
    assert np.abs(learnt["b"]).max() > 1e-4
    if isinstance(rule, ns.RFLO):  # without noise the other network can be run
        wide = ns.rnn(4, 6, 1, neuron=ns.Tanh(tau=2.0), seed=2)
        other = ns.Simulator(wide, rule, batch=2, engine=engine)
        start = net.initial_weights() | {"F": ns.Simulator(net, rule).weights["F"]}
        start["A"] = np.hstack([start["A"], start.pop("b")])
        other.weights = start
        other.run(np.concatenate([INPUTS, np.ones((6, 2, 1))], axis=2), TARGETS)
        change = other.weights["A"][:, 3:] - start["A"][:, 3:]
        np.testing.assert_allclose(learnt["b"], change, atol=1e-6)


def test_a_bias_can_be_frozen_or_learn_alone():
    for learning in ({"b"}, {"A", "R", "B"}):
        net = ns.rnn(3, 6, 1, bias=0.5)
        sim = ns.Simulator(net, ns.NP(dict.fromkeys(learning, 0.1)), batch=2)
        sim.run(INPUTS, TARGETS)
        start = net.initial_weights()
        assert {n for n, w in sim.weights.items() if (w != start[n]).any()} == learning


@pytest.mark.parametrize("engine", ENGINES)
def test_the_unit_that_is_always_on_counts(engine):
    sims = [ns.Simulator(ns.rnn(3, 6, 1, bias=b), batch=2, engine=engine) for b in (0, 1)]
    plain, biased = (sim.evaluate(INPUTS, TARGETS) for sim in sims)
    assert (biased.events - plain.events).tolist() == [2] * 6
    assert (biased.synaptic_operations - plain.synaptic_operations).tolist() == [2 * 6] * 6


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_with_biases_can_be_described_and_saved(engine, tmp_path):
    net = ns.rnn(3, 4, 1, bias=0.5, recurrent="orthogonal", gain=0.8, input_gain=2.0, seed=7)
    described = json.loads(json.dumps(describe.network(net)))
    assert describe.to_network(described) == net
    sim = ns.Simulator(net, ns.ANP(1e-2), batch=2, engine=engine)
    sim.run(INPUTS, TARGETS)
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    assert loaded.network == net
    for one in (sim, loaded):
        one.run(INPUTS, TARGETS, reset=False)
    assert loaded.weights.keys() == {"A", "R", "B", "b"}
    for name, w in sim.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], w)


def test_a_description_from_before_there_were_orthogonal_matrices_is_read():
    described = describe.network(ns.rnn(3, 4, 1))
    for projection in described["projections"]:
        del projection["initial"]
    assert describe.to_network(described) == ns.rnn(3, 4, 1)


def test_who_hears_nothing_needs_no_synapses_and_others_do():
    populations = (ns.Population("in", 1), ns.Population("one", 1, ns.One()))
    out = ns.Population("out", 1, ns.Linear())
    ns.Network((*populations, out), (ns.Projection("b", "one", "out"),))
    with pytest.raises(ns.InputError, match="population = 'out' must be the post of a projection"):
        ns.Network((*populations, out), ())
