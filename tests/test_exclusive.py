"""A simulator with threads, in forked processes, sent elsewhere, copied and dropped."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import weakref

import numpy as np
import pytest
from numba import njit
from numba.core.compiler_lock import global_compiler_lock

import neurosim as ns

CHIP = ns.Substrate(act_noise=0.01, w_bits=8, w_write_noise=0.01, drift_nu=0.1, reward_delay=2)
ENGINES = ["cpu", "objects", "emulator", "BPTT"]


def simulator(engine="cpu", threads=1, hidden=6, batch=2):
    rule, chip = ns.ANP(1e-3, reward="return_to_go", window=2, optimiser="adam"), CHIP
    if engine == "BPTT":
        engine, rule, chip = "cpu", ns.BPTT(1e-3), None
    net = ns.rnn(2, hidden, 1, seed=1, decorrelate=chip is not None)
    decorrelation = None if chip is None else ns.Decorrelation(1e-4)
    return ns.Simulator(net, rule, decorrelation, chip, batch, engine, seed=3, threads=threads)


def data(steps=5, batch=2):
    draw = np.random.default_rng(0).normal
    return draw(size=(steps, batch, 2)), draw(size=(steps, batch, 1))


def bits(sim):
    """All that decides how a simulator goes on, as bytes."""
    values = (*sim.weights.values(), *sim._engine.state().values())
    return [np.asarray(v).tobytes() for v in values] + [sim.step]


def trained(sim, given, times=1):
    for _ in range(times):
        sim.run(*given)
    return bits(sim)


# ------------------------------------------------------------------------ threads


def long_one():
    return simulator(hidden=60), data(3000)


@pytest.mark.parametrize(
    "look",
    [
        lambda sim, path: sim.weights,
        lambda sim, path: sim.evaluate(*data(3)),
        lambda sim, path: sim.save(path),
        lambda sim, path: pickle.dumps(sim),
    ],
    ids=["weights", "evaluate", "save", "pickle"],
)
def test_looking_from_another_thread_changes_nothing(look, tmp_path):
    sim, given = long_one()
    alone, over, looked = trained(sim, given, 2), threading.Event(), []
    sim, _ = long_one()

    def watch():
        while not over.is_set():
            looked.append(look(sim, tmp_path / "sim.npz"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        together = trained(sim, given, 2)
    finally:
        over.set()
        watcher.join()
    assert together == alone
    assert looked


def test_what_is_saved_meanwhile_is_of_one_moment(tmp_path):
    sim, given = simulator(hidden=20), data(200)
    moments = [bits(sim)]
    moments += [trained(sim, given) for _ in range(20)]
    again, over, path = simulator(hidden=20), threading.Event(), tmp_path / "sim.npz"
    again.save(path)

    def save():
        while not over.is_set():
            again.save(path)
            saved = ns.Simulator.load(path)
            found.append(bits(saved) == moments[saved.step // 200])

    found: list[bool] = []
    saver = threading.Thread(target=save)
    saver.start()
    try:
        trained(again, given, 20)
    finally:
        over.set()
        saver.join()
    assert found
    assert all(found)


def test_two_runs_at_once_come_one_after_the_other():
    sim, given = long_one()
    wanted = trained(sim, given, 2)
    sim, _ = long_one()
    threads = [threading.Thread(target=sim.run, args=given) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bits(sim) == wanted


def test_two_that_run_side_by_side_in_any_order_do_not_wait_for_each_other():
    sims, (inputs, targets) = [simulator() for _ in range(2)], data(300)
    given = [inputs, inputs], [targets, targets]
    threads = [
        threading.Thread(target=ns.side_by_side, args=(order, *given), daemon=True)
        for order in (sims, sims[::-1])
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sims[0].step == sims[1].step == 6 * 300


def test_within_a_run_a_simulator_can_be_looked_at_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setattr("neurosim.simulator.STRETCH", 1.0)  # progress after each step
    given = data()
    wanted, sim, refused = trained(simulator(), given, 2), simulator(), []

    def progress(done):
        before = sim.weights
        sim.evaluate(*given)
        for name, call in {
            "run": lambda: sim.run(*given),
            "save": lambda: sim.save(tmp_path / "sim.npz"),
            "pickle": lambda: pickle.dumps(sim),
            "weights": lambda: setattr(sim, "weights", before),
            "side_by_side": lambda: ns.side_by_side([sim], given[:1], given[1:]),
        }.items():
            says = rf"^Simulator: {name}\(\) cannot be called within run\(\)$"
            with pytest.raises(ns.BusyError, match=says):
                call()
            refused.append(name)

    for _ in range(2):
        sim.run(*given, progress=progress)
    assert len(refused) == 2 * 5 * 5
    assert bits(sim) == wanted
    sim.save(tmp_path / "sim.npz")


# ---------------------------------------------------------- copies, and other processes


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda sim: pickle.loads(pickle.dumps(sim))])
def test_a_copy_goes_on_as_the_original_does(engine, copied):
    sim, given = simulator(engine), data()
    sim.run(*given)
    other = copied(sim)
    assert bits(other) == bits(sim)
    before = bits(other)
    wanted = trained(sim, given)
    assert bits(other) == before
    assert trained(other, given) == wanted
    assert (other.rule, other.engine, other.engine_reason) == (
        *(sim.rule, sim.engine, sim.engine_reason),
    )


def test_what_a_class_of_ones_own_adds_is_copied_too():
    class Mine(ns.Simulator):
        def __init__(self, name):
            super().__init__(ns.rnn(1, 2, 1), ns.NP(1e-3))
            self.name = name

    made = copy.deepcopy(Mine("first"))
    assert (type(made), made.name) == (Mine, "first")


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_it_runs_in_other_processes_to_the_same_bits(method):
    sim, given = simulator(threads=2, hidden=40), data()
    sim.run(*given)
    history = ns.History([{"epoch": 0}], simulator=sim)
    with multiprocessing.get_context(method).Pool(1) as pool:
        elsewhere = pool.apply_async(trained, (history.simulator, given)).get(120)
        of_history = pool.apply_async(_of_history, (history, given)).get(120)
    assert elsewhere == of_history == trained(sim, given)


def _of_history(history, given):
    return trained(history.simulator, given)


def in_a_fork(call):
    """What a call says in a forked process; a process that hangs is a failure."""
    with multiprocessing.get_context("fork").Pool(1, _keep, (call,)) as pool:
        return pool.apply_async(_kept).get(60)


def _keep(call):
    globals()["_call"] = call


def _kept():
    try:
        return _call()  # noqa: F821
    except ns.NeurosimError as error:
        return str(error)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_process_has_helpers_of_its_own(threads):
    sim, given = simulator(threads=threads, hidden=40), data()
    sim.run(*given)
    forked = in_a_fork(lambda: trained(sim, given))
    assert forked == trained(sim, given)


def test_a_process_that_was_forked_in_the_middle_of_a_run_says_so():
    sim, given = long_one()
    at_work = threading.Event()
    runner = threading.Thread(
        target=lambda: [sim.run(*given, progress=lambda _: at_work.set()) for _ in range(5)]
    )
    runner.start()
    at_work.wait()
    said = in_a_fork(lambda: str(sim.weights))
    runner.join()
    assert said.startswith("Simulator: another thread was in run() when this process was forked")
    assert in_a_fork(lambda: bits(sim)) == bits(sim)


def test_a_process_that_is_forked_while_another_thread_compiles_can_compile():
    begun, over = threading.Event(), threading.Event()

    @global_compiler_lock
    def compile_for_long():
        begun.set()
        over.wait(0.5)

    compiler = threading.Thread(target=compile_for_long)
    compiler.start()
    begun.wait()
    assert in_a_fork(lambda: njit(lambda x: 2 * x)(21)) == 42
    compiler.join()


def test_an_engine_is_not_pickled():
    with pytest.raises(TypeError, match=r"CpuEngine .* pickle its Simulator"):
        pickle.dumps(simulator()._engine)


# ---------------------------------------------------------------- ends, and interruptions


@pytest.mark.parametrize(("engine", "threads"), [*((name, 1) for name in ENGINES), ("cpu", 2)])
def test_a_dropped_simulator_is_gone_at_once(engine, threads):
    gc.collect()
    gc.disable()
    try:
        sim = simulator(engine, threads)
        sim.run(*data())
        sim.evaluate(*data())
        large = [sim._engine, sim._plan]
        if engine == "objects":
            neurons = sim._engine._neurons["hidden"]
            large += [neurons[0], neurons[0].axon[0]]
        left = [weakref.ref(value) for value in large]
        del sim, large
        neurons = None
        assert [value() for value in left] == [None] * len(left)
    finally:
        gc.enable()


def test_an_interrupted_stretch_has_used_its_noise_up(monkeypatch):
    sim, given = simulator(), data()
    advance = sim._engine.advance

    def interrupted(progress):
        advance(progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(sim._engine, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sim.run(*given)
    assert sim.step == 5


def test_ctrl_c_waits_for_the_end_of_a_step_of_the_oracle(monkeypatch):
    sim, given = simulator("objects"), data()
    step, ended = sim._engine._step, []

    def pressed(progress, t):
        if t == 2:
            signal.raise_signal(signal.SIGINT)
        finite = step(progress, t)
        ended.append(t)
        return finite

    monkeypatch.setattr(sim._engine, "_step", pressed)
    with pytest.raises(KeyboardInterrupt):
        sim.run(*given)
    assert ended == [0, 1, 2]


def test_processes_are_told_apart():
    """Negative control: that the forked processes above are others."""
    assert in_a_fork(os.getpid) != os.getpid()
