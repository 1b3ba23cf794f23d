"""Arrays and a description in one file, whole or absent."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import CheckpointError, InputError, require_path
from neurosim.files import whole

VERSION = 1
_DESCRIPTION = "description"
# What reading a file of another kind, or half a file, can raise.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], description: Any
) -> None:
    """Write arrays and a JSON-like description to one ``.npz`` file.

    Raises
    ------
    InputError
        If `path` is no path, or the description nothing that JSON can hold.
    StorageError
        If the file cannot be written; an older one is then untouched.
    """
    path = require_path("checkpoint", "path", path)
    try:
        text = json.dumps({"version": VERSION, **description}, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: only what JSON can hold can be saved ({error})") from error
    with whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **{_DESCRIPTION: np.array(text)}, **dict(arrays))


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `write` wrote.

    Returns
    -------
    arrays, description

    Raises
    ------
    InputError
        If `path` is no path.
    CheckpointError
        If the file is missing, truncated, damaged, of another kind or another version.
    """
    path = require_path("checkpoint", "path", path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        description = json.loads(str(arrays.pop(_DESCRIPTION)))
        if not isinstance(description, dict):
            raise TypeError("its description is not a table")
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path}: damaged, truncated, or not a checkpoint ({type(error).__name__}: {error})"
        ) from error
    if description.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: version = {description.get('version')!r} must be {VERSION}; "
            f"it was written by another version of neurosim"
        )
    return arrays, description


def _plain(value: Any) -> Any:
    """Python's own number for one of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be stored in a checkpoint")
