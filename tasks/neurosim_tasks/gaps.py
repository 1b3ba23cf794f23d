"""Missing hours are bridged when they are few, and refused when they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurosim_tasks.checks import TaskError

if TYPE_CHECKING:
    import pandas as pd


def bridge(table: pd.DataFrame, max_gap: int) -> pd.DataFrame:
    """Interpolate the missing values of an hourly table, column by column.

    Linearly between the values around a gap; a gap at either end repeats the nearest value.
    Directions are interpolated as the other columns, as numbers: from 350 to 10 degrees by way
    of 180.

    Parameters
    ----------
    table : pandas.DataFrame
        A row an hour, NaN where a value is missing; its ``attrs`` as `tables.read` has them.
    max_gap : int
        The longest gap to bridge [hours].

    Returns
    -------
    pandas.DataFrame
        The same without NaN.

    Raises
    ------
    TaskError
        If a gap is longer, or a column is empty; it names the column and where the gap starts.
    """
    hours = np.arange(len(table))
    full = table.copy()
    for name in table.columns:
        known = np.flatnonzero(table[name].notna())
        # The hours around each gap: one before the table, those known, one after it.
        around = np.concatenate([[-1], known, [len(table)]])
        gaps = np.diff(around) - 1
        too_long = np.flatnonzero((gaps > max_gap) | (gaps == len(table)))
        if too_long.size:
            first, hours_long = around[too_long[0]] + 1, gaps[too_long[0]]
            gap = table.index[first : first + hours_long]
            why = table.attrs.get("unread", {}).get(name, {})
            said = next(
                (f": {why[hour]} ({hour:%Y-%m-%d %H:%M})" for hour in gap if hour in why), ""
            )
            raise TaskError(
                f"Weather: {name} is missing for {hours_long} hours from "
                f"{gap[0]:%Y-%m-%d %H:%M}{said}; gaps must be at most max_gap ({max_gap})"
            )
        full[name] = np.interp(hours, known, table[name].to_numpy()[known])
    return full
