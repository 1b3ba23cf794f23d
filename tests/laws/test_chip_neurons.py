"""Noise and mismatch of neurons are what the substrate's fields say, in moments."""

import itertools

import numpy as np
import pytest
from chips import LIMIT, chance, fan, noise_alone, normal, of_chains, scores, simulate, uncorrelated
from scipy import stats

import neurosim as ns

# ----------------------------------------------------------------- white noise


@pytest.mark.parametrize("sigma", [0.03, 2.0])
def test_act_noise_is_white_in_every_pass_replica_neuron_and_step(sigma):
    seen = noise_alone(ns.Substrate(act_noise=sigma), out=40)
    for baseline, perturbed in seen.values():
        normal(baseline, sigma)
        normal(perturbed, sigma)
        assert uncorrelated(baseline / sigma, perturbed / sigma) < LIMIT
    hidden, output = (values[0][..., :40] / sigma for values in seen.values())
    assert uncorrelated(hidden, output) < LIMIT


def test_the_statistics_notice_a_wrong_size_and_what_is_correlated():
    """Negative control, on the noise of the test above."""
    white = noise_alone(ns.Substrate(act_noise=1.0))["hidden"][0]
    assert scores(1.2 * white)["variance"] > LIMIT
    assert scores(1.2 * white)["distribution"] > LIMIT
    assert scores(white + 0.05)["mean"] > LIMIT
    for axis, name in enumerate(("time", "replicas", "neighbours")):
        # What is shared a little with the next one keeps its variance.
        mixed = 0.98 * white + np.sqrt(1 - 0.98**2) * np.roll(white, 1, axis)
        assert scores(mixed)[name] > LIMIT
        assert scores(mixed)["variance"] < LIMIT
    uniform = np.sqrt(12) * (stats.norm.cdf(white) - 0.5)
    assert scores(uniform, fourth=1.8)["distribution"] > LIMIT
    assert scores(uniform, fourth=1.8)["variance"] < LIMIT
    assert uncorrelated(white, white) > LIMIT


# ------------------------------------------------------------- telegraph noise


@pytest.mark.parametrize(("amplitude", "dwell"), [(0.3, 4.0), (2.0, 1.5), (0.7, None)])
def test_telegraph_noise_has_two_values_and_the_dwell_time_that_was_asked_for(amplitude, dwell):
    chip = ns.Substrate(act_telegraph=amplitude, telegraph_dwell=dwell)
    seen = noise_alone(chip, steps=100, hidden=150, out=150)
    rho = 1 - 2 / (dwell or 10.0)
    assert set(np.abs(seen["hidden"][0]).flat) == {float(np.float32(amplitude))}
    ups = []
    for passes in seen.values():
        for values in passes:
            assert np.abs(np.abs(values) - amplitude).max() < 2e-6
            up = np.sign(values)
            ups.append(up)
            # Stationary from the first step on: as often up, and as related to the next.
            assert chance(up[0] > 0, 0.5) < LIMIT
            switched = up[1:] != up[:-1]
            assert chance(switched[0], (1 - rho) / 2) < LIMIT
            assert chance(switched, (1 - rho) / 2) < LIMIT
            assert of_chains((up[1:] * up[:-1]).mean(axis=0), rho) < LIMIT
            assert of_chains((up[2:] * up[:-2]).mean(axis=0), rho**2) < LIMIT
            assert of_chains(up.mean(axis=0), 0.0) < LIMIT
            # Each has its own, in every replica.
            assert of_chains((up[:, 1:] * up[:, :-1]).mean(axis=0), 0.0) < LIMIT
            assert of_chains((up[..., 1:] * up[..., :-1]).mean(axis=0), 0.0) < LIMIT
            assert scores(switched, np.sqrt((1 - rho**2) / 4), (1 - rho) / 2, None)["time"] < LIMIT
    # And in every pass and population.
    for i, one in enumerate(ups):
        for other in ups[:i]:
            assert of_chains((one * other).mean(axis=0), 0.0) < LIMIT


def test_a_telegraph_that_dwells_one_step_switches_in_every_step():
    chip = ns.Substrate(act_telegraph=0.5, telegraph_dwell=1)
    for values in noise_alone(chip, steps=5)["hidden"]:
        np.testing.assert_array_equal(np.sign(values[1:]), -np.sign(values[:-1]))


def test_the_telegraph_statistics_notice_another_dwell_time():
    """Negative control: a fluctuator that stays 10 % longer."""
    chip = ns.Substrate(act_telegraph=1.0, telegraph_dwell=4.4)
    up = noise_alone(chip, steps=100)["hidden"][0]
    assert chance(up[1:] != up[:-1], 1 / 4) > LIMIT
    assert of_chains((up[1:] * up[:-1]).mean(axis=0), 0.5) > LIMIT


def test_a_telegraph_goes_on_from_run_to_run():
    """It never stands still: two runs in a row are one, at rest in between or not."""
    chip, net, inputs = ns.Substrate(act_telegraph=0.5), fan(2, 50), np.zeros((8, 2, 2))
    probes = [ns.Probe("hidden", "a", pass_=k) for k in (0, 1)]
    whole = simulate(net, chip, inputs, probes=probes)[1].probes
    sim, first = simulate(net, chip, inputs[:5], probes=probes)
    second = sim.run(inputs[5:], np.ones((3, 2, 1)), probes=probes)
    for name, values in whole.items():
        np.testing.assert_array_equal(
            values, np.concatenate([first.probes[name], second.probes[name]])
        )


# ------------------------------------------------------------------- 1/f noise


@pytest.fixture(scope="module")
def flicker():
    """1/f noise of two sizes for as long as its slowest octave lasts, and once more."""
    return {
        sigma: noise_alone(ns.Substrate(act_flicker=sigma), steps=4096, replicas=2, hidden=60)
        for sigma in (0.05, 1.5)
    }


@pytest.mark.parametrize("sigma", [0.05, 1.5])
def test_flicker_has_its_variance_and_correlation(flicker, sigma):
    """By the scatter of 120 neurons, each in both passes: its slow octaves outlast the run."""
    rho = 1 - sum(2.0**-k for k in range(12)) / 12
    for values in flicker[sigma]["hidden"]:
        z = values / sigma
        assert of_chains(z.mean(axis=0), 0.0) < LIMIT
        assert of_chains((z**2).mean(axis=0), 1.0) < LIMIT
        even = z[: len(z) // 2 * 2]
        assert of_chains((even[1:] * even[:-1]).mean(axis=0), rho) < LIMIT
        for t in (0, 1000, 3333):  # at any one step, all neurons are normal and unrelated
            normal(values[t : t + 1], sigma)
    baseline, perturbed = flicker[sigma]["hidden"]
    assert of_chains((baseline * perturbed).mean(axis=0), 0.0) < LIMIT


def spectrum(z):
    """Periodogram of every neuron, in bands of an octave; their frequencies."""
    power = np.abs(np.fft.rfft(z, axis=0)) ** 2 / len(z)
    edges = [2**k for k in range(3, 11)]
    bands = [power[low:high].mean(axis=0) for low, high in itertools.pairwise(edges)]
    return np.array(edges[:-1]) * 1.5 / len(z), np.array(bands).reshape(len(bands), -1)


@pytest.mark.parametrize("sigma", [0.05, 1.5])
def test_flicker_is_1_over_f(flicker, sigma):
    z = flicker[sigma]["hidden"][0] / sigma
    frequencies, bands = spectrum(z)
    # Exactly: of octave k, which is constant over L = 2**k steps, |sin(pi f L) / sin(pi f)|^2 / L.
    f, lasts = np.arange(1, len(z) // 2 + 1)[:, None] / len(z), 2.0 ** np.arange(12)
    exact = (np.sin(np.pi * f * lasts) ** 2 / np.sin(np.pi * f) ** 2 / lasts).sum(axis=1) / 12
    for power, low in zip(bands, [2**k for k in range(3, 10)], strict=True):
        assert of_chains(power, exact[low - 1 : 2 * low - 1].mean()) < LIMIT
    slope = np.polyfit(np.log(frequencies), np.log(bands.mean(axis=1)), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)
    white = np.random.default_rng(0).normal(size=z.shape)  # negative control
    flat = np.polyfit(np.log(frequencies), np.log(spectrum(white)[1].mean(axis=1)), 1)[0]
    assert flat == pytest.approx(0, abs=0.1)


# -------------------------------------------------------------------- mismatch

MANY = 3000


def gains_and_offsets(chip, seed=5, out=1):
    """Gains and offsets, from inputs of 0 and of 1 through weights of 1; and what was probed."""
    net, inputs = fan(1, MANY, out), np.zeros((4, 2, 1))
    inputs[1::2] = 1
    probes = [ns.Probe("hidden", v, pass_=k) for v, k in (("a", 0), ("a", 1), ("noise", 1))]
    probes.append(ns.Probe("output", "a"))
    ones = {"A": np.ones((MANY, 1)), "B": np.zeros((out, MANY))}
    record = simulate(net, chip, inputs, weights=ones, seed=seed, probes=probes)[1]
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    offset = seen["hidden.a"][0, 0]
    return seen["hidden.a"][1, 0] - offset, offset, seen


@pytest.mark.parametrize(("gain", "offset"), [(0.05, 0.3), (0.3, 0.02)])
def test_mismatch_is_frozen_and_has_its_moments(gain, offset):
    chip = ns.Substrate(mismatch_gain=gain, mismatch_offset=offset, seed=3)
    gains, offsets, seen = gains_and_offsets(chip, out=MANY)
    normal(gains[None, None], gain, mean=1.0)
    normal(offsets[None, None], offset)
    assert uncorrelated((gains - 1) / gain, offsets / offset) < LIMIT
    normal(seen["output.a"][0, :1, None], offset)
    assert uncorrelated(seen["output.a"][0, 0] / offset, offsets / offset) < LIMIT
    # The same in all steps, replicas and passes; noise that is injected goes through it.
    u = np.array([0.0, 1.0, 0.0, 1.0])[:, None, None]
    for k, noise in (("", 0.0), ("@1", seen["hidden.noise@1"])):
        assert np.abs(seen[f"hidden.a{k}"] - gains * (u + noise) - offsets).max() < 1e-6
    # A chip's own: the simulator's seed is about something else.
    same, other = gains_and_offsets(chip, seed=6), gains_and_offsets(chip | {"seed": 4})
    np.testing.assert_array_equal(same[0], gains)
    np.testing.assert_array_equal(same[1], offsets)
    assert uncorrelated((other[0] - 1) / gain, (gains - 1) / gain) < LIMIT
    assert uncorrelated(other[1] / offset, offsets / offset) < LIMIT
    assert np.abs(other[1] - offsets).max() > offset


def taus(chip, tau, seed=5):
    """Time constants, from how an activity decays: ``x1 = (1 - 1 / tau) x0``."""
    inputs = np.array([1.0, 0.0, 0.0])[:, None, None].repeat(2, axis=1)
    probes = [ns.Probe("hidden", "x"), ns.Probe("hidden", "x", pass_=1)]
    probes += [ns.Probe("hidden", "a", pass_=1)]
    ones = {"A": np.ones((MANY, 1))}
    net = fan(1, MANY, neuron=ns.Tanh(tau=tau))
    seen = simulate(net, chip, inputs, weights=ones, seed=seed, probes=probes)[1].probes
    x, perturbed, a = (seen[f"hidden.{v}"].astype(float) for v in ("x", "x@1", "a@1"))
    leak = x[0, 0] / np.tanh(1.0)
    np.testing.assert_allclose(x[1:], x[:-1] * (1 - leak), atol=1e-6)  # every step and replica
    before = np.concatenate([np.zeros_like(x[:1]), perturbed[:-1]])
    np.testing.assert_allclose(perturbed, leak * np.tanh(a) + (1 - leak) * before, atol=1e-6)
    return 1 / leak


@pytest.mark.parametrize(("spread", "tau"), [(0.03, 10.0), (0.1, 3.0)])
def test_mismatch_of_time_constants_is_frozen_and_relative(spread, tau):
    chip = ns.Substrate(mismatch_tau=spread, seed=3)
    found = taus(chip, tau)
    normal((found / tau)[None, None], spread, mean=1.0)
    np.testing.assert_array_equal(taus(chip, tau, seed=6), found)
    other = taus(chip | {"seed": 4}, tau)
    assert uncorrelated((other / tau - 1) / spread, (found / tau - 1) / spread) < LIMIT


def test_no_time_constant_is_below_one():
    spread, tau = 0.5, 2.0  # one standard deviation below, a neuron has none
    found = taus(ns.Substrate(mismatch_tau=spread), tau)
    assert found.min() == pytest.approx(1.0, abs=1e-6)
    assert chance(found < 1 + 1e-6, stats.norm.cdf(-1.0)) < LIMIT
    above = found[found > 1 + 1e-6]
    p = stats.kstest(above, stats.truncnorm(-1, np.inf, loc=tau, scale=tau * spread).cdf).pvalue
    assert p > 6e-5


def test_neurons_without_memory_have_no_time_constant():
    generator = np.random.default_rng(0)
    net, inputs = fan(2, 30, gain=1.0), generator.normal(size=(6, 2, 2))
    plain, chip = (simulate(net, ns.Substrate(mismatch_tau=s), inputs)[1] for s in (0.0, 0.5))
    np.testing.assert_array_equal(plain.loss, chip.loss)
    np.testing.assert_array_equal(plain.reward["A"], chip.reward["A"])
