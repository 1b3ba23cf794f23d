"""Values that an object was given are plain Python, and do not change afterwards."""

from __future__ import annotations

import copy
import enum
import pickle
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest

import neurosim as ns
from neurosim import describe
from neurosim.frozen import Frozen, frozen

OF_RATES = [ns.ANP, ns.NP, ns.WP, ns.RFLO, ns.LearnedFeedback, ns.BPTT]


def network_of(table):
    return ns.presets.Preset(network=table, rule=ns.ANP(1e-3))


KEEPERS = [
    *((make, "learning_rate") for make in OF_RATES),
    (lambda table: ns.Substrate(w_max=table), "w_max"),
    (network_of, "network"),
]


@pytest.mark.parametrize(("make", "field"), KEEPERS)
@pytest.mark.parametrize("kind", [dict, MappingProxyType, Frozen])
def test_a_table_is_the_objects_own(make, field, kind):
    given = {"gain": 0.5, "input_gain": 0.25}
    made, expected = make(kind(given)), make(dict(given))
    given["gain"] = 9.0
    assert made == expected
    assert getattr(made, field) == {"gain": 0.5, "input_gain": 0.25}
    assert hash(getattr(made, field)) == hash(getattr(expected, field))


@pytest.mark.parametrize(("make", "field"), KEEPERS)
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.__setitem__("gain", 9.0),
        lambda table: table.__delitem__("gain"),
        lambda table: table.update(gain=9.0),
        lambda table: table.pop("gain"),
        lambda table: table.popitem(),
        lambda table: table.clear(),
        lambda table: table.setdefault("new", 9.0),
        lambda table: table.__ior__({"gain": 9.0}),
    ],
)
def test_it_cannot_be_changed(make, field, change):
    made = make({"gain": 0.5, "input_gain": 0.25})
    with pytest.raises(ns.InputError, match=r"'gain', 'input_gain' is read-only: .*replace"):
        change(getattr(made, field))
    assert getattr(made, field) == {"gain": 0.5, "input_gain": 0.25}


@pytest.mark.parametrize(("make", "field"), KEEPERS)
@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))]
)
def test_it_can_be_copied(make, field, way):
    made = make({"gain": 0.5})
    again = way(made)
    assert again == made
    assert type(getattr(again, field)) is Frozen
    assert repr(again) == repr(made)


def test_a_chips_assumptions_are_read_only():
    with pytest.raises(ns.InputError, match="read-only"):
        ns.presets.noisy_node.assumed["act_noise"] = 0.0
    assert ns.Substrate() | dict(ns.presets.noisy_node.assumed) == ns.presets.noisy_node


class Size(enum.IntEnum):
    SMALL = 3


class Word(str, enum.Enum):  # noqa: UP042
    ONLINE = "online"


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.str_("sgd"), "sgd"),
        (Fraction(1, 4), 0.25),
        (Size.SMALL, 3),
        (Word.ONLINE, "online"),
        ([1, [Fraction(1, 2)]], (1, (0.5,))),
        ({np.str_("A"): np.float32(0.5)}, {"A": 0.5}),
        (MappingProxyType({"A": {"B": [np.int8(1)]}}), {"A": {"B": (1,)}}),
        (True, True),
        (None, None),
    ],
)
def test_values_become_plain(given, plain):
    def kinds(value):
        inside = value.items() if isinstance(value, dict) else value
        return type(value), [kinds(v) for v in inside] if isinstance(value, tuple | dict) else []

    assert frozen(given) == plain
    assert kinds(frozen(given)) == kinds(frozen(plain))
    assert type(frozen(given)) in (bool, int, float, str, tuple, Frozen, type(None))


def test_what_is_no_plain_value_is_left_for_the_checks():
    for value in (np.ones(2), {1, 2}, 1j, Fraction(10**400), object()):
        assert frozen(value) is value
    with pytest.raises(ns.InputError, match=r"learning_rate = .* must be a finite number"):
        ns.ANP(Fraction(10**400))


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (lambda v: ns.ANP(v), "learning_rate", Fraction(1, 1000)),
        (lambda v: ns.ANP({"A": v}), "learning_rate", np.float32(1e-3)),
        (lambda v: ns.ANP(1e-3, noise_std=v), "noise_std", np.float32(1e-3)),
        (lambda v: ns.ANP(1e-3, window=v, schedule="window"), "window", np.int64(5)),
        (lambda v: ns.BPTT(1e-3, truncate=v), "truncate", np.int64(5)),
        (lambda v: ns.Decorrelation(v), "learning_rate", Fraction(1, 1000)),
        (lambda v: ns.Tanh(tau=v), "tau", Fraction(5, 2)),
        (lambda v: ns.Substrate(act_noise=v), "act_noise", Fraction(1, 8)),
        (lambda v: ns.Substrate(drift_nu=[v, 2 * v]), "drift_nu", Fraction(1, 8)),
        (lambda v: ns.Population("p", v, ns.Tanh()), "size", np.int32(5)),
        (lambda v: ns.Projection("p", "a", "b", gain=v), "gain", Fraction(1, 8)),
        (lambda v: ns.rnn(1, 2, 1, seed=v), "seed", np.uint32(5)),
    ],
)
def test_every_object_makes_its_fields_plain(make, field, value):
    found = getattr(make(value), field)
    inner = found.values() if isinstance(found, dict) else found
    for number in inner if isinstance(found, dict | tuple) else (found,):
        assert type(number) in (int, float)


@pytest.mark.parametrize("rates", [dict, MappingProxyType])
def test_a_checkpoint_has_the_rates_that_were_learned_with(tmp_path, rates):
    given = {"A": Fraction(1, 100), "B": np.float32(1e-2)}
    sim = ns.Simulator(ns.rnn(1, 3, 1), ns.NP(rates(given)), engine="objects", seed=1)
    inputs, targets = np.ones((4, 1, 1)), np.zeros((4, 1, 1))
    sim.run(inputs, targets)
    given["A"] = 5.0
    sim.save(tmp_path / "saved.npz")
    again = ns.Simulator.load(tmp_path / "saved.npz")
    assert again.rule == sim.rule
    assert again.rule.learning_rate["A"] == 0.01
    sim.run(inputs, targets)
    again.run(inputs, targets)
    for name, weights in sim.weights.items():
        np.testing.assert_array_equal(weights, again.weights[name])


def test_describing_gives_what_is_plain():
    described = describe.thing(ns.Substrate(w_max={"A": Fraction(1, 2)}, drift_nu=[0.1, 0.2]))
    assert described["w_max"] == {"A": 0.5}
    assert described["drift_nu"] == (0.1, 0.2)
