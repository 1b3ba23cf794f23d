"""Scalar functions as machines compute them: where Python raises, an infinity or NaN.

``1 / 0``, ``math.log(0)`` and ``(-2) ** 0.5`` are real numbers in compiled code, which Python does
not give. The oracle computes in Python, and takes such a number from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import special

from neurosim.errors import KernelError
from neurosim.local.functions import copied, raises_to_powers, replaced, title
from neurosim.local.whole import in_floats
from neurosim.values import shown

# NumPy's functions for those of `math` that are undefined for some numbers, or overflow.
DEFINED: dict[Callable[..., Any], Any] = {
    math.acos: np.arccos,
    math.acosh: np.arccosh,
    math.asin: np.arcsin,
    math.atanh: np.arctanh,
    math.ceil: np.ceil,
    math.cos: np.cos,
    math.cosh: np.cosh,
    math.exp: np.exp,
    math.exp2: np.exp2,
    math.expm1: np.expm1,
    math.floor: np.floor,
    math.gamma: special.gamma,
    math.lgamma: special.gammaln,
    math.log: np.log,
    math.log10: np.log10,
    math.log1p: np.log1p,
    math.log2: np.log2,
    math.pow: np.float_power,
    math.sin: np.sin,
    math.sinh: np.sinh,
    math.sqrt: np.sqrt,
    math.tan: np.tan,
    math.trunc: np.trunc,
}
BUILTINS = {"int": np.trunc, "round": np.rint}
MATH = SimpleNamespace(**vars(math) | {made.__name__: other for made, other in DEFINED.items()})


def interpreted(function: Callable[..., Any], owner: str) -> Callable[[Sequence[float]], float]:
    """Make a scalar function, as it is now, callable with a list of numbers.

    Where Python raises an exception it gives a machine's number; where that is not known (the
    logarithm of zero within a whole number, say), NaN.

    Raises
    ------
    KernelError
        By the function made: where compiled code would raise an exception, or not compile.
    """
    plain, computed = in_floats(function), _as_computed(function)
    if raises_to_powers(function):  # of a negative number, Python's may be complex
        plain = _of_numpys_numbers(plain)

    def number(arguments: Sequence[float]) -> float:
        for attempt in (plain, computed):
            try:
                made = attempt(*arguments)
                if type(made) is float:
                    return made
                if not isinstance(made, Real | np.bool_ | complex):
                    raise TypeError(f"it makes {shown(made)}")
            except (ArithmeticError, ValueError):
                continue
            except Exception as error:
                if attempt is computed or "complex" in str(error):
                    continue
                raise KernelError(
                    f"{owner}: {title(function)}() cannot be computed of {arguments} ({error}); "
                    f"the state is no longer usable"
                ) from error
            if not isinstance(made, complex):
                return float(made)
        return math.nan

    return number


def _as_computed(function: Any) -> Any:
    """Copy a scalar function and those it calls, with NumPy's numbers and functions."""
    return _of_numpys_numbers(copied(function, _instead, BUILTINS))


def _of_numpys_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a function its arguments as NumPy's float64, which warn of nothing."""

    def called(*arguments: float) -> Any:
        with np.errstate(all="ignore"):
            return function(*map(np.float64, arguments))

    return called


def _number(value: Any) -> Any:
    """Make a number one of NumPy's, whose arithmetic is a machine's."""
    kinds: dict[type, Any] = {int: np.int64, float: np.float64}
    return kinds.get(type(value), lambda it: it)(value)


def _instead(value: Any) -> Any:
    return _number(replaced(value, MATH, DEFINED, _as_computed))
