"""The referee learns what a loop by hand learns, and can stop and go on anywhere."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest

import neurosim as ns
from neurosim import simulator
from neurosim.engines.referee import RefereeEngine
from neurosim.engines.undisturbed import ctrl_c_waits

T, BATCH, N = 12, 3, 6
GENERATOR = np.random.default_rng(4)
INPUTS = GENERATOR.normal(size=(T, BATCH, 2)).astype(np.float32)
TARGETS = GENERATOR.normal(size=(T, BATCH, 2)).astype(np.float32)
PLAIN = ns.rnn(2, N, 2, seed=3)
SENDS_D = ns.rnn(2, N, 2, decorrelate=True, neuron=ns.Tanh(tau=2.0), seed=3)
RATE = 0.05

CASES = {
    "online 1": (PLAIN, {"truncate": 1}),
    "online 3": (SENDS_D, {"truncate": 3}),
    "online 5 momentum": (PLAIN, {"truncate": 5, "optimiser": "momentum"}),
    "chunk": (SENDS_D, {"chunk": 5}),
    "sequence": (SENDS_D, {}),
    "sequence truncated": (PLAIN, {"truncate": 2, "schedule": "sequence"}),
    "sequence in chunks": (SENDS_D, {"chunk": 5, "schedule": "sequence", "optimiser": "sgd"}),
}
ONLINE = [case for case in CASES if case.startswith("online")]
LATER = [case for case in CASES if case not in ONLINE]


def build(case, **more):
    network, options = CASES[case]
    learns_d = "D" in network.matrices
    given = {"decorrelation": ns.Decorrelation(RATE) if learns_d else None, "batch": BATCH}
    return ns.Simulator(network, ns.BPTT(RATE, **options), **given | more)


def equal(sim, other):
    """Whether two simulators have the same weights to the bit."""
    return all(np.array_equal(w, other.weights[name]) for name, w in sim.weights.items())


def close(sim, weights, rtol=2e-5):
    """Whether weights moved to where they should, up to rounding to float32."""
    moved = {n: w - sim.network.initial_weights()[n] for n, w in weights.items()}
    return all(
        np.abs(w - weights[n]).max() <= rtol * max(np.abs(moved[n]).max(), 0.01)
        for n, w in sim.weights.items()
    )


def initial(network):
    return {name: w.astype(np.float64) for name, w in network.initial_weights().items()}


# ----------------------------------------------------------- against a loop by hand


def equation_6(w, s):
    """Mean over replicas."""
    return sum((np.outer(r, r) - np.diag(r * r)) @ w["D"] for r in s) / len(s)


@pytest.mark.parametrize("decorrelated", [False, True])
def test_one_step_online_is_the_loop_one_would_write(decorrelated):
    network = ns.rnn(2, N, 2, decorrelate=decorrelated, seed=3)
    w, s = initial(network), np.zeros((BATCH, N))
    losses = []
    for u, target in zip(INPUTS, TARGETS, strict=True):
        x = np.tanh(u @ w["A"].T + s @ w["R"].T)
        before, s = s, x @ w["D"].T if decorrelated else x
        error = s @ w["B"].T - target
        losses.append((error**2).sum(axis=1))
        back = error @ w["B"] @ (w["D"] if decorrelated else np.eye(N))
        hidden = 2 * back * (1 - x**2)
        changes = {"A": hidden.T @ u, "R": hidden.T @ before, "B": 2 * error.T @ s}
        if decorrelated:
            w["D"] = w["D"] - 0.02 * equation_6(w, s)
        for name, change in changes.items():
            w[name] -= RATE * change / BATCH

    rule = ns.BPTT(RATE, truncate=1, optimiser="sgd")
    sim = ns.Simulator(network, rule, ns.Decorrelation(0.02) if decorrelated else None, batch=BATCH)
    record = sim.run(INPUTS, TARGETS)
    np.testing.assert_allclose(record.loss, losses, rtol=1e-4)
    assert close(sim, w)
    assert record.reward == {}


@pytest.mark.parametrize("truncate", [2, 4, 99])
@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_more_steps_online_reach_back_with_the_weights_of_now(truncate, tau):
    network = ns.rnn(2, N, 2, decorrelate=True, neuron=ns.Tanh(tau=tau), seed=3)
    w, x, s = initial(network), np.zeros((BATCH, N)), np.zeros((BATCH, N))
    past = []
    for u, target in zip(INPUTS, TARGETS, strict=True):
        fired = np.tanh(u @ w["A"].T + s @ w["R"].T)
        x = fired / tau + (1 - 1 / tau) * x
        past.append((u, s, fired))
        s = x @ w["D"].T
        error = 2 * (s @ w["B"].T - target) / BATCH
        changes = {"A": 0.0, "R": 0.0, "B": error.T @ s}
        dx = error @ w["B"] @ w["D"]
        for u_then, s_then, fired_then in past[::-1][:truncate]:
            da = dx * (1 - fired_then**2) / tau
            changes["A"] += da.T @ u_then
            changes["R"] += da.T @ s_then
            dx = da @ w["R"] @ w["D"] + (1 - 1 / tau) * dx
        for name, change in changes.items():
            w[name] -= RATE * change
    rule = ns.BPTT(RATE, truncate=truncate, optimiser="sgd")
    sim = ns.Simulator(network, rule, batch=BATCH)
    sim.run(INPUTS, TARGETS)
    assert close(sim, w)


@pytest.mark.parametrize(
    ("neuron", "how"),
    [
        (ns.Tanh(tau=2.0), {"tau": 2.0}),
        (ns.ReLU(), {"neuron": "relu"}),
        (ns.Linear(tau=3.0), {"neuron": "linear", "tau": 3.0}),
    ],
)
@pytest.mark.parametrize("reach", [{}, {"truncate": 3}, {"chunk": 5}])
def test_once_per_sequence_is_a_step_down_the_gradient(neuron, how, reach):
    network = ns.rnn(2, N, 2, decorrelate=True, neuron=neuron, bias=0.5, seed=3)
    weights = initial(network)
    weights["D"] = weights["D"] + 0.2 * GENERATOR.normal(size=(N, N))
    rates = {"A": RATE, "B": 2 * RATE, "b": RATE}
    rule = ns.BPTT(rates, optimiser="sgd", schedule="sequence", **reach)
    sim = ns.Simulator(network, rule, batch=BATCH)
    sim.weights = weights
    loss, gradients = ns.bptt.gradients(weights, INPUTS, TARGETS, **how, **reach)
    record = sim.run(INPUTS, TARGETS)
    assert record.loss.mean() == pytest.approx(loss, rel=1e-5)
    for name, w in sim.weights.items():
        expected = rates.get(name, 0.0) * gradients.get(name, np.zeros((N, N)))
        np.testing.assert_allclose(weights[name] - w, expected, atol=3e-7, rtol=1e-4)
    assert record.weight_writes.tolist() == [0] * (T - 1) + [2 * N + 2 * N + N]


def test_chunks_follow_each_other_with_their_state_and_adam():
    w = initial(PLAIN)
    m, v = ({name: np.zeros_like(values) for name, values in w.items()} for _ in "mv")
    s = np.zeros((BATCH, N))
    for n, start in enumerate(range(0, T, 5), start=1):
        states = [s]
        for u in INPUTS[start : start + 5]:
            states.append(np.tanh(u @ w["A"].T + states[-1] @ w["R"].T))
        steps, g = len(states) - 1, dict.fromkeys(w, 0.0)
        da = np.zeros((BATCH, N))
        for t in reversed(range(steps)):
            error = 2 * (states[t + 1] @ w["B"].T - TARGETS[start + t]) / (BATCH * steps)
            da = (error @ w["B"] + da @ w["R"]) * (1 - states[t + 1] ** 2)
            g["A"] += da.T @ INPUTS[start + t]
            g["R"] += da.T @ states[t]
            g["B"] += error.T @ states[t + 1]
        for name in w:
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            size = np.sqrt(v[name] / (1 - 0.999**n)) + 1e-8
            w[name] -= RATE * m[name] / (1 - 0.9**n) / size
        s = states[-1]
    sim = ns.Simulator(PLAIN, ns.BPTT(RATE, chunk=5), batch=BATCH)
    record = sim.run(INPUTS, TARGETS)
    assert close(sim, w, rtol=1e-3)  # Adam divides by gradients that are nearly 0
    written = np.flatnonzero(record.weight_writes)
    assert written.tolist() == [4, 9, 11]


@pytest.mark.parametrize("rule", [ns.Decorrelation(0.1), ns.LocalDecorrelation(0.1)])
@pytest.mark.parametrize("truncate", [1, 3])
def test_d_learns_what_the_compiled_engine_teaches_it(rule, truncate):
    """While other weights stand still: in one step, and online in all."""
    network = ns.rnn(2, N, 2, decorrelate=True, seed=3)
    still = {"B": 1e-30}
    for steps in (1, T):
        sims = [
            ns.Simulator(network, learning, rule, batch=BATCH)
            for learning in (None, ns.BPTT(still, truncate=truncate, optimiser="sgd"))
        ]
        for sim in sims:
            sim.run(INPUTS[:steps], TARGETS[:steps])
        assert type(sims[1]._engine) is RefereeEngine
        found, expected = (sim.weights["D"] for sim in sims[::-1])
        moved = np.abs(expected - np.eye(N)).max()
        assert moved > 1e-3
        assert np.abs(found - expected).max() < 1e-5 * moved


@pytest.mark.parametrize("options", [{"chunk": 4}, {}])
def test_d_learns_with_the_other_weights_by_the_sum_over_steps(options):
    network = ns.rnn(2, N, 2, decorrelate=True, seed=3)
    sim = ns.Simulator(network, ns.BPTT(1e-30, **options), ns.Decorrelation(0.02), batch=BATCH)
    w, s = initial(network), np.zeros((BATCH, N))
    chunk, change = options.get("chunk", T), 0.0
    for t, u in enumerate(INPUTS):
        s = np.tanh(u @ w["A"].T + s @ w["R"].T) @ w["D"].T
        change = change + equation_6(w, s)
        if (t + 1) % chunk == 0:
            w["D"] = w["D"] - 0.02 * change
            change = 0.0
    sim.run(INPUTS, TARGETS)
    assert close(sim, w)


# ---------------------------------------------------------------- like any engine


@pytest.mark.parametrize("decorrelated", [False, True])
@pytest.mark.parametrize("neuron", [ns.Tanh(), ns.ReLU(tau=2.0), ns.Linear(tau=4.0)])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_states_outputs_and_counts_are_those_of_the_compiled_engine(neuron, decorrelated, bias):
    network = ns.rnn(2, N, 2, decorrelate=decorrelated, neuron=neuron, gain=0.5, bias=bias, seed=3)
    probes = [ns.Probe("one", v) for v in "axs"] if bias else []
    probes += [ns.Probe(p, v) for p in ("input", "hidden", "output") for v in "axs"]
    probes += [ns.Probe("R", "w", steps=[3])]
    records = []
    for rule in (None, ns.BPTT(RATE)):
        sim = ns.Simulator(network, rule, batch=BATCH)
        sim.run(INPUTS, TARGETS, learn=False)
        records.append(
            sim.run(INPUTS, TARGETS, learn=False, probes=probes, outputs=True, reset=False)
        )
    expected, found = records
    for name, values in expected.probes.items():
        np.testing.assert_allclose(found.probes[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.outputs, expected.outputs, rtol=1e-4, atol=1e-6)
    for name in ("events", "synaptic_operations", "weight_writes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("decorrelation", [ns.Decorrelation(1e-3), ns.LocalDecorrelation(1e-3)])
def test_operations_and_writes_while_d_learns_are_those_of_the_compiled_engine(decorrelation):
    records = []
    for rule in (None, ns.BPTT(RATE, truncate=1)):
        sim = ns.Simulator(SENDS_D, rule, decorrelation, batch=BATCH)
        records.append(sim.run(INPUTS, TARGETS))
    expected, found = records
    np.testing.assert_array_equal(found.synaptic_operations, expected.synaptic_operations)
    projections = sum(SENDS_D.initial_weights()[name].size for name in "ARB")
    np.testing.assert_array_equal(found.weight_writes, expected.weight_writes + projections)


@pytest.mark.parametrize("case", CASES)
def test_learning_lowers_the_loss(case):
    network, options = CASES[case]
    decorrelation = ns.Decorrelation(1e-4) if "D" in network.matrices else None
    rate = 5e-2 if options.get("optimiser") == "sgd" else 5e-3
    sim = ns.Simulator(network, ns.BPTT(rate, **options), decorrelation, batch=BATCH)
    before = sim.evaluate(INPUTS, TARGETS).mse
    for _ in range(100):
        sim.run(INPUTS, TARGETS)
    assert sim.evaluate(INPUTS, TARGETS).mse < 0.9 * before


@pytest.mark.parametrize("case", CASES)
def test_an_evaluation_or_a_run_without_learning_changes_nothing(case):
    sim, other = build(case), build(case)
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    before = sim._engine.state()
    sim.evaluate(INPUTS[:, :1], TARGETS[:, :1])
    for name, values in sim._engine.state().items():
        np.testing.assert_array_equal(values, before[name])
    sim.run(INPUTS, TARGETS, learn=False)
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    assert equal(sim, other)


def test_a_rate_per_projection_freezes_the_others():
    sim = ns.Simulator(PLAIN, ns.BPTT({"B": RATE}, truncate=1), batch=BATCH)
    sim.run(INPUTS, TARGETS)
    changed = {
        n for n, w in sim.weights.items() if not np.array_equal(w, PLAIN.initial_weights()[n])
    }
    assert changed == {"B"}


def test_names_of_ones_own():
    network = ns.Network(
        populations=(
            ns.Population("world", 2),
            ns.Population("cortex", N, ns.Tanh(), decorrelation="quiet"),
            ns.Population("muscle", 2, ns.Linear()),
        ),
        projections=(
            ns.Projection("act", "cortex", "muscle"),
            ns.Projection("sense", "world", "cortex"),
            ns.Projection("think", "cortex", "cortex", delay=1),
        ),
    )
    ours = {"sense": "A", "think": "R", "act": "B", "quiet": "D"}
    same = ns.rnn(2, N, 2, decorrelate=True)
    sim = ns.Simulator(network, ns.BPTT(RATE, chunk=5), ns.Decorrelation(RATE), batch=BATCH)
    other = ns.Simulator(same, ns.BPTT(RATE, chunk=5), ns.Decorrelation(RATE), batch=BATCH)
    other.weights = {ours[name]: w for name, w in sim.weights.items()}
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    for name, part in ours.items():
        np.testing.assert_array_equal(sim.weights[name], other.weights[part])


# ----------------------------------------------------------------- stop and go on


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stretch", [1, 3 * 84 * BATCH])
def test_how_a_run_is_cut_into_stretches_does_not_matter(case, stretch, monkeypatch):
    whole = build(case)
    expected = whole.run(INPUTS, TARGETS)
    monkeypatch.setattr(simulator, "STRETCH", stretch)
    parts, calls = build(case), []
    record = parts.run(INPUTS, TARGETS, progress=calls.append, probes=[ns.Probe("hidden", "s")])
    assert len(calls) > 3
    np.testing.assert_array_equal(record.loss, expected.loss)
    np.testing.assert_array_equal(record.weight_writes, expected.weight_writes)
    assert equal(whole, parts)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reset", [True, False])
def test_going_on_from_a_file_equals_never_having_stopped_to_the_bit(case, reset, tmp_path):
    sim = build(case)
    for _ in range(3):
        sim.run(INPUTS, TARGETS)
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    assert repr(loaded) == repr(sim)
    for _ in range(2):
        records = [one.run(INPUTS, TARGETS, reset=reset) for one in (sim, loaded)]
        np.testing.assert_array_equal(records[0].loss, records[1].loss)
        assert equal(sim, loaded)


def test_without_the_optimisers_memory_it_would_not_be_the_same(tmp_path):
    """Negative control: what is saved of it matters."""
    sim = build("online 3")
    sim.run(INPUTS, TARGETS)
    fresh = build("online 3")
    fresh.weights = sim.weights
    for one in (sim, fresh):
        one.run(INPUTS, TARGETS)
    assert not equal(sim, fresh)


@pytest.mark.parametrize("case", ONLINE)
@pytest.mark.parametrize("cut", [1, 5])
def test_two_runs_that_go_on_equal_one_run_to_the_bit(case, cut):
    whole, parts = build(case), build(case)
    expected = whole.run(INPUTS, TARGETS)
    records = [
        parts.run(INPUTS[:cut], TARGETS[:cut]),
        parts.run(INPUTS[cut:], TARGETS[cut:], reset=False),
    ]
    np.testing.assert_array_equal(np.concatenate([r.loss for r in records]), expected.loss)
    assert equal(whole, parts)


def test_runs_from_rest_know_nothing_of_each_other():
    sim, other = build("online 3"), build("online 3")
    sim.run(INPUTS, TARGETS, learn=False)
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    assert equal(sim, other)


def test_runs_whose_lengths_differ():
    sim = build("chunk")
    for steps in (3, T, 1, 5):
        sim.run(INPUTS[:steps], TARGETS[:steps], reset=False)
    other = build("chunk")
    other.run(INPUTS[:3], TARGETS[:3])
    other.run(INPUTS, TARGETS, reset=False)
    other.run(INPUTS[:1], TARGETS[:1], reset=False)
    assert not equal(sim, other)
    other.run(INPUTS[:5], TARGETS[:5], reset=False)
    assert equal(sim, other)


def interrupt_after(steps):
    def progress(done):
        if done == steps:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("case", ONLINE)
def test_an_interrupted_run_can_be_gone_on_with(case, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", 1)
    whole, stopped = build(case), build(case)
    whole.run(INPUTS, TARGETS)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS, progress=interrupt_after(5))
    assert stopped.step == 5
    stopped.run(INPUTS[5:], TARGETS[5:], reset=False)
    assert equal(whole, stopped)


@pytest.mark.parametrize("case", LATER)
def test_an_interrupted_chunk_teaches_nothing(case, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", 1)
    stopped, other = build(case), build(case)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS, progress=interrupt_after(4))
    assert equal(stopped, build(case))
    for sim in (stopped, other):
        sim.run(INPUTS, TARGETS)
    assert equal(stopped, other)


def test_ctrl_c_waits_for_whole_steps():
    done = []

    def block():
        with ctrl_c_waits():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_middle_of_a_step_leaves_whole_steps(monkeypatch):
    stopped, after = build("online 3"), []
    step = RefereeEngine._step

    def pressed(engine, progress, t):
        if t == 4:
            os.kill(os.getpid(), signal.SIGINT)
        step(engine, progress, t)
        after.append(t)

    monkeypatch.setattr(RefereeEngine, "_step", pressed)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS)
    monkeypatch.undo()
    assert after == list(range(T)), "the stretch was finished"
    whole = build("online 3")
    whole.run(INPUTS, TARGETS)
    assert equal(whole, stopped)


@pytest.mark.parametrize("options", [{"truncate": 1}, {"chunk": 3}])
@pytest.mark.parametrize("stretch", [1, 3e8])
def test_numbers_that_blow_up_are_noticed(options, stretch, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", stretch)
    rule = ns.BPTT({"B": 1e25}, optimiser="sgd", **options)
    sim = ns.Simulator(PLAIN, rule, batch=BATCH)
    sim.run(INPUTS, TARGETS, learn=False)
    at = T + options.get("chunk", 1)
    with pytest.raises(ns.DivergenceError, match=f"projection 'B' blew up at step {at}") as blown:
        sim.run(INPUTS, TARGETS)
    assert (blown.value.projection, blown.value.step) == ("B", at)


# ---------------------------------------------------------------------- refusals


@dataclass(frozen=True)
class Mine(ns.Tanh):
    pass


@dataclass(frozen=True)
class Own(ns.Decorrelation):
    pass


def other_network(**changes):
    populations = [
        ns.Population("input", 2),
        ns.Population("hidden", N, ns.Tanh()),
        ns.Population("output", 2, ns.Linear()),
    ]
    projections = [
        ns.Projection("A", "input", "hidden"),
        ns.Projection("R", "hidden", "hidden", delay=1),
        ns.Projection("B", "hidden", "output"),
    ]
    populations[2] = changes.get("output", populations[2])
    projections[1:2] = changes.get("recurrent", projections[1:2])
    projections += changes.get("more", [])
    populations[2:2] = changes.get("between", [])
    return ns.Network(tuple(populations), tuple(projections))


DEEP = {
    "between": [ns.Population("second", 3, ns.Tanh())],
    "more": [ns.Projection("C", "hidden", "second")],
}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"network": other_network(**DEEP)}, r"network has populations .*second.*as rnn\(\)"),
        ({"network": other_network(recurrent=[])}, "network has .*hidden -> hidden"),
        (
            {"network": other_network(recurrent=[ns.Projection("R", "output", "hidden", delay=1)])},
            r"network has .*R: output -> hidden \(delay 1\)",
        ),
        (
            {"network": other_network(more=[ns.Projection("C", "input", "output")])},
            "C: input -> output",
        ),
        (
            {"network": other_network(more=[ns.Projection("C", "input", "hidden")])},
            "C: input -> hidden",
        ),
        ({"network": ns.rnn(2, N, 2, neuron=Mine())}, r"'hidden' has neuron = Mine.*Tanh, ReLU"),
        (
            {"network": other_network(output=ns.Population("output", 2, ns.Linear(tau=2.0)))},
            r"'output' has neuron = Linear\(tau=2\.0\)",
        ),
        (
            {"network": other_network(output=ns.Population("output", 2, ns.Tanh()))},
            r"'output' has neuron = Tanh",
        ),
        (
            {"network": other_network(output=ns.Population("output", 2, ns.Linear(), "E"))},
            "'output' .* decorrelation = 'E'",
        ),
        ({"substrate": ns.Substrate(act_noise=0.1)}, r"substrate = Substrate\(act_noise=0\.1\)"),
        (
            {"network": SENDS_D, "decorrelation": Own(1e-3)},
            "decorrelation = Own.* written for Decorrelation, LocalDecorrelation",
        ),
        ({"rule": ns.BPTT({"C": 1e-3})}, r"learning_rate\['C'\] names no projection; .*A, B, R"),
    ],
)
def test_what_cannot_be_differentiated_is_refused(given, says):
    with pytest.raises(ns.InputError, match=f"BPTT: .*{says}"):
        ns.Simulator(**{"network": PLAIN, "rule": ns.BPTT(1e-3), **given})


def test_the_oracle_has_no_place_for_it(tmp_path):
    with pytest.raises(ns.InputError, match=r"engine = 'objects' cannot run BPTT.*'cpu'"):
        ns.Simulator(PLAIN, ns.BPTT(1e-3), engine="objects")
    with pytest.raises(ns.InputError, match="engine = 'cpus' does not exist; did you mean 'cpu'"):
        ns.Simulator(PLAIN, ns.BPTT(1e-3), engine="cpus")
    ns.Simulator(PLAIN, ns.BPTT(1e-3)).save(tmp_path / "saved.npz")
    with pytest.raises(ns.InputError, match="engine = 'objects' cannot run BPTT"):
        ns.Simulator.load(tmp_path / "saved.npz", engine="objects")


def test_a_class_is_no_rule():
    with pytest.raises(ns.InputError, match="must be an instance of a rule"):
        ns.Simulator(PLAIN, ns.BPTT)


def test_there_is_nothing_to_look_at_in_a_perturbed_pass():
    with pytest.raises(ns.InputError, match=r"pass_ = 1 must be a pass, in \[0, 1\)"):
        build("chunk").run(INPUTS, TARGETS, probes=[ns.Probe("hidden", "x", pass_=1)])
