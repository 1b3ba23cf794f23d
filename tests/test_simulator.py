"""The simulator: what it refuses, what it leaves alone, and going on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import neurosim as ns
from neurosim import checkpoint, simulator
from neurosim.engines.loops import advance

ENGINES = ["objects", "cpu"]
T, BATCH = 8, 2
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((T, BATCH, 2)).astype(np.float32)
TARGETS = RNG.standard_normal((T, BATCH, 1)).astype(np.float32)
PLAIN = ns.rnn(2, 4, 1, seed=6)
LEAKY = ns.rnn(2, 4, 1, neuron=ns.Tanh(tau=3.0), seed=6)
SENDS_D = ns.rnn(2, 4, 1, decorrelate=True, neuron=ns.Tanh(tau=2.0), seed=6)

# Rules and schedules; `online` ones write every change in the step that calls for it.
ONLINE = {
    "anp": (PLAIN, {"rule": ns.ANP(1e-2)}),
    "leaky": (LEAKY, {"rule": ns.ANP(1e-2, noise_std=0.1)}),
    "noisy chip": (PLAIN, {"rule": ns.ANP(1e-2), "substrate": ns.Substrate(act_noise=0.01)}),
    "decorrelated": (SENDS_D, {"rule": ns.ANP(1e-2), "decorrelation": ns.Decorrelation(2e-2)}),
    "np": (LEAKY, {"rule": ns.NP(1e-2, pairs=1, distribution="rademacher")}),
    "wp": (PLAIN, {"rule": ns.WP(1e-2)}),
    "adam": (LEAKY, {"rule": ns.NP(1e-2, optimiser="adam", normalise=0.5, layers="separate")}),
    "learned feedback": (SENDS_D, {"rule": ns.LearnedFeedback(1e-2, optimiser="momentum")}),
}
LATER = {
    "window": (PLAIN, {"rule": ns.ANP(1e-2, window=3)}),
    "to go": (LEAKY, {"rule": ns.NP(1e-3, reward="return_to_go", window=4, resync_every=4)}),
    "global": (
        SENDS_D,
        {
            "rule": ns.ANP(1e-2, reward="global", scale="published", pairs=1),
            "decorrelation": ns.Decorrelation(2e-2),
        },
    ),
    "wp global": (LEAKY, {"rule": ns.WP(1e-4, reward="global", window=4)}),
    "fading": (LEAKY, {"rule": ns.NP(1e-3, reward="return_to_go", window=4, trace_decay=0.8)}),
    "rflo": (LEAKY, {"rule": ns.RFLO(1e-2)}),
}
CASES = ONLINE | LATER


def build(case="anp", engine="cpu", **more):
    network, given = CASES[case]
    return ns.Simulator(network, **{"batch": BATCH, "seed": 9, "engine": engine, **given, **more})


def equal(sim, other):
    """Whether two simulators have the same weights to the bit."""
    return all(np.array_equal(w, other.weights[name]) for name, w in sim.weights.items())


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"network": "rnn"}, r"Simulator: network = 'rnn' must be a Network"),
        ({"substrate": 0.1}, r"Simulator: substrate = 0\.1 must be a Substrate"),
        ({"batch": 0}, r"Simulator: batch = 0 must be a whole number >= 1"),
        ({"batch": 2.0}, r"Simulator: batch = 2\.0 must be a whole number >= 1"),
        ({"batch": True}, r"Simulator: batch = True must be a whole number >= 1"),
        ({"seed": -1}, r"Simulator: seed = -1 must be a whole number in \[0, 2\*\*32\)"),
        ({"seed": 2**32}, r"Simulator: seed = 4294967296 must be"),
        ({"seed": None}, r"Simulator: seed = None must be"),
        ({"engine": "cpus"}, r"Simulator: engine = 'cpus' does not exist; did you mean 'cpu'\?"),
        ({"engine": 1}, r"Simulator: engine = 1 does not exist; known: auto, cpu, cuda"),
        (
            {"network": ns.rnn(1, 200, 1), "engine": "objects"},
            r"Simulator: engine = 'objects' .* at most 20000 synapses; this one has 40400",
        ),
    ],
)
def test_it_refuses(given, said):
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(**{"network": PLAIN, **given})


def with_one(value, at=(1, 0, 1)):
    changed = INPUTS.astype(np.float64)
    changed[at] = value
    return changed


def masked(array):
    """As tables with gaps are read: behind the mask stands -9999."""
    mask = np.zeros(array.shape, dtype=bool)
    mask[1, 0, 0] = True
    return np.ma.masked_array(np.where(mask, -9999, array), mask)


class Tensor:
    """As another library's array that is not to become one of NumPy's."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (with_one(np.nan), TARGETS, r"inputs\[1, 0, 1\] = nan must be finite"),
        (with_one(-np.inf), TARGETS, r"inputs\[1, 0, 1\] = -inf must be finite"),
        (with_one(1e39), TARGETS, r"inputs\[1, 0, 1\] = inf must be finite \(as float32\)"),
        (INPUTS, TARGETS * np.nan, r"targets\[0, 0, 0\] = nan must be finite"),
        (INPUTS[0], TARGETS, r"inputs has shape \(2, 2\), must be \(T, 2, 2\)"),
        (INPUTS[None], TARGETS, r"inputs has shape \(1, 8, 2, 2\), must be \(T, 2, 2\)"),
        (INPUTS[:, :1], TARGETS, r"inputs has shape \(8, 1, 2\), must be \(T, 2, 2\)"),
        (INPUTS[:, :, :1], TARGETS, r"inputs has shape \(8, 2, 1\), must be \(T, 2, 2\)"),
        (INPUTS, TARGETS[:-1], r"targets has shape \(7, 2, 1\), must be \(8, 2, 1\)"),
        (INPUTS[:-1], TARGETS, r"targets has shape \(8, 2, 1\), must be \(7, 2, 1\)"),
        (INPUTS, TARGETS[:, :1], r"targets has shape \(8, 1, 1\), must be \(8, 2, 1\)"),
        (INPUTS, INPUTS, r"targets has shape \(8, 2, 2\), must be \(8, 2, 1\)"),
        (INPUTS[:0], TARGETS[:0], r"inputs has shape \(0, 2, 2\), must be \(T, 2, 2\)"),
        (1.0, TARGETS, r"inputs has shape"),
        (None, TARGETS, r"inputs "),
        ("abc", TARGETS, r"inputs must be numbers of shape \(T, 2, 2\)"),
        (np.full((T, BATCH, 2), "1.5"), TARGETS, r"inputs must be numbers"),
        (INPUTS, np.full((T, BATCH, 1), b"1"), r"targets must be numbers"),
        (np.full((T, BATCH, 2), np.datetime64("2000-01-01")), TARGETS, r"inputs must be numbers"),
        (INPUTS + 1j, TARGETS, r"inputs must be numbers"),
        ([[1.0], [1.0, 2.0]], TARGETS, r"inputs must be numbers of shape"),
        (np.full((T, BATCH, 2), object()), TARGETS, r"inputs must be numbers"),
        (masked(INPUTS), TARGETS, r"inputs must be numbers of shape \(T, 2, 2\), and none masked"),
        (INPUTS, masked(TARGETS), r"targets must be numbers .* none masked"),
        (list(masked(INPUTS)), TARGETS, r"inputs must be numbers .* none masked"),
        ([list(step) for step in masked(INPUTS)], TARGETS, r"inputs must be .* none masked"),
        (Tensor(), TARGETS, r"inputs must be numbers .*requires grad"),
    ],
)
def test_a_run_refuses(engine, inputs, targets, said):
    sim = build(engine=engine)
    before = sim.weights
    with pytest.raises(ns.InputError, match=f"Simulator: {said}"):
        sim.run(inputs, targets)
    assert sim.step == 0
    assert all(np.array_equal(w, before[name]) for name, w in sim.weights.items())


def test_what_is_masked_is_refused_wherever_arrays_enter():
    sims = [build(engine="objects", seed=seed) for seed in (1, 2)]
    for call in (
        lambda: sims[0].evaluate(masked(INPUTS), TARGETS),
        lambda: ns.side_by_side(sims, np.ma.stack([masked(INPUTS)] * 2), [TARGETS, TARGETS]),
        lambda: ns.side_by_side(sims, [masked(INPUTS)] * 2, [TARGETS, TARGETS]),
        lambda: ns.align(sims[0], masked(INPUTS), TARGETS, draws=2),
    ):
        with pytest.raises(ns.InputError, match=r"inputs must be numbers .* none masked"):
            call()
    hidden = np.ma.masked_less(sims[0].weights["R"], 0)
    with pytest.raises(ns.InputError, match=r"weights\['R'\] must be numbers .* none masked"):
        sims[0].weights = {"R": hidden}


def test_a_mask_that_hides_nothing_changes_nothing():
    plain, other = (build(engine="objects") for _ in range(2))
    plain.run(INPUTS, TARGETS)
    other.run(np.ma.asarray(INPUTS), TARGETS)
    assert equal(plain, other)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (with_one(np.nan), TARGETS, r"inputs\[1, 0, 1\] = nan must be finite"),
        (INPUTS, TARGETS[:-1], r"targets has shape \(7, 2, 1\), must be \(8, 2, 1\)"),
        (INPUTS[:, :0], TARGETS[:, :0], r"inputs has shape \(8, 0, 2\)"),
        (INPUTS[:, 0], TARGETS, r"inputs has shape \(8, 2\)"),
        ([[1.0], [1.0, 2.0]], TARGETS, r"inputs must be numbers of shape"),
    ],
)
def test_an_evaluation_refuses(inputs, targets, said):
    with pytest.raises(ns.InputError, match=f"Simulator: {said}"):
        build(engine="objects").evaluate(inputs, targets)


def test_who_has_nothing_to_learn_by_cannot_learn():
    sim = ns.Simulator(SENDS_D, batch=BATCH, engine="objects")
    with pytest.raises(ns.InputError, match="learn = True needs a rule or a decorrelation"):
        sim.run(INPUTS, TARGETS)
    assert sim.run(INPUTS, TARGETS, learn=False).loss.shape == (T, BATCH)
    sim = ns.Simulator(SENDS_D, None, ns.LocalDecorrelation(0.1), batch=BATCH, engine="objects")
    record = sim.run(INPUTS, TARGETS)
    assert record.reward == {}
    initial = SENDS_D.initial_weights()
    changed = {name for name, w in sim.weights.items() if not np.array_equal(w, initial[name])}
    assert changed == {"D"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 1}, r"weights\['a'\] does not exist; known: A, B, R"),
        ({"D": np.eye(4)}, r"weights\['D'\] does not exist"),
        ({3: 1}, r"weights\[3\] does not exist"),
        ({"A": np.ones((2, 4))}, r"weights\['A'\] has shape \(2, 4\), must be \(4, 2\)"),
        ({"R": np.ones(16)}, r"weights\['R'\] has shape \(16,\), must be \(4, 4\)"),
        ({"B": np.full((1, 4), np.nan)}, r"weights\['B'\]\[0, 0\] = nan must be finite"),
        ({"B": "heavy"}, r"weights\['B'\] must be numbers of shape \(1, 4\)"),
        ({"A": np.ones((4, 2)), "B": np.ones((4, 1))}, r"weights\['B'\] has shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_none_is_changed(engine, weights, said):
    sim = build(engine=engine)
    with pytest.raises(ns.InputError, match=f"Simulator: {said}"):
        sim.weights = weights
    assert equal(sim, build(engine=engine))


def test_noise_never_repeats():
    sim = build(engine="objects")
    sim._step = 2**32 - T
    with pytest.raises(ns.InputError, match=r"Simulator: step = 4294967296 must be below 2\*\*32"):
        sim.run(INPUTS, TARGETS)
    sim._step -= 1
    sim.run(INPUTS, TARGETS)


# -------------------------------------------------------------------- weights


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_are_read_only_copies(engine):
    sim = build("decorrelated", engine=engine)
    for name, matrix in sim.weights.items():
        with pytest.raises(ValueError, match="read-only"):
            sim.weights[name][...] = 0
        with pytest.raises(ValueError, match="read-only"):
            matrix *= 2
        with pytest.raises(ns.InputError, match=r"read-only: .*sim\.weights = \{name: matrix\}"):
            sim.weights[name] = 0 * matrix
    with pytest.raises(ns.InputError, match="read-only"):
        sim.weights.update(A=0)
    assert equal(sim, build("decorrelated", engine=engine))
    before = sim.weights
    sim.run(INPUTS, TARGETS)
    assert not np.array_equal(sim.weights["R"], before["R"])
    sim.weights = before | {"A": 2 * before["A"]}
    np.testing.assert_array_equal(sim.weights["R"], before["R"])


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_can_be_overwritten_one_by_one(engine):
    sim = build(engine=engine)
    sim.weights = {"B": [[1, 2, 3, 4]]}
    initial = PLAIN.initial_weights()
    np.testing.assert_array_equal(sim.weights["B"], [[1, 2, 3, 4]])
    np.testing.assert_array_equal(sim.weights["R"], initial["R"])
    assert {name: w.dtype for name, w in sim.weights.items()} == dict.fromkeys("ARB", np.float32)
    record = sim.evaluate(INPUTS[:1], TARGETS[:1])
    expected = np.tanh(INPUTS[0] @ initial["A"].T) @ [[1], [2], [3], [4]]
    np.testing.assert_allclose(record.outputs[0], expected, rtol=1e-5, atol=1e-6)


def test_overwriting_weights_with_themselves_changes_nothing():
    sim, other = build("decorrelated"), build("decorrelated")
    sim.run(INPUTS, TARGETS)
    other.run(INPUTS, TARGETS)
    sim.weights = sim.weights
    for one in (sim, other):
        one.run(INPUTS, TARGETS, reset=False)
    assert equal(sim, other)


# ------------------------------------------------------------------------ runs


def test_it_says_what_it_is():
    sim = build("decorrelated", engine="objects", seed=4)
    assert (sim.network, sim.rule) == (SENDS_D, ns.ANP(1e-2))
    assert (sim.decorrelation, sim.substrate) == (ns.Decorrelation(2e-2), ns.Substrate())
    assert (sim.batch, sim.seed, sim.engine, sim.step) == (BATCH, 4, "objects", 0)
    for part in ("2-4-1", "ANP(", "Decorrelation(", "batch=2", "'objects'", "seed=4", "step=0"):
        assert part in repr(sim)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ["anp", "decorrelated", "wp global"])
def test_what_a_run_leaves_behind(engine, case):
    sim = build(case, engine)
    record = sim.run(INPUTS, TARGETS)
    assert record.loss.shape == (T, BATCH)
    assert record.loss.dtype == np.float32
    assert set(record.reward) == {"A", "R", "B"}
    for reward in record.reward.values():
        assert reward.shape == (T, BATCH)
        assert reward.dtype == np.float32
        assert reward.any()
    assert record.outputs is None
    assert record.probes == {}
    for counter in (record.events, record.synaptic_operations, record.weight_writes):
        assert (counter.shape, counter.dtype) == ((T,), np.int64)
    outputs = build(case, engine).run(INPUTS, TARGETS, outputs=True).outputs
    assert outputs.shape == (T, BATCH, 1)
    loss = ((outputs - TARGETS) ** 2).sum(axis=2)
    np.testing.assert_allclose(record.loss, loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("decorrelate", [False, True])
@pytest.mark.parametrize("pairs", [0, 2])
def test_counters(engine, decorrelate, pairs):
    # 2 inputs, 4 hidden, 1 output; 8 + 16 + 4 weights in A, R, B and 16 in D; 2 replicas.
    net = ns.rnn(2, 4, 1, decorrelate=decorrelate)
    decorrelation = ns.Decorrelation(1e-3) if decorrelate else None
    rule = ns.ANP({"A": 1e-3, "B": 1e-3}, window=3, pairs=pairs)
    sim = ns.Simulator(net, rule, decorrelation, batch=BATCH, engine=engine)
    lanes = BATCH * (2 if pairs == 0 else 5)
    quiet = sim.run(INPUTS, TARGETS, learn=False)
    operations = lanes * (28 + 16 * decorrelate)
    assert quiet.events.tolist() == [lanes * 7] * T
    assert quiet.synaptic_operations.tolist() == [operations] * T
    assert not quiet.weight_writes.any()
    record = sim.run(INPUTS, TARGETS)
    assert record.events.tolist() == [lanes * 7] * T
    # A retrograde sum meets every weight of D once more, in every replica's baseline pass.
    assert record.synaptic_operations.tolist() == [operations + BATCH * 16 * decorrelate] * T
    written = 16 * decorrelate
    expected = [written + 12 * (t in (2, 5, 7)) for t in range(T)]
    assert record.weight_writes.tolist() == expected
    evaluated = sim.evaluate(INPUTS, TARGETS)
    assert evaluated.events.tolist() == [BATCH * 7] * T
    assert evaluated.synaptic_operations.tolist() == [BATCH * (28 + 16 * decorrelate)] * T


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_without_learning_nothing_changes(engine, case):
    sim = build(case, engine)
    record = sim.run(INPUTS, TARGETS, learn=False)
    assert record.reward == {}
    assert not record.weight_writes.any()
    assert equal(sim, build(case, engine))
    assert sim.step == T


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_starts_from_rest_unless_it_is_to_go_on(engine):
    sim = build("leaky", engine)
    first, rest, goes_on = (
        sim.run(INPUTS, TARGETS, learn=False, reset=reset) for reset in (True, True, False)
    )
    np.testing.assert_array_equal(first.loss, rest.loss)
    assert (first.loss[0] != goes_on.loss[0]).any()
    assert sim.step == 3 * T


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ONLINE)
@pytest.mark.parametrize("cut", [1, 5])
def test_two_runs_that_go_on_equal_one_run_to_the_bit(engine, case, cut):
    whole, parts = build(case, engine), build(case, engine)
    expected = whole.run(INPUTS, TARGETS)
    records = [
        parts.run(INPUTS[:cut], TARGETS[:cut]),
        parts.run(INPUTS[cut:], TARGETS[cut:], reset=False),
    ]
    np.testing.assert_array_equal(np.concatenate([r.loss for r in records]), expected.loss)
    for name in "ARB":
        rewards = np.concatenate([r.reward[name] for r in records])
        np.testing.assert_array_equal(rewards, expected.reward[name])
    assert equal(whole, parts)
    assert not equal(whole, build(case, engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_looking_changes_nothing(engine, case):
    seen, unseen = build(case, engine), build(case, engine)
    probes = [ns.Probe(m, "w") for m in seen.network.matrices]
    if seen.rule.passes > 1:
        probes += [ns.Probe("hidden", v, pass_=1) for v in ("a", "noise", "signal")]
    if getattr(seen.rule, "reward", "local") != "local":
        probes.append(ns.Probe("R", "eligibility", pass_=1))
    calls = []
    for _ in range(2):
        looked = seen.run(INPUTS, TARGETS, probes=probes, outputs=True, progress=calls.append)
        record = unseen.run(INPUTS, TARGETS)
        np.testing.assert_array_equal(looked.loss, record.loss)
        for name in "ARB":
            np.testing.assert_array_equal(looked.reward[name], record.reward[name])
        assert equal(seen, unseen)
    assert calls == [*range(1, T + 1)] * 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "case", ["decorrelated", "noisy chip", "to go", "learned feedback", "adam"]
)
def test_an_evaluation_leaves_everything_as_it_is(engine, case):
    sim, other = build(case, engine), build(case, engine)
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    rng = np.random.default_rng(1)
    u, y = rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 5, 1))
    record = sim.evaluate(u, y, probes=[ns.Probe("hidden")])
    assert record.loss.shape == (3, 5)
    assert record.outputs.shape == (3, 5, 1)
    assert record.probes["hidden.x"].shape == (3, 5, 4)
    assert record.reward == {}
    assert not record.weight_writes.any()
    assert sim.step == T
    assert equal(sim, other)
    losses = [one.run(INPUTS, TARGETS, reset=False).loss for one in (sim, other)]
    np.testing.assert_array_equal(*losses)
    assert equal(sim, other)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_evaluation_uses_the_weights_of_now_and_starts_from_rest(engine):
    sim = build("decorrelated", engine)
    before = sim.evaluate(INPUTS, TARGETS)
    sim.run(INPUTS, TARGETS)
    after = sim.evaluate(INPUTS, TARGETS)
    assert (before.loss != after.loss).any()
    np.testing.assert_array_equal(after.loss, sim.evaluate(INPUTS, TARGETS).loss)
    one = sim.evaluate(INPUTS[:, 1:], TARGETS[:, 1:])
    np.testing.assert_allclose(one.outputs, after.outputs[:, 1:], rtol=1e-6)


def test_what_it_is_given_is_not_changed_and_may_be_read_only():
    u, y = INPUTS.copy(), TARGETS.copy()
    for array in (u, y):
        array.flags.writeable = False
    expected = build().run(INPUTS, TARGETS)
    given = {
        "read-only": (u, y),
        "lists": (INPUTS.tolist(), TARGETS.tolist()),
        "strided": (np.asfortranarray(INPUTS), np.repeat(TARGETS, 2, axis=0)[::2]),
        "float64": (INPUTS.astype(np.float64), TARGETS.astype(np.float64)),
    }
    for inputs, targets in given.values():
        np.testing.assert_array_equal(build().run(inputs, targets).loss, expected.loss)
    np.testing.assert_array_equal(u, INPUTS)
    np.testing.assert_array_equal(y, TARGETS)
    # Each way of lying in memory would otherwise be compiled for, which takes long.
    assert len(advance.signatures) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_seed_is_of_the_noise_alone(engine):
    same, other = build(engine=engine), build(engine=engine, seed=10)
    assert equal(same, other)
    same.run(INPUTS, TARGETS)
    other.run(INPUTS, TARGETS)
    assert not equal(same, other)


# ------------------------------------------------------- interrupted, diverged


def interrupt_after(steps):
    def progress(done):
        if done == steps:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ONLINE)
def test_an_interrupted_run_can_be_gone_on_with(engine, case, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", 1)
    whole, stopped = build(case, engine), build(case, engine)
    expected = whole.run(INPUTS, TARGETS)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS, progress=interrupt_after(5))
    assert stopped.step == 5
    assert all(np.isfinite(w).all() for w in stopped.weights.values())
    record = stopped.run(INPUTS[5:], TARGETS[5:], reset=False)
    np.testing.assert_array_equal(record.loss, expected.loss[5:])
    assert equal(whole, stopped)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", LATER)
def test_an_interrupted_episode_teaches_nothing(engine, case, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", 1)
    probes = [ns.Probe(m, "w", steps=[4]) for m in CASES[case][0].matrices]
    seen = build(case, engine).run(INPUTS, TARGETS, probes=probes).probes
    stopped = build(case, engine)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS, progress=interrupt_after(5))
    for name in stopped.network.matrices:
        np.testing.assert_array_equal(stopped.weights[name], seen[f"{name}.w"][0])
    other = build(case, engine)
    other.weights = stopped.weights
    other._step = stopped.step
    for sim in (stopped, other):
        sim.run(INPUTS, TARGETS)
    for name, w in stopped.weights.items():
        np.testing.assert_allclose(w, other.weights[name], rtol=1e-3, atol=1e-5)


def test_progress_is_reported_now_and_then(monkeypatch):
    calls = []
    sim = build(engine="objects")
    sim.run(INPUTS, TARGETS, progress=calls.append)
    assert calls == [T]
    monkeypatch.setattr(simulator, "STRETCH", 3 * 28 * 4)  # three steps of 28 synapses, 4 lanes
    sim.run(INPUTS, TARGETS, progress=calls.append)
    assert calls == [T, 3, 6, T]


class Wild(ns.ANP):
    @staticmethod
    def synapse(pre, signal):
        return 1e200 * signal * pre


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize(
    ("engine", "rule"), [("objects", Wild({"B": 1})), ("cpu", ns.ANP({"B": 1e30}))]
)
@pytest.mark.parametrize("stretch", [1, 3e8])
def test_numbers_that_blow_up_are_noticed_where_and_when(engine, rule, stretch, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", stretch)
    sim = ns.Simulator(PLAIN, rule, batch=BATCH, engine=engine)
    sim.run(INPUTS, TARGETS, learn=False)
    with pytest.raises(
        ns.DivergenceError, match=f"projection 'B' blew up at step {T + 1}"
    ) as blown:
        sim.run(INPUTS, TARGETS)
    assert (blown.value.projection, blown.value.step) == ("B", T + 1)
    assert sim.step >= T


# --------------------------------------------------------------- save and load


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_going_on_from_a_file_equals_never_having_stopped_to_the_bit(engine, case, tmp_path):
    sim = build(case, engine)
    sim.run(INPUTS, TARGETS)
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    assert repr(loaded) == repr(sim)
    assert loaded.network == sim.network
    for reset in (False, True):
        records = [one.run(INPUTS, TARGETS, reset=reset) for one in (sim, loaded)]
        np.testing.assert_array_equal(records[0].loss, records[1].loss)
        assert equal(sim, loaded)
    assert loaded.step == sim.step == 3 * T


@pytest.mark.parametrize("case", ["anp", "decorrelated", "np"])
@pytest.mark.parametrize(("saved_by", "loaded_by"), [ENGINES, ENGINES[::-1]])
def test_another_engine_can_go_on(case, saved_by, loaded_by, tmp_path):
    sim = build(case, saved_by)
    sim.run(INPUTS, TARGETS)
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz", engine=loaded_by)
    assert (loaded.engine, loaded.step) == (loaded_by, T)
    records = [one.run(INPUTS, TARGETS, reset=False) for one in (sim, loaded)]
    np.testing.assert_allclose(records[0].loss, records[1].loss, rtol=2e-2, atol=1e-3)


def test_a_file_holds_what_one_adds(tmp_path):
    sim = build(engine="objects")
    sim.save(tmp_path / "new" / "saved.npz", extra={"epoch": 3})
    arrays, description = checkpoint.read(tmp_path / "new" / "saved.npz")
    assert description["extra"] == {"epoch": 3}
    np.testing.assert_array_equal(arrays["weights/A"], sim.weights["A"])


@dataclass(frozen=True)
class Hebb:
    learning_rate: float
    noise_std: float = 0.5

    @staticmethod
    def reward(delta_loss, n):
        return delta_loss * n

    @staticmethod
    def neuron(a, reward):
        return reward * a

    @staticmethod
    def synapse(pre, signal):
        return signal * pre


@dataclass(frozen=True)
class Eager:
    tau: float = 2.0

    @staticmethod
    def activity(a, x, leak, keep):
        return leak * a + keep * x - keep * a


class Unframed:
    """Neither a dataclass nor with defaults."""

    reward, neuron, synapse = Hebb.reward, Hebb.neuron, Hebb.synapse

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate


@pytest.mark.parametrize("rule", [Hebb(1e-6), Unframed(1e-6)])
def test_rules_and_neurons_of_ones_own_are_saved_too(rule, tmp_path):
    net = ns.rnn(2, 3, 1, neuron=Eager())
    sim = ns.Simulator(net, rule, batch=BATCH, engine="objects")
    sim.run(INPUTS, TARGETS)
    sim.save(tmp_path / "saved.npz")
    with pytest.raises(ns.CheckpointError, match=r"'Eager' is not built in; .*known=\[Eager\]"):
        ns.Simulator.load(tmp_path / "saved.npz", known=[Hebb, Unframed])
    known = (cls for cls in [Hebb, Eager, Unframed])  # which gives them once
    loaded = ns.Simulator.load(tmp_path / "saved.npz", known=known)
    assert type(loaded.rule) is type(rule)
    assert vars(loaded.rule) == vars(rule)
    assert loaded.network == net


def test_numbers_of_numpy_can_be_saved(tmp_path):
    net = ns.rnn(np.int64(2), np.int32(3), np.int64(1), seed=np.int64(4))
    rule = ns.ANP(np.float32(0.125), window=np.int64(2))
    sim = ns.Simulator(net, rule, batch=np.int64(2), seed=np.int64(3), engine="objects")
    sim.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz")
    assert (loaded.network, loaded.rule, loaded.seed) == (net, rule, 3)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ns.StorageError, match=r"saved\.npz: could not be written"):
        build(engine="objects").save(tmp_path / "file" / "saved.npz")


def test_a_rule_that_can_change_is_handed_out_as_a_copy(tmp_path):
    class Plain:
        def __init__(self, learning_rate=2e-3, noise_std=1e-3):
            self.learning_rate, self.noise_std = learning_rate, noise_std

        reward = staticmethod(lambda delta_loss, variance: delta_loss / variance)
        neuron = staticmethod(lambda noise, reward: noise * reward)
        synapse = staticmethod(lambda pre, signal: pre * signal)

    sim = ns.Simulator(ns.rnn(1, 2, 1), Plain(), engine="objects")
    sim.rule.learning_rate = 5.0
    sim.save(tmp_path / "sim.npz")
    assert ns.Simulator.load(tmp_path / "sim.npz", known=[Plain]).rule.learning_rate == 2e-3
