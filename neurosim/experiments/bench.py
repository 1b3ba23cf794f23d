"""How fast a learning step is, by ratios measured in one process: clocks drift, ratios last."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from neurosim.engines import find, resolve
from neurosim.errors import InputError
from neurosim.experiments import environment, registry
from neurosim.experiments.bench_cases import NOISE_STD, RATE, Case
from neurosim.values import MANY, nearest, require, require_count

if TYPE_CHECKING:
    from rich.table import Table

SECONDS = 0.25  # that a timed run should take
FEW, MOST = 3, 20_000  # steps of a run

Run = Callable[[], Any]
Build = Callable[[int], Run]


@dataclass(frozen=True)
class Measurement:
    """What was measured of a case.

    Attributes
    ----------
    rule, hidden, batch, steps
        The case, and how many steps a timed run had.
    ms_per_step : float
        Median over runs, each of whole steps as `Simulator.run` executes them.
    gflops : float
        See `Case.operations`.
    sgemm_gflops, of_sgemm : float
        One-thread product of two 1000 x 1000 matrices, right before and after every run;
        the median of each run's own fraction of it.
    bytes_per_step : int
        Every weight read and written once in float32, by the network's sizes: the least that
        a step can move which changes all weights. Caches are not looked at, and what
        lanes hold is not counted: ``N`` numbers where a matrix has ``N^2``.
    events_per_second, synaptic_operations_per_second : float
        What `Record` counts, over all lanes.
    setup_seconds : float
        Drawing the weights and building the simulator.
    compile_seconds : float
        First run minus a usual one: compiling, or loading what was compiled before. Near 0
        when an earlier case of this process had the same loop.
    peers : dict of str to dict
        Per peer its ``ms_per_step``, and the median ``ratio`` of its time to ours.
    """

    rule: str
    hidden: int
    batch: int
    steps: int
    ms_per_step: float
    gflops: float
    sgemm_gflops: float
    of_sgemm: float
    bytes_per_step: int
    events_per_second: float
    synaptic_operations_per_second: float
    setup_seconds: float
    compile_seconds: float
    peers: dict[str, dict[str, float]] = field(default_factory=dict)


def measure(
    case: Case,
    threads: int = 1,
    repeats: int = 5,
    against: str | None = None,
    engine: str = "cpu",
) -> Measurement:
    """Measure one case.

    Parameters
    ----------
    case : Case
    threads : int
        Of the simulator. BLAS always has one.
    repeats : int
        Timed runs.
    against : {"jax", "torch"}, optional
        A framework whose peer runs by turns with neurosim, on one thread as well.
    engine : str
        Of the simulator. The product it is compared with is one core's, whatever the engine.

    Raises
    ------
    InputError
        For a value outside what is allowed, or a framework that is not installed.
    DeviceError
        If the engine needs a GPU, and there is none to work on.
    """
    for name, value in (("threads", threads), ("repeats", repeats)):
        require_count("bench", name, value, 1, MANY)
    fine = against is None or threads == 1
    require(fine, "bench", "threads", threads, f"1 against {against}, whose peer has one")
    fine = against is None or resolve(engine)[0] == "cpu"
    require(fine, "bench", "engine", engine, f"'cpu' against {against}, whose peer has one core")
    find(engine)  # so that no setup contains the import of a compiler
    peers = {} if against is None else _peers(case, against)
    with threadpool_limits(limits=1):
        return _measure(case, threads, repeats, peers, engine)


def _peers(case: Case, against: str) -> dict[str, Build]:
    """Peers of a case by name: each built for a number of steps, from a simulator's weights."""
    package = registry.peers()
    if against not in package.INSTALL:
        raise InputError(
            f"bench: against = {against!r} does not exist; {nearest(against, package.INSTALL)}"
        )
    try:
        peer = package.find(against)
    except package.MissingFramework as error:
        raise InputError(f"bench: against = {against!r}: {error}") from error

    def build(form: str, steps: int) -> Run:
        inputs, targets = case.data(steps)
        problem = package.Problem(
            weights=case.network().initial_weights(),
            rule=case.base,
            learning_rate=RATE,
            noise_std=NOISE_STD,
            decorrelation_rate=RATE,
            inputs=inputs,
            targets=targets,
            decorrelation=form,
        )
        run: Run = peer(problem).run
        return run

    built: dict[str, Build] = {against: partial(build, "quadratic")}
    if against == "torch" and case.decorrelated:
        built["torch, cubic"] = partial(build, "cubic")
    return built


def _measure(
    case: Case, threads: int, repeats: int, peers: dict[str, Build], engine: str
) -> Measurement:
    start = time.perf_counter()
    network = case.network()
    sim = case.simulator(network, threads, engine)
    setup = time.perf_counter() - start
    own, steps, compiling = prepare(lambda steps: partial(sim.run, *case.data(steps)))
    record = own()
    others = {name: prepare(build)[:2] for name, build in peers.items()}

    took, fractions, peaks = [], [], []
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(repeats):
        before = sgemm_rate()
        took.append(seconds(own) / steps)
        peaks.append((before + sgemm_rate()) / 2)
        fractions.append(case.operations / took[-1] / peaks[-1])
        for name, (run, n) in others.items():
            theirs[name].append(seconds(run) / n)
    usual = statistics.median(took)
    return Measurement(
        rule=case.rule,
        hidden=case.hidden,
        batch=case.batch,
        steps=steps,
        ms_per_step=usual * 1e3,
        gflops=case.operations / usual / 1e9,
        sgemm_gflops=statistics.median(peaks) / 1e9,
        of_sgemm=statistics.median(fractions),
        bytes_per_step=2 * 4 * sum(math.prod(network.shape(m)) for m in network.matrices),
        events_per_second=float(record.events.mean()) / usual,
        synaptic_operations_per_second=float(record.synaptic_operations.mean()) / usual,
        setup_seconds=setup,
        compile_seconds=compiling,
        peers={
            name: {
                "ms_per_step": statistics.median(each) * 1e3,
                "ratio": statistics.median(t / o for t, o in zip(each, took, strict=True)),
            }
            for name, each in theirs.items()
        },
    )


def seconds(run: Run) -> float:
    """Run, and give the duration."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def sgemm_rate() -> float:
    """Operations per second of a product of two 1000 x 1000 matrices, in single precision."""
    a, out = np.ones((2, 1000, 1000), dtype=np.float32)
    return 2e9 / statistics.median(seconds(lambda: np.matmul(a, a, out)) for _ in range(3))


def prepare(build: Build) -> tuple[Run, int, float]:
    """Build a run that is long enough to time, and has run before.

    Returns
    -------
    run : callable
    steps : int
        How many it has.
    compiling : float
        Seconds by which the very first run was slower than the next one.
    """
    steps, run = FEW, build(FEW)
    first, took = seconds(run), seconds(run)
    compiling = max(0.0, first - took)
    while took < SECONDS / 2 and steps < MOST:
        steps = min(MOST, math.ceil(steps * min(50.0, SECONDS / took)))
        run = build(steps)
        run()
        took = seconds(run)
    return run, steps, compiling


def as_json(results: Sequence[Measurement], engine: str, **settings: Any) -> dict[str, Any]:
    """All results, what they were measured on, and with which settings."""
    found = environment.describe(engine)
    found["packages"] |= {name: environment.version(name) for name in _frameworks(results)}
    return {
        "environment": found,
        "settings": {**settings, "engine": engine},
        "results": [asdict(result) for result in results],
    }


def _frameworks(results: Sequence[Measurement]) -> set[str]:
    return {name.split(",")[0] for result in results for name in result.peers}


def table(results: Sequence[Measurement]) -> Table:
    """Results for people."""
    from rich.table import Table

    peers = list(dict.fromkeys(name for result in results for name in result.peers))
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("rule")
    for head in (*_COLUMNS, *(head for name in peers for head in (f"{name} ms/step", "ratio"))):
        drawn.add_column(head, justify="right")
    for result in results:
        cells = [form.format(value(result)) for value, form in _COLUMNS.values()]
        for name in peers:
            peer = result.peers.get(name)
            cells += ["", ""] if peer is None else [f"{peer[k]:.3g}" for k in _PEER_COLUMNS]
        drawn.add_row(result.rule, *cells)
    return drawn


def legend(results: Sequence[Measurement], threads: int, repeats: int, engine: str = "cpu") -> str:
    """Say what the columns mean."""
    peak = statistics.median(result.sgemm_gflops for result in results)
    on = f"{threads} thread{'s' * (threads > 1)}" if engine == "cpu" else f"engine {engine}"
    if engine == "cuda":
        from neurosim.engines.cuda import device

        on += f", {device.words()}"
    lines = [
        f"medians of {repeats} runs on {on}; of sgemm: of what a product of two 1000 x 1000 "
        f"matrices reaches on one thread of the CPU, here {peak:.0f} GFLOP/s",
        "FLOP: 6 N^2 batch a step, 14 N^2 batch with D; MB: each weight read and written once; "
        "compile: the first run minus a usual one",
    ]
    if _frameworks(results):
        lines += ["ratio: the peer's time per step divided by neurosim's"]
    if any("cubic" in name for result in results for name in result.peers):
        lines[-1] += "; cubic: Eq. 6 as it is printed, with products of N x N matrices"
    return "\n".join(lines)


_PEER_COLUMNS = ("ms_per_step", "ratio")
_COLUMNS: dict[str, tuple[Callable[[Measurement], Any], str]] = {
    "N": (lambda m: m.hidden, "{}"),
    "batch": (lambda m: m.batch, "{}"),
    "ms/step": (lambda m: m.ms_per_step, "{:.3f}"),
    "GFLOP/s": (lambda m: m.gflops, "{:.1f}"),
    "of sgemm": (lambda m: m.of_sgemm, "{:.2f}"),
    "MB/step": (lambda m: m.bytes_per_step / 1e6, "{:.2f}"),
    "Mevents/s": (lambda m: m.events_per_second / 1e6, "{:.1f}"),
    "Gsynops/s": (lambda m: m.synaptic_operations_per_second / 1e9, "{:.1f}"),
    "setup s": (lambda m: m.setup_seconds, "{:.3f}"),
    "compile s": (lambda m: m.compile_seconds, "{:.2f}"),
}
