"""Rules that feed errors back, keep traces, or wait: what they may know, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from numba import types

import neurosim as ns
from neurosim import describe
from neurosim.engines.compile import adapted
from neurosim.engines.plan import Plan
from neurosim.engines.vectors import vector
from neurosim.local import ProjectionRule, scalar

ENGINES = ["objects", "cpu"]
NET = ns.rnn(2, 4, 1)


def refused(said, make, **given):
    with pytest.raises(ns.InputError, match=f"^{said}"):
        make(**{"learning_rate": 1e-3, **given})


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize("rule", [ns.NP, ns.ANP, ns.WP])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trace_decay": 0}, r"trace_decay = 0 must be a number in \(0, 1\]"),
        ({"trace_decay": 1.1}, r"trace_decay = 1\.1 must"),
        ({"trace_decay": -0.5}, r"trace_decay = -0\.5 must"),
        ({"trace_decay": math.nan}, "trace_decay = nan must"),
        ({"trace_decay": None}, "trace_decay = None must"),
        ({"trace_decay": 0.9}, "trace_decay = 0.9 does nothing with reward = 'local'; leave"),
        ({"trace_decay": 0.9, "reward": "global"}, "trace_decay = 0.9 does nothing .*'global'"),
        ({"layers": "both"}, "layers = 'both' must be one of together, separate"),
        ({"layers": None}, "layers = None must"),
    ],
)
def test_a_perturbation_refuses(rule, given, said):
    refused(f"{rule.__name__}: {said}", rule, **given)


@pytest.mark.parametrize(
    ("rule", "given", "said"),
    [
        (ns.RFLO, {"schedule": "window"}, "schedule = 'window' must be one of online, sequence"),
        (ns.RFLO, {"schedule": None}, "schedule = None must be one of online, sequence"),
        (ns.RFLO, {"feedback_gain": 0}, "feedback_gain = 0 must be a finite number > 0"),
        (ns.RFLO, {"feedback_gain": -1}, "feedback_gain = -1 must"),
        (ns.RFLO, {"feedback_gain": math.inf}, "feedback_gain = inf must"),
        (ns.RFLO, {"feedback_gain": "1"}, "feedback_gain = '1' must"),
        (ns.RFLO, {"learning_rate": 0}, "learning_rate = 0 must be a finite number > 0"),
        (ns.RFLO, {"learning_rate": {}}, "learning_rate = {} must be a rate for at least one"),
        (ns.LearnedFeedback, {"feedback_rate": 0}, r"feedback_rate = 0 must be .* in \(0, 2\)"),
        (ns.LearnedFeedback, {"feedback_rate": 2}, "feedback_rate = 2 must .* guesses diverge"),
        (ns.LearnedFeedback, {"feedback_rate": -0.1}, "feedback_rate = -0.1 must"),
        (ns.LearnedFeedback, {"feedback_rate": math.nan}, "feedback_rate = nan must"),
        (ns.LearnedFeedback, {"feedback_rate": None}, "feedback_rate = None must"),
        (ns.LearnedFeedback, {"noise_std": 0}, "noise_std = 0 must .* needs a perturbation"),
        (ns.LearnedFeedback, {"reward": "global"}, "reward = 'global' does nothing: credit is"),
        (ns.LearnedFeedback, {"reward": "return_to_go"}, "reward = 'return_to_go' does nothing"),
        (ns.LearnedFeedback, {"reward_scope": "batch"}, "reward_scope = 'batch' does nothing"),
        (ns.LearnedFeedback, {"layers": "separate"}, "layers = 'separate' does nothing"),
        (ns.LearnedFeedback, {"scale": "published"}, "(reward_scope|scale) = .* does nothing"),
        (ns.LearnedFeedback, {"scale": "network"}, "scale = 'network' must be one of"),
        (ns.LearnedFeedback, {"trace_decay": 0.5}, "trace_decay = 0.5 does nothing"),
        (
            ns.LearnedFeedback,
            {"trace_decay": 0.5, "reward": "return_to_go"},
            "(reward|trace_decay) = .* does nothing: credit is each output's error, weighed",
        ),
        (ns.LearnedFeedback, {"schedule": "window"}, "schedule = 'window' needs window"),
    ],
)
def test_a_rule_with_feedback_refuses(rule, given, said):
    refused(f"{rule.__name__}: {said}", rule, **given)


@pytest.mark.parametrize("option", ["noise_std", "reward", "window", "pairs", "layers", "scale"])
def test_rflo_has_no_options_of_perturbations(option):
    with pytest.raises(TypeError, match=option):
        ns.RFLO(1e-3, **{option: 1})


@pytest.mark.parametrize(
    "rule",
    [
        ns.RFLO({"A": 1e-3, "B": 1e-2}, "sequence", 0.5, normalise=0.1),
        ns.LearnedFeedback(1e-3, 0.1, window=4, pairs=2, resync_every=3, feedback_rate=1.99),
        ns.NP(1e-3, reward="return_to_go", trace_decay=0.9, layers="separate", normalise=2),
    ],
)
def test_what_makes_sense_is_taken_and_can_be_saved(rule):
    assert describe.to_thing(json.loads(json.dumps(describe.thing(rule)))) == rule


# ------------------------------------------------------------- what must be known


def words(known):
    return [entry.split(":")[0] for entry in known]


def test_rflos_budget_says_that_a_vector_is_broadcast():
    budget = ns.RFLO.budget()
    assert (budget.passes, budget.own_noise, budget.teacher) == (1, False, ())
    assert budget.broadcast == ("error: one number per output and step in each replica, a vector",)
    assert words(budget.neuron) == ["slope", "feedback"]  # it weighs what its synapses hear
    assert set(words(budget.synapse)) == {"trace", "feedback", "pre", "signal", "keep"}
    assert "trace: its own trace" in budget.synapse  # today's
    assert budget.feedback == ()
    assert "one trace per synapse and replica" in budget.memory
    text = str(budget)
    assert text.startswith("RFLO: 1 pass\n")
    assert "a vector" in text
    assert "need not be known" in text


def test_learned_feedbacks_budget_says_that_two_vectors_are():
    budget = ns.LearnedFeedback.budget()
    assert (budget.passes, budget.own_noise, budget.teacher) == (2, False, ())
    assert words(budget.broadcast) == ["error", "residual"]
    assert words(budget.neuron) == ["slope", "feedback"]
    assert words(budget.synapse) == ["pre", "signal"]
    assert words(budget.feedback) == ["change", "residual", "power"]
    assert "left unexplained" in str(budget) or "leave unexplained" in str(budget)


@pytest.mark.parametrize("rule", [ns.NP, ns.ANP, ns.WP])
def test_other_rules_broadcast_no_vector(rule):
    assert "vector" not in str(rule.budget())


@pytest.mark.parametrize("rule", [ns.RFLO, ns.LearnedFeedback])
@pytest.mark.parametrize("place", ["neuron", "trace", "synapse", "feedback_synapse"])
def test_compiled_for_float32_they_return_float32(rule, place):
    if scalar(rule, place) is None:
        return
    known = ProjectionRule.knows[place]
    function = adapted(scalar(rule, place), known, rule.__name__)
    function.compile((types.float32,) * len(known))
    returned = {s.return_type for s in function.nopython_signatures}
    assert returned <= {types.float32, vector}


# -------------------------------------------------------------- names of feedback


DEEP = ns.Network(
    (
        ns.Population("in", 2),
        ns.Population("low", 3, ns.Tanh()),
        ns.Population("high", 4, ns.Tanh()),
        ns.Population("out", 2, ns.Linear()),
    ),
    (
        ns.Projection("up", "in", "low"),
        ns.Projection("over", "low", "high"),
        ns.Projection("read", "high", "out"),
    ),
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", [ns.RFLO, ns.LearnedFeedback])
def test_whoever_learns_has_feedback_weights(rule, engine):
    found = {}
    for rate in (0.1, {"up": 0.1}, {"over": 0.1, "read": 0.1}, {"read": 0.1}):
        sim = ns.Simulator(DEEP, rule(rate), engine=engine)
        own = {n: w.shape for n, w in sim.weights.items() if n not in DEEP.matrices}
        found[str(rate)] = own
        sim.run(np.ones((3, 1, 2)), np.ones((3, 1, 2)))
        sim.evaluate(np.ones((3, 4, 2)), np.ones((3, 4, 2)))
    assert list(found.values()) == [
        {"F_low": (3, 2), "F_high": (4, 2)},
        {"F": (3, 2)},
        {"F": (4, 2)},
        {},
    ]


def test_feedback_weights_are_drawn_by_their_names():
    plan = Plan(DEEP, ns.RFLO(0.1), None, ns.Substrate(), 1, 0)
    w = plan.initial_weights()
    assert not np.allclose(w["F_low"][0], w["F_high"][0])
    again = Plan(DEEP, ns.RFLO(0.1), None, ns.Substrate(), 3, 5).initial_weights()
    np.testing.assert_array_equal(w["F_low"], again["F_low"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("outputs", [1, 2])
def test_what_one_is_given_of_them_are_copies(outputs, engine):
    sim = ns.Simulator(ns.rnn(2, 16, outputs), ns.RFLO(0.1), engine=engine)
    with pytest.raises(ValueError, match="read-only"):
        sim.weights["F"][...] = 0
    assert sim.weights["F"].all()


@pytest.mark.parametrize("rule", [ns.RFLO(0.1), ns.LearnedFeedback(0.1)])
def test_no_projection_may_have_the_name_of_feedback(rule):
    net = ns.Network(
        DEEP.populations[:2] + DEEP.populations[3:],
        (ns.Projection("F", "in", "low"), ns.Projection("read", "low", "out")),
    )
    ns.Simulator(net, ns.NP(0.1))
    said = rf"{type(rule).__name__}: its feedback weights are called 'F'; no projection"
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(net, rule)


# --------------------------------------------------------------- rules of one's own


@dataclass(frozen=True)
class Tracing:
    learning_rate: float = 1e-3
    noise_std: float = 0.1
    reward: str = "local"

    @staticmethod
    def trace(trace, pre):
        return trace + pre

    @staticmethod
    def synapse(trace):
        return trace


class Untraced(Tracing):
    trace = None


class Hearing(Tracing):
    trace = None

    @staticmethod
    def synapse(pre, feedback):
        return pre * feedback


class Watching(Tracing):
    @staticmethod
    def trace(trace, weight):
        return trace + weight


class Unrated(Tracing):
    @staticmethod
    def neuron(feedback):
        return feedback

    @staticmethod
    def feedback_synapse(change, residual):
        return -residual * change


class Once(Tracing):
    passes = 1

    @staticmethod
    def synapse(trace, noise):
        return trace * noise


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Tracing(reward="global"), "Tracing: reward = 'global' must be 'local': its synapses keep"),
        (Untraced(), r"Untraced: synapse\(\) asks for 'trace', which a synapse has only with a"),
        (Hearing(), r"Hearing: synapse\(\) asks for 'feedback', .* ask for it in neuron\(\)"),
        (Watching(), r"Watching: trace\(\) asks for 'weight', .*: trace, pre, signal, keep"),
        (Unrated(), r"Unrated: a rule with feedback_synapse\(\) must have feedback_rate"),
        (Once(), r"Once: synapse\(\) asks for 'noise', but with passes = 1 there is no perturbed"),
    ],
)
def test_a_simulator_refuses_a_rule_with_traces(rule, said, engine):
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(NET, rule, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trace_lives_as_long_as_a_run(engine):
    """Of constant input it grows by itself; a run that goes on begins with none."""
    inputs, targets = np.ones((3, 1, 2)), np.zeros((3, 1, 1))
    probe = ns.Probe("A", "w")
    sim = ns.Simulator(NET, Tracing({"A": 1.0}), engine=engine)
    for reset in (True, False):
        start = sim.weights["A"]
        seen = sim.run(inputs, targets, probes=[probe], reset=reset).probes["A.w"]
        fallen = np.diff(np.concatenate([start[None], seen]), axis=0)
        expected = np.broadcast_to([[[-1]], [[-2]], [[-3]]], fallen.shape)
        np.testing.assert_allclose(fallen, expected, rtol=1e-5)
