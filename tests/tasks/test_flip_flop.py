from __future__ import annotations

import numpy as np
import pytest

from neurosim_tasks import FlipFlop


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize(
    ("steps", "probability"), [(20, 0.2), (300, 0.02), (1, 0.5), (9, 0), (9, 1)]
)
def test_the_target_is_the_last_pulse(bits, steps, probability):
    task = FlipFlop(bits, steps, probability, batch=4, sequences=2, test_sequences=1)
    for inputs, targets in (task.train(1), task.test()):
        assert inputs.shape == targets.shape == (steps, inputs.shape[1], bits)
        for series in range(inputs.shape[1]):
            for channel in range(bits):
                state = None
                for t in range(steps):
                    pulse = float(inputs[t, series, channel])
                    assert pulse in (-1, 0, 1)
                    state = pulse or state
                    assert targets[t, series, channel] == state


@pytest.mark.parametrize("probability", [0.05, 0.2, 0.7])
def test_pulses_come_as_often_as_asked_for_and_are_fair(probability):
    inputs, targets = FlipFlop(bits=2, probability=probability, sequences=200).train()
    assert (inputs[0] != 0).all()
    later = inputs[1:]
    noise = np.sqrt(probability * (1 - probability) / later.size)
    assert (later != 0).mean() == pytest.approx(probability, abs=4 * noise)
    for pulses in (inputs[0], later[later != 0]):
        assert abs(pulses.mean()) < 4 / np.sqrt(pulses.size)
    # Channels have nothing to do with each other.
    apart = (targets[..., 0] * targets[..., 1]).mean()
    assert abs(apart) < 4 * np.sqrt(2 / probability / targets[..., 0].size)


@pytest.mark.parametrize(("probability", "steps"), [(0.2, 20), (0.5, 10)])
def test_without_memory_the_steps_without_a_pulse_are_lost(probability, steps):
    task = FlipFlop(1, steps, probability, sequences=200, test_sequences=200)
    table = task.baselines()
    lost = (1 - probability) * (steps - 1) / steps
    assert table.test_mse["the present input"] == pytest.approx(lost, abs=0.02)
    assert table.test_mse["ridge"] == pytest.approx(lost, abs=0.02)
    # Lags help; what is linear does not hold.
    assert 0.1 < table.test_mse["ridge on lags"] < 0.8 * lost


def test_channels_have_names():
    task = FlipFlop(bits=2)
    assert (task.n_inputs, task.n_targets) == (2, 2)
    assert task.input_names == ("pulse 1", "pulse 2")
    assert task.target_names == ("last pulse 1", "last pulse 2")
