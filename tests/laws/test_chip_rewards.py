"""The line on which the reward is broadcast: noisy, coarse, late, with gaps."""

import numpy as np
import pytest
from chips import LIMIT, NOBODY, by_chance, normal, scores, simulate, uncorrelated

import neurosim as ns

STEPS, REPLICAS, SIGMA = 2500, 4, 0.1
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(STEPS, REPLICAS, 3))
NET = ns.rnn(3, 12, 2, seed=1)


def rewards(seed=5, inputs=INPUTS, scope="replica", target=1.0, **given):
    """Loss differences as they arrive: what is broadcast is that, over the variance."""
    rule = ns.NP(NOBODY, noise_std=SIGMA, reward_scope=scope)
    record = simulate(NET, ns.Substrate(**given), inputs, rule, seed=seed, target=target)[1]
    for reward in record.reward.values():
        np.testing.assert_array_equal(reward, record.reward["B"])
    return record.reward["B"].astype(float) * SIGMA**2


@pytest.fixture(scope="module")
def sent():
    return rewards()


def units(sent, memory=1000):
    """Root of the running mean square of what went over the line."""
    power, found = np.zeros(sent.shape[1:]), []
    for n, value in enumerate(sent, start=1):
        power = power + (value**2 - power) / min(n, memory)
        found.append(np.sqrt(power))
    return np.array(found)


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_reward_noise_is_in_units_of_what_is_usual(sent, sigma):
    noise = (rewards(reward_noise=sigma) - sent) / units(sent)
    normal(noise[..., None], sigma)
    assert uncorrelated(noise / sigma, sent / sent.std()) < LIMIT
    other = (rewards(seed=6, reward_noise=sigma) - rewards(seed=6)) / units(rewards(seed=6))
    assert uncorrelated(noise / sigma, other / sigma) < LIMIT


def test_what_is_usual_is_what_went_over_the_line_in_the_last_1000_steps():
    """Also where differences become smaller by far; and the statistics notice another unit."""
    target = np.where(np.arange(STEPS) < 1200, 10.0, 1.0)
    ideal = rewards(target=target)
    noise = rewards(target=target, reward_noise=1.0) - ideal
    normal((noise / units(ideal))[..., None], 1.0)
    for memory in (700, 1400, 10**6):  # negative controls
        found = scores((noise / units(ideal, memory))[1200:, :, None])
        assert max(found["variance"], found["distribution"]) > LIMIT


def test_one_reward_for_the_batch_has_one_noise():
    """And is lost for all."""
    some = INPUTS[:500]
    ideal = rewards(inputs=some, scope="batch")
    noisy = rewards(inputs=some, scope="batch", reward_noise=0.5)
    np.testing.assert_array_equal(noisy, noisy[:, :1].repeat(REPLICAS, axis=1))
    normal(((noisy - ideal) / units(ideal))[:, :1, None], 0.5)
    lost = rewards(inputs=some, scope="batch", reward_loss=0.3) == 0
    np.testing.assert_array_equal(lost, lost[:, :1].repeat(REPLICAS, axis=1))
    by_chance(lost[:, :1, None], 0.3)


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_reward_bits_are_levels_within_four_of_these_units(sent, bits):
    got = rewards(reward_bits=bits) / units(sent)
    level, most = got * (2 ** (bits - 1) - 1) / 4, 2 ** (bits - 1) - 1
    np.testing.assert_allclose(level, np.round(level), atol=1e-4 * most)
    exact = np.clip(sent / units(sent), -4, 4) / 4 * most
    assert np.abs(np.round(level)).max() == most
    assert np.abs(level - exact).max() <= 0.5 + 1e-3
    assert (np.abs(sent / units(sent)) > 4).any()


@pytest.mark.parametrize("loss", [0.1, 0.6])
def test_rewards_are_lost_and_nothing_else_happens_to_them(sent, loss):
    got = rewards(reward_loss=loss)
    np.testing.assert_allclose(got[got != 0], sent[got != 0], rtol=1e-3, atol=1e-6)
    by_chance((got == 0)[..., None], loss)


def test_noise_and_losses_do_not_know_of_each_other(sent):
    noisy, both = rewards(reward_noise=0.5), rewards(reward_noise=0.5, reward_loss=0.3)
    lost = both == 0
    np.testing.assert_array_equal(lost, rewards(reward_loss=0.3) == 0)
    np.testing.assert_allclose(both[~lost], noisy[~lost], rtol=1e-3, atol=1e-6)


# ----------------------------------------------------------------------- delay

RATE = 1e-9  # weights that start at 0 learn, and nothing comes of it


def learn(delay, runs, resets=True, rule=ns.NP, **more):
    """Runs of so many steps; all rewards, and R after every step (0 at first)."""
    net = ns.rnn(3, 12, 2, gain=0.0, seed=1)
    chip = ns.Substrate(reward_delay=delay)
    options = {"noise_std": SIGMA, "resync_every": 1, **more}
    sim = ns.Simulator(net, rule(RATE, **options), None, chip, batch=REPLICAS, seed=5)
    broadcast, seen, at = [], [], 0
    for steps in runs:
        given = INPUTS[at : at + steps], np.ones((steps, REPLICAS, 2))
        record = sim.run(*given, probes=[ns.Probe("R", "w")], reset=resets)
        broadcast.append(record.reward["R"])
        seen.append(record.probes["R.w"])
        at += steps
    return np.concatenate(broadcast).astype(float), np.concatenate(seen).astype(float)


@pytest.mark.parametrize("delay", [1, 7])
@pytest.mark.parametrize("resets", [True, False])
@pytest.mark.parametrize("runs", [(40,), (13, 5, 1, 21)], ids=str)
def test_a_late_reward_teaches_the_same_only_later(delay, resets, runs):
    """It meets the activities that it is about, whatever has happened since."""
    at_once, weights = learn(0, runs, resets)
    late, later = learn(delay, runs, resets)
    np.testing.assert_array_equal(late[:delay], 0)
    np.testing.assert_allclose(late[delay:], at_once[:-delay], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(later[:delay], 0)
    largest = np.abs(weights).max()
    assert largest > 0
    np.testing.assert_allclose(later[delay:], weights[:-delay], atol=1e-4 * largest)
    # Negative control: one step off is another update.
    assert np.abs(later[delay + 1 :] - weights[: -delay - 1]).max() > 0.01 * largest


def test_a_delay_longer_than_the_run_teaches_nothing():
    late, weights = learn(50, (20, 29))
    assert not late.any()
    assert not weights.any()


def test_what_arrives_while_nobody_learns_is_lost():
    net, chip = ns.rnn(3, 12, 2, gain=0.0, seed=1), ns.Substrate(reward_delay=3)
    sim = ns.Simulator(net, ns.NP(RATE, noise_std=SIGMA), None, chip, batch=REPLICAS, seed=5)
    ones = np.ones((5, REPLICAS, 2))
    first = sim.run(INPUTS[:5], ones)
    before = sim.weights
    sim.run(INPUTS[5:7], ones[:2], learn=False)
    for name, weights in sim.weights.items():
        np.testing.assert_array_equal(weights, before[name])
    after = sim.run(INPUTS[7:12], ones)
    assert np.all(first.reward["R"][3:] != 0)
    # Those of steps 2 and 3 arrived in the pause; that of step 4 is the next to arrive.
    assert np.all(after.reward["R"][0] != 0)
    np.testing.assert_array_equal(after.reward["R"][1:3], 0)
    assert np.all(after.reward["R"][3:] != 0)
