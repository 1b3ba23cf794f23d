"""What can be measured after every epoch, beside errors and costs; a config names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import InputError
from neurosim.experiments import own
from neurosim.record import Probe
from neurosim.simulator import Simulator
from neurosim.training import Measure, numbers
from neurosim.values import nearest, require_function


def covariance(sim: Simulator, inputs: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
    """How far what the hidden population sends is from uncorrelated [1]_ (section 3.5).

    Parameters
    ----------
    sim : Simulator
    inputs, targets : ndarray, (T, series, features)
        What to run, without learning.

    Returns
    -------
    dict
        ``s_covariance``: the mean squared entry of the covariance matrix of s over steps and
        series, below its diagonal. ``s_second_moment``: the same without taking the mean of s
        off, which is what the decorrelation rule (Eq. 6) drives to zero.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink and van Gerven (2024), Gradient-free training of recurrent
       neural networks using random perturbations.
    """
    output = sim.network.outputs.name
    hidden = next(p.pre for p in sim.network.projections if p.post == output)
    probe = Probe(hidden, "s")
    record = sim.evaluate(inputs, targets, probes=[probe])
    s = record.probes[probe.name]
    s = s.reshape(-1, s.shape[-1]).astype(np.float64)
    moment = s.T @ s / len(s)
    mean = s.mean(axis=0)
    below = np.tril_indices(len(moment), -1)
    found = {"s_covariance": moment - np.outer(mean, mean), "s_second_moment": moment}
    return {
        name: float(np.mean(np.square(matrix[below]))) if below[0].size else 0.0
        for name, matrix in found.items()
    }


WHERE = "[training] measures"

MEASURES: dict[str, Measure] = {"covariance": covariance}


def find(names: Iterable[str]) -> Measure | None:
    """Find what to measure; several as one.

    Raises
    ------
    InputError
        For a name that is neither known nor a function ``package.module:function``.
    """
    found = {name: _one(name) for name in names}
    if not found:
        return None

    def all_of_them(sim: Simulator, inputs: Any, targets: Any) -> Mapping[str, float]:
        rows = (numbers(WHERE, name, found[name](sim, inputs, targets)) for name in found)
        return {k: v for row in rows for k, v in row.items()}

    return all_of_them


def _one(name: str) -> Callable[..., Mapping[str, float]]:
    if name in MEASURES:
        return MEASURES[name]
    if ":" not in name:
        raise InputError(
            f"[training] measures: {name!r} does not exist; {nearest(name, MEASURES)}; or your "
            f"own as 'package.module:function'"
        )
    found = own.find(name, "[training] measures:")
    require_function(WHERE, name, found, "sim", "inputs", "targets", optional=False)
    return found
