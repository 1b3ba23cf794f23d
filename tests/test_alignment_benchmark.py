"""The alignment benchmark: it measures what it says, prints, and draws."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neurosim as ns

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "alignment.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_copies_side_by_side_are_as_many_draws(script):
    """The same numbers as drawn one by one, within their standard errors."""
    rule = ns.NP(1.0, 1e-2)
    found = script["align"](rule, 0, 4000, steps=10).loc[("hidden", "k=1")]
    net, inputs, targets = script["problem"](0, steps=10)
    sim = ns.Simulator(net, rule, batch=4, seed=1)
    frame = ns.align(sim, inputs, targets, draws=4000, truncations=[1]).frame
    expected = frame.set_index(["projection", "reference"]).loc[("hidden", "k=1")]
    for name in ("cosine", "scale", "variance", "snr"):
        error = np.hypot(found[f"{name}_se"], expected[f"{name}_se"])
        assert abs(found[name] - expected[name]) < 4 * error, name


@pytest.mark.parametrize("name", ["rules", "reach", "both_noisy", "sigmas", "batches"])
def test_tables(script, name, capsys):
    frame = script["TABLES"][name](1, 40)
    printed = capsys.readouterr().out
    assert set(frame.columns) == {"table", "case", "network", "column", "value", "error"}
    for case in frame["case"].unique():
        assert f"\n| {case} | " in printed
    assert "Median standard error" in printed


def test_tables_over_sizes_and_the_figures(script, tmp_path, capsys):
    found = [script["TABLES"][name](1, 20) for name in ("gains", "reach")]
    script["draw"](pd.concat(found), tmp_path)
    for name in ("alignment_gain.png", "alignment_reach.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_as_a_command(tmp_path):
    command = [sys.executable, SCRIPT, "--only", "batches", "--networks", "1", "--draws", "400"]
    done = subprocess.run(
        [*command, "--out", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["batch", "1", "2", "4", "8", "16"]
    frame = pd.read_csv(tmp_path / "alignment.csv")
    ratios = frame[frame["column"] == "ratio / batch"].groupby("case")["value"].median()
    assert ((ratios > 0.7) & (ratios < 1.4)).all()
