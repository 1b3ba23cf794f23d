"""The memory benchmark does what it says, measures and draws."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np

import neurosim as ns

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "memory.py"


def test_it_takes_a_step_down_the_gradient(monkeypatch):
    calls = []
    gradients = ns.bptt.gradients

    def noted(weights, *given):
        calls.append((weights, given))
        return gradients(weights, *given)

    monkeypatch.setattr(ns.bptt, "gradients", noted)
    script = runpy.run_path(str(SCRIPT))
    assert script["train_bptt"](7, 5) > 0
    ((weights, given),) = calls
    initial = ns.rnn(1, 5, 1).initial_weights()
    for name, gradient in gradients(initial, *given)[1].items():
        assert gradient.any()
        np.testing.assert_array_equal(weights[name], initial[name] - script["RATE"] * gradient)


def test_pieces_of_a_sequence_teach_what_the_whole_teaches():
    inputs, targets = np.random.default_rng(1).random((2, 30, 1, 1))
    whole, pieces = (ns.Simulator(ns.rnn(1, 8, 1), ns.ANP(1e-2, 0.1)) for _ in range(2))
    whole.run(inputs, targets)
    for start in range(0, 30, 7):
        piece = slice(start, start + 7)
        pieces.run(inputs[piece], targets[piece], reset=False)
    for name, weights in whole.weights.items():
        np.testing.assert_array_equal(pieces.weights[name], weights)


def test_prints_a_table_and_draws(tmp_path):
    figure = tmp_path / "memory.svg"
    command = [sys.executable, SCRIPT, "--hidden", "50", "--repeats", "1", "--out", figure]
    done = subprocess.run(
        [*command, "--steps", "3", "20000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, baseline, short, long = (line.split() for line in done.stdout.splitlines())
    assert [row[0] for row in (baseline, short, long)] == ["2", "3", "20000"]
    assert float(baseline[2]) == float(baseline[-2]) == 0
    assert baseline[-1] == "-"
    # What BPTT has to keep: 50 numbers of 4 bytes for each of 20000 steps are 4 MB.
    assert 3 < float(long[-2]) < 8
    assert all(float(long[k]) > 0 for k in (3, 6, 9))
    assert "<svg" in figure.read_text()
