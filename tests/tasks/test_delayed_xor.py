from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from neurosim_tasks import DelayedXor


@pytest.mark.parametrize(("delay", "gap"), [(5, 3), (0, 1), (0, 4), (12, 1)])
def test_two_pulses_a_wait_and_a_question(delay, gap):
    task = DelayedXor(delay, gap, batch=6, sequences=3, test_sequences=4)
    assert task.steps == gap + 1 + delay + 1
    for inputs, targets in (task.train(1), task.test()):
        for series in range(inputs.shape[1]):
            first, second = inputs[0, series, 0], inputs[gap, series, 0]
            assert {first, second} <= {-1, 1}
            differ = 1 if first != second else -1
            for t in range(task.steps):
                asks = t == gap + 1 + delay
                pulse = {0: first, gap: second}.get(t, 0)
                assert inputs[t, series].tolist() == [pulse, asks]
                assert targets[t, series, 0] == (differ if asks else 0)


def test_the_four_sequences_are_alike_in_number():
    inputs, _ = DelayedXor(sequences=400).train()
    counts = Counter(map(tuple, inputs[[0, 3], :, 0].T.tolist()))
    assert len(counts) == 4
    # Chi-squared with 3 degrees of freedom: above 16.3 once in a thousand.
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 16.3


def test_no_linear_regression_does_it():
    task = DelayedXor(sequences=100, test_sequences=100)
    table = task.baselines()
    np.testing.assert_allclose(table.test_mse, 1 / task.steps, rtol=0.02)
    assert table.test_mse["ignores its input"] == pytest.approx(1 / task.steps)
