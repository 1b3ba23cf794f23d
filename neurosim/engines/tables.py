"""Tables of passes, populations and projections, for the compiled loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosim import noise
from neurosim.engines.arrays import Floats, Ints, floats, ints, padded, panels, zeros
from neurosim.engines.plan import Plan
from neurosim.network import Population
from neurosim.optimisers import OPTIMISERS

PANELS = 4  # panels of the smallest block of work
BLOCKS = 16  # blocks of the largest population
WORTH_SHARING = 1_000_000  # products a step, some 30 microseconds


class Passes(NamedTuple):
    """Who is compared with whom, and what reaches everyone."""

    batch: int
    passes: int
    learns: bool
    seed: int
    noise_std: np.float32
    noise_gain: np.float32
    variance: np.float32
    sides: int  # passes of a comparison with noise of their own
    batch_wide: bool
    measures_power: bool
    episode: int
    resync_every: int
    schedule: int  # 0 online, 1 window, 2 sequence
    decay: np.float32  # of eligibilities that wait for a reward
    normalise: np.float32  # 0: not
    optimiser: int  # 0 none, or its place in OPTIMISERS
    beta1: float
    beta2: float
    epsilon: np.float32
    traces: bool
    feeds_back: bool
    asks_slope: bool
    feedback_rate: np.float32  # 0: feedback weights do not learn
    reference: Ints  # (comparisons,)
    perturbed: Ints  # (comparisons,)
    comparison: Ints  # (passes,) whose noise a pass gets, and with which
    sign: Floats  # (passes,) sign


class Populations(NamedTuple):
    """One entry per population, in the order in which they act."""

    start: Ints
    size: Ints
    model: Ints
    credit: Ints
    factor: Floats
    learns: Ints
    first_lesson: Ints  # of the comparisons that teach it
    lessons: Ints
    hears: Ints  # whether it has feedback weights
    perturbed: Ints
    noise_stream: Ints
    decorrelation: Ints  # start of its matrix in the weights, -1 without one
    matrix: Ints  # number of its matrix
    stride: Ints  # its size, padded
    shared: Ints  # whether there is so much to do that threads share it
    block: Ints  # panels of a block of work
    blocks: Ints
    decorrelation_rate: Floats  # (1,) of the change that is due


class Projections(NamedTuple):
    """One entry per projection."""

    pre: Ints
    post: Ints
    delay: Ints
    start: Ints
    learns: Ints
    rate: Floats  # of the change that is due
    perturbed: Ints
    noise_stream: Ints


def passes_of(plan: Plan) -> Passes:
    """Tabulate the passes."""
    options = plan.options
    injected = [plan.injected(pass_) for pass_ in range(plan.passes)]
    return Passes(
        batch=plan.batch,
        passes=plan.passes,
        learns=plan.learns,
        seed=plan.seed,
        noise_std=np.float32(options.noise_std),
        noise_gain=np.float32(plan.noise_gain),
        variance=np.float32(plan.variance),
        sides=plan.sides,
        batch_wide=options.reward_scope == "batch",
        measures_power=plan.measures_power,
        episode=plan.episode,
        resync_every=options.resync_every or 0,
        schedule=("online", "window", "sequence").index(str(options.schedule)),
        decay=np.float32(options.trace_decay),
        normalise=np.float32(options.normalise or 0.0),
        optimiser=list(OPTIMISERS).index(options.optimiser),
        beta1=float(options.beta1),
        beta2=float(options.beta2),
        epsilon=np.float32(options.epsilon),
        traces=plan.traces,
        feeds_back=plan.feeds_back,
        asks_slope=plan.asks("neuron", "slope"),
        feedback_rate=np.float32(plan.rule.feedback_rate if plan.learns_feedback else 0.0),
        reference=np.array([c.reference for c in plan.comparisons], dtype=np.int64),
        perturbed=np.array([c.perturbed for c in plan.comparisons], dtype=np.int64),
        comparison=ints([source for source, _ in injected]),
        sign=floats([sign for _, sign in injected]),
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
    matrices = list(network.matrices)
    end = 0
    at: dict[str, int] = {}
    for name in network.matrices:
        at[name] = end
        end += padded(network.shape(name)[0]) * columns(plan, name)
    counts = [panels(p.size) for p in acting]
    lessons = [plan.lessons(p) for p in acting]
    shares = [max(PANELS, -(-n // BLOCKS)) for n in counts]
    populations = Populations(
        start=ints(starts),
        size=ints([p.size for p in acting]),
        model=ints([-1] + [models.index(type(p.neuron)) for p in acting[1:]]),
        credit=ints([0] + [plan.credit(p) for p in acting[1:]]),
        factor=floats([1.0] + [plan.factor(p) for p in acting[1:]]),
        learns=ints([0] + [plan.learns_onto(p) for p in acting[1:]]),
        first_lesson=ints([found.start for found in lessons]),
        lessons=ints([len(found) for found in lessons]),
        hears=ints([p in plan.feedback.values() for p in acting]),
        perturbed=ints([0] + [plan.perturbs(p) for p in acting[1:]]),
        noise_stream=ints([plan.stream(noise.PERTURBATION, p.name) for p in acting]),
        decorrelation=ints([at[p.decorrelation] if p.decorrelation else -1 for p in acting]),
        matrix=ints([matrices.index(p.decorrelation) if p.decorrelation else -1 for p in acting]),
        stride=ints(sizes),
        shared=ints([_products(plan, p) >= WORTH_SHARING for p in acting]),
        block=ints(shares),
        blocks=ints([-(-n // share) for n, share in zip(counts, shares, strict=True)]),
        decorrelation_rate=zeros(1),
    )
    projections = Projections(
        pre=ints([index[p.pre] for p in network.projections]),
        post=ints([index[p.post] for p in network.projections]),
        delay=ints([p.delay for p in network.projections]),
        start=ints([at[p.name] for p in network.projections]),
        learns=ints([plan.changes(p) for p in network.projections]),
        rate=zeros(len(network.projections)),
        perturbed=ints([plan.perturbs(p) for p in network.projections]),
        noise_stream=ints(
            [plan.stream(noise.WEIGHT_PERTURBATION, p.name) for p in network.projections]
        ),
    )
    return populations, projections, at, end


def _products(plan: Plan, population: Population) -> int:
    """Products that the sums of a population's neurons consist of, in all lanes."""
    network = plan.network
    onto = [p.pre for p in network.projections if p.post == population.name]
    return sum(network.population(pre).size for pre in onto) * population.size * plan.lanes


def columns(plan: Plan, name: str) -> int:
    """Columns that a matrix has in memory: D is also read row by row, a vector at a time."""
    n_pre = plan.network.shape(name)[1]
    return n_pre if name in [p.name for p in plan.network.projections] else padded(n_pre)
