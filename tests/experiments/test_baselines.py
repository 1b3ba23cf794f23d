"""Baselines do what their names say, on the same split."""

from __future__ import annotations

import numpy as np
import pytest

import neurosim as ns
from neurosim.experiments import baselines, readout
from neurosim.experiments.baselines import DELTA, MEANING, RIDGE, States, delta_rule, ridge_readout
from neurosim_tasks import Copying, DelayedXor, Evidence, FlipFlop, MackeyGlass, Parity, Sine


@pytest.fixture
def parts(tiny):
    def make(*overrides):
        config = tiny(*overrides)
        return config.task, config.simulator()

    return make


@pytest.fixture
def copying(tmp_path, tiny_file):
    from neurosim.experiments import load

    text = tiny_file.read_text()
    start, end = text.index("[task]"), text.index("[network]")
    table = '[task]\nname = "copying"\nlength = 3\ndelay = 1\nsequences = 3\ntest_sequences = 4\n'
    tiny_file.write_text(text[:start] + table + text[end:])
    config = load(tiny_file, ["network.hidden=12"])
    return config.task, config.simulator()


def test_all_are_there(parts):
    table = baselines.compute(*parts(), epochs=2)
    assert list(table.index) == ["mean", "persistence", "ridge", "ridge on lags", RIDGE, DELTA]
    assert table[["train_mse", "test_mse"]].notna().all(axis=None)


@pytest.mark.parametrize(
    "task", [DelayedXor(), Evidence(), FlipFlop(bits=2), Parity(), Sine()], ids=lambda t: type(t)
)
def test_the_readout_of_ten_untrained_neurons_is_not_enough(task):
    net = ns.rnn(task.n_inputs, 10, task.n_targets, recurrent="orthogonal", gain=0.9, bias=0.3)
    table = baselines.compute(task, ns.Simulator(net, batch=10), epochs=2)
    assert np.isfinite(table.filter(like="_mse")).all(axis=None)
    # Not enough is a fifth of what the mean leaves, by either of them.
    assert (table.test_mse[[RIDGE, DELTA]] > 0.2 * table.test_mse["mean"]).all()
    assert ("test_accuracy" in table) == hasattr(task, "chance")
    assert set(table.index) <= set(MEANING)


def test_states_are_what_a_hand_written_pass_sends(parts):
    task, sim = parts()
    inputs, _ = task.train(0)
    w = {name: values.astype(np.float64) for name, values in sim.weights.items()}
    s = np.zeros((inputs.shape[1], 6))
    expected = []
    for u in inputs.astype(np.float64):
        s = np.tanh(u @ w["A"].T + s @ w["R"].T) @ w["D"].T
        expected.append(s)
    np.testing.assert_allclose(States(task, sim, 1).train[0], expected, atol=2e-6)


def test_the_ridge_readout_is_the_best_linear_readout_of_train(parts, monkeypatch):
    monkeypatch.setattr(readout, "STRENGTHS", np.array([1e-9]))
    task, sim = parts()
    states = States(task, sim, 1)
    s, y = states.train
    x = np.c_[s.reshape(-1, 6), np.ones(y.size)].astype(np.float64)
    w, *_ = np.linalg.lstsq(x, y.ravel().astype(np.float64), rcond=None)
    best = np.mean((x @ w - y.ravel()) ** 2)
    score = ridge_readout(task, states)
    assert best <= score["train_mse"] <= 1.001 * best
    s, y = states.test
    x = np.c_[s.reshape(-1, 6), np.ones(y.size)]
    assert score["test_mse"] == pytest.approx(np.mean((x @ w - y.ravel()) ** 2), rel=0.01)


def test_the_ridge_strength_is_the_best_on_what_was_held_out(parts, monkeypatch):
    monkeypatch.setattr(readout, "STRENGTHS", np.array([1e3, 1e-6, 1e4]))
    task, sim = parts()
    assert "strength 1e-06" in ridge_readout(task, States(task, sim, 1))["note"]


def test_the_ridge_strength_does_not_see_the_test(parts):
    task, sim = parts()
    states = States(task, sim, 1)
    before = ridge_readout(task, states)
    states.test = (states.test[0], states.test[1] + 7)
    after = ridge_readout(task, states)
    assert after["note"] == before["note"]
    assert after["train_mse"] == before["train_mse"]
    assert after["test_mse"] != before["test_mse"]


@pytest.mark.parametrize("rate", baselines.RATES[:5])
def test_the_delta_rule_is_the_exact_gradient_online(parts, monkeypatch, rate):
    monkeypatch.setattr(baselines, "RATES", (rate,))
    task, sim = parts()
    states = States(task, sim, 2)
    s, y = (array.astype(np.float64) for array in states.train)
    w = sim.weights["B"].astype(np.float64)
    power = np.mean((s**2).sum(axis=2))
    for _ in range(2):
        for state, target in zip(s, y, strict=True):
            error = state @ w.T - target
            w -= rate / power * 2 * error.T @ state / len(state)
    score = delta_rule(task, states, sim, 2)
    assert score["train_mse"] == pytest.approx(np.mean((s @ w.T - y) ** 2), rel=1e-6)
    s, y = states.test
    assert score["test_mse"] == pytest.approx(np.mean((s @ w.T - y) ** 2), rel=1e-6)


@pytest.mark.parametrize("of", [delta_rule, ridge_readout])
def test_what_is_picked_is_picked_on_train(parts, monkeypatch, of):
    """Not even a test that another rate, or another strength, would solve is looked at."""
    task, sim = parts()
    states = States(task, sim, 3)

    def score():
        return of(task, states, sim, 3) if of is delta_rule else of(task, states)

    chosen, (s, y) = score(), states.test
    where, name = (baselines, "RATES") if of is delta_rule else (readout, "STRENGTHS")
    for choice in getattr(where, name):
        with monkeypatch.context() as only:
            only.setattr(where, name, np.array([choice]))
            judge = Answers()
            of(judge, states, sim, 3) if of is delta_rule else of(judge, states)
            states.test = s, judge.kept[-1].astype(np.float32)
            solved = score()["test_mse"]
        again = score()
        assert solved <= 1e-10 * np.mean(np.square(states.test[1], dtype=float))
        assert again["note"] == chosen["note"]
        assert again["train_mse"] == chosen["train_mse"]
        states.test = s, y


class Answers:
    """A task that keeps what it is asked to judge."""

    def __init__(self):
        self.kept = []

    def score(self, outputs, targets):
        self.kept.append(np.asarray(outputs))
        return {"mse": float(np.mean(np.square(outputs - targets)))}


class OtherTest:
    """A task whose test is another one: what it was trained on, its targets turned around."""

    def __init__(self, task):
        self._task, self.name = task, type(task).__name__

    def __getattr__(self, name):
        return getattr(self._task, name)

    def test(self):
        inputs, targets = self._task.train(0)
        return inputs, -targets

    def baselines(self):
        made = type(self.name, (type(self._task),), {"test": lambda _: self.test()})
        other = object.__new__(made)
        vars(other).update(vars(self._task))
        return other.baselines()


def test_no_baseline_sees_the_test():
    """On another test every baseline is another number, and nothing else about it changes."""
    copying = Copying(length=3, delay=2, batch=2, sequences=2)
    for task in (MackeyGlass(steps=60, batch=2), copying):
        sim = ns.Simulator(ns.rnn(task.n_inputs, 8, task.n_targets, seed=1), batch=2)
        one, other = (baselines.compute(t, sim, epochs=3) for t in (task, OtherTest(task)))
        assert (one["train_mse"] == other["train_mse"]).all()
        assert one["note"].equals(other["note"])
        assert (one["test_mse"] != other["test_mse"]).all()


def test_a_readout_is_refitted_without_the_test():
    task = MackeyGlass(steps=60, batch=2)
    sim = ns.Simulator(ns.rnn(1, 8, 1, seed=1), batch=2)
    one, other = (ns.refit_readout(sim, t) for t in (task, OtherTest(task)))
    assert (one["train_mse"], one["note"]) == (other["train_mse"], other["note"])
    assert one["test_mse"] != other["test_mse"]


def test_a_rate_that_blows_up_is_not_picked(parts, monkeypatch):
    monkeypatch.setattr(baselines, "RATES", (1e6, 0.1))
    task, sim = parts()
    score = delta_rule(task, States(task, sim, 20), sim, 20)
    assert "(0.1 / mean power)" in score["note"]
    assert np.isfinite(score["test_mse"])


def test_the_simulator_is_left_alone(parts):
    task, sim = parts()
    before = sim.weights
    baselines.compute(task, sim, epochs=1)
    assert sim.step == 0
    assert all(np.array_equal(before[name], w) for name, w in sim.weights.items())


def test_other_scores_come_along(copying):
    table = baselines.compute(*copying, epochs=3)
    assert table.loc[[RIDGE, DELTA], ["train_accuracy", "test_accuracy"]].notna().all(axis=None)
    assert table.loc[RIDGE, "test_accuracy"] > table.loc[DELTA, "test_accuracy"]


def test_fresh_data_are_fresh_in_every_epoch(copying):
    task, sim = copying
    states = States(task, sim, 3)
    assert states.fresh
    seen = [y for _, y in states.different()]
    assert len(seen) == 3
    for epoch, y in enumerate(seen):
        np.testing.assert_array_equal(y, task.train(epoch)[1])


def test_data_that_stay_are_run_once(parts):
    task, sim = parts()
    states = States(task, sim, 3)
    assert not states.fresh
    assert states.of_epoch(2) is states.of_epoch(0)
    assert len(list(states.different())) == 1


def test_they_are_there_for_scripts_too(parts):
    import neurosim as ns

    task, sim = parts()
    before = sim.weights
    assert ns.baselines(task, sim, epochs=1).equals(baselines.compute(task, sim, epochs=1))
    assert all((w == before[name]).all() for name, w in sim.weights.items())


# ------------------------------------------------------------------- refitted readouts


def trained(task, **more):
    net = ns.rnn(task.n_inputs, 12, task.n_targets, seed=1)
    given = {"batch": 2, "seed": 1} | more
    return ns.train(ns.Simulator(net, ns.ANP(0.01), **given), task, epochs=2, progress=False)


def test_a_refitted_readout_is_the_ridge_readout_of_the_network_as_it_is():
    task = MackeyGlass(steps=60, batch=2)
    sim = trained(task).simulator
    before = sim.weights
    expected = ridge_readout(task, States(task, sim, 1))
    assert ns.refit_readout(sim, task) == expected
    assert all((w == before[name]).all() for name, w in sim.weights.items())
    untrained = ns.Simulator(sim.network, batch=2)
    assert ns.refit_readout(untrained, task)["test_mse"] != expected["test_mse"]


def test_a_readout_that_is_written_is_the_best_of_its_kind(monkeypatch):
    monkeypatch.setattr(readout, "STRENGTHS", np.array([1e-9]))
    task = MackeyGlass(steps=60, batch=2)
    sim = trained(task).simulator
    before = sim.weights
    scores = ns.refit_readout(sim, task, write=True)
    assert scores["train_mse"] == pytest.approx(sim.evaluate(*task.train(0)).mse, rel=1e-5)
    assert scores["test_mse"] == pytest.approx(sim.evaluate(*task.test()).mse, rel=1e-5)
    s, y = States(task, sim, 1).train
    x, y = s.reshape(-1, 12).astype(np.float64), y.reshape(-1, 1).astype(np.float64)
    w, *_ = np.linalg.lstsq(x, y, rcond=None)
    assert scores["train_mse"] == pytest.approx(np.mean((x @ w - y) ** 2), rel=1e-2)
    assert (sim.weights["A"] == before["A"]).all()
    assert (sim.weights["R"] == before["R"]).all()


def test_a_readout_is_written_as_the_chip_can_store_it():
    task, chip = MackeyGlass(steps=60, batch=2), ns.Substrate(w_bits=3, w_max=1.0)
    sim = trained(task, substrate=chip).simulator
    ns.refit_readout(sim, task, write=True)
    levels = sim.weights["B"].astype(float) / (1.0 / 3)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-5)


def test_what_cannot_be_refitted_is_refused():
    task = MackeyGlass(steps=60, batch=2)
    sim = trained(task).simulator
    with pytest.raises(ns.InputError, match=r"refit_readout: sim = 3 must be a Simulator"):
        ns.refit_readout(3, task)
    with pytest.raises(ns.InputError, match=r"refit_readout: epochs = 0 must be"):
        ns.refit_readout(sim, task, epochs=0)
    with pytest.raises(ns.InputError, match=r"refit_readout: write = 'yes' must be True or False"):
        ns.refit_readout(sim, task, write="yes")
    populations = (
        ns.Population("in", 1),
        ns.Population("hidden", 4, ns.Tanh()),
        ns.Population("out", 1, ns.Tanh()),
    )
    projections = (ns.Projection("A", "in", "hidden"), ns.Projection("B", "hidden", "out"))
    other = ns.Simulator(ns.Network(populations, projections, seed=1), batch=2)
    assert ns.refit_readout(other, task)["test_mse"] > 0
    with pytest.raises(ns.InputError, match=r"write = True needs an output 'out' of neuron = Lin"):
        ns.refit_readout(other, task, write=True)


@pytest.mark.parametrize("last", [False, True])
def test_the_readout_is_that_of_the_hidden_population_in_any_order(last):
    """Not that of the inputs, nor that of a unit that is always on."""
    task = MackeyGlass(steps=60, batch=2)
    populations = (
        ns.Population("in", 1),
        ns.Population("hidden", 4, ns.Tanh()),
        ns.Population("one", 1, ns.One()),
        ns.Population("out", 1, ns.Linear()),
    )
    hidden = (ns.Projection("A", "in", "hidden"), ns.Projection("B", "hidden", "out"))
    beside = (ns.Projection("S", "in", "out"), ns.Projection("b", "one", "out"))
    given = [
        ns.Simulator(ns.Network(populations, projections, seed=1), batch=2)
        for projections in (hidden, (*hidden, *beside) if last else (*beside, *hidden))
    ]
    assert ns.refit_readout(given[1], task) == ns.refit_readout(given[0], task)
