"""Phases of a step that no rule has a say in, compiled once for all of them."""

from __future__ import annotations

import numpy as np

from neurosim.engines.adapt import PLANE, TURN, turn
from neurosim.engines.compile import invoke, loop
from neurosim.engines.devices import HALF, of_turn, on_grid
from neurosim.engines.observe import keep_readings, look, shown_lanes
from neurosim.engines.vectors import widely

ZERO, ONE = np.float32(0), np.float32(1)
LARGEST = np.finfo(np.float32).max
TWO = np.float32(2)


@loop
def is_finite(value):
    """Whether a number is neither infinite nor NaN.

    By comparison: ``np.isfinite`` subtracts a number from itself, which a compiler that may
    reorder sums takes to be 0.
    """
    return abs(value) <= LARGEST


@loop
def begin_step(system, t):
    """What was sent becomes what was sent one step ago; perturbed passes may be set back."""
    passes, chip, memory = system.passes, system.chip, system.memory
    before, earlier = memory.sent[turn(memory, 0)], memory.sent[turn(memory, 1)]
    memory.due[TURN] += 1
    rows, lanes = before.shape
    if chip.shows:
        silence(memory.seen[of_turn(memory.seen, memory, 0)])
    if passes.resync_every > 0 and t % passes.resync_every == 0:
        for first in range(passes.batch, lanes, passes.batch):  # a pass after the other, in vectors
            for i in range(rows):
                for b in range(passes.batch):
                    before[i, first + b] = before[i, b]
                    earlier[i, first + b] = earlier[i, b]
            for b in range(passes.batch):
                for i in range(rows):
                    memory.x[first + b, i] = memory.x[b, i]


@loop
def silence(values):
    """Set what was sent to zero."""
    for i in range(values.shape[0]):
        for lane in range(values.shape[1]):
            values[i, lane] = ZERO


@loop
def present(system, inputs, clock):
    """The input population sends the data."""
    passes, populations, memory = system.passes, system.populations, system.memory
    chip, start, size = system.chip, populations.start[0], populations.size[0]
    batch, sent = passes.batch, memory.sent[turn(memory, 0)]
    for b in range(batch):
        for i in range(populations.size[0]):
            value = inputs[b, i]
            if chip.coarse[0]:
                value = np.float32(on_grid(value, chip.event_limit, chip.event_spacing, HALF))
            for pass_ in range(passes.passes):
                lane = pass_ * batch + b
                memory.s[lane, start + i] = value
                sent[start + i, lane] = value
    if chip.observes:
        look(
            system, memory.scratch[0], memory.words[0], chip.sent_read_stream[0], memory.s,
            memory.read_s, start, 0, size, shown_lanes(system), clock,
        )  # fmt: skip
    if chip.shows:
        keep_readings(system, start, start + size)


@loop
def inject(system, p, first, stop, words, drawn, clock):
    """Pre-activations of some units start from the noise that is added to them."""
    kernels, passes = system.kernels, system.passes
    populations, memory = system.populations, system.memory
    start, batch, rows = populations.start[p] + first, passes.batch, memory.a.shape[1]
    lessons = populations.first_lesson[p]
    if populations.perturbed[p]:
        for i in range(0, stop - first, 4 * PLANE):
            invoke(
                kernels.fill,
                (
                    memory.noise, start + i, rows, min(stop - first - i, 4 * PLANE),
                    lessons * batch, (lessons + populations.lessons[p] * passes.sides) * batch,
                    batch,
                    passes.noise_std, words,
                    drawn, PLANE, passes.seed, populations.noise_stream[p], clock, first + i,
                ),
            )  # fmt: skip
    # Where nothing is injected the noise is zero.
    given = (
        memory.a, memory.noise, start, stop - first, rows, passes.comparison, passes.sign,
        passes.passes, batch,
    )  # fmt: skip
    invoke(kernels.begin_sums, given)


@loop
def judge(system, targets, loss):
    """Squared error per replica, and its change per comparison, without cancellation.

    ``l~ - l = dy (2 (y - y*) + dy)``: the difference of two nearly equal losses
    would lose most of float32's digits.

    Returns
    -------
    bool
        Whether all of it is finite.
    """
    passes, populations, memory = system.passes, system.populations, system.memory
    batch, last = passes.batch, populations.size.size - 1
    start, size = populations.start[last], populations.size[last]
    sound = True
    for b in range(batch):
        total = ZERO
        for o in range(size):
            error = memory.s[b, start + o] - targets[b, o]
            total += error * error
        loss[b] = total
        sound = sound and is_finite(total)
    for k in range(passes.perturbed.size):
        for b in range(batch):
            reference = memory.s[passes.reference[k] * batch + b]
            perturbed = memory.s[passes.perturbed[k] * batch + b]
            total = ZERO
            for o in range(size):
                change = perturbed[start + o] - reference[start + o]
                total += change * (TWO * (reference[start + o] - targets[b, o]) + change)
            memory.difference[k * batch + b] = total
            sound = sound and is_finite(total)
    if passes.batch_wide:
        share(memory.difference, batch, False)
    return sound


@loop
def share(values, batch, mean):
    """Replace every replica's value by the sum or mean over the batch."""
    for k in range(values.size // batch):
        total = ZERO
        for b in range(batch):
            total += values[k * batch + b]
        for b in range(batch):
            values[k * batch + b] = total / np.float32(batch) if mean else total


@loop
def remember(system):
    """Keep what decorrelating synapses have seen and heard until they change by it."""
    kernels, passes = system.kernels, system.passes
    populations, memory = system.populations, system.memory
    widely()
    for p in range(populations.size.size):
        if populations.decorrelation[p] < 0:
            continue
        start, stop = populations.start[p], populations.start[p] + populations.size[p]
        for b in range(passes.batch):
            back, posted = memory.retrograde[0, b, start:stop], memory.posted[b, start:stop]
            sent = memory.read_s[b, start:stop]
            for block in range(1, populations.blocks[p]):
                more = memory.retrograde[block, b, start:stop]
                for i in range(back.size):
                    back[i] += more[i]
            for i in range(back.size):
                posted[i] = sent[i]
        given = (
            memory.retrograde[0], memory.s.shape[1], memory.heard, passes.batch, start, stop,
        )  # fmt: skip
        invoke(kernels.hand_out, given)


@loop
def report(system, outputs, t):
    """Give the outputs, if they are wanted."""
    passes, populations, memory = system.passes, system.populations, system.memory
    if len(outputs):
        start = populations.start[-1]
        for b in range(passes.batch):
            for o in range(populations.size[-1]):
                outputs[t, b, o] = memory.s[b, start + o]


@loop
def count(system, adapt, write, learn):
    """Events sent, weights met by an event, and weights changed in a step.

    Every neuron sends one event a lane. Learning to decorrelate takes one more through
    each weight of D, backwards, in the baseline. Errors are events that feedback weights meet,
    and to explain how outputs changed, each of these meets its neuron's change.
    """
    passes, populations, projections = system.passes, system.populations, system.projections
    lanes = passes.passes * passes.batch
    events, operations, writes = 0, 0, 0
    for p in range(populations.size.size):
        size = populations.size[p]
        events += size * lanes
        if populations.decorrelation[p] >= 0:
            operations += size * size * lanes
            if adapt:
                operations += size * size * passes.batch
                writes += size * size
    for q in range(projections.post.size):
        weights = populations.size[projections.pre[q]] * populations.size[projections.post[q]]
        operations += weights * lanes
        if write and projections.learns[q]:
            writes += weights
    for p in range(populations.size.size if learn and passes.feeds_back else 0):
        if populations.hears[p]:
            weights = populations.size[p] * populations.size[-1]
            operations += weights * passes.batch
            if passes.feedback_rate > 0:
                operations += weights * passes.batch * populations.lessons[p]
                writes += weights
    return events, operations, writes
