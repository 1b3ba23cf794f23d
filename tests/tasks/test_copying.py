from __future__ import annotations

import numpy as np
import pytest

from neurosim_tasks import Copying


def symbols(pair) -> np.ndarray:
    """The symbols heard, (series, length)."""
    inputs, _ = pair
    heard = inputs.argmax(axis=2)
    return np.array([[s for s in series if 1 <= s <= 8] for series in heard.T])


@pytest.mark.parametrize(("length", "delay"), [(5, 5), (1, 0), (3, 0), (2, 7)])
def test_a_sequence_is_heard_waited_for_and_recalled(length, delay):
    task = Copying(length=length, delay=delay, batch=2, sequences=3, test_sequences=4)
    for (inputs, targets), series in ((task.train(1), 6), (task.test(), 8)):
        assert inputs.shape == targets.shape == (2 * length + delay, series, 10)
        for array in (inputs, targets):
            np.testing.assert_array_equal(np.sort(array, axis=2)[..., -1], 1)
            np.testing.assert_array_equal(array.sum(axis=2), 1)
        heard, asked = inputs.argmax(axis=2), targets.argmax(axis=2)
        assert set(heard[:length].ravel()) <= set(range(1, 9))
        np.testing.assert_array_equal(heard[length : length + delay], 0)
        np.testing.assert_array_equal(heard[length + delay :], 9)
        np.testing.assert_array_equal(asked[: length + delay], 0)
        np.testing.assert_array_equal(asked[length + delay :], heard[:length])


def test_no_test_sequence_is_trained_on():
    task = Copying(length=20, sequences=50)
    known = {bytes(s) for e in range(5) for s in symbols(task.train(e)).astype(np.uint8)}
    assert known.isdisjoint(bytes(s) for s in symbols(task.test()).astype(np.uint8))


def test_symbols_are_alike_in_number():
    counts = np.bincount(symbols(Copying(sequences=400).train()).ravel(), minlength=9)
    expected = 400 * 10 * 5 / 8
    assert counts[0] == 0
    # Chi-squared with 7 degrees of freedom: above 24.3 once in a thousand.
    assert ((counts[1:] - expected) ** 2 / expected).sum() < 24.3


def test_the_fixed_sequence_is_one_for_all_and_the_test_is_fresh():
    task = Copying(fixed_sequence=True, batch=3, sequences=4)
    train = symbols(task.train())
    assert train.shape == (12, 5)
    assert len(np.unique(train, axis=0)) == 1
    np.testing.assert_array_equal(train, symbols(task.train(9)))
    assert len(np.unique(symbols(task.test()), axis=0)) > 50
    # A negative control: without it, replicas differ.
    assert len(np.unique(symbols(Copying().train()), axis=0)) > 50


def test_memorising_the_fixed_sequence_is_of_no_use_in_the_test():
    table = Copying(fixed_sequence=True).baselines()
    assert table.train_mse["ridge on lags"] < 1e-9
    assert table.test_mse["ridge on lags"] > Copying().loss_floor


def test_accuracy_counts_the_symbols_recalled():
    task = Copying(length=4, delay=2)
    _, targets = task.test()
    assert task.score(targets, targets) == {"mse": 0, "accuracy": 1}
    wrong = targets.copy()
    wrong[-1, :, 1:9] = np.roll(wrong[-1, :, 1:9], 1, axis=1)
    assert task.score(wrong, targets)["accuracy"] == 0.75
    # Only the symbol channels count, and only while recalling.
    loud = targets.copy()
    loud[:, :, [0, 9]] = 100
    loud[:-4] = np.random.default_rng(0).normal(size=loud[:-4].shape)
    assert task.score(loud, targets)["accuracy"] == 1


def test_guessing_recalls_by_chance():
    task = Copying(test_sequences=200)
    _, targets = task.test()
    guess = np.random.default_rng(0).normal(size=targets.shape)
    assert task.chance == 0.125
    assert task.score(guess, targets)["accuracy"] == pytest.approx(task.chance, abs=0.015)
    assert task.score(0 * targets, targets)["accuracy"] == pytest.approx(task.chance, abs=0.015)


@pytest.mark.parametrize(("length", "delay"), [(5, 5), (100, 10), (1, 0)])
def test_the_loss_floor_is_that_of_the_best_answer_without_the_symbols(length, delay):
    task = Copying(length=length, delay=delay, sequences=2, test_sequences=2)
    assert task.loss_floor == pytest.approx(length / (2 * length + delay) * 7 / 8 / 10)
    table = task.baselines(lags=1)
    row = table.loc["ignores its input"]
    np.testing.assert_allclose(row, task.loss_floor, rtol=1e-6)
    # The best: answering any other constant on the symbols is worse.
    inputs, targets = task.test()
    answer = task.guesses(inputs)["ignores its input"]
    for other in (0.1, 0.15):
        worse = np.where(answer == 0.125, np.float32(other), answer)
        assert task.score(worse, targets)["mse"] > task.loss_floor


def test_lags_that_reach_back_solve_it_and_lags_that_do_not_do_not():
    task = Copying(length=5, delay=5)
    assert task.baselines().test_mse["ridge on lags"] < 1e-9
    assert task.baselines(lags=11).test_mse["ridge on lags"] < 1e-9
    assert task.baselines(lags=5).test_mse["ridge on lags"] > 0.5 * task.loss_floor
    assert task.baselines().test_mse["ridge"] > 0.9 * task.loss_floor


def test_persistence_makes_no_sense_here():
    assert "persistence" not in Copying().baselines().index


def test_names():
    task = Copying()
    assert task.input_names[0] == "delay"
    assert task.input_names[9] == "recall"
    assert task.target_names[0] == "blank"
    assert task.input_names[1:9] == task.target_names[1:9]
    assert (task.n_inputs, task.n_targets) == (10, 10)
