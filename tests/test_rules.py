"""Rules: their compiled types, their options at work, and rules of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numba import njit, types

import neurosim as ns
from neurosim.engines.compile import OUTER, adapted
from neurosim.engines.vectors import vector
from neurosim.local import DECORRELATION, NEURON, REWARD, SYNAPSE, scalar

ENGINES = ["objects", "cpu"]
NET = ns.rnn(2, 4, 1, seed=3)
RNG = np.random.default_rng(1)
INPUTS = RNG.standard_normal((6, 2, 2)).astype(np.float32)
TARGETS = RNG.standard_normal((6, 2, 1)).astype(np.float32)


@dataclass(frozen=True)
class Own:
    """ANP as a plain class, every function with everything it may ask for."""

    learning_rate: float
    noise_std: float = 1e-3

    @staticmethod
    def reward(delta_loss, power, n):
        return n * delta_loss / power

    @staticmethod
    def neuron(a, a_perturbed, noise, reward):
        return reward * (a_perturbed - a)

    @staticmethod
    def synapse(pre, signal, noise, reward):
        return signal * pre


def half(value):
    return value / (value / value + value / value)


def a_quarter(value):
    return half(half(value))


class Helped(Own):
    @staticmethod
    def synapse(pre, signal):
        return a_quarter(signal) * math.tanh(pre)


class Nosy(Own):
    @staticmethod
    def neuron(a, loss):
        return a * loss


class NosyReward(Own):
    @staticmethod
    def reward(delta_loss, weights):
        return delta_loss


class NosySynapse(Own):
    @staticmethod
    def synapse(pre, post):
        return pre * post


class NosyDecorrelation(ns.Decorrelation):
    @staticmethod
    def synapse(post, signal):
        return post * signal


class OnePass(Own):
    passes = 1


class Silent(Own):
    synapse = None


def trained(rule, engine="objects", network=NET, runs=1, probes=(), **more):
    sim = ns.Simulator(network, rule=rule, batch=2, engine=engine, seed=5, **more)
    for _ in range(runs):
        record = sim.run(INPUTS, TARGETS, probes=probes)
    return sim, record


def same(weights, others):
    return {name: np.array_equal(w, others[name]) for name, w in weights.items()}


# ------------------------------------------------------------- compiled types

FUNCTIONS = [
    (rule, place, known)
    for rule in (ns.ANP, ns.NP, ns.WP, Helped)
    for place, known in (("reward", REWARD), ("neuron", NEURON), ("synapse", SYNAPSE))
    if scalar(rule, place) is not None
] + [(rule, "synapse", DECORRELATION) for rule in (ns.Decorrelation, ns.LocalDecorrelation)]


@pytest.mark.parametrize(("rule", "place", "known"), FUNCTIONS)
def test_compiled_for_float32_they_return_float32(rule, place, known):
    function = adapted(scalar(rule, place), known, rule.__name__)
    function.compile((types.float32,) * len(known))
    returned = {s.args: s.return_type for s in function.nopython_signatures}
    assert returned.pop((types.float32,) * len(known)) == types.float32
    # The rest are those of vectors; what does not depend on a vector may be a number.
    assert all(vector in given for given in returned)
    assert set(returned.values()) <= {vector, types.float32}


def test_helpers_are_compiled_with_the_function_that_calls_them():
    function = adapted(Helped.synapse, SYNAPSE, "Helped")

    @njit(**OUTER)
    def call(pre, signal, noise, reward):
        return function(pre, signal, noise, reward)

    assert call(0.5, 2.0, 0.0, 0.0) == pytest.approx(0.5 * math.tanh(0.5))
    assert scalar(Helped, "synapse")(0.5, 2.0) == pytest.approx(0.5 * math.tanh(0.5))


def test_no_function_always_answers_nothing():
    function = adapted(None, NEURON, "WP")

    @njit(**OUTER)
    def call(a, b, c, d, e, f):
        return function(a, b, c, d, e, f)

    assert call(1.0, 2.0, 3.0, 4.0, 5.0, 6.0) == 0


# ---------------------------------------------------------- rules of one's own


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plain_class_with_the_same_functions_learns_the_same_to_the_bit(engine):
    own, record = trained(Own(1e-2), engine)
    built_in, expected = trained(ns.ANP(1e-2), engine)
    assert all(same(own.weights, built_in.weights).values())
    assert not any(same(own.weights, NET.initial_weights()).values())
    np.testing.assert_array_equal(record.loss, expected.loss)
    for name, reward in expected.reward.items():
        np.testing.assert_array_equal(record.reward[name], reward)


def test_a_rule_with_helpers_learns_what_they_say():
    helped, _ = trained(Helped({"B": 1e-2}))
    plain, _ = trained(Own({"B": 1e-2}))
    assert same(helped.weights, plain.weights) == {"A": True, "R": True, "B": False}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Nosy(1e-3), r"Nosy: neuron\(\) asks for 'loss', which is not local to it; .*: a, a_pert"),
        (NosyReward(1e-3), r"NosyReward: reward\(\) asks for 'weights', .*: delta_loss, power, n"),
        (NosySynapse(1e-3), r"NosySynapse: synapse\(\) asks for 'post', .*: pre, signal, noise"),
        (OnePass(1e-3), r"OnePass: reward\(\) asks for 'delta_loss', but with passes = 1 there"),
        (Silent(1e-3), r"Simulator: rule = Silent.* must be an instance of a rule, .* synapse\(\)"),
        (ns.ANP, r"Simulator: rule = <class .*ANP'> must be an instance of a rule"),
        ("ANP", r"Simulator: rule = 'ANP' must be an instance of a rule"),
        (ns.Decorrelation(1e-3), r"Decorrelation: synapse\(\) asks for 'post', which is not local"),
        (ns.ANP({"C": 1e-3}), r"ANP: learning_rate\['C'\] names no projection; .*known: A, B, R"),
        (Own({"C": 1e-3}), r"Own: learning_rate\['C'\] names no projection"),
        (Own("fast"), r"Own: learning_rate = 'fast' must be a finite number > 0"),
        (Own(1e-3, noise_std=0), r"Own: noise_std = 0 must be a finite number > 0"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_simulator_refuses_a_rule(rule, said, engine):
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(NET, rule=rule, engine=engine)


@pytest.mark.parametrize(
    ("network", "decorrelation", "said"),
    [
        (NET, ns.Decorrelation(1e-3), r"has nothing to act on; build .* with decorrelate=True"),
        (None, ns.Decorrelation, r"decorrelation = <class .* must be an instance such as Decorr"),
        (None, 1e-3, r"decorrelation = 0\.001 must be an instance such as"),
        (None, ns.ANP(1e-3), r"ANP: synapse\(\) asks for 'signal', which is not local"),
        (None, NosyDecorrelation(1e-3), r"NosyDecorrelation: .*'signal', .*: post, pre, weight"),
    ],
)
def test_a_simulator_refuses_a_decorrelation(network, decorrelation, said):
    net = network or ns.rnn(2, 4, 1, decorrelate=True)
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(net, decorrelation=decorrelation)


# ------------------------------------------------------------- options at work


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.ANP, ns.NP, ns.WP])
@pytest.mark.parametrize("learning", [{"B"}, {"A", "R"}, {"R"}])
def test_projections_that_are_not_named_stay_as_they_are_to_the_bit(engine, rule, learning):
    sim, record = trained(rule(dict.fromkeys(learning, 1e-2)), engine, runs=2)
    kept = same(sim.weights, NET.initial_weights())
    assert kept == {name: name not in learning for name in "ARB"}
    assert (
        record.weight_writes.tolist() == [sum({"A": 8, "R": 16, "B": 4}[n] for n in learning)] * 6
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.ANP, ns.NP, ns.WP])
def test_nothing_is_injected_where_nothing_learns(engine, rule):
    probes = [ns.Probe(p, "a", pass_=k) for p in ("hidden", "output") for k in (0, 1)]
    probes += [ns.Probe("hidden", "noise", pass_=1)]
    _, record = trained(rule({"B": 1e-2}), engine, probes=probes)
    seen = record.probes
    np.testing.assert_array_equal(seen["hidden.a"], seen["hidden.a@1"])
    assert (seen["output.a"] != seen["output.a@1"]).all()
    assert not seen["hidden.noise@1"].any()
    assert not record.reward["A"].any()
    assert not record.reward["R"].any()
    assert record.reward["B"].all()


@pytest.mark.parametrize("rule", [ns.ANP, ns.NP])
def test_who_else_learns_does_not_shift_ones_noise(rule):
    probe = ns.Probe("output", "noise", pass_=1)
    _, one = trained(rule({"B": 1e-2}), probes=[probe])
    _, all_ = trained(rule(1e-2), probes=[probe])
    np.testing.assert_array_equal(one.probes[probe.name], all_.probes[probe.name])


@pytest.mark.parametrize("engine", ENGINES)
def test_one_rate_is_the_same_rate_for_each(engine):
    one, _ = trained(ns.ANP(1e-2), engine)
    each, _ = trained(ns.ANP(dict.fromkeys("ARB", 1e-2)), engine)
    assert all(same(one.weights, each.weights).values())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.ANP, ns.NP, ns.WP])
@pytest.mark.parametrize("scope", [{"reward_scope": "batch"}, {"scale": "published"}])
def test_a_batch_wide_reward_is_the_same_in_all_replicas(engine, rule, scope):
    _, record = trained(rule(1e-4, **scope), engine)
    _, own = trained(rule(1e-4), engine)
    for name in "ARB":
        np.testing.assert_array_equal(record.reward[name][:, 0], record.reward[name][:, 1])
        assert (own.reward[name][:, 0] != own.reward[name][:, 1]).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"window": 4}, [3, 5]),
        ({"schedule": "sequence"}, [5]),
        ({"reward": "global"}, [5]),
        ({"reward": "global", "window": 2}, [1, 3, 5]),
        ({"reward": "return_to_go", "window": 3}, [2, 5]),
        ({"reward": "return_to_go", "window": 3, "schedule": "online"}, [0, 1, 2, 3, 4, 5]),
        ({"reward": "global", "window": 3, "schedule": "sequence"}, [5]),
    ],
)
def test_weights_are_written_when_the_schedule_says(engine, given, steps):
    probe = ns.Probe("A", "w")
    _, record = trained(ns.NP(1e-2, **given), engine, probes=[probe])
    w = np.concatenate([[NET.initial_weights()["A"]], record.probes["A.w"]])
    changed = [t for t in range(6) if not np.array_equal(w[t], w[t + 1])]
    assert changed == steps == np.flatnonzero(record.weight_writes).tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_global_reward_is_broadcast_once_an_episode(engine):
    _, record = trained(ns.NP(1e-2, reward="global", window=3), engine)
    for name in "ARB":
        assert np.flatnonzero(record.reward[name].any(axis=1)).tolist() == [2, 5]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_global_reward_is_the_sum_over_its_episode(engine):
    # A reward to go is broadcast as it comes; next to nothing is learnt meanwhile.
    _, coming = trained(ns.NP(1e-12, reward="return_to_go", window=3), engine)
    _, summed = trained(ns.NP(1e-12, reward="global", window=3), engine)
    for name in "AR":
        expected = coming.reward[name].reshape(2, 3, 2).sum(axis=1)
        np.testing.assert_allclose(summed.reward[name][[2, 5]], expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_resynchronised_passes_have_the_baselines_state(engine):
    # At a multiple of resync_every the passes differ by this step's noise alone.
    probes = [ns.Probe("hidden", v, pass_=k) for k in (0, 1) for v in "a"]
    probes += [ns.Probe("hidden", "noise", pass_=1)]
    _, record = trained(ns.NP(1e-4, resync_every=3, noise_std=0.1), engine, probes=probes)
    seen = record.probes
    left = np.abs(seen["hidden.a@1"] - seen["hidden.a"] - seen["hidden.noise@1"]).max(axis=(1, 2))
    assert (left[[0, 3]] < 1e-6).all()
    assert (left[[1, 2, 4, 5]] > 1e-3).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("distribution", ["normal", "rademacher"])
def test_antithetic_passes_get_opposite_noise(engine, distribution):
    rule = ns.NP(1e-4, noise_std=0.125, pairs=2, distribution=distribution)
    probes = [ns.Probe("hidden", "a", pass_=k) for k in range(5)]
    probes += [ns.Probe("hidden", "noise", pass_=k) for k in range(1, 5)]
    _, record = trained(rule, engine, probes=probes)
    seen = {name: values[0] for name, values in record.probes.items()}
    for plus, minus in ((1, 2), (3, 4)):
        drawn = seen[f"hidden.noise@{plus}"]
        np.testing.assert_array_equal(drawn, seen[f"hidden.noise@{minus}"])
        np.testing.assert_allclose(seen[f"hidden.a@{plus}"] - seen["hidden.a"], drawn, atol=1e-6)
        np.testing.assert_allclose(seen["hidden.a"] - seen[f"hidden.a@{minus}"], drawn, atol=1e-6)
        assert distribution == "normal" or (np.abs(drawn) == 0.125).all()
    assert (seen["hidden.noise@1"] != seen["hidden.noise@3"]).any()
