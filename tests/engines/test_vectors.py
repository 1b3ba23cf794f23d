"""Vectors do what numbers do, lane by lane; and fast functions are what they stand for."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calls import EPSILON, call, numbers
from numba import cfunc, types
from numba.core.errors import NumbaError

import neurosim
from neurosim.engines import mathematics
from neurosim.engines.compile import FAST, KINDS, compiled
from neurosim.engines.unrolled import load_tile, store_rows, sum_lanes
from neurosim.engines.vectors import OPERATIONS, WIDTH, but, extract, insert, load, store, transpose

ODD = [math.nan, math.inf, -math.inf, 0.0, 1.0, -1.0, 2.5, 3.4e38, -1e-30]


def built(function, kinds):
    """Compile a function under the options of the engine's kernels."""
    return cfunc(types.void(*(KINDS[kind] for kind in kinds)), **FAST)(function)


# --------------------------------------------------------------------- shapes


def test_rows_and_lanes_are_exchanged():
    def exchange(here, there):
        block = transpose(load_tile(here, 0, WIDTH, 1, WIDTH))
        store_rows(block, there, 0, WIDTH, WIDTH)

    here, there = numbers(WIDTH, WIDTH), numbers(WIDTH, WIDTH)
    call(built(exchange, "pp"), here, there)
    np.testing.assert_array_equal(there, here.T)


def test_every_vector_is_summed_into_a_lane_of_its_own():
    def add_up(here, there):
        store(there, 0, sum_lanes(load_tile(here, 0, WIDTH, 1, WIDTH)))

    here, there = numbers(WIDTH, WIDTH), numbers(WIDTH)
    call(built(add_up, "pp"), here, there)
    size = np.abs(here).sum(axis=1)
    assert (np.abs(there - here.sum(axis=1, dtype=float)) <= WIDTH * EPSILON * size).all()


@pytest.mark.parametrize("lane", [-WIDTH, -1, *range(WIDTH), WIDTH, 2**31 - 1])
def test_all_are_one_but_for_one_lane(lane):
    def all_but(out, lane):
        store(out, 0, but(lane))

    out = numbers(WIDTH)
    call(built(all_but, "pi"), out, lane)
    np.testing.assert_array_equal(out, np.arange(WIDTH) != lane)


def test_one_lane_can_be_read_and_replaced():
    def swap(here, out, lane, other):
        vector = load(here, 0)
        vector = insert(vector, other, 2 * extract(load(here, 0), lane))
        store(out, 0, vector)

    kernel, here, out = built(swap, "ppii"), numbers(WIDTH), numbers(WIDTH)
    for lane, other in itertools.product(range(WIDTH), repeat=2):
        call(kernel, here, out, lane, other)
        expected = here.copy()
        expected[other] = 2 * here[lane]
        np.testing.assert_array_equal(out, expected)


# ----------------------------------------------------------------- arithmetic

PLACES = {  # of operands: `x` and `y` are vectors, `a` and `b` numbers
    "vectors": ("x", "y"),
    "vector and float": ("x", "b"),
    "float and vector": ("a", "y"),
    "vector and integer": ("x", "3"),
    "integer and vector": ("-2", "y"),
    "vector and literal": ("x", "0.1"),
    "literal and vector": ("-0.7", "y"),
}
TWO = ["{} + {}", "{} - {}", "{} * {}", "{} / {}", "min({}, {})", "max({}, {})"]
ONE = {"-x": np.negative, "abs(x)": np.abs, "math.sqrt(x)": np.sqrt}
IN_PLACE = ["+=", "-=", "*=", "/="]


def said(formula):
    """A scalar function of what a formula says."""
    return eval(f"lambda x, y, a, b: {formula}", {"math": math})


def in_lanes(function):
    """A kernel that computes for vectors at `x` and `y`, and the numbers that begin those."""
    inner = compiled(function)

    def every(x, y, a, b, out):
        store(out, 0, inner(load(x, 0), load(y, 0), a, b))

    return built(every, "ppffp")


def on_its_own(function, *given):
    """What float32 numbers make, as IEEE 754 has it: without an exception for 1 / 0."""
    with np.errstate(all="ignore"):
        return np.float32(function(*given))


def same(got, expected):
    """Whether numbers are the same up to the last digit, and infinities and NaNs the same."""
    got, expected = np.asarray(got), np.asarray(expected)
    finite = np.isfinite(expected)
    with np.errstate(all="ignore"):
        near = np.abs(got - expected) <= 2 * np.spacing(np.abs(expected))
    return np.where(finite, near, (got == expected) | (np.isnan(got) & np.isnan(expected))).all()


def agree_in_every_lane(function, places):
    """Compare with what float32 numbers give, each on its own."""
    kernel, out = in_lanes(function), numbers(WIDTH)
    few = np.resize(numbers(7), WIDTH)
    for a, b in itertools.product([*ODD, 0.3], repeat=2):
        x, y = few.copy(), few[::-1].copy()
        x[1], y[1] = x[-1], y[-1] = a, b
        call(kernel, x, y, a, b, out)
        given = zip(x, y, itertools.repeat(np.float32(a)), itertools.repeat(np.float32(b)))
        assert same(out, [on_its_own(function, *each) for each in given]), (places, a, b)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("formula", TWO)
def test_two_operands_make_in_each_lane_what_two_numbers_make(formula, place):
    agree_in_every_lane(said(formula.format(*PLACES[place])), place)


@pytest.mark.parametrize("other", ["y", "b", "3", "0.1"])
@pytest.mark.parametrize("statement", IN_PLACE)
def test_variables_can_be_changed_in_place(statement, other):
    scope = {}
    exec(f"def changed(x, y, a, b):\n    x {statement} {other}\n    return x", scope)
    agree_in_every_lane(scope["changed"], other)


@pytest.mark.parametrize("formula", ONE)
def test_one_operand_makes_in_each_lane_what_a_number_makes(formula):
    kernel, out = in_lanes(said(formula)), numbers(WIDTH)
    values = np.array([*ODD, *numbers(3)], dtype=np.float32)
    for first in range(len(values)):
        x = np.resize(np.roll(values, -first), WIDTH)
        call(kernel, x, x, 0.0, 0.0, out)
        with np.errstate(all="ignore"):
            assert same(out, ONE[formula](x))


def test_every_operation_is_in_this_file():
    assert len(OPERATIONS) == len(TWO) + len(ONE) + len(IN_PLACE)


@pytest.mark.parametrize("function", [min, max])
def test_of_two_numbers_a_nan_stays_where_it_is(function):
    """As in Python, where the first is taken unless the second is smaller (larger)."""
    kernel, out = in_lanes(said(f"{function.__name__}(x, y)")), numbers(WIDTH)
    for x, y in ((math.nan, 1.0), (1.0, math.nan), (math.nan, math.inf), (-math.inf, math.nan)):
        given = (np.full(WIDTH, value, dtype=np.float32) for value in (x, y))
        call(kernel, *given, 0.0, 0.0, out)
        np.testing.assert_array_equal(out, function(x, y))


def test_whatever_is_not_defined_does_not_compile():
    """Then a function is called for each number in turn: see `tiles.vectorised`."""
    for formula in ("x ** 2", "x < y", "math.log(x)", "x if a > x else y", "max(x, y, 0)"):
        with pytest.raises(NumbaError):
            in_lanes(said(formula))


# --------------------------------------------------------------- fast functions


def over(function, values):
    """A fast function of many numbers, in a loop that a compiler may vectorise."""

    def every(here, out, n):
        for i in range(n):
            out[i] = function(here[i])

    here = np.asarray(values, dtype=np.float32)
    out = np.empty_like(here)
    call(built(every, "ppi"), here, out, here.size)
    return here, out


def ulps(got, exact):
    """Distance in units in the last place of float32."""
    return np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32))


NEAR_ZERO = np.concatenate([sign * np.logspace(-30, 0, 20_001) for sign in (-1, 1)])


def test_tanh_is_good_to_six_units_in_the_last_place():
    here, got = over(mathematics.tanh, [*np.linspace(-10, 10, 200_001), *NEAR_ZERO])
    assert ulps(got, np.tanh(here, dtype=float)).max() <= 6
    assert np.abs(got).max() <= 1


def test_tanh_of_the_smallest_numbers_is_nearly_themselves():
    here, got = over(mathematics.tanh, [0.0, -0.0, 1e-45, -1e-40, 3e-38, 1e-35])
    np.testing.assert_allclose(got, here, rtol=1e-6, atol=1e-42)


def test_tanh_saturates_and_keeps_nan():
    _, got = over(mathematics.tanh, [math.inf, -math.inf, math.nan, 3e38, -3e38, 10, -20])
    np.testing.assert_allclose(got, [1, -1, math.nan, 1, -1, 1, -1], rtol=3e-7)
    assert np.nanmax(np.abs(got)) <= 1


def test_exp_is_good_to_two_units_in_the_last_place():
    here, got = over(mathematics.exp, [*np.linspace(-87, 88, 400_001), *NEAR_ZERO])
    assert ulps(got, np.exp(here, dtype=float)).max() <= 2


def test_exp_overflows_underflows_and_keeps_nan():
    given = [0.0, -0.0, math.inf, -math.inf, math.nan, 89, -104, 3e38, -3e38]
    _, got = over(mathematics.exp, given)
    np.testing.assert_array_equal(got, [1, 1, math.inf, 0, math.nan, math.inf, 0, math.inf, 0])
    here, got = over(mathematics.exp, np.linspace(88, 88.7228, 1001))
    assert ulps(got, np.exp(here, dtype=float)).max() <= 2


@pytest.mark.parametrize("name", ["tanh", "exp"])
def test_what_grows_does_not_fall_by_more_than_rounding(name):
    here = np.linspace(-9, 9, 400_001)
    _, got = over(getattr(mathematics, name), here)
    assert (np.diff(got) >= -6 * np.spacing(np.abs(got[1:]))).all()
    _, coarse = over(getattr(mathematics, name), here[::100])
    assert (np.diff(coarse)[np.abs(here[:-100:100]) < 5] > 0).all()


@pytest.mark.parametrize("name", ["tanh", "exp"])
def test_a_rule_gets_the_fast_function_whichever_way_it_names_it(name):
    own = getattr(math, name)
    scope = {"math": math, "own": own, "np": np}
    fast = over(getattr(mathematics, name), NEAR_ZERO)[1]
    for formula in (f"math.{name}(x)", "own(x)"):
        function = compiled(eval(f"lambda x: {formula}", scope))
        np.testing.assert_array_equal(over(function, NEAR_ZERO)[1], fast)


# ---------------------------------------------------------------- other widths

PROGRAM = """
import sys
import numpy as np
import neurosim as ns
from neurosim.engines import vectors

vectors.REGISTERS = 16  # as machines with narrow vectors have them
from neurosim.engines import tiles

assert (vectors.WIDTH, max(tiles.SHAPES), max(tiles.REPLICAS)) == (int(sys.argv[1]), 4, 4)
generator = np.random.default_rng(3)
RUNS = [
    (ns.ANP(1e-3, noise_std=1e-2), ns.Decorrelation(1e-2), 3),
    (ns.WP(1e-4, noise_std=1e-2), None, 2),
    (ns.WP(1e-4, noise_std=1e-2, distribution="rademacher"), None, 2),
    (ns.NP(1e-3, noise_std=1e-2), None, 1),
]
for rule, decorrelation, batch in RUNS:
    net = ns.rnn(3, 21, 2, decorrelate=decorrelation is not None, seed=2)
    inputs = generator.normal(size=(12, batch, 3))
    targets = generator.normal(size=(12, batch, 2))
    ends = []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(net, rule, decorrelation, batch=batch, engine=engine, seed=11)
        record = sim.run(inputs, targets)
        ends.append((sim.weights, record.loss))
    (expected, loss), (weights, other) = ends
    assert np.abs(loss - other).max() <= 3e-4 * np.abs(loss).max(), rule
    for name, start in net.initial_weights().items():
        change = np.abs(expected[name] - start).max()
        allowed = 3e-4 * change + 12 * 6e-8 * np.abs(expected[name]).max()
        assert change > 0
        assert np.abs(weights[name] - expected[name]).max() <= allowed, (rule, name)
"""


def run_in(width, cache, program, *given):
    """Run a program on a machine whose vectors are as wide as that."""
    environment = {
        **os.environ,
        "NEUROSIM_VECTOR_WIDTH": str(width),
        "NEUROSIM_CACHE": str(cache),
        "PYTHONPATH": str(Path(neurosim.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *given], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("width", [4, 8])
def test_narrower_machines_compute_the_same(width, tmp_path):
    run_in(width, tmp_path, PROGRAM, str(width))


def test_code_for_one_width_is_never_found_by_another(tmp_path):
    program = "from neurosim.engines.kernels import _machine; _machine('copy_rows')"
    for count, width in enumerate((4, 8, 16), start=1):
        for _ in range(2):
            run_in(width, tmp_path, program)
            assert len(list((tmp_path / "kernels").iterdir())) == count
