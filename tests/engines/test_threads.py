"""Threads change how long a simulation takes, and nothing else."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

import neurosim as ns
from neurosim import simulator
from neurosim.engines import cpu, tables, team

HIDDEN, BATCH, STEPS = 300, 10, 30  # 19 vectors of 16 numbers, or more of fewer: some blocks
NETS = {decorrelate: ns.rnn(4, HIDDEN, 2, decorrelate=decorrelate) for decorrelate in (False, True)}
CASES = {
    "NP": (NETS[False], ns.NP(1e-4), None),
    "ANP and Eq. 6": (NETS[True], ns.ANP(1e-4), ns.Decorrelation(1e-5)),
    "WP": (NETS[False], ns.WP(1e-6), None),
    "window": (NETS[False], ns.ANP(1e-4, window=7, resync_every=7), None),
    "pairs to go": (NETS[False], ns.NP(1e-5, pairs=1, reward="return_to_go", window=5), None),
    "signs": (NETS[False], ns.WP(1e-6, distribution="rademacher", reward="global"), None),
    "noisy chip": (NETS[False], ns.NP(1e-9), None, ns.Substrate(act_noise=0.05)),
    "feedback": (NETS[False], ns.RFLO(1e-3, normalise=1.0, optimiser="momentum"), None),
    "learned feedback": (NETS[True], ns.LearnedFeedback(1e-4), ns.Decorrelation(1e-5)),
    "adam": (NETS[False], ns.WP(1e-6, layers="separate", optimiser="adam", window=3), None),
    "fading": (
        NETS[False],
        ns.NP(1e-5, reward="return_to_go", trace_decay=0.8, schedule="online", normalise=1.0),
        None,
    ),
    "decorrelation alone": (NETS[True], None, ns.Decorrelation(1e-5)),
}
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((STEPS, BATCH, 4)).astype(np.float32)
TARGETS = RNG.standard_normal((STEPS, BATCH, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def share_everything(monkeypatch):
    """Even what is not worth it; one block of work is all there is to be had otherwise."""
    monkeypatch.setattr(tables, "WORTH_SHARING", 0)


def build(case, threads=1, seed=3, **more):
    return ns.Simulator(*CASES[case], batch=BATCH, seed=seed, threads=threads, **more)


def told(sim, record):
    """All numbers that a run leaves behind."""
    found = [record.loss, record.outputs, *record.reward.values(), *sim.weights.values()]
    return [np.concatenate([values.ravel() for values in found]), *sim._engine.state().values()]


def run(case, threads, **more):
    sim = build(case, threads, **more)
    return told(sim, sim.run(INPUTS, TARGETS, outputs=True))


def same(one, other):
    return all(np.array_equal(*values) for values in zip(one, other, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_threads_computes_the_same_to_the_bit(case):
    """More threads than this machine may have cores, too; another seed shows that it can fail."""
    alone = run(case, 1)
    for threads in (2, 3, 5):
        assert same(run(case, threads), alone)
    if CASES[case][1] is not None and CASES[case][1].passes > 1:
        assert not same(run(case, 2, seed=4), alone)


def test_there_is_something_to_share():
    """Otherwise no thread would help, and nothing above would be shown."""
    for case in CASES:
        populations = build(case, 2)._engine._populations
        assert populations.shared[1]
        assert populations.blocks[1] > 3


def test_what_is_not_worth_it_is_not_shared(monkeypatch):
    shared = run("ANP and Eq. 6", 3)
    monkeypatch.setattr(tables, "WORTH_SHARING", 10**9)
    assert not build("ANP and Eq. 6", 3)._engine._populations.shared.any()
    assert same(run("ANP and Eq. 6", 3), shared)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_network_of_one_block_needs_no_help(threads):
    net = ns.rnn(4, 5, 2, decorrelate=True)
    sim = ns.Simulator(net, ns.ANP(1e-3), ns.Decorrelation(1e-3), batch=BATCH, threads=threads)
    other = ns.Simulator(net, ns.ANP(1e-3), ns.Decorrelation(1e-3), batch=BATCH)
    for one in (sim, other):
        one.run(INPUTS, TARGETS)
    assert all(np.array_equal(w, other.weights[name]) for name, w in sim.weights.items())


@pytest.mark.parametrize("case", ["ANP and Eq. 6", "WP"])
def test_an_interrupted_run_is_gone_on_with_by_other_threads(case, tmp_path, monkeypatch):
    monkeypatch.setattr(simulator, "STRETCH", 1)

    def interrupt(done):
        if done == 11:
            raise KeyboardInterrupt

    stopped = build(case, 3)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS, progress=interrupt)
    assert stopped.step == 11
    stopped.save(tmp_path / "saved.npz")
    loaded = ns.Simulator.load(tmp_path / "saved.npz", threads=2)
    assert loaded.threads == 2
    for sim in (stopped, loaded):
        record = sim.run(INPUTS[11:], TARGETS[11:], outputs=True, reset=False)
        whole = build(case)
        expected = whole.run(INPUTS, TARGETS, outputs=True)
        np.testing.assert_array_equal(record.loss, expected.loss[11:])
        np.testing.assert_array_equal(record.outputs, expected.outputs[11:])
        assert all(np.array_equal(w, whole.weights[name]) for name, w in sim.weights.items())
        assert same(sim._engine.state().values(), whole._engine.state().values())


def test_an_evaluation_is_shared_too():
    records = [build("NP", threads).evaluate(INPUTS, TARGETS) for threads in (1, 3)]
    np.testing.assert_array_equal(records[0].outputs, records[1].outputs)


@pytest.mark.parametrize("case", ["ANP and Eq. 6", "window"])
def test_many_short_runs_neither_hang_nor_differ(case):
    sims = [build(case, threads) for threads in (1, 3)]
    for k in range(200):
        some = slice(k % 20, k % 20 + 2)
        losses = [s.run(INPUTS[some], TARGETS[some], reset=k % 7 == 0).loss for s in sims]
        np.testing.assert_array_equal(*losses)
    assert all(np.array_equal(w, sims[0].weights[name]) for name, w in sims[1].weights.items())


def test_numbers_that_blow_up_stop_all_threads():
    """And the simulator can be used again."""
    net, ends = NETS[False], []
    for threads in (1, 3):
        sim = ns.Simulator(net, ns.NP({"R": 1e30}), batch=BATCH, threads=threads)
        with pytest.raises(ns.DivergenceError) as blown:
            sim.run(INPUTS, TARGETS)
        sim.weights = net.initial_weights()
        ends.append((blown.value.step, sim.run(INPUTS, TARGETS, learn=False).loss))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_a_helper_that_comes_late_helps_nobody(monkeypatch):
    """Ctrl-C may end a run before all threads have begun with it; the next is none of theirs."""
    inputs, targets = np.tile(INPUTS, (20, 1, 1)), np.tile(TARGETS, (20, 1, 1))
    expected, stopped = build("NP"), build("NP", 3)
    real, again = cpu.advance, threading.Event()

    def advance(*given):
        me, steps = given[-2], len(given[1])
        if me == 1 and steps == STEPS:
            again.wait(timeout=0.5)
        if me == 0 and steps == len(inputs):
            again.set()
        result = real(*given)
        if me == 0 and steps == STEPS:
            raise KeyboardInterrupt
        return result

    expected.run(INPUTS, TARGETS)
    monkeypatch.setattr(cpu, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(INPUTS, TARGETS)
    stopped._step = STEPS
    losses = [sim.run(inputs, targets).loss for sim in (stopped, expected)]
    np.testing.assert_array_equal(*losses)


def test_a_run_that_never_begins_lets_its_helpers_go(monkeypatch):
    """Ctrl-C may come when they have been called and before they are needed."""
    sim, real = build("NP", 3), cpu.advance

    def advance(*given):
        if given[-2] == 0:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(cpu, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        sim.run(INPUTS, TARGETS)
    monkeypatch.setattr(cpu, "advance", real)
    try:
        for _ in range(2):
            sim._engine._helpers.submit(int).result(timeout=10)
    finally:
        sim._engine._memory.board[team.TICKET] = team.STOP
    assert sim.step == STEPS  # what may have been drawn is not drawn again
    sim._step = 0
    loss = build("NP").run(INPUTS, TARGETS).loss
    np.testing.assert_array_equal(sim.run(INPUTS, TARGETS).loss, loss)


def test_threads_end_with_their_simulator():
    known = set(threading.enumerate())
    for _ in range(5):
        sim = build("NP", 3)
        sim.run(INPUTS, TARGETS)
        sim.evaluate(INPUTS, TARGETS)
    assert set(threading.enumerate()) - known
    del sim
    gc.collect()
    patience = time.monotonic() + 30
    while set(threading.enumerate()) - known and time.monotonic() < patience:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - known


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2", None])
@pytest.mark.parametrize("engine", ["cpu", "objects"])
def test_what_is_no_number_of_threads_is_refused(threads, engine):
    said = rf"Simulator: threads = {threads!r} must be"
    with pytest.raises(ns.InputError, match=said):
        ns.Simulator(ns.rnn(1, 2, 1), engine=engine, threads=threads)


def test_objects_have_one_thread():
    ns.Simulator(ns.rnn(1, 2, 1), engine="objects", threads=1)
    with pytest.raises(ns.InputError, match=r"Simulator: threads = 2 must be 1 with .*'objects'"):
        ns.Simulator(ns.rnn(1, 2, 1), engine="objects", threads=2)


def test_what_is_said_of_a_simulator_says_its_threads():
    sim = build("NP", np.int64(2))
    assert sim.threads == 2
    assert type(sim.threads) is int
