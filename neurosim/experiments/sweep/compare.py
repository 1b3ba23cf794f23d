"""Runs side by side: those that differ in nothing but seeds are one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from neurosim.errors import InputError
from neurosim.experiments.baselines import DELTA, RIDGE
from neurosim.experiments.folder import Folder
from neurosim.experiments.sweep import results
from neurosim.experiments.sweep.runs import FINISHED, UNFINISHED
from neurosim.files import place
from neurosim.values import nearest

BASELINE = "baseline."
OF_THE_NETWORK = (RIDGE, DELTA)
LOOKING = ("baselines.", "training.measures")  # decide nothing of what is learned
SEEDS = ("training.seed", "network.seed", "task.seed", "substrate.seed")


def gather(folders: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read the results of sweeps and of single runs into one table, a run of two folders once.

    Raises
    ------
    InputError
        If a folder holds neither.
    """
    rows: list[dict[str, Any]] = []
    for folder in map(place, folders):
        row = results.row_of(Folder(folder))
        if row:
            rows.append(row)
        elif (folder / results.POOL).is_dir():
            rows += results.rows_of(folder)
        else:
            raise InputError(f"{folder}: holds neither a run nor a sweep")
    return together(rows[k] for k in distinct(rows))


def distinct(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Choose one row of every run, where more than one folder holds it.

    Runs are the same if they learn the same and have the same scores; one that is not finished
    is the beginning of any that learns the same. The one that got furthest stands for all.

    Returns
    -------
    list of int
        Which rows, in their order.
    """
    known: dict[str, set[str]] = {}
    chosen = []
    for k in sorted(range(len(rows)), key=lambda k: _reached(rows[k]), reverse=True):
        scores, others = _scores(rows[k]), known.setdefault(_learned(rows[k]), set())
        begun = bool(others) and rows[k]["status"] != FINISHED
        if scores not in others and not begun:
            others.add(scores)
            chosen.append(k)
    return sorted(chosen)


def _reached(row: Mapping[str, Any]) -> tuple[bool, bool, int, int]:
    status = row["status"]
    return status == FINISHED, status != UNFINISHED, row["epochs_done"], len(row)


def _learned(row: Mapping[str, Any]) -> str:
    """All that decides what a run learns."""
    fields = {k: v for k, v in row.items() if results.is_field(k) and not k.startswith(LOOKING)}
    return json.dumps(fields, sort_keys=True, default=repr)


def _scores(row: Mapping[str, Any]) -> str:
    """Scores of a finished run."""
    scores = {k: v for k, v in row.items() if k.startswith(("test_", "train_"))}
    return json.dumps(scores, sort_keys=True)


def together(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make one table of runs that need not have the same fields."""
    return results.table([{k: v for k, v in row.items() if not missing(v)} for row in rows])


def missing(value: Any) -> bool:
    """Whether a cell of a table holds nothing."""
    return value is None or value is pd.NA or value != value


def varied(frame: pd.DataFrame) -> list[str]:
    """Fields of the config that differ between runs, but for seeds.

    A field that some runs do not have because their rule, task or decorrelation is another one
    does not differ on that account: the name does.
    """
    fields = [name for name in frame if results.is_field(str(name)) and name not in SEEDS]
    told = [name for name in fields if not str(name).startswith(LOOKING)]
    return [name for name in told if _differs(frame, name)]


def words(row: Any, fields: Sequence[str]) -> str:
    """Write what a run is told from others by: names first, then what differs beside them."""
    short = {name: name.partition(".")[2] for name in fields}
    parts = []
    for name in sorted(fields, key=lambda name: short[name] != "name"):
        if missing(row[name]):
            continue
        value = f"{row[name]:g}" if isinstance(row[name], float) else str(row[name])
        # Two rules learn side by side: a rate without more is that of the one with a reward.
        alone = list(short.values()).count(short[name]) == 1
        alone = alone and not name.startswith("decorrelation.")
        own = short[name] if alone else name
        parts.append(value if short[name] == "name" else f"{own} {value}")
    return ", ".join(parts)


def _differs(frame: pd.DataFrame, name: str) -> bool:
    kind = f"{name.partition('.')[0]}.name"
    if kind not in frame or name == kind:
        return bool(frame[name].nunique(dropna=False) > 1)
    of_a_kind = frame.groupby(kind, dropna=False)[name]
    return bool(frame[name].nunique() > 1 or (of_a_kind.nunique(dropna=False) > 1).any())


def compare(frame: pd.DataFrame, by: Sequence[str] = (), metric: str = "test_mse") -> pd.DataFrame:
    """Sum up runs over seeds.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `gather` or `neurosim.load_results`.
    by : sequence of str
        Fields to tell runs apart by; by default all that differ, but for seeds.
    metric : str
        The column of scores.

    Returns
    -------
    pandas.DataFrame
        One row a group, the lowest mean first: `by`; ``mean``, ``min`` and ``max`` of the metric
        over the runs that finished; how many ``finished``, of how many ``runs``.

    Raises
    ------
    InputError
        For columns that are not there.
    """
    by = list(by)
    if metric not in frame:
        raise InputError(f"metric {metric!r} is not in the table; {nearest(metric, frame.columns)}")
    if not pd.api.types.is_numeric_dtype(frame[metric]):
        raise InputError(f"metric {metric!r} must be a column of numbers; it holds words")
    for name in by:
        if name not in frame:
            raise InputError(f"field {name!r} is not in the table; {nearest(name, frame.columns)}")
    keys = by or varied(frame)
    scored = frame.assign(**{metric: frame[metric].where(frame["status"] == "finished")})
    whole: list[tuple[Any, pd.DataFrame]] = [((), scored)]
    groups: Any = scored.groupby(keys, dropna=False, sort=False) if keys else whole
    rows = []
    for key, group in groups:
        values = group[metric]
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "mean": values.mean(),
                "min": values.min(),
                "max": values.max(),
                "finished": int((group["status"] == "finished").sum()),
                "runs": len(group),
            }
        )
    return pd.DataFrame(rows).sort_values("mean", ignore_index=True)


def baselines(frame: pd.DataFrame) -> pd.Series:
    """Mean test errors of the baselines that were computed beside the runs, the lowest first.

    Where tasks differ, or the networks that a baseline is of, there is one for each.
    """
    found: dict[str, float] = {}
    for column in (name for name in frame if str(name).startswith(BASELINE)):
        name = str(column).removeprefix(BASELINE)
        tables = ("task.", "network.") if name in OF_THE_NETWORK else ("task.",)
        keys = [key for key in varied(frame) if key.startswith(tables)]
        for _, of in frame.groupby(keys, dropna=False) if keys else [((), frame)]:
            told = words(of.iloc[0], keys)
            found[f"{name} ({told})" if told else name] = of[column].mean()
    return pd.Series(found, dtype=float).dropna().sort_values()
