"""What came out of many runs, as one table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Container, Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_scalar

from neurosim.errors import CheckpointError, InputError
from neurosim.experiments.baselines import AFTER, BEFORE, REFITTED
from neurosim.experiments.config import TABLES
from neurosim.experiments.folder import Folder
from neurosim.experiments.parquet import read_columns, write_table
from neurosim.experiments.written import Written
from neurosim.files import lock, place
from neurosim.values import require_flag

POOL = "runs"
TABLE = "results.parquet"
LOCK = ".results.lock"
WAIT = 600.0  # for another process to finish the table [s]

SCORES = ("test_", "train_", "untrained_", "refitted_", "baseline.")  # how their columns begin
COSTS = ("seconds", "seconds_per_step")
HEADS = ("run", "status", "reason", "epochs_done")


def load_results(folder: str | os.PathLike[str], costs: bool = False) -> pd.DataFrame:
    """Read what came out of a sweep.

    Parameters
    ----------
    folder : path-like
        The sweep's folder.
    costs : bool
        Whether to add ``seconds`` and ``seconds_per_step`` of learning. Without them the table
        is a function of the configs alone: however often a sweep was interrupted, whoever did
        its runs, it is the same.

    Returns
    -------
    pandas.DataFrame
        One row a run: ``run``, the name of its folder; ``status`` (``finished``, ``diverged``,
        ``failed`` or ``unfinished``) and ``reason``, which is also where a file of the run that
        is damaged is named; ``epochs_done``; every field of its config,
        such as ``rule.learning_rate``; its scores after training (``test_mse``, ``train_mse``,
        ...), before (``untrained_test_mse``, ...), with the readout refitted
        (``refitted_test_mse``, ...: see `neurosim.refit_readout`) and the baselines'
        (``baseline.<name>``, test MSE), where they were computed. Sorted by the fields that differ.

    Raises
    ------
    InputError
        If the folder holds no sweep.
    CheckpointError
        If the folder holds a table that is damaged, and no runs to make another one of.

    Notes
    -----
    Configs are read as tables: no module that they name is imported.

    Examples
    --------
    ::

        frame = ns.load_results("sweeps/rates")
        frame.groupby("rule.learning_rate")["test_mse"].mean()
    """
    path = place(folder, "load_results", "folder")
    require_flag("load_results", "costs", costs)
    file = path / TABLE
    pool = (path / POOL).is_dir()
    if not (file.exists() or pool):
        raise InputError(f"{path}: holds no sweep (neither {TABLE} nor {POOL}/)")
    try:
        frame = _read(file) if file.exists() or not pool else None
        if frame is None or (pool and _behind(path, frame)):
            frame = collect(path)
    except CheckpointError:
        if not pool:
            raise
        frame = collect(path)  # of which the table is made
    if costs:
        rows = [_costs(Folder(path / POOL / name)) for name in frame["run"]]
        found = pd.DataFrame(rows, index=frame.index, columns=[*COSTS, "reason"])
        frame["reason"] = frame["reason"].where(found["reason"].isna(), found.pop("reason"))
        frame = frame.join(found)
    return frame


def _read(file: Path) -> pd.DataFrame:
    """Read the table of a sweep.

    Raises
    ------
    CheckpointError
        If it is damaged, or another table.
    """
    frame = read_columns(file, HEADS)
    for name in HEADS[:3]:
        if not all(isinstance(value, str) for value in frame[name]):
            raise CheckpointError(f"{file}: damaged ({name}: must be text)")
    if any(Path(name).name != name for name in frame["run"]) or not frame["run"].is_unique:
        raise CheckpointError(f"{file}: damaged (run: must be names of folders in {POOL}/)")
    for name in frame:
        if name not in HEADS[:3] and not _possible(name, frame[name]):
            raise CheckpointError(f"{file}: damaged ({name}: cannot be what is written there)")
    return frame


def _possible(name: str, column: pd.Series) -> bool:
    """Whether a column is of plain values, and of numbers if it is one of scores."""
    if is_field(name):
        return all(map(is_scalar, column))
    numeric = is_numeric_dtype(column) and not is_bool_dtype(column)
    return numeric or bool(column.isna().all() and name not in HEADS)


def _behind(folder: Path, frame: pd.DataFrame) -> bool:
    """Whether runs began, or ended, after the table was written: a sweep goes on, or was killed."""
    if set(frame["run"]) != {path.parent.name for path in folder.glob(f"{POOL}/*/config.toml")}:
        return True
    written = (folder / TABLE).stat().st_mtime_ns
    ends = (path for name in ("result", "failure") for path in folder.glob(f"{POOL}/*/{name}.json"))
    return any(path.stat().st_mtime_ns > written for path in ends)


def write(folder: Path) -> None:
    """Write the table of all runs that the folder holds.

    One process at a time looks at the runs and writes: whoever writes last has seen all that was
    done before.

    Raises
    ------
    BusyError, StorageError
    """
    with lock(folder / LOCK, WAIT, f"{folder / TABLE}: another process does not finish writing it"):
        frame = collect(folder)
        write_table(frame, folder / TABLE)


def collect(folder: Path) -> pd.DataFrame:
    """Look at all runs in a sweep's folder."""
    return table(rows_of(folder))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """What came out of every run in a sweep's folder that has begun."""
    return [row for path in sorted((folder / POOL).iterdir()) if (row := row_of(Folder(path)))]


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of rows, sorted by the config's fields that differ between them."""
    frame = pd.DataFrame([{name: _spelt(value) for name, value in row.items()} for row in rows])
    if frame.empty:
        return pd.DataFrame(columns=[*HEADS])
    fields = sorted((name for name in frame if is_field(name)), key=_place)
    scores = sorted((name for name in frame if name not in HEADS and not is_field(name)), key=_rank)
    frame = frame[[*HEADS, *fields, *scores]]
    frame = frame.assign(**{name: _one_type(frame[name]) for name in fields})
    differ = [name for name in fields if frame[name].nunique(dropna=False) > 1]
    return frame.sort_values([*differ, "run"], na_position="first", ignore_index=True)


def row_of(folder: Folder) -> dict[str, Any]:
    """What came out of one run; nothing if it has not begun."""
    if not folder.config.is_file():
        return {}
    row: dict[str, Any] = {"run": folder.path.name}
    try:
        config = Written.read(folder.config)
    except CheckpointError as error:
        return row | {"status": "unfinished", "reason": str(error), "epochs_done": 0}
    result, row["status"], row["reason"] = folder.came_to(config)
    row["epochs_done"] = config.training.epochs if result else epochs_kept(folder)
    row |= config.flat()
    for who, scores in result.get("table", {}).items():
        before = {AFTER: "", BEFORE: "untrained_", REFITTED: "refitted_"}.get(who)
        if before is None:
            row[f"baseline.{who}"] = scores.get("test_mse")
        else:
            row |= {before + key: value for key, value in scores.items() if key != "note"}
    return row


def score(folder: Folder, name: str = "test_mse") -> float:
    """A score of a finished run's trained network."""
    return float(folder.numbers.get("table", {}).get(AFTER, {}).get(name, math.nan))


def epochs_kept(folder: Folder) -> int:
    """How many epochs of a run the checkpoint is after."""
    try:
        return int(folder.reached["epoch"])
    except CheckpointError:
        return 0


def _costs(folder: Folder) -> dict[str, Any]:
    """Seconds of learning, and of a learning step: the median epoch's; or why they are unknown."""
    if not folder.history.exists():
        return {}
    try:
        rows = folder.epochs()
    except CheckpointError as error:
        return {"reason": str(error)}
    learned = rows[rows["steps"] > 0]
    pace = (learned["seconds"] / learned["steps"]).median()
    return {"seconds": float(rows["seconds"].sum()), "seconds_per_step": float(pace)}


# ----------------------------------------------------------------------------- columns


def is_field(name: str) -> bool:
    """Whether a column is a field of the config; a score's name may have a dot as well."""
    return "." in name and not name.startswith(SCORES)


def _place(name: str) -> tuple[int, str]:
    """The run's own tables first, then what it trained."""
    above = name.partition(".")[0]
    return (TABLES.index(above) if above in TABLES else len(TABLES), name)


def _rank(name: str) -> tuple[int, str]:
    first = ("test_mse", "train_mse")
    if name in first:
        return first.index(name) - len(first), name
    return next((k for k, kind in enumerate(SCORES) if name.startswith(kind)), len(SCORES)), name


def _one_type(column: pd.Series) -> pd.Series:
    """A column of one type, as a file of columns needs: what is mixed becomes text."""
    there = column.dropna()
    kinds = {type(value) for value in there}
    long = any(type(value) is int and abs(value) >= 2**63 for value in there)
    if kinds <= {int, float} and not long:
        whole_numbers = float not in kinds and not column.isna().any()
        return pd.to_numeric(column).astype("int64" if whole_numbers else "float64")
    if kinds <= {bool}:
        return column.astype("boolean") if column.isna().any() else column.astype(bool)
    others = {_as_text(value) for value in there if not isinstance(value, str)}
    return column.map(lambda value: _as_text(value, others))


def _spelt(value: Any) -> Any:
    """Spell what is no text in a cell of text: a folder's name may be of any bytes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _as_text(value: Any, others: Container[str] = ()) -> Any:
    """A cell as text, in quotes if it could be one of the `others`; an empty one stays empty."""
    if isinstance(value, str):
        return json.dumps(value) if others and (value in others or value[:1] == '"') else value
    if value is None or value != value:
        return value
    return str(value) if isinstance(value, date | time) else json.dumps(value, default=str)
