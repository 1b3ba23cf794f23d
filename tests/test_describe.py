"""Networks, rules and chips as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

import neurosim as ns
from neurosim import describe
from neurosim.network import Network, Population, Projection


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
        None,
    ],
)
def test_what_is_built_in_comes_back_equal(thing):
    assert describe.to_thing(through_json(describe.thing(thing))) == thing


def test_ones_own_class_is_needed_to_build_its_instances():
    described = through_json(describe.thing(Mine(0.5)))
    assert described == {"class": "Mine", "learning_rate": 0.5, "noise_std": 1e-3}
    assert describe.to_thing(described, known=[Mine]) == Mine(0.5)
    with pytest.raises(ns.CheckpointError, match=r"'Mine' is not built in; .*known=\[Mine\]"):
        describe.to_thing(described)


def test_a_class_that_is_no_dataclass_keeps_its_options():
    described = through_json(describe.thing(Plain(learning_rate=0.25)))
    assert describe.to_thing(described, known=[Plain]).learning_rate == 0.25


def test_describing_does_not_change_what_is_described():
    described = describe.thing(Mine(0.5))
    describe.to_thing(described, [Mine])
    assert described["class"] == "Mine"


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
