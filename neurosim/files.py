"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from neurosim.errors import BusyError, StorageError, require_path


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
    InputError
        If `path` is no path.
    StorageError
        If the file cannot be written (no permission, disk full); then nothing is
        left behind, and an older file of the same name is untouched.
    """
    final = require_path("file", "path", path)
    temporary = final.parent / f".{final.name}.{uuid4().hex[:8]}.part"
    try:
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
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
