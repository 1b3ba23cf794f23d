"""What time does to weights: they drift, leak and wander."""

import numpy as np
import pytest
from chips import LIMIT, Shown, devices, fan, normal, uncorrelated, uniform_scores

import neurosim as ns

GENERATOR = np.random.default_rng(0)
START = GENERATOR.uniform(0.2, 0.8, size=(100, 80)) * GENERATOR.choice([-1, 1], size=(100, 80))
STORED = START.astype(np.float32).astype(float)
STORING = 6e-8  # a float32 weight is rounded whenever it changes


def left_alone(chip, n, start=START, learn=False, seed=5, **more):
    """Weights after every step (of those asked for) in which nobody writes; the simulator."""
    net = fan(start.shape[1], len(start))
    sim = ns.Simulator(net, Shown({"B": 1e-12}), None, chip, seed=seed)
    sim.weights = {"A": start}
    given = np.zeros((n, 1, start.shape[1])), np.ones((n, 1, 1))
    record = sim.run(*given, learn=learn, probes=[ns.Probe("A", "w", **more)])
    return sim, record.probes["A.w"].astype(float)


# ----------------------------------------------------------------------- drift


@pytest.mark.parametrize("nu", [0.05, 0.6])
@pytest.mark.parametrize("learn", [True, False])
def test_drift_is_a_power_of_the_steps_since_a_weight_was_changed(nu, learn):
    """Neither a run's end nor rest stops the time; to evaluate does not let it pass."""
    steps = 300
    sim, seen = left_alone(ns.Substrate(drift_nu=nu), steps, learn=learn)
    t = np.arange(1, steps + 1)[:, None, None]
    np.testing.assert_allclose(seen, STORED * t**-nu, rtol=STORING * steps)
    given = np.zeros((10, 1, 80)), np.ones((10, 1, 1))
    sim.evaluate(*given)
    sim.run(*given, learn=learn)
    expected = STORED * (steps + 10.0) ** -nu
    np.testing.assert_allclose(sim.weights["A"], expected, rtol=STORING * (steps + 10))


def test_a_long_drift_is_as_exact():
    """Each decade takes the same part, though weights are rounded 20 000 times."""
    start, at = START[:4, :4], np.array([10, 100, 1000, 10_000, 20_000])
    _, seen = left_alone(ns.Substrate(drift_nu=0.1), at[-1], start, steps=at - 1)
    expected = start * at[:, None, None] ** -0.1
    np.testing.assert_allclose(seen, expected, rtol=STORING * np.sqrt(at[-1]) * 4)


def test_a_write_begins_it_anew_and_only_what_changes_something_is_one():
    wanted, nu = np.zeros((30, 80)), 0.3
    wanted[10, :40] = 0.05
    wanted[20, :20] = -0.05
    sim, first, seen = devices(ns.Substrate(drift_nu=nu), wanted, START)
    expected, w, age = [], first.copy(), np.zeros_like(first)
    since = w.copy()
    for step in wanted:
        age += 1
        w = since * age**-nu
        changed = np.broadcast_to(step != 0, w.shape)
        w = w + step
        since, age = np.where(changed, w, since), np.where(changed, 0.0, age)
        expected.append(w)
    np.testing.assert_allclose(seen, expected, rtol=STORING * 60)
    # What the user writes is written too.
    sim.weights = {"A": START}
    _, expected = left_alone(ns.Substrate(drift_nu=nu), 5)
    probe = [ns.Probe("A", "w")]
    given = np.zeros((5, 1, 80)), np.ones((5, 1, 1))
    np.testing.assert_array_equal(sim.run(*given, probes=probe).probes["A.w"], expected)


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.1), (0.0, 0.5)])
def test_devices_drift_by_exponents_of_their_own(low, high):
    chip, steps = ns.Substrate(drift_nu=(low, high), seed=3), 100

    def exponents(chip, **more):
        _, seen = left_alone(chip, steps, **more)
        return -np.log(seen / STORED) / np.log(np.arange(1, steps + 1) + 1e-9)[:, None, None]

    nu = exponents(chip)[[1, 50, -1]]
    np.testing.assert_allclose(nu, nu[-1:].repeat(3, axis=0), atol=2e-6)
    found = uniform_scores((nu[-1:] - low) / (high - low))
    assert max(found.values()) < LIMIT, found
    np.testing.assert_array_equal(exponents(chip, seed=6)[-1], nu[-1])
    other = exponents(chip | {"seed": 4})[-1]
    standard = (np.array([nu[-1], other]) - (low + high) / 2) / (high - low) * np.sqrt(12)
    assert uncorrelated(*standard) < LIMIT


# ------------------------------------------------------------------------ leak


@pytest.mark.parametrize("tau", [3.0, 200.0])
def test_leak_is_exponential(tau):
    steps = 40
    _, seen = left_alone(ns.Substrate(leak_tau=tau), steps)
    t = np.arange(1, steps + 1)[:, None, None]
    np.testing.assert_allclose(seen, STORED * np.exp(-t / tau), rtol=STORING * 2 * steps)


def test_what_leaks_is_not_put_back_on_levels():
    """And what is written is."""
    chip = ns.Substrate(leak_tau=20.0, w_bits=4)
    wanted = np.zeros((4, 80))
    wanted[2, :40] = 0.2
    _, first, seen = devices(chip, wanted, START)
    np.testing.assert_allclose(seen[1], first * np.exp(-2 / 20), rtol=1e-6)
    level = seen[2][:, :40] * 7
    np.testing.assert_allclose(level, np.round(level), atol=1e-5)
    off = np.abs(seen[2][:, 40:] * 7 - np.round(seen[2][:, 40:] * 7))
    assert off.max() > 0.3
    np.testing.assert_allclose(seen[3], seen[2] * np.exp(-1 / 20), rtol=1e-6)


# ------------------------------------------------------------------- diffusion


@pytest.mark.parametrize(("sigma", "full"), [(0.01, None), (0.002, 4.0)])
def test_weights_wander_by_the_root_of_time(sigma, full):
    chip, steps, sd = ns.Substrate(diffusion=sigma, w_max=full), 25, sigma * (full or 1.0)
    _, seen = left_alone(chip, steps)
    increments = np.diff(np.concatenate([STORED[None], seen]), axis=0)
    normal(increments, sd)
    for t in (4, 25):
        normal((seen[t - 1] - STORED)[None], sd * np.sqrt(t))
    # Dynamic: another simulator's is another.
    _, other = left_alone(chip, steps, seed=6)
    drawn = (seen[-1] - STORED) / sd / 5, (other[-1] - STORED) / sd / 5
    assert uncorrelated(*drawn) < LIMIT


def test_nothing_wanders_over_the_full_scale():
    _, seen = left_alone(ns.Substrate(diffusion=0.3, w_max=0.9), 20)
    assert np.abs(seen).max() == np.float32(0.9)
    assert (np.abs(seen) == np.float32(0.9)).any()
    assert (np.abs(seen) < 0.5).any()


def test_decorrelating_weights_age_too():
    net = ns.rnn(2, 12, 1, decorrelate=True, seed=1)
    sim = ns.Simulator(net, None, ns.Decorrelation(1e-12), ns.Substrate(drift_nu=0.5))
    start = sim.weights
    sim.run(np.zeros((4, 1, 2)), np.zeros((4, 1, 1)))
    for name, weights in sim.weights.items():
        np.testing.assert_allclose(weights, start[name] / 2, rtol=1e-6)
