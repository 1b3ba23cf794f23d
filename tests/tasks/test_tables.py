from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from published_tables import lcd_row, lcd_summary, wth_frame

from neurosim_tasks import TaskError
from neurosim_tasks.layouts import LAYOUTS, LCD, LIMITS, NYCFLIGHTS, WTH
from neurosim_tasks.stations import locate
from neurosim_tasks.tables import numbers, read


def refuses(message: str):
    return pytest.raises(TaskError, match=re.escape(message))


def nyc_rows() -> pd.DataFrame:
    columns = dict.fromkeys(NYCFLIGHTS.quantities, 10.0) | {"pressure": 1010.0}
    hours = [5, 6, 9]
    times = [f"2013-01-01T{hour:02d}:00:00Z" for hour in hours]
    rows = [
        pd.DataFrame({"origin": origin, "time_hour": times, "temp": [t, t + 1, t + 4]})
        for origin, t in (("EWR", 30.0), ("JFK", 40.0))
    ]
    return pd.concat(rows).assign(**{k: v for k, v in columns.items() if k != "temp"})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("39", 39),
        ("-4", -4),
        (" 29.92 ", 29.92),
        ("41s", 41),
        ("2.50V", 2.5),
        ("2.50Vs", 2.5),
        ("T", 0),
        ("Ts", 0),
        ("000", 0),
        ("1e2", 100),
        ("*", None),
        ("41*", None),
        ("M", None),
        ("VRB", None),
        ("", None),
        ("  ", None),
        ("NA", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("999", None),
        (None, None),
    ],
)
def test_numbers_and_the_marks_on_them(text, number):
    read_as = numbers(pd.Series([text, "1"], dtype=object), -50, 200)
    assert read_as.dtype == np.float64
    assert read_as[1] == 1
    assert read_as[0] == number if number is not None else np.isnan(read_as[0])


def test_limits_are_within_the_possible():
    text = pd.Series(["-1", "0", "253", "253.1", "1048.36"])
    assert numbers(text, *LIMITS["wind speed [mph]"]).notna().tolist() == [False, True, True, 0, 0]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_consistent(layout):
    assert layout.quantities[layout.target] == "temperature [F]"
    assert set(layout.quantities.values()) <= set(LIMITS)


def test_wth_gives_nine_columns_without_celsius(write_wth):
    frame = wth_frame(hours=30)
    table, layout = read([write_wth(frame)], None)
    assert layout is WTH
    assert len(table.columns) == 9
    assert not [name for name in table.columns if "Celsius" in name]
    assert table.index[0] == pd.Timestamp("2010-01-01 00:00")
    assert table.shape == (30, 9)
    for name in table.columns:
        np.testing.assert_array_equal(table[name], frame[name])


def test_rows_out_of_order_are_put_in_order_and_lost_hours_are_missing(write_wth):
    frame = wth_frame(hours=30)
    table, _ = read([write_wth(frame.drop([10, 11]).sample(frac=1, random_state=0))], None)
    assert len(table) == 30
    assert table.isna().all(axis=1).to_numpy().nonzero()[0].tolist() == [10, 11]
    np.testing.assert_array_equal(table.WindSpeed.dropna(), frame.WindSpeed.drop([10, 11]))


def test_two_rows_for_an_hour_are_refused(write_wth):
    frame = wth_frame(hours=30)
    frame.loc[12, "date"] = frame.loc[11, "date"]
    with refuses("WTH: two rows for the hour 2010-01-01 11:00; where daylight saving ends"):
        read([write_wth(frame)], None)


@pytest.mark.parametrize("date", ["yesterday", "2010-01-01 00:00", "13/13/2010 0:00"])
def test_a_time_that_is_none_is_refused(write_wth, date):
    frame = wth_frame(hours=30)
    frame.loc[12, "date"] = date
    with refuses(f"Weather: WTH: column date: {date!r} is no time of this layout"):
        read([write_wth(frame)], None)
    frame.loc[12, "date"] = None
    with refuses("Weather: WTH: column date has blanks"):
        read([write_wth(frame)], None)


def test_two_columns_of_a_name_are_refused(write_wth):
    frame = wth_frame(hours=30)
    path = write_wth(frame.assign(more=1).rename(columns={"more": "WindSpeed"}))
    with refuses(f"Weather: {path} has more than one column WindSpeed"):
        read([path], None)


@pytest.mark.parametrize("year", [1200, 2999, 9999])
def test_a_time_centuries_away_is_refused_before_room_is_made(write_wth, year, monkeypatch):
    frame = wth_frame(hours=30)
    frame.loc[12, "date"] = f"1/1/{year} 11:00"
    monkeypatch.setattr(pd.DataFrame, "asfreq", None)
    with refuses("WTH: column date: there is nothing between ") as refused:
        read([write_wth(frame)], None)
    assert f"{year}-01-01 11:00" in str(refused.value)
    assert "2010-01-0" in str(refused.value)


def test_a_zone_of_local_time_is_left_aside(write_lcd):
    times = [f"2013-01-01T{hour:02d}:00:00" for hour in range(3)]
    (plain, _), (zoned, _) = (
        read(
            [write_lcd([lcd_row(f"{time}{zone}", DryBulbTemperature="41") for time in times])], None
        )
        for zone in ("", "-05:00")
    )
    pd.testing.assert_frame_equal(plain, zoned)
    mixed = [lcd_row("2013-01-01T00:00:00"), lcd_row("2013-01-01T01:00:00-05:00")]
    with refuses("column DATE has times of more than one zone"):
        read([write_lcd(mixed)], None)


def test_what_is_no_number_or_impossible_is_missing(write_wth):
    frame = wth_frame(hours=30).astype({"WindSpeed": object, "Altimeter": object})
    frame.loc[3, "WindSpeed"], frame.loc[4, "WindSpeed"] = 1048.36, "inf"
    frame.loc[5, "Altimeter"], frame.loc[6, "Altimeter"] = "oops", -np.inf
    table, _ = read([write_wth(frame)], None)
    assert table.WindSpeed.isna().to_numpy().nonzero()[0].tolist() == [3, 4]
    assert table.Altimeter.isna().to_numpy().nonzero()[0].tolist() == [5, 6]


def test_lcd_goes_to_the_nearest_hour(write_lcd):
    rows = [
        lcd_row("2013-01-01T00:51:00", DryBulbTemperature="41"),
        lcd_row("2013-01-01T01:54:00", DryBulbTemperature="42"),
        lcd_row("2013-01-01T03:05:00", DryBulbTemperature="43"),
        lcd_row("2013-01-01T23:53:00", DryBulbTemperature="44"),
    ]
    table, layout = read([write_lcd(rows)], None)
    assert layout is LCD
    assert table.index[0] == pd.Timestamp("2013-01-01 01:00")
    assert table.index[-1] == pd.Timestamp("2013-01-02 00:00")
    assert table.HourlyDryBulbTemperature.dropna().tolist() == [41, 42, 43, 44]
    assert len(table) == 24


def test_lcd_prefers_the_routine_report_then_the_nearest_value_by_value(write_lcd):
    rows = [
        lcd_row("2013-01-01T00:58:00", "FM-16", DryBulbTemperature="50", WindSpeed="1"),
        lcd_row("2013-01-01T00:51:00", "FM-15", DryBulbTemperature="41", WindSpeed=""),
        lcd_row("2013-01-01T01:20:00", "FM-16", DryBulbTemperature="60", WindSpeed="2"),
        # Without a routine report, the nearest.
        lcd_row("2013-01-01T02:20:00", "FM-16", DryBulbTemperature="70"),
        lcd_row("2013-01-01T01:50:00", "FM-12", DryBulbTemperature="71"),
        # Of two routine reports, the nearest.
        lcd_row("2013-01-01T02:45:00", "FM-15 ", DryBulbTemperature="80"),
        lcd_row("2013-01-01T03:02:00", "FM-15", DryBulbTemperature="81"),
    ]
    for order in (rows, rows[::-1]):
        table, _ = read([write_lcd(order)], None)
        assert table.HourlyDryBulbTemperature.tolist() == [41, 71, 81]
        assert table.HourlyWindSpeed[0:1].tolist() == [1]


def test_lcd_summaries_are_no_reports(write_lcd):
    reports = [lcd_row(f"2013-01-01T{hour:02d}:51:00") for hour in range(3)]
    # An hour that only has a summary would make the table longer.
    rows = [*reports, lcd_summary("2013-01-01T23:59:00"), lcd_summary("2013-01-31T23:59:00", "SOM")]
    table, _ = read([write_lcd(rows)], None)
    assert len(table) == 3
    with refuses("has no hourly rows"):
        read([write_lcd(rows[3:])], None)


def test_lcd_values_with_marks(write_lcd):
    rows = [
        lcd_row("2013-01-01T00:51:00", WindDirection="VRB", Visibility="2.00V"),
        lcd_row("2013-01-01T01:51:00", DryBulbTemperature="41s", RelativeHumidity="*"),
        lcd_row("2013-01-01T02:51:00", DewPointTemperature="", StationPressure="M"),
    ]
    table, _ = read([write_lcd(rows)], None)
    first, second, third = (row for _, row in table.iterrows())
    assert np.isnan(first.HourlyWindDirection)
    assert first.HourlyVisibility == 2
    assert second.HourlyDryBulbTemperature == 41
    assert np.isnan(second.HourlyRelativeHumidity)
    assert third[["HourlyDewPointTemperature", "HourlyStationPressure"]].isna().all()
    assert table.isna().to_numpy().sum() == 4


def test_lcd_has_the_variables_of_wth(write_lcd):
    table, _ = read([write_lcd([lcd_row("2013-01-01T00:51:00")])], None)
    assert sorted(LCD.quantities.values()) == sorted(WTH.quantities.values())
    assert list(table.columns) == list(LCD.quantities)


def test_files_of_several_years_are_one_table(write_lcd):
    first = write_lcd([lcd_row("2012-12-31T22:51:00", WindSpeed="1")], "2012.csv")
    second = write_lcd([lcd_row("2013-01-01T01:51:00", WindSpeed="2")], "2013.csv")
    table, _ = read([second, first], None)
    assert table.HourlyWindSpeed.fillna(-1).tolist() == [1, -1, -1, 2]


def test_nycflights_by_station_in_universal_time(write_wth):
    path = write_wth(nyc_rows())
    table, layout = read([path], "JFK")
    assert layout is NYCFLIGHTS
    assert table.temp.fillna(-1).tolist() == [40, 41, -1, -1, 44]
    assert table.index[0] == pd.Timestamp("2013-01-01 05:00")
    assert table.index.tz is None


@pytest.mark.parametrize("station", [None, "BOS", ""])
def test_a_station_must_be_in_the_table(write_wth, station):
    with refuses(f"Weather: station = {station!r} must be one of EWR, JFK"):
        read([write_wth(nyc_rows())], station)


def test_a_single_station_needs_no_name(write_lcd):
    path = write_lcd([lcd_row("2013-01-01T00:51:00")])
    assert len(read([path], None)[0]) == len(read([path], "72503014732")[0]) == 1
    with refuses("Weather: station = 'JFK' must be one of 72503014732"):
        read([path], "JFK")


def test_wth_has_no_stations(write_wth):
    with refuses("Weather: station = 'JFK' must be None: WTH has one"):
        read([write_wth()], "JFK")


def test_an_unknown_header_is_refused_with_those_known(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TaskError) as error:
        read([path], None)
    assert str(error.value).startswith(f"Weather: {path} has none of the headers known")
    for layout in LAYOUTS:
        assert f"{layout.name}: {', '.join(layout.header)}" in str(error.value)


def test_a_missing_column_makes_a_header_unknown_and_is_named(write_wth):
    with refuses("has none of the headers known (of WTH it lacks WetBulbFarenheit)"):
        read([write_wth(wth_frame(hours=9).drop(columns="WetBulbFarenheit"))], None)


def test_a_header_without_commas_is_said_to_be_one_column(write_wth):
    path = write_wth(wth_frame(hours=9))
    path.write_text(path.read_text().replace(".", ",").replace(",", ";"))
    with refuses("has none of the headers known (it is one column: commas must part columns"):
        read([path], None)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01\x80", b'a,"b\n1,2'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with refuses("Weather: "):
        read([path], None)


def test_a_header_without_rows_is_refused(write_wth):
    with refuses("has no hourly rows"):
        read([write_wth(wth_frame(hours=0))], None)


def test_layouts_do_not_mix(write_wth, write_lcd):
    lcd = write_lcd([lcd_row("2013-01-01T00:51:00")])
    with refuses("must be of one layout, not table.csv (WTH), lcd.csv (NOAA Local"):
        read([write_wth(), lcd], None)


@pytest.mark.parametrize("airport", ["JFK", "EWR", "LGA"])
def test_the_embedded_table_is_real_and_clean(no_data_folder, airport):
    table, layout = read(*locate(None, airport, (), {}))
    assert layout is NYCFLIGHTS
    assert len(table) == 8730
    assert list(table.columns) == list(NYCFLIGHTS.quantities)
    # At EWR someone noted 1048 mph.
    assert table.wind_speed.max() < 50
    assert table.temp.between(0, 110).sum() > 8690
