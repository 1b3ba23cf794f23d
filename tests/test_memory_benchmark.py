"""The memory benchmark: its BPTT is right, and it measures and draws."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np

import neurosim as ns

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "memory.py"


def test_bptt_is_the_gradient():
    bptt = runpy.run_path(str(SCRIPT))["bptt"]
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(7, 2, 3)), generator.normal(size=(7, 2, 2))
    weights = {
        name: generator.normal(size=shape) / 2
        for name, shape in {"A": (4, 3), "R": (4, 4), "B": (2, 4)}.items()
    }
    _, gradients = bptt(weights, inputs, targets)
    for name, gradient in gradients.items():
        for index in np.ndindex(gradient.shape):
            sides = []
            for h in (1e-6, -1e-6):
                moved = {**weights, name: weights[name].copy()}
                moved[name][index] += h
                sides.append(bptt(moved, inputs, targets)[0])
            expected = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(gradient[index], expected, rtol=1e-6, atol=1e-8)


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
    command = [sys.executable, SCRIPT, "--hidden", "50", "--steps", "3", "20000", "--out", figure]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, baseline, short, long = (line.split() for line in done.stdout.splitlines())
    assert [row[0] for row in (baseline, short, long)] == ["2", "3", "20000"]
    assert float(baseline[2]) == float(baseline[-1]) == 0
    # What BPTT has to keep: 50 numbers of 4 bytes for each of 20000 steps are 4 MB.
    assert 3 < float(long[-1]) < 8
    assert "<svg" in figure.read_text()
