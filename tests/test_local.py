"""What a rule may know, which options it has, and what is refused."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import pytest

import neurosim as ns
from neurosim.local import (
    NEURON,
    SYNAPSE,
    LearningRule,
    Perturbation,
    Sizes,
    arguments,
    options,
    scalar,
)

RULES = [ns.ANP, ns.NP, ns.WP]
LATER = ["return_to_go", "global"]


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"learning_rate": 0},
            r"learning_rate = 0 must be a finite number > 0, or a schedule",
        ),
        ({"learning_rate": -1e-3}, r"learning_rate = -0\.001 must"),
        ({"learning_rate": math.nan}, r"learning_rate = nan must"),
        ({"learning_rate": math.inf}, r"learning_rate = inf must"),
        ({"learning_rate": "1e-3"}, r"learning_rate = '1e-3' must"),
        ({"learning_rate": None}, r"learning_rate = None must"),
        ({"learning_rate": True}, r"learning_rate = True must"),
        ({"learning_rate": {}}, r"learning_rate = \{\} must be a rate for at least one"),
        ({"learning_rate": {"A": 0}}, r"learning_rate\['A'\] = 0 must .*leave a projection out"),
        ({"learning_rate": {"A": 1, "B": "x"}}, r"learning_rate\['B'\] = 'x' must be a finite"),
        ({"noise_std": 0}, r"noise_std = 0 must be a finite number > 0: .* needs a perturbation"),
        ({"noise_std": -1}, r"noise_std = -1 must"),
        ({"noise_std": 9e-9}, r"noise_std = 9e-09 must be 1e-08 or more: float32 cannot tell"),
        ({"noise_std": 1e-20}, r"noise_std = 1e-20 must be 1e-08 or more"),
        (
            {"noise_std": 1e-320},
            r"noise_std = 1e-320 must be a finite number > 0: .*float32 makes 0 of it",
        ),
        ({"noise_std": math.inf}, r"noise_std = inf must"),
        ({"noise_std": math.nan}, r"noise_std = nan must"),
        ({"noise_std": None}, r"noise_std = None must"),
        ({"distribution": "uniform"}, r"distribution = 'uniform' must be one of normal, rademach"),
        ({"schedule": "daily"}, r"schedule = 'daily' must be one of None, online, window, seque"),
        ({"reward": "later"}, r"reward = 'later' must be one of local, return_to_go, global"),
        ({"reward": None}, r"reward = None must be one of"),
        ({"reward_scope": "all"}, r"reward_scope = 'all' must be one of replica, batch"),
        ({"scale": "none"}, r"scale = 'none' must be one of population, network, published"),
        ({"window": 0}, r"window = 0 must be None or a whole number of steps in \[1, 2"),
        ({"window": 2.0}, r"window = 2\.0 must"),
        ({"window": True}, r"window = True must"),
        ({"resync_every": 0}, r"resync_every = 0 must be None or a whole number of steps in"),
        ({"resync_every": "3"}, r"resync_every = '3' must"),
        ({"pairs": -1}, r"pairs = -1 must be a whole number in \[0, 10000\)"),
        ({"pairs": 1.0}, r"pairs = 1\.0 must"),
        ({"pairs": None}, r"pairs = None must"),
        # Combinations that make no sense.
        ({"schedule": "window"}, r"schedule = 'window' needs window = a number of steps"),
        ({"schedule": "online", "reward": "global"}, r"reward = 'global' .* 'online' cannot use"),
        ({"schedule": "online", "reward": "global", "window": 3}, r".*'online' cannot use it"),
        ({"schedule": "online", "window": 3}, r"window = 3 does nothing with reward = 'local' and"),
        ({"schedule": "sequence", "window": 3}, r"window = 3 does nothing .* = 'sequence'"),
        ({"reward": "global", "resync_every": 3}, r"resync_every = 3 .* multiple of window = None"),
        (
            {"reward": "return_to_go", "resync_every": 6, "window": 4},
            r"resync_every = 6 must be a multiple of window = 4",
        ),
    ],
)
def test_a_rule_refuses(rule, given, said):
    with pytest.raises(ns.InputError, match=f"^{rule.__name__}: {said}"):
        rule(**{"learning_rate": 1e-3, **given})


@pytest.mark.parametrize("rule", [ns.NP, ns.WP])
def test_only_a_rule_with_a_neuron_count_in_its_reward_has_it_replaced(rule):
    said = rf"{rule.__name__}: scale = 'network' must be one of population, published: no neuron"
    with pytest.raises(ns.InputError, match=said):
        rule(learning_rate=1e-3, scale="network")
    assert ns.ANP(1e-3, scale="network").scale == "network"


@pytest.mark.parametrize("rule", [ns.Decorrelation, ns.LocalDecorrelation])
@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, "1", None, True, {"D": 1e-3}])
def test_decorrelation_refuses(rule, rate):
    with pytest.raises(ns.InputError, match=rf"{rule.__name__}: learning_rate = .* finite number"):
        rule(learning_rate=rate)


@pytest.mark.parametrize("noise", [-1e-9, math.nan, math.inf, "0", None, True])
def test_a_chip_refuses(noise):
    with pytest.raises(ns.InputError, match=r"Substrate: act_noise = .* a finite number >= 0"):
        ns.Substrate(act_noise=noise)
    assert ns.Substrate().act_noise == 0


# ------------------------------------------------------------------- defaults


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("given", "schedule"),
    [
        ({}, "online"),
        ({"window": 5}, "window"),
        ({"reward": "return_to_go"}, "sequence"),
        ({"reward": "return_to_go", "window": 5}, "window"),
        ({"reward": "return_to_go", "schedule": "online"}, "online"),
        ({"reward": "return_to_go", "schedule": "online", "window": 5}, "online"),
        ({"reward": "global"}, "sequence"),
        ({"reward": "global", "window": 5}, "window"),
        ({"reward": "global", "window": 5, "schedule": "sequence"}, "sequence"),
        ({"schedule": "sequence"}, "sequence"),
    ],
)
def test_the_schedule_is_the_earliest_one_that_can_be(rule, given, schedule):
    assert rule(learning_rate=1e-3, **given).schedule == schedule


@pytest.mark.parametrize("rule", RULES)
def test_the_other_defaults(rule):
    made = rule(learning_rate=1e-3)
    assert (made.noise_std, made.distribution, made.reward) == (1e-3, "normal", "local")
    assert (made.window, made.resync_every, made.pairs) == (None, None, 0)
    assert (made.reward_scope, made.scale) == ("replica", "population")


@pytest.mark.parametrize("rule", RULES)
def test_what_was_published_has_one_reward_for_the_whole_batch(rule):
    assert rule(learning_rate=1e-3, scale="published").reward_scope == "batch"


@pytest.mark.parametrize(
    "given",
    [
        {"resync_every": 3},
        {"resync_every": 3, "window": 5},
        {"resync_every": 4, "window": 2, "reward": "global"},
        {"resync_every": 2, "window": 2, "reward": "return_to_go"},
        {"window": np.int64(3)},
        {"pairs": np.int8(2)},
        {"noise_std": np.float32(0.5)},
    ],
)
def test_what_makes_sense_is_taken(given):
    made = ns.NP(learning_rate=1e-3, **given)
    assert all(getattr(made, name) == value for name, value in given.items())


SIZES = Sizes(population=3, network=5, inputs=4, outputs=2, replicas=10)


@pytest.mark.parametrize(
    ("rule", "factor"),
    [
        (ns.ANP(1e-3), 1.0),
        (ns.ANP(1e-3, scale="network"), 5 / 3),
        (ns.ANP(1e-3, scale="published"), math.sqrt(9) / (3 * 10**2 * 2)),
        (ns.NP(1e-3, noise_std=0.5), 1.0),
        (ns.NP(1e-3, noise_std=0.5, scale="published"), 0.5 / 2),
        (ns.WP(1e-3, noise_std=0.5, scale="published"), 0.5 / 2),
    ],
)
def test_by_what_a_loss_difference_is_multiplied(rule, factor):
    assert rule.factor(SIZES) == pytest.approx(factor)


# --------------------------------------------------------- what a rule can know


def test_arguments_are_the_names_a_function_asks_for():
    assert arguments(lambda pre, noise: 0, SYNAPSE, "Mine") == ["pre", "noise"]
    assert arguments(lambda: 0, SYNAPSE, "Mine") == []


def test_what_is_not_local_is_refused_by_name():
    def synapse(pre, everyone):
        return pre * everyone

    said = r"Mine: synapse\(\) asks for 'everyone', .* may ask for: pre, signal, noise, reward"
    with pytest.raises(ns.InputError, match=said):
        arguments(synapse, SYNAPSE, "Mine")


def test_a_function_is_found_even_where_an_option_has_its_name():
    assert scalar(ns.ANP, "reward")(2.0, 4.0, 3.0) == 1.5
    assert ns.ANP(1e-3).reward == "local"
    assert scalar(ns.WP, "neuron") is None
    assert scalar(Perturbation, "reward") is None


@pytest.mark.parametrize(
    ("rule", "teacher", "neuron", "synapse", "own_noise", "passes"),
    [
        (ns.ANP, ["delta_loss", "power", "n"], ["a", "a_perturbed", "reward"],
         ["pre", "signal"], False, 2),
        (ns.NP, ["delta_loss", "variance"], ["noise", "reward"], ["pre", "signal"], True, 2),
        (ns.WP, ["delta_loss", "variance"], [], ["noise", "reward"], True, 2),
        (ns.Decorrelation, [], [], ["post", "weight", "retrograde"], False, 1),
        (ns.LocalDecorrelation, [], [], ["post", "pre", "different"], False, 1),
    ],
)  # fmt: skip
def test_a_budget_is_read_off_the_functions(rule, teacher, neuron, synapse, own_noise, passes):
    budget = rule.budget()
    assert budget.rule == rule.__name__
    for known, names in (
        (budget.teacher, teacher),
        (budget.broadcast, ["reward"] if teacher else []),
        (budget.neuron, neuron),
        (budget.synapse, synapse),
    ):
        assert [entry.split(":")[0] for entry in known] == names
    assert budget.own_noise is own_noise
    assert budget.passes == passes
    assert rule.budget() == rule(learning_rate=1e-3).budget()


def test_a_budget_says_what_options_change():
    rule = ns.ANP(1e-3, passes="both", noise_std=0, normalise=0.1, optimiser="adam")
    assert [line.split(" = ")[0] for line in rule.budget().options] == [
        "passes",
        "normalise",
        "optimiser",
    ]
    assert "as set     passes = 'both': both passes are noisy, none is clean" in str(rule.budget())
    later = ns.NP(1e-3, reward="global", window=20, resync_every=20, pairs=4).budget().options
    pairs = next(line for line in later if line.startswith("pairs"))
    assert pairs == (
        "pairs = 4: 8 perturbed passes beside the baseline, each with its opposite; "
        "a broadcast scalar for each pair"
    )
    assert any("keeps an eligibility" in line and "at an episode's end" in line for line in later)
    assert not any(
        "episode's end" in line for line in ns.NP(1e-3, reward="return_to_go").budget().options
    )
    assert ns.RFLO(1e-3, optimiser="momentum").budget().options == (
        "optimiser = 'momentum': each synapse keeps one number more",
    )
    for rule in (ns.ANP, ns.NP, ns.WP, ns.RFLO, ns.LearnedFeedback, ns.Decorrelation):
        assert rule.budget().options == rule(learning_rate=1e-3).budget().options == ()


@pytest.mark.parametrize(
    "given",
    [
        {"passes": "both"},
        {"pairs": 1},
        {"layers": "separate"},
        {"reward": "global"},
        {"reward": "global", "window": 3},
        {"resync_every": 3},
        {"reward_scope": "batch"},
        {"scale": "network"},
    ],
)
def test_every_option_that_changes_what_is_known_is_told(given):
    told = ns.ANP(1e-3, **given).budget().options
    assert [line.split(" = ")[0] for line in told] == list(given)


def test_a_budget_can_be_read():
    text = str(ns.Decorrelation.budget())
    assert text.startswith("Decorrelation: 1 pass")
    assert "retrograde sum" in text
    assert "need not be known" in text
    assert "retrograde" not in str(ns.LocalDecorrelation.budget())
    assert "must be known" in str(ns.NP.budget())
    assert "nothing" in str(ns.WP.budget())


def test_a_budget_follows_what_a_new_rule_asks_for():
    class Greedy(ns.ANP):
        @staticmethod
        def neuron(a, noise):
            return a * noise

    budget = Greedy.budget()
    assert budget.rule == "Greedy"
    assert budget.own_noise
    assert budget.neuron == (f"a: {NEURON['a']}", f"noise: {NEURON['noise']}")

    class Cheat(ns.ANP):
        @staticmethod
        def neuron(network):
            return network

    with pytest.raises(ns.InputError, match=r"Cheat: neuron\(\) asks for 'network'"):
        Cheat.budget()
    assert LearningRule.budget().synapse == ()


# ------------------------------------------------------------ ones own classes


@dataclass(frozen=True)
class Mine:
    learning_rate: float
    noise_std: float = 0.5
    window: int | None = None
    colour: str = "red"


@dataclass(frozen=True, slots=True)
class Slotted:
    learning_rate: float


class Empty:
    pass


def test_a_plain_class_gets_the_defaults_for_what_it_does_not_have():
    made = options(Mine(2e-3, window=4))
    assert asdict(made) == asdict(Perturbation(learning_rate=2e-3, noise_std=0.5, window=4))
    assert made.schedule == "window"
    built_in = ns.NP(1e-3)
    assert options(built_in) is built_in


def test_a_class_with_slots_is_a_class_too():
    assert asdict(options(Slotted(2e-3))) == asdict(Perturbation(learning_rate=2e-3))


def test_a_plain_class_is_named_when_it_is_refused():
    with pytest.raises(ns.InputError, match=r"Empty: a rule must have the field learning_rate"):
        options(Empty())
    with pytest.raises(ns.InputError, match=r"Mine: learning_rate = -1 must"):
        options(Mine(-1))


# ------------------------------------------------------ what a simulator refuses at once


def rule_with(**functions):
    made = {name: staticmethod(function) for name, function in functions.items()}
    return dataclass(frozen=True)(type("Mine", (ns.ANP,), made))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda pre, signal: "much", r"Mine: <lambda>\(\) = 'much' must be a number"),
        (lambda pre, signal: (pre, signal), r"Mine: <lambda>\(\) = .* must be a number"),
        (lambda pre, signal: None, r"Mine: <lambda>\(\) returns nothing, or None, on one of its"),
        (lambda pre, signal: pre[0] * signal, r"Mine: <lambda>\(\) cannot be called \('float' "),
    ],
)
def test_a_scalar_function_must_make_a_number_of_numbers(function, says):
    with pytest.raises(ns.InputError, match=says):
        ns.Simulator(ns.rnn(1, 3, 1), rule_with(synapse=function)(1e-3))


def test_one_that_is_not_for_these_numbers_is_not_refused():
    ns.Simulator(
        ns.rnn(1, 3, 1), rule_with(synapse=lambda pre, signal: math.sqrt(-pre) / (pre - 0.5))(1e-3)
    )


@pytest.mark.parametrize(
    "crooked",
    [
        lambda delta_loss, power, n: 1.0 if delta_loss > 0 else -1.0,
        lambda delta_loss, power, n: delta_loss * abs(delta_loss),
        lambda delta_loss, power, n: delta_loss + n,
        lambda delta_loss, power, n: n * abs(delta_loss) / power,
        lambda delta_loss, power, n: n * max(delta_loss, 0.0) / power,
    ],
)
def test_a_later_reward_must_grow_as_the_loss_does(crooked):
    net, rule = ns.rnn(1, 3, 1), rule_with(reward=crooked)
    ns.Simulator(net, rule(1e-3))  # of the present step it may be anything
    for later in ("global", "return_to_go"):
        with pytest.raises(ns.InputError, match=f"Mine: reward = '{later}' must be .*proportional"):
            ns.Simulator(net, rule(1e-3, reward=later))
        straight = rule_with(reward=lambda delta_loss, power, n: n * delta_loss / power)
        ns.Simulator(net, straight(1e-3, reward=later))


def test_where_a_chip_can_do_the_perturbing_the_refusal_says_so():
    with pytest.raises(ns.InputError, match="with passes = 'both' a chip's own noise"):
        ns.ANP(1e-3, noise_std=0)
    with pytest.raises(ns.InputError, match=r"needs a perturbation$"):
        ns.NP(1e-3, noise_std=0)
