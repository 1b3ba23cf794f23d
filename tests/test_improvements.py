"""What beats the paper's rule: methods that can be run, rates chosen in stages, tables of it."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neurosim as ns
from neurosim.experiments.sweep.runs import carry_out

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = {"name": "copying", "length": 2, "delay": 1, "sequences": 2, "test_sequences": 10}


class Here:
    """Workers that are this process: a tenth of a second, not ten."""

    def __init__(self, jobs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def answers(self, runs, pool, reached):
        for run in runs:
            config = run.config
            yield run, *carry_out(config.resolved(), config.name, str(run.folder(pool).path))


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Import it, its choices in a file of the test's own."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = importlib.import_module("improvements")
    monkeypatch.setattr(importlib.import_module("study.runs"), "Workers", Here)
    monkeypatch.setattr(script, "CHOSEN", script.Choices(tmp_path / "chosen.toml"))
    return script


def method(script, name):
    return next(method for method in script.METHODS if method.name == name)


def test_every_method_is_a_config_that_can_be_run(script):
    names = [method.name for method in script.METHODS]
    assert len(set(names)) == len(names)
    for task, one in [(task, method) for method in script.METHODS for task in method.only]:
        rates = {stage: grid[-1] for stage, grid in one.grids.items() if grid}
        made = script.config(task, one, rates, 10, held_out=False)
        learns = made.rule.learning_rate
        if one.joint:
            assert learns == rates["readout"]
        else:
            hidden = {"A", "R", *["b"] * (made.network.bias > 0)} if one.hidden else set()
            assert learns == {"B": rates["readout"]} | dict.fromkeys(hidden, rates.get("hidden"))
        assert made.training.held_out == 0
        assert script.config(task, one, rates, 1, held_out=True).training.held_out > 0


def test_every_chosen_rate_is_of_a_method_and_a_stage_of_it(script):
    for task, chosen in script.Choices(BENCHMARKS / "improvements.toml").read().items():
        for name, rates in chosen.items():
            one = method(script, name)
            assert task in one.only
            assert list(rates) == [stage for stage in script.STAGES if one.grids[stage]]


def test_rates_are_chosen_one_after_the_other(script, monkeypatch, tmp_path):
    asked = []

    def error(made):
        """Diverge at great rates of the readout; of the rest one is best, by the mean of seeds."""
        readout, hidden = made.rule.learning_rate["B"], made.rule.learning_rate["A"]
        rates, best = (readout, hidden, made.decorrelation.learning_rate), (0.01, 0.001, 1e-4)
        asked.append((*rates, made.training.seed))
        off = sum(abs(np.log10(rate / other)) for rate, other in zip(rates, best, strict=True))
        return (
            np.nan if readout > 0.05 else off + 4 * (readout < 0.005) * (made.training.seed - 1.5)
        )

    def done(configs, jobs, out):
        return pd.DataFrame({"test_mse": [error(made) for made in configs]})

    monkeypatch.setattr(importlib.import_module("study.choices"), "done", done)
    one = method(script, "learned feedback, Eq. 6")
    script.tune([("copying", one)], 1, tmp_path)
    chosen = {"readout": 0.01, "hidden": 0.001, "decorrelation": 1e-4}
    assert script.CHOSEN.read() == {"copying": {one.name: chosen}}
    first, *rest = (grid for grid in one.grids.values())
    expected = [(rate, rest[0][0], rest[1][0], seed) for rate in first for seed in (1, 2)]
    expected += [(0.01, rate, rest[1][0], seed) for rate in rest[0] for seed in (1, 2)]
    assert asked == expected + [(0.01, 0.001, rate, seed) for rate in rest[1] for seed in (1, 2)]


def test_a_method_is_tuned_trained_and_printed(script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script, "TASKS", {"copying": (TINY, 2)})
    monkeypatch.setattr(script, "TUNING", (1,))
    monkeypatch.setattr(script, "REPORTING", (10, 11))

    def call(*words):
        words = (*words, "--task", "copying", "--method", "suited: readout, norm")
        out = str(tmp_path / "study")
        monkeypatch.setattr("sys.argv", ["improvements.py", *words, "--jobs", "1", "--out", out])
        script.main()
        return capsys.readouterr().out

    with pytest.raises(SystemExit):
        call("report")
    assert "no rates are chosen" in capsys.readouterr().err
    assert call("tune").startswith("copying: suited: readout, normalised: {'readout': 0.")
    assert call("tune") == ""
    assert len(ns.load_results(tmp_path / "study")) == 4
    table = call("report")
    rate = script.chosen()["copying"]["suited: readout, normalised"]["readout"]
    frame = pd.read_parquet(tmp_path / "study" / "improvements.parquet")
    assert frame["seed"].tolist() == [10, 11]
    assert f"{frame['test_mse'].mean():.3g} ({frame['test_mse'].min():.3g} to " in table
    assert f" | readout {rate:g} | 2 scalars | 2 | " in table
    assert "copying, suited start: " in call("ridge")


def test_a_row_that_diverged_is_last_and_one_that_is_not_local_says_so(script):
    names, errors = ["readout", "bptt(k=1), Adam"], [0.1, np.nan, 0.2, 0.2]
    frame = pd.DataFrame({"task": "weather_1h", "method": np.repeat(names, 2), "test_mse": errors})
    frame = frame.assign(readout=0.1, passes=2, seconds_per_step=1e-4, test_accuracy=np.nan)
    assert [line.split(" | ")[:2] for line in script.markdown(frame)][3:] == [
        ["| *bptt(k=1), Adam* (not local)", "0.2 (0.2 to 0.2)"],
        ["| readout", "0.1 (0.1 to 0.1); 1 of 2 diverged"],
    ]


def test_a_run_that_fails_is_no_error_to_choose_by(script, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "not there"))
    rows = [("weather_1h", method(script, "readout"))]
    with pytest.raises(ns.NeurosimError, match=r"weather_1h, readout: .*not there"):
        script.tune(rows, 1, tmp_path)
    assert script.CHOSEN.read() == {}
