"""Scalar functions as machines compute them: where Python raises, an infinity or NaN.

``1 / 0``, ``math.log(0)`` and ``(-2) ** 0.5`` are real numbers in compiled code, which Python does
not give. The oracle computes in Python, and takes such a number from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import BuiltinFunctionType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from neurosim.local.language import copied, uncompiled

# NumPy's functions for those of `math` that are undefined for some numbers, or overflow.
DEFINED: dict[Callable[..., Any], Any] = {
    math.acos: np.arccos,
    math.acosh: np.arccosh,
    math.asin: np.arcsin,
    math.atanh: np.arctanh,
    math.cos: np.cos,
    math.cosh: np.cosh,
    math.exp: np.exp,
    math.exp2: np.exp2,
    math.expm1: np.expm1,
    math.log: np.log,
    math.log10: np.log10,
    math.log1p: np.log1p,
    math.log2: np.log2,
    math.pow: np.float_power,
    math.sin: np.sin,
    math.sinh: np.sinh,
    math.sqrt: np.sqrt,
    math.tan: np.tan,
}
MATH = SimpleNamespace(**vars(math) | {made.__name__: other for made, other in DEFINED.items()})


def number(function: Callable[..., Any], arguments: list[float]) -> float:
    """Call a scalar function; where Python has no number for it, give what a machine has.

    Returns
    -------
    float
        NaN where a machine's is not known (an integer of a NaN, the gamma function at a pole).
    """
    try:
        return float(function(*arguments))
    except (ArithmeticError, ValueError, TypeError):
        with np.errstate(all="ignore"):
            try:
                return float(_as_computed(function)(*map(np.float64, arguments)))
            except (ArithmeticError, ValueError):
                return math.nan


@cache
def _as_computed(function: Any) -> Any:
    """Copy a scalar function and those it calls, with NumPy's functions for those of `math`."""
    return copied(function, _instead)


def _instead(value: Any) -> Any:
    if value is math:
        return MATH
    if isinstance(value, BuiltinFunctionType):
        return DEFINED.get(value, value)
    return _as_computed(value) if isinstance(uncompiled(value), FunctionType) else value
