"""Hash the sources of a compiled function: its code, constants and helpers.

Compiled code is kept in memory and on disk. It must never outlive its sources: a rule edited
in a file, a helper or constant redefined in a notebook cell.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from neurosim.local.functions import inside, names, uncompiled


def fingerprint(functions: Iterable[Any]) -> str:
    """Hash scalar functions, all that they use, and all sources of the loops around them."""
    digest = hashlib.sha256(_sources())
    seen: set[int] = set()
    for function in functions:
        _add(digest, function, seen)
    return digest.hexdigest()


@cache
def _sources() -> bytes:
    package = Path(__file__).parents[1]
    folders = ("engines", "substrate", "local")
    files = [file for name in folders for file in package.glob(f"{name}/*.py")]
    files.append(package / "noise.py")
    return b"".join(file.read_bytes() for file in sorted(files))


def _add(digest: Any, value: Any, seen: set[int]) -> None:
    """Add a value that compiled code freezes: a function, a constant, an array."""
    value = uncompiled(value)
    if isinstance(value, types.FunctionType):
        if id(value) in seen:
            return
        seen.add(id(value))
        known, used = value.__globals__, names(value.__code__)
        _add_code(digest, value.__code__)
        _add(digest, (value.__defaults__, value.__kwdefaults__), seen)
        for cell in value.__closure__ or ():
            _add(digest, cell.cell_contents, seen)
        for name in used:
            if name not in known:
                continue
            digest.update(name.encode())
            _add(digest, known[name], seen)
            if isinstance(known[name], types.ModuleType):
                # Attributes the function may read: settings.SCALE has both names in its code.
                for attribute in used:
                    if hasattr(known[name], attribute):
                        _add(digest, getattr(known[name], attribute), seen)
    elif hasattr(value, "tobytes") and not isinstance(value, type):
        digest.update(repr((getattr(value, "dtype", ""), getattr(value, "shape", ""))).encode())
        digest.update(value.tobytes())
    elif isinstance(value, types.ModuleType):
        digest.update(value.__name__.encode())
    else:
        digest.update(repr(value).encode())


def _add_code(digest: Any, code: types.CodeType) -> None:
    """Add code and that of functions inside it, whose `repr` has an address in it."""
    constants = [value for value in code.co_consts if not isinstance(value, types.CodeType)]
    about = (code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars)
    digest.update(repr(about).encode())
    for inner in inside(code):
        _add_code(digest, inner)
