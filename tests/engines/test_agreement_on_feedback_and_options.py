"""Engines agree on rules that feed errors back or keep traces, and on what any rule may add."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from agreement import CREDITS, NEURONS, STEPS, agree, both, report_the_same

import neurosim as ns
from neurosim.engines import objects

DECORRELATIONS = {"none": None, "Eq. 6": ns.Decorrelation(1e-2)}
PERTURBATIONS = {"NP": (ns.NP, 1e-3), "ANP": (ns.ANP, 1e-3), "WP": (ns.WP, 1e-4)}
# With a small epsilon, changes that are next to nothing would be blown up, rounding and all;
# those that perturbations call for are larger, and so is what rounding leaves of them.
ADAM = {"optimiser": "adam", "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-2}
ROUGH = {**ADAM, "epsilon": 3.0}
MOMENTUM = {"optimiser": "momentum", "beta1": 0.7}
ADDED = [{}, {"normalise": 0.5}, MOMENTUM, {"normalise": 2.0, **ADAM}]
FEEDBACK = {
    "RFLO": (ns.RFLO, {}),
    "RFLO once": (ns.RFLO, {"schedule": "sequence", "feedback_gain": 3.0}),
    "learned": (ns.LearnedFeedback, {"noise_std": 0.1}),
    "learned in windows": (ns.LearnedFeedback, {"noise_std": 0.1, "window": 4, "pairs": 1}),
    "learned once": (
        ns.LearnedFeedback,
        {"noise_std": 0.1, "schedule": "sequence", "resync_every": 2, "pairs": 2},
    ),
}


@pytest.mark.parametrize("decorrelation", DECORRELATIONS)
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("rule", FEEDBACK)
def test_engines_agree_on_rules_that_feed_errors_back(rule, neuron, decorrelation):
    make, given = FEEDBACK[rule]
    for added in ADDED if decorrelation == "none" else ADDED[:1]:
        both(make(1e-2, **given, **added), NEURONS[neuron], DECORRELATIONS[decorrelation])


@pytest.mark.parametrize("credit", CREDITS, ids=str)
@pytest.mark.parametrize("rule", PERTURBATIONS)
def test_engines_agree_on_what_any_rule_may_add(rule, credit):
    make, rate = PERTURBATIONS[rule]
    fades = {"trace_decay": 0.8} if credit.get("reward") == "return_to_go" else {}
    apart = {"layers": "separate"}
    for added in (
        fades,
        apart,
        {"normalise": 0.5, **fades},
        {**ROUGH, **apart, **fades},
        {**MOMENTUM, **apart, "pairs": 2, "reward_scope": "batch"},
    ):
        if rule == "WP" and "normalise" in added:
            continue  # refused: its neurons form no signal
        learning = make(rate, noise_std=1e-2, **credit, **added)
        both(learning, ns.Tanh(tau=2.0), ns.Decorrelation(1e-2))


@dataclass(frozen=True)
class Tracing:
    """A rule of one's own with traces, in two passes: what a neuron did meets its next changes."""

    learning_rate: float
    noise_std: float = 1e-2
    schedule: str = "online"
    pairs: int = 0
    layers: str = "together"
    normalise: float | None = None
    optimiser: str = "sgd"
    epsilon: float = 1e-2

    @staticmethod
    def reward(delta_loss, variance):
        return delta_loss / variance

    @staticmethod
    def neuron(a, noise, slope, feedback):
        return noise * slope + feedback * a * slope

    @staticmethod
    def trace(trace, pre, signal, keep):
        return keep * trace + pre * signal

    @staticmethod
    def synapse(pre, signal, trace, feedback, reward):
        return trace * reward + pre * signal + feedback * trace


@dataclass(frozen=True)
class Plain:
    """Traces, and nothing else that a rule with feedback would have."""

    learning_rate: float
    noise_std: float = 1e-2

    @staticmethod
    def reward(delta_loss, power, n):
        return n * delta_loss / power

    @staticmethod
    def neuron(a, a_perturbed, reward):
        return reward * (a_perturbed - a)

    @staticmethod
    def trace(trace, pre, signal):
        return (trace if trace * pre > 0 else -trace) + pre * signal

    @staticmethod
    def synapse(trace):
        return trace


@dataclass(frozen=True)
class Noisy(Plain):
    """Traces of what is transmitted, which meet the noise on one's own weight."""

    layers: str = "together"
    distribution: str = "normal"
    perturbs: ClassVar[str] = "weights"
    neuron = None

    @staticmethod
    def trace(trace, pre, keep):
        return keep * trace + pre

    @staticmethod
    def synapse(trace, noise, reward):
        return trace * reward * noise


OWN = {
    "noisy": Noisy(1e-3),
    "noisy signs": Noisy(1e-3, layers="separate", distribution="rademacher"),
    "plain": Plain(1e-3),
    "online": Tracing(1e-3),
    "once": Tracing(1e-3, schedule="sequence", pairs=2),
    "normalised": Tracing(1e-3, normalise=0.5, layers="separate"),
    "adam": Tracing(1e-3, optimiser="adam", pairs=1),
}


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("rule", OWN)
def test_engines_agree_on_traces_of_ones_own(rule, batch):
    both(OWN[rule], ns.Tanh(tau=2.0), ns.Decorrelation(1e-2), hidden=19, batch=batch, steps=6)


SIZED = {
    "RFLO": ns.RFLO(1e-2, **ADAM),
    "learned": ns.LearnedFeedback(1e-2, 0.1, normalise=0.5),
    "separate": ns.NP(1e-3, 0.1, layers="separate", pairs=1, **MOMENTUM),
    "weights": ns.WP(1e-4, 0.1, layers="separate", **ROUGH),
    "normalised": ns.NP(1e-3, 0.1, normalise=0.5),
    "fading": ns.NP(1e-3, 0.1, reward="return_to_go", trace_decay=0.7, window=2),
    "own": Tracing(1e-4, 0.1),
}


@pytest.mark.parametrize(
    ("hidden", "batch"),
    [*itertools.product([1, 17], [1, 2, 5, 10, 11]), (65, 1), (65, 5)],
)
@pytest.mark.parametrize("rule", SIZED)
def test_engines_agree_at_every_size(rule, hidden, batch, monkeypatch):
    monkeypatch.setattr(objects, "LARGEST", 40_000)
    both(SIZED[rule], ns.Tanh(tau=1.5), None, hidden, batch, 4 if hidden < 60 else 2)


@pytest.mark.parametrize("rule", [*SIZED.values(), ns.ANP(1e-3, 0.1)], ids=repr)
def test_engines_agree_on_a_noisy_chip_and_on_biases(rule):
    both(rule, ns.Tanh(), None, bias=0.5, substrate=ns.Substrate(act_noise=0.05))


@pytest.mark.parametrize("decorrelation", DECORRELATIONS)
@pytest.mark.parametrize("rule", SIZED)
def test_engines_agree_when_runs_go_on_and_learning_pauses(rule, decorrelation):
    """What optimisers and feedback weights remember is kept from run to run; traces are not."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(STEPS, 2, 3))
    targets = generator.normal(size=(STEPS, 2, 2))
    net = ns.rnn(3, 18, 2, decorrelate=decorrelation != "none", neuron=ns.Tanh(tau=2.0), seed=2)
    given = (net, SIZED[rule], DECORRELATIONS[decorrelation])
    oracle, engine = (
        ns.Simulator(*given, batch=2, engine=name, seed=1) for name in ("objects", "cpu")
    )
    start = oracle.weights
    runs = [(0, 4, True), (4, 5, True), (5, 7, False), (7, 8, False), (8, 9, True), (0, 3, True)]
    for begin, stop, learn in runs:
        some = slice(begin, stop)
        expected, got = (
            sim.run(inputs[some], targets[some], learn, outputs=True, reset=False)
            for sim in (oracle, engine)
        )
        report_the_same(got, expected)
        agree(engine, oracle, start)


DEEP = ns.Network(
    populations=(
        ns.Population("retina", 3),
        ns.Population("on", 1, ns.One()),
        ns.Population("first", 17, ns.ReLU(), decorrelation="D1"),
        ns.Population("second", 5, ns.Tanh(tau=2.0), decorrelation="D2"),
        ns.Population("out", 2, ns.Linear(tau=1.5)),
    ),
    projections=(
        ns.Projection("in", "retina", "first", initial="orthogonal"),
        ns.Projection("offset", "on", "out"),
        ns.Projection("up", "first", "second"),
        ns.Projection("back", "second", "first", delay=1),
        ns.Projection("loop", "second", "second", delay=1),
        ns.Projection("read", "second", "out"),
        ns.Projection("skip", "first", "out"),
    ),
    seed=6,
)


@pytest.mark.parametrize("frozen", [(), ("in", "back")], ids=["all", "some"])
@pytest.mark.parametrize("rule", SIZED)
def test_engines_agree_on_deep_networks(rule, frozen):
    """Two populations with feedback weights of their own; leaky outputs keep traces, too."""
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(6, 2, 3)), generator.normal(size=(6, 2, 2))
    made = SIZED[rule]
    rates = {p.name: made.learning_rate for p in DEEP.projections if p.name not in frozen}
    made = type(made)(**{**vars(made), "learning_rate": rates})
    found = []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(DEEP, made, ns.Decorrelation(1e-2), batch=2, engine=engine, seed=1)
        start = sim.weights
        found.append((sim, sim.run(inputs, targets, outputs=True)))
    (oracle, expected), (engine, got) = found
    report_the_same(got, expected)
    for name, before in start.items():
        change = np.abs(oracle.weights[name] - before).max()
        fixed = name in frozen or (rule in ("RFLO", "own") and name.startswith("F"))
        assert (change == 0) == fixed
        close = 5e-4 * change + 1e-6 * np.abs(before).max()
        assert np.abs(engine.weights[name] - oracle.weights[name]).max() <= close, name
