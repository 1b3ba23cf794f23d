"""Read tables from Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from neurosim.errors import CheckpointError


def read_columns(path: Path, needed: Iterable[str]) -> pd.DataFrame:
    """Read a Parquet file that has some columns at least.

    Raises
    ------
    CheckpointError
        If it is missing or damaged, or lacks one.
    """
    try:
        with open(path, "rb") as file:  # opened once: another process may replace it by a newer one
            frame = pd.read_parquet(file)
    except Exception as error:  # pyarrow raises whatever it stumbles upon
        raise CheckpointError(
            f"{path}: damaged or truncated ({type(error).__name__}: {error})"
        ) from error
    lacking = [name for name in needed if name not in frame]
    if lacking:
        raise CheckpointError(f"{path}: damaged, or of something else (no column {lacking[0]!r})")
    return frame
