"""Sums over draws of a vector: its mean and variance beside a reference, with errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

# What is judged as one vector: each projection, the hidden population's, all of them.
PARTS = {"A": "A", "R": "R", "B": "B", "b": "b", "hidden": "AR", "all": "ARB"}
MEASURES = ("cosine", "scale", "bias2", "variance", "snr")
GROUPS = 20  # of draws, for standard errors

Arrays = Mapping[str, NDArray[Any]]


class Moments:
    """Sums over draws of an update: all that its mean, its variance and their errors need.

    Parameters
    ----------
    sizes : mapping of str to int
        Number of weights in each projection.
    groups : int
        Draws are dealt out to so many groups; leaving out one group at a time tells how
        uncertain a result is (the jackknife).

    Attributes
    ----------
    counts : ndarray, (groups,)
        Draws.
    sums : dict of str to ndarray, (groups, size)
        Sum of the updates.
    powers : dict of str to ndarray, (groups,)
        Sum of the squared lengths of the updates.
    """

    def __init__(self, sizes: Mapping[str, int], groups: int = GROUPS) -> None:
        self.counts = np.zeros(groups, dtype=np.int64)
        self.sums = {name: np.zeros((groups, size)) for name, size in sizes.items()}
        self.powers = {name: np.zeros(groups) for name in sizes}

    @property
    def draws(self) -> int:
        """Draws added so far."""
        return int(self.counts.sum())

    def add(self, update: Arrays) -> None:
        """Add a draw."""
        group = self.draws % len(self.counts)
        for name, values in update.items():
            self.sums[name][group] += values
            self.powers[name][group] += values @ values
        self.counts[group] += 1


def compare(moments: Moments, gradients: Mapping[str, Arrays]) -> pd.DataFrame:
    """Table of the `MEASURES` with their standard errors, as `neurosim.alignment` explains them.

    Parameters
    ----------
    moments : Moments
    gradients : mapping of str to mapping of str to ndarray
        For each reference a gradient of every projection, in any shape.
    """
    import pandas as pd

    rows = []
    used = moments.counts > 0
    without = np.append(0, moments.counts[used])  # draws left out: first none, then each group
    n = moments.draws - without
    for part, members in PARTS.items():
        if not set(members) <= set(moments.sums):
            continue
        power, square = np.zeros(len(n)), np.zeros(len(n))
        along = {name: np.zeros(len(n)) for name in gradients}
        length = dict.fromkeys(gradients, 0.0)
        for projection in members:
            sums, powers = moments.sums[projection][used], moments.powers[projection][used]
            total = sums.sum(axis=0)
            power += powers.sum() - np.append(0.0, powers)
            square += [total @ total, *(float(np.sum((total - left) ** 2)) for left in sums)]
            for name, gradient in gradients.items():
                g = np.asarray(gradient[projection], dtype=np.float64).ravel()
                along[name] += total @ g - np.append(0.0, sums @ g)
                length[name] += float(g @ g)
        for name in gradients:
            found = _measures(n, power, square, along[name], length[name])
            row: dict[str, Any] = {"projection": part, "reference": name}
            for measure, values in zip(MEASURES, found, strict=True):
                row |= {measure: values[0], f"{measure}_se": _jackknife(values[1:])}
            rows.append(row)
    return pd.DataFrame(rows)


def _measures(
    n: NDArray[Any], power: NDArray[Any], square: NDArray[Any], along: NDArray[Any], length: float
) -> Sequence[NDArray[Any]]:
    """The `MEASURES`, from sums over n draws: of squared lengths, of the sum, along g."""
    with np.errstate(divide="ignore", invalid="ignore"):
        trace = np.maximum(power - square / n, 0) / (n - 1)
        trace = np.where(n > 1, trace, 0.0)
        mean2 = square / n**2 - trace / n  # squared length of the mean, the noise in it taken off
        along = along / n
        cosine = along / np.sqrt(length * mean2)
        bias2 = (mean2 - 2 * along + length) / length
        return cosine, along / length, bias2, trace / length, mean2 / trace


def _jackknife(values: NDArray[Any]) -> float:
    """Standard error, from the values found with one group left out at a time."""
    groups = len(values)
    if groups < 2:
        return 0.0
    if not np.isfinite(values).all():
        return math.nan
    return float(np.sqrt((groups - 1) / groups * np.sum((values - values.mean()) ** 2)))
