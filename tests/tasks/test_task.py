from __future__ import annotations

import dataclasses
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from neurosim_tasks import (
    Copying,
    DelayedXor,
    Evidence,
    FlipFlop,
    MackeyGlass,
    Parity,
    Sine,
    Task,
    TaskError,
    Weather,
)

FEW = {"batch": 4, "sequences": 5, "test_sequences": 3}
SMALL = {
    "mackey_glass": MackeyGlass(steps=200, batch=3),
    "copying": Copying(**FEW),
    "fixed copying": Copying(**FEW, fixed_sequence=True),
    "parity": Parity(**FEW),
    "flip-flop": FlipFlop(bits=2, **FEW),
    "sine": Sine(**FEW),
    "delayed xor": DelayedXor(**FEW),
    "evidence": Evidence(**FEW),
    "weather": Weather(horizon=24, batch=5, station="JFK"),
}
GUESSED = {
    **dict.fromkeys((MackeyGlass, Weather), ("persistence",)),
    **dict.fromkeys((Copying, Sine, DelayedXor), ("ignores its input",)),
    **dict.fromkeys((Parity, FlipFlop), ("the present input",)),
    Evidence: ("ignores its input", "the last cue"),
}

pytestmark = pytest.mark.usefixtures("no_data_folder")


@pytest.fixture(params=SMALL.values(), ids=SMALL.keys())
def task(request) -> Task:
    return request.param


def test_arrays_are_as_the_protocol_says(task):
    for inputs, targets in (task.train(), task.train(3), task.test()):
        assert inputs.shape[:2] == targets.shape[:2]
        assert inputs.shape[2] == task.n_inputs == len(task.input_names)
        assert targets.shape[2] == task.n_targets == len(task.target_names)
        assert inputs.shape[1] % task.batch == 0
        for array in (inputs, targets):
            assert array.ndim == 3
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
            assert np.isfinite(array).all()


def test_arrays_are_read_only_since_they_are_handed_out_twice(task):
    for array in (*task.train(), *task.test()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert task.test()[0] is task.test()[0]


def test_names_are_text(task):
    assert all(isinstance(name, str) for name in (*task.input_names, *task.target_names))
    assert isinstance(task.input_names, tuple)
    assert isinstance(task.target_names, tuple)


def test_a_task_is_a_frozen_value(task):
    assert dataclasses.replace(task) == task
    assert hash(dataclasses.replace(task)) == hash(task)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.batch = 3
    again = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(again.test()[0], task.test()[0])


def test_two_tasks_of_the_same_fields_have_the_same_arrays(task):
    other = dataclasses.replace(task)
    for mine, theirs in ((task.train(2), other.train(2)), (task.test(), other.test())):
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])


def test_mse_is_the_mean_over_steps_series_and_outputs(task):
    _, targets = task.test()
    noise = np.random.default_rng(0).normal(size=targets.shape)
    loss = (noise**2).sum(axis=2).mean()
    score = task.score(targets + noise, targets)
    assert score["mse"] == pytest.approx(loss / task.n_targets)
    assert task.score(targets, targets)["mse"] == 0
    assert all(type(value) is float for value in score.values())


def test_mse_of_outputs_that_are_no_numbers_is_none(task):
    _, targets = task.test()
    assert np.isnan(task.score(np.full(targets.shape, np.nan), targets)["mse"])


def test_score_refuses_shapes_that_differ(task):
    _, targets = task.test()
    name = type(task).__name__
    for outputs, truth in (
        (targets[:-1], targets),
        (targets[:, :1], targets),
        (targets[..., 0], targets[..., 0]),
        (targets.repeat(2, axis=2), targets.repeat(2, axis=2)),
    ):
        message = f"{name}: outputs of shape {outputs.shape} and targets of shape {truth.shape}"
        with pytest.raises(TaskError, match=re.escape(message)):
            task.score(outputs, truth)


def test_baselines_are_measured_on_the_same_split(task):
    table = task.baselines()
    assert list(table.columns) == ["train_mse", "test_mse"]
    assert list(table.index) == ["mean", *GUESSED[type(task)], "ridge", "ridge on lags"]
    (_, train), (_, test) = task.train(), task.test()
    mean = train.mean((0, 1), np.float64)
    assert table.train_mse["mean"] == pytest.approx(np.mean((train - mean) ** 2))
    assert table.test_mse["mean"] == pytest.approx(np.mean((test - mean) ** 2))
    # What may use more can fit the training series no worse.
    assert table.train_mse["ridge"] <= table.train_mse["mean"] + 1e-6
    assert table.train_mse["ridge on lags"] <= table.train_mse["ridge"] + 1e-6


def test_baselines_learn_nothing_from_the_test(task, monkeypatch):
    before = task.baselines()
    inputs, targets = task.test()
    monkeypatch.setattr(type(task), "test", lambda self: (inputs, 1 - 5 * targets))
    after = task.baselines()
    np.testing.assert_array_equal(before.train_mse, after.train_mse)
    assert (before.test_mse != after.test_mse).all()


def test_ridge_on_one_lag_is_ridge(task):
    table = task.baselines(lags=1)
    np.testing.assert_allclose(table.loc["ridge on lags"], table.loc["ridge"])


@dataclasses.dataclass(frozen=True)
class Own(Task):
    guess: dict = dataclasses.field(default_factory=dict)
    plain: bool = False
    input_names = target_names = ("x",)

    def train(self, epoch=0):
        inputs = np.random.default_rng(epoch).normal(size=(9, 2, 1))
        pair = inputs, inputs / 2
        return tuple(array.tolist() for array in pair) if self.plain else pair

    def test(self):
        return self.train(99)

    def guesses(self, inputs):
        return {name: make(inputs) for name, make in self.guess.items()}


FIRST = np.arange(18).reshape(9, 2, 1) < 2
GUESSES = {
    "NaN": ({"last": lambda u: np.where(FIRST, np.nan, u)}, "guess 'last'[0, 0, 0] = nan must be "),
    "inf": ({"last": lambda u: u / 0 * np.inf}, "guess 'last'[0, 0, 0] = "),
    "masked": (
        {"last": lambda u: np.ma.masked_array(u, FIRST)},
        "guess 'last'[0, 0, 0] = nan must",
    ),
    "a row": (
        {"ridge": lambda u: u},
        "the name of a guess = 'ridge' must be text, and none of mean",
    ),
    "no name": ({3: lambda u: u}, "the name of a guess = 3 must be text"),
    "text": ({"last": lambda u: "xyz"}, "guess 'last' = 'xyz' must be numbers"),
    "a step less": (
        {"last": lambda u: u[1:]},
        "the shape of guess 'last' = (8, 2, 1) must be (9, ",
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("guess", "said"), GUESSES.values(), ids=GUESSES)
def test_a_guess_that_cannot_be_judged_is_refused(guess, said):
    with pytest.raises(TaskError, match=re.escape(f"Own: {said}")):
        Own(guess).baselines()


@pytest.mark.parametrize("guesses", [None, [1.0]])
def test_guesses_have_names(guesses):
    class Unnamed(Own):
        def guesses(self, inputs):
            return guesses

    with pytest.raises(TaskError, match=r"what guesses\(\) returns = .* must be arrays by name"):
        Unnamed({}).baselines()


@pytest.mark.parametrize("scores", [{"accuracy": 1.0}, None, 1.0, {"mse": "low"}, {"mse": [0.5]}])
def test_scores_of_ones_own_have_an_mse(scores):
    class Scored(Own):
        def score(self, outputs, targets):
            return scores

    with pytest.raises(TaskError, match=r"what score\(\) returns = .* 'mse' among them"):
        Scored({"last": lambda u: u}).baselines()


def test_what_stands_behind_a_mask_is_not_judged():
    task = SMALL["mackey_glass"]
    _, targets = task.test()
    masked = np.ma.masked_array(targets, np.arange(targets.size).reshape(targets.shape) == 0)
    with pytest.raises(TaskError, match="and none masked"):
        task.score(targets, masked)


def test_lists_have_the_same_baselines():
    guess = {"last": lambda u: u}
    pd.testing.assert_frame_equal(Own(guess, plain=True).baselines(), Own(guess).baselines())


@pytest.mark.parametrize("lags", [0, -1, True, 2.0, "3", np.nan])
def test_lags_are_a_whole_number(lags):
    message = f"MackeyGlass: lags = {lags!r} must be "
    with pytest.raises(TaskError, match=re.escape(message)):
        SMALL["mackey_glass"].baselines(lags=lags)


def test_the_loss_is_the_squared_error_summed_over_outputs(task):
    _, targets = task.test()
    outputs = targets + np.float32(0.5)
    loss = task.loss(outputs, targets)
    assert loss.shape == targets.shape[:2]
    np.testing.assert_allclose(loss, 0.25 * task.n_targets, rtol=1e-5)
    assert task.score(outputs, targets)["mse"] == pytest.approx(loss.mean() / task.n_targets)
    with pytest.raises(TaskError, match="must both have shape"):
        task.loss(outputs[1:], targets)
