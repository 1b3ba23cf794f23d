"""Engines agree on every chip, go on from each other's files, and share nothing by chance."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import ROUNDING, STORING, report_the_same

import neurosim as ns
from neurosim import checkpoint
from neurosim.engines import tables

CHIPS = {
    "act_noise": {"act_noise": 0.1},
    "act_telegraph": {"act_telegraph": 0.1, "telegraph_dwell": 3},
    "act_flicker": {"act_flicker": 0.1},
    "mismatch_gain": {"mismatch_gain": 0.2},
    "mismatch_offset": {"mismatch_offset": 0.2},
    "mismatch_tau": {"mismatch_tau": 0.3},
    "act_read_noise": {"act_read_noise": 0.05},
    "act_bits": {"act_bits": 5, "act_range": 2.0},
    "act_range": {"act_range": 0.3},
    "w_read_noise": {"w_read_noise": 0.05},
    "w_read_relative": {"w_read_relative": 0.1},
    "w_max": {"w_max": {"R": 0.3, "B": 0.2}},
    "w_bits": {"w_bits": 6},
    "stochastic": {"w_bits": 6, "rounding": "stochastic"},
    "stochastic_shared": {"w_bits": 6, "rounding": "stochastic_shared"},
    "fitted": {"w_bits": 6, "w_max": "fitted"},
    "w_min_step": {"w_min_step": 1e-3, "rounding": "stochastic"},
    "asymmetry": {"asymmetry": 0.3},
    "soft_bounds": {"soft_bounds": True, "w_max": 2.0},
    "c2c": {"c2c": 0.3},
    "d2d": {"d2d": 0.3},
    "w_write_noise": {"w_write_noise": 0.01},
    "stuck_fraction": {"stuck_fraction": 0.3},
    "stuck_at": {"stuck_fraction": 0.3, "stuck_at": 0.1},
    "drift_nu": {"drift_nu": 0.1},
    "drift_nu of a range": {"drift_nu": (0.05, 0.3)},
    "leak_tau": {"leak_tau": 50.0},
    "diffusion": {"diffusion": 0.01},
    "event_loss": {"event_loss": 0.2},
    "event_jitter": {"event_jitter": 0.2},
    "event_loss and jitter": {"event_loss": 0.2, "event_jitter": 0.3},
    "event_bits": {"event_bits": 5},
    "event_range": {"event_range": 0.3},
    "reward_noise": {"reward_noise": 0.5},
    "reward_bits": {"reward_bits": 3},
    "reward_delay": {"reward_delay": 3},
    "reward_loss": {"reward_loss": 0.3},
}
FIVE = {
    "act_noise": 0.02,
    "event_loss": 0.1,
    "w_bits": 8,
    "rounding": "stochastic",
    "reward_delay": 2,
    "mismatch_gain": 0.1,
    "act_read_noise": 0.01,
}
LINE = {"reward_noise": 0.1, "reward_bits": 6, "reward_delay": 2, "reward_loss": 0.1}
ALL = {
    "act_noise": 0.02,
    "act_telegraph": 0.02,
    "act_flicker": 0.02,
    "mismatch_gain": 0.1,
    "mismatch_offset": 0.1,
    "mismatch_tau": 0.1,
    "act_read_noise": 0.01,
    "act_bits": 10,
    "w_read_noise": 0.01,
    "w_read_relative": 0.01,
    "w_bits": 12,
    "w_max": 3.0,
    "rounding": "stochastic",
    "w_min_step": 1e-5,
    "asymmetry": 0.1,
    "soft_bounds": 1,
    "c2c": 0.1,
    "d2d": 0.1,
    "w_write_noise": 1e-4,
    "stuck_fraction": 0.1,
    "drift_nu": (0.01, 0.02),
    "leak_tau": 1000,
    "diffusion": 1e-4,
    "event_loss": 0.05,
    "event_jitter": 0.05,
    "event_bits": 8,
    **LINE,
}
RULES = {
    "ANP": ns.ANP(1e-3),
    "ANP, both": ns.ANP(1e-3, passes="both"),
    "ANP, both, set back": ns.ANP(1e-3, passes="both", resync_every=2),
    "NP to go": ns.NP(1e-3, noise_std=0.1, reward="return_to_go", window=3),
    "NP adam": ns.NP(1e-3, noise_std=0.1, optimiser="adam", epsilon=1e-3, normalise=1.0),
    "NP set back": ns.NP(1e-3, noise_std=0.1, resync_every=2),
    "NP separate": ns.NP(1e-3, noise_std=0.1, layers="separate"),
    "NP pairs": ns.NP(1e-3, noise_std=0.1, pairs=2, reward_scope="batch"),
    "WP": ns.WP(1e-4, noise_std=0.1),
    "WP global": ns.WP(1e-4, noise_std=0.1, reward="global", window=4, schedule="window"),
    "LearnedFeedback": ns.LearnedFeedback(1e-3, feedback_rate=0.3),
    "RFLO": ns.RFLO(1e-2),
}
SILENT = ("LearnedFeedback", "RFLO")  # which broadcast no reward


def build(rule, chip, engine, batch=2, hidden=6, threads=1):
    net = ns.rnn(3, hidden, 2, decorrelate=True, neuron=ns.Tanh(tau=2.0), seed=2)
    given = (net, rule, ns.Decorrelation(1e-3), ns.Substrate(**chip, seed=7))
    return ns.Simulator(*given, batch=batch, engine=engine, seed=11, threads=threads)


def series(sim, steps, seed):
    generator = np.random.default_rng(seed)
    shapes = ((steps, sim.batch, 3), (steps, sim.batch, 2))
    return tuple(generator.normal(size=shape) for shape in shapes)


def both(rule, chip, **more):
    """Three runs on both engines, from rest and on from there; all that is left is compared."""
    oracle, engine = (build(rule, chip, name, **more) for name in ("objects", "cpu"))
    start = oracle.weights
    for name, weights in engine.weights.items():
        np.testing.assert_allclose(weights, start[name], rtol=2e-7)  # levels, in float32
    for run, (steps, reset) in enumerate(((5, True), (2, False), (3, True))):
        given = series(oracle, steps, run)
        expected, got = (sim.run(*given, reset=reset, outputs=True) for sim in (oracle, engine))
        report_the_same(got, expected)
    same_weights(engine.weights, oracle.weights, start)
    same_state(engine._engine.state(), oracle._engine.state())
    given = series(oracle, 2, 5)
    for noise in (True, False):
        expected, got = (sim.evaluate(*given, noise=noise) for sim in (oracle, engine))
        report_the_same(got, expected)


def same_weights(got, expected, start, times=1):
    for name, weights in got.items():
        change = np.abs(expected[name] - start[name]).max()
        allowed = times * (ROUNDING * change + 2 * STORING * np.abs(weights).max())
        assert np.abs(weights - expected[name]).max() <= allowed, name


def same_state(got, expected):
    assert got.keys() == expected.keys()
    for name, values in got.items():
        assert values.shape == expected[name].shape, name
        # Engines keep more readings, and rewards for those they do not teach, than they use.
        if not name.endswith("readings"):
            largest = np.abs(expected[name]).max()
            assert np.abs(values - expected[name]).max() <= 3 * ROUNDING * largest + 1e-6, name


@pytest.mark.parametrize("chip", CHIPS)
def test_engines_agree_on_every_assumption(chip):
    both(ns.ANP(1e-3, noise_std=0.1), CHIPS[chip])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("chip", [FIVE, ALL], ids=["five", "all"])
def test_engines_agree_on_every_rule_on_chips_with_much_at_once(rule, chip):
    if rule in SILENT:
        chip = {name: value for name, value in chip.items() if not name.startswith("reward_")}
    both(RULES[rule], chip)


@pytest.mark.parametrize(
    ("rule", "batch", "hidden"),
    [("ANP", 1, 6), ("ANP, both", 3, 6), ("WP global", 3, 6), ("ANP, both", 1, 19)],
)
def test_engines_agree_at_other_sizes(rule, batch, hidden):
    both(RULES[rule], ALL, batch=batch, hidden=hidden)


def test_engines_agree_when_passes_differ_by_the_chips_own_noise_alone():
    rule = ns.ANP(1e-3, noise_std=0, passes="both")
    for chip in ({"act_noise": 0.1}, {"event_loss": 0.2}, {"w_read_noise": 0.1}, ALL):
        both(rule, chip)


# ---------------------------------------------------------------- going on

GOING_ON = {
    "ANP": ns.ANP(1e-3),
    "ANP, both": RULES["ANP, both"],
    "ANP, both, set back": RULES["ANP, both, set back"],
    "NP to go": RULES["NP to go"],
    "WP adam": ns.WP(1e-4, noise_std=0.1, optimiser="adam", epsilon=1e-3),
}


def before(sim):
    """Three runs, the last of which ends with all kinds of things in flight."""
    for run, (steps, reset) in enumerate(((7, True), (2, True), (1, False))):
        sim.run(*series(sim, steps, run), reset=reset)
    return sim


def after(sim):
    """Two runs more: on from there, and from rest. All numbers that they leave."""
    found = [sim.evaluate(*series(sim, 3, 5)).loss]
    for run, (steps, reset) in enumerate(((6, False), (4, True)), start=3):
        record = sim.run(*series(sim, steps, run), reset=reset, outputs=True)
        found += [record.loss, record.outputs, *record.reward.values()]
    return [*found, *sim.weights.values()]


@pytest.mark.parametrize(
    ("rule", "engine"),
    [*((rule, "cpu") for rule in GOING_ON), ("ANP, both", "objects"), ("NP to go", "objects")],
)
def test_a_chip_that_is_stopped_in_mid_flight_goes_on(rule, engine, tmp_path, monkeypatch):
    """Bit for bit on the same engine, with any number of threads; on another within rounding."""
    monkeypatch.setattr(tables, "WORTH_SHARING", 0)
    path, threads = tmp_path / "chip.npz", 3 if engine == "cpu" else 1
    given = {"batch": 2, "hidden": 19 if (engine, rule) == ("cpu", "ANP, both") else 6}
    whole, shared = (
        before(build(GOING_ON[rule], ALL, engine, threads=n, **given)) for n in (1, threads)
    )
    shared.save(path)
    start = shared.weights
    expected = after(whole)
    loaded = [ns.Simulator.load(path, threads=n) for n in (1, threads)]
    for sim in (shared, *loaded) if engine == "cpu" else loaded[:1]:
        for values, wanted in zip(after(sim), expected, strict=True):
            np.testing.assert_array_equal(values, wanted)
    other = ns.Simulator.load(path, engine="objects" if engine == "cpu" else "cpu")
    for values, wanted in zip(after(other)[:-4], expected[:-4], strict=True):
        assert np.abs(values - wanted).max() <= 3 * ROUNDING * np.abs(wanted).max()
    same_weights(other.weights, whole.weights, start, times=3)


IN_FLIGHT = ("readings", "late", "late.about", "late.broadcast", "age", "telegraph", "power")
IN_FLIGHT += ("count", "before", "x", "s")


@pytest.fixture(scope="module", params=["cpu", "objects"])
def stopped(request, tmp_path_factory):
    """A file that was saved in mid-flight, what is in it, and what came of it."""
    path = tmp_path_factory.mktemp("stopped") / "chip.npz"
    sim = before(build(GOING_ON["ANP"], ALL, request.param))
    sim.save(path)
    return *checkpoint.read(path), after(sim)


@pytest.mark.parametrize("name", IN_FLIGHT)
def test_all_that_is_in_flight_is_needed_to_go_on(name, stopped, tmp_path):
    """Negative control: without it another result comes of it."""
    arrays, description, expected = stopped
    blank = {key for key in arrays if key.startswith("state/") and key.endswith(f".{name}")}
    blank |= {key for key in arrays if key == f"state/{name}"}
    assert any(arrays[key].any() for key in blank)
    path = tmp_path / "chip.npz"
    for zeroed in (set(), blank) if name == "age" else (blank,):
        changed = {k: np.zeros_like(v) if k in zeroed else v for k, v in arrays.items()}
        checkpoint.write(path, changed, description)
        found = after(ns.Simulator.load(path))
        same = all((a == b).all() for a, b in zip(found, expected, strict=True))
        assert same == (not zeroed)


@pytest.mark.parametrize("what", ["sigma", "seed", "dwell"])
def test_the_comparison_notices_another_chip(what):
    """Negative control of the agreement above: a little more noise, or another chip."""
    one, other = {
        "sigma": ({"act_noise": 0.1}, {"act_noise": 0.1001}),
        "seed": ({"mismatch_gain": 1e-3}, {"mismatch_gain": 1.5e-3}),
        "dwell": ({"act_telegraph": 0.1}, {"act_telegraph": 0.1, "telegraph_dwell": 5}),
    }[what]
    oracle = build(ns.ANP(1e-3, noise_std=0.1), one, "objects")
    engine = build(ns.ANP(1e-3, noise_std=0.1), other, "cpu")
    given = series(oracle, 5, 0)
    expected, got = (sim.run(*given, outputs=True) for sim in (oracle, engine))
    with pytest.raises(AssertionError):
        report_the_same(got, expected)
