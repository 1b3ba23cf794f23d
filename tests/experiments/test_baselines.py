"""Baselines do what their names say, on the same split."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.experiments import baselines
from neurosim.experiments.baselines import DELTA, RIDGE, States, delta_rule, ridge_readout


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
    monkeypatch.setattr(baselines, "STRENGTHS", np.array([1e-9]))
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
    monkeypatch.setattr(baselines, "STRENGTHS", np.array([1e3, 1e-6, 1e4]))
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


def test_the_rate_is_picked_on_train(parts):
    task, sim = parts()
    states = States(task, sim, 3)
    chosen = delta_rule(task, states, sim, 3)
    states.test = (states.test[0], states.test[1] + 7)
    assert delta_rule(task, states, sim, 3)["note"] == chosen["note"]


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
