"""Arrays and a description in one file, whole or absent."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import CheckpointError, InputError
from neurosim.files import opened, parse_json, place, whole
from neurosim.values import shown

VERSION = 1
_DESCRIPTION = "description"
_SUFFIX = ".npy"


@dataclass(frozen=True)
class Header:
    """Shape and type of an array, read before memory is taken for its values.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


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
    path = place(path, "checkpoint")
    try:
        told = np.array(text({"version": VERSION, **description}))
        _refuse_keys(description)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: only what JSON can hold can be saved ({error})") from error
    with whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **{_DESCRIPTION: told}, **dict(arrays))


def text(description: Any) -> str:
    """Write a description as it stands in a file: JSON, NumPy's numbers as Python's."""
    return json.dumps(description, default=_plain)


def _refuse_keys(description: Any) -> None:
    """Refuse a key that is no text: JSON has none, and would give text back."""
    level = [description]
    while level:
        for table in level:
            for key in table if isinstance(table, dict) else ():
                if not isinstance(key, str):
                    raise TypeError(f"the key {shown(key)} of a table must be text")
        inner = (t.values() if isinstance(t, dict) else t for t in level)
        level = [v for values in inner for v in values if isinstance(v, dict | list | tuple)]


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
    with _opened(path) as (file, headers):
        return {name: _array(file, name) for name in headers}, _described(file, path)


def look(path: str | os.PathLike[str]) -> tuple[dict[str, Header], dict[str, Any]]:
    """Read the description, and of the arrays what they are, but not their values.

    Returns
    -------
    headers, description

    Raises
    ------
    CheckpointError
        As `read`.
    """
    with _opened(path) as (file, headers):
        return headers, _described(file, path)


@contextmanager
def _opened(
    path: str | os.PathLike[str],
) -> Iterator[tuple[zipfile.ZipFile, dict[str, Header]]]:
    """Open a file, and read the headers of its arrays, the description's apart."""
    path = place(path, "checkpoint")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with opened(path) as held, zipfile.ZipFile(held) as file:
            members = file.infolist()
            if sum(member.file_size for member in members) > os.fstat(held.fileno()).st_size:
                raise ValueError("its arrays are larger than itself")
            names = [member.filename.removesuffix(_SUFFIX) for member in members]
            if len(set(names)) < len(names):
                raise ValueError("it holds two arrays of one name")
            headers = dict(zip(names, (_header(file, each) for each in members), strict=True))
            del headers[_DESCRIPTION]
            yield file, headers
    except CheckpointError:
        raise
    except Exception as error:  # a file of another kind, or half a file, can raise anything
        raise CheckpointError(
            f"{path}: damaged, truncated, or not a checkpoint ({type(error).__name__}: {error})"
        ) from error


def _header(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    """Read what an array is; refuse one that is larger than what the file holds of it."""
    formats = np.lib.format
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with file.open(member) as stored:
        version = formats.read_magic(stored)
        read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
        shape, _, dtype = read(stored)
        size = dtype.itemsize
        for length in shape:
            size *= length
        told = stored.tell() + size
    if dtype.hasobject or told != member.file_size:
        raise ValueError(f"{member.filename} is {dtype} of shape {shape}, and the file has no such")
    return Header(shape, dtype)


def _array(file: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with file.open(name + _SUFFIX) as stored:
        return np.lib.format.read_array(stored, allow_pickle=False)


def _described(file: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, Any]:
    described = _array(file, _DESCRIPTION)
    if described.shape or described.dtype.kind != "U":
        raise TypeError("its description is no text")
    description: dict[str, Any] = parse_json(str(described), dict[str, Any], path)
    version = description.get("version")
    if isinstance(version, bool) or version != VERSION:
        raise CheckpointError(
            f"{path}: version = {version!r} must be {VERSION}; "
            f"it was written by another version of neurosim"
        )
    if not isinstance(description.get("extra", {}), dict):
        raise CheckpointError(f"{path}: damaged (extra: must be a table)")
    return description


def _plain(value: Any) -> Any:
    """Python's own number for one of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{shown(value)} cannot be stored in a checkpoint")
