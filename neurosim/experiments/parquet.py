"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pyarrow.parquet import ParquetFile

from neurosim.errors import CheckpointError
from neurosim.files import opened, whole
from neurosim.values import memory


def read_columns(path: Path, needed: Iterable[str]) -> pd.DataFrame:
    """Read a Parquet file that has some columns at least.

    Raises
    ------
    CheckpointError
        If it is missing or damaged, or lacks one.
    """
    try:
        with opened(path) as file:  # once: another process may replace it by a newer one
            about = ParquetFile(file).metadata
            if 8 * about.num_rows * about.num_columns > memory():  # a row may take no byte in it
                raise ValueError(f"{about.num_rows} rows do not fit into memory")
            file.seek(0)
            frame = pd.read_parquet(file)
    except Exception as error:  # pyarrow raises whatever it stumbles upon
        raise CheckpointError(
            f"{path}: damaged or truncated ({type(error).__name__}: {error})"
        ) from error
    lacking = [name for name in needed if name not in frame]
    if lacking:
        raise CheckpointError(f"{path}: damaged, or of something else (no column {lacking[0]!r})")
    return frame


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    # A path may have bytes that are no text, which pyarrow does not take.
    with whole(path) as temporary, open(temporary, "wb") as file:
        frame.to_parquet(file, index=False)
