"""Files that are either whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from neurosim.errors import StorageError


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
