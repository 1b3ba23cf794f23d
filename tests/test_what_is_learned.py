"""The study of what is learned: rows that can be run, rates chosen alike, tables of what came."""

import runpy
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "what_is_learned.py"


@pytest.fixture
def script(tmp_path):
    found = runpy.run_path(str(SCRIPT))
    found["keep"].__globals__["CHOSEN"] = tmp_path / "chosen.toml"
    return found


def test_every_row_is_a_config_that_can_be_run(script):
    cases = [case for some in script["tables"]().values() for case in some]
    names = [(case.name, method.name) for case in cases for method in case.methods]
    assert len(set(names)) == len(names)
    for case in cases:
        for method in case.methods[:: 1 if case.name == "parity" else 4]:
            made = script["config"](case, method, 0.01, True, 10, False)
            rate = made.rule.learning_rate
            falling = rate["B"] if method.only else rate
            assert (falling.start, falling.over) == (0.01, case.epochs)
            assert made.substrate.assumed == case.substrate
            assert made.training.held_out == 0
            assert script["config"](case, method, 0.01, False, 1, True).training.held_out > 0


def search(script, error, rates=(0.003, 0.01, 0.03)):
    """Settle a row whose error is a function of the rate, until it is settled; rates tried."""
    case, method = script["tables"]()["small"][0], script["READOUT"]
    grids = {(case.name, method.name): list(rates)}
    for _ in range(20):
        grid = grids[case.name, method.name]
        tried = {(rate, falls): [error(rate)] * 2 for rate in grid for falls in (False, True)}
        if script["settled"](case, method, grids, {(case.name, method.name): tried}):
            return grid, tomllib.loads((script["keep"].__globals__["CHOSEN"]).read_text())
    raise AssertionError("never settled")


@pytest.mark.parametrize("best", [0.01, 0.0004, 0.3])
def test_the_best_rate_is_not_at_an_edge_of_what_was_tried(script, best):
    grid, chosen = search(script, lambda rate: abs(np.log(rate / best)))
    rate = chosen["parity"]["readout alone"]["rate"]
    assert min(grid) < rate < max(grid) or len(grid) == 3 + script["FURTHER"]
    assert rate == pytest.approx(min(grid, key=lambda rate: abs(np.log(rate / best))), rel=0.01)


def test_a_row_that_always_diverges_is_settled(script):
    grid, chosen = search(script, lambda rate: np.inf)
    assert len(grid) == 3
    assert chosen["parity"]["readout alone"]["tried"] == 6


def test_a_row_is_tuned_trained_and_printed(script, tmp_path):
    case = replace(
        script["tables"]()["small"][0],
        task={"name": "parity", "bits": 2, "steps": 4, "sequences": 2, "test_sequences": 2},
        network={"hidden": 3},
        methods=[script["READOUT"], script["BP"]],
        epochs=2,
        batch=2,
        tuning=(1,),
    )
    script["tune"].__globals__["FURTHER"] = 0
    script["report"].__globals__["REPORTING"] = (10, 11)
    script["tune"]([case], 1, tmp_path / "study")
    frame = script["report"]([case], 1, tmp_path / "study")
    assert frame.groupby("method")["seed"].apply(list).tolist() == [[10, 11]] * 2
    assert frame[["test_mse", "refitted_test_mse", "ridge", "seconds"]].notna().all(axis=None)
    table = "\n".join(script["markdown"](frame))
    assert "| ridge readout of the untrained network |" in table
    assert "| *BPTT* (not local) |" in table
    before = {path: path.stat().st_mtime for path in (tmp_path / "study").rglob("result.json")}
    script["tune"]([case], 1, tmp_path / "study")  # nothing is left to choose, nothing is run
    again = script["report"]([case], 1, tmp_path / "study")
    pd.testing.assert_frame_equal(again, frame)
    assert before == {p: p.stat().st_mtime for p in (tmp_path / "study").rglob("result.json")}
    assert script["draw"](frame).axes
