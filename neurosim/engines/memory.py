"""All that changes while a network runs, in plain arrays.

What a neuron has of its own (pre-activation, activity, noise, signal) is lane-major: one
row per lane, in it the populations one behind the other, each padded to full vectors, so
that neighbours are a vector. What it sends is unit-major: one row per neuron, in it the
lanes, so that a synapse finds the numbers of all lanes side by side. All weights lie in
one array, matrix by matrix, each in panels (see `neurosim.engines.tiles`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosim.engines import team
from neurosim.engines.arrays import Floats, Ints, Words, zeros
from neurosim.engines.plan import Plan
from neurosim.engines.tables import Populations, Projections
from neurosim.engines.vectors import WIDTH

CHUNK = 256  # vectors of weights visited at once: they and their changes stay in the L1 cache


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
    late_about: Ints  # (delay, Late.SIZE)
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


class Scratch:
    """Rows of ``Memory.scratch``, of which every thread has its own."""

    CHANGE, NOTHING, DRAWN, NOISY = range(4)
    # Weights with noise take two rows. What a chip draws for weights has rows of its own.
    PULSES, CYCLE, WRITTEN, ROUNDED = range(5, 9)
    ARRIVED, OTHER, LOST, LATE, LOST_BEFORE, LATE_BEFORE, POWER, ONES, BEFORE = range(9, 18)
    SIZE = 18


class Late:
    """Columns of ``Memory.late_about``."""

    VALID, OVER, WRITE, FIRST, CLOCK, TURN, SINCE = range(7)
    SIZE = 7


class Due:
    """Entries of ``Memory.due``.

    TURN counts the steps, by which ``Memory.sent`` takes turns; UPDATES the times that weights
    were told to change. OFFSET is how many turns ago the step was that is learned from, CLOCK
    which one, SINCE how many steps before it perturbed passes had been set back; D_CLOCK is the
    step of decorrelation. LATE counts the steps in which lessons were on their way.
    """

    PROJECTIONS, DECORRELATION, OVER, WRITE, CLOCK, TURN, UPDATES, OFFSET, D_CLOCK, LATE = range(10)
    SINCE = 10
    SIZE = 11


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
        late_about=np.zeros((delay, Late.SIZE), dtype=np.int64),
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
