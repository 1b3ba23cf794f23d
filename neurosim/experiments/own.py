"""Modules of one's own: what a config names by ``package.module:name``."""

from __future__ import annotations

import importlib
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from neurosim.errors import InputError
from neurosim.files import current_folder

DISTRIBUTION = "neurosim-plasticity"


def find(name: str, what: str) -> Any:
    """Import what ``package.module:name`` stands for.

    A module in the current folder comes before an installed one of the same name.

    Parameters
    ----------
    name : str
    what : str
        What is looked for, for the error.

    Raises
    ------
    InputError
        If there is none; or if Python, or what neurosim needs, has another module of that name.
    """
    module, _, attribute = name.partition(":")
    try:
        with _here_first():
            return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        top = module.partition(".")[0]
        file, other = _file_of(module), _installed(top)
        hint = "is its file in the current folder, or its package installed?"
        if file is not None and other is not None:
            hint = f"{file} in the current folder has the name of {other.origin}"
        raise InputError(f"{what} {name!r} cannot be imported ({error}); {hint}") from error
    finally:
        _refuse_clash(module, f"{what} {name!r}")


@contextmanager
def _here_first() -> Iterator[None]:
    """Look for modules in the current folder, before what is installed; afterwards there as well.

    After Python's own library: a file called ``random.py`` is not meant for all who import that.
    And only meanwhile: nor is one called ``requests.py`` for whatever is imported later.
    """
    library = sysconfig.get_path("stdlib")
    known = (library, os.path.join(library, "lib-dynload"))
    after = max((k + 1 for k, path in enumerate(sys.path) if path in known), default=0)
    here = current_folder()
    if here is None or here in sys.path[:after]:
        yield
        return
    sys.path.insert(after, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Look for packages and what they offer everywhere but in the current folder.

    It may be a stranger's, whose results are only looked at. Python looks there in a session, in a
    notebook, and by ``python -m``.
    """
    before, here = list(sys.path), current_folder()
    if here is not None:
        sys.path[:] = [path for path in before if os.path.realpath(path) != os.path.realpath(here)]
    try:
        yield
    finally:
        sys.path[:] = before


def _refuse_clash(module: str, what: str) -> None:
    """Refuse a module of the current folder whose name another one has that is imported too."""
    top = module.partition(".")[0]
    file, loaded = _file_of(module), sys.modules.get(top)
    if file is None or loaded is None:
        return
    here = {os.path.realpath(path) for path in (f"{top}.py", top)}
    places = [*filter(None, [getattr(loaded, "__file__", None)]), *getattr(loaded, "__path__", ())]
    if here.isdisjoint(map(os.path.realpath, places)):
        other = places[0] if places else "a part of Python"
    else:
        other = _needed(top)
    if other is not None:
        raise InputError(
            f"{what}: {file} in the current folder has the name of {other}, which is imported as "
            f"well; give it another name"
        )


def _file_of(module: str) -> str | None:
    """Find the file of a module in the current folder."""
    path = module.replace(".", "/")
    return next(filter(os.path.isfile, (f"{path}.py", f"{path}/__init__.py")), None)


def _installed(top: str) -> ModuleSpec | None:
    """Find a module of this name elsewhere."""
    here = current_folder()
    return PathFinder.find_spec(top, [path for path in sys.path if path not in ("", here)])


def _needed(top: str) -> str | None:
    """Find the installed module of this name, if neurosim needs it, or whatever neurosim needs."""
    spec = _installed(top)
    if spec is None or spec.origin is None:
        return None
    listed = re.compile(rf"^{re.escape(top)}(/|\.py,)", re.MULTILINE)
    seen, wanted = set(), [DISTRIBUTION]
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if listed.search(package.read_text("RECORD") or ""):
            return spec.origin
        requires = (each for each in package.requires or () if "extra ==" not in each)
        wanted += [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in requires]
    return None
