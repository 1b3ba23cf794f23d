"""Plain arrays in which the compiled loops find a network and keep its state.

What a neuron has of its own (pre-activation, activity, noise, signal) is lane-major: one
row per lane, in it the populations one behind the other, each padded to full vectors, so
that neighbours are a vector. What it sends is unit-major: one row per neuron, in it the
lanes, so that a synapse finds the numbers of all lanes side by side. All weights lie in
one array, matrix by matrix, each in panels (see `neurosim.engines.tiles`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines import team
from neurosim.engines.kernels import Kernels
from neurosim.engines.plan import Plan
from neurosim.engines.vectors import WIDTH
from neurosim.network import Population
from neurosim.optimisers import OPTIMISERS
from neurosim.substrate.record import ROUNDINGS

CHUNK = 256  # vectors of weights visited at once: they and their changes stay in the L1 cache
PANELS = 4  # panels of the smallest block of work
BLOCKS = 16  # blocks of the largest population
WORTH_SHARING = 1_000_000  # products a step, some 30 microseconds

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Words = NDArray[np.uint32]


def padded(n: int) -> int:
    """Round up to a whole number of vectors."""
    return -(-n // WIDTH) * WIDTH


def panels(n: int) -> int:
    """Panels that `n` rows make."""
    return -(-n // WIDTH)


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
    decorrelation_rate: np.float32


class Projections(NamedTuple):
    """One entry per projection."""

    pre: Ints
    post: Ints
    delay: Ints
    start: Ints
    rate: Floats
    perturbed: Ints
    noise_stream: Ints


class Assumptions(NamedTuple):
    """What the chip does; per population where it says so, else per matrix, or one for all."""

    act_noise: np.float32
    telegraph: np.float32
    switches: np.float32
    flicker: np.float32
    mismatches: bool
    observes: bool
    read_noise: np.float32
    read_limit: np.float32
    read_spacing: np.float32
    coarse: Ints  # by population
    event_limit: np.float32
    event_spacing: np.float32
    loses: bool
    event_loss: np.float32
    event_jitter: np.float32
    w_read_noise: Floats
    w_read_relative: np.float32
    programs: bool
    rounding: int  # its place in ROUNDINGS
    smallest: Floats
    asymmetry: np.float32
    d2d: np.float32
    c2c: np.float32
    softness: np.float32
    full_scale: Floats
    write_noise: Floats
    limit: Floats
    spacing: Floats
    ages: bool
    drifts: bool
    keep: np.float32
    diffusion: Floats
    alters_rewards: bool
    reward_noise: np.float32
    reward_limit: np.float32
    reward_spacing: np.float32
    reward_loss: np.float32
    delay: int
    shows: bool
    both: bool
    mean_lane: int  # where ``Memory.seen`` has the mean of both passes, or 0
    act_noise_stream: Ints  # by population
    telegraph_stream: Ints  # by population
    flicker_stream: Ints  # by population
    act_read_stream: Ints  # by population
    fired_read_stream: Ints  # by population
    sent_read_stream: Ints  # by population
    w_read_stream: Ints
    w_relative_stream: Ints
    pulses_stream: Ints
    c2c_stream: Ints
    w_write_stream: Ints
    rounding_stream: Ints
    diffusion_stream: Ints
    event_loss_stream: Ints
    event_jitter_stream: Ints


class Memory(NamedTuple):
    """All that changes. `rows` are the units of all populations, C = comparisons x replicas."""

    weights: Floats
    a: Floats  # (lanes, rows) pre-activation
    x: Floats  # (lanes, rows) activity
    s: Floats  # (lanes, rows) what is sent
    fired: Floats  # (rows, lanes) activity, for decorrelation
    sent: Floats  # (3 or 4, rows, lanes) what is sent: now and in the steps before, in turn
    noise: Floats  # (C, rows) injected noise, then that of the references if they have some
    signal: Floats  # (1 or 1 + projections, C, rows) of each neuron; then normalised
    gain: Floats  # (rows,) of each neuron, and its offset
    offset: Floats
    leak: Floats  # (rows,) 1 / tau
    keep: Floats  # (rows,) 1 - 1 / tau
    telegraph: Floats  # (lanes, rows) state of a fluctuator, or (0, rows)
    read_a: Floats  # what rules read of a, x and s: those themselves, if it is the same
    read_x: Floats
    read_s: Floats
    seen: Floats  # (plan.remembered, rows, lanes and more) what they read of what is sent
    response: Floats  # (weights,) of each device to steps, or (0,)
    stuck: Floats  # (weights,) 1 where it is, or where there is none, or (0,)
    nu: Floats  # (weights,) exponent of its drift, or (0,)
    age: Floats  # (weights,) steps since it was written, or (0,)
    slope: Floats  # (batch, rows) derivative of activity
    feedback: Floats  # (batch, rows) errors, as each neuron weighs them
    errors: Floats  # (batch, outputs)
    feedback_weights: Floats  # (outputs, rows)
    feedback_change: Floats  # (outputs, rows)
    divisor: Floats  # (batch,) by which changes are normalised
    forming: Floats  # (populations, C) reward in which signals are formed
    credited: Floats  # (populations, C) reward that meets eligibilities
    retrograde: Floats  # (blocks, batch, rows) sums that travel backwards, block by block
    posted: Floats  # (batch, rows) what decorrelated populations sent one step ago
    heard: Floats  # (rows, batch) retrograde sums of one step ago
    difference: Floats  # (C,) loss differences of this step
    received: Floats  # (C,) what arrives of them: they themselves, if it is the same
    owed_reward: Floats  # (C,) loss differences of this episode
    received_reward: Floats  # (C,) what arrives of them
    line_power: Floats  # (2, C) mean square of what went over the line, by step and by episode
    line_count: Ints  # (2,) how often something did
    late_signal: Floats  # (delay, C, rows) lessons on their way
    late_forming: Floats  # (delay, populations, C)
    late_broadcast: Floats  # (delay, populations, C)
    late_about: Ints  # (delay, 6): see Late
    eligibility: Floats  # (C, projections' weights) or (0, 0)
    owed: Floats  # (projections' weights,) changes not yet due, or (0,)
    first: Floats  # (projections' weights,) what the optimiser remembers, or (0,)
    second: Floats
    unbias: Floats  # (2,) how much too small that is, having begun at zero
    power: Floats  # (C,) squared change of a population's pre-activation
    delta: Floats  # (C,) what its teacher is told of the loss
    due: Ints  # changes of the last step still to be made: see Due
    scratch: Floats  # (threads, Scratch.SIZE, numbers in a chunk)
    words: Words  # (threads, 7, blocks of noise in a chunk)
    board: Ints  # what threads share: see `neurosim.engines.team`


class System(NamedTuple):
    """All that the time loop works with."""

    kernels: Kernels
    passes: Passes
    chip: Assumptions
    populations: Populations
    projections: Projections
    memory: Memory


class Scratch:
    """Rows of ``Memory.scratch``, of which every thread has its own."""

    CHANGE, NOTHING, DRAWN, NOISY = range(4)
    # Weights with noise take two rows. What a chip draws for weights has rows of its own.
    PULSES, CYCLE, WRITTEN, ROUNDED = range(5, 9)
    ARRIVED, OTHER, LOST, LATE, LOST_BEFORE, LATE_BEFORE, POWER, ONES, BEFORE = range(9, 18)
    SIZE = 18


class Late:
    """Columns of ``Memory.late_about``."""

    VALID, OVER, WRITE, FIRST, CLOCK, TURN = range(6)


class Due:
    """Entries of ``Memory.due``.

    TURN counts the steps, by which ``Memory.sent`` takes turns; UPDATES the times that weights
    were told to change. OFFSET is how many turns ago the step was that is learned from, CLOCK
    which one; D_CLOCK that of decorrelation. LATE counts the steps in which lessons were on
    their way.
    """

    PROJECTIONS, DECORRELATION, OVER, WRITE, CLOCK, TURN, UPDATES, OFFSET, D_CLOCK, LATE = range(10)
    SIZE = 10


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
        comparison=_ints([source for source, _ in injected]),
        sign=_floats([sign for _, sign in injected]),
    )


def assumptions_of(plan: Plan) -> Assumptions:
    """Tabulate what the chip does."""
    chip, given, network = plan.chip, plan.substrate, plan.network
    devices = list(chip.devices.values())
    places = [p.name for p in network.populations]

    def streams(use: int) -> Ints:
        names = network.matrices if use in noise.OF_MATRICES else places
        return _ints([plan.stream(use, name) for name in names])

    return Assumptions(
        act_noise=np.float32(given.act_noise),
        telegraph=np.float32(given.act_telegraph),
        switches=np.float32(chip.switches),
        flicker=np.float32(given.act_flicker),
        mismatches=chip.mismatches,
        observes=chip.observes,
        read_noise=np.float32(given.act_read_noise),
        read_limit=np.float32(chip.read_limit),
        read_spacing=np.float32(chip.read_spacing),
        coarse=_ints([chip.coarse and chip.sends(name) for name in places]),
        event_limit=np.float32(chip.event_limit),
        event_spacing=np.float32(chip.event_spacing),
        loses=chip.loses,
        event_loss=np.float32(given.event_loss),
        event_jitter=np.float32(given.event_jitter),
        w_read_noise=_floats([device.read_noise for device in devices]),
        w_read_relative=np.float32(given.w_read_relative),
        programs=chip.programs,
        rounding=ROUNDINGS.index(given.rounding),
        smallest=_floats([device.smallest for device in devices]),
        asymmetry=np.float32(given.asymmetry),
        d2d=np.float32(given.d2d),
        c2c=np.float32(given.c2c),
        softness=np.float32(given.soft_bounds),
        full_scale=_floats([device.full_scale for device in devices]),
        write_noise=_floats([device.write_noise for device in devices]),
        limit=_floats([device.limit for device in devices]),
        spacing=_floats([device.spacing for device in devices]),
        ages=chip.ages,
        drifts=chip.drifts,
        keep=np.float32(chip.keep),
        diffusion=_floats([device.diffusion for device in devices]),
        alters_rewards=chip.alters_rewards,
        reward_noise=np.float32(given.reward_noise),
        reward_limit=np.float32(chip.reward_limit),
        reward_spacing=np.float32(chip.reward_spacing),
        reward_loss=np.float32(given.reward_loss),
        delay=given.reward_delay if plan.compares else 0,
        shows=plan.shows,
        both=plan.both and plan.compares,
        mean_lane=plan.lanes if plan.averages else 0,
        act_noise_stream=streams(noise.ACT_NOISE),
        telegraph_stream=streams(noise.TELEGRAPH),
        flicker_stream=streams(noise.FLICKER),
        act_read_stream=streams(noise.ACT_READ),
        fired_read_stream=streams(noise.FIRED_READ),
        sent_read_stream=streams(noise.SENT_READ),
        w_read_stream=streams(noise.W_READ),
        w_relative_stream=streams(noise.W_READ_RELATIVE),
        pulses_stream=streams(noise.PULSES),
        c2c_stream=streams(noise.C2C),
        w_write_stream=streams(noise.W_WRITE),
        rounding_stream=streams(noise.ROUNDING),
        diffusion_stream=streams(noise.DIFFUSION),
        event_loss_stream=streams(noise.EVENT_LOSS),
        event_jitter_stream=streams(noise.EVENT_JITTER),
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
    rate = plan.decorrelation.learning_rate if plan.decorrelation is not None else 0.0
    populations = Populations(
        start=_ints(starts),
        size=_ints([p.size for p in acting]),
        model=_ints([-1] + [models.index(type(p.neuron)) for p in acting[1:]]),
        credit=_ints([0] + [plan.credit(p) for p in acting[1:]]),
        factor=_floats([1.0] + [plan.factor(p) for p in acting[1:]]),
        learns=_ints([0] + [plan.learns_onto(p) for p in acting[1:]]),
        first_lesson=_ints([found.start for found in lessons]),
        lessons=_ints([len(found) for found in lessons]),
        hears=_ints([p in plan.feedback.values() for p in acting]),
        perturbed=_ints([0] + [plan.perturbs(p) for p in acting[1:]]),
        noise_stream=_ints([plan.stream(noise.PERTURBATION, p.name) for p in acting]),
        decorrelation=_ints([at[p.decorrelation] if p.decorrelation else -1 for p in acting]),
        matrix=_ints([matrices.index(p.decorrelation) if p.decorrelation else -1 for p in acting]),
        stride=_ints(sizes),
        shared=_ints([_products(plan, p) >= WORTH_SHARING for p in acting]),
        block=_ints(shares),
        blocks=_ints([-(-n // share) for n, share in zip(counts, shares, strict=True)]),
        decorrelation_rate=np.float32(rate / plan.batch),
    )
    projections = Projections(
        pre=_ints([index[p.pre] for p in network.projections]),
        post=_ints([index[p.post] for p in network.projections]),
        delay=_ints([p.delay for p in network.projections]),
        start=_ints([at[p.name] for p in network.projections]),
        rate=_floats([plan.rate(p) for p in network.projections]),
        perturbed=_ints([plan.perturbs(p) for p in network.projections]),
        noise_stream=_ints(
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


def empty_memory(
    plan: Plan, populations: Populations, projections: Projections, n: int, threads: int = 1
) -> Memory:
    """Allocate all memory a plan needs; nothing is allocated per step."""
    rows = int(populations.start[-1] + populations.stride[-1])
    pairs = len(plan.comparisons) * plan.batch
    later, keeps = plan.learns and plan.waits, plan.learns and plan.gathers
    remembers = plan.learns and plan.options.optimiser != "sgd"
    signals = 1 if plan.options.normalise is None else 1 + len(projections.post)
    asks = plan.feeds_back or plan.traces or plan.asks("neuron", "slope")
    hearing = plan.batch if asks else 0
    outputs = plan.network.outputs.size if plan.feeds_back else 0
    sizes = populations.stride[projections.post] * populations.size[projections.pre]
    projected = int(sizes.sum())  # projections come before decorrelation
    decorrelated = rows if any(populations.decorrelation >= 0) else 0
    blocks, chunk = int(populations.blocks.max()), CHUNK * WIDTH
    chip, delay = plan.chip, plan.substrate.reward_delay if plan.compares else 0
    a, x, s = (zeros(plan.lanes, rows) for _ in range(3))
    sent, difference, owed_reward = zeros(plan.sent, rows, plan.lanes), zeros(pairs), zeros(pairs)
    wide = plan.lanes + plan.batch * plan.averages
    scratch = zeros(threads, Scratch.SIZE, chunk)
    scratch[:, Scratch.ONES] = 1

    return Memory(
        weights=zeros(n),
        a=a,
        x=x,
        s=s,
        gain=zeros(rows),
        offset=zeros(rows),
        leak=zeros(rows),
        keep=zeros(rows),
        telegraph=zeros(plan.lanes if plan.substrate.act_telegraph > 0 else 0, rows),
        read_a=zeros(plan.lanes, rows) if chip.observes else a,
        read_x=zeros(plan.lanes, rows) if chip.observes else x,
        read_s=zeros(plan.lanes, rows) if chip.observes else s,
        seen=zeros(plan.remembered, rows, wide) if plan.shows else sent,
        response=zeros(n if chip.programs or chip.ages else 0),
        stuck=zeros(n if chip.programs or chip.ages else 0),
        nu=zeros(n if chip.ages else 0),
        age=zeros(n if chip.ages else 0),
        fired=zeros(decorrelated, plan.lanes),
        sent=sent,
        noise=zeros(pairs * plan.sides, rows),
        signal=zeros(signals, pairs, rows),
        slope=zeros(hearing, rows),
        feedback=zeros(hearing, rows),
        errors=zeros(hearing, outputs),
        feedback_weights=zeros(outputs, rows),
        feedback_change=zeros(outputs, rows),
        divisor=zeros(plan.batch),
        forming=zeros(len(populations.size), pairs),
        credited=zeros(len(populations.size), pairs),
        retrograde=zeros(blocks if decorrelated else 0, plan.batch, rows),
        posted=zeros(plan.batch, decorrelated),
        heard=zeros(decorrelated, plan.batch),
        difference=difference,
        received=zeros(pairs) if chip.alters_rewards else difference,
        owed_reward=owed_reward,
        received_reward=zeros(pairs) if chip.alters_rewards else owed_reward,
        line_power=zeros(2, pairs),
        line_count=np.zeros(2, dtype=np.int64),
        late_signal=zeros(delay, pairs, rows),
        late_forming=zeros(delay, len(populations.size), pairs),
        late_broadcast=zeros(delay, len(populations.size), pairs),
        late_about=np.zeros((delay, 6), dtype=np.int64),
        eligibility=zeros(pairs, projected) if later else zeros(0, 0),
        owed=zeros(projected) if keeps else zeros(0),
        first=zeros(projected) if remembers else zeros(0),
        second=zeros(projected) if remembers else zeros(0),
        unbias=zeros(2),
        power=zeros(pairs),
        delta=zeros(pairs),
        due=np.zeros(Due.SIZE, dtype=np.int64),
        scratch=scratch,
        words=zeros(threads, 7, chunk // 4).view(np.uint32),
        board=team.board(blocks),
    )


def zeros(*shape: int) -> Floats:
    """Zeros that begin with a cache line: a vector never lies in two."""
    size = int(np.prod(shape))
    memory = np.zeros(size + 16, dtype=np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + size].reshape(shape)


def _ints(values: object) -> Ints:
    return np.array(values, dtype=np.int64)


def _floats(values: object) -> Floats:
    return np.array(values, dtype=np.float32)
