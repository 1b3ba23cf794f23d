"""Probes: what they refuse, what they see; and records."""

from __future__ import annotations

import numpy as np
import pytest

import neurosim as ns
from neurosim.network import Network, Population, Projection

ENGINES = ["objects", "cpu"]
T, BATCH = 6, 2
RNG = np.random.default_rng(4)
INPUTS = RNG.standard_normal((T, BATCH, 2)).astype(np.float32)
TARGETS = RNG.standard_normal((T, BATCH, 1)).astype(np.float32)
NET = ns.rnn(2, 4, 1, decorrelate=True, seed=1)
EVERYTHING = [
    *(ns.Probe(p, v) for p in ("hidden", "output") for v in "axs"),
    *(ns.Probe(p, v, pass_=1) for p in ("hidden", "output") for v in ("a", "x", "noise", "signal")),
    *(ns.Probe(m, "w") for m in "ARBD"),
]


def simulator(engine="objects", network=NET, **more):
    given = {"rule": ns.ANP(1e-2), "batch": BATCH, "seed": 2, **more}
    return ns.Simulator(network, engine=engine, **given)


def look(probe, engine="objects", **more):
    record = simulator(engine, **more).run(INPUTS, TARGETS, probes=[probe])
    return record.probes[probe.name]


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of": "hiden"}, r"'hiden\.x': of = 'hiden' does not exist; did you mean 'hidden'\? know"),
        ({"of": 3}, r"Probe: of = 3 must be a name"),
        ({"of": "hidden", "variable": "v"}, r"'hidden\.v': variable = 'v' must be one of \('a', "),
        ({"of": "hidden", "variable": "w"}, r"variable = 'w' must be one of \('a', 'x', 's', 'a_"),
        ({"of": "hidden", "variable": "noise"}, r"variable = 'noise' must be one of"),
        ({"of": "input", "variable": "noise", "pass_": 1}, r"'input\.noise@1': variable = 'noise'"),
        ({"of": "A"}, r"'A\.x': variable = 'x' must be one of \('w',\)"),
        ({"of": "A", "variable": "eligibility", "pass_": 1}, r"variable = 'eligibility' must be"),
        ({"of": "D", "variable": "eligibility", "pass_": 1}, r"variable = 'eligibility' must be"),
        ({"of": "hidden", "pass_": 2}, r"'hidden\.x@2': pass_ = 2 must be a pass, in \[0, 2\)"),
        ({"of": "hidden", "pass_": -1}, r"pass_ = -1 must be a whole number"),
        ({"of": "hidden", "pass_": 0.0}, r"pass_ = 0\.0 must be a whole number"),
        ({"of": "hidden", "steps": 0}, r"'hidden\.x': steps = 0 must be None, an int >= 1"),
        ({"of": "hidden", "steps": -1}, r"steps = -1 must be .* an int >= 1"),
        ({"of": "hidden", "steps": [0, 6]}, r"steps = \[0, 6\] must be .* steps in \[0, 6\)"),
        ({"of": "hidden", "steps": [-1]}, r"steps = \[-1\] must be .* steps in"),
        ({"of": "hidden", "steps": [0.5]}, r"steps = "),
        ({"of": "hidden", "steps": 1.5}, r"steps = 1\.5 must be"),
        ({"of": "hidden", "steps": True}, r"steps = True must be"),
        ({"of": "hidden", "steps": "01"}, r"steps = '01' must be"),
        ({"of": "hidden", "steps": "all"}, r"steps = 'all' must be"),
        ({"of": "hidden", "units": [4]}, r"units = \[4\] must be .* indices in \[0, 4\)"),
        ({"of": "hidden", "units": [-1]}, r"units = \[-1\] must be .* indices"),
        ({"of": "hidden", "units": [0.5]}, r"units = \[0\.5\] must be .* indices"),
        ({"of": "hidden", "units": 3}, r"units = 3 must be"),
        ({"of": "B", "variable": "w", "units": [1]}, r"'B\.w': units = \[1\] must be .* indices"),
    ],
)  # fmt: skip
def test_a_probe_is_refused_before_anything_runs(given, said):
    sim = simulator()
    with pytest.raises(ns.InputError, match=said):
        sim.run(INPUTS, TARGETS, probes=[ns.Probe(**given)])
    assert sim.step == 0


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        (["hidden"], r"Simulator: probes = 'hidden' must be Probe objects"),
        ([ns.Probe("A", "w"), ns.Probe("A", "w", steps=2)], r"probes = \['A\.w'\] must be of diff"),
    ],
)
def test_probes_are_refused(probes, said):
    with pytest.raises(ns.InputError, match=said):
        simulator().run(INPUTS, TARGETS, probes=probes)


def test_without_learning_there_is_no_perturbed_pass_to_look_at():
    with pytest.raises(ns.InputError, match=r"pass_ = 1 must be a pass, in \[0, 1\)"):
        simulator().evaluate(INPUTS, TARGETS, probes=[ns.Probe("hidden", pass_=1)])


# --------------------------------------------------------------- when and whom


@pytest.mark.parametrize(
    ("steps", "chosen"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        (1, [0, 1, 2, 3, 4, 5]),
        (4, [0, 4]),
        (np.int64(9), [0]),
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, 2), [0, 2, 4]),
        (slice(-2, None), [4, 5]),
        ([5], [5]),
        ((3, 1, 3), [1, 3]),
        (np.array([0, 2]), [0, 2]),
        (range(2), [0, 1]),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_steps_can_be_chosen(engine, steps, chosen):
    everything = look(ns.Probe("hidden"), engine)
    weights = look(ns.Probe("R", "w"), engine)
    assert everything.shape == (T, BATCH, 4)
    assert weights.shape == (T, 4, 4)
    np.testing.assert_array_equal(look(ns.Probe("hidden", steps=steps), engine), everything[chosen])
    np.testing.assert_array_equal(look(ns.Probe("R", "w", steps=steps), engine), weights[chosen])


@pytest.mark.parametrize("engine", ENGINES)
def test_units_can_be_chosen(engine):
    units = [3, 0]
    hidden, rows = look(ns.Probe("hidden", "a"), engine), look(ns.Probe("R", "w"), engine)
    chosen = look(ns.Probe("hidden", "a", units=units), engine)
    np.testing.assert_array_equal(chosen, hidden[:, :, units])
    np.testing.assert_array_equal(look(ns.Probe("R", "w", units=units), engine), rows[:, units])
    assert look(ns.Probe("hidden", units=[]), engine).shape == (T, BATCH, 0)
    rule = ns.ANP(1e-2, reward="return_to_go", window=3)
    probe = ns.Probe("R", "eligibility", pass_=1)
    traces = look(probe, engine, rule=rule)
    assert traces.shape == (T, BATCH, 4, 4)
    chosen = look(ns.Probe("R", "eligibility", pass_=1, units=units), engine, rule=rule)
    np.testing.assert_array_equal(chosen, traces[:, :, units])


def test_names_of_probes():
    assert ns.Probe("hidden").name == "hidden.x"
    assert ns.Probe("R", "w").name == "R.w"
    assert ns.Probe("hidden", "noise", pass_=2).name == "hidden.noise@2"


def test_probes_may_come_from_a_generator_and_ask_for_nothing():
    record = simulator().run(INPUTS, TARGETS, probes=(ns.Probe(p) for p in ("hidden", "output")))
    assert list(record.probes) == ["hidden.x", "output.x"]
    assert look(ns.Probe("hidden", steps=[])).size == 0


@pytest.mark.parametrize("field", ["units", "steps"])
def test_what_a_generator_gives_is_there_for_every_run(field):
    expected = look(ns.Probe("hidden", **{field: [0, 2]}))
    for once in ((k for k in (0, 2)), iter([0, 2]), map(int, "02"), {0: "a", 2: "b"}.keys()):
        probe = ns.Probe("hidden", **{field: once})
        for _ in range(2):
            np.testing.assert_array_equal(look(probe), expected)
        assert probe == ns.Probe("hidden", **{field: np.array([0, 2])})
        assert len({probe, ns.Probe("hidden", **{field: [0, 2]})}) == 1


# ----------------------------------------------------------------- what is seen


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tau", [1.0, 2.5])
def test_all_that_is_seen_can_be_recomputed(engine, tau):
    net = ns.rnn(2, 4, 1, decorrelate=True, neuron=ns.Tanh(tau=tau), seed=1)
    rate, epsilon = 1e-2, 2e-2
    rule = ns.ANP(rate, noise_std=0.1)  # large, so that differences between passes have digits
    sim = simulator(engine, net, rule=rule, decorrelation=ns.Decorrelation(epsilon))
    record = sim.run(INPUTS, TARGETS, probes=EVERYTHING, outputs=True)
    seen = {name: values.astype(np.float64) for name, values in record.probes.items()}
    w = {k: v.astype(np.float64) for k, v in net.initial_weights().items()}
    x, s = np.zeros((BATCH, 4)), np.zeros((BATCH, 4))
    x_perturbed, s_perturbed = x, s

    def close(name, expected, t, tolerance=2e-6):
        np.testing.assert_allclose(
            seen[name][t], expected, rtol=1e-5, atol=tolerance, err_msg=f"{name} at step {t}"
        )

    for t in range(T):
        u, before = INPUTS[t].astype(np.float64), s
        a = u @ w["A"].T + before @ w["R"].T
        x = np.tanh(a) / tau + (1 - 1 / tau) * x
        s = x @ w["D"].T
        y = s @ w["B"].T
        for name, values in (("a", a), ("x", x), ("s", s)):
            close(f"hidden.{name}", values, t)
            close(f"output.{name}", values if values is y else y, t)
        np.testing.assert_allclose(record.outputs[t], y, rtol=1e-5, atol=2e-6)
        loss = ((y - TARGETS[t]) ** 2).sum(axis=1)
        np.testing.assert_allclose(record.loss[t], loss, rtol=1e-4, atol=1e-6)

        noise, noise_out = seen["hidden.noise@1"][t], seen["output.noise@1"][t]
        a_perturbed = u @ w["A"].T + s_perturbed @ w["R"].T + noise
        x_perturbed = np.tanh(a_perturbed) / tau + (1 - 1 / tau) * x_perturbed
        s_perturbed = x_perturbed @ w["D"].T
        y_perturbed = s_perturbed @ w["B"].T + noise_out
        close("hidden.a@1", a_perturbed, t)
        close("hidden.x@1", x_perturbed, t)
        close("output.a@1", y_perturbed, t)
        difference = ((y_perturbed - TARGETS[t]) ** 2).sum(axis=1) - loss
        for population, projection, change in (
            ("hidden", "A", a_perturbed - a),
            ("output", "B", y_perturbed - y),
        ):
            reward = change.shape[1] * difference / (change**2).sum(axis=1)
            np.testing.assert_allclose(record.reward[projection][t], reward, rtol=1e-3, atol=1e-4)
            # The signal is what the recorded reward and the seen activities make of it.
            passes = [seen[f"{population}.a{k}"][t] for k in ("@1", "")]
            signal = record.reward[projection][t][:, None] * (passes[0] - passes[1])
            close(f"{population}.signal@1", signal, t, 1e-4)
        np.testing.assert_array_equal(record.reward["A"], record.reward["R"])

        # What is written is what signals, presynaptic activities and rates make of it.
        hidden, output = seen["hidden.signal@1"][t], seen["output.signal@1"][t]
        retrograde = s @ w["D"]
        written = {
            "A": rate * hidden.T @ u / BATCH,
            "R": rate * hidden.T @ before / BATCH,
            "B": rate * output.T @ s / BATCH,
            "D": epsilon * (s.T @ retrograde - (s**2).T.sum(axis=1)[:, None] * w["D"]) / BATCH,
        }
        for name, change in written.items():
            np.testing.assert_allclose(
                w[name] - seen[f"{name}.w"][t], change, rtol=1e-4, atol=3e-7, err_msg=name
            )
            w[name] = seen[f"{name}.w"][t]
    for name, last in sim.weights.items():
        np.testing.assert_array_equal(last, record.probes[f"{name}.w"][-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_input_population_shows_the_data(engine):
    np.testing.assert_array_equal(look(ns.Probe("input", "s"), engine), INPUTS)
    np.testing.assert_array_equal(look(ns.Probe("input", "s", pass_=1), engine), INPUTS)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_eligibility_is_summed_until_the_episode_is_over(engine):
    probes = [ns.Probe("A", "eligibility", pass_=1), ns.Probe("hidden", "signal", pass_=1)]
    rule = ns.NP(1e-2, reward="return_to_go", window=4)
    record = simulator(engine, ns.rnn(2, 4, 1), rule=rule).run(INPUTS, TARGETS, probes=probes)
    traces, signals = (record.probes[p.name] for p in probes)
    expected = np.zeros((BATCH, 4, 2))
    for t in range(T):
        expected = expected + signals[t][:, :, None] * INPUTS[t][:, None, :]
        if t in (3, 5):
            expected = np.zeros_like(expected)
        np.testing.assert_allclose(traces[t], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("rule", "learn"), [(ns.ANP({"B": 1e-2}), True), (ns.ANP(1e-2), False)], ids=["frozen", "off"]
)
def test_where_nothing_learns_there_is_no_signal(engine, rule, learn):
    probe = ns.Probe("hidden", "signal", pass_=1)
    record = simulator(engine, rule=rule).run(INPUTS, TARGETS, learn, probes=[probe])
    np.testing.assert_array_equal(record.probes[probe.name], np.zeros((T, BATCH, 4)))


@pytest.mark.parametrize("engine", ENGINES)
def test_where_no_reward_comes_later_there_is_no_eligibility(engine):
    net = Network(
        [
            Population("in", 2),
            Population("hidden", 4, ns.Tanh()),
            Population("out", 1, ns.Linear()),
        ],
        [Projection("A", "in", "hidden"), Projection("B", "hidden", "out")],
    )
    probe = ns.Probe("A", "eligibility", pass_=1)
    seen = look(probe, engine, network=net, rule=ns.ANP(1e-2, reward="global"))
    np.testing.assert_array_equal(seen, np.zeros((T, BATCH, 4, 2)))


# --------------------------------------------------------------------- records


def test_the_mean_squared_error_is_over_steps_replicas_and_outputs():
    sim = ns.Simulator(ns.rnn(2, 4, 3), engine="objects", batch=BATCH)
    targets = RNG.standard_normal((T, BATCH, 3))
    record = sim.evaluate(INPUTS, targets)
    assert record.mse == pytest.approx(((record.outputs - targets) ** 2).mean(), rel=1e-5)
    assert "n_outputs" not in repr(record)
