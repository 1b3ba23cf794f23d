from __future__ import annotations

import numpy as np
import pytest

from neurosim_tasks import Parity


@pytest.mark.parametrize(("bits", "steps"), [(3, 20), (1, 5), (2, 7), (4, 4), (6, 3), (3, 1)])
def test_the_target_is_the_product_of_the_last_signs(bits, steps):
    task = Parity(bits=bits, steps=steps, batch=3, sequences=2, test_sequences=4)
    for inputs, targets in (task.train(1), task.test()):
        assert set(np.unique(inputs)) <= {-1, 1}
        for series in range(inputs.shape[1]):
            for t in range(steps):
                product = 1.0
                for lag in range(bits):
                    product *= inputs[t - lag, series, 0] if t >= lag else 1.0
                assert targets[t, series, 0] == product


def test_signs_are_fair_and_independent():
    inputs, _ = Parity(sequences=200).train()
    assert abs(inputs.mean()) < 4 / np.sqrt(inputs.size)
    for lag in (1, 2, 5):
        assert abs((inputs[lag:] * inputs[:-lag]).mean()) < 4 / np.sqrt(inputs.size)


def test_no_linear_regression_does_it():
    table = Parity(sequences=100, test_sequences=100).baselines()
    for name in ("mean", "ridge", "ridge on lags"):
        assert table.test_mse[name] == pytest.approx(1, abs=0.02)
    # But for the first step, whose target is its input.
    assert table.test_mse["the present input"] == pytest.approx(1 - 1 / 20)
    # One bit is its own parity.
    table = Parity(bits=1).baselines()
    assert max(table.test_mse["ridge"], table.test_mse["the present input"]) < 1e-9
