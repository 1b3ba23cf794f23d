"""From scalar Python functions to compiled ones, for Numba's CPU target."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from numba import njit

from neurosim.engines.fingerprint import called, fingerprint
from neurosim.local import arguments

# Sums may be reordered and fused into vector instructions, but infinities and NaNs
# keep their meaning: they are how a simulation that blows up is noticed.
FAST: dict[str, Any] = {
    "fastmath": {"reassoc", "nsz", "arcp", "contract", "afn"},
    "error_model": "numpy",
}
EXACT: dict[str, Any] = {"fastmath": False, "error_model": "numpy"}
# Without Numba's run-time for memory, code that allocates does not compile.
OUTER: dict[str, Any] = {"nogil": True, "_nrt": False}
# What only compiled code calls needs no way in from Python; that way costs most of the time.
INNER: dict[str, Any] = {**OUTER, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Decorator for functions over arrays that only compiled code calls.
loop = njit(**INNER, **FAST)


def compiled(function: Callable[..., Any], exact: bool = False) -> Any:
    """Compile a scalar function together with the Python functions it calls.

    Parameters
    ----------
    function : callable
        Plain Python, scalar.
    exact : bool
        Compile without reordered or fused arithmetic, as noise needs.
    """
    return _compiled(function, exact, fingerprint([function]))


@cache
def _compiled(function: Any, exact: bool, version: str) -> Any:
    helpers = {name: compiled(helper, exact) for name, helper in called(function).items()}
    copy = types.FunctionType(
        function.__code__,
        {**function.__globals__, **helpers},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    # A call that is not inlined keeps a loop from being vectorised.
    return njit(forceinline=True, **INNER, **(EXACT if exact else FAST))(copy)


def adapted(
    function: Callable[..., Any] | None, known: Mapping[str, str], owner: str
) -> Callable[..., Any]:
    """Compile a scalar function behind the full list of what it might ask for.

    The result takes all of `known`, in that order, and hands on what `function`
    asks for. None stands for a function that always answers nothing, 0.
    """
    wanted = None if function is None else tuple(arguments(function, known, owner))
    return _adapter(function, tuple(known), wanted, fingerprint([function]))


@cache
def _adapter(
    function: Any, names: tuple[str, ...], wanted: tuple[str, ...] | None, version: str
) -> Any:
    inner = None if function is None else compiled(function)
    answer = "0" if wanted is None else f"inner({', '.join(wanted)})"
    return njit(**INNER, **FAST)(eval(f"lambda {', '.join(names)}: {answer}", {"inner": inner}))
