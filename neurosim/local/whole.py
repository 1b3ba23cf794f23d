"""Whole numbers of scalar functions: floats, on every engine.

Python's integers have no bounds; those of compilers have, and each compiler its own. So what rounds
(`int`, `round`, `math.floor`, `math.ceil`, `math.trunc`) gives a float, in Python too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, SupportsFloat

from neurosim.errors import InputError
from neurosim.local.functions import copied, replaced, title
from neurosim.values import require

TRIED = (-2.0, -0.5, 0.0, 0.5, 2.0)  # numbers of which a function must make a number


class Whole(float):
    """A float that is whole, and can be a place in a table; sums and products of such are, too."""

    __slots__ = ()

    def __index__(self) -> int:
        return int(self)


def _closed(name: str) -> Callable[..., Any]:
    operation = getattr(float, name)

    def closed(self: Whole, *others: Any) -> Any:
        made = operation(self, *others)
        whole = made is not NotImplemented and all(isinstance(x, Whole | int) for x in others)
        return Whole(made) if whole else made

    return closed


for _name in ("add", "sub", "mul", "floordiv", "mod"):
    for _operator in (f"__{_name}__", f"__r{_name}__"):
        setattr(Whole, _operator, _closed(_operator))
for _name in ("neg", "pos", "abs"):
    setattr(Whole, f"__{_name}__", _closed(f"__{_name}__"))


def _rounding(function: Any) -> Callable[[Any], Whole]:
    """Make a function of one number that rounds it to a `Whole`."""

    def rounding(x: Any) -> Whole:
        return Whole(function(x))

    rounding.__name__ = rounding.__qualname__ = function.__name__
    return rounding


BUILTINS = {"int": _rounding(int), "round": _rounding(round)}
FUNCTIONS = {function: _rounding(function) for function in (math.floor, math.ceil, math.trunc)}
MATH = SimpleNamespace(**vars(math) | {f.__name__: made for f, made in FUNCTIONS.items()})


class Counted(int):
    """An integer of a function that is tried: compiled code would lose all beyond 64 bits of it."""


def _held(name: str) -> Callable[..., Any]:
    operation = getattr(int, name)

    def held(self: Counted, *others: Any) -> Any:
        made = operation(self, *others)
        if type(made) is not int:
            return made
        if "pow" in name:  # powers are of floats
            return Whole(made)
        if not -(2**63) <= made < 2**63:
            raise TypeError("it makes an integer that 64 bits cannot hold; begin with a float")
        return Counted(made)

    return held


for _name in ("add", "sub", "mul", "pow"):
    for _operator in (f"__{_name}__", f"__r{_name}__"):
        setattr(Counted, _operator, _held(_operator))


def in_floats(
    function: Callable[..., Any], number: Callable[[Any], Any] = lambda value: value
) -> Callable[..., Any]:
    """Copy a scalar function, as it and all it uses are now, so that it makes no integers.

    Parameters
    ----------
    function : callable
    number : callable
        What it makes of constants and other values that are no functions.
    """

    def instead(value: Any) -> Any:
        return number(replaced(value, MATH, FUNCTIONS, lambda it: in_floats(it, number)))

    return copied(function, instead, BUILTINS)


def refuse_no_number(function: Callable[..., Any], count: int, owner: str) -> None:
    """Refuse a scalar function that does not make a number of some `count` numbers.

    Numbers for which it is not defined (a root of a negative one, say) show nothing.

    Raises
    ------
    InputError
        Naming what it returns instead, or why it cannot be called.
    """
    tried = in_floats(function, lambda value: Counted(value) if type(value) is int else value)
    for k in range(len(TRIED) ** 2):
        numbers = [TRIED[(k + (k // len(TRIED) + 1) * i) % len(TRIED)] for i in range(count)]
        try:
            made = tried(*numbers)
        except (ArithmeticError, ValueError):
            continue
        except Exception as error:
            if "complex" in str(error):  # computing on with a root of a negative number
                continue
            raise InputError(f"{owner}: {title(function)}() cannot be called ({error})") from error
        number = isinstance(made, SupportsFloat | complex)
        require(number, owner, f"{title(function)}()", made, "a number, made of numbers")
