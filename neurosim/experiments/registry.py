"""What can be named in a config: tasks, rules, neuron models, engines, and configs themselves."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from neurosim import neurons, rules
from neurosim.bptt import BPTT
from neurosim.errors import InputError
from neurosim.experiments import own
from neurosim.local import DecorrelationRule, ProjectionRule
from neurosim.values import nearest

GROUP = "neurosim.tasks"
PEERS = "neurosim_peers"
OWN = "or your own as 'package.module:Class'"
REPRODUCE = Path("paper", "reproduce")  # below configs: files of figures to reproduce

Kind = TypeVar("Kind")


def _of_kind(module: Any, kind: type[Kind]) -> dict[str, type[Kind]]:
    named = {name: getattr(module, name) for name in module.__all__}
    return {name: cls for name, cls in named.items() if issubclass(cls, kind)}


RULES: dict[str, Any] = {**_of_kind(rules, ProjectionRule), "BPTT": BPTT}
DECORRELATIONS = _of_kind(rules, DecorrelationRule)
NEURONS = _of_kind(neurons, object)


def tasks() -> dict[str, importlib.metadata.EntryPoint]:
    """All installed tasks by name: entry points of the group ``neurosim.tasks``."""
    return dict(_tasks(tuple(sys.path)))


@functools.cache
def _tasks(path: tuple[str, ...]) -> dict[str, importlib.metadata.EntryPoint]:
    """Found once for each search path: every installed package has to be looked at."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def task(name: str) -> type:
    """Find a task's class by its name, or anywhere by ``package.module:Class``.

    Raises
    ------
    InputError
        If no installed package offers it, or there is no such class.
    """
    if ":" in name:
        return plugin(name, {}, "task")
    known = tasks()
    if not known:
        raise InputError(
            f"task {name!r}: no package that offers tasks is installed (entry points of the "
            f"group {GROUP!r}); in a source checkout: pip install -e ."
        )
    if name not in known:
        raise InputError(f"task {name!r} does not exist; {nearest(name, known)}; {OWN}")
    try:
        loaded = known[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"task {name!r}: {known[name].value} cannot be loaded ({error})"
        ) from error
    return loaded


def plugin(name: str, known: Mapping[str, type], what: str) -> type:
    """Find a class by its name among `known`, or anywhere by ``package.module:Class``.

    A module in the current folder comes before an installed one of the same name.

    Parameters
    ----------
    name : str
    known : mapping of str to type
    what : str
        What is looked for, for the error.

    Raises
    ------
    InputError
        If there is none, or its module is another one than that in the current folder.
    """
    if ":" not in name:
        if name not in known:
            raise InputError(f"{what} {name!r} does not exist; {nearest(name, known)}; {OWN}")
        return known[name]
    found = own.find(name, what)
    if not isinstance(found, type):
        raise InputError(f"{what} {name!r} must be a class, is {found!r}")
    return found


def _shipped(packaged: str, checkout: str) -> Path:
    """Where a folder is that the wheel carries inside the package, a checkout at its top."""
    package = Path(str(importlib.resources.files("neurosim")))
    found = package / packaged
    return found if found.is_dir() else package.parent / checkout


def config_folder() -> Path:
    """Where the configs are that come with neurosim."""
    return _shipped("configs", "configs")


def own_config_folder() -> Path | None:
    """Where configs of one's own have names: ``configs`` in the current folder, if it is there."""
    shipped, own = config_folder(), Path("configs")
    return own if own.is_dir() and not (shipped.is_dir() and own.samefile(shipped)) else None


def configs() -> dict[str, Path]:
    """All configs that have a name, such as ``paper/copying_np``; one's own come first."""
    found = {}
    for folder in filter(None, (config_folder(), own_config_folder())):
        for path in sorted(folder.rglob("*.toml")):
            if path.parent != folder / REPRODUCE:
                found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return dict(sorted(found.items()))


def reproductions() -> Path:
    """Where the files are that say how to reproduce the paper's figures."""
    return config_folder() / REPRODUCE


def own_reproductions() -> Path | None:
    """Where there are such files of one's own, if anywhere."""
    own = own_config_folder()
    return None if own is None else own / REPRODUCE


def peers() -> Any:
    """The package that holds the same learning step written in other frameworks.

    Raises
    ------
    InputError
        If it did not come with neurosim.
    """
    start = _shipped("peers", "benchmarks/peers") / "__init__.py"
    if not start.is_file():
        raise InputError(f"peers: {start} does not exist; install neurosim from its wheel or clone")
    if PEERS not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PEERS, start, submodule_search_locations=[str(start.parent)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[PEERS] = module  # before it runs: dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[PEERS]
