"""Timing neurosim and its peers on a GPU, by turns, whoever of them there is."""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .gpu_floors import INPUTS, NOISE_STD, OUTPUTS, PAIRS, RATE, RULES, WINDOW, Case
from .gpu_problem import RULES as PEER_RULES
from .gpu_problem import Problem, find

CONTENDERS = ("neurosim", "graph", "torch", "jax")
MOST = 50_000  # steps of one run
Run = Callable[[], Any]
Clock = Callable[[Run], tuple[float, float]]


class Skip(Exception):
    """A case that a contender cannot have, with the reason."""


class DeviceLost(Exception):
    """Nothing works on the device any more."""


def cases(sizes: Iterable[int], batches: Iterable[int]) -> list[Case]:
    """All cases of some sizes, the small ones first: a long run that stops has most of them."""
    return [
        Case(rule, n, batch, decorrelated)
        for n in sizes
        for batch in batches
        for decorrelated in (False, True)
        for rule in RULES
    ]


def on_events(run: Run) -> tuple[float, float]:
    """Seconds of a call by events on the device, and by the clock on the wall."""
    import cupy

    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.cuda.Device().synchronize()
    start.record()
    begun = time.perf_counter()
    run()
    stop.record()
    stop.synchronize()
    wall = time.perf_counter() - begun
    return cupy.cuda.get_elapsed_time(start, stop) / 1e3, wall


@dataclass(frozen=True)
class Setting:
    """How to time: `repeats` runs of so many seconds each, by which clock, on what.

    The defaults are a GPU's. `where` names another place for a peer.
    """

    repeats: int = 7
    seconds: float = 0.3
    clock: Clock = on_events
    engine: str = "cuda"
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """How somebody runs a case: a function of the number of steps that gives a run.

    One with a `length` is built once for so many steps, which it repeats; otherwise runs
    get longer until they take long enough.
    """

    build: Callable[[int], Run]
    length: int | None = None


@dataclass(frozen=True)
class Ready:
    """A run that has run before and takes long enough to time."""

    run: Run
    steps: int


def contender(name: str, case: Case, setting: Setting) -> Contender:
    """Find out how a contender runs a case.

    Raises
    ------
    Skip
        If it cannot.
    """
    if name == "neurosim":
        return Contender(_neurosim(case, setting.engine))
    if case.rule not in PEER_RULES:
        raise Skip("only neurosim has this rule")
    try:
        peer = find(name, name not in setting.where).Peer
    except ImportError as error:
        raise Skip(str(error)) from error
    lengths = {"graph": 1000, "torch": 100, "jax": 1000 if case.hidden < 2000 else 250}
    where = [setting.where[name]] if name in setting.where else []

    def build(steps: int) -> Run:
        inputs, targets = data(case, steps)
        problem = Problem(
            weights=network(case).initial_weights(),
            rule=case.rule,
            learning_rate=RATE,
            noise_std=NOISE_STD,
            decorrelation_rate=RATE,
            inputs=inputs,
            targets=targets,
        )
        run: Run = peer(problem, *where).run
        return run

    return Contender(build, lengths[name])


def _neurosim(case: Case, engine: str) -> Callable[[int], Run]:
    made: list[Any] = []

    def build(steps: int) -> Run:
        if not made:
            if engine == "cuda":
                check_memory(case)
            made.append(simulator(case, engine))
        return partial(made[0].run, *data(case, steps))

    return build


def network(case: Case) -> Any:
    """The network of a case."""
    import neurosim as ns

    return ns.rnn(INPUTS, case.hidden, OUTPUTS, decorrelate=case.decorrelated)


def simulator(case: Case, engine: str, seed: int = 0) -> Any:
    """The simulator of a case."""
    import neurosim as ns

    if case.rule == "windowed":
        options = {"reward": "return_to_go", "window": WINDOW, "pairs": PAIRS}
        rule = ns.NP(RATE, NOISE_STD, **options)
    else:
        rule = getattr(ns, case.rule)(RATE, NOISE_STD)
    decorrelation = ns.Decorrelation(RATE) if case.decorrelated else None
    return ns.Simulator(
        network(case), rule, decorrelation, batch=case.batch, engine=engine, seed=seed
    )


def data(case: Case, steps: int) -> tuple[Any, Any]:
    """Draw inputs and targets."""
    shape = (steps, case.batch, INPUTS + OUTPUTS)
    drawn = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return drawn[..., :INPUTS].copy(), drawn[..., INPUTS:].copy()


def check_memory(case: Case) -> None:
    """Refuse a case whose eligibilities would not fit into what the card has free."""
    import cupy

    free = cupy.cuda.Device().mem_info[0]
    if case.eligibility_bytes > 0.9 * free:
        needed = f"{case.eligibility_bytes / 1e9:.1f} GB of eligibilities"
        raise Skip(f"{needed} do not fit into {free / 1e9:.1f} GB")


def prepare(who: Contender, setting: Setting) -> Ready:
    """Make a run that takes about as long as it should, and has run before."""
    steps, seconds = who.length or 64, setting.seconds
    run, took = _tried(who, steps, setting)
    while who.length is None and took < seconds / 2 and steps < MOST:
        steps = min(MOST, math.ceil(steps * min(20.0, seconds / took)))
        run, took = _tried(who, steps, setting)
    calls = max(1, round(seconds / took))
    if calls == 1:
        return Ready(run, steps)

    def repeated() -> None:
        for _ in range(calls):
            run()

    return Ready(repeated, steps * calls)


def _tried(who: Contender, steps: int, setting: Setting) -> tuple[Run, float]:
    run = who.build(steps)
    run()  # compiles
    return run, setting.clock(run)[1]


def time_case(case: Case, names: Sequence[str], setting: Setting) -> dict[str, dict[str, Any]]:
    """Time everybody by turns; of whoever fails, keep the reason.

    Returns
    -------
    dict
        By contender ``ms_per_step``, the median over runs, with ``least`` and ``most``; the
        same by the clock on the wall; ``ratio``, its time by neurosim's, turn by turn; or a
        ``reason``.

    Raises
    ------
    DeviceLost
        If the device does not answer after a failure.
    """
    ready: dict[str, Ready] = {}
    found: dict[str, dict[str, Any]] = {}
    took: dict[str, list[tuple[float, float]]] = {}
    for name in names:
        with failing(name, found, setting):
            ready[name] = prepare(contender(name, case, setting), setting)
    for _ in range(setting.repeats):
        for name in [name for name in ready if name not in found]:
            with failing(name, found, setting):
                events, wall = setting.clock(ready[name].run)
                steps = ready[name].steps
                took.setdefault(name, []).append((events / steps, wall / steps))
    ours = [] if "neurosim" in found else took.get("neurosim", [])
    for name in [name for name in ready if name not in found]:
        found[name] = _summary(took[name], ready[name].steps, ours if name != "neurosim" else [])
    ready.clear()
    release()
    return {name: found[name] for name in names}


@contextmanager
def failing(name: str, found: dict[str, dict[str, Any]], setting: Setting) -> Iterator[None]:
    """Note why something failed, make room, and see whether the device still answers."""
    try:
        yield
    except Exception as error:  # one that fails must not cost the others
        found[name] = {"reason": reason(error)}
        if isinstance(error, Skip) or setting.clock is not on_events:
            return
        release()
        try:
            on_events(lambda: None)
        except Exception as silent:
            why = f"{name}: {reason(error)}; after that the device said: {reason(silent)}"
            raise DeviceLost(why) from error


def _summary(
    took: Sequence[tuple[float, float]], steps: int, ours: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    events, wall = ([1e3 * each[k] for each in took] for k in (0, 1))
    found = {
        "ms_per_step": statistics.median(events),
        "least": min(events),
        "most": max(events),
        "wall_ms_per_step": statistics.median(wall),
        "runs": len(events),
        "steps": steps,
    }
    ratios = [theirs[0] / own[0] for theirs, own in zip(took, ours, strict=False)]
    return found | ({"ratio": statistics.median(ratios)} if ratios else {})


def reason(error: BaseException) -> str:
    """Why something failed, in a line."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, Skip):
        return text
    name = type(error).__name__
    signs = ("outofmemory", "out of memory", "resource_exhausted", "memory is used up")
    if isinstance(error, MemoryError) or any(s in f"{name} {text}".lower() for s in signs):
        return f"out of memory ({text})"
    return f"{name}: {text}"


def release() -> None:
    """Give memory back that nobody uses, so that the next one can have it."""
    gc.collect()
    cupy, torch = sys.modules.get("cupy"), sys.modules.get("torch")
    with suppress(Exception):  # without a device there is nothing to give back
        if cupy is not None:
            cupy.get_default_memory_pool().free_all_blocks()
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()
