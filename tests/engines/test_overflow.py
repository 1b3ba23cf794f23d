"""What a run that ended with numbers that are not finite says was to blame."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import neurosim as ns

ENGINES = ("objects", "cpu", "emulator")
U, Y = np.ones((200, 2, 1)), np.zeros((200, 2, 1))
HEALTHY = "all weights are finite"

pytestmark = pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")


def blown(rule, engine, gain=1.0, neuron=None, y=Y, learn=True, decorrelation=None, **changed):
    net = ns.rnn(1, 9, 1, neuron=neuron, gain=gain, decorrelate=decorrelation is not None, seed=1)
    sim = ns.Simulator(net, rule, decorrelation, batch=2, engine=engine, seed=3)
    sim.weights = {name: np.full_like(sim.weights[name], w) for name, w in changed.items()}
    with pytest.raises(ns.DivergenceError) as error:
        sim.run(U, y, learn and rule is not None)
    return error.value


@pytest.mark.parametrize("rule", [None, ns.ANP(1e-3), ns.NP(1e-3, noise_std=3e-8)])
@pytest.mark.parametrize("engine", ENGINES)
def test_weights_are_not_blamed_for_an_activity(rule, engine):
    error = blown(rule, engine, gain=30.0, neuron=ns.Linear(), learn=False)
    assert error.projection is None
    assert error.population in ("hidden", "output")
    for part in (f"population {error.population!r}", f"step {error.step} ", HEALTHY, "gain"):
        assert part in str(error)
    assert "noise_std" not in str(error)


@pytest.mark.parametrize("rule", [ns.BPTT({"A": 1e-30}), ns.BPTT(1e-30, truncate=2)])
def test_nor_are_those_of_the_referee(rule):
    error = blown(rule, "cpu", gain=30.0, neuron=ns.Linear())
    assert (error.projection, error.population is None) == (None, False)
    assert HEALTHY in str(error)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_grew_have_made_an_activity_overflow_too(engine):
    error = blown(ns.ANP(1e-3), engine, neuron=ns.Linear(), learn=False, R=5.0)
    assert error.population in ("hidden", "output")
    for part in ("'R'", HEALTHY, "Lower the learning_rate of ANP; or lower the gain"):
        assert part in str(error)


@pytest.mark.parametrize("engine", ["cpu", "emulator"])  # float64 holds the loss of "objects"
def test_targets_that_nothing_can_be_compared_with(engine):
    error = blown(ns.ANP(1e-30), engine, y=Y + 1e30)
    assert (error.projection, error.population, error.step) == (None, None, 0)
    assert "|target| = 1e+30" in str(error)


@pytest.mark.parametrize(
    ("rule", "said", "unsaid"),
    [
        (ns.NP(1e30, noise_std=1e-3), "Lower the learning_rate of NP, and", "noise_std"),
        (ns.ANP(1e30, noise_std=1.0), "Lower the learning_rate of ANP, or noise_std = 1,", "Raise"),
        (ns.NP(1e30, noise_std=1e-7), "Raise noise_std = 1e-07 of NP", "Lower"),
        (ns.WP(1e30, noise_std=1e-8), "Raise noise_std = 1e-08 of WP", "Lower"),
        (ns.RFLO(1e30), "Lower the learning_rate of RFLO, and", "noise_std"),
        (ns.BPTT(1e30, chunk=5), "Lower the learning_rate of BPTT, and", "noise_std"),
        (None, "Set smaller weights", "learning_rate"),
    ],
)
def test_the_advice_fits(rule, said, unsaid):
    error = blown(rule, "cpu", **({"B": 1e30} if rule is None else {}))
    assert error.projection in ("A", "R", "B")
    assert f"weights of projection {error.projection!r} blew up at step {error.step}" in str(error)
    assert said in str(error)
    assert unsaid not in str(error)


def test_what_decorrelates_has_a_rate_of_its_own():
    error = blown(ns.ANP(1e-30), "cpu", decorrelation=ns.Decorrelation(1e30))
    assert error.projection == "D"
    assert "Lower the decorrelation's learning_rate" in str(error)


def test_the_error_gets_to_another_process_whole():
    error = blown(ns.ANP(1e30), "cpu")
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), vars(sent)) == (str(error), vars(error))
