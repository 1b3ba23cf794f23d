"""Scalar functions as objects: their names, what they take from elsewhere, copies of them."""

from __future__ import annotations

import dis
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MappingProxyType
from typing import Any


def title(function: Any) -> str:
    """Name a function; a callable object without a name by its class."""
    return getattr(function, "__name__", type(function).__name__)


def outside(function: FunctionType) -> dict[str, Any]:
    """Find the values that a function takes from its module or closure, by their names."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    known = dict(function.__globals__)
    for name, cell in cells:
        with suppress(ValueError):  # one without a value yet
            known[name] = cell.cell_contents
    return {name: known[name] for name in names(function.__code__) if name in known}


def copied(
    function: Any, instead: Callable[[Any], Any], builtins: Mapping[str, Any] = MappingProxyType({})
) -> FunctionType:
    """Copy a function, with `instead(value)` for its constants and what it takes from elsewhere.

    Parameters
    ----------
    function : callable
        Python function, or a compiled one.
    instead : callable
    builtins : mapping of str to value
        Values of names that its module does not define.
    """
    function = uncompiled(function)
    code, known = function.__code__, function.__globals__
    found = {name: instead(known[name]) for name in names(code) if name in known}
    cells = tuple(CellType(instead(cell.cell_contents)) for cell in function.__closure__ or ())
    known = {**builtins, **known, **found}
    code = _with_constants(code, instead)
    return FunctionType(code, known, function.__name__, function.__defaults__, cells)


def _with_constants(code: CodeType, instead: Callable[[Any], Any]) -> CodeType:
    """Copy code with `instead(value)` for its constants, and for those of functions inside it."""
    constants = (
        _with_constants(value, instead) if isinstance(value, CodeType) else instead(value)
        for value in code.co_consts
    )
    return code.replace(co_consts=tuple(constants))


def replaced(
    value: Any, module: Any, functions: Mapping[Any, Any], again: Callable[[Any], Any]
) -> Any:
    """Give what stands in a copy for a value that a scalar function uses.

    Parameters
    ----------
    value : object
    module : object
        Stands for `math`.
    functions : mapping
        What stands for built-in functions of `math`.
    again : callable
        Copies a Python function.
    """
    if value is math:
        return module
    if isinstance(value, BuiltinFunctionType):
        return functions.get(value, value)
    return again(value) if isinstance(uncompiled(value), FunctionType) else value


def uncompiled(function: Any) -> Any:
    """Give the Python function of which a compiled one was made; any other as it is."""
    # By its very type: an object of another kind can have an attribute of that name.
    compiled = type(function).__module__.partition(".")[0] in ("numba", "numba_cuda")
    return getattr(function, "py_func", function) if compiled else function


def names(code: CodeType) -> list[str]:
    """List names that code looks up elsewhere, those of functions inside it included."""
    return [name for each in codes(code) for name in (*each.co_names, *each.co_freevars)]


def raises_to_powers(function: Any) -> bool:
    """Whether a function, or one that it calls, has a ``**`` in it."""
    function = uncompiled(function)
    if not isinstance(function, FunctionType):
        return False
    steps = itertools.chain.from_iterable(map(dis.get_instructions, codes(function.__code__)))
    return any(s.opname == "BINARY_OP" and s.argrepr in ("**", "**=") for s in steps) or any(
        map(raises_to_powers, outside(function).values())
    )


def codes(code: CodeType) -> Iterator[CodeType]:
    """List code, and that of functions inside it, however deep."""
    yield code
    for inner in inside(code):
        yield from codes(inner)


def inside(code: CodeType) -> list[CodeType]:
    """List the code of functions that are defined within a function."""
    return [value for value in code.co_consts if isinstance(value, CodeType)]
