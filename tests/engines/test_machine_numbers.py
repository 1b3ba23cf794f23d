"""Scalar functions have the same numbers in Python, compiled, and compiled to the same bits."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from numba import njit

import neurosim as ns
from neurosim.engines.compile import adapted
from neurosim.engines.ieee import interpreted
from neurosim.local.language import MATH
from neurosim.local.vocabulary import arguments
from neurosim.local.whole import Whole, refuse_no_number

KNOWN = {"a": "", "b": ""}
K, TABLE = 3, (0.5, 1.5, -2.0)
POINTS = [
    *((-2.5, 0.5), (0.5, -1.5), (0.0, 2.0), (3.0, 0.0), (1e10, -3.0), (7.0, 2.0)),
    *((-1.0, -2.0), (math.inf, 1.0), (math.nan, 1.0), (0.49999997, 1.0)),
]


def numbers(function, exact):
    """What Python and a compiler have for a function at all points."""
    inner = adapted(function, KNOWN, "Mine", exact)
    compiled = njit(lambda a, b: inner(a, b) * 1.0)
    plain = interpreted(function, "Mine")
    points = np.float32(POINTS)
    with np.errstate(all="ignore"):
        oracle = np.float32([plain([float(a), float(b)]) for a, b in points])
        return oracle, np.float32([compiled(a, b) for a, b in points])


def power_sum(b):
    total = 0.0
    for k in range(40):
        total += k**20 * b
    return total


WHOLE = [
    lambda a, b: 2 ** math.floor(b),
    lambda a, b: 2 ** (1 if a > 0 else -2),
    lambda a, b: a ** (b > 0),
    lambda a, b: (lambda k: 2**k)(1 if b > 0 else -2),
    lambda a, b: a**True + b**2 + a ** (-1),
    lambda a, b: int(b) ** -1,
    lambda a, b: pow(int(a), int(b)) + math.pow(a, b > 0),
    lambda a, b: math.floor(a * 1e20) / 1e20,
    lambda a, b: int(a * 1e10) * int(a * 1e10),
    lambda a, b: round(a) + 10 * math.ceil(a) + 100 * math.trunc(a) + 1000 * math.floor(a),
    lambda a, b: (a // b) + (a % b),
    lambda a, b: int(a) // int(b),
    lambda a, b: (a > 0) // (b > 0) + 3 % (1 if b > 0 else 0),
    lambda a, b: TABLE[int(b) % 3] + TABLE[int(b > 0)] + TABLE[b > 0] + TABLE[0],
    lambda a, b: math.isfinite(a + a) + 2 * math.isnan(a - a) + 4 * math.isinf(a * 2),
    lambda a, b: min(math.gamma(b), 1e3) + min(math.lgamma(b), 1e3),
    lambda a, b: (1 / a > 0) + 2 * ((a**0.5) > 0),
    lambda a, b: power_sum(b),
    lambda a, b: abs(a**0.5) + abs((a - 1) ** b),
    lambda a, b: a if math.cos(a) ** 0.5 > 0.3 else b,
    lambda a, b: -(a > 0) + (b > 0) * 2 + (a > 0 and b),
]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("function", WHOLE)
def test_whole_numbers_and_powers_are_the_same_on_every_engine(function, exact):
    arguments(function, KNOWN, "Mine")
    refuse_no_number(function, 2, "Mine")
    oracle, compiled = numbers(function, exact)
    np.testing.assert_allclose(compiled, oracle, rtol=1e-5)


def expression(draw, depth):
    """A scalar expression of `a` and `b`, drawn at random."""
    if depth == 0:
        return draw.choice([*"abab", "2", "3", "0", "-1", "0.5", "1e20", "K", "True"])
    some = [expression(draw, depth - 1) for _ in range(4)]
    one, two, three, four = some
    operators = ["+", "-", "*", "/", "//", "%", "**"]
    ones = sorted(MATH - {"atan2", "copysign", "hypot", "pow", "e", "inf", "nan", "pi", "tau"})
    return draw.choice(
        [
            f"({one} {draw.choice(operators)} {two})",
            f"({one} {draw.choice([*operators, 'and', 'or', '<', '==', '&'])} {two})",
            f"math.{draw.choice(ones)}({one})",
            f"({draw.choice(['int', 'round', 'bool', 'abs', '-', 'not'])}({one}))",
            f"{draw.choice(['min', 'max', 'math.copysign', 'math.pow'])}({one}, {two})",
            f"({one} if {two} {draw.choice(['<', '<=', '==', '!='])} {three} else {four})",
            f"divmod({one}, {two})[{draw.choice('01')}]",
        ]
    )


def test_so_is_what_is_drawn_at_random():
    draw, tried = random.Random(7), 0
    while tried < 15:
        text = expression(draw, 2)
        if any(wild in text for wild in ("sin(", "cos(", "tan(", "gamma(", "float(True")):
            continue  # of 1e20 they are as good as random
        function = eval(f"lambda a, b: {text}", {"math": math, "K": K})
        try:
            arguments(function, KNOWN, "Mine")
            refuse_no_number(function, 2, "Mine")
        except ns.InputError:
            continue
        oracle, compiled = numbers(function, exact=False)
        np.testing.assert_allclose(compiled, oracle, rtol=1e-3, atol=1e-6, err_msg=text)
        tried += 1


def test_a_whole_number_is_a_float_and_a_place_in_a_table():
    whole = Whole(5)
    assert TABLE[(whole + 1) % 3 - 1 + True * 0] == TABLE[-1]
    assert type(whole + 1) is type(3 * whole) is type(-whole) is Whole
    assert type(whole + 0.5) is type(whole / 5) is type(whole**2) is float


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda noise, reward: (1 << 3) * int(noise > 0) << 2, "shifts bits"),
        (lambda noise, reward: (int(noise) & 1) * reward, "cannot be called"),
        (lambda noise, reward: noise @ reward if noise > 1e9 else reward, "multiplies matrices"),
        (lambda noise, reward: noise * reward * 10**30, r"uses 1000.*, beyond 2\*\*53"),
    ],
)
@pytest.mark.parametrize("engine", ["objects", "cpu"])
def test_what_no_float_can_do_is_refused(engine, function, says):
    mine = type("Mine", (ns.NP,), {"neuron": staticmethod(function)})
    with pytest.raises(ns.InputError, match=rf"Mine: <lambda>\(\) {says}"):
        ns.Simulator(ns.rnn(1, 3, 1), mine(1e-3), engine=engine)
