"""What rules read of activities, and what dot products read of weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from chips import LIMIT, Contrast, Shown, fan, normal, scores, simulate, uncorrelated

import neurosim as ns

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(50, 3, 4))


@dataclass(frozen=True)
class ShownToOutlets:
    """A decorrelation that shows what is read at either end of a decorrelating synapse."""

    learning_rate: float

    @staticmethod
    def synapse(post, pre):
        return post + 16 * pre


def shown(chip, rule=Shown, inputs=INPUTS, seed=5):
    """What neurons read of `a`, or of its change, and what these were."""
    probes = [ns.Probe("hidden", v, pass_=k) for v, k in (("a", 0), ("a", 1), ("signal", 1))]
    net = fan(inputs.shape[2], 120, gain=8.0)
    record = simulate(net, chip, inputs, rule({"A": 1e-12}), seed=seed, probes=probes)[1]
    a, a_perturbed, read = (record.probes[p.name].astype(float) for p in probes)
    return a, a_perturbed, read, record


# -------------------------------------------------------- neurons and teacher


@pytest.mark.parametrize("sigma", [0.01, 0.4])
def test_act_read_noise_is_what_neurons_and_teacher_read_in_either_pass(sigma):
    chip = ns.Substrate(act_read_noise=sigma)
    a, _, read, _ = shown(chip)
    first = read - a
    normal(first, sigma)
    a, a_perturbed, read, record = shown(chip, Contrast)
    second = read - (a_perturbed - a) + first
    normal(second, sigma)
    assert uncorrelated(first / sigma, second / sigma) < LIMIT
    # The teacher reads the same of all neurons.
    np.testing.assert_allclose(record.reward["A"], (read**2).sum(axis=2), rtol=1e-5)
    seeded = shown(chip, seed=6)
    assert uncorrelated(first / sigma, (seeded[2] - seeded[0]) / sigma) < LIMIT


def test_the_statistics_of_readings_notice_one_reading_for_both_passes():
    """Negative control: a difference of readings with noise of 1 instead of the root of 2."""
    a, a_perturbed, read, _ = shown(ns.Substrate(act_read_noise=0.1), Contrast)
    found = scores(read - (a_perturbed - a), 0.1)
    assert found["variance"] > LIMIT
    normal(read - (a_perturbed - a), 0.1 * np.sqrt(2))


@pytest.mark.parametrize(
    "given", [{"act_read_noise": 0.4}, {"act_bits": 3}, {"act_range": 0.5}], ids=str
)
def test_dynamics_do_not_notice_that_they_are_read(given):
    """Outputs' weights learn what was read; all before them is the same bit for bit."""
    probes = [ns.Probe("hidden", v, pass_=k) for v in "axs" for k in (0, 1)]
    plain, noisy = (
        simulate(fan(4, 60, 2, gain=1.0), chip, INPUTS, Shown({"B": 1e-3}), probes=probes)[1]
        for chip in (ns.Substrate(), ns.Substrate(**given))
    )
    for name, values in plain.probes.items():
        np.testing.assert_array_equal(values, noisy.probes[name])
    assert np.abs(plain.loss - noisy.loss).max() > 1e-3  # but there was something to read


@pytest.mark.parametrize(
    ("bits", "limit"), [(2, None), (4, None), (5, 1.5), (3, 2.0), (None, 0.7), (None, 3.0)]
)
def test_act_bits_and_range_are_levels_of_what_is_read(bits, limit):
    a, _, read, _ = shown(ns.Substrate(act_bits=bits, act_range=limit))
    most = limit or 4.0
    inside = np.abs(a) < most
    assert not inside.all()
    np.testing.assert_allclose(read[~inside], np.sign(a[~inside]) * most, rtol=1e-6)
    if bits is None:
        np.testing.assert_array_equal(read[inside], a[inside])
        return
    spacing = 2 * most / (2**bits - 2)
    levels = np.unique(np.round(read / spacing))
    np.testing.assert_allclose(read, np.round(read / spacing) * spacing, atol=1e-6)
    assert len(levels) == 2**bits - 1
    assert np.abs(read[inside] - a[inside]).max() <= spacing / 2 + 1e-6
    assert np.abs(read[inside] - a[inside]).max() > 0.45 * spacing


def test_noise_comes_before_the_converter():
    """As it does in one: then it keeps the mean of what is between two levels."""
    weights, bits = {"A": np.full((120, 4), 0.3)}, 3
    net, probes = fan(4, 120), [ns.Probe("hidden", "signal", pass_=1)]
    chip = ns.Substrate(act_bits=bits, act_range=3.0, act_read_noise=1.0)
    inputs = np.full((60, 2, 4), 0.25)  # a = 0.3, levels are 1 apart
    given = (net, chip, inputs, Shown({"A": 1e-12}), weights)
    read = simulate(*given, probes=probes)[1].probes["hidden.signal@1"].astype(float)
    np.testing.assert_allclose(read, np.round(read), atol=1e-6)
    assert abs(read.mean() - 0.3) < LIMIT * read.std() / np.sqrt(read.size)


# ------------------------------------------------------------------- synapses


def changes(chip, matrix, net, inputs, decorrelation=None):
    """Changes of a matrix at every step, that is what its synapses read; one replica."""
    probes = [ns.Probe(matrix, "w"), ns.Probe("hidden", "s"), ns.Probe("hidden", "x")]
    rule = Shown({"A": 1e-12} if matrix == "D" else {matrix: 1.0})
    sim = ns.Simulator(net, rule, decorrelation, chip, seed=5)
    start = sim.weights[matrix].astype(float)
    record = sim.run(inputs, np.ones((len(inputs), 1, net.outputs.size)), probes=probes)
    w = np.concatenate([start[None], record.probes[f"{matrix}.w"].astype(float)])
    return w[:-1] - w[1:], record.probes["hidden.s"].astype(float)


@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_act_read_noise_is_what_synapses_read_of_inputs_and_neurons(sigma):
    chip, inputs = ns.Substrate(act_read_noise=sigma), np.zeros((60, 1, 150))
    inputs[..., ::2] = 1.0
    change, _ = changes(chip, "A", fan(150, 20), inputs)
    # All synapses on one axon are told the same.
    np.testing.assert_allclose(change, change[:, :1].repeat(20, axis=1), atol=2e-5)
    normal(change[:, :1] - inputs, sigma)
    change, sent = changes(chip, "B", fan(4, 150, 3, gain=1.0), INPUTS[:, :1])
    np.testing.assert_allclose(change, change[:, :1].repeat(3, axis=1), atol=2e-5)
    normal(change[:, :1] - sent, sigma)


def test_a_recurrent_synapse_reads_what_was_sent_a_step_ago_and_once_only():
    chip, net = ns.Substrate(act_read_noise=0.3), ns.rnn(4, 30, 2, gain=0.0, seed=1)
    there, _ = changes(chip, "B", net, INPUTS[:, :1])
    sim = ns.Simulator(net, Shown({"R": 1e-3}), None, chip, seed=5)
    record = sim.run(INPUTS[:2, :1], np.ones((2, 1, 2)), probes=[ns.Probe("R", "w")])
    np.testing.assert_allclose(record.probes["R.w"][0], 0, atol=1e-9)  # nothing was sent
    recurrent = -1e3 * record.probes["R.w"][1].astype(float)
    np.testing.assert_allclose(recurrent, there[0, :1].repeat(30, axis=0), atol=1e-5)


def test_decorrelating_synapses_read_at_both_ends():
    chip, net = ns.Substrate(act_bits=4, act_range=1.0), ns.rnn(4, 20, 1, decorrelate=True, seed=1)
    change, _ = changes(chip, "D", net, INPUTS[:, :1], ShownToOutlets(2.0**-12))
    steps = np.round(change * 2**12 * 7).astype(int)  # of levels that are 1/7 apart
    np.testing.assert_allclose(change * 2**12 * 7, steps, atol=0.02)
    pre = np.round((steps - steps[:, :, :1]) / 16)  # the same in a row but for pre
    np.testing.assert_array_equal(pre, pre[:, :1].repeat(20, axis=1))
    assert len(np.unique(steps)) > 20
    noisy, ideal = (
        changes(ns.Substrate(act_read_noise=s), "D", net, INPUTS[:1, :1], ShownToOutlets(2**-12))
        for s in (0.5, 0.0)
    )
    read = (noisy[0] - ideal[0])[0] * 2**12  # noise of post, in each row, and 16 times of pre
    ends = np.diagonal(read) / 17
    np.testing.assert_allclose(read, ends[:, None] + 16 * ends[None, :], atol=2e-2)
    assert 0.2 < ends.std() < 0.8


# -------------------------------------------------------------- weights' noise


def residuals(chip, net, inputs, weights=None, seed=5):
    """Pre-activations less what weights make of what arrives, in both passes; what arrives."""
    probes = [ns.Probe("hidden", v, pass_=k) for v in "axs" for k in (0, 1)]
    probes += [ns.Probe("hidden", "noise", pass_=1), ns.Probe("output", "a")]
    sim, record = simulate(net, chip, inputs, weights=weights, probes=probes, seed=seed)
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    w = {name: values.astype(float) for name, values in sim.weights.items()}
    found = []
    for k, injected in (("", 0.0), ("@1", seen["hidden.noise@1"])):
        s = seen[f"hidden.s{k}"]
        before = np.concatenate([np.zeros_like(s[:1]), s[:-1]])
        recurrent = before @ w["R"].T if "R" in w else 0.0
        found.append((seen[f"hidden.a{k}"] - inputs @ w["A"].T - recurrent - injected, before))
    return found, seen, w


@pytest.mark.parametrize(("sigma", "full"), [(0.02, None), (0.3, None), (0.1, 3.0)])
def test_w_read_noise_is_noise_of_every_weight_in_units_of_the_full_scale(sigma, full):
    (baseline, perturbed), seen, w = residuals(
        ns.Substrate(w_read_noise=sigma, w_max=full), fan(4, 150, 30, gain=1.0), INPUTS
    )
    sd = sigma * (full or 1.0) * np.linalg.norm(INPUTS, axis=2, keepdims=True)
    normal(baseline[0] / sd, 1.0)
    normal(perturbed[0] / sd, 1.0)
    assert uncorrelated(baseline[0] / sd, perturbed[0] / sd) < LIMIT
    sent = seen["hidden.s"]
    sd = sigma * (full or 1.0) * np.linalg.norm(sent, axis=2, keepdims=True)
    normal((seen["output.a"] - sent @ w["B"].T) / sd, 1.0)


@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_w_read_relative_is_noise_in_units_of_the_weight(sigma):
    (baseline, perturbed), _, w = residuals(
        ns.Substrate(w_read_relative=sigma), fan(4, 150, gain=1.0), INPUTS
    )
    sd = sigma * np.sqrt(INPUTS**2 @ (w["A"] ** 2).T)
    normal(baseline[0] / sd, 1.0)
    normal(perturbed[0] / sd, 1.0)
    assert uncorrelated(baseline[0] / sd, perturbed[0] / sd) < LIMIT


def test_every_matrix_is_read_with_noise_of_its_own():
    """Recurrent, decorrelating; and both kinds of noise at once add up."""
    net = ns.rnn(4, 100, 1, decorrelate=True, seed=1)
    chip = ns.Substrate(w_read_noise=0.02, w_read_relative=0.1)
    ((a, before), _), seen, w = residuals(chip, net, INPUTS)

    def power(x, matrix):
        full = 0.02**2 * (x**2).sum(axis=2, keepdims=True)
        return full + 0.1**2 * (x**2 @ (w[matrix] ** 2).T)

    normal(a / np.sqrt(power(INPUTS, "A") + power(before, "R")), 1.0)
    x, s = seen["hidden.x"], seen["hidden.s"]
    outlets = (s - x @ w["D"].T) / np.sqrt(power(x, "D"))
    normal(outlets, 1.0)
    own = a / np.sqrt(power(INPUTS, "A") + power(before, "R"))
    assert uncorrelated(outlets, own) < LIMIT


def test_what_does_not_arrive_is_not_read():
    chip = ns.Substrate(w_read_noise=0.3, w_read_relative=0.3)
    found, _, _ = residuals(chip, fan(4, 50, gain=1.0), np.zeros((5, 2, 4)))
    assert not found[0][0].any()
    assert np.abs(found[1][0]).max() < 1e-7


@pytest.mark.parametrize("sigma", [0.02, 0.5])
@pytest.mark.parametrize("passes", [2, "both"])
def test_probes_show_what_rules_read(sigma, passes):
    """Of `a`, `x` and `s`, each with noise of its own in every pass."""
    lanes = [("a", 0), ("a", 1), ("x", 0), ("x", 1), ("s", 0)] + [("s", 1)] * (passes == "both")
    probes = [ns.Probe("hidden", v + end, pass_=k) for v, k in lanes for end in ("", "_read")]
    chip, rule = ns.Substrate(act_read_noise=sigma), ns.ANP({"A": 1e-12}, passes=passes)
    found = simulate(fan(4, 120), chip, INPUTS, rule, probes=probes)[1].probes
    values = [found[p.name].astype(float) for p in probes]
    noises = [read - shown for shown, read in zip(values[::2], values[1::2], strict=True)]
    for i, one in enumerate(noises):
        normal(one, sigma)
        for other in noises[:i]:
            assert abs(uncorrelated(one / sigma, other / sigma)) < LIMIT
