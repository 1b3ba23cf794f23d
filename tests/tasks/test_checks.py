from __future__ import annotations

import math
import re

import numpy as np
import pytest

from neurosim_tasks import (
    Copying,
    DelayedXor,
    Evidence,
    FlipFlop,
    MackeyGlass,
    Parity,
    Sine,
    TaskError,
    Weather,
)
from neurosim_tasks.checks import one_of, whole

NOT_WHOLE = [True, False, 1.0, 2.5, math.nan, math.inf, "5", None, [5], np.float32(3), np.True_]

WHOLE_FIELDS = [
    *[(MackeyGlass, f, 1) for f in ("horizon", "batch", "tau")],
    (MackeyGlass, "steps", 2),
    *[(MackeyGlass, f, 0) for f in ("seed", "washout")],
    *[(Copying, f, 1) for f in ("length", "batch", "sequences", "test_sequences")],
    *[(Copying, f, 0) for f in ("delay", "seed")],
    *[(task, f, 1) for task in (Parity, FlipFlop) for f in ("bits", "steps")],
    (Sine, "steps", 1),
    (DelayedXor, "gap", 1),
    *[(Evidence, f, 1) for f in ("cues", "every")],
    *[(task, "delay", 0) for task in (DelayedXor, Evidence)],
    *[(Weather, f, 1) for f in ("horizon", "batch", "test_months")],
    (Weather, "max_gap", 0),
]


def refuses(message: str):
    return pytest.raises(TaskError, match=re.escape(message))


@pytest.mark.parametrize(("task", "field", "smallest"), WHOLE_FIELDS)
@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_a_field_that_is_a_whole_number_refuses_all_else(task, field, smallest, value):
    with refuses(f"{task.__name__}: {field} = {value!r} must be a whole number, at least "):
        task(**{field: value})


@pytest.mark.parametrize(("task", "field", "smallest"), WHOLE_FIELDS)
def test_a_field_refuses_what_is_too_small_and_takes_the_smallest(task, field, smallest):
    for value in (smallest - 1, -7):
        with refuses(f"{task.__name__}: {field} = {value} must be at least {smallest}"):
            task(**{field: value})
    others = {"horizon": 1} if (task, field) == (MackeyGlass, "steps") else {}
    assert getattr(task(**{field: smallest}, **others), field) == smallest


@pytest.mark.parametrize(("task", "field", "smallest"), WHOLE_FIELDS)
def test_numpy_integers_are_whole_numbers_and_become_plain_ones(task, field, smallest):
    value = getattr(task(**{field: np.int64(smallest + 50)}), field)
    assert value == smallest + 50
    assert type(value) is int


@pytest.mark.parametrize(
    ("task", "field", "allowed"),
    [
        (MackeyGlass, "squash", "'tanh', None"),
        (MackeyGlass, "direction", "'future', 'past'"),
        (Copying, "fixed_sequence", "False, True"),
        (Weather, "scale_with", "'train', 'all'"),
    ],
)
@pytest.mark.parametrize("value", ["", "other", 1, 0, 2.0, np.ones(2)], ids=repr)
def test_a_choice_is_one_of_those_named(task, field, allowed, value):
    with refuses(f"{task.__name__}: {field} = {value!r} must be one of {allowed}"):
        task(**{field: value})


def test_whole_says_the_upper_limit_and_whose_it_is():
    assert whole(3, "n", 4, 1, ("steps", 5)) == 4
    with refuses("int: n = 5 must be at least 1 and less than steps (5)"):
        whole(3, "n", 5, 1, ("steps", 5))


def test_a_task_error_is_a_value_error():
    assert issubclass(TaskError, ValueError)


def test_one_of_compares_types_too():
    one_of(3, "n", True, (True,))
    with refuses("int: n = 1 must be one of True"):
        one_of(3, "n", 1, (True,))


@pytest.mark.parametrize("task", [MackeyGlass(steps=50), Copying(), Weather()])
@pytest.mark.parametrize("value", [-1, True, 1.0, "0", None])
def test_an_epoch_is_a_whole_number(task, value):
    with refuses(f"{type(task).__name__}: epoch = {value!r} must be "):
        task.train(value)
