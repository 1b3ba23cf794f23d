from __future__ import annotations

import numpy as np
import pytest

from neurosim_tasks import regression


def test_lagged_puts_the_past_side_by_side():
    inputs = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    now, before, first = inputs[2, 0], inputs[1, 0], inputs[0, 0]
    for padding, earlier in (("edge", first), ("zero", 0 * first)):
        lagged = regression.lagged(inputs, 4, padding)
        assert lagged.shape == (3, 2, 8)
        assert lagged.dtype == np.float64
        np.testing.assert_array_equal(lagged[2, 0], [*now, *before, *first, *earlier])
        np.testing.assert_array_equal(lagged[0, 0], [*first, *earlier, *earlier, *earlier])


def test_one_lag_is_the_inputs_themselves():
    inputs = np.random.default_rng(0).normal(size=(5, 3, 2))
    np.testing.assert_array_equal(regression.lagged(inputs, 1, "edge"), inputs)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_fit_finds_a_linear_law_with_its_intercept_at_any_scale(scale):
    rng = np.random.default_rng(0)
    inputs = scale * (5 + rng.normal(size=(200, 3, 4)))
    weights = rng.normal(size=(4, 2))
    targets = inputs @ weights / scale + 7
    fitted = regression.fit(inputs, targets)
    fresh = scale * (5 + rng.normal(size=(50, 1, 4)))
    np.testing.assert_allclose(fitted(fresh), fresh @ weights / scale + 7, atol=1e-4)


def test_fit_is_least_squares():
    rng = np.random.default_rng(1)
    inputs, targets = rng.normal(size=(300, 1, 5)), rng.normal(size=(300, 1, 2))
    design = np.column_stack([inputs[:, 0], np.ones(300)])
    expected = design @ np.linalg.lstsq(design, targets[:, 0], rcond=None)[0]
    np.testing.assert_allclose(regression.fit(inputs, targets)(inputs)[:, 0], expected, atol=1e-5)


def test_fit_bears_constant_and_repeated_inputs():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(100, 1, 1))
    inputs = np.concatenate([one, one, np.ones_like(one)], axis=2)
    np.testing.assert_allclose(regression.fit(inputs, 2 * one)(inputs), 2 * one, atol=1e-4)
