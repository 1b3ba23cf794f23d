"""Every engine computes what the oracle computes, for everything that can be chosen."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from agreement import CREDITS, NEURONS, ROUNDING, STEPS, agree, both, report_the_same

import neurosim as ns
from neurosim.engines import objects

RULES = {"NP": (ns.NP, 1e-2), "ANP": (ns.ANP, 1e-2), "WP": (ns.WP, 1e-3)}
DECORRELATIONS = {"none": None, "Eq. 6": ns.Decorrelation(1e-2)}
OPTIONS = [
    {},
    {"reward_scope": "batch"},
    {"pairs": 1},
    {"pairs": 2, "reward_scope": "batch"},
    {"distribution": "rademacher"},
    {"resync_every": 1},
    {"resync_every": 3, "pairs": 1},
    {"scale": "published"},
]


@pytest.mark.parametrize("decorrelation", DECORRELATIONS)
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("rule", RULES)
def test_engines_agree_on_every_rule_neuron_and_decorrelation(rule, neuron, decorrelation):
    """Every rule meets every credit in both scopes, by one half of the neurons or the other."""
    make, rate = RULES[rule]
    scopes = itertools.cycle(("replica", "batch"))
    for _ in range(list(NEURONS).index(neuron) % 2):
        next(scopes)
    for credit, scope in zip(CREDITS, scopes, strict=False):
        learning = make(learning_rate=rate / 10, noise_std=1e-2, reward_scope=scope, **credit)
        both(learning, NEURONS[neuron], DECORRELATIONS[decorrelation])


@pytest.mark.parametrize("credit", CREDITS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_engines_agree_on_every_option(rule, credit):
    make, rate = RULES[rule]
    for option in OPTIONS:
        if credit.get("reward", "local") != "local" and "resync_every" in option:
            continue  # refused: see test_local
        learning = make(**{"learning_rate": rate / 10, "noise_std": 1e-2, **credit, **option})
        both(learning, ns.Tanh(), ns.Decorrelation(1e-2))


def test_engines_agree_on_decorrelation_without_the_retrograde_sum():
    both(ns.ANP(1e-3, noise_std=1e-2), ns.Tanh(), ns.LocalDecorrelation(1e-2))


# A vector holds 4, 8 or 16 numbers; a block of work 4 vectors; tiles have 10 lanes, or 4, 2, 1.
SIZES = [*itertools.product([1, 15, 16, 17], [1, 2, 5, 8, 10, 11])]
SIZES += [*itertools.product([63, 65], [1, 5, 11]), (130, 1), (130, 11)]


@pytest.mark.parametrize("decorrelation", DECORRELATIONS)
@pytest.mark.parametrize(("hidden", "batch"), SIZES)
def test_engines_agree_at_every_size(hidden, batch, decorrelation, monkeypatch):
    monkeypatch.setattr(objects, "LARGEST", 40_000)
    make = ns.NP if hidden == 1 else ns.ANP  # ANP divides by a power, one neuron's may be tiny
    rule, steps = make(1e-3, noise_std=0.1), 4 if hidden < 60 else 2
    both(rule, ns.Tanh(), DECORRELATIONS[decorrelation], hidden, batch, steps)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("rule", ["NP", "WP"])
@pytest.mark.parametrize("option", [{}, {"window": 2}, {"pairs": 1}], ids=str)
def test_engines_agree_across_blocks_whatever_is_perturbed(rule, option, batch):
    make, rate = RULES[rule]
    learning = make(rate / 100, noise_std=1e-2, **option)
    both(learning, ns.Tanh(tau=2.0), None, hidden=70, batch=batch, steps=4)


@dataclass(frozen=True)
class Branching:
    """A rule of one's own that no vector can do, and a loop through a library besides."""

    learning_rate: float
    noise_std: float = 1e-2

    @staticmethod
    def reward(delta_loss, n):
        return math.copysign(math.log1p(abs(delta_loss)), delta_loss) * n

    @staticmethod
    def neuron(a, noise, reward):
        return 10 * reward * noise if a > 0 else -reward

    @staticmethod
    def synapse(pre, signal):
        if pre * signal > 0:
            return math.log(1 + pre * signal)
        return signal if pre > 0.1 else 0


@dataclass(frozen=True)
class BranchingOutlets:
    learning_rate: float

    @staticmethod
    def synapse(post, pre, weight, retrograde, different):
        if different == 0:
            return 0
        return math.atan(post * pre) if retrograde > weight else post


@pytest.mark.parametrize("batch", [1, 3])
def test_engines_agree_on_rules_that_branch(batch):
    both(Branching(1e-4), ns.Tanh(), BranchingOutlets(1e-3), hidden=21, batch=batch)


CONTINUED = {
    "online": ns.ANP(1e-3, noise_std=1e-2),
    "resync": ns.NP(1e-3, noise_std=1e-2, resync_every=3),
    "window": ns.ANP(1e-3, noise_std=1e-2, window=4, pairs=1),
    "to go": ns.NP(1e-3, noise_std=1e-2, reward="return_to_go", window=3, resync_every=3),
    "weights": ns.WP(1e-4, noise_std=1e-2),
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("decorrelation", DECORRELATIONS)
@pytest.mark.parametrize("rule", CONTINUED)
def test_engines_agree_when_runs_go_on_and_learning_pauses(rule, decorrelation, batch):
    """What was sent is kept from run to run; a run may be as short as one step."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(STEPS, batch, 3))
    targets = generator.normal(size=(STEPS, batch, 2))
    net = ns.rnn(3, 18, 2, decorrelate=decorrelation != "none", neuron=ns.Tanh(tau=2.0), seed=2)
    given = (net, CONTINUED[rule], DECORRELATIONS[decorrelation])
    oracle, engine = (
        ns.Simulator(*given, batch=batch, engine=name, seed=1) for name in ("objects", "cpu")
    )
    runs = [(0, 4, True), (4, 5, True), (5, 7, False), (7, 8, False), (8, 9, True), (0, 3, True)]
    for start, stop, learn in runs:
        some = slice(start, stop)
        expected, got = (
            sim.run(inputs[some], targets[some], learn, outputs=True, reset=False)
            for sim in (oracle, engine)
        )
        report_the_same(got, expected)
        agree(engine, oracle, net.initial_weights())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rates", [{"B": 1e-2}, {"A": 1e-3, "R": 2e-3}, {"R": 1e-3, "B": 1e-3}])
def test_engines_agree_on_frozen_projections(rule, rates):
    make, _ = RULES[rule]
    net = ns.rnn(2, 5, 1, seed=4)
    inputs, targets = np.ones((5, 1, 2)), np.ones((5, 1, 1))
    ends = []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(net, make(learning_rate=rates, noise_std=1e-2), engine=engine)
        sim.run(inputs, targets)
        ends.append(sim.weights)
        for name, start in net.initial_weights().items():
            assert (name in rates) == bool(np.any(ends[-1][name] != start))
    for name in ends[0]:
        np.testing.assert_allclose(ends[1][name], ends[0][name], atol=2e-6)


@pytest.mark.parametrize("scale", ["population", "network", "published"])
def test_engines_agree_on_scales(scale):
    both(ns.ANP(learning_rate=1e-3, noise_std=1e-2, scale=scale), ns.Tanh(), None)


def test_engines_agree_on_a_noisy_chip():
    rule = ns.NP(learning_rate=1e-4, noise_std=1e-2)
    both(rule, ns.Tanh(), None, substrate=ns.Substrate(act_noise=0.05))


@pytest.mark.parametrize(("first", "second"), [(17, 4), (70, 33)])
def test_engines_agree_on_deep_networks(first, second):
    """Nothing in an engine knows the paper's network: two hidden populations, a skip, feedback."""
    net = ns.Network(
        populations=(
            ns.Population("retina", 3),
            ns.Population("first", first, ns.ReLU(), decorrelation="D1"),
            ns.Population("second", second, ns.Tanh(tau=2.0), decorrelation="D2"),
            ns.Population("out", 2, ns.Linear()),
        ),
        projections=(
            ns.Projection("in", "retina", "first"),
            ns.Projection("up", "first", "second"),
            ns.Projection("skip", "retina", "second"),
            ns.Projection("back", "second", "first", delay=1),
            ns.Projection("loop", "second", "second", delay=1),
            ns.Projection("read", "second", "out"),
        ),
        seed=6,
    )
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(7, 2, 3)), generator.normal(size=(7, 2, 2))
    rule = ns.ANP(1e-3, noise_std=1e-2, reward="return_to_go", window=3, resync_every=3)
    ends = []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(net, rule, ns.Decorrelation(1e-2), batch=2, engine=engine, seed=1)
        sim.run(inputs, targets)
        ends.append(sim.weights)
    for name, start in net.initial_weights().items():
        change = np.abs(ends[0][name] - start).max()
        assert change > 0
        assert np.abs(ends[0][name] - ends[1][name]).max() <= ROUNDING * change


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_a_pass_without_perturbation_is_the_baseline_bit_for_bit(batch, pairs):
    """Only the readout learns, so nothing is injected into the hidden population."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(4, batch, 9))
    sim = ns.Simulator(ns.rnn(9, 30, 1), ns.ANP({"B": 1e-3}, pairs=pairs), batch=batch)
    passes = range(1 + (2 * pairs or 1))
    probes = [ns.Probe("hidden", "a", pass_=p) for p in passes]
    seen = sim.run(inputs, inputs[..., :1], probes=probes).probes
    for probe in probes[1:]:
        np.testing.assert_array_equal(seen[probe.name], seen["hidden.a"])


def test_weights_without_presynaptic_activity_are_perturbed_all_the_same():
    """Eq. 5 sums over all steps; at the first, R's noise meets nothing and is credited still."""
    net, ends = ns.rnn(9, 20, 1), []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(net, ns.WP({"R": 1e-4, "B": 1e-4}, noise_std=0.05), engine=engine)
        sim.run(np.ones((1, 1, 9)), np.ones((1, 1, 1)))
        ends.append(sim.weights["R"] - net.initial_weights()["R"])
    assert np.abs(ends[0]).max() > 1e-6
    np.testing.assert_allclose(ends[1], ends[0], atol=ROUNDING * np.abs(ends[0]).max() + 1e-7)
