"""What synapses make of the changes that a rule calls for: momentum and Adam."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numba import types

import neurosim as ns
from neurosim import describe
from neurosim.engines.compile import adapted
from neurosim.local import FIRST, SECOND, STEP, scalar
from neurosim.optimisers import OPTIMISERS, Adam, Momentum

ENGINES = ["objects", "cpu"]
T, BATCH, N = 6, 2, 5
NET = ns.rnn(2, N, 2, decorrelate=True, neuron=ns.Tanh(tau=2.0), seed=3)
RATE, BETA1, BETA2, EPSILON = 0.02, 0.8, 0.95, 1e-3
HOW = {"beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON}
KINDS = ["momentum", "adam"]


def data(seed=0, steps=T):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(steps, BATCH, 2)), generator.normal(size=(steps, BATCH, 2))


def build(rule, engine="cpu", net=NET):
    return ns.Simulator(net, rule, batch=BATCH, engine=engine, seed=5)


class Reference:
    """Kingma and Ba's algorithm 1, and the heavy ball, in NumPy, on changes of any shape."""

    def __init__(self, kind, beta1=BETA1, beta2=BETA2, epsilon=EPSILON):
        self.kind, self.betas, self.epsilon = kind, (beta1, beta2), epsilon
        self.first, self.second, self.updates = 0.0, 0.0, 0

    def step(self, change):
        beta1, beta2 = self.betas
        self.updates += 1
        if self.kind == "momentum":
            self.first = beta1 * self.first + change
            return self.first
        self.first = beta1 * self.first + (1 - beta1) * change
        self.second = beta2 * self.second + (1 - beta2) * change**2
        mean = self.first / (1 - beta1**self.updates)
        square = self.second / (1 - beta2**self.updates)
        return mean / (np.sqrt(square) + self.epsilon)


CHANGES = {
    "online": (ns.NP, {"noise_std": 0.1}, 1),
    "window": (ns.NP, {"noise_std": 0.1, "window": 3}, 3),
    "sequence": (ns.NP, {"noise_std": 0.1, "schedule": "sequence"}, T),
    "to go": (ns.NP, {"noise_std": 0.1, "reward": "return_to_go", "window": 2}, 2),
    "feedback": (ns.RFLO, {"schedule": "sequence"}, T),
    "weights": (ns.WP, {"noise_std": 0.1, "window": 3, "reward": "global"}, 3),
    "normalised": (ns.ANP, {"noise_std": 0.1, "normalise": 0.5, "layers": "separate"}, 1),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CHANGES)
def test_weights_are_what_the_optimiser_makes_of_a_rules_changes(case, kind, engine):
    """A twin with rate 1 and no optimiser tells the changes, from the same weights and noise."""
    make, given, every = CHANGES[case]
    rates = {"A": RATE, "R": RATE / 2, "B": RATE}
    sim = build(make(rates, optimiser=kind, **HOW, **given), engine)
    twin = build(make(1.0, **given), engine)
    optimisers = {name: Reference(kind) for name in "ARB"}
    for run in range(3):
        inputs, targets = data(run)
        for begin in range(0, T, every):
            now, before = slice(begin, begin + every), sim.weights
            twin.weights = before
            for one in (sim, twin):
                one.run(inputs[now], targets[now], reset=begin == 0)
            assert sim.step == twin.step
            for name, optimiser in optimisers.items():
                change = before[name].astype(float) - twin.weights[name]
                step = rates[name] * optimiser.step(change)
                found = before[name].astype(float) - sim.weights[name]
                assert np.abs(step).max() > 1e-5 or (name, run, begin) == ("R", 0, 0)  # at rest
                allowed = 3e-7 + 2e-3 * np.abs(step).max()
                np.testing.assert_allclose(found, step, atol=allowed)
    assert optimisers["A"].updates == 3 * T // every


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_within_a_run_every_update_counts(kind, engine):
    """One run of many steps is many runs of one step."""
    rule = ns.ANP(RATE, 0.1, optimiser=kind, **HOW)
    whole, parts = build(rule, engine), build(rule, engine)
    inputs, targets = data()
    whole.run(inputs, targets)
    for t in range(T):
        parts.run(inputs[t : t + 1], targets[t : t + 1], reset=t == 0)
    for name, weights in whole.weights.items():
        np.testing.assert_array_equal(parts.weights[name], weights)


@pytest.mark.parametrize("engine", ENGINES)
def test_adams_first_step_is_the_rate_whatever_the_size_of_the_change(engine):
    """The sign of the change, where epsilon is next to nothing."""
    moved = []
    for scale in (1.0, 30.0):
        sim = build(ns.RFLO(0.01, optimiser="adam", schedule="sequence", epsilon=1e-12), engine)
        before, (inputs, targets) = sim.weights["B"].astype(float), data()
        sim.run(inputs, scale * targets)
        moved.append(before - sim.weights["B"])
        np.testing.assert_allclose(np.abs(moved[-1]), 0.01, rtol=1e-3)
    assert (moved[0] * moved[1] > 0).any()


def test_without_memory_momentum_is_no_optimiser():
    ends = [build(ns.ANP(RATE, 0.1, **given)) for given in ({}, {"optimiser": "momentum"})]
    ends.append(build(ns.ANP(RATE, 0.1, optimiser="momentum", beta1=0.0)))
    for sim in ends:
        sim.run(*data())
    for name in "ARB":
        np.testing.assert_allclose(ends[2].weights[name], ends[0].weights[name], atol=1e-6)
        assert np.abs(ends[1].weights[name] - ends[0].weights[name]).max() > 1e-4


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_learn_stays_as_it_is_to_the_bit(engine):
    sim = build(ns.NP({"A": RATE}, 0.1, optimiser="adam"), engine)
    start = sim.weights
    sim.run(*data())
    kept = {name for name, w in sim.weights.items() if np.array_equal(w, start[name])}
    assert kept == {"R", "B", "D"}


def test_without_learning_memories_stay_as_they_are():
    sims = [build(ns.ANP(RATE, 0.1, optimiser="adam", **HOW)) for _ in range(2)]
    for sim, learn in zip(sims, (False, True), strict=True):
        sim.run(*data())
        sim.evaluate(*data(1))
        sim.run(*data(1), learn=learn)
        sim.run(*data(2), learn=False)
    states = [sim._engine.state() for sim in sims]
    assert [state["optimiser.updates"].item() for state in states] == [T, 2 * T]
    assert not np.array_equal(*(state["R.second"] for state in states))


# ----------------------------------------------------------------------- going on

SAVED = {
    "momentum": ns.NP(RATE, 0.1, optimiser="momentum", **HOW),
    "adam": ns.ANP(RATE, 0.1, optimiser="adam", window=4, **HOW),
    "adam, feedback": ns.RFLO({"A": RATE, "B": RATE}, optimiser="adam", **HOW),
    "adam, learned feedback": ns.LearnedFeedback(RATE, 0.1, optimiser="adam", **HOW),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", SAVED)
def test_going_on_from_a_file_equals_never_having_stopped_to_the_bit(case, engine, tmp_path):
    sim = build(SAVED[case], engine)
    for run in range(2):
        sim.run(*data(run), reset=False)
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    assert loaded.rule == SAVED[case]
    for run in (2, 3):
        for one in (sim, loaded):
            one.run(*data(run), reset=False)
        for name, weights in sim.weights.items():
            np.testing.assert_array_equal(loaded.weights[name], weights)
    states = [one._engine.state() for one in (sim, loaded)]
    assert states[0].keys() == states[1].keys() >= {"optimiser.updates", "R.first", "B.second"}
    for name, values in states[0].items():
        np.testing.assert_array_equal(states[1][name], values)
    fresh = build(SAVED[case], engine)
    fresh.weights, fresh._step = ns.Simulator.load(tmp_path / "saved.npz").weights, 2 * T
    fresh.run(*data(2), reset=False)
    assert not np.array_equal(fresh.weights["A"], loaded.weights["A"])  # memories matter


@pytest.mark.parametrize("case", SAVED)
@pytest.mark.parametrize(("saved_by", "loaded_by"), [ENGINES, ENGINES[::-1]])
def test_another_engine_can_go_on(case, saved_by, loaded_by, tmp_path):
    sim = build(SAVED[case], saved_by)
    sim.run(*data())
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz", engine=loaded_by)
    before = sim.weights
    for one in (sim, loaded):
        one.run(*data(1), reset=False)
    for name in "ARB":
        moved = np.abs(sim.weights[name] - before[name]).max()
        assert moved > 0 or name == "R"
        np.testing.assert_allclose(loaded.weights[name], sim.weights[name], atol=2e-3 * moved)
    assert loaded._engine.state()["optimiser.updates"] == sim._engine.state()["optimiser.updates"]


def test_a_file_without_memories_is_not_whole(tmp_path):
    path = tmp_path / "saved.npz"
    build(ns.NP(RATE)).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    saved = json.loads(str(arrays["description"]))
    saved["rule"]["optimiser"] = "adam"
    arrays["description"] = np.array(json.dumps(saved))
    np.savez(path, **arrays)
    with pytest.raises(ns.CheckpointError, match=r"saved\.npz: damaged \(KeyError: .*updates"):
        ns.Simulator.load(path)


@pytest.mark.parametrize("rule", SAVED.values())
def test_a_rule_comes_back_with_its_optimiser(rule):
    assert describe.to_thing(json.loads(json.dumps(describe.thing(rule)))) == rule


# ---------------------------------------------------------------------- functions


def test_both_are_their_formulas():
    assert list(OPTIMISERS) == ["sgd", "momentum", "adam"]
    assert Momentum.first(2.0, 10.0, 0.9) == 11.0
    assert Momentum.step(3.0) == 3.0
    assert Adam.first(2.0, 10.0, 0.75, 0.25) == 8.0
    assert Adam.second(2.0, 8.0, 0.75, 0.25) == 7.0
    assert Adam.step(3.0, 4.0, 2.0, 4.0, 0.5) == pytest.approx(6 / 4.5)


@pytest.mark.parametrize("owner", [Momentum, Adam])
@pytest.mark.parametrize(("place", "known"), [("first", FIRST), ("second", SECOND), ("step", STEP)])
def test_compiled_for_float32_they_return_float32(owner, place, known):
    function = scalar(owner, place)
    if function is None:
        assert (owner, place) == (Momentum, "second")
        return
    made = adapted(function, known, owner.__name__)
    made.compile((types.float32,) * len(known))
    assert {s.return_type for s in made.nopython_signatures} == {types.float32}


@pytest.mark.parametrize("rule", [ns.ANP, ns.WP, ns.RFLO, ns.LearnedFeedback])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimiser": "lion"}, "optimiser = 'lion' must be one of sgd, momentum, adam"),
        ({"optimiser": None}, "optimiser = None must be one of"),
        ({"beta1": 1}, r"beta1 = 1 must be a number in \[0, 1\)"),
        ({"beta1": -0.1}, r"beta1 = -0\.1 must"),
        ({"beta2": 1.0}, r"beta2 = 1\.0 must be a number in \[0, 1\)"),
        ({"beta2": math.nan}, "beta2 = nan must"),
        ({"beta2": "0.9"}, "beta2 = '0.9' must"),
        ({"epsilon": 0}, "epsilon = 0 must be a finite number > 0"),
        ({"epsilon": math.inf}, "epsilon = inf must"),
        ({"normalise": 0}, "normalise = 0 must be None or a finite number > 0"),
        ({"normalise": -1}, "normalise = -1 must"),
        ({"normalise": math.nan}, "normalise = nan must"),
        ({"normalise": True}, "normalise = True must"),
    ],
)
def test_a_rule_refuses(rule, given, said):
    with pytest.raises(ns.InputError, match=f"^{rule.__name__}: {said}"):
        rule(1e-3, **given)
