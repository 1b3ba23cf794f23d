"""What is stored when a weight is written: levels, bounds, steps and their noise."""

import numpy as np
import pytest
from chips import LIMIT, Shown, by_chance, chance, devices, fan, normal, scores, uncorrelated

import neurosim as ns

GENERATOR = np.random.default_rng(0)
START = GENERATOR.uniform(-0.8, 0.8, size=(100, 80))


def made(first, seen):
    """Changes at every step."""
    return np.diff(np.concatenate([first[None], seen]), axis=0)


def on_levels(weights, limit, bits):
    """Which of ``2**bits - 1`` levels weights have, as whole numbers."""
    level = np.asarray(weights, dtype=float) * (2 ** (bits - 1) - 1) / limit
    np.testing.assert_allclose(level, np.round(level), atol=1e-4)
    assert np.abs(level).max() < 2 ** (bits - 1)
    return np.round(level).astype(int)


# ---------------------------------------------------------------------- levels


@pytest.mark.parametrize(("bits", "full"), [(2, None), (3, 0.5), (5, 2.0)])
def test_all_weights_are_on_their_levels_at_all_times(bits, full):
    chip, limit = ns.Substrate(w_bits=bits, w_max=full), full or 1.0
    net = ns.rnn(4, 30, 2, gain=3.0, input_gain=3.0, decorrelate=True, seed=1)
    sim = ns.Simulator(net, Shown(0.5), ns.Decorrelation(0.1), chip, seed=2)
    start = net.initial_weights()
    for name, weights in sim.weights.items():  # rounded to the nearest, and saturated
        on_levels(weights, limit, bits)
        off = np.abs(weights - np.clip(start[name], -limit, limit))
        assert off.max() <= limit / (2 ** (bits - 1) - 1) / 2 + 1e-6
    sim.run(GENERATOR.normal(size=(40, 1, 4)), np.ones((40, 1, 2)))
    for weights in sim.weights.values():
        assert (weights != 0).any()
        on_levels(weights, limit, bits)
    sim.weights = {"R": GENERATOR.uniform(-1.5 * limit, 1.5 * limit, size=(30, 30))}
    found = np.unique(on_levels(sim.weights["R"], limit, bits))
    assert len(found) == 2**bits - 1


def test_rounding_to_the_nearest_loses_what_is_small():
    """Half a level a step gets a weight anywhere, a little less nowhere."""
    chip, spacing = ns.Substrate(w_bits=4), 1 / 7
    wanted = np.full((6, 80), 0.49 * spacing)
    wanted[:, ::2] = 0.51 * spacing
    _, first, seen = devices(chip, wanted, START)
    np.testing.assert_array_equal(seen[-1][:, 1::2], first[:, 1::2])
    steps = np.minimum(on_levels(first, 1, 4)[:, ::2] + 6, 7)
    np.testing.assert_array_equal(on_levels(seen[-1], 1, 4)[:, ::2], steps)


@pytest.mark.parametrize("part", [0.15, 0.7])
@pytest.mark.parametrize("sign", [1, -1])
def test_stochastic_rounding_keeps_the_mean_with_a_draw_for_each_synapse(part, sign):
    chip, spacing = ns.Substrate(w_bits=8, rounding="stochastic"), 1 / 127
    wanted = np.full((40, 80), sign * (2 + part) * spacing)
    wanted[1::2] *= -1  # forth and back
    _, first, seen = devices(chip, wanted)
    forth = np.round(made(first, seen)[::2] / spacing).astype(int) * sign
    assert set(forth.flat) == {2, 3}
    by_chance(forth == 3, part)
    back = np.round(made(first, seen)[1::2] / spacing).astype(int) * -sign
    by_chance(back == 3, part)
    assert uncorrelated((forth - 2.0 - part) / 0.5, (back - 2.0 - part) / 0.5) < LIMIT


@pytest.mark.parametrize("part", [0.15, 0.7])
def test_shared_stochastic_rounding_has_one_draw_for_a_whole_matrix(part):
    chip, spacing = ns.Substrate(w_bits=12, w_max=4, rounding="stochastic_shared"), 4 / 2047
    wanted = np.full((600, 5), part * spacing)
    wanted[:, 4] *= 0.5
    _, first, seen = devices(chip, wanted, post=6)
    up = np.round(made(first, seen) / spacing).astype(int)
    np.testing.assert_array_equal(up[:, :, :4], up[:, :1, :1].repeat(6, axis=1).repeat(4, axis=2))
    by_chance(up[:, :1, :1] == 1, part)
    by_chance(up[:, :1, 4:] == 1, part / 2)
    assert (up[:, :1, 4:] <= up[:, :1, :1]).all()  # the same draw, another chance


def test_matrices_that_round_share_no_draw():
    chip = ns.Substrate(w_bits=12, w_max=4, rounding="stochastic_shared")
    net, spacing, steps = ns.rnn(1, 4, 1, bias=0.1, gain=0.0, input_gain=0.0), 4 / 2047, 600
    sim = ns.Simulator(net, Shown({"A": 1.0, "b": spacing / 2}), None, chip, seed=5)
    sim.weights = {name: np.zeros_like(w) for name, w in sim.weights.items()}
    probes = [ns.Probe("A", "w"), ns.Probe("b", "w")]
    given = np.full((steps, 1, 1), spacing / 2), np.ones((steps, 1, 1))
    seen = sim.run(*given, probes=probes).probes
    up = [np.diff(-seen[p.name][:, :1].astype(float), axis=0) / spacing for p in probes]
    for values in up:
        by_chance(np.round(values) == 1, 0.5)
    assert uncorrelated(2 * up[0] - 1, 2 * up[1] - 1) < LIMIT


# ------------------------------------------------------------------ full scale


def test_w_max_is_the_largest_weight():
    net = ns.rnn(3, 10, 2, gain=1.0, decorrelate=True, seed=1)
    n, names = 10, ("A", "R", "B", "D")
    xavier = {"A": 4 * np.sqrt(2 / 13), "R": 4 * np.sqrt(2 / 20), "B": 4 * np.sqrt(2 / 12), "D": 2}
    for given, limits in (
        (0.3, dict.fromkeys(names, 0.3)),
        (2.5, dict.fromkeys(names, 2.5)),
        ({"R": 0.7, "D": 0.2}, {"A": 1, "R": 0.7, "B": 1, "D": 0.2}),
        ("fitted", xavier),
        (None, dict.fromkeys(names, 100.0)),
    ):
        sim = ns.Simulator(net, Shown(1.0), None, ns.Substrate(w_max=given))
        start = net.initial_weights()
        for name, weights in sim.weights.items():
            expected = np.clip(start[name], -limits[name], limits[name])
            np.testing.assert_allclose(weights, expected, rtol=1e-6)
        sim.weights = {name: np.full_like(w, -100) for name, w in sim.weights.items()}
        for name, weights in sim.weights.items():
            np.testing.assert_allclose(weights, -limits[name], rtol=1e-6)
        assert n == len(sim.weights["D"])


@pytest.mark.parametrize("full", [0.5, 2.0])
def test_learning_stops_at_the_full_scale(full):
    wanted = np.full((8, 3), 0.3 * full)
    wanted[:, 1] *= -1
    wanted[:, 2] = 0
    for given, limit in ((full, full), (None, np.inf)):
        _, _, seen = devices(ns.Substrate(w_max=given), wanted, post=4)
        steps = np.arange(1, 9)[:, None, None] * wanted[0]
        np.testing.assert_allclose(seen, np.clip(steps, -limit, limit).repeat(4, axis=1), atol=3e-6)


def test_a_fitted_full_scale_follows_the_gain_and_how_weights_were_drawn():
    for recurrent, sd in (("xavier", np.sqrt(2 / 40)), ("orthogonal", np.sqrt(1 / 20))):
        for gain in (0.5, 2.0):
            net = ns.rnn(2, 20, 1, gain=gain, recurrent=recurrent, seed=1)
            sim = ns.Simulator(net, substrate=ns.Substrate(w_max="fitted"))
            sim.weights = {"R": np.full((20, 20), 50.0)}
            np.testing.assert_allclose(sim.weights["R"], 4 * gain * sd, rtol=1e-6)


# ----------------------------------------------------------------------- steps


@pytest.mark.parametrize(("smallest", "full"), [(0.01, None), (0.004, 2.0)])
def test_steps_are_whole_multiples_of_the_smallest(smallest, full):
    size = smallest * (full or 1.0)
    parts = np.array([0.0, 0.2, 0.49, 0.51, 1.3, 1.7, 5.49, -0.49, -0.51, -2.6])
    chip = ns.Substrate(w_min_step=smallest, w_max=full)
    _, first, seen = devices(chip, parts[None].repeat(5, axis=0) * size, 0.0, post=3)
    whole = np.sign(parts) * np.floor(np.abs(parts) + 0.5)
    np.testing.assert_allclose(made(first, seen), (whole * size) + np.zeros((5, 3, 1)), atol=1e-7)
    still = np.abs(parts) < 0.5
    np.testing.assert_array_equal(seen[:, :, still], 0.0)


@pytest.mark.parametrize("part", [0.2, 1.6])
@pytest.mark.parametrize("sign", [1, -1])
def test_stochastic_steps_keep_the_mean(part, sign):
    chip, size = ns.Substrate(w_min_step=0.01, rounding="stochastic"), 0.01
    _, first, seen = devices(chip, np.full((40, 80), sign * part * size))
    pulses = made(first, seen) / size * sign
    np.testing.assert_allclose(pulses, np.round(pulses), atol=1e-3)
    more = np.round(pulses) == np.ceil(part)
    assert set(np.round(pulses).flat) == {np.floor(part), np.ceil(part)}
    by_chance(more, part - np.floor(part))


def test_shared_steps_are_made_by_all_or_none():
    chip = ns.Substrate(w_min_step=0.01, rounding="stochastic_shared")
    _, first, seen = devices(chip, np.full((500, 4), 0.004), post=5)
    pulses = np.round(made(first, seen) / 0.01)
    np.testing.assert_array_equal(pulses, pulses[:, :1, :1].repeat(5, axis=1).repeat(4, axis=2))
    by_chance(pulses[:, :1, :1] == 1, 0.4)


@pytest.mark.parametrize("asymmetry", [0.3, -0.5, 1.0])
def test_asymmetry_makes_steps_up_larger_and_steps_down_smaller(asymmetry):
    wanted = np.array([[0.02, -0.02, 0.005, -0.3]])
    _, first, seen = devices(ns.Substrate(asymmetry=asymmetry), wanted, START[:, :4])
    expected = wanted * (1 + asymmetry * np.sign(wanted))
    np.testing.assert_allclose(made(first, seen)[0], expected.repeat(100, axis=0), atol=1e-7)


@pytest.mark.parametrize(("soft", "full"), [(True, 1.0), (1.0, 2.0), (0.4, 0.9)])
def test_soft_bounds_shrink_steps_towards_the_bounds(soft, full):
    wanted = np.tile([0.01, -0.01], 40)[None]
    _, first, seen = devices(ns.Substrate(soft_bounds=soft, w_max=full), wanted, START)
    expected = wanted * (1 - float(soft) * np.sign(wanted) * first / full)
    np.testing.assert_allclose(made(first, seen)[0], expected, atol=2e-7)
    # Without a full scale it is 1, and a bound.
    if full == 1.0:
        _, _, same = devices(ns.Substrate(soft_bounds=soft), wanted, START)
        np.testing.assert_array_equal(same, seen)


@pytest.mark.parametrize("spread", [0.1, 0.6])
def test_steps_vary_from_cycle_to_cycle(spread):
    step = 0.01
    _, first, seen = devices(ns.Substrate(c2c=spread), np.full((20, 80), step))
    relative = made(first, seen) / step
    normal(relative, spread, mean=1.0)
    _, first, seen = devices(ns.Substrate(c2c=spread), np.full((20, 80), -step))
    normal(made(first, seen) / -step, spread, mean=1.0)


@pytest.mark.parametrize("spread", [0.1, 0.6])
def test_steps_vary_from_device_to_device_and_that_is_frozen(spread):
    wanted, chip = np.full((3, 80), 0.01), ns.Substrate(d2d=spread, seed=3)
    wanted[1] *= -2
    sim, first, seen = devices(chip, wanted)
    relative = made(first, seen) / wanted[:, None]
    normal(relative[:1], spread, mean=1.0)
    np.testing.assert_allclose(relative, relative[:1].repeat(3, axis=0), atol=3e-5)
    _, _, same = devices(chip, wanted, seed=6)
    np.testing.assert_array_equal(same, seen)
    _, first, other = devices(chip | {"seed": 4}, wanted)
    other = (made(first, other)[0] / 0.01 - 1) / spread
    assert uncorrelated(other, (relative[0] - 1) / spread) < LIMIT
    assert sim.substrate.seed == 3


def test_both_spreads_multiply():
    _, first, device = devices(ns.Substrate(d2d=0.3), np.full((10, 80), 0.01))
    _, first, cycle = devices(ns.Substrate(c2c=0.4), np.full((10, 80), 0.01))
    _, first, both = devices(ns.Substrate(d2d=0.3, c2c=0.4), np.full((10, 80), 0.01))
    own, changing, together = (made(first, seen) / 0.01 for seen in (device, cycle, both))
    np.testing.assert_allclose(together, own * changing, atol=1e-4)
    assert scores(together, np.sqrt(0.3**2 + 0.4**2), 1.0)["variance"] > LIMIT  # but also both


@pytest.mark.parametrize(("sigma", "full"), [(0.02, None), (0.001, 3.0)])
def test_writes_leave_noise_where_something_was_written(sigma, full):
    wanted, sd = np.zeros((20, 80)), sigma * (full or 1.0)
    wanted[::2, :40] = 0.01
    chip = ns.Substrate(w_write_noise=sigma, w_max=full)
    _, first, seen = devices(chip, wanted, START)
    change = made(first, seen)
    np.testing.assert_array_equal(change[1::2], 0.0)
    np.testing.assert_array_equal(change[:, :, 40:], 0.0)
    written = change[::2, :, :40]
    if full is None:
        assert (np.abs(seen) > 0.8).any()  # no bound
    normal(written - 0.01, sd)


# ----------------------------------------------------------------------- stuck


@pytest.mark.parametrize("fraction", [0.1, 0.6])
@pytest.mark.parametrize("at", [None, 0.0, -0.5])
def test_stuck_synapses_never_change(fraction, at):
    full, n = 2.0, 80
    chip = ns.Substrate(stuck_fraction=fraction, stuck_at=at, w_max=full, seed=3, drift_nu=0.3)
    net = fan(n, 100, gain=0.5)
    initial = net.initial_weights()["A"]
    sim = ns.Simulator(net, Shown({"A": 1.0}), None, chip, seed=5)
    before = sim.weights["A"]
    sim.weights = {"A": np.full((100, n), 0.77)}
    stuck = sim.weights["A"] != np.float32(0.77)
    by_chance(stuck[None], fraction)
    expected = initial if at is None else np.full_like(initial, at * full)
    np.testing.assert_array_equal(sim.weights["A"][stuck], expected[stuck])
    np.testing.assert_array_equal(before[stuck], expected[stuck])
    np.testing.assert_array_equal(before[~stuck], initial[~stuck])
    sim.run(np.full((5, 1, n), -0.01), np.ones((5, 1, 1)))
    np.testing.assert_array_equal(sim.weights["A"][stuck], expected[stuck])
    assert (sim.weights["A"][~stuck] != np.float32(0.77)).all()
    # Frozen: the chip's seed says which, for each matrix.
    for seed, given, same in ((6, chip, True), (5, chip | {"seed": 4}, False)):
        other = ns.Simulator(net, Shown({"A": 1.0}), None, given, seed=seed)
        other.weights = {"A": np.full((100, n), 0.77)}
        others = other.weights["A"] != np.float32(0.77)
        assert (others == stuck).all() == same
        if not same:
            both = fraction**2
            assert chance(others & stuck, both) < LIMIT
