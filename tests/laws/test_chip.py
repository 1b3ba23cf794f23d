"""Hardware assumptions: ideal is nothing at all, and each is what its name says."""

import numpy as np
import pytest

import neurosim as ns

N, T, S = 30, 60, 4


def run(substrate, engine="cpu", rule=None, learn=True, probes=(), size=N, steps=T, seed=3):
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(steps, S, 2)), generator.normal(size=(steps, S, 1))
    rule = rule or ns.NP(1e-6, noise_std=1e-2)
    sim = ns.Simulator(
        ns.rnn(2, size, 1, seed=1), rule, substrate=substrate, batch=S, engine=engine, seed=seed
    )
    return sim, sim.run(inputs, targets, learn=learn, probes=probes)


@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_the_ideal_chip_is_a_no_op_bit_for_bit(engine):
    size, steps = (N, T) if engine == "cpu" else (4, 5)
    ends = [
        run(substrate, engine, size=size, steps=steps)
        for substrate in (None, ns.Substrate(), ns.Substrate(act_noise=0.0))
    ]
    for sim, record in ends[1:]:
        np.testing.assert_array_equal(record.loss, ends[0][1].loss)
        for name, weights in sim.weights.items():
            np.testing.assert_array_equal(weights, ends[0][0].weights[name])


@pytest.mark.parametrize("sigma", [0.02, 0.5])
def test_act_noise_has_its_standard_deviation_in_every_pass(sigma):
    """On a network without weights, pre-activations are noise: injected and the chip's own."""
    net = ns.rnn(2, 200, 1, gain=0.0, input_gain=0.0)
    rule, injected = ns.NP(1e-12, noise_std=0.1), 0.1
    sim = ns.Simulator(net, rule, substrate=ns.Substrate(act_noise=sigma), batch=S, seed=5)
    probes = [ns.Probe("hidden", "a", pass_=p) for p in (0, 1)]
    probes += [ns.Probe("hidden", "noise", pass_=1)]
    seen = sim.run(np.zeros((T, S, 2)), np.zeros((T, S, 1)), probes=probes).probes
    baseline, perturbed = seen["hidden.a"], seen["hidden.a@1"] - seen["hidden.noise@1"]
    count = baseline.size
    for values in (baseline, perturbed):
        assert abs(values.mean()) < 4 * sigma / np.sqrt(count)
        assert values.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * count))
        for lag in (values[1:] * values[:-1], values[..., 1:] * values[..., :-1]):
            assert abs(lag.mean()) < 4 * sigma**2 / np.sqrt(lag.size)
    for other in (perturbed, seen["hidden.noise@1"] * sigma / injected):
        assert abs((baseline * other).mean()) < 4 * sigma**2 / np.sqrt(count)


def test_switching_a_noise_on_shifts_no_other_draw():
    probe = [ns.Probe("hidden", "noise", pass_=1)]
    (_, ideal), (_, noisy) = (
        run(ns.Substrate(act_noise=sigma), probes=probe) for sigma in (0.0, 0.3)
    )
    np.testing.assert_array_equal(ideal.probes["hidden.noise@1"], noisy.probes["hidden.noise@1"])
    assert np.abs(ideal.loss - noisy.loss).max() > 0.01


@pytest.mark.parametrize("sigma", [0.003, 0.2])
@pytest.mark.parametrize("distribution", ["normal", "rademacher"])
def test_injected_noise_has_its_standard_deviation(sigma, distribution):
    rule = ns.NP(1e-9, noise_std=sigma, distribution=distribution)
    probe = [ns.Probe("hidden", "noise", pass_=1)]
    values = run(None, rule=rule, probes=probe)[1].probes["hidden.noise@1"]
    assert abs(values.mean()) < 4 * sigma / np.sqrt(values.size)
    assert values.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * values.size))


def test_antithetic_passes_get_opposite_noise():
    rule = ns.NP(1e-9, noise_std=0.1, pairs=2)
    probes = [ns.Probe("hidden", "a", pass_=p, steps=[0]) for p in range(5)]
    seen = run(None, rule=rule, probes=probes)[1].probes
    clean = seen["hidden.a"]
    first, mirrored, second, _ = (seen[f"hidden.a@{p}"] - clean for p in range(1, 5))
    np.testing.assert_allclose(first, -mirrored, atol=1e-6)
    assert np.abs(first - second).max() > 0.05


def test_every_replica_and_step_has_its_own_noise():
    probe = [ns.Probe("hidden", "noise", pass_=1)]
    values = run(None, probes=probe)[1].probes["hidden.noise@1"]
    assert len(np.unique(values[..., 0])) == T * S


def test_runs_go_on_in_the_noise_and_never_repeat_it():
    sim = ns.Simulator(ns.rnn(1, 8, 1), ns.NP(1e-9), seed=2)
    data, probe = (np.ones((3, 1, 1)), np.ones((3, 1, 1))), [ns.Probe("hidden", "noise", pass_=1)]
    first, second = (sim.run(*data, probes=probe).probes["hidden.noise@1"] for _ in range(2))
    assert not np.isin(first, second).any()


def test_decorrelation_decorrelates():
    """Off-diagonal second moments of what a population sends fall by at least a factor of 10."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(3000, 4, 2)).cumsum(axis=0) * 0.05
    for rule in (ns.Decorrelation(3e-3), ns.LocalDecorrelation(3e-3)):
        net = ns.rnn(2, 10, 1, decorrelate=True, seed=2)
        sim = ns.Simulator(net, decorrelation=rule, batch=4)
        probe = [ns.Probe("hidden", "s", steps=slice(1000, None))]
        before = off_diagonal(sim.evaluate(inputs, inputs[..., :1], probes=probe))
        sim.run(inputs, inputs[..., :1])
        after = off_diagonal(sim.evaluate(inputs, inputs[..., :1], probes=probe))
        assert after < before / 10


def off_diagonal(record):
    s = record.probes["hidden.s"].reshape(-1, 10)
    moment = s.T @ s / len(s)
    return float((moment[~np.eye(10, dtype=bool)] ** 2).mean())
