"""Files that are either whole or absent, JSON of a kind, and where a path leads."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from filelock import FileLock, Timeout

from neurosim.errors import BusyError, CheckpointError, InputError, StorageError
from neurosim.values import require_path

LONGEST = 2**26  # bytes of a text: far more than any that is written


def place(path: str | os.PathLike[str], owner: str = "file", field: str = "path") -> Path:
    """Find where a path leads that was given from outside: ``~`` stands for a home folder.

    A shell reads ``~`` only where a word begins with it: not in ``--out=~/runs``, in a variable
    of a container, or in Python.

    Parameters
    ----------
    path : path-like
    owner, field : str
        What it is a path of, for the error.

    Raises
    ------
    InputError
        If it is no path, or there is no such home folder.
    """
    given = require_path(owner, field, path)
    try:
        return given.expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{given}: there is no home folder {given.parts[0]} here (HOME is not set, or there is "
            f"no such user); a folder of that name is meant by its whole path"
        ) from error


def current_folder() -> str | None:
    """Say where the process is; None if that folder was deleted meanwhile."""
    try:
        return os.getcwd()
    except OSError:
        return None


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder to write to, and those above it, where they are missing.

    Raises
    ------
    StorageError
        If it cannot be made, or not be written to.
    """
    path = place(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written to ({error.strerror or error})") from error


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
    file = place(path)
    try:
        file = Path(os.path.realpath(file))
        held = FileLock(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=wait, poll_interval=0.05)
    except Timeout as error:
        raise BusyError(busy) from error
    except (OSError, NotImplementedError) as error:  # some disks have no locks
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{file}: could not be made ({reason})") from error
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
        Where the file is to be. Its folder is made if it is missing. Of a link, the file that it
        leads to is written, and the link stays.

    Yields
    ------
    Path
        A temporary name in the same folder.

    Raises
    ------
    InputError
        If `path` is no path.
    StorageError
        If the file cannot be written (no permission, disk full, a device); then nothing is
        left behind, and an older file of the same name is untouched.
    """
    given = place(path)
    temporary = None
    try:
        final = Path(os.path.realpath(given))
        mode = _mode(final)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{uuid4().hex[:8]}.part")
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, final)
    except OSError as error:
        leads = f" (a link to {os.path.realpath(given)})" if os.path.islink(given) else ""
        reason = error.strerror or str(error)
        raise StorageError(f"{given}{leads}: could not be written ({reason})") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _mode(file: Path) -> int | None:
    """Permissions of the file whose place a new one takes; None if there is none.

    Raises
    ------
    OSError
        If something else is there: a folder, a device, a pipe.
    """
    try:
        found = file.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):
        raise OSError("it is no file")
    return stat.S_IMODE(found)


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes; a pipe, a device or a folder in its place is no file.

    A pipe would be waited for, and a device may have no end.

    Raises
    ------
    OSError
        If it cannot be opened, or is no file.
    """
    return open(path, "rb", opener=_file)


def _file(path: str, flags: int) -> int:
    """Open what is a file, without waiting for another process to write to it."""
    found = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    raise OSError("it is no file")


def text_of(path: str | os.PathLike[str]) -> str:
    """Read the text of a file.

    Raises
    ------
    OSError, ValueError
        If it cannot be opened; is no file, no text, or far too long for one.
    """
    with opened(path) as file:
        read = file.read(LONGEST + 1)
    if len(read) > LONGEST:
        raise ValueError(f"larger than {LONGEST >> 20} MiB")
    return read.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


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
        return text_of(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read ({reason})") from error


def parse_json(text: str, kind: Any, where: object) -> Any:
    """Read JSON of a kind, as `read_json` does; `where` says in errors where it is from."""
    from pydantic import TypeAdapter, ValidationError  # takes a while, and little needs it

    try:
        found = json.loads(text, object_pairs_hook=_table)
        return TypeAdapter(kind).validate_python(found, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        says = problem["msg"][0].lower() + problem["msg"][1:]
        raise CheckpointError(f"{where}: damaged ({f'{place}: ' * bool(place)}{says})") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: damaged, no JSON ({error})") from error


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a table of what JSON has for one; no key may stand there twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands there twice")
        found[key] = value
    return found
