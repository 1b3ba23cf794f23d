from __future__ import annotations

from math import comb

import numpy as np
import pytest

from neurosim_tasks import Evidence, TaskError


def cues(task, inputs) -> np.ndarray:
    """Cues in their order, +1 for left: (cues, series)."""
    first = inputs[: task.cues * task.every : task.every][: task.cues]
    return first[..., 0] - first[..., 1]


@pytest.mark.parametrize(
    ("n", "every", "delay", "probability"),
    [(7, 2, 6, 0.7), (1, 1, 0, 0.5), (3, 1, 4, 1), (5, 3, 0, 0.6)],
)
def test_cues_a_wait_and_a_question(n, every, delay, probability):
    task = Evidence(n, every, delay, probability, batch=6, sequences=3, test_sequences=4)
    go = (n - 1) * every + delay + 1
    assert task.steps == go + 1
    for inputs, targets in (task.train(1), task.test()):
        for series in range(inputs.shape[1]):
            left = right = 0
            for t in range(task.steps):
                cue = t % every == 0 and t // every < n
                assert inputs[t, series, :2].tolist() in ([[1, 0], [0, 1]] if cue else [[0, 0]])
                assert inputs[t, series, 2] == (t == go)
                left += inputs[t, series, 0] == 1
                right += inputs[t, series, 1] == 1
                more = 1 if left > right else -1
                assert targets[t, series, 0] == (more if t == go else 0)
            assert left + right == n


@pytest.mark.parametrize("probability", [0.5, 0.7, 0.9, 1])
def test_cues_are_on_the_sequences_side_as_often_as_asked_for(probability):
    task = Evidence(probability=probability, sequences=400)
    drawn = cues(task, task.train()[0])
    series = drawn.shape[1]
    assert abs(drawn[0].mean()) < 4 / np.sqrt(series)
    # Of two cues, both are on its side, or neither is.
    alike = probability**2 + (1 - probability) ** 2
    noise = np.sqrt(alike * (1 - alike) / series)
    for k in range(6):
        assert (drawn[k] == drawn[k + 1]).mean() == pytest.approx(alike, abs=4 * noise)
    expected = [(comb(7, k) * (probability**k * (1 - probability) ** (7 - k))) for k in range(8)]
    for k, left in enumerate(np.add(expected, expected[::-1]) / 2):
        noise = np.sqrt(left * (1 - left) / series)
        assert ((drawn == 1).sum(axis=0) == k).mean() == pytest.approx(left, abs=4 * noise + 1e-9)


@pytest.mark.parametrize(("probability", "right"), [(0.7, 0.73), (0.5, 0.66), (1, 1)])
def test_the_last_cue_alone_is_right_as_often_as_is_said(probability, right):
    task = Evidence(probability=probability, test_sequences=2000)
    inputs, targets = task.test()
    guesses = task.guesses(inputs)
    accuracy = task.score(guesses["the last cue"], targets)["accuracy"]
    assert accuracy == pytest.approx(right, abs=0.015)
    np.testing.assert_array_equal(guesses["the last cue"][-1, :, 0], cues(task, inputs)[-1])
    assert (guesses["the last cue"][:-1] == 0).all()
    assert (guesses["ignores its input"] == 0).all()


def test_a_linear_regression_does_not_wait_for_the_question():
    task = Evidence()
    error = task.baselines().test_mse["ridge on lags"]
    assert 0.5 / task.steps < error < 0.7 / task.steps
    assert task.baselines().test_mse["ridge"] > 0.95 / task.steps


@pytest.mark.parametrize("n", [2, 10])
def test_there_are_no_ties(n):
    with pytest.raises(TaskError, match=f"Evidence: cues = {n} must be odd, so that there is no"):
        Evidence(cues=n)
