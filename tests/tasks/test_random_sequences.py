"""What all tasks that draw their sequences have in common."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from neurosim_tasks import (
    Copying,
    DelayedXor,
    Evidence,
    FlipFlop,
    Parity,
    Sine,
    Task,
    TaskError,
    checks,
)
from neurosim_tasks.random_sequences import Decisions

TASKS = (Copying, DelayedXor, Evidence, FlipFlop, Parity, Sine)
DECISIONS = [cls for cls in TASKS if issubclass(cls, Decisions)]
AT_END = (Copying, DelayedXor, Evidence)


@pytest.fixture(params=TASKS, ids=lambda cls: cls.__name__)
def cls(request):
    return request.param


def joined(pair) -> np.ndarray:
    """Inputs and targets of a pair side by side."""
    return np.concatenate(pair, axis=2)


def test_every_epoch_is_fresh_and_repeatable(cls):
    task = cls(sequences=5)
    drawn = [joined(pair) for pair in (*map(task.train, range(4)), task.test())]
    for k, one in enumerate(drawn):
        for other in drawn[k + 1 :]:
            assert not np.array_equal(one, other[:, : one.shape[1]])
    np.testing.assert_array_equal(joined(cls(sequences=5).train(2)), drawn[2])
    np.testing.assert_array_equal(joined(cls(sequences=5).test()), drawn[-1])
    other = cls(sequences=5, seed=1)
    assert not np.array_equal(joined(other.train(2)), drawn[2])
    assert not np.array_equal(joined(other.test()), drawn[-1])


def test_asking_for_more_sequences_leaves_the_first_as_they_are(cls):
    few, many = cls(sequences=2, test_sequences=3), cls(sequences=9, test_sequences=8)
    np.testing.assert_array_equal(joined(few.train(1)), joined(many.train(1))[:, :20])
    np.testing.assert_array_equal(joined(few.test()), joined(many.test())[:, :30])
    wide = cls(batch=20, sequences=1, test_sequences=1)
    np.testing.assert_array_equal(joined(few.train(1)), joined(wide.train(1)))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Copying(), "58477"),
        (Parity(), "--+----+-++--++-++-+"),
        (FlipFlop(), "-000000-0+000000+000"),
        (DelayedXor(), "-00-000000"),
        (Evidence(), "+000+0+0+0+000000000"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Task) else "",
)
def test_sequences_of_a_seed_stay_what_they_were(task, expected):
    inputs, _ = task.train()
    first = inputs[:, 0, 0].astype(int)
    shown = inputs[: task.length, 0].argmax(axis=1) if isinstance(task, Copying) else first
    assert "".join("-0+"[x + 1] if task.chance == 0.5 else str(x) for x in shown) == expected


def test_the_test_is_as_large_as_asked_for(cls):
    task = cls(batch=3, sequences=2, test_sequences=5)
    assert {a.shape[:2] for a in task.train()} == {(task.steps, 6)}
    assert {a.shape[:2] for a in task.test()} == {(task.steps, 15)}


def test_what_does_not_fit_is_refused_before_it_is_made(cls, monkeypatch):
    with pytest.raises(TaskError, match=f"{cls.__name__}: 100000000000000000000 sequences .* take"):
        cls(sequences=10**19)
    with pytest.raises(TaskError, match=r"sequences .* of \d+ steps would take"):
        cls(test_sequences=10**19)
    # The estimate is not above what the arrays take.
    task = cls()
    nbytes = sum(array.nbytes for array in task.train())
    monkeypatch.setattr(checks, "memory", lambda: nbytes - 1)
    with pytest.raises(TaskError, match="would take"):
        cls()
    monkeypatch.setattr(checks, "memory", lambda: 2 * nbytes)
    assert cls() == task


def test_guesses_are_of_the_shape_of_the_targets_and_need_whole_sequences(cls):
    task = cls(batch=2, sequences=2, test_sequences=2)
    inputs, targets = task.test()
    guesses = task.guesses(inputs)
    assert guesses
    for answer in guesses.values():
        assert answer.shape == targets.shape
        assert answer.dtype == np.float32
    for wrong in (inputs[1:], inputs[..., 0], inputs.repeat(2, axis=2)):
        shape = f"({task.steps}, series, {task.n_inputs})"
        message = f"{cls.__name__}: inputs of shape {wrong.shape} must have shape {shape}"
        with pytest.raises(TaskError, match=re.escape(message)):
            task.guesses(wrong)


@pytest.mark.parametrize("cls", AT_END)
def test_an_answer_at_the_end_is_not_judged_by_part_of_a_sequence(cls):
    task = cls()
    _, targets = task.test()
    message = f"{cls.__name__}: targets of {task.steps - 1} steps must have {task.steps}"
    with pytest.raises(TaskError, match=message):
        task.score(targets[1:], targets[1:])


@pytest.mark.parametrize("cls", DECISIONS)
def test_accuracy_counts_the_signs_that_are_right(cls):
    task = cls(test_sequences=200)
    _, targets = task.test()
    assert set(np.unique(targets)) == ({-1, 0, 1} if cls in AT_END else {-1, 1})
    assert task.score(targets, targets) == {"mse": 0, "accuracy": 1}
    assert task.score(0.01 * targets, targets)["accuracy"] == 1
    assert task.score(-targets, targets)["accuracy"] == 0
    assert task.chance == 0.5
    rng = np.random.default_rng(0)
    coin = task.score(rng.normal(size=targets.shape), targets)["accuracy"]
    # At least 2000 answers; those of one sequence hang together.
    assert coin == pytest.approx(task.chance, abs=0.05)
    assert task.score(0 * targets, targets)["accuracy"] == pytest.approx(task.chance, abs=0.05)
    quarter = targets.copy()
    quarter[:, ::4] *= -1
    assert task.score(quarter, targets)["accuracy"] == pytest.approx(0.75, abs=0.02)
    loud = targets + rng.normal(scale=9, size=targets.shape)
    loud[-1] = targets[-1]
    assert (task.score(loud, targets)["accuracy"] == 1) == (cls in AT_END)


def test_a_task_without_a_decision_has_no_accuracy():
    _, targets = Sine().test()
    assert set(Sine().score(targets, targets)) == {"mse"}


@pytest.mark.parametrize(
    ("cls", "field", "allowed", "limits"),
    [
        (FlipFlop, "probability", "at least 0 and at most 1", (0, 1)),
        (Evidence, "probability", "at least 0.5 and at most 1", (0.5, 1)),
        (Sine, "shortest", "at least 2 and at most 1e+06", (2, 100)),
        (Sine, "longest", "at least 2 and at most 1e+06", (20, 1e6)),
    ],
)
def test_a_field_that_is_a_number_refuses_all_else(cls, field, allowed, limits):
    values = [
        -1,
        1.1e6,
        np.nan,
        np.inf,
        True,
        None,
        "1",
        [1.0],
        1j,
        np.timedelta64(1),
        10**400,
        1e-50,
    ]
    for value in values:
        message = (
            f"{cls.__name__}: {field} = {value!r} must be a number that float32 can hold, {allowed}"
        )
        with pytest.raises(TaskError, match=re.escape(message)):
            cls(**{field: value})
    for limit in limits:
        for value in (limit, np.float32(limit), np.int64(limit) if limit == int(limit) else limit):
            kept = getattr(cls(**{field: value}), field)
            assert kept == limit
            assert type(kept) is float


def test_fields_come_in_the_same_order_as_those_of_copying(cls):
    names = [field.name for field in dataclasses.fields(cls)]
    common = ["batch", "sequences", "seed", "test_sequences"]
    assert [name for name in names if name in common] == common
    assert names[-1] == "test_sequences"
