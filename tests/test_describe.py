"""Networks, rules and chips as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import checkpoint, describe
from neurosim.experiments.registry import DECORRELATIONS, NEURONS, RULES
from neurosim.network import Network, Population, Projection
from neurosim.substrate.presets import CHIPS


@dataclass(frozen=True)
class Mine:
    learning_rate: float
    noise_std: float = 1e-3


class Plain:
    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate


def through_json(described):
    return json.loads(json.dumps(described))


@pytest.mark.parametrize(
    "thing",
    [
        ns.ANP(learning_rate=1e-3, scale="published", noise_std=0.1),
        ns.ANP({"A": 1e-3, "B": 2e-3}, window=5, resync_every=10, pairs=2, reward="global"),
        ns.NP(learning_rate=1e-3, distribution="rademacher", reward="return_to_go"),
        ns.WP(learning_rate=1e-3, schedule="sequence"),
        ns.BPTT(1e-3, truncate=2, optimiser="momentum"),
        ns.BPTT({"A": 1e-3}, chunk=5, schedule="sequence"),
        ns.Decorrelation(1e-4),
        ns.LocalDecorrelation(1e-4),
        ns.Tanh(tau=2.5),
        ns.ReLU(),
        ns.Linear(),
        ns.Substrate(act_noise=0.25),
        *(make(1e-3) for make in (*RULES.values(), *DECORRELATIONS.values())),
        *(make({"A": 1e-3}) for make in RULES.values()),
        *(make(tau=2.5) for make in NEURONS.values()),
        *CHIPS.values(),
        ns.presets.rram_hfo2 | {"w_max": {"A": 0.5, "R": 2.0}},
        ns.presets.best_local.rule,
        None,
    ],
)
def test_what_is_built_in_comes_back_equal(thing):
    assert describe.to_thing(through_json(describe.thing(thing))) == thing
    assert describe.kept("it", thing) is thing


def test_ones_own_class_is_needed_to_build_its_instances():
    described = through_json(describe.thing(Mine(0.5)))
    named = f"{__name__}:Mine"
    assert described == {"class": named, "learning_rate": 0.5, "noise_std": 1e-3}
    assert describe.to_thing(described, known=[Mine]) == Mine(0.5)
    with pytest.raises(ns.CheckpointError, match=r"'Mine' is not built in; .*known=\[Mine\]"):
        describe.to_thing(described)


def test_a_class_that_is_no_dataclass_keeps_its_options():
    described = through_json(describe.thing(Plain(learning_rate=0.25)))
    assert describe.to_thing(described, known=[Plain]).learning_rate == 0.25


def test_describing_does_not_change_what_is_described():
    described = describe.thing(Mine(0.5))
    describe.to_thing(described, [Mine])
    assert described["class"] == f"{__name__}:Mine"


def test_a_network_comes_back_equal():
    net = Network(
        (
            Population("in", 2),
            Population("one", 3, ns.Tanh(tau=2), "D1"),
            Population("two", 4, ns.ReLU(), "D2"),
            Population("out", 1, ns.Linear()),
        ),
        (
            Projection("P", "in", "one", gain=0.5),
            Projection("Q", "one", "two"),
            Projection("S", "two", "one", delay=1),
            Projection("T", "two", "out"),
        ),
        seed=9,
    )
    assert describe.to_network(through_json(describe.network(net))) == net


def test_a_network_of_ones_own_neurons():
    @dataclass(frozen=True)
    class Cube:
        gain: float = 1.0

        @staticmethod
        def activity(a):
            return a * a * a

    net = ns.rnn(1, 2, 1, neuron=Cube(gain=2.0))
    described = through_json(describe.network(net))
    assert describe.to_network(described, known=[Cube]) == net
    with pytest.raises(ns.CheckpointError, match="'Cube' is not built in"):
        describe.to_network(described)


# ------------------------------------------------------- compared when a simulator is made

NET = ns.rnn(1, 3, 1)


class Functions:
    """The three functions of a rule."""

    @staticmethod
    def reward(delta_loss, variance):
        return delta_loss / variance

    @staticmethod
    def neuron(noise, reward):
        return reward * noise

    @staticmethod
    def synapse(pre, signal):
        return signal * pre


class Keeps(Functions):
    def __init__(self, learning_rate, noise_std=1e-3, *unused, **more):
        self.learning_rate, self.noise_std = learning_rate, noise_std
        self.twice = 2 * noise_std

    @cached_property
    def thrice(self):
        return 3 * self.noise_std


class WithoutArguments(Functions):
    learning_rate, noise_std = 1e-2, 1e-3


@dataclass
class Mutable(Functions):
    learning_rate: Any
    noise_std: float = 1e-3
    window: int | None = None
    words: Any = ()
    twice: float = field(init=False, default=0.0)
    seen: Any = field(init=False, compare=False)

    def __post_init__(self):
        self.twice, self.seen = 2 * self.noise_std, object()


def learned(sim):
    inputs = np.linspace(-1, 1, 12).reshape(12, 1, 1)
    sim.run(inputs, inputs**2)
    return sim.weights


@pytest.mark.parametrize(
    "make",
    [
        lambda: Keeps(np.float32(0.01)),
        lambda: Keeps({"A": 0.02, "B": 0.01}, noise_std=2e-3),
        WithoutArguments,
        lambda: Mutable({"A": 0.01}, window=4, words=["a", {"b": [1, np.True_]}]),
        lambda: Mutable(0.01, words=float("nan")),
        lambda: Mutable(0.01, words=[{"a": float("nan")}, -0.0]),
    ],
)
def test_a_rule_of_ones_own_is_saved_and_loaded(tmp_path, make):
    sim = ns.Simulator(NET, make(), engine="objects", seed=3)
    getattr(sim.rule, "thrice", None)
    learned(sim)
    sim.save(tmp_path / "saved.npz")
    again = ns.Simulator.load(tmp_path / "saved.npz", known=[type(sim.rule)])
    assert again.rule.learning_rate == sim.rule.learning_rate
    assert getattr(again.rule, "window", None) == getattr(sim.rule, "window", None)
    for one, other in zip(learned(sim).values(), learned(again).values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [Keeps, Mutable])
def test_what_is_done_to_the_original_does_not_reach_the_simulator(tmp_path, make):
    rates = {"A": 0.01, "B": 0.01}
    sims = []
    for change in (False, True):
        rule = make(dict(rates))
        sim = ns.Simulator(NET, rule, engine="objects", seed=3)
        if change:
            rule.learning_rate["A"], rule.noise_std = 5.0, 1.0
        sims.append(sim)
        sim.save(tmp_path / f"{change}.npz")
        assert ns.Simulator.load(tmp_path / f"{change}.npz", known=[make]).rule.noise_std == 1e-3
        assert sim.rule.learning_rate == rates
    for one, other in zip(learned(sims[0]).values(), learned(sims[1]).values(), strict=True):
        np.testing.assert_array_equal(one, other)


class Renames(Functions):
    def __init__(self, rate):
        self.learning_rate, self.noise_std = rate, 1e-3


class Doubles(Functions):
    def __init__(self, learning_rate):
        self.learning_rate, self.noise_std = 2 * learning_rate, 1e-3


class Positional(Functions):
    def __init__(self, learning_rate, /):
        self.learning_rate, self.noise_std = learning_rate, 1e-3


class Raises(Functions):
    built = 0

    def __init__(self, learning_rate):
        self.learning_rate, self.noise_std = learning_rate, 1e-3
        Raises.built += 1
        if Raises.built > 1:
            raise RuntimeError("only one of these")


class Holds(Functions):
    def __init__(self, learning_rate, held=None):
        self.learning_rate, self.noise_std, self.held = learning_rate, 1e-3, held


class Slotted(Functions):
    __slots__ = ("__hidden", "learning_rate", "noise_std")

    def __init__(self, learning_rate):
        self.learning_rate, self.noise_std, self.__hidden = learning_rate, 1e-3, 1

    def counted(self):
        self.__hidden += 1
        return self


class Floats(Functions):
    def __init__(self, learning_rate, flag=True):
        self.learning_rate, self.noise_std, self.flag = learning_rate, 1e-3, flag
        self.flag = 1 if isinstance(flag, bool) else bool(flag)


@dataclass(frozen=True)
class Adds(ns.NP):
    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "noise_std", self.noise_std + 1)


def with_window(rule):
    rule.window = 5
    return rule


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Renames(0.1), "has no attribute 'rate'"),
        (lambda: Doubles(0.1), r"learning_rate is 0\.4 when it is read back"),
        (lambda: Positional(0.1), "positional-only"),
        (lambda: Raises(0.1), "RuntimeError: only one of these"),
        (lambda: Holds(0.1, {1, 2}), "cannot be stored"),
        (lambda: Holds(0.1, np.ones(3)), "cannot be stored"),
        (lambda: Holds(0.1, {1: 2}), r"held is \{'1': 2\} when it is read back"),
        (lambda: Holds(0.1, ns.Tanh()), "cannot be stored"),
        (lambda: with_window(Keeps(0.1)), "window is 'missing' when it is read back"),
        (lambda: Slotted(0.1).counted(), "_Slotted__hidden is 1 when it is read back"),
        (lambda: Floats(0.1), "flag is True when it is read back"),
        (lambda: Adds(0.1), r"noise_std is 2\.001 when"),
    ],
)
def test_what_could_not_be_loaded_is_refused_at_once(make, why):
    rule = make()
    name = type(rule).__name__
    with pytest.raises(ns.InputError, match=why) as refused:
        ns.Simulator(NET, rule, engine="objects")
    says = str(refused.value)
    assert says.startswith("Simulator: rule = ")
    assert f"make {name} a frozen dataclass" in says
    assert "\n" not in says


class Cosine:
    def __init__(self, rate=1.0):
        self.gain = rate

    @staticmethod
    def activity(a):
        return a * a


class Sine(Cosine):
    def __init__(self, tau=1.0):
        self.tau = tau


def test_neuron_models_are_compared_and_copied_too(tmp_path):
    with pytest.raises(ns.InputError, match=r"neuron of population 'hidden' = .*attribute 'rate'"):
        ns.Simulator(ns.rnn(1, 3, 1, neuron=Cosine()), engine="objects")
    model = Sine(tau=2.0)
    sim = ns.Simulator(ns.rnn(1, 3, 1, neuron=model), engine="objects")
    model.tau = 5.0
    sim.save(tmp_path / "saved.npz")
    again = ns.Simulator.load(tmp_path / "saved.npz", known=[Sine])
    for one in (sim, again):
        assert one.network.population("hidden").neuron.tau == 2.0


def test_a_decorrelation_and_a_chip_of_ones_own(tmp_path):
    @dataclass(frozen=True)
    class Slow(ns.Decorrelation):
        pass

    @dataclass(frozen=True, repr=False)
    class Chip(ns.Substrate):
        pass

    net = ns.rnn(1, 3, 1, decorrelate=True)
    sim = ns.Simulator(net, None, Slow(1e-3), Chip(act_noise=0.5), engine="objects")
    sim.save(tmp_path / "saved.npz")
    again = ns.Simulator.load(tmp_path / "saved.npz", known=[Slow, Chip])
    assert (again.decorrelation, again.substrate) == (Slow(1e-3), Chip(act_noise=0.5))


@pytest.mark.parametrize("part", ["network", "population", "projection"])
def test_a_network_of_derived_classes_is_refused(part):
    kinds = {"network": Network, "population": Population, "projection": Projection}
    kinds[part] = type("Mine", (kinds[part],), {})
    net = kinds["network"](
        (Population("in", 1), kinds["population"]("out", 1, ns.Linear())),
        (kinds["projection"]("A", "in", "out"),),
    )
    with pytest.raises(ns.InputError, match=r"network = .* not of classes derived from them"):
        ns.Simulator(net)


# --------------------------------------------------- classes that have the same name


def named(name, base=ns.NP, **more):
    return dataclass(frozen=True)(type(name, (base,), {"__module__": __name__, **more}))


def test_a_class_of_ones_own_is_not_taken_for_the_one_built_in(tmp_path):
    own = named("ANP")
    sim = ns.Simulator(NET, own(0.1), engine="objects")
    sim.save(tmp_path / "own.npz")
    with pytest.raises(ns.CheckpointError, match="'ANP' is not built in; pass its class"):
        ns.Simulator.load(tmp_path / "own.npz")
    assert type(ns.Simulator.load(tmp_path / "own.npz", known=[own]).rule) is own
    ns.Simulator(NET, ns.ANP(0.1), engine="objects").save(tmp_path / "built_in.npz")
    assert type(ns.Simulator.load(tmp_path / "built_in.npz", known=[own]).rule) is ns.ANP


def test_two_classes_of_a_name_are_told_apart_by_where_they_are_from():
    one, other = named("Mine", __qualname__="One.Mine"), named("Mine", __qualname__="Two.Mine")
    for cls in (one, other):
        assert type(describe.to_thing(describe.thing(cls(0.1)), [one, other])) is cls
    moved = describe.thing(one(0.1)) | {"class": "elsewhere:Mine"}
    assert type(describe.to_thing(moved, [one])) is one
    with pytest.raises(ns.CheckpointError, match="'elsewhere:Mine' could be any of known"):
        describe.to_thing(moved, [one, other])


def test_older_files_have_the_name_alone(tmp_path):
    own = named("NP")
    described = describe.thing(own(0.1))
    assert type(describe.to_thing(described | {"class": "NP"})) is ns.NP
    assert type(describe.to_thing(described | {"class": "NP"}, [own])) is own
    path = tmp_path / "saved.npz"
    ns.Simulator(NET, ns.NP(0.1), engine="objects").save(path)
    arrays, told = checkpoint.read(path)
    told["rule"]["class"], told["substrate"]["class"] = "NP", "Substrate"
    checkpoint.write(path, arrays, told)
    assert ns.Simulator.load(path).rule == ns.NP(0.1)
