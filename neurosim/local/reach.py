"""Refuse scalar functions that can reach more than their arguments."""

from __future__ import annotations

import dis
import math
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from neurosim.errors import InputError
from neurosim.local.functions import inside, title, uncompiled

# Built-in functions of numbers, and what a loop counts by.
BUILTINS = {"abs", "bool", "divmod", "float", "int", "max", "min", "pow", "range", "round"}
NAMES_OF_MATH = frozenset(vars(math))  # as they are before anybody adds one
OF_MATH = {value for value in vars(math).values() if callable(value)}
CONSTANTS = {f"builtins.{name}" for name in ("bool", "int", "float")}
CONSTANTS |= {f"numpy.{name}" for name in ("bool", "bool_", "int64", "float32", "float64")}
NOWHERE = object()


def refuse_reaching(function: Callable[..., Any], owner: str) -> None:
    """Refuse a scalar function that could reach what is not local.

    Names in its body may stand for its arguments and what it makes of them, for `math`, for
    numbers and tuples of numbers, which are the same for everyone, and for functions that reach
    no more themselves. An array, or an object that lives elsewhere, could hold the state of
    another neuron.

    Raises
    ------
    InputError
        Naming the first thing it could reach.
    """
    for name, what in _strangers(function, set()):
        raise InputError(
            f"{owner}: {title(function)}() uses {name!r} ({what}), which is not local to it; "
            f"beside its arguments it may use math, numbers, and functions that use no more"
        )


def _strangers(function: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """Names by which a function reaches further, and what is there."""
    function = uncompiled(function)
    if function in OF_MATH or function in seen:
        return
    seen.add(function)
    if not isinstance(function, FunctionType):
        yield getattr(function, "__name__", repr(function)), _what(function)
        return
    outside = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    yield from (("a default value", _what(value)) for value in defaults if not _constant(value))
    for name, kind in _names(function.__code__):
        if kind == "global":
            value = function.__globals__.get(name, NOWHERE)
            if value is NOWHERE and name in BUILTINS:
                continue
        elif kind == "attribute":
            base, _, last = name.partition(".")
            of_math = function.__globals__.get(base, math if base == "math" else None) is math
            if of_math and last in NAMES_OF_MATH:
                continue
            yield name, kind
            continue
        elif kind == "outside":
            if name not in outside:  # of a function inside: a variable of this one
                continue
            try:
                value = outside[name].cell_contents
            except ValueError:
                yield name, "no value yet"
                continue
        else:
            yield name, kind
            continue
        if value is math or _constant(value):
            continue
        if callable(value) and not isinstance(value, type):
            yield from ((f"{name}: {n}", what) for n, what in _strangers(value, seen))
        else:
            yield name, _what(value)


def _names(code: CodeType) -> Iterator[tuple[str, str]]:
    """Names that a function takes from elsewhere, and how."""
    before = ""  # name that the last instruction loaded
    for step in dis.get_instructions(code):
        name = str(step.argval)
        if step.opname.startswith(("STORE_GLOBAL", "DELETE_GLOBAL")):
            yield name, "changed for everyone"
        elif "GLOBAL" in step.opname or step.opname == "LOAD_NAME":
            yield name, "global"
        elif step.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF") and name in code.co_freevars:
            yield name, "outside"
        elif step.opname in ("STORE_DEREF", "DELETE_DEREF") and name in code.co_freevars:
            yield name, "changed for others"
        elif step.opname == "IMPORT_NAME" and name != "math":
            yield name, "module"
        elif step.opname.endswith("_ATTR") or step.opname == "LOAD_METHOD":
            loads = step.opname.startswith("LOAD")
            yield (f"{before}.{name}", "attribute") if loads else (name, "changed for others")
        before = name
    for inner in inside(code):
        yield from _names(inner)


def _constant(value: Any) -> bool:
    """Whether it is a real number, or a table of some, that cannot change."""
    if isinstance(value, tuple):
        return all(map(_constant, value))
    # By its very type: not a class of somebody's own that looks like a number, and none of
    # NumPy's that overflow, or that compilers do not have.
    return f"{type(value).__module__}.{type(value).__name__}" in CONSTANTS


def _what(value: Any) -> str:
    return "no name of its own" if value is NOWHERE else type(value).__name__
