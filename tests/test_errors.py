"""What is said when something cannot be done."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from neurosim import errors, values


@pytest.mark.parametrize("value", [0, -1, 2.5, np.float32(1), np.int64(3), Fraction(1, 3)])
def test_a_number_is_finite_and_real(value):
    assert values.is_number(value)


@pytest.mark.parametrize(
    "value",
    [True, "1", b"1", None, [1.0], 1j, float("nan"), float("inf"), -np.inf, np.ones(2)],
)
def test_what_is_no_number(value):
    assert not values.is_number(value)


def test_a_number_too_large_for_a_float_is_refused_like_infinity():
    assert not values.is_number(10**400)


@pytest.mark.parametrize("value", [0, -3, np.int8(4), np.uint64(5)])
def test_a_count_is_any_whole_number(value):
    assert values.is_count(value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.array(2.5), np.array([1, 2])])
def test_what_is_no_count(value):
    assert not values.is_count(value)


def test_a_refusal_names_object_field_value_and_what_is_allowed():
    values.require(True, "Thing", "size", 1, "an int >= 1")
    with pytest.raises(errors.InputError) as refusal:
        values.require(False, "Thing", "size", "x", "an int >= 1")
    assert str(refusal.value) == "Thing: size = 'x' must be an int >= 1"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hiden", "did you mean 'hidden'? known: hidden, output"),
        ("zzz", "known: hidden, output"),
        (3, "known: hidden, output"),
    ],
)
def test_the_nearest_name_is_suggested(name, said):
    assert values.nearest(name, ["output", "hidden"]) == said


def test_nothing_known_is_said_to_be_none():
    assert values.nearest("a", []) == "known: none"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.CheckpointError, ValueError),
        (errors.StorageError, OSError),
        (errors.DivergenceError, ArithmeticError),
    ],
)
def test_every_error_can_be_caught_by_two_names(error, builtin):
    assert issubclass(error, errors.NeurosimError)
    assert issubclass(error, builtin)
