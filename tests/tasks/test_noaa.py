"""Downloads, from a server of the same layout that lives as long as a test."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from published_tables import lcd_year

from neurosim_tasks import TaskError, Weather
from neurosim_tasks.noaa import NOAA_URL, fetch

STATION = "72503014732"


def refuses(message: str):
    return pytest.raises(TaskError, match=re.escape(message))


class Server:
    """Serves `files` by path; a file in `cut_short` breaks off half-way."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.cut_short: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                if self.path not in outer.files:
                    self.send_error(404)
                    return
                content = outer.files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                half = len(content) // 2
                self.wfile.write(content[:half] if self.path in outer.cut_short else content)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/access"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.running = True

    def stop(self):
        if self.running:
            self._http.shutdown()
            self._http.server_close()
            self.running = False


@pytest.fixture
def server(monkeypatch, tmp_path, no_data_folder):
    server = Server()
    monkeypatch.setenv("NEUROSIM_NOAA_URL", server.url)
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    yield server
    server.stop()


@pytest.fixture
def served(server, write_lcd) -> dict[int, bytes]:
    """The content served, by year."""
    years = {}
    for year in (2012, 2013):
        days = 366 if year == 2012 else 90
        years[year] = write_lcd(lcd_year(year, days), f"served-{year}.csv").read_bytes()
        server.files[f"/access/{year}/{STATION}.csv"] = years[year]
    return years


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept(tmp_path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_a_file_is_fetched_once(server, served, tmp_path):
    path = fetch(STATION, 2013)
    assert path.read_bytes() == served[2013]
    assert server.asked == [f"/access/2013/{STATION}.csv"]
    server.stop()
    assert fetch(STATION, 2013) == path
    assert fetch(STATION, 2013, sha256(served[2013])) == path
    assert kept(tmp_path) == [path.name]


def test_the_folder_may_begin_with_a_tilde(server, served, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NEUROSIM_CACHE", "~/cache")
    assert fetch(STATION, 2013).is_relative_to(tmp_path / "cache")


def test_without_a_home_files_are_kept_among_temporary_ones(server, served, tmp_path, monkeypatch):
    def unknown(_):
        raise KeyError("no such user")

    for name in ("NEUROSIM_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = fetch(STATION, 2013)
    assert path.is_relative_to(tmp_path / f"neurosim-{os.getuid()}")
    assert not (tmp_path / "~").exists()


def test_years_and_stations_are_kept_apart(server, served):
    server.files["/access/2013/72505394728.csv"] = b"another"
    paths = [fetch(STATION, 2012), fetch(STATION, 2013), fetch("72505394728", 2013)]
    assert [p.read_bytes() for p in paths] == [served[2012], served[2013], b"another"]


def test_a_wrong_hash_is_refused_and_nothing_kept(server, served, tmp_path):
    with refuses(f"Weather: cannot fetch {server.url}/2013/{STATION}.csv: SHA256"):
        fetch(STATION, 2013, sha256(b"something else"))
    assert kept(tmp_path) == []
    assert fetch(STATION, 2013, sha256(served[2013])).is_file()


def test_a_file_kept_that_has_changed_is_fetched_again(server, served):
    path = fetch(STATION, 2013)
    path.write_bytes(b"spoilt")
    assert fetch(STATION, 2013, sha256(served[2013])).read_bytes() == served[2013]


def test_a_file_that_is_not_there_is_refused(server, tmp_path):
    with refuses(f"Weather: cannot fetch {server.url}/1950/{STATION}.csv: 404"):
        fetch(STATION, 1950)
    assert kept(tmp_path) == []


def test_a_download_that_breaks_off_is_refused_and_nothing_kept(server, served, tmp_path):
    server.cut_short.add(f"/access/2013/{STATION}.csv")
    with refuses(f"Weather: cannot fetch {server.url}/2013/{STATION}.csv: "):
        fetch(STATION, 2013)
    assert kept(tmp_path) == []
    server.cut_short.clear()
    assert fetch(STATION, 2013).read_bytes() == served[2013]


def test_a_server_that_is_not_there_is_refused(server, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound but not listening: connections are refused.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("NEUROSIM_NOAA_URL", url)
        with refuses(f"Weather: cannot fetch {url}/2013/{STATION}.csv: "):
            fetch(STATION, 2013)


def test_an_address_that_is_none_is_refused(server, monkeypatch):
    monkeypatch.setenv("NEUROSIM_NOAA_URL", "nonsense")
    with refuses(f"Weather: cannot fetch nonsense/2013/{STATION}.csv: "):
        fetch(STATION, 2013)


def test_by_default_it_is_noaa(server, monkeypatch):
    asked = []

    def retrieve(url, **options):
        asked.append(url)
        return "file"

    monkeypatch.delenv("NEUROSIM_NOAA_URL")
    monkeypatch.setattr("pooch.retrieve", retrieve)
    fetch(STATION, 2013)
    assert asked == [f"{NOAA_URL}/2013/{STATION}.csv"]


def test_weather_from_a_station(server, served):
    task = Weather(horizon=24, batch=3, station=STATION, year=2013, test_months=1)
    inputs, _ = task.train()
    # Reports at :51 from 00:51 on 1 January are for 01:00 and later; March is the test.
    hours = 24 * (31 + 28) - 1
    assert inputs.shape == ((hours - 24) // 3, 3, 9)
    assert task.test()[0].shape == ((24 * 31 + 1 - 24) // 3, 3, 9)
    assert task.source.startswith(f"NOAA Local Climatological Data, {STATION}, 2013-01-01 to")
    assert task.target_names == ("HourlyDryBulbTemperature",)
    server.stop()
    again = Weather(horizon=24, batch=3, station=STATION, year=2013, test_months=1)
    assert (again.train()[0] == inputs).all()


def test_weather_from_years_with_hashes(server, served):
    hashes = {year: sha256(content) for year, content in served.items()}
    for given in (hashes, {str(year): digest for year, digest in hashes.items()}):
        task = Weather(batch=2, station=STATION, year=[2012, 2013], sha256=given)
        assert task.year == (2012, 2013)
        hours = 24 * (366 + 31) - 1
        assert task.train()[0].shape == ((hours - 48) // 2, 2, 9)
    wrong = Weather(station=STATION, year=2012, sha256=hashes[2013])
    with refuses(f"Weather: cannot fetch {server.url}/2012/{STATION}.csv"):
        wrong.train()
