"""The benchmark for GPUs, as far as it goes without one: everything but the device itself.

Peers run here on the CPU, the CUDA graph's in NumPy, and compute what a plain NumPy step does,
which computes what the oracle does. The texts of the kernels are compiled in C, and the calls
of cuBLAS go to a library written from its manual.
"""

import ctypes
import importlib
import inspect
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import neurosim as ns
from neurosim import noise
from neurosim.engines.plan import Plan
from neurosim.experiments import registry

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
STEPS, SEED = 5, 7
RULES, DECORRELATED = ("NP", "ANP", "WP"), (False, True)

peers = registry.peers()
agreement, device, epochs, floors, graph, kernels, problems, rates, report, timing = (
    importlib.import_module(f"{peers.__name__}.gpu_{name}")
    for name in (
        *("agreement", "device", "epochs", "floors", "graph", "kernels"),
        *("problem", "rates", "report", "timing"),
    )
)


def learn(problem):
    """Every step by the equations of docs/model.md and docs/rules.md, in float64."""
    w = {name: values.astype(float) for name, values in problem.weights.items()}
    rate, sigma, losses = problem.learning_rate, problem.noise_std, []
    batch = problem.inputs.shape[1]
    s, s_perturbed = np.zeros((2, batch, problem.n))
    for t, (u, target) in enumerate(zip(problem.inputs, problem.targets, strict=True)):
        drawn = {name: sigma * z[t].astype(float) for name, z in problem.noise.items()}
        noisy = {name: w[name] + drawn.get(name, 0.0) for name in w}
        pre = s
        a = u @ w["A"].T + s @ w["R"].T
        a_perturbed = u @ noisy["A"].T + s_perturbed @ noisy["R"].T + drawn.get("hidden", 0.0)
        s, s_perturbed = np.tanh(a), np.tanh(a_perturbed)
        if "D" in w:
            s, s_perturbed = s @ w["D"].T, s_perturbed @ w["D"].T
        y, y_perturbed = s @ w["B"].T, s_perturbed @ noisy["B"].T + drawn.get("output", 0.0)
        loss = ((y - target) ** 2).sum(1)
        delta = ((y_perturbed - target) ** 2).sum(1) - loss
        losses.append(loss)

        if problem.rule == "WP":
            change = {name: (delta / sigma**2).mean() * drawn[name] for name in "ARB"}
        else:
            if problem.rule == "NP":
                signals = [delta[:, None] / sigma**2 * drawn[k] for k in ("hidden", "output")]
            else:
                moved = [a_perturbed - a, y_perturbed - y]
                powers = [(m**2).sum(1, keepdims=True) for m in moved]
                signals = [
                    m.shape[1] * delta[:, None] * m / np.where(power > 0, power, 1)
                    for m, power in zip(moved, powers, strict=True)
                ]
            means = [
                np.einsum("bi,bj->ij", signal, sent) / batch
                for signal, sent in ((signals[0], u), (signals[0], pre), (signals[1], s))
            ]
            change = dict(zip("ARB", means, strict=True))
        for name, step in change.items():
            w[name] = w[name] - rate * step
        if "D" in w:
            moment = s.T @ s / batch
            moment -= np.diag(np.diag(moment))
            w["D"] = w["D"] - problem.decorrelation_rate * moment @ w["D"]
    return w, np.array(losses)


def same(weights, loss, problem, expected=None):
    """Compare with the reference, allowing float32's rounding."""
    wanted, losses = expected or learn(problem)
    np.testing.assert_allclose(loss, losses, rtol=1e-3, atol=1e-5)
    assert weights.keys() == wanted.keys()
    for name, values in wanted.items():
        change = np.abs(values - problem.weights[name]).max()
        assert change > 1e-3, name
        allowed = 1e-4 * change + 3e-7 * len(losses)
        assert np.abs(weights[name] - values).max() <= allowed, name


class FromTheManual:
    """cuBLAS's calls as NVIDIA's manual has them: column-major, on host memory."""

    def __init__(self, status=0):
        self.status, self.calls = status, []

    def __getattr__(self, name):
        if not name.startswith("cublas"):
            raise AttributeError(name)
        self.calls.append(name)
        return getattr(self, f"_{name.removesuffix('_v2')}", lambda *_: self.status)

    def _cublasCreate(self, handle):
        handle._obj.value = 1
        return self.status

    def _cublasSgemm(self, _, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        left = columns(a, k, lda, m).T if ta else columns(a, m, lda, k)
        right = columns(b, n, ldb, k).T if tb else columns(b, k, ldb, n)
        out = columns(c, m, ldc, n)
        return combine(out, left @ right, alpha, beta)

    def _cublasSgemv(self, _, turn, m, n, alpha, a, lda, x, step, beta, y, y_step):
        left = columns(a, m, lda, n)
        left = left.T if turn else left
        out = columns(y, 1, y_step, left.shape[0])[0]
        return combine(out, left @ columns(x, 1, step, left.shape[1])[0], alpha, beta)


def combine(out, product, alpha, beta):
    """What is there is read only if it counts: it may be no number at all."""
    kept = beta._obj.value * out if beta._obj.value else 0
    out[...] = alpha._obj.value * product + kept
    return 0


def columns(pointer, rows, stride, count):
    """A column-major matrix at an address."""
    assert stride >= rows
    size = stride * (count - 1) + rows
    flat = np.ctypeslib.as_array((ctypes.c_float * size).from_address(pointer.value))
    return np.lib.stride_tricks.as_strided(flat, (rows, count), (4, 4 * stride))


class HostThroughBlas(device.Host):
    """NumPy, but products go the way that they go on a device."""

    def __init__(self):
        super().__init__()
        blas = device.Blas(FromTheManual(), 0, np.empty(8, dtype=np.uint8))
        self.product, self.times_vector = blas.product, blas.times_vector


def installed(name):
    """A peer's class, and where it runs here; skips where it is not installed."""
    if name == "graph":
        return lambda problem: graph.Peer(problem, device.Host(problem.seed))
    if name == "graph, cuBLAS":
        return lambda problem: graph.Peer(problem, HostThroughBlas())
    try:
        found = problems.find(name).Peer
    except peers.MissingFramework as error:
        pytest.skip(str(error))
    return lambda problem: found(problem, "cpu")


# ------------------------------------------------------- the right numbers


@pytest.mark.parametrize("decorrelated", DECORRELATED)
@pytest.mark.parametrize("rule", RULES)
def test_the_reference_is_the_oracle(rule, decorrelated):
    """With the noise that neurosim draws, by the names it gives it."""
    given = agreement.problem(rule, decorrelated, STEPS, n_out=2)
    batch, n_in = given.inputs.shape[1:]
    sim = ns.Simulator(
        ns.rnn(n_in, given.n, 2, decorrelate=decorrelated),
        getattr(ns, rule)(given.learning_rate, given.noise_std),
        ns.Decorrelation(given.decorrelation_rate) if decorrelated else None,
        batch=batch,
        engine="objects",
        seed=SEED,
    )
    sim.weights = given.weights
    plan = Plan(sim.network, sim.rule, None, sim.substrate, batch, SEED)
    for name, values in given.noise.items():
        if rule == "WP":
            key, n_pre = plan.stream(noise.WEIGHT_PERTURBATION, name), values.shape[2]
            index = (
                (t, 0, noise.weight_index(i, j, n_pre)) for t, i, j in np.ndindex(values.shape)
            )
        else:
            key, index = plan.stream(noise.PERTURBATION, name), np.ndindex(values.shape)
        drawn = [noise.normal(SEED, key, t, 0, b, i) for t, b, i in index]
        values[...] = np.reshape(drawn, values.shape)
    record = sim.run(given.inputs, given.targets)
    same(sim.weights, record.loss, given)


@pytest.mark.parametrize("decorrelated", DECORRELATED)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["graph", "graph, cuBLAS", "torch", "jax"])
def test_peers_are_the_reference(name, rule, decorrelated):
    given = agreement.problem(rule, decorrelated, STEPS)
    peer = installed(name)(given)
    peer.run()
    same(peer.weights, peer.loss, given)


@pytest.mark.parametrize("name", ["graph", "torch", "jax"])
def test_what_changes_nothing_teaches_nothing(name):
    given = agreement.problem("ANP", True, STEPS)
    for values in (given.inputs, *given.noise.values()):
        values[0, 1] = 0.0  # all of the first step is 0 then, to the bit, in both passes
    peer = installed(name)(given)
    peer.run()
    same(peer.weights, peer.loss, given)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_peers_with_two_outputs(name, rule):
    given = agreement.problem(rule, True, STEPS, n_out=2)
    peer = installed(name)(given)
    peer.run()
    same(peer.weights, peer.loss, given)


@pytest.mark.parametrize("rule", RULES)
def test_a_graph_of_some_steps_is_launched_again_and_again(rule, monkeypatch):
    monkeypatch.setattr(graph, "BLOCK", 4)
    given = agreement.problem(rule, True, 6)
    launched = []

    class Counting(device.Host):
        def graph(self, work):
            work()  # as a device does, to have all compiled before it captures
            return lambda: (launched.append(1), work())

    peer = graph.Peer(given, Counting())
    peer.run()
    assert len(launched) == 2  # of three steps
    same(peer.weights, peer.loss, given)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["graph", "torch", "jax"])
def test_peers_draw_their_own_noise_and_go_on(name, rule):
    given = agreement.problem(rule, True, 40)
    values = {k: getattr(given, k) for k in ("weights", "rule", "inputs", "targets", "noise_std")}
    values |= {"learning_rate": 1e-3, "decorrelation_rate": 1e-3}
    one, other, different = (
        installed(name)(problems.Problem(**values, seed=seed)) for seed in (1, 1, 2)
    )
    for peer in (one, other, different):
        peer.run()
    first = one.loss.copy()
    np.testing.assert_array_equal(other.loss, first)
    assert not np.array_equal(different.loss, first)
    np.testing.assert_array_equal(first[0], different.loss[0])  # before anything was learned
    one.run()
    assert np.isfinite(one.loss).all()
    assert not np.array_equal(one.loss[0], first[0])
    np.testing.assert_array_equal(
        given.weights["R"], agreement.problem(rule, True, 40).weights["R"]
    )


@pytest.mark.parametrize("name", ["graph", "torch", "jax"])
def test_peers_draw_normal_noise_of_the_right_size(name):
    """NP's mean update of the readout over many replicas is the delta rule: ``2 e s``."""
    given = agreement.problem("NP", False, 1)
    batch = 4000
    inputs, targets = (np.repeat(v[:, :1], batch, axis=1) for v in (given.inputs, given.targets))
    peer = installed(name)(
        problems.Problem(
            weights=given.weights,
            rule="NP",
            learning_rate=0.01,
            noise_std=0.03,
            decorrelation_rate=0.0,
            inputs=inputs,
            targets=targets,
        )
    )
    peer.run()
    s = np.tanh(given.weights["A"] @ given.inputs[0, 0])
    error = given.weights["B"] @ s - given.targets[0, 0]
    expected = 2 * np.outer(error, s)
    found = (given.weights["B"] - peer.weights["B"]) / 0.01
    # Noise in the hidden layer makes the change in loss noisy; B's own share of it is exact.
    assert np.abs(found - expected).max() < 0.25 * np.abs(expected).max()


def test_a_wrong_problem_is_refused():
    given = agreement.problem("NP", False, STEPS)
    values = {name: getattr(given, name) for name in given.__dataclass_fields__}
    for change in ({"rule": "BP"}, {"noise": {"hidden": np.zeros(3)}}, {"weights": {"R": [[1.0]]}}):
        with pytest.raises(ValueError, match="Problem: "):
            problems.Problem(**values | change)
    with pytest.raises(ValueError, match="one output"):
        graph.Peer(agreement.problem("NP", False, STEPS, n_out=2), device.Host())


# --------------------------------------------------------- C, and cuBLAS


@pytest.mark.parametrize(("turn_a", "turn_b"), list(itertools.product(DECORRELATED, repeat=2)))
@pytest.mark.parametrize("sizes", [(5, 4, 3), (1, 4, 3), (5, 1, 3), (5, 4, 1), (1, 1, 1)])
def test_products_as_cublas_is_asked_for_them(turn_a, turn_b, sizes):
    m, n, k = sizes
    generator = np.random.default_rng(0)
    shapes = ((k, m) if turn_a else (m, k)), ((n, k) if turn_b else (k, n)), (m, n)
    wide = [generator.normal(size=(r, c + 3)).astype(np.float32) for r, c in shapes]
    a, b, out = (v[:, :c] for v, (_, c) in zip(wide, shapes, strict=True))
    expected = -2 * ((a.T if turn_a else a) @ (b.T if turn_b else b)) + 0.5 * out
    host = out.copy()
    options = {"turn_a": turn_a, "turn_b": turn_b, "factor": -2.0, "keep": 0.5}
    blas = device.Blas(FromTheManual(), 0, np.empty(8, dtype=np.uint8))
    beside = wide[2][:, n:].copy()
    for how, to in ((blas, out), (device.Host(), host)):
        how.product(to, a, b, **options)
        np.testing.assert_allclose(to, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(wide[2][:, n:], beside)


@pytest.mark.parametrize("turn", DECORRELATED)
@pytest.mark.parametrize("sizes", [(5, 4), (1, 4), (5, 1)])
def test_products_with_a_vector(turn, sizes):
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(sizes[0], sizes[1] + 2)).astype(np.float32)
    a = wide[:, : sizes[1]]
    x = generator.normal(size=(sizes[0] if turn else sizes[1], 2)).astype(np.float32)[:, 0]
    out = generator.normal(size=sizes[1] if turn else sizes[0]).astype(np.float32)
    expected, host = 3 * ((a.T if turn else a) @ x) - out, out.copy()
    blas = device.Blas(FromTheManual(), 0, np.empty(8, dtype=np.uint8))
    for how, to in ((blas, out), (device.Host(), host)):
        how.times_vector(to, a, x, turn=turn, factor=3.0, keep=-1.0)
        np.testing.assert_allclose(to, expected, rtol=1e-5, atol=1e-5)


def test_a_lone_row_may_claim_any_stride():
    row = np.lib.stride_tricks.as_strided(np.arange(3, dtype=np.float32), (1, 3), (0, 4))
    out = np.zeros((1, 3), dtype=np.float32)
    blas = device.Blas(FromTheManual(), 0, np.empty(8, dtype=np.uint8))
    blas.product(out, row, np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(out, [[0, 1, 2]])


def test_cublas_gets_its_stream_before_its_workspace_and_is_heard_when_it_fails():
    library = FromTheManual()
    blas = device.Blas(library, 5, np.empty(8, dtype=np.uint8))
    assert library.calls == ["cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2"]
    del blas
    assert library.calls[-1] == "cublasDestroy_v2"
    with pytest.raises(RuntimeError, match="cublasCreate_v2 failed: cuBLAS status 13"):
        device.Blas(FromTheManual(13), 0, np.empty(8, dtype=np.uint8))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """All kernels in C, each a loop over elements that calls its text."""
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        pytest.skip("no C compiler to compile the kernels with")
    folder = tmp_path_factory.mktemp("kernels")
    source = folder / "kernels.c"
    source.write_text("#include <math.h>\n#define tanh tanhf\n" + "".join(map(in_c, ELEMENTWISE)))
    library = folder / "kernels.so"
    flags = ["-std=c99", "-Wall", "-Werror", "-Wno-unused-variable", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


ELEMENTWISE = [k for k in kernels.KERNELS if isinstance(k, kernels.Elementwise)]


def declared(kernel):
    """Types and names of the arguments: ``raw float32 s`` is of type ``raw float32``."""
    return [part.strip().rsplit(" ", 1) for part in f"{kernel.ins}, {kernel.outs}".split(",")]


def in_c(kernel):
    arguments, opened, closed = ["long _count"], "", ""
    for kind, name in declared(kernel):
        if kind == "raw float32":
            arguments.append(f"const float* {name}")
        elif kind == "int32":
            arguments.append(f"int {name}")
        else:  # every element has a place of its own
            arguments.append(f"float* _{name}")
            opened += f"float {name} = _{name}[i]; "
            if name in kernel.names(kernel.outs):
                closed += f"_{name}[i] = {name}; "
    loop = f"for (long i = 0; i < _count; ++i) {{ {opened}{kernel.text}; {closed}}}"
    return f"void {kernel.name}({', '.join(arguments)}) {{ {loop} }}\n"


@pytest.mark.parametrize("kernel", ELEMENTWISE, ids=lambda kernel: kernel.name)
def test_the_texts_of_kernels_mean_the_same_in_c(compiled, kernel):
    generator, n, batch, stride = np.random.default_rng(2), 7, 3, 9
    numbers = {"batch": batch, "size": n, "stride": stride, "pace": np.float32(0.25)}
    flat = {"s": 2 * batch * stride, "v": batch * n}
    ours, theirs, outs = [ctypes.c_long(n * n)], [], []
    for kind, name in declared(kernel):
        if kind == "int32":
            ours.append(numbers[name])
            theirs.append(numbers[name])
            continue
        shape = flat[name] if kind == "raw float32" else (n, n)
        values = generator.normal(size=shape).astype(np.float32)
        values = np.full_like(values, 0.25) if name == "pace" else values
        held = values.copy()
        theirs.append(values)
        ours.append(held.ctypes.data_as(ctypes.c_void_p))
        outs.append((name, values, held))
    call = getattr(compiled, kernel.name)
    call.restype = None
    call(*ours)
    kernel.on_host()(*theirs)
    for name, values, held in outs:
        np.testing.assert_allclose(held, values, rtol=2e-5, atol=2e-5, err_msg=name)


def test_kernels_use_no_name_that_cupy_keeps_for_itself():
    for kernel in kernels.KERNELS:
        names = [part.split()[-1] for part in kernel.ins.split(",")]
        assert not {"n", "i", "CUPY_FOR"} & set(names)
        assert not any(name.startswith("_") for name in names)
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    for kernel in kernels.KERNELS:
        kernel.on_device()  # its declarations are read; nothing is compiled yet
    program = cupy.cuda.nvrtc.createProgram(rates.SOURCE, "rates.cu", (), ())
    options = ("--gpu-architecture=compute_90", f"-DCHAINS={rates.CHAINS}")
    cupy.cuda.nvrtc.compileProgram(program, options)


# ------------------------------------------------------ counting and timing


def test_operations_and_bytes_of_a_tiny_case():
    """N = 2: A has 18 weights, R 4, B 2, D 4; 3 replicas."""
    plain = floors.Case("NP", 2, 3, False)
    assert (plain.learned, plain.onto_hidden) == (24, 22)
    assert plain.flops == 2 * 2 * 3 * 24 + 2 * 3 * 24  # two passes; a change
    assert plain.bytes == 2 * 4 * 24
    # D: two passes, the sum that travels backwards, the change, 2 N^2 each and replica.
    decorrelated = floors.Case("ANP", 2, 3, True)
    assert decorrelated.flops == plain.flops + (4 + 2 + 2) * 4 * 3
    assert decorrelated.bytes == 2 * 4 * (24 + 4)
    assert floors.Case("WP", 2, 3, False).flops == 2 * 2 * 3 * 24 + 24 + 2 * 24
    windowed = floors.Case("windowed", 2, 3, False)
    assert windowed.eligibility_bytes == 4 * 16 * 3 * 22
    assert windowed.bytes == plain.bytes + 2 * windowed.eligibility_bytes
    # 33 passes; eligibilities gather, and meet a loss; the readout is taught at once.
    assert windowed.flops == 2 * 33 * 3 * 24 + 16 * 3 * (2 * 22 + 2 * 22 + 2 * 2)
    large = floors.Case("NP", 4000, 10, True)
    assert large.flops / (14 * 4000**2 * 10) == pytest.approx(1, abs=2e-3)  # as neurosim bench


def test_floors_are_counts_over_rates():
    rates = {
        "dram_bytes_per_second": 1e12,
        "l2_bytes_per_second": "RuntimeError: no such thing",
        "fma_flops": 1e13,
        "sgemm_flops": 2e13,
        "barrier_seconds": 1e-6,
    }
    case = floors.Case("NP", 1000, 10, False)
    found = floors.floors(case, rates)
    assert found.keys() == {"flops", "dram", "barrier"}
    assert found["flops"] == pytest.approx(case.flops / 2e13 * 1e6)
    assert found["dram"] == pytest.approx(8.08, abs=0.01)  # 1 010 000 weights, 8 bytes each
    assert found["barrier"] == pytest.approx(1.0)
    assert floors.floors(floors.Case("NP", 10, 1, True), rates)["barrier"] == pytest.approx(2.0)
    assert floors.floors(case, {}) == {}


def test_the_barrier_is_where_it_is_looked_for():
    found = importlib.import_module("neurosim.engines.cuda.engine").bare_barrier
    assert list(inspect.signature(found).parameters) == ["blocks", "threads", "count"]


def on_wall(run):
    start = time.perf_counter()
    run()
    took = time.perf_counter() - start
    return took, took


def here(**more):
    """Timing on this machine's CPU, for as short as can be."""
    where = {"graph": device.Host(), "torch": "cpu", "jax": "cpu"}
    return timing.Setting(
        **{"repeats": 2, "seconds": 1e-3, "clock": on_wall, "engine": "cpu", "where": where} | more
    )


def test_everybody_is_timed_or_says_why_not(monkeypatch):
    monkeypatch.setitem(problems.NEEDS, "jax", ("no_such_module", "pip install it"))
    names = ("graph", "neurosim", "jax")
    setting = here(clock=lambda run: (run(), (2e-3, 3e-3))[1])  # as if each took that long
    found = timing.time_case(floors.Case("NP", 8, 2, True), names, setting)
    assert list(found) == list(names)
    assert "install it with: pip install it" in found["jax"]["reason"]
    assert found["neurosim"]["steps"] == 64
    assert found["neurosim"]["ms_per_step"] == pytest.approx(2 / 64)
    assert found["neurosim"]["wall_ms_per_step"] == pytest.approx(3 / 64)
    assert "ratio" not in found["neurosim"]
    assert found["graph"]["ratio"] == pytest.approx(64 / 1000)
    assert found["graph"]["runs"] == 2


def test_medians_and_ratios_are_turn_by_turn():
    theirs, ours = [(4.0, 1.0), (9.0, 1.0), (5.0, 1.0)], [(1.0, 1.0), (1.0, 1.0), (2.0, 1.0)]
    found = timing._summary(theirs, 7, ours)
    assert (found["least"], found["ms_per_step"], found["most"]) == (4000, 5000, 9000)
    assert found["ratio"] == 4.0


def test_runs_get_long_enough():
    """A clock that believes what runs say they took."""
    setting = here(seconds=0.05, clock=lambda run: (run(), run()))
    longer = timing.prepare(timing.Contender(lambda steps: lambda: 1e-5 * steps), setting)
    assert longer.steps == 5000
    capped = timing.prepare(timing.Contender(lambda steps: lambda: 1e-9 * steps), setting)
    assert capped.steps % timing.MOST == 0
    ran = []
    again = timing.prepare(timing.Contender(lambda n: lambda: ran.append(n) or 0.01, 10), setting)
    assert again.steps == 50
    ran.clear()
    again.run()
    assert ran == [10] * 5
    long = timing.prepare(timing.Contender(lambda n: lambda: 0.06, 10), setting)
    assert long.steps == 10


def test_a_failure_costs_nobody_else_and_memory_is_named(monkeypatch):
    class OutOfMemoryError(Exception):
        pass

    class Broken:
        def __init__(self, *_):
            raise OutOfMemoryError("allocating 5 bytes")

    monkeypatch.setattr(graph, "Peer", Broken)
    found = timing.time_case(floors.Case("ANP", 8, 2, False), ("neurosim", "graph"), here())
    assert found["graph"]["reason"] == "out of memory (allocating 5 bytes)"
    assert "ms_per_step" in found["neurosim"]
    case = floors.Case("windowed", 8, 1, False)
    found = timing.time_case(case, ("neurosim", "graph"), here())
    assert found["graph"] == {"reason": "only neurosim has this rule"}
    assert found["neurosim"]["ms_per_step"] > 0


def test_a_device_that_does_not_answer_stops_it(monkeypatch):
    def silent(run):
        raise RuntimeError("an illegal address")

    monkeypatch.setattr(timing, "on_events", silent)
    with pytest.raises(timing.DeviceLost, match=r"neurosim: .*illegal address"):
        timing.time_case(floors.Case("NP", 8, 1, False), ("neurosim",), here(clock=silent))


def test_a_whole_epoch_with_the_papers_settings():
    said = []
    found = epochs.mackey_glass(here(), said.append, hidden=8, steps=40)
    assert list(found) == ["NP", "DNP", "ANP", "DANP", "WP", "DWP"] == [k.upper() for k in found]
    for result in found.values():
        assert (result["hidden"], result["batch"], result["steps"]) == (8, 10, 40)
        assert result["seconds"] > 0
        assert np.isfinite(result["mse"]).all()
    assert len(said) == 6


def test_many_networks_are_counted_or_left_out(monkeypatch):
    monkeypatch.setattr(epochs, "MANY", 2)
    found = epochs.many(here(), ms_alone=1.0, steps=3)
    assert (found["networks"], found["hidden"]) == (2, 100)
    assert found["times_one_by_one"] == pytest.approx(2.0 / found["ms_per_step"])
    monkeypatch.delattr(ns, "side_by_side")
    assert "side by side" in epochs.many(here())["reason"]


# -------------------------------------------------------------- agreement


SOME = {"NP": (ns.NP(1e-3, 1e-2), False), "DANP": (ns.ANP(1e-3, 1e-2), True)}


def test_engines_are_compared(monkeypatch):
    assert len(agreement.plans()) == 12
    assert list(agreement.plans())[:4] == ["NP", "DANP", "WP", "NP, 2 pairs, window 4"]
    monkeypatch.setattr(agreement, "plans", lambda: SOME)
    same_engine = dict(agreement.engines("cpu", "cpu", 21, 4))
    assert list(same_engine) == ["NP", "DANP"]
    assert all(result["identical"] for result in same_engine.values())
    for _, result in agreement.engines("cpu", "objects", 21, 9):
        assert not result["identical"]
        assert result["largest_difference"] > 0
        assert 0 < result["of_allowed"] <= 1
    ((name, result),) = agreement.engines("cpu", "no such engine", 21, 4, most=1)
    assert name == "NP"
    assert "no such engine" in result["reason"]


def test_what_is_not_a_number_is_not_close():
    worst = agreement.Worst()
    worst.look(np.array([1.0, np.nan]), np.array([1.0, 2.0]), 1.0)
    assert worst.result() == {
        "identical": False,
        "largest_difference": np.inf,
        "of_allowed": np.inf,
    }


def test_peers_are_compared(monkeypatch):
    monkeypatch.setitem(problems.NEEDS, "torch", ("no_such_module", "pip install it"))
    found = agreement.peers(["torch", "graph"], {"graph": HostThroughBlas()})
    assert found.pop("torch")["reason"].endswith("pip install it")
    assert list(found) == [f"graph, {d}{rule}" for rule in RULES for d in ("", "D")]
    assert all(result["of_allowed"] <= 1 for result in found.values())

    class Wrong(graph.Peer):
        @property
        def weights(self):
            return {name: w + np.float32(1e-3) for name, w in super().weights.items()}

    monkeypatch.setattr(agreement, "find", lambda *_: SimpleNamespace(Peer=Wrong))
    found = agreement.peers(["graph"], {"graph": device.Host()})
    assert all(result["of_allowed"] > 1 for result in found.values())


# ---------------------------------------------------------------- the script


@pytest.fixture
def script(monkeypatch):
    """The script as a module, with a card that is this machine's CPU."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    gpu = importlib.import_module("gpu")
    monkeypatch.setattr(gpu, "missing", lambda: None)
    monkeypatch.setattr(gpu.gpu_rates, "card", lambda: {"name": "none"})
    monkeypatch.setattr(gpu.gpu_rates, "state", lambda: "unknown")
    monkeypatch.setattr(gpu.gpu_rates, "measure", lambda clock, say: {"fma_flops": 1e12})
    monkeypatch.setattr(gpu.gpu_agreement, "tests", lambda say: {"reason": "not here"})
    monkeypatch.setattr(gpu.gpu_agreement, "plans", lambda: SOME)
    monkeypatch.setattr(gpu, "AGREED", {"cpu": (6, 4)})
    small = gpu.gpu_epochs.mackey_glass
    monkeypatch.setattr(
        gpu.gpu_epochs, "mackey_glass", lambda s, say: small(s, say, hidden=6, steps=30)
    )
    monkeypatch.setattr(gpu.gpu_epochs, "MANY", 2)
    where = {"graph": gpu.gpu_agreement.Host()}
    setting = {"clock": on_wall, "engine": "cpu", "where": where, "seconds": 1e-3}
    usual = gpu.gpu_timing.Setting
    monkeypatch.setattr(
        gpu.gpu_timing, "Setting", lambda repeats, seconds: usual(repeats, **setting)
    )
    return gpu


def test_all_of_it_in_one_call(script, tmp_path, capsys):
    out = tmp_path / "found.json"
    given = ["--quick", "--sizes", "6", "--only", "neurosim,graph", "--out", str(out)]
    assert script.main(given) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
    found = json.loads(out.read_text())
    assert found["complete"]
    assert found["settings"]["only"] == ["neurosim", "graph"]
    assert found["versions"]["numpy"] == np.__version__
    assert [case["name"] for case in found["cases"][:3]] == ["NP", "ANP", "WP"]
    assert len(found["cases"]) == 8
    assert all(case["contenders"]["neurosim"]["ms_per_step"] > 0 for case in found["cases"])
    assert all(result["identical"] for result in found["agreement"]["cpu"].values())
    printed, shown = capsys.readouterr()
    assert "[8/8] DNP, 16 pairs, window 16, N = 6, B = 10" in shown
    assert "NOT MEASURED: a step of NP at N = 1000" in printed
    assert "graph: only neurosim has this rule (2 cases)" in printed
    assert "times faster than CUDA graph: in " in printed


def test_a_stage_alone(script, tmp_path):
    out = tmp_path / "found.json"
    assert script.main(["--stages", "epochs", "--only", "neurosim", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["settings"]["stages"] == ["epochs"]
    assert len(found["epochs"]) == 6
    assert not {"rates", "agreement", "cases"} & set(found)


def test_what_was_measured_is_kept_when_it_is_interrupted(script, tmp_path, monkeypatch, capsys):
    timed, out = script.gpu_timing.time_case, tmp_path / "found.json"

    def twice(case, *given):
        if case.rule == "WP":
            raise KeyboardInterrupt
        return timed(case, *given)

    monkeypatch.setattr(script.gpu_timing, "time_case", twice)
    given = ["--quick", "--sizes", "6", "--only", "neurosim", "--out", str(out)]
    assert script.main(given) == 130
    found = json.loads(out.read_text())
    assert [case["name"] for case in found["cases"]] == ["NP", "ANP"]
    assert not found["complete"]
    assert found["stopped"] == "interrupted"
    assert "kept what was measured" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_known_at_once(script, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert script.main(["--out", str(tmp_path / "file" / "found.json")]) == 1
    assert "Nothing was measured." in capsys.readouterr().err


def test_what_nobody_foresaw_keeps_what_was_measured(script, tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(script.gpu_epochs, "mackey_glass", broken)
    out = tmp_path / "found.json"
    assert script.main(["--stages", "rates,epochs", "--out", str(out)]) == 1
    found = json.loads(out.read_text())
    assert found["rates"] == {"fma_flops": 1e12}
    assert found["stopped"] == "RuntimeError: nobody foresaw this"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--only", "jax,numpy"], ["--stages", "all"], ["--sizes", "0"]])
def test_wrong_arguments_are_refused(script, given, capsys):
    with pytest.raises(SystemExit):
        script.main(given)
    assert given[0] in capsys.readouterr().err


def test_without_a_gpu_it_says_what_is_missing_and_fails(tmp_path):
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(
        command, cwd=tmp_path, env=hidden, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gpu.py: ")
    assert "Nothing was measured." in done.stderr
    assert any(word in done.stderr for word in ("CuPy", "driver", "GPU", "CUDA"))
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def step(name, n, batch, ms, **ratios):
    contenders = {"neurosim": {"ms_per_step": ms}}
    contenders |= {peer: {"ms_per_step": ms * r, "ratio": r} for peer, r in ratios.items()}
    return {"name": name, "hidden": n, "batch": batch, "floors": {}, "contenders": contenders}


def test_verdicts():
    fine = {"identical": True, "largest_difference": 0.0, "of_allowed": 0.0}
    found = {
        "agreement": {"emulator": {"NP": fine}, "cpu": {"NP": {**fine, "of_allowed": 1.5}}},
        "cases": [
            step("NP", 1000, 10, 0.009, torch=80.0, graph=2.5),
            step("DNP", 1000, 10, 0.021, torch=70.0, graph=3.5),
        ],
        "epochs": {"NP": {"seconds": 0.05}},
    }
    said = report.verdicts(found)
    for line in (
        "met: the emulator and the kernel agree to the bit: 1 of 1, largest difference 0",
        "NOT MET: the cpu and the cuda engine agree: 0 of 1, largest difference 0",
        "NOT MEASURED: the peers compute what NumPy does",
        "met: a step of NP at N = 1000, B = 10 in at most 10 us: 9 us, 0.90 of it",
        "NOT MET: a step of DNP at N = 1000, B = 10 in at most 20 us: 21 us, 1.05 of it",
        "NOT MEASURED: a step of WP at N = 1000, B = 10 in at most 10 us",
        "NOT MET: 3 times faster than CUDA graph: in 1 of 2 cases; "
        "least 2.50 (NP, N = 1000, B = 10)",
        "met: 3 times faster than PyTorch: in 2 of 2 cases; least 70.00 (DNP, N = 1000, B = 10)",
        "NOT MEASURED: 3 times faster than JAX",
        "met: one epoch of Mackey-Glass (N = 1000, B = 10, 5000 steps) in at most 0.1 s, NP: "
        "0.05 s, 0.50 of it",
    ):
        assert line in said
    assert all(line.startswith("NOT MEASURED") for line in report.verdicts({}))
