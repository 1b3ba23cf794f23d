"""Every single update equals its formula, computed here in NumPy from what probes saw."""

import numpy as np
import pytest

import neurosim as ns
from neurosim import noise

T, S, N_IN, N, N_OUT = 6, 3, 2, 5, 2
SIGMA, RATE = 1e-2, 1e-2
MATRICES = ("A", "R", "B")


@pytest.fixture
def data():
    generator = np.random.default_rng(1)
    return generator.normal(size=(T, S, N_IN)), generator.normal(size=(T, S, N_OUT))


def watch(rule, data, decorrelation=None, engine="cpu", seed=9):
    """Run with probes on all that the formulas need; weights[t] are those before step t."""
    net = ns.rnn(N_IN, N, N_OUT, decorrelate=decorrelation is not None, seed=4)
    sim = ns.Simulator(net, rule, decorrelation, batch=S, engine=engine, seed=seed)
    probes = [ns.Probe(of, v, pass_=p) for of in ("hidden", "output") for v in "as" for p in (0, 1)]
    probes += [ns.Probe(name, "w") for name in sim.weights]
    start = sim.weights
    record = sim.run(*data, probes=probes)
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    for name, first in start.items():
        after = seen[f"{name}.w"]
        seen[name] = np.concatenate([first[None].astype(float), after])
    return sim, record, seen


def difference(seen, data, population):
    """Change in loss, change in pre-activation, of every step."""
    outputs, perturbed = seen["output.s"], seen["output.s@1"]
    delta_loss = ((perturbed - data[1]) ** 2 - (outputs - data[1]) ** 2).sum(axis=2)
    return delta_loss, seen[f"{population}.a@1"] - seen[f"{population}.a"]


def presynaptic(seen, data):
    s = seen["hidden.s"]
    return {"A": data[0], "R": np.concatenate([np.zeros_like(s[:1]), s[:-1]]), "B": s}


def check(seen, expected):
    """`expected[name][t]` is the dw of step t; every weight changes by ``-rate * dw``."""
    for name in MATRICES:
        change = np.diff(seen[name], axis=0)
        wanted = -RATE * expected[name]
        assert np.abs(wanted).max() > 1e-5
        np.testing.assert_allclose(change, wanted, atol=2e-7 + 2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("engine", ["cpu", "objects"])
@pytest.mark.parametrize("decorrelation", [None, ns.Decorrelation(1e-2)])
def test_anp_is_equation_3(data, engine, decorrelation):
    rule = ns.ANP(RATE, SIGMA)
    _, record, seen = watch(rule, data, decorrelation, engine)
    expected, pre = {}, presynaptic(seen, data)
    for name, population, n in (("A", "hidden", N), ("R", "hidden", N), ("B", "output", N_OUT)):
        delta_loss, delta_a = difference(seen, data, population)
        reward = n * delta_loss / (delta_a**2).sum(axis=2)
        np.testing.assert_allclose(record.reward[name], reward, rtol=5e-3)
        signal = reward[..., None] * delta_a
        expected[name] = np.einsum("tbi,tbj->tij", signal, pre[name]) / S
    check(seen, expected)


@pytest.mark.parametrize("engine", ["cpu", "objects"])
@pytest.mark.parametrize("distribution", ["normal", "rademacher"])
def test_np_is_equation_2(data, engine, distribution):
    rule = ns.NP(RATE / 10, SIGMA, distribution=distribution)
    sim, record, seen = watch(rule, data, None, engine)
    expected, pre = {}, presynaptic(seen, data)
    for name, index in (("A", 1), ("R", 1), ("B", 2)):
        delta_loss, _ = difference(seen, data, "hidden")
        reward = delta_loss / SIGMA**2
        np.testing.assert_allclose(record.reward[name], reward, rtol=5e-3)
        size = sim.network.populations[index].size
        xi = drawn(sim.seed, noise.PERTURBATION + index, size, distribution)
        expected[name] = np.einsum("tb,tbi,tbj->tij", reward, xi, pre[name]) / S / 10
    check(seen, expected)


def drawn(seed, stream, size, distribution):
    code = noise.DISTRIBUTIONS[distribution]
    return SIGMA * np.array(
        [
            [[noise.draw(code, seed, stream, t, 0, b, i) for i in range(size)] for b in range(S)]
            for t in range(T)
        ],
        dtype=float,
    )


@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_wp_is_equation_5(data, engine):
    sim, record, seen = watch(ns.WP(RATE / 10, SIGMA), data, None, engine)
    delta_loss, _ = difference(seen, data, "output")
    reward = delta_loss / SIGMA**2
    expected = {}
    for index, name in enumerate(MATRICES):
        np.testing.assert_allclose(record.reward[name], reward, rtol=5e-3)
        n_post, n_pre = sim.network.shape(name)
        key = (sim.seed, noise.WEIGHT_PERTURBATION + index)
        xi = SIGMA * np.array(
            [
                [
                    [
                        noise.normal(*key, t, 0, 0, noise.weight_index(i, j, n_pre))
                        for j in range(n_pre)
                    ]
                    for i in range(n_post)
                ]
                for t in range(T)
            ]
        )
        expected[name] = reward.mean(axis=1)[:, None, None] * xi / 10
        perturbed = seen[name][:-1] + xi
        if name == "R":
            recurrent = np.einsum("tij,tbj->tbi", perturbed, before(seen["hidden.s@1"]))
        elif name == "A":
            forward = np.einsum("tij,tbj->tbi", perturbed, data[0])
    np.testing.assert_allclose(seen["hidden.a@1"], forward + recurrent, atol=2e-6)
    check(seen, expected)


def before(sent):
    return np.concatenate([np.zeros_like(sent[:1]), sent[:-1]])


@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_decorrelation_is_equation_6(data, engine):
    """The local form is the matrix form ``(s s^T - diag(s^2)) D``, mean over the batch."""
    _, _, seen = watch(ns.ANP(RATE, SIGMA), data, ns.Decorrelation(1e-2), engine)
    for t in range(T):
        s, d = seen["hidden.s"][t], seen["D"][t]
        moment = s.T @ s / S
        matrix = (moment - np.diag(np.diag(moment))) @ d
        np.testing.assert_allclose(seen["D"][t + 1] - d, -1e-2 * matrix, atol=2e-7)


@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_local_decorrelation_leaves_the_factor_out(data, engine):
    _, _, seen = watch(ns.ANP(RATE, SIGMA), data, ns.LocalDecorrelation(1e-2), engine)
    for t in range(T):
        moment = seen["hidden.s"][t].T @ seen["hidden.s"][t] / S
        expected = -1e-2 * (moment - np.diag(np.diag(moment)))
        np.testing.assert_allclose(np.diff(seen["D"], axis=0)[t], expected, atol=2e-7)


def test_the_forward_pass_is_the_papers(data):
    _, record, seen = watch(ns.ANP(RATE, SIGMA), data, ns.Decorrelation(1e-2))
    a = np.einsum("tij,tbj->tbi", seen["A"][:-1], data[0])
    a += np.einsum("tij,tbj->tbi", seen["R"][:-1], before(seen["hidden.s"]))
    np.testing.assert_allclose(seen["hidden.a"], a, atol=2e-6)
    s = np.einsum("tij,tbj->tbi", seen["D"][:-1], np.tanh(a))
    np.testing.assert_allclose(seen["hidden.s"], s, atol=2e-6)
    y = np.einsum("tij,tbj->tbi", seen["B"][:-1], s)
    np.testing.assert_allclose(record.loss, ((y - data[1]) ** 2).sum(axis=2), rtol=1e-5)


def test_a_single_output_readout_gets_its_exact_delta_rule():
    """With n_out neurons in the scale, ANP's readout signal is ``2 (y - y*) + delta_y``."""
    generator = np.random.default_rng(1)
    inputs, targets = generator.normal(size=(T, S, N_IN)), generator.normal(size=(T, S, 1))
    sim = ns.Simulator(ns.rnn(N_IN, N, 1, seed=4), ns.ANP({"B": RATE}, SIGMA), batch=S)
    probes = [ns.Probe("output", "s"), ns.Probe("output", "s", pass_=1), ns.Probe("hidden", "s")]
    probes += [ns.Probe("B", "w")]
    start = sim.weights["B"]
    seen = sim.run(inputs, targets, probes=probes).probes
    y, perturbed = seen["output.s"], seen["output.s@1"]
    signal = 2 * (y - targets) + (perturbed - y)
    change = -RATE * np.einsum("tbi,tbj->tij", signal, seen["hidden.s"]) / S
    steps = np.diff(np.concatenate([start[None], seen["B.w"]]), axis=0)
    np.testing.assert_allclose(steps, change, atol=3e-7)


def test_small_loss_differences_survive_float32():
    """``dy (2 (y - y*) + dy)``: with errors of 1e3 the difference of losses would be all noise."""
    inputs, targets = np.ones((1, 1, 1)), np.full((1, 1, 1), 1e3)
    for engine in ("cpu", "objects"):
        sim = ns.Simulator(ns.rnn(1, 4, 1), ns.NP(1e-9, 1e-3), engine=engine, seed=3)
        probes = [ns.Probe("output", "s", pass_=p) for p in (0, 1)]
        record = sim.run(inputs, targets, probes=probes)
        y, perturbed = (record.probes[p.name].astype(float).item() for p in probes)
        expected = (perturbed - y) * (2 * (y - 1e3) + (perturbed - y)) / 1e-6
        assert record.reward["B"].item() == pytest.approx(expected, rel=1e-3)
