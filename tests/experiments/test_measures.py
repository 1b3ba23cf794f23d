"""What is measured after every epoch is what it says, and measuring changes nothing."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest
import tomli_w

import neurosim as ns
from neurosim.experiments import Experiment
from neurosim.experiments.config import parse
from neurosim.experiments.measures import covariance, find
from neurosim_tasks import MackeyGlass

TASK = MackeyGlass(horizon=3, steps=30, batch=4)
COVARIANCE = 'training.measures=["covariance"]'
QUICK = "baselines.enabled=false"


def simulator(hidden=7, **options):
    given = {"rule": ns.ANP(1e-3), "batch": 4, "seed": 2} | options
    return ns.Simulator(ns.rnn(1, hidden, 1, seed=1, decorrelate=True), **given)


@pytest.mark.parametrize("learned", [0, 5])
@pytest.mark.parametrize("hidden", [2, 7])
def test_the_covariance_is_numpys(hidden, learned):
    sim, (inputs, targets) = simulator(hidden), TASK.train()
    for _ in range(learned):
        sim.run(inputs, targets, learn=True)
    probe = ns.Probe("hidden", "s")
    s = sim.evaluate(inputs, targets, probes=[probe]).probes[probe.name]
    assert s.shape == (30, 4, hidden)
    flat = s.reshape(-1, hidden).astype(float)
    below = np.tril_indices(hidden, -1)
    found = covariance(sim, inputs, targets)
    expected = np.mean(np.cov(flat, rowvar=False, ddof=0)[below] ** 2)
    assert found["s_covariance"] == pytest.approx(expected, rel=1e-9)
    second = np.mean([np.mean(flat[:, i] * flat[:, j]) ** 2 for i, j in zip(*below, strict=True)])
    assert found["s_second_moment"] == pytest.approx(second, rel=1e-9)
    assert found["s_covariance"] > 0
    assert found["s_covariance"] != found["s_second_moment"]
    assert set(found) == {"s_covariance", "s_second_moment"}


def test_one_neuron_has_nothing_to_be_correlated_with():
    found = covariance(simulator(1), *TASK.train())
    assert found == {"s_covariance": 0.0, "s_second_moment": 0.0}


def test_decorrelation_lowers_it():
    sim, (inputs, targets) = simulator(decorrelation=ns.Decorrelation(1e-3)), TASK.train()
    before = covariance(sim, inputs, targets)["s_second_moment"]
    for _ in range(30):
        sim.run(inputs, targets, learn=True)
    assert covariance(sim, inputs, targets)["s_second_moment"] < before / 2


@pytest.mark.parametrize("chip", [ns.Substrate(), ns.Substrate(act_noise=0.1)])
def test_measuring_changes_nothing(chip):
    measured, plain = simulator(substrate=chip), simulator(substrate=chip)
    one = ns.train(measured, TASK, 3, measure=find(["covariance"]), progress=False).frame
    other = ns.train(plain, TASK, 3, progress=False).frame
    assert set(one) - set(other) == {"s_covariance", "s_second_moment"}
    pd.testing.assert_frame_equal(
        one[list(other)].drop(columns="seconds"), other.drop(columns="seconds"), rtol=0, atol=0
    )
    weights = plain.weights
    assert all(np.array_equal(w, weights[name]) for name, w in measured.weights.items())


# ----------------------------------------------------------------------- in a config


def test_the_history_has_its_columns_and_goes_on_as_if_never_stopped(tiny, tmp_path):
    def history(folder):
        return pd.read_parquet(folder / "history.parquet").drop(columns="seconds")

    Experiment(tiny(COVARIANCE, QUICK), tmp_path / "straight", draw=False).run(progress=False)
    for epochs in (1, 2, 3):
        config = tiny(COVARIANCE, QUICK, f"training.epochs={epochs}")
        Experiment(config, tmp_path / "stopped", draw=False).run(epochs > 1, progress=False)
    straight = history(tmp_path / "straight")
    pd.testing.assert_frame_equal(history(tmp_path / "stopped"), straight, rtol=0, atol=0)
    assert straight["s_covariance"].nunique() == 4
    assert (straight["s_covariance"] > 0).all()


def test_none_is_measured_unless_asked(tiny, tmp_path):
    assert find([]) is None
    Experiment(tiny(QUICK), tmp_path / "run", draw=False).run(progress=False)
    assert not any(
        c.startswith("s_") for c in pd.read_parquet(tmp_path / "run" / "history.parquet")
    )


def test_several_are_measured_and_ones_own_too(tmp_path, monkeypatch):
    (tmp_path / "own_measure.py").write_text(
        "def twice(sim, inputs, targets):\n    return {'shown': 2 * inputs.shape[0]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = find(["covariance", "own_measure:twice"])(simulator(), *TASK.train())
    assert found == covariance(simulator(), *TASK.train()) | {"shown": 60}


def test_they_are_part_of_the_config_that_is_written(tiny):
    config = tiny(COVARIANCE, "training.held_out=0.2")
    resolved = config.resolved()
    assert resolved["training"]["measures"] == ["covariance"]
    again = parse(tomllib.loads(tomli_w.dumps(resolved)), config.name, "again")
    assert again.resolved() == resolved
    assert again.digest == config.digest != tiny("training.held_out=0.2").digest
    assert tiny().resolved()["training"]["measures"] == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ('["covarianse"]', r"measures: 'covarianse' does not exist; did you mean 'covariance'"),
        ('["nowhere:it"]', r"measures: 'nowhere:it' cannot be imported \(No module named"),
        ('["math:nothing"]', r"measures: 'math:nothing' cannot be imported"),
        (
            '["math:pi"]',
            r"measures: math:pi = 3\.14\d+ must be a function of \(sim, inputs, targets\)",
        ),
        ('["covariance", "covarianse"]', r"measures: 'covarianse' does not exist"),
        ('"covariance"', r"\[training\] measures = 'covariance': input should be a valid list"),
        ("[3]", r"\[training\] measures.* = .*: input should be a valid string"),
    ],
)
def test_what_cannot_be_measured_is_named(tiny, given, says):
    with pytest.raises(ns.InputError, match=says):
        tiny(f"training.measures={given}")


def test_a_measure_may_not_be_called_as_a_column_that_is_there():
    with pytest.raises(ns.InputError, match="test_mse"):
        ns.train(simulator(), TASK, 1, measure=lambda *_: {"test_mse": -1.0}, progress=False)
