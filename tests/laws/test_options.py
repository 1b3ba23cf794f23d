"""Options of any rule: perturbations for each population, traces that fade, normalised changes."""

import numpy as np
import pytest
from laws_reference import gradient
from mean_updates import draws, estimates

import neurosim as ns

ENGINES = ["cpu", "objects"]
T, S, N_IN, N, N_OUT = 7, 3, 2, 5, 2
SIGMA = 0.1
RULES = {"NP": ns.NP, "ANP": ns.ANP, "WP": ns.WP}


def data(batch=S, outputs=N_OUT, seed=8):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(T, batch, N_IN)), generator.normal(size=(T, batch, outputs))


def network(outputs=N_OUT, tau=1.0, decorrelate=False):
    return ns.rnn(N_IN, N, outputs, decorrelate=decorrelate, neuron=ns.Tanh(tau=tau), seed=3)


def watch(rule, passes=2, engine="cpu", outputs=N_OUT, tau=1.0, more=()):
    """Run with probes on all that formulas need; what weights changed by, and what was seen."""
    net = network(outputs, tau)
    sim = ns.Simulator(net, rule, batch=S, engine=engine, seed=6)
    probes = [ns.Probe("hidden", "a", pass_=p) for p in range(passes)]
    probes += [ns.Probe(name, "s", pass_=p) for name in ("hidden", "output") for p in range(passes)]
    probes += [
        ns.Probe(n, "noise", pass_=p) for n in ("hidden", "output") for p in range(1, passes)
    ]
    record = sim.run(*data(outputs=outputs), probes=[*probes, *more])
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    start = net.initial_weights()
    return {name: start[name].astype(float) - w for name, w in sim.weights.items()}, seen


def transmitted(seen):
    """What the synapses of each projection transmit in the baseline."""
    s = seen["hidden.s"]
    return {"A": data()[0], "R": np.concatenate([np.zeros_like(s[:1]), s[:-1]]), "B": s}


def loss_difference(seen, perturbed=1):
    targets, y = data(outputs=seen["output.s"].shape[-1])[1], seen["output.s"]
    return ((seen[f"output.s@{perturbed}"] - targets) ** 2 - (y - targets) ** 2).sum(axis=2)


def close(found, expected, tolerance=1e-4):
    for name, values in expected.items():
        assert np.abs(values).max() > 1e-3
        np.testing.assert_allclose(found[name], values, atol=tolerance * np.abs(values).max())


# --------------------------------------------------------------- separate populations


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pairs", [0, 2])
@pytest.mark.parametrize("rule", ["NP", "ANP"])
def test_each_population_has_perturbed_passes_of_its_own(rule, pairs, engine):
    each = max(1, 2 * pairs)
    own = {"hidden": range(1, 1 + each), "output": range(1 + each, 1 + 2 * each)}
    learning = RULES[rule](0.01, SIGMA, layers="separate", pairs=pairs)
    _, seen = watch(learning, 1 + 2 * each, engine)
    for pass_ in range(1, 1 + 2 * each):
        for name in ("hidden", "output"):
            noise = seen[f"{name}.noise@{pass_}"]
            assert noise.all() if pass_ in own[name] else not noise.any()
        # What happens to outputs alone is felt nowhere else.
        same = np.array_equal(seen[f"hidden.a@{pass_}"], seen["hidden.a"])
        assert same == (pass_ in own["output"])
        assert (seen[f"output.s@{pass_}"] != seen["output.s"]).any()
    sim = ns.Simulator(network(), learning, batch=S, engine=engine)
    assert sim.run(*data()).events.tolist() == [(N_IN + N + N_OUT) * S * (1 + 2 * each)] * T
    with pytest.raises(ns.InputError, match=rf"pass_ = {1 + 2 * each} must be a pass"):
        sim.run(*data(), probes=[ns.Probe("hidden", pass_=1 + 2 * each)])


@pytest.mark.parametrize("engine", ENGINES)
def test_each_populations_weights_have_perturbed_passes_of_their_own(engine):
    learning = ns.WP(1e-3, SIGMA, layers="separate")
    net = network()
    sim = ns.Simulator(net, learning, batch=S, engine=engine, seed=6)
    probes = [ns.Probe(n, "s", pass_=p) for n in ("hidden", "output") for p in range(3)]
    seen = sim.run(*data(), probes=[*probes, ns.Probe("B", "w")]).probes
    b = np.concatenate([net.initial_weights()["B"][None], seen["B.w"][:-1]])
    assert (seen["hidden.s@1"] != seen["hidden.s"]).all()
    np.testing.assert_array_equal(seen["hidden.s@2"], seen["hidden.s"])
    for pass_, exact in ((1, True), (2, False)):
        y = np.einsum("tij,tbj->tbi", b, seen[f"hidden.s@{pass_}"])
        assert np.allclose(seen[f"output.s@{pass_}"], y, atol=1e-5) == exact


@pytest.mark.parametrize("who", ["A", "B"])
def test_who_does_not_learn_has_no_perturbed_pass(who):
    sims = [
        ns.Simulator(network(), ns.NP({who: 0.01}, layers=layers), batch=S, seed=1)
        for layers in ("together", "separate")
    ]
    records = [sim.run(*data()) for sim in sims]
    np.testing.assert_array_equal(records[0].events, records[1].events)
    np.testing.assert_array_equal(records[0].loss, records[1].loss)
    for name, weights in sims[0].weights.items():
        np.testing.assert_array_equal(weights, sims[1].weights[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_population_learns_from_its_own_passes_alone(engine):
    found, seen = watch(ns.NP(1.0, SIGMA, layers="separate", schedule="sequence"), 3, engine)
    expected = {}
    for name, pre in transmitted(seen).items():
        of, pass_ = ("output", 2) if name == "B" else ("hidden", 1)
        reward = loss_difference(seen, pass_) / SIGMA**2
        noise = seen[f"{of}.noise@{pass_}"]
        expected[name] = np.einsum("tb,tbi,tbj->ij", reward, noise, pre) / S
    close(found, expected)


SEPARATE = {
    "NP": (ns.NP, {}, 400, 40),
    "NP pairs": (ns.NP, {"pairs": 2}, 200, 40),
    "NP to go": (ns.NP, {"reward": "return_to_go"}, 2000, 40),
    "ANP": (ns.ANP, {"resync_every": 1}, 400, 40),
    "WP": (ns.WP, {"pairs": 20}, 1, 600),
}


@pytest.mark.parametrize("case", SEPARATE)
def test_the_mean_update_is_the_same_gradient(case):
    """ANP's outputs no longer inherit noise: here their update is unbiased, too."""
    make, options, replicas, groups = SEPARATE[case]
    net, sample = network(decorrelate=True), data(1)
    weights = net.initial_weights()
    weights["D"] = weights["D"] + 0.2 * np.random.default_rng(5).normal(size=(N, N))
    rule = make(1.0, layers="separate", schedule="sequence", **options)
    updates = draws(rule, sample, net, weights, replicas, groups)
    chunk = None if "reward" in options else 1
    assert estimates(updates, gradient(weights, *sample, chunk=chunk))
    assert not estimates(updates, gradient(weights, *sample, chunk=1 if chunk is None else None))


@pytest.mark.parametrize("rule", RULES)
def test_what_happens_elsewhere_is_no_noise_any_more(rule):
    """Outputs' noise changes the loss as much as the hidden population's does, or more."""
    net, sample = network(), data(1)
    replicas, groups = (1, 800) if rule == "WP" else (4, 500)
    spread = {}
    for layers in ("together", "separate"):
        learning = RULES[rule](1.0, schedule="sequence", layers=layers)
        updates = draws(learning, sample, net, net.initial_weights(), replicas, groups)
        spread[layers] = {name: values.var(axis=0).sum() for name, values in updates.items()}
    for name in "AR":  # NP: 1 + |e|^2 / |B^T e|^2, and Xavier's B makes the last term some 0.7
        assert spread["together"][name] > 1.5 * spread["separate"][name]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", ["NP", "ANP"])
def test_a_single_output_gets_its_exact_delta_rule(rule, engine):
    """With signs in antithetic pairs: ``2 (y - y*) s``, and nothing random is left in it.

    Where passes are shared, NP's has all of the hidden noise in it, and ANP's what is even in it.
    """
    given = {"schedule": "sequence", "distribution": "rademacher", "pairs": 1}
    sizes = {}
    for layers in ("separate", "together"):
        learning = RULES[rule](1.0, SIGMA, layers=layers, **given)
        found, seen = watch(learning, 3, engine, outputs=1)
        error = 2 * (seen["output.s"] - data(outputs=1)[1])
        exact = np.einsum("tbi,tbj->ij", error, seen["hidden.s"]) / S
        sizes[layers] = np.abs(found["B"] - exact).max() / np.abs(exact).max()
    assert sizes["separate"] < 2e-5
    assert sizes["together"] > {"NP": 0.1, "ANP": 1e-4}[rule]


# ----------------------------------------------------------------- traces that fade


def to_go(seen, decay, window=T):
    """``E = decay E + xi pre / sigma^2``, from nothing in every episode; ``dw = sum of dl E``."""
    reward, pre, expected, last = loss_difference(seen), transmitted(seen), {}, {}
    for name in "AR":
        traces = np.einsum("tbi,tbj->tbij", seen["hidden.noise@1"] / SIGMA**2, pre[name])
        for t in range(1, T):
            traces[t] += decay * traces[t - 1] * (t % window > 0)
        expected[name] = np.einsum("tb,tbij->ij", reward, traces) / S
        last[name] = traces
    own = seen["output.noise@1"] / SIGMA**2  # an output's noise ends with its step
    expected["B"] = np.einsum("tb,tbi,tbj->ij", reward, own, pre["B"]) / S
    return expected, last


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("decay", [0.8, 0.25])
def test_a_fading_trace_meets_rewards_to_go(decay, window, engine):
    given = {"reward": "return_to_go", "window": window, "schedule": "sequence"}
    probe = ns.Probe("R", "eligibility", pass_=1)
    rule = ns.NP(1.0, SIGMA, trace_decay=decay, **given)
    found, seen = watch(rule, 2, engine, tau=2.0, more=[probe])
    expected, traces = to_go(seen, decay, window or T)
    close(found, expected)
    steps = [t for t in range(T - 1) if (t + 1) % (window or T)]  # others end an episode
    got = seen[probe.name].reshape(traces["R"].shape)
    np.testing.assert_allclose(got[steps], traces["R"][steps], atol=1e-5)
    wrong, _ = to_go(seen, 1.0, window or T)
    assert np.abs(found["R"] - wrong["R"]).max() > 0.05 * np.abs(wrong["R"]).max()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
def test_a_trace_that_does_not_fade_is_no_option_at_all(rule, engine):
    ends = []
    for given in ({}, {"trace_decay": 1.0}, {"trace_decay": 0.999}):
        learning = RULES[rule](1e-3, reward="return_to_go", **given)
        sim = ns.Simulator(network(), learning, batch=S, engine=engine)
        sim.run(*data())
        ends.append(sim.weights)
    assert all(np.array_equal(w, ends[1][name]) for name, w in ends[0].items())
    assert not np.array_equal(ends[2]["R"], ends[0]["R"])


# --------------------------------------------------------------- normalised changes


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("constant", [0.01, 2.0])
@pytest.mark.parametrize("rule", ["NP", "ANP"])
def test_changes_are_divided_by_the_power_of_what_is_transmitted(rule, constant, engine):
    """In each replica and projection: ``c + sum of pre^2``, of the baseline."""
    learning = RULES[rule](1.0, SIGMA, schedule="sequence", normalise=constant)
    found, seen = watch(learning, 2, engine)
    expected, plain = {}, {}
    for name, pre in transmitted(seen).items():
        of, n = ("output", N_OUT) if name == "B" else ("hidden", N)
        noise, delta = seen[f"{of}.noise@1"], loss_difference(seen)[..., None]
        if rule == "NP":
            signal = delta * noise / SIGMA**2
        else:
            y = "output.s" if of == "output" else "hidden.a"
            noise = seen[f"{y}@1"] - seen[y]
            signal = n * delta * noise / (noise**2).sum(axis=2, keepdims=True)
        shrunk = pre / (constant + (pre**2).sum(axis=2, keepdims=True))
        expected[name] = np.einsum("tbi,tbj->ij", signal, shrunk) / S
        plain[name] = np.einsum("tbi,tbj->ij", signal, pre) / S
    close(found, expected, 5e-4)
    unchanged, _ = watch(RULES[rule](1.0, SIGMA, schedule="sequence"), 2, engine)
    close(unchanged, plain, 5e-4)


@pytest.mark.parametrize("reward", ["return_to_go", "global"])
@pytest.mark.parametrize("engine", ENGINES)
def test_what_waits_for_a_reward_is_normalised_when_it_becomes_eligible(engine, reward):
    rule = ns.NP({"A": 1.0, "R": 1.0}, SIGMA, reward=reward, normalise=0.5)
    found, seen = watch(rule, 2, engine)
    delta, noise = loss_difference(seen) / SIGMA**2, seen["hidden.noise@1"]
    later = delta.sum(axis=0) if reward == "global" else delta[::-1].cumsum(axis=0)[::-1]
    pre, expected = transmitted(seen), {}
    for name in "AR":
        shrunk = pre[name] / (0.5 + (pre[name] ** 2).sum(axis=2, keepdims=True))
        later_ = np.broadcast_to(later, delta.shape)
        expected[name] = np.einsum("tb,tbi,tbj->ij", later_, noise, shrunk) / S
    close(found, expected, 5e-4)
    assert not found["B"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_who_forms_no_signal_cannot_normalise_it(engine):
    with pytest.raises(ns.InputError, match=r"WP: normalise = 0.5 needs neurons that form a sig"):
        ns.Simulator(network(), ns.WP(0.1, normalise=0.5), engine=engine)
