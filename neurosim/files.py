"""Files that are either whole or absent, and JSON of a kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from neurosim.errors import BusyError, CheckpointError, StorageError


@contextmanager
def lock(path: str | os.PathLike[str], wait: float, busy: str) -> Iterator[None]:
    """Hold a lock that one process at a time can have, and that a killed one leaves.

    Parameters
    ----------
    path : path-like
        An empty file that stands for the lock. Its folder is made if it is missing.
    wait : float
        How long to wait for it [s].
    busy : str
        What to say if another process still has it then.

    Raises
    ------
    BusyError
        If another process has it.
    StorageError
        If the file cannot be made.
    """
    file = Path(path)
    held = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=wait, poll_interval=0.05)
    except Timeout as error:
        raise BusyError(busy) from error
    except OSError as error:
        raise StorageError(f"{file}: could not be made ({error.strerror or error})") from error
    try:
        yield
    finally:
        held.release()


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name to write to; rename it to `path` once all is on disk.

    Parameters
    ----------
    path : path-like
        Where the file is to be. Its folder is made if it is missing.

    Yields
    ------
    Path
        A temporary name in the same folder.

    Raises
    ------
    StorageError
        If the file cannot be written (no permission, disk full); then nothing is
        left behind, and an older file of the same name is untouched.
    """
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{uuid4().hex[:8]}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, final)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{final}: could not be written ({reason})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_json(path: str | os.PathLike[str], kind: Any) -> Any:
    """Read a file of JSON, if what it holds is of a kind.

    Parameters
    ----------
    path : path-like
    kind : type
        Whatever pydantic knows: ``dict[str, float]``, a model of one's own, ...

    Raises
    ------
    CheckpointError
        If the file is missing or cannot be read, is no JSON, or of another kind.
    """
    return parse_json(read_text(path), kind, path)


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a file of text.

    Raises
    ------
    CheckpointError
        If it is missing, cannot be read, or is no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error


def parse_json(text: str, kind: Any, where: object) -> Any:
    """Read JSON of a kind, as `read_json` does; `where` says in errors where it is from."""
    from pydantic import TypeAdapter, ValidationError  # takes a while, and little needs it

    try:
        return TypeAdapter(kind).validate_python(json.loads(text), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        says = problem["msg"][0].lower() + problem["msg"][1:]
        raise CheckpointError(f"{where}: damaged ({f'{place}: ' * bool(place)}{says})") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: damaged, no JSON ({error})") from error
