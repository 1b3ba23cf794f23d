from __future__ import annotations

import hashlib
from collections import deque

import numpy as np
import pytest

from neurosim_tasks import MackeyGlass, TaskError
from neurosim_tasks.mackey_glass import SUBSTEPS, mackey_glass


def stream(*name: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=name)))


def plain_loop(rng: np.random.Generator, length: int, tau: int) -> list[float]:
    """The equation as one would first write it: plain floats, one step after the other."""
    history = deque(1.2 + 0.2 * (rng.random() - 0.5) for _ in range(tau * SUBSTEPS))
    x, samples = 1.2, []
    for _ in range(length):
        for _ in range(SUBSTEPS):
            past = history.popleft()
            history.append(x)
            past_2 = past * past
            past_4 = past_2 * past_2
            power = past_4 * past_4 * past_2
            x = x + (0.2 * past / (1.0 + power) - 0.1 * x) / SUBSTEPS
        samples.append(x)
    return samples


@pytest.mark.parametrize(("tau", "length"), [(17, 400), (1, 60), (30, 7), (5, 5)])
def test_the_series_is_that_of_a_plain_loop_to_the_last_bit(tau, length):
    names = [(0, 0), (0, 1), (1, 0)]
    series = mackey_glass([stream(*n) for n in names], length, tau)
    assert series.shape == (length, 3)
    for k, name in enumerate(names):
        assert series[:, k].tolist() == plain_loop(stream(*name), length, tau)


def test_the_series_is_the_same_on_every_machine():
    # Written down once. Chaos makes of any difference, anywhere, another series.
    series = mackey_glass([stream(0, 0), stream(0, 1)], 5000, 17)
    digest = hashlib.sha256(series.astype("<f8").tobytes()).hexdigest()
    assert digest == "64fe248a6bb42501238175bbb3682c44e92e2c48179c38015a3410ce10110f71"
    assert series[-1].tolist() == [0.9704085592853147, 1.023657106924292]


def test_the_task_has_the_values_written_down():
    inputs, targets = MackeyGlass(steps=1000).train()
    expected = [
        [0.009693915024399757, 0.3445456027984619, 0.282589316368103],
        [-0.4220094382762909, -0.3687613010406494, -0.0411185547709465],
    ]
    np.testing.assert_allclose(inputs[[0, 499, 999], 0, 0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(targets[[0, 499, 999], 0, 0], expected[1], rtol=1e-6)


def test_it_follows_the_delay_equation():
    x = mackey_glass([stream(0, 0)], 2000, 17)[:, 0]

    def largest_error(delay: int) -> float:
        # From the samples alone: over two units of time, x changes by the integral of the
        # equation's right side, here by Simpson's rule.
        now, past = x[20:], x[20 - delay : len(x) - delay]
        rate = 0.2 * past / (1 + past**10) - 0.1 * now
        integral = (rate[:-2] + 4 * rate[1:-1] + rate[2:]) / 3
        return np.abs(now[2:] - now[:-2] - integral).max()

    # What is left is Euler's error, of the order of a substep.
    assert largest_error(17) < 0.003
    assert min(largest_error(16), largest_error(18)) > 0.04


def test_it_is_chaotic():
    # A negative control for the golden values: next to nothing, at first, is another series.
    class Nudged:
        def random(self, n):
            return stream(0, 0).random(n) + 1e-14

    x = mackey_glass([stream(0, 0), Nudged()], 12000, 17)
    assert np.abs(x[:500, 0] - x[:500, 1]).max() < 1e-6
    assert np.abs(x[-500:, 0] - x[-500:, 1]).max() > 0.1


def test_shapes_and_cache():
    task = MackeyGlass(steps=300, batch=4)
    for inputs, targets in (task.train(), task.test()):
        assert inputs.shape == targets.shape == (300, 4, 1)
    assert task.train(0)[0] is task.train(7)[0]
    assert (task.n_inputs, task.n_targets) == (1, 1)


def test_the_target_is_the_input_later():
    task = MackeyGlass(steps=300, batch=2, horizon=15)
    for inputs, targets in (task.train(), task.test()):
        np.testing.assert_array_equal(inputs[15:], targets[:-15])
        assert np.abs(inputs - targets).max() > 0.1
    assert task.input_names == ("x(t)",)
    assert task.target_names == ("x(t + 15)",)


def test_past_asks_for_the_earlier_value_given_the_later():
    future = MackeyGlass(steps=300, batch=2, horizon=15)
    past = MackeyGlass(steps=300, batch=2, horizon=15, direction="past")
    for (x, later), (given, asked) in (
        (future.train(), past.train()),
        (future.test(), past.test()),
    ):
        np.testing.assert_array_equal(given, later)
        np.testing.assert_array_equal(asked, x)
    assert past.input_names == future.target_names
    assert past.target_names == future.input_names


def test_past_is_much_easier():
    future, past = (
        MackeyGlass(steps=1000, direction=d).baselines().test_mse for d in ("future", "past")
    )
    assert past["ridge on lags"] < 0.1 * future["ridge on lags"]
    assert past["persistence"] == pytest.approx(future["persistence"])


def test_a_series_does_not_depend_on_how_many_there_are():
    few, many = (MackeyGlass(steps=200, batch=b, squash=None) for b in (2, 5))
    for part in ("train", "test"):
        a = getattr(few, part)()[0].astype(float)
        b = getattr(many, part)()[0][:, :2].astype(float)
        # The mean subtracted is that of other series: one shift for all.
        np.testing.assert_allclose(a - b, (a - b)[0, 0, 0], atol=3e-7)


def test_series_are_all_different_and_change_with_the_seed():
    first, second = (MackeyGlass(steps=200, batch=3, seed=s) for s in (0, 1))
    series = [
        array[:, k, 0].tobytes()
        for task in (first, second)
        for array in (task.train()[0], task.test()[0])
        for k in range(3)
    ]
    assert len(set(series)) == 12


def test_the_training_series_alone_are_centred():
    task = MackeyGlass(steps=400, batch=3, horizon=1)
    series = np.concatenate([task.train()[0], task.train()[1][-1:]])
    assert abs(series.mean(dtype=np.float64)) < 1e-7
    # A negative control: the test series are shifted by the same, which is not their own mean.
    assert abs(task.test()[0].mean(dtype=np.float64)) > 1e-6


def test_squash_is_tanh_of_x_minus_1():
    raw, squashed = (
        np.concatenate(MackeyGlass(steps=200, batch=1, squash=s).train()) for s in (None, "tanh")
    )
    streams = [stream(0, 0)]
    x = mackey_glass(streams, 100 + 200 + 15, 17)[100:]
    expected = np.tanh(x - 1)
    np.testing.assert_allclose(raw[:200, 0], (x - x.mean())[:200], atol=1e-6)
    np.testing.assert_allclose(squashed[:200, 0], (expected - expected.mean())[:200], atol=1e-6)


def test_washout_drops_the_start():
    early, late = (
        MackeyGlass(steps=200, batch=1, squash=None, washout=w).train()[0][:, 0, 0].astype(float)
        for w in (0, 50)
    )
    shift = early[50:] - late[:-50]
    np.testing.assert_allclose(shift, shift[0], atol=3e-7)


def test_a_longer_delay_is_another_series():
    assert np.abs(MackeyGlass(steps=99).test()[0] - MackeyGlass(steps=99, tau=30).test()[0]).max()


@pytest.mark.parametrize("horizon", [5000, 6000])
def test_a_horizon_beyond_the_series_is_refused(horizon):
    with pytest.raises(TaskError) as error:
        MackeyGlass(horizon=horizon)
    assert str(error.value) == (
        f"MackeyGlass: horizon = {horizon} must be at least 1 and less than steps (5000)"
    )
    MackeyGlass(horizon=4999)


def test_baselines_are_near_those_measured_before():
    table = MackeyGlass(steps=1000).baselines()
    assert table.test_mse["mean"] == pytest.approx(0.0468, rel=0.05)
    assert table.test_mse["persistence"] == pytest.approx(0.1226, rel=0.05)
    assert table.test_mse["ridge"] == pytest.approx(0.0425, rel=0.05)
    assert table.test_mse["ridge on lags"] == pytest.approx(0.0124, rel=0.1)
