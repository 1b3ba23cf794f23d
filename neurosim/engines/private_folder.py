"""A folder whose files are code, so that only its owner may write there; old ones are cleared."""

from __future__ import annotations

import functools
import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from neurosim.files import opened, whole

PRIVATE, OTHERS_WRITE = 0o700, stat.S_IWGRP | stat.S_IWOTH
UNUSED = (
    30 * 86400.0
)  # of files that nothing has read for so long, such as those of old versions [s]
MOST = 2**30  # bytes of all files together
FILES, PARTS = ("*.bin", "*.ptx"), ".*.part"
logger = logging.getLogger("neurosim")


def claim(folder: Path) -> bool:
    """Make a folder, or make sure that it is one's own; whether its files can be trusted.

    Compiled code in a folder that other users could write to until now is removed: it may be
    theirs. A link that is another user's may lead to any folder of one's own.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        found = folder.stat()
        if not (_own(found) and _own(folder.lstat())):
            _warn(
                f"{folder}: belongs to another user; compiled code is neither read nor kept there"
            )
            return False
        if stat.S_IMODE(found.st_mode) != PRIVATE:
            folder.chmod(PRIVATE)  # before it is looked through: from now on nothing is added
        if found.st_mode & OTHERS_WRITE:
            _warn(f"{folder}: could be written by other users; compiled code there is removed")
            for path in _of(folder, *FILES):
                with suppress(OSError):
                    path.unlink()
    except OSError:
        return False
    return True


def read(path: Path) -> bytes:
    """Read a file of such a folder, and note that it is of use.

    Raises
    ------
    OSError
        If it is missing, or others own it or may write to it.
    """
    with opened(path) as file:
        found = os.fstat(file.fileno())
        if not _own(found) or found.st_mode & OTHERS_WRITE:
            raise PermissionError(f"{path}: other users own it, or may write to it")
        data = file.read()
    with suppress(OSError):  # some disks do not note it by themselves
        os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file of such a folder, whole or not at all, for this user alone.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    clear(path.parent)
    with whole(path) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o600)


@functools.cache
def clear(folder: Path) -> None:
    """Remove what has not been of use for long, or is too much; once in a process.

    Other processes may do so at the same time, or read what is removed: they have it then, or
    compile it anew.
    """
    now, total = time.time(), 0
    files = []
    for path in _of(folder, *FILES, PARTS):
        with suppress(OSError):
            found = path.stat()
            files.append((max(found.st_atime, found.st_mtime), found.st_size, path))
    for used, size, path in sorted(files, reverse=True):
        total += size
        if now - used > UNUSED or total > MOST:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _of(folder: Path, *kinds: str) -> list[Path]:
    """Find the files of some kinds."""
    return [path for kind in kinds for path in folder.glob(kind)]


def _own(found: os.stat_result) -> bool:
    """Whether a file belongs to this user; where there is no such thing, it does."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


@functools.cache
def _warn(text: str) -> None:
    """Say something once."""
    logger.warning(text)
