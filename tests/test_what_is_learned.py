"""The study of what is learned: rows that can be run, rates chosen alike, tables of what came."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("cases", "runs", "choices", "results", "figure"):
        importlib.import_module(f"study.{name}")
    return importlib.import_module("study")


def test_every_row_is_a_config_that_can_be_run(study):
    cases = [case for some in study.cases.tables({}).values() for case in some]
    names = [(case.name, method.name) for case in cases for method in case.methods]
    assert len(set(names)) == len(names)
    for case in cases:
        for method in case.methods:
            made = study.runs.config(case, method, 0.01, True, 10, False)
            made.simulator()
            rate = made.rule.learning_rate
            falling = rate["B"] if method.only else rate
            assert (falling.start, falling.over) == (0.01, case.epochs)
            assert made.substrate.assumed == case.substrate
            assert made.training.held_out == 0
            assert study.runs.config(case, method, 0.01, False, 1, True).training.held_out > 0


def search(study, path, error, rates=(0.003, 0.01, 0.03)):
    """Settle a row whose error is a function of the rate, until it is settled; rates tried."""
    case, method = study.cases.tables({})["small"][0], study.cases.READOUT
    choices, key = study.choices.Choices(path), (case.name, method.name)
    grids = {key: list(rates)}
    for _ in range(20):
        grid = grids[key]
        tried = {(rate, f): [error(rate, f)] * 2 for rate in grid for f in (False, True)}
        if study.choices.settled(case, method, grids, {key: tried}, choices):
            return grid, choices.read()["parity"]["readout alone"]
    raise AssertionError("never settled")


@pytest.mark.parametrize("best", [0.01, 0.0004, 0.3])
def test_the_best_rate_is_not_at_an_edge_of_what_was_tried(study, tmp_path, best):
    grid, chosen = search(study, tmp_path / "chosen.toml", lambda r, _: abs(np.log(r / best)))
    rate = chosen["rate"]
    assert min(grid) < rate < max(grid) or len(grid) == 3 + study.choices.FURTHER
    assert rate == pytest.approx(min(grid, key=lambda rate: abs(np.log(rate / best))), rel=0.01)


@pytest.mark.parametrize(("least", "further"), [(3.0, True), (5.0, False)])
def test_falling_rates_are_searched_to_their_own_best(study, tmp_path, least, further):
    def error(rate, falls):  # the best constant rate is in the middle, the best falling one is not
        return least - np.log(rate / 0.03) if falls else 1 + abs(np.log(rate / 0.01))

    grid, _ = search(study, tmp_path / "chosen.toml", error)
    assert (max(grid) > 0.03) == further  # five times the least is not worth more


@pytest.mark.parametrize(("times", "rate"), [(1.9, 0.003), (2.1, 0.01)])
def test_the_next_lower_rate_is_taken_if_it_is_as_good(study, tmp_path, times, rate):
    errors = {0.001: 1.2, 0.003: times, 0.01: 1.0, 0.03: 5.0}  # two rates lower is not looked at
    _, chosen = search(study, tmp_path / "chosen.toml", lambda r, _: errors[r], sorted(errors))
    assert (chosen["rate"], chosen["held_out_mse"]) == (rate, errors[rate])


def test_a_start_is_judged_by_a_readout_that_the_network_can_have(study, tmp_path, monkeypatch):
    """An intercept would make all starts alike where the target is a constant."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "experiments")
    case = study.cases.Case("constant", {"name": "own_parts:Constant", "steps": 50}, {}, [])
    choices = study.choices.Choices(tmp_path / "chosen.toml")
    study.choices.starts([case], choices)
    assert choices.read()["starts"]["constant"]["bias"] > 0


def test_a_row_that_always_diverges_is_settled(study, tmp_path):
    grid, chosen = search(study, tmp_path / "chosen.toml", lambda *_: np.inf)
    assert len(grid) == 3
    assert chosen["tried"] == 6


@pytest.mark.parametrize(
    ("table", "method", "steps", "updates"),
    [
        ("small", "BPTT", 600, 1500),  # 30 sequences in 50 epochs
        ("copying", "ANP, window 15, 16 pairs", 300, 2000),  # 20 sequences of 15 steps in 100
        ("copying", "BPTT, chunks of 100", 300, 2000),
        ("mackey_glass", "ANP, window 20, 16 pairs", 1000, 2500),
        ("mackey_glass", "learned feedback", 1000, 50_000),
        ("mackey_glass", "BPTT, chunks of 100", 1000, 500),
    ],
)
def test_updates_are_counted_per_sequence_window_chunk_or_step(
    study, table, method, steps, updates
):
    case = study.cases.tables({})[table][0]
    row = next(m for m in case.methods if m.name == method)
    assert study.results.updates(case, row, steps) == updates


def test_a_table_says_on_how_many_seeds_a_row_has_learned(study):
    of_methods = {
        "some": (0.01, 0.2, 0.9),
        "all": (0.01, 0.02, 0.06),
        "none": (1.0, np.inf, np.nan),
        "one diverged": (0.02, 0.04, np.nan),
    }
    rows = [
        {"case": case, "method": method, "test_mse": error, "ridge": 1.0, "lags": 0.5, "goal": goal}
        for case, goal in {"one": 0.1, "two": 0.5, "three": 0.1, "four": 0.1, "five": 0.1}.items()
        for method, errors in of_methods.items()
        for error in errors
    ]
    lines = study.results.overview(pd.DataFrame(rows))
    assert lines[0] == (
        "|  | ridge readout, untrained | linear regression on 24 lags | some | all | none "
        "| one diverged |"
    )
    assert lines[2] == "| one | 1 | 0.5 | 0.2, 1/3 | 0.02 | diverged | 0.04, 2/3 |"  # medians
    assert lines[3] == "| two | 1 | 0.5 | 0.2, 2/3 | 0.02 | diverged | 0.04, 2/3 |"


def test_a_row_is_tuned_trained_and_printed(study, tmp_path, monkeypatch):
    case = replace(
        study.cases.tables({})["small"][0],
        task={"name": "parity", "bits": 2, "steps": 4, "sequences": 2, "test_sequences": 2},
        network={"hidden": 3},
        methods=[study.cases.READOUT, study.cases.BP],
        epochs=2,
        batch=2,
        tuning=(1,),
    )
    monkeypatch.setattr(study.choices, "FURTHER", 0)
    choices, out = study.choices.Choices(tmp_path / "chosen.toml"), tmp_path / "study"
    study.choices.tune([case], choices, 1, out)
    frame = study.results.report([case], choices, 1, out, (10, 11))
    assert frame.groupby("method")["seed"].apply(list).tolist() == [[10, 11]] * 2
    assert frame[["test_mse", "refitted_test_mse", "ridge", "seconds"]].notna().all(axis=None)
    assert set(frame["updates"]) == {4}  # two sequences in two epochs
    table = "\n".join(study.results.markdown(frame))
    assert "| ridge readout, untrained |" in table
    assert "| *BPTT* (not local) |" in table
    lines = study.results.overview(frame)  # one case and two methods: methods are rows
    assert lines[0] == "|  | parity |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| ridge readout, untrained",
        "| linear regression on 24 lags",
        "| readout alone",
        "| BPTT",
    ]
    assert f"| BPTT | {study.results.number(frame['test_mse'][2:].median())} |" in lines
    before = {path: path.stat().st_mtime for path in out.rglob("result.json")}
    study.choices.tune([case], choices, 1, out)  # nothing is left to choose, nothing is run
    again = study.results.report([case], choices, 1, out, (10, 11))
    pd.testing.assert_frame_equal(again, frame)
    study.figure.save(frame, tmp_path / "drawn.png")
    tool = importlib.import_module("what_is_learned")
    monkeypatch.setattr(tool, "CHOSEN", choices)
    monkeypatch.setattr(study.cases, "tables", lambda starts: {"small": [case]})
    # What was reported last, of other seeds, does not change the figure.
    for words in ("report --seeds 10", f"figure --seeds 10 11 --to {tmp_path / 'figure.png'}"):
        monkeypatch.setattr("sys.argv", ["tool", *words.split(), "--out", str(out), "--jobs", "1"])
        tool.main()
    assert (tmp_path / "figure.png").read_bytes() == (tmp_path / "drawn.png").read_bytes()
    assert before == {path: path.stat().st_mtime for path in out.rglob("result.json")}
