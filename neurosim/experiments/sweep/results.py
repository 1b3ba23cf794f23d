"""What came out of many runs, as one table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from neurosim import checkpoint
from neurosim.errors import CheckpointError, InputError, require_flag, require_path
from neurosim.experiments.config import load
from neurosim.experiments.folder import Folder, read_table
from neurosim.experiments.summary import AFTER, BEFORE
from neurosim.experiments.tables import NONE
from neurosim.files import lock, whole

POOL = "runs"
TABLE = "results.parquet"
LOCK = ".results.lock"
WAIT = 600.0  # for another process to finish the table [s]

COSTS = ("seconds", "seconds_per_step")


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
        ``failed`` or ``unfinished``) and ``reason``; ``epochs_done``; every field of its config,
        such as ``rule.learning_rate``; its scores after training (``test_mse``, ``train_mse``,
        ...), before (``untrained_test_mse``, ...) and the baselines' (``baseline.<name>``, test
        MSE), where they were computed. Sorted by the fields that differ.

    Raises
    ------
    InputError
        If the folder holds no sweep.

    Examples
    --------
    ::

        frame = ns.load_results("sweeps/rates")
        frame.groupby("rule.learning_rate")["test_mse"].mean()
    """
    path = require_path("load_results", "folder", folder)
    require_flag("load_results", "costs", costs)
    file = path / TABLE
    if file.is_file() and not _behind(path):
        frame = read_table(file)
    elif (path / POOL).is_dir():
        frame = collect(path)
    else:
        raise InputError(f"{path}: holds no sweep (neither {TABLE} nor {POOL}/)")
    if costs:
        rows = [_costs(Folder(path / POOL / name)) for name in frame["run"]]
        frame = frame.join(pd.DataFrame(rows, index=frame.index, columns=list(COSTS)))
    return frame


def _behind(folder: Path) -> bool:
    """Whether runs ended after the table was written: a sweep is under way, or was killed."""
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
        with whole(folder / TABLE) as temporary:
            frame.to_parquet(temporary, index=False)


def collect(folder: Path) -> pd.DataFrame:
    """Look at all runs in a sweep's folder."""
    rows = [row for path in sorted((folder / POOL).iterdir()) if (row := row_of(Folder(path)))]
    return table(rows)


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of rows, sorted by the config's fields that differ between them."""
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        return pd.DataFrame(columns=["run", "status", "reason"])
    heads = ["run", "status", "reason", "epochs_done"]
    fields = sorted((name for name in frame if is_field(name)), key=_place)
    scores = sorted((name for name in frame if name not in heads and not is_field(name)), key=_rank)
    frame = frame[[*heads, *fields, *scores]]
    frame = frame.assign(**{name: _one_type(frame[name]) for name in fields})
    differ = [name for name in fields if frame[name].nunique(dropna=False) > 1]
    return frame.sort_values([*differ, "run"], na_position="first", ignore_index=True)


def row_of(folder: Folder) -> dict[str, Any]:
    """What came out of one run; nothing if it has not begun."""
    if not folder.config.is_file():
        return {}
    try:
        config = load(folder.config)
    except InputError:  # of a task or rule that this process does not know
        return {}
    result, failure = _read(folder.result), _read(folder.failure)
    row: dict[str, Any] = {"run": folder.path.name, "status": "unfinished", "reason": ""}
    row["epochs_done"] = config.training.epochs
    if result:
        row["status"] = "finished"
    else:
        row["epochs_done"] = _epochs(folder)
        row |= {key: failure[key] for key in ("status", "reason") if key in failure}
    row |= {key: None if value == NONE else value for key, value in config.flat().items()}
    for who, scores in result.get("table", {}).items():
        before = {AFTER: "", BEFORE: "untrained_"}.get(who)
        if before is None:
            row[f"baseline.{who}"] = scores.get("test_mse")
        else:
            row |= {before + key: value for key, value in scores.items() if key != "note"}
    return row


def score(folder: Folder, name: str = "test_mse") -> float:
    """A score of a finished run's trained network."""
    return float(_read(folder.result).get("table", {}).get(AFTER, {}).get(name, math.nan))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _epochs(folder: Folder) -> int:
    try:
        return int(checkpoint.read(folder.checkpoint)[1]["extra"]["epoch"])
    except (CheckpointError, KeyError, TypeError):
        return 0


def _costs(folder: Folder) -> dict[str, float]:
    """Seconds of learning, and of a learning step: the median epoch's."""
    if not folder.history.is_file():
        return {}
    rows = read_table(folder.history, ["seconds", "steps"])
    learned = rows[rows["steps"] > 0]
    pace = (learned["seconds"] / learned["steps"]).median()
    return {"seconds": float(rows["seconds"].sum()), "seconds_per_step": float(pace)}


# ----------------------------------------------------------------------------- columns


def is_field(name: str) -> bool:
    """Whether a column is a field of the config."""
    return "." in name and not name.startswith("baseline.")


def _place(name: str) -> tuple[int, str]:
    """The run's own tables first, then what it trained."""
    order = ("task", "network", "rule", "decorrelation", "substrate", "training", "baselines")
    above = name.partition(".")[0]
    return (order.index(above) if above in order else len(order), name)


def _rank(name: str) -> tuple[int, str]:
    first = ("test_mse", "train_mse")
    kinds = ("test_", "train_", "untrained_", "baseline.")
    if name in first:
        return first.index(name) - len(first), name
    return next((k for k, kind in enumerate(kinds) if name.startswith(kind)), len(kinds)), name


def _one_type(column: pd.Series) -> pd.Series:
    """A column of one type, as a file of columns needs: what is mixed becomes text."""
    kinds = {type(value) for value in column.dropna()}
    if kinds <= {int, float}:
        whole_numbers = float not in kinds and not column.isna().any()
        return pd.to_numeric(column).astype("int64" if whole_numbers else "float64")
    if kinds <= {bool}:
        return column.astype("boolean") if column.isna().any() else column.astype(bool)
    return column.map(lambda v: v if isinstance(v, str) or v is None or v != v else json.dumps(v))
