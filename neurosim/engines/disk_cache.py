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
from pathlib import Path
from typing import Any

from numba import __version__ as numba_version
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from neurosim.engines import private_folder
from neurosim.engines.vectors import WIDTH
from neurosim.errors import InputError
from neurosim.files import place, whole

# Of Numba's environment variables those that make other code of the same function.
OPTIONS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")


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


class DiskCache(_Cache):
    """Keeps one compiled function; give it to a dispatcher as its ``_cache``."""

    def __init__(self, name: str, key: str) -> None:
        self._name, self._key = name, key
        self._enabled = True

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
        if not self._enabled:
            return None
        try:
            if not private_folder.claim(folder()):
                return None
            data = private_folder.read(self._path(sig, target_context.codegen()))
            payload = pickle.loads(data)  # which runs what it says: it must be of one's own making
            return CompileResult._rebuild(target_context, *payload)
        except Exception:
            # Absent, unreadable, another user's or damaged: it is compiled anew.
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code; where the folder cannot be written, do without."""
        if not self._enabled or data.library.has_dynamic_globals:
            return
        if not private_folder.claim(folder()):
            return
        private_folder.clear(folder())
        try:
            with whole(self._path(sig, data.codegen)) as temporary:
                temporary.write_bytes(dumps(data._reduce()))
                temporary.chmod(0o600)
        except OSError:
            self._enabled = False
