"""Populations, projections and networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import neurosim as ns
from neurosim.network import Network, Population, Projection

INPUT = Population("input", 2)
HIDDEN = Population("hidden", 3, ns.Tanh(), "D")
OUTPUT = Population("output", 1, ns.Linear())
A = Projection("A", "input", "hidden")
R = Projection("R", "hidden", "hidden", delay=1)
B = Projection("B", "hidden", "output")


class Mind:
    @staticmethod
    def activity(a, everyone):
        return a + everyone


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", 3), r"Population: name = '' must be a non-empty string"),
        ((None, 3), r"Population: name = None must be a non-empty string"),
        (("h", 0), r"Population 'h': size = 0 must be a whole number in \[1, 2\*\*31\)"),
        (("h", -1), r"Population 'h': size = -1 must"),
        (("h", 2.0), r"Population 'h': size = 2\.0 must"),
        (("h", "3"), r"Population 'h': size = '3' must"),
        (("h", True), r"Population 'h': size = True must"),
        (("h", np.array([1, 2])), r"Population 'h': size = array"),
        (("h", 3, "tanh"), r"Population 'h': neuron = 'tanh' must be a neuron model such as"),
        (("h", 3, ns.Tanh), r"Population 'h': neuron = <class .*Tanh'> must be a neuron model"),
        (("h", 3, Mind()), r"Mind: activity\(\) asks for 'everyone', .* may ask for: a, x, leak"),
        (("h", 3, None, "D"), r"Population 'h': decorrelation = 'D' must be .* neuron model"),
        (("h", 3, ns.Tanh(), ""), r"Population 'h': decorrelation = '' must be None, or a matrix"),
        (("h", 3, ns.Tanh(), True), r"Population 'h': decorrelation = True must be"),
    ],
)
def test_a_population_refuses(arguments, said):
    with pytest.raises(ns.InputError, match=said):
        Population(*arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", "a", "b"), r"Projection: name = '' must be a non-empty string"),
        ((1, "a", "b"), r"Projection: name = 1 must be a non-empty string"),
        (("P", 3, "b"), r"Projection 'P': pre = 3 must be the name of a population"),
        (("P", "a", ["b"]), r"Projection 'P': post = \['b'\] must be the name of a population"),
        (("P", "a", "b", 2), r"Projection 'P': delay = 2 must be 0 or 1"),
        (("P", "a", "b", -1), r"Projection 'P': delay = -1 must be 0 or 1"),
        (("P", "a", "b", True), r"Projection 'P': delay = True must be 0 or 1"),
        (("P", "a", "b", 1.0), r"Projection 'P': delay = 1\.0 must be 0 or 1"),
        (("P", "a", "b", 0, -0.5), r"Projection 'P': gain = -0\.5 must be a finite number >= 0"),
        (("P", "a", "b", 0, math.nan), r"Projection 'P': gain = nan must be a finite number >= 0"),
        (("P", "a", "b", 0, math.inf), r"Projection 'P': gain = inf must be a finite number >= 0"),
        (("P", "a", "b", 0, "1"), r"Projection 'P': gain = '1' must be a finite number >= 0"),
        (("P", "a", "b", 0, 1.0, "ones"), r"'P': initial = 'ones' must be 'xavier' or 'orthogonal"),
        (("P", "a", "b", 0, 1.0, None), r"Projection 'P': initial = None must be 'xavier' or"),
    ],
)
def test_a_projection_refuses(arguments, said):
    with pytest.raises(ns.InputError, match=said):
        Projection(*arguments)


SILENT = Population("silent", 2)
TWIN = Population("hidden", 2, ns.Tanh())
ALONE = Population("alone", 2, ns.Tanh())


@pytest.mark.parametrize(
    ("populations", "projections", "said"),
    [
        ([INPUT], [], r"Network: populations = .* must be 2 or more"),
        ([INPUT, HIDDEN, TWIN], [A], r"Network: names = \['hidden'\] must be different"),
        ([INPUT, HIDDEN, OUTPUT], [A, A, B], r"Network: names = \['A'\] must be different"),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, Projection("D", "hidden", "output")],
            r"Network: names = \['D'\] must be different",
        ),
        ([HIDDEN, OUTPUT], [B], r"Network: neuron of population 'hidden' = Tanh.* must be None"),
        (
            [INPUT, SILENT, OUTPUT],
            [],
            r"Network: neuron of population 'silent' = None must be .* a model for all others",
        ),
        (
            [INPUT, HIDDEN, ALONE, OUTPUT],
            [A, B],
            r"Network: population = 'alone' must be the post of a projection",
        ),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, B, Projection("P", "hiden", "output")],
            r"Projection 'P': pre = 'hiden' is no population; did you mean 'hidden'\? known: hidd",
        ),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, B, Projection("P", "hidden", "outptu")],
            r"Projection 'P': post = 'outptu' is no population; did you mean 'output'\?",
        ),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, B, Projection("P", "hidden", "input", delay=1)],
            r"Projection 'P': post = 'input' must be not the input",
        ),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, B, Projection("P", "output", "hidden")],
            r"Projection 'P': pre = 'output' must be a population before 'hidden', or delay = 1",
        ),
        (
            [INPUT, HIDDEN, OUTPUT],
            [A, B, Projection("P", "hidden", "hidden")],
            r"Projection 'P': pre = 'hidden' must be a population before 'hidden', or delay = 1",
        ),
        (["input", "output"], [], r"Network: populations"),
        ([INPUT, HIDDEN, OUTPUT], ["A"], r"Network: projections"),
    ],
)
def test_a_network_refuses(populations, projections, said):
    with pytest.raises(ns.InputError, match=said):
        Network(populations, projections)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", True, None])
def test_a_seed_is_one_word(seed):
    with pytest.raises(ns.InputError, match=r"Network: seed = .* must be a whole number in \[0, 2"):
        ns.rnn(1, 2, 1, seed=seed)


def test_the_papers_network():
    net = ns.rnn(2, 3, 1, decorrelate=True, neuron=ns.ReLU(), gain=0.5, input_gain=2.0, seed=7)
    assert [(p.name, p.size, p.neuron) for p in net.populations] == [
        ("input", 2, None),
        ("hidden", 3, ns.ReLU()),
        ("output", 1, ns.Linear()),
    ]
    assert [(p.name, p.pre, p.post, p.delay, p.gain) for p in net.projections] == [
        ("A", "input", "hidden", 0, 2.0),
        ("R", "hidden", "hidden", 1, 0.5),
        ("B", "hidden", "output", 0, 1.0),
    ]
    assert net.matrices == ("A", "R", "B", "D")
    assert {name: net.shape(name) for name in net.matrices} == {
        "A": (3, 2),
        "R": (3, 3),
        "B": (1, 3),
        "D": (3, 3),
    }
    assert (net.inputs.name, net.outputs.name, net.seed) == ("input", "output", 7)
    assert ns.rnn(2, 3, 1).population("hidden") == Population("hidden", 3, ns.Tanh())
    assert ns.rnn(2, 3, 1).matrices == ("A", "R", "B")


@pytest.mark.parametrize(("sizes", "who"), [((0, 3, 1), "input"), ((1, 3, 0), "output")])
def test_the_papers_network_refuses_empty_populations(sizes, who):
    with pytest.raises(ns.InputError, match=f"Population '{who}': size = 0"):
        ns.rnn(*sizes)


def test_names_that_do_not_exist():
    net = ns.rnn(2, 3, 1)
    with pytest.raises(ns.InputError, match="Network: no weights 'D'; known: A, B, R"):
        net.shape("D")
    with pytest.raises(ns.InputError, match=r"'hiden'.*did you mean 'hidden'"):
        net.population("hiden")


def test_lists_do_and_are_kept_as_tuples():
    net = Network([INPUT, HIDDEN, OUTPUT], [A, R, B])
    assert net == Network((INPUT, HIDDEN, OUTPUT), (A, R, B))
    assert isinstance(net.populations, tuple)
    assert isinstance(net.projections, tuple)


@pytest.mark.parametrize(("gain", "input_gain"), [(1.0, 1.0), (0.5, 3.0), (0.0, 1.0)])
def test_initial_weights_are_xavier_normal(gain, input_gain):
    net = ns.rnn(200, 300, 100, decorrelate=True, gain=gain, input_gain=input_gain, seed=3)
    weights = net.initial_weights()
    assert list(weights) == list(net.matrices)
    for name, factor in (("A", input_gain), ("R", gain), ("B", 1.0)):
        w = weights[name]
        std = factor * math.sqrt(2 / sum(net.shape(name)))
        assert w.shape == net.shape(name)
        assert w.dtype == np.float32
        assert abs(w.mean()) <= 5 * std / math.sqrt(w.size)
        assert w.std() == pytest.approx(std, rel=0.02)
    np.testing.assert_array_equal(weights["D"], np.eye(300))
    assert weights["D"].dtype == np.float32


def test_initial_weights_depend_on_the_seed_and_the_name_alone():
    first, again = (ns.rnn(2, 5, 1, seed=4).initial_weights() for _ in range(2))
    other = ns.rnn(2, 5, 1, seed=5).initial_weights()
    small = ns.rnn(2, 5, 3, seed=4, decorrelate=True).initial_weights()
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    np.testing.assert_array_equal(first["R"], small["R"])
    square = Network(
        (INPUT, Population("h", 2, ns.Tanh())),
        (Projection("P", "input", "h"), Projection("Q", "input", "h")),
    ).initial_weights()
    assert not np.array_equal(square["P"], square["Q"])


@pytest.mark.parametrize(
    ("neuron", "projections", "hidden", "output"),
    [
        (ns.Tanh(), [A, B], False, False),
        (ns.Tanh(tau=1.5), [A, B], True, False),
        (ns.Tanh(), [A, R, B], True, False),
        (ns.Tanh(), [A, B, Projection("F", "output", "hidden", delay=1)], True, True),
        (ns.Tanh(), [A, B, Projection("F", "output", "output", delay=1)], True, True),
    ],
)
def test_how_long_a_perturbation_can_be_felt(neuron, projections, hidden, output):
    net = Network([INPUT, Population("hidden", 3, neuron), OUTPUT], projections)
    assert (net.lasts("hidden"), net.lasts("output")) == (hidden, output)
