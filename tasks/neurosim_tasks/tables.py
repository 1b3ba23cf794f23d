"""Weather tables as they are published, told apart by their header and put on an hourly grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurosim_tasks.checks import TaskError
from neurosim_tasks.layouts import LAYOUTS, LIMITS, Layout

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 300  # years: weather is written down since the 17th century, and not ahead
MISSING = ("", "*", "M", "VRB", "nan")
"""What a publisher writes where there is no number."""


def read(paths: Sequence[Path], station: str | None) -> tuple[pd.DataFrame, Layout]:
    """Read the tables at `paths`, all of one layout, as one hourly table.

    An hour gets the reports nearest to it. Where there are several kinds of report, the routine
    hourly one (FM-15) comes first, then the nearest, value by value; summaries of a day or a
    month (SOD, SOM) are none.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        CSV files.
    station : str or None
        Which station, if the table has several.

    Returns
    -------
    pandas.DataFrame
        float64, a column a variable, a row an hour, none left out; what is missing or
        impossible (see `LIMITS`) is NaN. ``attrs["unread"]`` says of what is there and could
        not be read why, by column and hour.
    Layout
        What the files were recognised as.

    Raises
    ------
    TaskError
        If a file cannot be read or its header is unknown, if layouts differ, if a time cannot be
        read or occurs twice, or if `station` does not tell which rows are meant.
    """
    import pandas as pd

    layouts = [_recognise(path) for path in paths]
    layout = layouts[0]
    if any(other is not layout for other in layouts):
        names = ", ".join(f"{p.name} ({o.name})" for p, o in zip(paths, layouts, strict=True))
        raise TaskError(f"Weather: the files must be of one layout, not {names}")
    text = pd.concat([_read_csv(path, usecols=layout.header) for path in paths])
    text = _of_station(text, layout, station)
    if layout.report is not None:
        text = text[~text[layout.report].str.strip().isin(["SOD", "SOM"])]
    if text.empty:
        raise TaskError(f"Weather: {paths[0]} has no hourly rows")
    return _hourly(text, layout), layout


def numbers(text: pd.Series, low: float, high: float) -> pd.Series:
    """Return the numbers in `text` that lie from `low` to `high`; NaN for the others.

    NOAA's marks: ``s`` (suspect) and ``V`` (variable) follow a number, which is kept: `low` and
    `high` catch the impossible ones. ``T`` is a trace: zero. ``*`` and ``M`` (missing), ``VRB``
    (wind from everywhere) and blanks are no numbers.
    """
    values = _values(text)
    return values.where(values.between(low, high))


def _values(text: pd.Series) -> pd.Series:
    import pandas as pd

    bare = text.str.strip().str.replace(r"[sV]+$", "", regex=True).replace("T", "0")
    return pd.to_numeric(bare, errors="coerce").astype("float64")


def _unread(text: pd.Series, low: float, high: float) -> dict[int, str]:
    """Say by row why a value is left out that is not marked as missing."""
    values, bare = _values(text), text.str.strip()
    strange = text.notna() & ~bare.isin(MISSING) & ~values.between(low, high)
    outside = f"is not in [{low:g}, {high:g}]"
    pairs = zip(bare[strange], values[strange], strict=True)
    reasons = (f"{word!r} {'is no number' if value != value else outside}" for word, value in pairs)
    return dict(zip(text.index[strange], reasons, strict=True))


def _read_csv(path: Path, **options: object) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, **options)
    except (OSError, ValueError) as error:
        raise TaskError(f"Weather: cannot read {path}: {error}") from error


def _recognise(path: Path) -> Layout:
    # As a row: of two columns of a name, pandas would call the second one otherwise.
    first = _read_csv(path, nrows=1, header=None).to_numpy().ravel().tolist()
    header = set(first)
    for layout in LAYOUTS:
        if header.issuperset(layout.header):
            twice = [column for column in layout.header if first.count(column) > 1]
            if twice:
                raise TaskError(f"Weather: {path} has more than one column {', '.join(twice)}")
            return layout
    expected = "\n".join(f"  {layout.name}: {', '.join(layout.header)}" for layout in LAYOUTS)
    near = max(LAYOUTS, key=lambda layout: len(header.intersection(layout.header)))
    lacks = [column for column in near.header if column not in header]
    known = "known"
    if len(lacks) < len(near.header):
        known += f" (of {near.name} it lacks {', '.join(lacks)})"
    elif len(header) == 1:
        known += " (it is one column: commas must part columns, and a point the decimals)"
    raise TaskError(f"Weather: {path} has none of the headers {known}, which are\n{expected}")


def _of_station(text: pd.DataFrame, layout: Layout, station: str | None) -> pd.DataFrame:
    if layout.station is None:
        if station is not None:
            raise TaskError(f"Weather: station = {station!r} must be None: {layout.name} has one")
        return text
    names = text[layout.station].str.strip()
    known = sorted(names.dropna().unique())
    if station is None and len(known) == 1:
        return text
    if station not in known:
        raise TaskError(f"Weather: station = {station!r} must be one of {', '.join(known)}")
    return text[names == station]


def _times(text: pd.Series, layout: Layout) -> pd.Series:
    """Read a column of times."""
    owner = f"Weather: {layout.name}: column {layout.time}"
    if text.isna().any():
        raise TaskError(f"{owner} has blanks")
    try:
        times = layout.read_time(text)
    except (ValueError, AttributeError) as error:  # by pandas 3, by pandas 2
        raise TaskError(f"{owner} has times of more than one zone") from error
    if times.isna().any():
        raise TaskError(f"{owner}: {text[times.isna()].iloc[0]!r} is no time of this layout")
    return times


def _refuse_far(hours: pd.Series, layout: Layout) -> None:
    """Refuse times so far apart that one is a mistake, before there is room made for all hours."""
    import pandas as pd

    ordered = hours.sort_values(ignore_index=True)
    if ordered.iloc[-1] - ordered.iloc[0] > pd.Timedelta(days=LONGEST * 366):
        row = int(ordered.diff().argmax())
        raise TaskError(
            f"Weather: {layout.name}: column {layout.time}: there is nothing between "
            f"{ordered[row - 1]:%Y-%m-%d %H:%M} and {ordered[row]:%Y-%m-%d %H:%M}; a table may be "
            f"of {LONGEST} years at most"
        )


def _hourly(text: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    import pandas as pd

    text = text.reset_index(drop=True)  # files put together repeat their row numbers
    times = _times(text[layout.time].str.strip(), layout)
    hours = (times + pd.Timedelta(minutes=30)).dt.floor("h")
    _refuse_far(hours, layout)
    table = pd.DataFrame(
        {name: numbers(text[name], *LIMITS[kind]) for name, kind in layout.quantities.items()}
    )
    if layout.report is None:
        if hours.duplicated().any():
            twice = hours[hours.duplicated()].iloc[0]
            raise TaskError(
                f"Weather: {layout.name}: two rows for the hour {twice:%Y-%m-%d %H:%M}; where "
                f"daylight saving ends, local time has an hour twice: give standard time"
            )
        table = table.set_index(pd.DatetimeIndex(hours)).sort_index()
    else:
        special = text[layout.report].str.strip() != "FM-15"
        rank = pd.DataFrame({"hour": hours, "special": special, "far": (times - hours).abs()})
        order = rank.sort_values(["hour", "special", "far"]).index
        ranked = table.set_index(pd.DatetimeIndex(hours)).iloc[order]
        # `first` is the first value that is not missing, column by column.
        table = ranked.groupby(level=0).first()
    table = table.asfreq("h").rename_axis("hour")
    table.attrs["unread"] = {
        name: {hours[row]: why for row, why in _unread(text[name], *LIMITS[kind]).items()}
        for name, kind in layout.quantities.items()
    }
    return table
