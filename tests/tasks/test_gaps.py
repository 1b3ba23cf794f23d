from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from neurosim_tasks import TaskError
from neurosim_tasks.gaps import bridge

NAN = np.nan


def table(**columns: list[float]) -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    hours = pd.date_range("2013-03-01", periods=length, freq="h")
    return pd.DataFrame(columns, index=hours, dtype=float)


def test_a_gap_is_a_straight_line_and_an_end_repeats_its_neighbour():
    full = bridge(table(a=[NAN, 1, NAN, NAN, 4, 5, NAN, NAN], b=range(8)), max_gap=2)
    assert full.a.tolist() == [1, 1, 2, 3, 4, 5, 5, 5]
    assert full.b.tolist() == list(range(8))


def test_the_table_given_is_left_alone():
    given = table(a=[1, NAN, 3])
    bridge(given, max_gap=1)
    assert given.a.isna().sum() == 1


def test_directions_are_bridged_as_numbers():
    assert bridge(table(a=[350, NAN, 10]), max_gap=1).a.tolist() == [350, 180, 10]


@pytest.mark.parametrize(
    ("values", "hours", "start"),
    [
        ([1, NAN, NAN, NAN, 5, 6], 3, "2013-03-01 01:00"),
        ([NAN, NAN, NAN, 4, 5, 6], 3, "2013-03-01 00:00"),
        ([1, 2, NAN, NAN, NAN, NAN], 4, "2013-03-01 02:00"),
    ],
)
def test_a_gap_too_long_is_refused_by_column_start_and_length(values, hours, start):
    given = table(fine=range(6), wind=values)
    message = f"Weather: wind is missing for {hours} hours from {start}; gaps must be at most"
    for max_gap in (0, 1, hours - 1):
        with pytest.raises(TaskError, match=re.escape(f"{message} max_gap ({max_gap})")):
            bridge(given, max_gap)
    assert bridge(given, hours).notna().all(axis=None)


def test_a_column_of_nothing_is_refused_however_long_a_gap_may_be():
    with pytest.raises(TaskError, match="a is missing for 3 hours"):
        bridge(table(a=[NAN] * 3), max_gap=99)


def test_without_gaps_a_limit_of_none_will_do():
    given = table(a=[1, 2, 3])
    pd.testing.assert_frame_equal(bridge(given, 0), given)
