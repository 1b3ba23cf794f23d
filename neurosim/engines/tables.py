"""Plain arrays in which the compiled loops find a network and keep its state.

All activity is lane-major: one row per lane, in it the populations one behind the
other, each padded to a full vector. All weights lie in one array, a projection's
rows one behind the other, likewise padded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.plan import Plan

VECTOR = 16  # float32 numbers in the widest vector register

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def padded(n: int) -> int:
    """Round up to a whole number of vectors."""
    return -(-n // VECTOR) * VECTOR


class Passes(NamedTuple):
    """Who is compared with whom, and what reaches everyone."""

    batch: int
    passes: int
    learns: bool
    seed: int
    distribution: int
    noise_std: np.float32
    noise_gain: np.float32
    variance: np.float32
    act_noise: np.float32
    batch_wide: bool
    measures_power: bool
    episode: int
    resync_every: int
    schedule: int  # 0 online, 1 window, 2 sequence
    reference: Ints  # (comparisons,)
    perturbed: Ints  # (comparisons,)
    comparison: Ints  # (passes,) whose noise a pass gets, and with which
    sign: Floats  # (passes,) sign


class Populations(NamedTuple):
    """One entry per population, in the order in which they act."""

    start: Ints
    size: Ints
    model: Ints
    leak: Floats
    keep: Floats
    credit: Ints
    factor: Floats
    learns: Ints
    perturbed: Ints
    noise_stream: Ints
    act_noise_stream: Ints
    decorrelation: Ints  # start of its matrix in the weights, -1 without one
    stride: Ints
    decorrelation_rate: np.float32


class Projections(NamedTuple):
    """One entry per projection."""

    pre: Ints
    post: Ints
    delay: Ints
    start: Ints
    stride: Ints
    rate: Floats
    perturbed: Ints
    noise_stream: Ints
    seen: Ints  # start of its presynaptic activity in Memory.pre


class Memory(NamedTuple):
    """All that changes. `rows` are the units of all populations, C = comparisons x replicas."""

    weights: Floats
    a: Floats  # (lanes, rows) pre-activation
    x: Floats  # (lanes, rows) activity
    s: Floats  # (lanes, rows) what is sent
    before: Floats  # (lanes, rows) what was sent one step ago
    noise: Floats  # (C, rows) injected noise
    signal: Floats  # (C, rows) signal of each neuron
    forming: Floats  # (populations, C) reward in which signals are formed
    credited: Floats  # (populations, C) reward that meets eligibilities
    retrograde: Floats  # (batch, rows)
    heard: Floats  # (batch, rows) retrograde sums of one step ago
    pre: Floats  # (batch, ...) presynaptic activity, projection by projection
    difference: Floats  # (C,) loss differences of this step
    owed_reward: Floats  # (C,) loss differences of this episode
    eligibility: Floats  # (C, projections' weights) or (0, 0)
    owed: Floats  # (projections' weights,) changes not yet due, or (0,)
    scratch: Floats  # (4, widest row)
    due: Ints  # changes of the last step still to be made: see Due


class Due:
    """Entries of ``Memory.due``."""

    PROJECTIONS, DECORRELATION, OVER, WRITE, CLOCK = range(5)
    SIZE = 5


def passes_of(plan: Plan) -> Passes:
    """Tabulate the passes."""
    options = plan.options
    comparison = np.full(plan.passes, -1, dtype=np.int64)
    sign = np.zeros(plan.passes, dtype=np.float32)
    for k, pair in enumerate(plan.comparisons):
        comparison[pair.perturbed], sign[pair.perturbed] = k, 1.0
        if pair.reference > 0:
            comparison[pair.reference], sign[pair.reference] = k, -1.0
    return Passes(
        batch=plan.batch,
        passes=plan.passes,
        learns=plan.learns,
        seed=plan.seed,
        distribution=plan.distribution,
        noise_std=np.float32(options.noise_std),
        noise_gain=np.float32(plan.noise_gain),
        variance=np.float32(plan.variance),
        act_noise=np.float32(plan.substrate.act_noise),
        batch_wide=options.reward_scope == "batch",
        measures_power=plan.measures_power,
        episode=plan.episode,
        resync_every=options.resync_every or 0,
        schedule=("online", "window", "sequence").index(str(options.schedule)),
        reference=np.array([c.reference for c in plan.comparisons], dtype=np.int64),
        perturbed=np.array([c.perturbed for c in plan.comparisons], dtype=np.int64),
        comparison=comparison,
        sign=sign,
    )


def layout(plan: Plan) -> tuple[Populations, Projections, dict[str, int], int]:
    """Tabulate populations and projections.

    Returns
    -------
    populations, projections
        The tables.
    at : dict of str to int
        Where each matrix starts in the array of all weights.
    n_weights : int
        Length of that array, padding included.
    """
    network = plan.network
    acting = network.populations
    sizes = [padded(p.size) for p in acting]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    index = {p.name: i for i, p in enumerate(acting)}
    models: list[type] = []
    for p in acting[1:]:
        if type(p.neuron) not in models:
            models.append(type(p.neuron))
    taus = [1.0] + [float(getattr(p.neuron, "tau", 1.0)) for p in acting[1:]]

    end = 0
    at: dict[str, int] = {}
    for name in network.matrices:
        at[name] = end
        n_post, n_pre = network.shape(name)
        end += n_post * padded(n_pre)
    widths = [padded(network.population(p.pre).size) for p in network.projections]
    rate = plan.decorrelation.learning_rate if plan.decorrelation is not None else 0.0
    populations = Populations(
        start=_ints(starts),
        size=_ints([p.size for p in acting]),
        model=_ints([-1] + [models.index(type(p.neuron)) for p in acting[1:]]),
        leak=_floats([1.0 / tau for tau in taus]),
        keep=_floats([1.0 - 1.0 / tau for tau in taus]),
        credit=_ints([0] + [plan.credit(p) for p in acting[1:]]),
        factor=_floats([1.0] + [plan.factor(p) for p in acting[1:]]),
        learns=_ints([0] + [plan.learns_onto(p) for p in acting[1:]]),
        perturbed=_ints([0] + [plan.perturbs(p) for p in acting[1:]]),
        noise_stream=_ints([plan.stream(noise.PERTURBATION, p.name) for p in acting]),
        act_noise_stream=_ints([plan.stream(noise.ACT_NOISE, p.name) for p in acting]),
        decorrelation=_ints([at[p.decorrelation] if p.decorrelation else -1 for p in acting]),
        stride=_ints(sizes),
        decorrelation_rate=np.float32(rate / plan.batch),
    )
    projections = Projections(
        pre=_ints([index[p.pre] for p in network.projections]),
        post=_ints([index[p.post] for p in network.projections]),
        delay=_ints([p.delay for p in network.projections]),
        start=_ints([at[p.name] for p in network.projections]),
        stride=_ints(widths),
        rate=_floats([plan.rate(p) for p in network.projections]),
        perturbed=_ints([plan.perturbs(p) for p in network.projections]),
        noise_stream=_ints(
            [plan.stream(noise.WEIGHT_PERTURBATION, p.name) for p in network.projections]
        ),
        seen=_ints(np.concatenate([[0], np.cumsum(widths)[:-1]])),
    )
    return populations, projections, at, end


def empty_memory(plan: Plan, populations: Populations, projections: Projections, n: int) -> Memory:
    """Allocate all memory a plan needs; nothing is allocated per step."""
    rows = int(populations.start[-1] + populations.stride[-1])
    pairs = len(plan.comparisons) * plan.batch
    later = plan.learns and any(populations.credit != 0)
    keeps = plan.learns and plan.options.schedule != "online"
    sizes = populations.size[projections.post] * projections.stride
    projected = int(sizes.sum())  # projections come before decorrelation

    def zeros(*shape: int) -> Floats:
        return np.zeros(shape, dtype=np.float32)

    return Memory(
        weights=zeros(n),
        a=zeros(plan.lanes, rows),
        x=zeros(plan.lanes, rows),
        s=zeros(plan.lanes, rows),
        before=zeros(plan.lanes, rows),
        noise=zeros(pairs, rows),
        signal=zeros(pairs, rows),
        forming=zeros(len(populations.size), pairs),
        credited=zeros(len(populations.size), pairs),
        retrograde=zeros(plan.batch, rows),
        heard=zeros(plan.batch, rows),
        pre=zeros(plan.batch, int(projections.stride.sum())),
        difference=zeros(pairs),
        owed_reward=zeros(pairs),
        eligibility=zeros(pairs, projected) if later else zeros(0, 0),
        owed=zeros(projected) if keeps else zeros(0),
        scratch=zeros(4, max(pairs, int(projections.stride.max()), int(populations.stride.max()))),
        due=np.zeros(Due.SIZE, dtype=np.int64),
    )


def _ints(values: object) -> Ints:
    return np.array(values, dtype=np.int64)


def _floats(values: object) -> Floats:
    return np.array(values, dtype=np.float32)
