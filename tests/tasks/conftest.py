"""Weather tables where a test wants them."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest
from published_tables import LCD_HEADER, wth_frame

# Before any test hides it.
DATA_FOLDER = os.environ.get("NEUROSIM_DATA")


@pytest.fixture
def write_wth(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a table, `wth_frame` unless given, and returns its path."""

    def write(frame: pd.DataFrame | None = None, name: str = "table.csv") -> Path:
        path = tmp_path / name
        (wth_frame() if frame is None else frame).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def write_lcd(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes rows as NOAA does, all quoted, and returns the path."""

    def write(rows: Iterable[dict[str, str]], name: str = "lcd.csv") -> Path:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, LCD_HEADER, restval="", quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment says where data are."""
    for name in ("NEUROSIM_DATA", "NEUROSIM_CACHE", "NEUROSIM_NOAA_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def real_wth() -> Path:
    """The real WTH.csv, where there is one."""
    if not DATA_FOLDER or not (Path(DATA_FOLDER) / "WTH.csv").is_file():
        pytest.skip("needs the folder of the real WTH.csv, in NEUROSIM_DATA")
    return Path(DATA_FOLDER) / "WTH.csv"
