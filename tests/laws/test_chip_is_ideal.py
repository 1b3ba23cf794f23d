"""Fields of 0 or None are nothing at all, and no field's noise knows of another field."""

from dataclasses import fields

import numpy as np
import pytest
from chips import CODE, LIMIT, NOBODY, Shown, arrivals, fan, noise_alone, uncorrelated

import neurosim as ns

NEVER = {"rounding", "seed"}  # which cannot be 0 or None, or are not about anything by themselves
IDEAL = {
    **{f"{f.name}=0": {f.name: 0} for f in fields(ns.Substrate) if f.name not in NEVER},
    **{f"{f.name}=None": {f.name: None} for f in fields(ns.Substrate) if f.default is None},
    "soft_bounds=False": {"soft_bounds": False},
    "drift_nu=(0, 0)": {"drift_nu": (0, 0)},
    "w_max={}": {"w_max": {}},
    # What says how something is, where there is none.
    "rounding": {"rounding": "stochastic"},
    "telegraph_dwell": {"telegraph_dwell": 3.0},
    "stuck_at": {"stuck_at": 0.5},
    "seed": {"seed": 9},
    "all at once": {f.name: 0 for f in fields(ns.Substrate) if f.name not in NEVER},
}
GENERATOR = np.random.default_rng(0)


def learnt(chip, engine, rule=None):
    """All numbers that two runs and an evaluation leave behind."""
    net = ns.rnn(2, 7 if engine == "cpu" else 4, 2, decorrelate=True, seed=1)
    rule = rule or ns.ANP(1e-2, noise_std=0.1)
    sim = ns.Simulator(net, rule, ns.Decorrelation(1e-2), chip, batch=2, engine=engine, seed=3)
    inputs, targets = GIVEN if engine == "cpu" else (values[:2] for values in GIVEN)
    found = []
    for reset in (True, False):
        record = sim.run(inputs, targets, outputs=True, reset=reset)
        found += [record.loss, record.outputs, *record.reward.values(), *sim.weights.values()]
    found.append(sim.evaluate(inputs, targets).outputs)
    return np.concatenate([np.ravel(values) for values in found])


GIVEN = GENERATOR.normal(size=(6, 2, 2)), GENERATOR.normal(size=(6, 2, 2))


@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_a_field_of_0_or_none_is_a_no_op_bit_for_bit(engine):
    ideal = learnt(None, engine)
    for name, given in IDEAL.items():
        chip = ns.Substrate(**given)
        np.testing.assert_array_equal(learnt(chip, engine), ideal, err_msg=name)
    assert np.abs(learnt(ns.Substrate(act_noise=1e-3), engine) - ideal).max() > 0


# Every field, on: enough of it to be noticed.
ACTIVE = {
    "act_noise": {"act_noise": 0.2},
    "act_telegraph": {"act_telegraph": 0.2},
    "telegraph_dwell": {"act_telegraph": 0.2, "telegraph_dwell": 2.0},
    "act_flicker": {"act_flicker": 0.2},
    "mismatch_gain": {"mismatch_gain": 0.2},
    "mismatch_offset": {"mismatch_offset": 0.2},
    "mismatch_tau": {"mismatch_tau": 0.2},
    "act_read_noise": {"act_read_noise": 0.2},
    "act_bits": {"act_bits": 4},
    "act_range": {"act_range": 0.3},
    "w_read_noise": {"w_read_noise": 0.1},
    "w_read_relative": {"w_read_relative": 0.3},
    "w_max": {"w_max": 0.2},
    "w_bits": {"w_bits": 6},
    "rounding": {"w_bits": 6, "rounding": "stochastic"},
    "w_min_step": {"w_min_step": 1e-3},
    "asymmetry": {"asymmetry": 0.5},
    "soft_bounds": {"soft_bounds": 1},
    "c2c": {"c2c": 0.5},
    "d2d": {"d2d": 0.5},
    "w_write_noise": {"w_write_noise": 0.01},
    "stuck_fraction": {"stuck_fraction": 0.3},
    "stuck_at": {"stuck_fraction": 0.3, "stuck_at": 0.1},
    "drift_nu": {"drift_nu": (0.1, 0.2)},
    "leak_tau": {"leak_tau": 10.0},
    "diffusion": {"diffusion": 0.02},
    "event_loss": {"event_loss": 0.3},
    "event_jitter": {"event_jitter": 0.3},
    "event_bits": {"event_bits": 4},
    "event_range": {"event_range": 0.3},
    "reward_noise": {"reward_noise": 1.0},
    "reward_bits": {"reward_bits": 3},
    "reward_delay": {"reward_delay": 2},
    "reward_loss": {"reward_loss": 0.5},
}


def test_every_field_does_something_and_shifts_no_injected_noise():
    assert set(ACTIVE) | {"seed"} == {f.name for f in fields(ns.Substrate)}
    net = ns.rnn(2, 20, 2, neuron=ns.Tanh(tau=2.0), seed=1)
    probes = [ns.Probe(p, "noise", pass_=1) for p in ("hidden", "output")]
    found = {}
    for name, given in {"ideal": {}, **ACTIVE}.items():
        sim = ns.Simulator(net, ns.NP(1e-2, noise_std=0.1), None, ns.Substrate(**given), 2, seed=3)
        record = sim.run(*GIVEN, probes=probes)
        numbers = [*sim.weights.values(), *record.reward.values()]
        found[name] = np.concatenate([values.ravel() for values in numbers])
        for probe in probes:
            drawn = record.probes[probe.name]
            first = found.setdefault(probe.name, drawn)
            np.testing.assert_array_equal(drawn, first, err_msg=name)
    seen = [found[name].tobytes() for name in ("ideal", *ACTIVE)]
    assert len(set(seen)) == len(seen)


NEIGHBOURS = {
    "act_noise": {"act_noise": 0.2},
    "act_telegraph": {"act_telegraph": 0.3},
    "act_flicker": {"act_flicker": 0.4},
    "mismatch_offset": {"mismatch_offset": 0.5},
}


@pytest.mark.parametrize("one", NEIGHBOURS)
def test_process_noise_and_mismatch_do_not_know_of_each_other(one):
    """In units without weights what one field adds is the same with all others on."""

    def a(*names):
        given = {k: v for name in names for k, v in NEIGHBOURS[name].items()}
        chip = ns.Substrate(**given, act_read_noise=0.3 * (len(names) > 1))
        return np.array(noise_alone(chip, steps=10)["hidden"])

    others = [name for name in NEIGHBOURS if name != one]
    alone, together, without = a(one), a(one, *others), a(*others)
    np.testing.assert_allclose(together - without, alone, atol=1e-6)
    assert np.abs(alone).max() > 0.1


def test_the_noise_of_a_write_does_not_know_of_its_other_parts():
    def seen(wanted=0.01, **given):
        sim = ns.Simulator(fan(40, 50), Shown({"A": 1.0}), None, ns.Substrate(**given), seed=5)
        sim.run(np.full((3, 1, 40), -wanted), np.ones((3, 1, 1)))
        return sim.weights["A"].astype(float) - 3 * wanted

    cycles, written = seen(c2c=0.3), seen(w_write_noise=0.02)
    both = seen(c2c=0.3, w_write_noise=0.02, stuck_fraction=1e-9, asymmetry=1e-9)
    np.testing.assert_allclose(both, cycles + written, atol=1e-6)
    wandering = seen(diffusion=0.02)
    np.testing.assert_allclose(seen(c2c=0.3, diffusion=0.02), cycles + wandering, atol=1e-6)
    for one, other in ((cycles, written), (cycles, wandering), (written, wandering)):
        assert uncorrelated(one / one.std(), other / other.std()) < LIMIT


def test_what_is_lost_does_not_know_of_what_is_late():
    inputs = np.zeros((20, 2, len(CODE)))
    inputs[::2] = 1
    lost = arrivals(ns.Substrate(event_loss=0.3), inputs)[:, ::2]
    found = arrivals(ns.Substrate(event_loss=0.3, event_jitter=0.4), inputs)
    np.testing.assert_array_equal(found[:, ::2] + found[:, 1::2], lost)
    late = arrivals(ns.Substrate(event_jitter=0.4), inputs)[:, 1::2]
    np.testing.assert_array_equal(found[:, 1::2], late * lost)


# ------------------------------------------------------------------ evaluation


def test_evaluation_draws_none_of_what_learning_meets_and_leaves_it_alone():
    chip = ns.Substrate(act_noise=0.3, act_telegraph=0.1, event_loss=0.1, w_read_noise=0.02)
    inputs = GENERATOR.normal(size=(8, 3, 2))
    targets, net = np.ones((8, 3, 1)), ns.rnn(2, 20, 1, seed=1)
    ends = []
    for looks in (False, True):
        sim = ns.Simulator(net, ns.NP(1e-3, noise_std=0.1), None, chip, 3, seed=5)
        found = []
        for _ in range(2):
            found.append(sim.run(inputs, targets).loss)
            if looks:
                first, again = (sim.evaluate(inputs, targets).outputs for _ in range(2))
                np.testing.assert_array_equal(first, again)
        ends.append(np.concatenate([*found, *sim.weights.values()], axis=None))
    np.testing.assert_array_equal(*ends)


def test_evaluations_noise_is_another_one_of_the_same_size():
    sigma, chip = 0.3, ns.Substrate(act_noise=0.3)
    net, inputs, targets = fan(2, 100), np.zeros((20, 3, 2)), np.ones((20, 3, 1))
    sim = ns.Simulator(net, ns.NP(NOBODY, noise_std=0.1), None, chip, 3, seed=5)
    probe = [ns.Probe("hidden", "a")]
    looked = sim.evaluate(inputs, targets, probes=probe).probes["hidden.a"]
    met = sim.run(inputs, targets, probes=probe).probes["hidden.a"]
    later = sim.evaluate(inputs, targets, probes=probe).probes["hidden.a"]
    for one, other in ((looked, met), (looked, later), (met, later)):
        assert not np.isin(one, other).any()
        assert uncorrelated(one / sigma, other / sigma) < LIMIT
        assert np.std(one) == pytest.approx(sigma, rel=4 / np.sqrt(2 * one.size))


def test_evaluation_without_noise_is_the_same_chip_with_all_that_is_dynamic_off():
    dynamic = dict.fromkeys(("act_noise", "act_telegraph", "act_flicker"), 0.1)
    dynamic |= {"w_read_noise": 0.01, "w_read_relative": 0.1, "diffusion": 0.01}
    dynamic |= {"event_loss": 0.1, "event_jitter": 0.1}
    frozen = ns.Substrate(
        mismatch_gain=0.2, mismatch_offset=0.1, w_bits=5, stuck_fraction=0.2, event_bits=6,
        drift_nu=0.2, leak_tau=30.0, seed=2,
    )  # fmt: skip
    net, rule = ns.rnn(2, 20, 1, seed=1), ns.NP(1e-3, noise_std=0.1)
    inputs, targets = GENERATOR.normal(size=(8, 3, 2)), np.ones((8, 3, 1))
    quiet, noisy = (
        ns.Simulator(net, rule, None, frozen | given, 3, seed=5) for given in ({}, dynamic)
    )
    expected = quiet.evaluate(inputs, targets).outputs
    np.testing.assert_array_equal(noisy.evaluate(inputs, targets, noise=False).outputs, expected)
    assert np.abs(noisy.evaluate(inputs, targets).outputs - expected).max() > 0.01
    plain = ns.Simulator(net, rule, None, None, 3, seed=5)
    assert np.abs(plain.evaluate(inputs, targets).outputs - expected).max() > 0.01
    assert (frozen | dynamic).without_noise() == frozen
    assert (frozen | dynamic).noisy
    assert not frozen.noisy
    for name, value in dynamic.items():
        assert ns.Substrate(**{name: value}).noisy
