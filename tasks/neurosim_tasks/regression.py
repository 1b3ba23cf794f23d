"""Linear regression, the baseline a recurrent network has to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

STRENGTH = 1e-6

Floats = NDArray[np.floating]


def lagged(inputs: Floats, lags: int, padding: Literal["edge", "zero"]) -> NDArray[np.float64]:
    """Return the inputs of this step and of the steps before it, side by side.

    Parameters
    ----------
    inputs : ndarray, shape (T, series, features)
        Inputs.
    lags : int
        Number of steps, this one included.
    padding : {"edge", "zero"}
        What the inputs were before the first step: the first step's, or zero.

    Returns
    -------
    ndarray, shape (T, series, lags * features), float64
        ``u_t, u_{t-1}, ..., u_{t-lags+1}``.
    """
    steps = len(inputs)
    first = inputs[:1] if padding == "edge" else np.zeros_like(inputs[:1])
    before = np.repeat(first, lags - 1, axis=0)
    longer = np.concatenate([before, inputs]).astype(np.float64)
    return np.concatenate([longer[lags - 1 - k :][:steps] for k in range(lags)], axis=2)


def fit(inputs: Floats, targets: Floats) -> Callable[[Floats], NDArray[np.float64]]:
    """Fit targets by a linear function of the inputs of the same step.

    Parameters
    ----------
    inputs, targets : ndarray, shape (T, series, features)
        What to fit, in float64 whatever the type.

    Returns
    -------
    callable
        From inputs to fitted targets, float64.
    """
    x = inputs.reshape(-1, inputs.shape[2]).astype(np.float64)
    y = targets.reshape(-1, targets.shape[2]).astype(np.float64)
    x_mean, y_mean, x_std = x.mean(0), y.mean(0), x.std(0)
    # An input that never changes explains nothing; any scale but zero will do.
    scale = np.where(x_std > 0, x_std, 1.0)
    x = (x - x_mean) / scale
    covariance = x.T @ x / len(x) + STRENGTH * np.eye(x.shape[1])
    weights = np.linalg.solve(covariance, x.T @ (y - y_mean) / len(x))

    def predict(u: Floats) -> NDArray[np.float64]:
        return (u - x_mean) / scale @ weights + y_mean

    return predict
