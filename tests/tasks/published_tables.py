"""Small weather tables in the layouts published."""

from __future__ import annotations

import numpy as np
import pandas as pd

LCD_HEADER = [
    "STATION",
    "DATE",
    "REPORT_TYPE",
    "SOURCE",
    "HourlyAltimeterSetting",
    "HourlyDewPointTemperature",
    "HourlyDryBulbTemperature",
    "HourlyPrecipitation",
    "HourlyPresentWeatherType",
    "HourlyPressureChange",
    "HourlyPressureTendency",
    "HourlyRelativeHumidity",
    "HourlySkyConditions",
    "HourlySeaLevelPressure",
    "HourlyStationPressure",
    "HourlyVisibility",
    "HourlyWetBulbTemperature",
    "HourlyWindDirection",
    "HourlyWindGustSpeed",
    "HourlyWindSpeed",
    "Sunrise",
    "Sunset",
    "DailyAverageDryBulbTemperature",
    "MonthlyMeanTemperature",
    "REM",
]


def wth_frame(start: str = "2010-01-01", hours: int = 24 * 120, seed: int = 0) -> pd.DataFrame:
    """Return a table laid out as WTH.csv, of random weather with a daily rhythm."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(start, periods=hours, freq="h")
    dry = 50 + 15 * np.sin(np.arange(hours) * 2 * np.pi / 24) + rng.normal(0, 3, hours)
    dry = dry.round(1)
    celsius = ((dry - 32) / 1.8).round(1)
    return pd.DataFrame(
        {
            "date": [f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02d}" for t in times],
            "Visibility": rng.uniform(0, 10, hours).round(1),
            "DryBulbFarenheit": dry,
            "DryBulbCelsius": celsius,
            "WetBulbFarenheit": dry - 3,
            "DewPointFarenheit": dry - 7,
            "DewPointCelsius": celsius,
            "RelativeHumidity": rng.integers(10, 100, hours).astype(float),
            "WindSpeed": rng.integers(0, 30, hours).astype(float),
            "WindDirection": rng.integers(0, 36, hours) * 10.0,
            "StationPressure": rng.uniform(21, 22, hours).round(2),
            "Altimeter": rng.uniform(29, 31, hours).round(2),
            "WetBulbCelsius": celsius,
        }
    )


def lcd_row(date: str, report: str = "FM-15", **values: str) -> dict[str, str]:
    """Return one report, as text; values are named without their ``Hourly``."""
    usual = {
        "AltimeterSetting": "30.05",
        "DewPointTemperature": "30",
        "DryBulbTemperature": "40",
        "RelativeHumidity": "60",
        "StationPressure": "29.90",
        "Visibility": "10.00",
        "WetBulbTemperature": "36",
        "WindDirection": "270",
        "WindSpeed": "8",
        "Precipitation": "0.00",
        "SkyConditions": "FEW:02 25",
    }
    hourly = {f"Hourly{name}": value for name, value in {**usual, **values}.items()}
    return {"STATION": "72503014732", "DATE": date, "REPORT_TYPE": report, **hourly}


def lcd_summary(date: str, report: str = "SOD") -> dict[str, str]:
    """Return one row of daily values, with no hourly ones."""
    row = {"STATION": "72503014732", "DATE": date, "REPORT_TYPE": f"{report}  "}
    return {**row, "DailyAverageDryBulbTemperature": "41"}


def lcd_year(year: int, days: int = 90, seed: int = 0) -> list[dict[str, str]]:
    """Return the reports of the first days of a year, at :51, with a summary a day."""
    rng = np.random.default_rng([seed, year])
    rows = []
    for time in pd.date_range(f"{year}-01-01T00:51", periods=24 * days, freq="h"):
        dry = 50 + 15 * np.sin(time.hour / 24 * 2 * np.pi) + rng.normal(0, 3)
        speed, direction = rng.integers(0, 30), 10 * rng.integers(0, 37)
        values = {"DryBulbTemperature": f"{dry:.0f}", "WindSpeed": f"{speed}"}
        rows.append(
            lcd_row(f"{time:%Y-%m-%dT%H:%M:%S}", WindDirection=f"{direction:03d}", **values)
        )
        if time.hour == 23:
            rows.append(lcd_summary(f"{time:%Y-%m-%d}T23:59:00"))
    return rows
