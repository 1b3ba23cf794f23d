from __future__ import annotations

import math

import numpy as np
import pytest

from neurosim_tasks import Sine, TaskError


@pytest.mark.parametrize(
    ("steps", "shortest", "longest"), [(20, 20, 100), (60, 2, 7.5), (1, 3, 4), (30, 9, 9)]
)
def test_the_input_sets_the_frequency_linearly(steps, shortest, longest):
    task = Sine(steps, shortest, longest, batch=5, sequences=3, test_sequences=2)
    for inputs, targets in (task.train(1), task.test()):
        for series in range(inputs.shape[1]):
            u = float(inputs[0, series, 0])
            assert -1 <= u < 1
            assert (inputs[:, series] == inputs[0, series]).all()
            frequency = ((1 - u) / longest + (1 + u) / shortest) / 2
            phase = 0.0
            for t in range(steps):
                phase += frequency
                wave = math.sin(2 * math.pi * phase)
                assert targets[t, series, 0] == pytest.approx(wave, abs=1e-4)


def test_inputs_are_uniform():
    u = np.sort(Sine(sequences=400).train()[0][0, :, 0])
    expected = np.linspace(-1, 1, len(u))
    # Kolmogorov-Smirnov: above 1.95 / sqrt(n) once in a thousand.
    assert np.abs(u - expected).max() / 2 < 1.95 / np.sqrt(len(u))


@pytest.mark.parametrize(("shortest", "longest"), [(20, 100), (5, 12), (30, 30)])
def test_the_guess_is_the_mean_of_all_waves(shortest, longest):
    task = Sine(shortest=shortest, longest=longest, test_sequences=2000)
    inputs, targets = task.test()
    guess = task.guesses(inputs)["ignores its input"]
    assert (guess == guess[:, :1]).all()
    np.testing.assert_allclose(guess[:, 0], targets.mean(axis=1), atol=4 / np.sqrt(20000))


def test_neither_the_step_alone_nor_a_linear_regression_does_it():
    table = Sine().baselines()
    assert (table.test_mse > 0.1).all()
    assert table.test_mse["ignores its input"] < table.test_mse["mean"]


def test_the_longest_period_is_no_less_than_the_shortest():
    with pytest.raises(TaskError, match=r"Sine: longest = 19.0 must be at least shortest \(20\)"):
        Sine(longest=19)
