"""Functions that stand for those of ``math`` in a compiled rule or neuron model.

``math.tanh`` and ``math.exp`` are calls of a library, 10 ns for every number, and a loop
with a call in it is not vectorised. Here they are arithmetic: good to 5 units in the last
place of float32, infinities and NaNs in, infinities and NaNs out. The rest is ``math``'s.
"""

from __future__ import annotations

import math
import sys
from math import *  # noqa: F403
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import njit
from numpy import float32, float64, int32

OPTIONS: dict[str, Any] = {
    "forceinline": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "fastmath": {"contract"},
}

# Rational approximation of degree 13 over 6, as in Eigen; it is 1 beyond the limit.
_LIMIT = float32(7.90531110763549805)
_P13, _P11, _P9 = (
    float32(-2.76076847742355e-16),
    float32(2.00018790482477e-13),
    float32(-8.60467152213735e-11),
)
_P7, _P5 = float32(5.12229709037114e-08), float32(1.48572235717979e-05)
_P3, _P1 = float32(6.37261928875436e-04), float32(4.89352455891786e-03)
_Q6, _Q4 = float32(1.19825839466702e-06), float32(1.18534705686654e-04)
_Q2, _Q0 = float32(2.26843463243900e-03), float32(4.89352518554385e-03)


@njit(**OPTIONS)  # type: ignore[no-redef]
def tanh(x):
    """Hyperbolic tangent."""
    x = min(max(x, -_LIMIT), _LIMIT)
    z = x * x
    p = _P13 * z + _P11
    p = p * z + _P9
    p = p * z + _P7
    p = p * z + _P5
    p = p * z + _P3
    p = p * z + _P1
    q = _Q6 * z + _Q4
    q = q * z + _Q2
    q = q * z + _Q0
    return x * p / q


_LOWEST, _HIGHEST = float32(-87.33654), float32(88.72283)
_LOG2E, _HALF = float32(1.44269504088896341), float32(0.5)
_LN2_HIGH, _LN2_LOW = float32(0.693359375), float32(-2.12194440e-4)
_E5, _E4, _E3 = float32(1.9875691500e-4), float32(1.3981999507e-3), float32(8.3334519073e-3)
_E2, _E1, _E0 = float32(4.1665795894e-2), float32(1.6666665459e-1), float32(5.0000001201e-1)
ONE, _INFINITY, _ZERO = float32(1), float32(inf), float32(0)  # noqa: F405


@njit(**OPTIONS)  # type: ignore[no-redef]
def exp(x):
    """Exponential function (Cephes' polynomial)."""
    x = float32(x)
    within = min(max(x, _LOWEST), _HIGHEST)
    # In two factors: 2**128 has no float32, though e**88.7 has.
    twos = math.floor(within * _LOG2E + _HALF)
    r = within - twos * _LN2_HIGH - twos * _LN2_LOW
    p = _E5 * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _E1
    p = p * r + _E0
    half = int32(twos) >> int32(1)
    first = int32((half + int32(127)) << int32(23)).view(float32)
    second = int32((int32(twos) - half + int32(127)) << int32(23)).view(float32)
    result = (p * r * r + r + ONE) * first * second
    result = _INFINITY if x > _HIGHEST else result
    return _ZERO if x < _LOWEST else result


# The same for where every machine must find the same bits: without fused products, and with
# comparisons that everyone makes alike (a device's own `max` would lose a NaN).
ALIKE: dict[str, Any] = {**OPTIONS, "fastmath": False}


@njit(**ALIKE)
def least(a, b, c=None, d=None):
    """Smallest of two to four numbers; NaN if the first is."""
    found = b if b < a else a
    if c is not None:
        found = c if c < found else found
    if d is not None:
        found = d if d < found else found
    return found


@njit(**ALIKE)
def most(a, b, c=None, d=None):
    """Largest of two to four numbers; NaN if the first is."""
    found = b if b > a else a
    if c is not None:
        found = c if c > found else found
    if d is not None:
        found = d if d > found else found
    return found


@njit(**ALIKE)
def power(base, exponent):
    """Raise to a power, which may be a truth value or a whole number."""
    return base ** (exponent * ONE)


# Numba's own subtract a number from itself, which is 0 where sums may be reordered.
@njit(**ALIKE)
def is_finite(x):
    """Whether a number is neither infinite nor NaN."""
    return abs(x) < _INFINITY


@njit(**ALIKE)
def is_infinite(x):
    """Whether a number is infinite."""
    return abs(x) == _INFINITY


@njit(**ALIKE)
def is_nan(x):
    """Whether it is no number."""
    return x != x


def _exactly(function: Any) -> Any:
    inner = getattr(function, "py_func", function)
    known = {**inner.__globals__, "min": least, "max": most, "math": exact}
    copy = FunctionType(inner.__code__, known, inner.__name__)
    return njit(**ALIKE)(copy)


exact = ModuleType("exact")
vars(exact).update({name: value for name, value in vars(math).items() if name[0] != "_"})

# Whole numbers are floats: compilers differ in the integers they make of floats, an integer has
# no place for a NaN or for 1e20, and its powers are whole again. Beyond this all floats are whole.
_ALL_WHOLE = 2.0**62
_TWO = float32(2)


@njit(**ALIKE)
def _floor_alike(x):
    """Round down, by what every machine has."""
    x = x * ONE  # of a truth value, too
    return float32(math.floor(x)) if abs(x) < _ALL_WHOLE else float32(x)


@njit(**OPTIONS)
def _floor_fast(x):
    """Round down, by a vector instruction; to float64, as products with Numba's integers are."""
    return float64(np.floor(x * ONE))


def _wholes(floor: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Make the functions of one number that round it to a whole one."""

    @njit(**options)
    def ceil(x):
        return -floor(-(x * ONE))

    @njit(**options)
    def trunc(x):
        x = x * ONE
        return -floor(-x) if x < _ZERO else floor(x)

    @njit(**options)
    def nearest(x):
        """Round a half to an even number."""
        x = x * ONE
        below = floor(x)
        rest = x - below
        up = rest > _HALF or (rest == _HALF and below != _TWO * floor(_HALF * below))
        return below + ONE if up else below

    return {"floor": floor, "ceil": ceil, "trunc": trunc, "nearest": nearest}


def _replacements(
    module: Any, floor: Any, options: dict[str, Any]
) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Put a module's functions in the place of those of `math`, and of built-in ones."""
    wholes = _wholes(floor, options)
    nearest, kept = wholes.pop("nearest"), {"tanh": module.tanh, "exp": module.exp}
    made = wholes | {"isfinite": is_finite, "isinf": is_infinite, "isnan": is_nan, "pow": power}
    vars(module).update(made)
    functions = {getattr(math, name): function for name, function in (kept | made).items()}
    return functions, {"int": wholes["trunc"], "round": nearest, "pow": power}


exact.tanh, exact.exp = _exactly(tanh), _exactly(exp)  # type: ignore[attr-defined]
# By whether every machine must find the same bits.
FUNCTIONS, BUILTINS = {}, {}
FUNCTIONS[True], BUILTINS[True] = _replacements(exact, _floor_alike, ALIKE)
FUNCTIONS[False], BUILTINS[False] = _replacements(sys.modules[__name__], _floor_fast, OPTIONS)
BUILTINS[True] |= {"min": least, "max": most}
