"""Networks, rules and chips as plain data, and back: the same again, or refused beforehand."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from neurosim import neurons, rates, rules
from neurosim.bptt import BPTT
from neurosim.checkpoint import text
from neurosim.errors import CheckpointError, InputError
from neurosim.frozen import Frozen, frozen
from neurosim.network import Network, Population, Projection
from neurosim.substrate import Substrate
from neurosim.values import shown

BUILT_IN: dict[str, type] = {
    name: getattr(module, name) for module in (neurons, rules) for name in module.__all__
} | {"BPTT": BPTT, "Substrate": Substrate}
HERE = "neurosim"
SIMPLE = (str, int, float, bool)


def thing(value: Any) -> dict[str, Any] | None:
    """Describe a rule, neuron model or substrate by its class and the arguments that build it."""
    if value is None:
        return None
    given = {name: _plain(frozen(getattr(value, name))) for name in _arguments(value)}
    return {"class": _name(type(value)), **given}


def _plain(value: Any) -> Any:
    """Write the schedules among learning rates as tables."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value.table() if isinstance(value, rates.Schedule) else value


def to_thing(described: dict[str, Any] | None, known: Iterable[type] = ()) -> Any:
    """Build what `thing` described.

    Raises
    ------
    CheckpointError
        If its class is not built in and not among `known`.
    """
    if described is None:
        return None
    given = dict(described)
    cls = _class(given.pop("class"), list(known))
    return cls(**{name: frozen(rates.read(name, value)) for name, value in given.items()})


def _arguments(value: Any) -> list[str]:
    """Names of the arguments that its class is called with; its attributes have the same names."""
    if is_dataclass(value):
        return [f.name for f in fields(value) if f.init]
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    given = inspect.signature(type(value)).parameters.values()
    return [argument.name for argument in given if argument.kind not in many]


def _name(cls: type) -> str:
    """Name a class with where it is from: another one may have the name of one built in."""
    name = cls.__name__
    return f"{HERE}:{name}" if BUILT_IN.get(name) is cls else f"{cls.__module__}:{cls.__qualname__}"


def _class(written: str, known: list[type]) -> type:
    """Find the class that `_name` named; one that has moved since, by its own name."""
    where, _, rest = written.rpartition(":")
    name = rest.rpartition(".")[2]
    if where == HERE and name in BUILT_IN:
        return BUILT_IN[name]
    found = {cls for cls in known if _name(cls) == written}
    found = found or {cls for cls in known if cls.__name__ == name}
    if not found and not where and name in BUILT_IN:  # an older file: it has the name alone
        return BUILT_IN[name]
    if not found:
        raise CheckpointError(f"{name!r} is not built in; pass its class with known=[{name}]")
    if len(found) > 1:
        names = ", ".join(sorted(map(_name, found)))
        raise CheckpointError(f"{written!r} could be any of known = [{names}]; pass the right one")
    return found.pop()


# ------------------------------------------------------------------ before anything runs


def kept(what: str, value: Any) -> Any:
    """Build a rule, neuron model or substrate anew, from what a checkpoint would hold of it.

    A simulator works with the copy: changes of the original do not reach it. An instance of a
    built-in class cannot change, and is returned itself.

    Parameters
    ----------
    what : str
        What it is to the simulator, for the error.
    value : Any

    Raises
    ------
    InputError
        If it cannot be written, or what is built from what was written is another thing.
    """
    if value is None:
        return None
    cls = type(value)
    try:
        made = to_thing(json.loads(text(thing(value))), [cls])
        then, now = _state(value), _state(made)
        differ = [n for n in then | now if not alike(then.get(n, MISSING), now.get(n, MISSING))]
        if not differ:
            return value if cls in BUILT_IN.values() else made
        why = f"{differ[0]} is {shown(now.get(differ[0], 'missing'))} when it is read back"
    except Exception as error:  # the class's own code may raise anything
        why = f"{type(error).__name__}: {error}"
    raise InputError(
        f"Simulator: {what} = {shown(value)} could not be saved and loaded ({why}); make "
        f"{cls.__name__} a frozen dataclass of numbers, text and tables of them, or a class that "
        f"keeps each argument of its __init__() as the attribute of that name"
    )


def kept_network(given: Network) -> Network:
    """Have a network keep its neuron models as `kept` has them.

    Raises
    ------
    InputError
        If a checkpoint could not hold the network or a neuron model.
    """
    own = {type(item) for item in (given, *given.populations, *given.projections)}
    if own - {Network, Population, Projection}:
        raise InputError(
            f"Simulator: network = {given!r} could not be saved and loaded: it must be made of "
            f"Network, Population and Projection themselves, not of classes derived from them"
        )
    neurons = [kept(f"neuron of population {p.name!r}", p.neuron) for p in given.populations]
    if all(copy is p.neuron for copy, p in zip(neurons, given.populations, strict=True)):
        return given
    copies = zip(given.populations, neurons, strict=True)
    return replace(given, populations=tuple(replace(p, neuron=copy) for p, copy in copies))


def _state(value: Any) -> dict[str, Any]:
    """All that tells a thing from another one of its class."""
    compared = {f.name: f.compare or f.init for f in fields(value)} if is_dataclass(value) else {}
    kept = object.__getstate__(value)
    own = kept if isinstance(kept, tuple) else (kept,)  # and what lies in __slots__
    names = [*compared, *_arguments(value), *(name for part in own if part for name in part)]
    cached = [n for n in names if isinstance(getattr(type(value), n, None), cached_property)]
    return {
        name: frozen(getattr(value, name))
        for name in names
        if compared.get(name, True) and name not in cached
    }


def alike(one: Any, other: Any) -> bool:
    """Whether two values are of the same type and equal; NumPy's numbers are as Python's."""
    one, other = python(one), python(other)
    if type(one) in SIMPLE and type(other) in SIMPLE:
        same = one == other or (one != one and other != other)
        return same and type(one) is type(other)
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.shape == other.shape
        return same and alike(one.tolist(), other.tolist())
    if isinstance(one, datetime) and isinstance(other, datetime):
        # Of one moment, and of one zone: the rules of daylight saving are more than an offset.
        return one == other and one.isoformat() == other.isoformat() and one.tzinfo == other.tzinfo
    try:
        return bool(one == other)
    except Exception:  # values without a comparison are not known to be the same
        return False


def python(value: Any) -> Any:
    """Make a value of NumPy's Python's own, unless it is a time of a unit that Python has not."""
    if type(value) in SIMPLE:
        return value
    if isinstance(value, Frozen):
        return dict(value)
    if not isinstance(value, np.generic):
        return value
    found = value.item()
    return value if isinstance(value, np.datetime64) and isinstance(found, int) else found


# ------------------------------------------------------------------------------ networks


def network(described: Network) -> dict[str, Any]:
    """Describe a network."""
    return {
        "populations": [
            {
                "name": p.name,
                "size": p.size,
                "neuron": thing(p.neuron),
                "decorrelation": p.decorrelation,
            }
            for p in described.populations
        ],
        "projections": [asdict(p) for p in described.projections],
        "seed": described.seed,
    }


def to_network(described: dict[str, Any], known: Iterable[type] = ()) -> Network:
    """Build the network that `network` described."""
    return Network(
        populations=tuple(
            Population(**{**p, "neuron": to_thing(p["neuron"], known)})
            for p in described["populations"]
        ),
        projections=tuple(Projection(**p) for p in described["projections"]),
        seed=described["seed"],
    )
