"""Short forms of objects: one line, and a small table for notebooks."""

from __future__ import annotations

import numpy as np
import pytest

import neurosim as ns
from neurosim.network import Network, Population, Projection
from neurosim.neurons import Linear, Tanh

NET = ns.rnn(1, 90, 1, decorrelate=True, bias=0.5, seed=3)
SIM = ns.Simulator(NET, ns.ANP(1e-3), ns.Decorrelation(1e-5), batch=2, engine="objects")
SMALL = ns.Simulator(ns.rnn(1, 3, 1), ns.ANP(1e-3), batch=2, engine="objects")
RECORD = SMALL.run(np.ones((400, 2, 1)), np.ones((400, 2, 1)), probes=[ns.Probe("hidden")])
HISTORY = ns.History(
    [{"epoch": k, "train_mse": 1 / 3, "test_mse": 2 / 3, "<b>": 1.0} for k in range(400)]
)
THINGS = {"network": NET, "simulator": SIM, "record": RECORD, "history": HISTORY}


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
def test_a_line_is_a_line(thing):
    assert "\n" not in repr(thing)
    assert len(repr(thing)) < 240
    assert len(thing._repr_html_()) < 5000


def test_the_line_says_what_is_worth_knowing():
    assert repr(NET) == "Network(1-1-90-1, matrices=[A, R, B, b, D], seed=3)"
    assert "rule=ANP(learning_rate=0.001, schedule='online'), decorrelation=Deco" in repr(SIM)
    said = f"Record(steps=400, batch=2, mse={RECORD.mse:.4g}, outputs=None, reward=['A', "
    assert repr(RECORD).startswith(said)
    assert "probes=[hidden.x (400, 2, 3)]" in repr(RECORD)
    assert repr(HISTORY) == "History(400 rows, train_mse=0.3333, test_mse=0.6667)"
    assert repr(ns.History()) == "History(0 rows)"
    assert repr(ns.History([{"epoch": 0}], interrupted=True)) == "History(1 rows, interrupted)"


def test_of_many_populations_the_first_and_the_last_are_named():
    populations = [Population("p0", 1), *(Population(f"p{k}", k, Tanh()) for k in range(1, 99))]
    populations.append(Population("p99", 1, Linear()))
    net = Network(
        tuple(populations), tuple(Projection(f"w{k}", f"p{k}", f"p{k + 1}") for k in range(99))
    )
    assert repr(net) == (
        "Network(1-1-2-3-4-5-...-1, matrices=[w0, w1, w2, w3, w4, w5, ..., w98], seed=0)"
    )


def test_names_are_no_html():
    name = "<script>&"
    net = Network(
        (Population("u", 1), Population(name, 1, Linear())), (Projection("w", "u", name),)
    )
    for thing in (net, ns.Simulator(net, engine="objects"), HISTORY):
        assert "<script>" not in thing._repr_html_()
        assert "<b>" not in thing._repr_html_().replace("<b>Network", "").replace("<b>Simul", "")
    assert "&lt;script&gt;&amp;" in net._repr_html_()
