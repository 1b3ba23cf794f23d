"""Compiled loops on disk, keyed by everything that they were compiled from.

Numba's own cache cannot be used: for a loop that closes over a rule it never hits,
and when a function in another file changes it goes on running the old one. Here
the key is a hash of the rule's and neuron models' code and of every source file
that goes into a loop, one file per key, so that edited code never runs stale and
processes of one user can share a folder.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from numba import __version__ as numba_version
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from neurosim.engines import private_folder
from neurosim.engines.vectors import WIDTH
from neurosim.errors import BusyError, InputError, StorageError
from neurosim.files import lock, place

# Of Numba's environment variables those that make other code of the same function.
OPTIONS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
WAIT = 120.0  # for another process to compile the same; then it is compiled twice [s]


def folder() -> Path:
    """Where compiled loops are kept: ``$NEUROSIM_CACHE``, or the user's cache folder.

    Without a home, as in a container, it is a folder of the user's among the temporary ones.
    """
    chosen = os.environ.get("NEUROSIM_CACHE")
    if chosen:
        return place(chosen) / "kernels"
    try:
        return place(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "neurosim" / "kernels"
    except InputError:
        user = os.getuid() if hasattr(os, "getuid") else ""
    try:
        return Path(tempfile.gettempdir()) / f"neurosim-{user}" / "kernels"
    except OSError:  # nothing can be written anywhere: nothing is kept
        return Path(os.devnull) / "kernels"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time compile what is kept in a file.

    The lock is a file beside it, removed at the end; the system releases it if the process is
    killed. Where it cannot be made, as in a folder that is read-only, each process compiles.
    """
    file = path.with_name(f".{path.name}.lock")
    with ExitStack() as held:
        with suppress(BusyError, StorageError):
            held.enter_context(lock(file, WAIT, f"{path}: another process is compiling it"))
            # Removed while it is held: a process that opened it before sees that it is gone.
            held.callback(_remove, file)
        yield


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


class DiskCache(_Cache):
    """Keeps one compiled function; give it to a dispatcher as its ``_cache``."""

    def __init__(self, name: str, key: str) -> None:
        self._name, self._key = name, key
        self._enabled = True
        self._compiling = ExitStack()  # holds the lock from a miss until the code is kept

    @property
    def cache_path(self) -> str:
        return str(folder())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for path in folder().glob(f"{self._name}-*.bin"):
            path.unlink(missing_ok=True)

    def _path(self, sig: Any, codegen: Any) -> Path:
        options = [str(getattr(config, name, None)) for name in OPTIONS]
        machine = (numba_version, WIDTH, codegen.magic_tuple(), options)
        parts = repr((*machine, str(sig), self._key))
        return folder() / f"{self._name}-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Find compiled code for a signature; None if there is none that can be used."""
        target_context.refresh()
        if not (self._enabled and private_folder.claim(folder())):
            return None
        path = self._path(sig, target_context.codegen())
        found = self._read(path, target_context)
        if found is None:
            self._compiling.close()  # of a compilation that failed
            self._compiling.enter_context(alone(path))
            found = self._read(path, target_context)  # another process may have been at it
            if found is not None:
                self._compiling.close()
        return found

    def release(self) -> None:
        """Let others compile what this process began to compile, and did not."""
        self._compiling.close()

    def _read(self, path: Path, target_context: Any) -> Any:
        try:
            data = private_folder.read(path)
            payload = pickle.loads(data)  # which runs what it says: it must be of one's own making
            return CompileResult._rebuild(target_context, *payload)
        except Exception:
            # Absent, unreadable, another user's or damaged: it is compiled anew.
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code; where the folder cannot be written, do without."""
        with self._compiling:
            if not self._enabled or data.library.has_dynamic_globals:
                return
            if not private_folder.claim(folder()):
                return
            try:
                made = data._reduce()
            except RuntimeError as error:
                if "no compiled object yet" not in str(error):
                    raise
                # The compiler hands its result over in a callback, where a Ctrl-C is lost, and the
                # result with it.
                raise KeyboardInterrupt from None
            try:
                private_folder.write(self._path(sig, data.codegen), dumps(made))
            except OSError:
                self._enabled = False
