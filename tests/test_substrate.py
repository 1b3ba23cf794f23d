"""The record of hardware assumptions: what it refuses, how it is put together and told."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

import neurosim as ns
from neurosim import describe
from neurosim.substrate.record import AMOUNTS, CHANCES

NAMES = [f.name for f in fields(ns.Substrate)]
NO_NUMBERS = ("1", True, [1.0], math.nan, math.inf, 10**400)

# ------------------------------------------------------------------- refusals

BITS = "None or a whole number of bits in [2, 24]"
SIZE = "None or a finite number > 0"
DRIFT = "a finite number >= 0, or two of them, low and high"
FULL = "None, a finite number > 0, one for each matrix by name, or 'fitted'"
DELAY = "a whole number of steps in [0, 100001)"
REFUSED = {
    **dict.fromkeys(AMOUNTS, ("a finite number >= 0", (*NO_NUMBERS, -1e-09, None))),
    **dict.fromkeys(CHANCES, ("a number in [0, 1]", (*NO_NUMBERS, -0.1, 1.1, None))),
    **dict.fromkeys(
        ("act_bits", "w_bits", "event_bits", "reward_bits"),
        (BITS, ("8", True, 1, -2, 25, 3.0, 2.5, math.nan)),
    ),
    **dict.fromkeys(("act_range", "leak_tau", "event_range"), (SIZE, (*NO_NUMBERS, -1.0))),
    "telegraph_dwell": ("None or a number of steps >= 1", (*NO_NUMBERS, 0.9, -3)),
    "w_max": (FULL, (True, [1.0], math.nan, math.inf, -1.0)),
    "rounding": ("one of nearest, stochastic, stochastic_shared", ("up", None, 0, True, "")),
    "asymmetry": ("a number in [-1, 1]", (*NO_NUMBERS, 1.01, -1.01, None)),
    "soft_bounds": ("True or a number in [0, 1]", ("1", None, math.nan, math.inf, 1.5, -0.1)),
    "stuck_at": ("None or a number in [-1, 1], in units of the f", (*NO_NUMBERS, 1.01, -1.01)),
    "drift_nu": (DRIFT, (*NO_NUMBERS, None, -0.1, (0.1,), (0.2, 0.1), (-0.1, 0.1), (0, "1"), ())),
    "reward_delay": (DELAY, ("3", True, None, 1.0, -1, 100_001, math.nan)),
    "seed": ("a whole number in [0, 2**32)", ("3", True, None, 1.0, -1, 2**32)),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_field_refuses_what_it_cannot_be(name):
    allowed, bad = REFUSED[name]
    for value in bad:
        with pytest.raises(ns.InputError) as caught:
            ns.Substrate(**{name: value})
        assert str(caught.value).startswith(f"Substrate: {name} = {value!r} must be {allowed}")


def test_a_full_scale_refuses_more():
    for bad in (0, -1.0, math.nan, None, "fitted", True):
        with pytest.raises(ns.InputError, match=r"Substrate: w_max\['R'\] = .* must be a finite n"):
            ns.Substrate(w_max={"A": 1.0, "R": bad})
    with pytest.raises(ns.InputError, match=r"w_max = 'best' must be None, .* or 'fitted'"):
        ns.Substrate(w_max="best")


@pytest.mark.parametrize(
    "given",
    [
        {"act_noise": np.float32(0.5), "w_bits": np.int64(8), "reward_delay": np.int8(3)},
        {"act_noise": 1, "soft_bounds": True, "event_loss": 1, "asymmetry": -1},
        {"drift_nu": [0.1, 0.2]},
        {"drift_nu": (0.1, 0.2)},
        {"w_bits": 2, "act_bits": 24, "w_max": 1e-6},
        {"seed": 2**32 - 1, "reward_delay": 100_000, "telegraph_dwell": 1},
    ],
    ids=str,
)
def test_what_makes_sense_is_taken(given):
    made = ns.Substrate(**given)
    for name, value in given.items():
        assert getattr(made, name) == (tuple(value) if isinstance(value, list) else value)


def test_every_default_is_ideal_and_nothing_can_be_changed():
    chip = ns.Substrate()
    assert chip.assumed == {}
    assert not chip.noisy
    assert chip == ns.presets.ideal == ns.Substrate(**dict.fromkeys(AMOUNTS, 0))
    with pytest.raises(AttributeError):
        chip.act_noise = 1.0
    with pytest.raises(TypeError, match="act_nois"):
        ns.Substrate(act_nois=1.0)


# -------------------------------------------------- refusals with a network


def simulator(rule=None, net=None, **given):
    return ns.Simulator(net or ns.rnn(1, 3, 1), rule, substrate=ns.Substrate(**given))


def test_a_full_scale_must_name_a_matrix():
    said = r"Substrate: w_max\['Rr'\] names no matrix; did you mean 'R'\? known: A, B, R"
    with pytest.raises(ns.InputError, match=said):
        simulator(w_max={"Rr": 1.0})
    with pytest.raises(ns.InputError, match=r"w_max\['D'\] names no matrix"):
        simulator(w_max={"D": 1.0})
    net = ns.rnn(1, 3, 1, decorrelate=True)
    assert simulator(net=net, w_max={"D": 0.5}).weights["D"].max() == 0.5


REWARDS = [{"reward_noise": 0.1}, {"reward_bits": 4}, {"reward_loss": 0.1}, {"reward_delay": 2}]


@pytest.mark.parametrize("given", REWARDS, ids=str)
def test_a_rule_that_broadcasts_no_reward_refuses_to_have_it_altered(given):
    (name, value), *_ = given.items()
    for rule in (ns.RFLO(1e-2), ns.LearnedFeedback(1e-3)):
        said = rf"{type(rule).__name__}: substrate has {name} = {value}, which is about the scalar "
        with pytest.raises(ns.InputError, match=said):
            simulator(rule, **given)
    simulator(ns.NP(1e-3), **given)
    simulator(None, **given)


def test_a_rule_that_broadcasts_errors_too_refuses_a_delay():
    class Mixed(ns.NP):
        @staticmethod
        def neuron(noise, reward, feedback):
            return reward * noise + feedback

    with pytest.raises(ns.InputError, match=r"Mixed: substrate has reward_delay = 2, but the err"):
        simulator(Mixed(1e-3), reward_delay=2)
    simulator(Mixed(1e-3), reward_noise=0.1)


LANES = ("act_noise", "act_telegraph", "act_flicker", "w_read_noise", "w_read_relative")
LANES += ("event_loss", "event_jitter")


def test_two_noisy_passes_need_noise():
    rule = ns.ANP(1e-3, noise_std=0, passes="both")
    said = r"ANP: noise_std = 0 needs a substrate whose passes differ by themselves: one of act_noi"
    for given in (
        *({}, {"mismatch_gain": 0.1}, {"act_read_noise": 0.1}, {"diffusion": 0.1}),
        {"act_noise": 1e-9},  # float32 cannot tell
    ):
        with pytest.raises(ns.InputError, match=said):
            simulator(rule, **given)
    for name in LANES:
        simulator(rule, **{name: 0.1})
    simulator(ns.ANP(1e-3, passes="both"))


def test_a_clean_pass_needs_injected_noise_on_any_chip():
    for rule in (ns.ANP, ns.NP, ns.WP):
        with pytest.raises(ns.InputError, match=rf"{rule.__name__}: noise_std = 0 must be a finit"):
            rule(1e-3, noise_std=0)


@pytest.mark.parametrize("given", [{"pairs": 1}, {"layers": "separate"}], ids=str)
def test_two_noisy_passes_are_all_there_is(given):
    (name, value), *_ = given.items()
    said = rf"ANP: {name} = {value!r} does not go with passes = 'both'"
    with pytest.raises(ns.InputError, match=said):
        ns.ANP(1e-3, passes="both", **given)


@pytest.mark.parametrize("passes", [1, 0, 3, "two", None, True])
def test_anp_compares_two_passes(passes):
    with pytest.raises(ns.InputError, match=r"ANP: passes = .* must be 2, or 'both'"):
        ns.ANP(1e-3, passes=passes)


def test_two_noisy_passes_leave_no_noise_to_be_known():
    class Knowing(ns.ANP):
        @staticmethod
        def neuron(noise, reward):
            return reward * noise

    said = r"Knowing: neuron\(\) asks for 'noise', but with passes = 'both' the noise of either"
    with pytest.raises(ns.InputError, match=said):
        simulator(Knowing(1e-3, passes="both"), act_noise=0.1)

    class Other(ns.ANP):
        @staticmethod
        def reward(delta_loss, variance):
            return delta_loss / variance

    with pytest.raises(ns.InputError, match=r"Other: reward\(\) asks for 'variance', but with pas"):
        simulator(Other(1e-3, passes="both"), act_noise=0.1)


# -------------------------------------------------------------- put together


def test_a_chip_with_some_fields_replaced():
    chip = ns.Substrate(act_noise=0.1, w_bits=8)
    assert chip | {"w_bits": 4, "c2c": 0.2} == ns.Substrate(act_noise=0.1, w_bits=4, c2c=0.2)
    assert chip | {"w_bits": None} == ns.Substrate(act_noise=0.1)
    assert chip | {} == chip
    assert chip == ns.Substrate(act_noise=0.1, w_bits=8)


def test_a_chip_with_what_another_one_assumes():
    chip, other = ns.Substrate(act_noise=0.1, w_bits=8, seed=1), ns.Substrate(w_bits=4, c2c=0.2)
    assert chip | other == ns.Substrate(act_noise=0.1, w_bits=4, c2c=0.2, seed=1)
    assert chip | ns.Substrate() == chip
    assert other | chip == ns.Substrate(act_noise=0.1, w_bits=8, c2c=0.2, seed=1)
    at_zero = ns.Substrate(stuck_fraction=0.5, stuck_at=0)
    assert ns.Substrate(stuck_at=0.3) | at_zero == at_zero


def test_what_cannot_be_put_together_is_refused():
    chip = ns.Substrate()
    said = r"Substrate: no field 'act_nose'; did you mean 'act_noise'\? known: act_bits, "
    with pytest.raises(ns.InputError, match=said):
        chip | {"act_nose": 0.1}
    with pytest.raises(ns.InputError, match=r"Substrate: act_noise = -1 must be"):
        chip | {"act_noise": -1}
    with pytest.raises(ns.InputError, match=r"the right side of \| = 0\.1 must be a Substrate"):
        chip | 0.1


def test_only_what_is_assumed_is_shown():
    assert repr(ns.Substrate()) == "Substrate()"
    assert repr(ns.Substrate(act_noise=0.0, w_bits=0, seed=0)) == "Substrate()"
    chip = ns.Substrate(w_bits=8, act_noise=0.04, rounding="stochastic", seed=3)
    assert repr(chip) == "Substrate(act_noise=0.04, w_bits=8, rounding='stochastic', seed=3)"
    some = ns.Substrate(stuck_fraction=0.1, stuck_at=0.0, drift_nu=(0.1, 0.2), w_max={"A": 1.0})
    for chip in (some, *ns.presets.CHIPS.values()):
        assert eval(repr(chip), {"Substrate": ns.Substrate}) == chip
        assert ns.Substrate(**chip.assumed) == chip


# -------------------------------------------------------------------- in words

WORDS = {
    "act_noise": ({"act_noise": 0.123}, ["white", "0.123", "pre-activation"]),
    "act_telegraph": ({"act_telegraph": 0.3}, ["telegraph", "+-0.3", "10 steps"]),
    "telegraph_dwell": ({"act_telegraph": 0.3, "telegraph_dwell": 7}, ["7 steps in a state"]),
    "act_flicker": ({"act_flicker": 0.2}, ["1/f", "0.2"]),
    "mismatch_gain": ({"mismatch_gain": 0.1}, ["gains differ", "0.1", "frozen"]),
    "mismatch_offset": ({"mismatch_offset": 0.3}, ["offsets differ", "0.3", "frozen"]),
    "mismatch_tau": ({"mismatch_tau": 0.2}, ["time constants", "20 %", "frozen"]),
    "act_read_noise": ({"act_read_noise": 0.05}, ["rules read", "0.05"]),
    "act_bits": ({"act_bits": 5}, ["5 bits", "31 levels from -4 to 4"]),
    "act_range": ({"act_range": 2.5}, ["rules read activities from -2.5 to 2.5"]),
    "w_read_noise": ({"w_read_noise": 0.02}, ["read with noise", "0.02 of full scale", "scale of"]),
    "w_read_relative": ({"w_read_relative": 0.3}, ["30 % of themselves"]),
    "w_max": ({"w_max": 2.0}, ["full scale of the weights: 2; none is larger"]),
    "w_bits": ({"w_bits": 6}, ["6 bits", "63 levels", "nearest", "full scale of the weights: 1;"]),
    "rounding": ({"w_bits": 6, "rounding": "stochastic_shared"}, ["one draw for a whole matrix"]),
    "w_min_step": ({"w_min_step": 0.01}, ["whole steps of 0.01 of full scale"]),
    "asymmetry": ({"asymmetry": 0.25}, ["25 % larger"]),
    "soft_bounds": ({"soft_bounds": 0.5}, ["1 - w / w_max", "50 %"]),
    "c2c": ({"c2c": 0.15}, ["15 % from cycle to cycle"]),
    "d2d": ({"d2d": 0.35}, ["35 % from device to device, frozen"]),
    "w_write_noise": ({"w_write_noise": 0.04}, ["a write leaves noise", "0.04 of full scale"]),
    "stuck_fraction": ({"stuck_fraction": 0.1}, ["10 % of the synapses", "initial weight"]),
    "stuck_at": ({"stuck_fraction": 0.1, "stuck_at": -0.5}, ["stuck, at -0.5 of full scale"]),
    "drift_nu": ({"drift_nu": (0.05, 0.1)}, ["t^-nu", "between 0.05 and 0.1"]),
    "leak_tau": ({"leak_tau": 300}, ["1/e in 300 steps"]),
    "diffusion": ({"diffusion": 0.003}, ["wander by 0.003 of full scale"]),
    "event_loss": ({"event_loss": 0.02}, ["2 % of the events are lost"]),
    "event_jitter": ({"event_jitter": 0.4}, ["40 % of the events arrive one step late"]),
    "event_bits": ({"event_bits": 3, "event_range": 0.5}, ["3 bits", "7 levels from -0.5 to 0.5"]),
    "event_range": ({"event_range": 0.7}, ["from -0.7 to 0.7"]),
    "reward_noise": ({"reward_noise": 0.6}, ["noise of 0.6 times the usual loss difference"]),
    "reward_bits": ({"reward_bits": 4}, ["4 bits", "15 levels within 4 usual"]),
    "reward_delay": ({"reward_delay": 12}, ["12 steps late"]),
    "reward_loss": ({"reward_loss": 0.07}, ["7 % of the rewards are lost"]),
}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "seed"])
def test_what_is_assumed_is_said_with_its_numbers_and_nothing_else(name, capsys):
    given, words = WORDS[name]
    text = ns.Substrate(**given).explain()
    assert capsys.readouterr().out == text + "\n"
    for word in words:
        assert word in text
    first, scale = text.split("\n")[0], {"w_max", "w_bits", "w_min_step", "w_read_noise"}
    measured = name in scale | {"rounding", "w_write_noise", "diffusion"}
    costs = "what this costs" in text
    divides = name in {"act_read_noise", "reward_noise"}
    assert costs == (divides or any(lane in given for lane in LANES[:5]))
    assert len(text.split("\n")) == 1 + costs + (measured and name != "w_max")
    assert first[0] != " "


def test_the_ideal_chip_says_so(capsys):
    # Also with how something would be, if it were.
    idle = {"telegraph_dwell": 3.0, "rounding": "stochastic", "stuck_at": 0.5, "seed": 3}
    for given in ({}, idle, *({name: value} for name, value in idle.items())):
        assert ns.Substrate(**given).explain() == "the ideal chip: nothing is assumed"
        assert capsys.readouterr().out.startswith("the ideal chip")


def test_noise_is_told_by_what_it_costs_a_rule(capsys):
    chip = ns.Substrate(act_noise=0.03, act_flicker=0.04)
    assert "about 51 times the variance" in chip.explain(ns.NP(1e-3, noise_std=0.01))
    assert "raise noise_std" in chip.explain(ns.WP(1e-3, noise_std=0.01))
    assert "times the variance" not in chip.explain(ns.ANP(1e-3))
    assert "raise noise_std" in ns.Substrate(w_read_noise=0.1).explain(ns.NP(1e-3))
    assert "0.01" in ns.Substrate(act_noise=0.03).explain(ns.NP(1e-3, noise_std=0.01))
    capsys.readouterr()


def test_all_at_once_has_a_line_for_each_field(capsys):
    whole = {}
    for given, _ in WORDS.values():
        whole |= given
    text = ns.Substrate(**whole).explain()
    # Said with another one: dwell, range of what is read and sent, rounding, where it is stuck.
    assert len(text.split("\n")) == len(WORDS) - 5 + 2
    assert capsys.readouterr().out == text + "\n"


# --------------------------------------------------------------------- presets


@pytest.mark.parametrize("rule", [ns.ANP(1e-4, noise_std=0.01), ns.NP(1e-5, noise_std=0.01)])
@pytest.mark.parametrize("name", ns.presets.CHIPS)
def test_networks_run_and_learn_on_every_preset(name, rule):
    chip = ns.presets.CHIPS[name]
    assert chip is getattr(ns.presets, name)
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(20, 2, 2)), generator.normal(size=(20, 2, 1))
    ends = []
    for given in (chip, None):
        sim = ns.Simulator(ns.rnn(2, 10, 1, seed=1), rule, substrate=given, batch=2, seed=3)
        record = sim.run(inputs, targets)
        found = [record.loss, *record.reward.values(), *sim.weights.values()]
        found.append(sim.evaluate(inputs, targets).loss)
        ends.append(np.concatenate(found, axis=None))
        assert np.isfinite(ends[-1]).all()
    assert (ends[0] != ends[1]).any() == (name != "ideal")
    lines = [len(chip.explain(given).split("\n")) for given in (rule, None)]
    told = any(name in chip.assumed for name in LANES[:5]) and isinstance(rule, ns.NP)
    assert lines[0] - lines[1] == told  # what noise costs who must know it


def test_presets_have_the_numbers_they_cite():
    chips = ns.presets
    assert set(chips.CHIPS) == {
        *("ideal", "noisy_node", "loihi_like", "bss2_like", "dynapse_like", "rram_hfo2"),
        *("pcm_drift", "ecram", "smtj", "bad_reward"),
    }
    assert chips.ideal.assumed == {}
    assert chips.noisy_node.assumed == {"act_noise": 0.04}
    # 8 bits and a sign: -255 to 255. Traces of 7 bits.
    assert 2 ** (chips.loihi_like.w_bits - 1) - 1 == 255
    assert (chips.loihi_like.rounding, chips.loihi_like.act_bits) == ("stochastic", 7)
    assert 2 ** (chips.bss2_like.w_bits - 1) - 1 == 63
    assert (chips.bss2_like.event_bits, chips.bss2_like.act_bits) == (5, 8)
    assert chips.bss2_like.act_noise == pytest.approx(4 * 2 / 128)
    assert (chips.dynapse_like.mismatch_gain, chips.dynapse_like.mismatch_tau) == (0.1, 0.1)
    rram = chips.rram_hfo2
    assert rram.w_write_noise == pytest.approx(0.5841 * rram.w_min_step, rel=1e-3)
    assert (rram.w_min_step, rram.c2c, rram.d2d) == (0.4622, 0.2174, 0.7125)
    assert (rram.soft_bounds, rram.stuck_fraction, rram.stuck_at) == (1, 0.098, 0)
    assert chips.pcm_drift.assumed == {
        "w_max": "fitted",
        "w_read_noise": 0.0175,
        "drift_nu": (0.049, 0.1),
    }
    assert 2 / chips.ecram.w_min_step == 1000
    assert (chips.ecram.c2c, chips.ecram.d2d) == (0.3, 0.1)
    assert chips.ecram.soft_bounds == pytest.approx((0.12 + 0.51) / 2, abs=0.01)
    assert chips.smtj.assumed == {"act_telegraph": 0.04, "telegraph_dwell": 10.0}
    assert (chips.bad_reward.reward_delay, chips.bad_reward.reward_bits) == (10, 4)


# ------------------------------------------------------------------ saved files

MANY = ns.Substrate(
    act_noise=0.1, w_max={"A": 0.5, "R": 2.0}, drift_nu=(0.01, 0.2), soft_bounds=True,
    rounding="stochastic_shared", w_bits=9, stuck_fraction=0.1, stuck_at=0.0, seed=2**32 - 1,
)  # fmt: skip


@pytest.mark.parametrize("chip", [MANY, ns.Substrate(), *ns.presets.CHIPS.values()], ids=repr)
def test_a_chip_comes_back_equal_from_plain_data(chip):
    plain = json.loads(json.dumps(describe.thing(chip)))
    back = describe.to_thing(plain)
    assert back == chip
    assert repr(back) == repr(chip)
    assert replace(back, act_noise=0.0) == replace(chip, act_noise=0.0)


def test_a_chip_comes_back_equal_from_a_file(tmp_path):
    sim = simulator(ns.NP(1e-3), **MANY.assumed)
    sim.run(np.ones((5, 1, 1)), np.ones((5, 1, 1)))
    path = tmp_path / "chip.npz"
    sim.save(path)
    back = ns.Simulator.load(path)
    assert back.substrate == MANY == sim.substrate
    for name, weights in sim.weights.items():
        np.testing.assert_array_equal(back.weights[name], weights)
    given = np.ones((5, 1, 1)), np.ones((5, 1, 1))
    np.testing.assert_array_equal(back.run(*given).loss, sim.run(*given).loss)
    numpy = simulator(ns.NP(1e-3), act_noise=np.float32(0.25), w_bits=np.int64(8))
    numpy.save(path)
    assert ns.Simulator.load(path).substrate == ns.Substrate(act_noise=0.25, w_bits=8)
