"""Phases of a step that no rule has a say in, compiled once for all of them."""

from __future__ import annotations

import numpy as np

from neurosim import noise
from neurosim.engines.compile import compiled, loop
from neurosim.substrate.act_noise import act_noise as _act_noise

RADEMACHER = noise.RADEMACHER
ZERO = np.float32(0)
LARGEST = np.finfo(np.float32).max
TWO = np.float32(2)

words = compiled(noise.words, exact=True)
normal_pair = compiled(noise.normal_pair, exact=True)
sign = compiled(noise.sign, exact=True)
weight_index = compiled(noise.weight_index)
act_noise = compiled(_act_noise)


@loop
def is_finite(value):
    """Whether a number is neither infinite nor NaN.

    By comparison: ``np.isfinite`` subtracts a number from itself, which a compiler that may
    reorder sums takes to be 0.
    """
    return abs(value) <= LARGEST


@loop
def fill_normal(out, n, seed, stream, step, pass_, replica, first):
    """Draw normal numbers, four to a block."""
    for block in range((n + 3) // 4):
        w0, w1, w2, w3 = words(seed, stream, step, pass_, replica, (first >> 2) + block)
        z0, z1 = normal_pair(w0, w1)
        z2, z3 = normal_pair(w2, w3)
        out[4 * block] = z0  # rows are padded, so a block never ends outside
        out[4 * block + 1] = z1
        out[4 * block + 2] = z2
        out[4 * block + 3] = z3


@loop
def fill_rademacher(out, n, seed, stream, step, pass_, replica, first):
    """Draw signs, 128 to a block."""
    for block in range((n + 127) // 128):
        four = words(seed, stream, step, pass_, replica, (first >> 7) + block)
        for k in range(4):
            begin = block * 128 + k * 32
            for bit in range(min(32, n - begin)):
                out[begin + bit] = sign(four[k], bit)


@loop
def fill(out, n, distribution, seed, stream, step, pass_, replica, first):
    """Draw indices ``first`` to ``first + n``, `first` being the start of a block."""
    if distribution == RADEMACHER:
        fill_rademacher(out, n, seed, stream, step, pass_, replica, first)
    else:
        fill_normal(out, n, seed, stream, step, pass_, replica, first)


@loop
def dot(row, vector):
    """Sum of products."""
    total = ZERO
    for j in range(row.size):
        total += row[j] * vector[j]
    return total


@loop
def begin_step(passes, memory, t):
    """What was sent becomes what was sent one step ago; perturbed passes may be set back."""
    lanes, rows = memory.s.shape
    for lane in range(lanes):
        for i in range(rows):
            memory.before[lane, i] = memory.s[lane, i]
    if passes.resync_every > 0 and t % passes.resync_every == 0:
        for lane in range(passes.batch, lanes):
            baseline = lane % passes.batch
            for i in range(rows):
                memory.before[lane, i] = memory.before[baseline, i]
                memory.x[lane, i] = memory.x[baseline, i]


@loop
def present(passes, populations, memory, inputs):
    """The input population sends the data."""
    start, size = populations.start[0], populations.size[0]
    for lane in range(memory.s.shape[0]):
        for i in range(size):
            memory.s[lane, start + i] = inputs[lane % passes.batch, i]


@loop
def inject(passes, populations, memory, p, clock):
    """Pre-activations start from the noise that is added to them."""
    start, size, batch = populations.start[p], populations.size[p], passes.batch
    stop = start + populations.stride[p]
    if populations.perturbed[p]:
        stream = populations.noise_stream[p]
        for c in range(memory.noise.shape[0]):
            row = memory.noise[c, start:stop]
            k, b = c // batch, c % batch
            fill(row, size, passes.distribution, passes.seed, stream, clock, k, b, 0)
            for i in range(size):
                row[i] *= passes.noise_std
    for lane in range(memory.a.shape[0]):
        pass_, b = lane // batch, lane % batch
        a = memory.a[lane, start:stop]
        k = passes.comparison[pass_]
        if populations.perturbed[p] and k >= 0:
            row = memory.noise[k * batch + b, start:stop]
            for i in range(size):
                a[i] = passes.sign[pass_] * row[i]
        else:
            for i in range(size):
                a[i] = ZERO


@loop
def disturb(passes, populations, memory, p, clock):
    """The chip adds its own noise to pre-activations."""
    start, size, batch = populations.start[p], populations.size[p], passes.batch
    drawn, stream = memory.scratch[1], populations.act_noise_stream[p]
    for lane in range(memory.a.shape[0]):
        a = memory.a[lane, start : start + size]
        pass_, b = lane // batch, lane % batch
        fill(drawn, size, 0, passes.seed, stream, clock, pass_, b, 0)
        for i in range(size):
            a[i] = act_noise(a[i], passes.act_noise, drawn[i])


@loop
def perturb_row(passes, stream, memory, source, begin, i, n, target, clock):
    """Let noise on the weights of row `i` act; it is drawn here, and again when it is due."""
    drawn, batch, first = memory.scratch[1], passes.batch, weight_index(i, 0, n)
    for k in range(passes.perturbed.size):
        fill(drawn, n, passes.distribution, passes.seed, stream, clock, k, 0, first)
        for pass_ in range(passes.passes):
            if passes.comparison[pass_] == k:
                scale = passes.sign[pass_] * passes.noise_std
                for lane in range(pass_ * batch, (pass_ + 1) * batch):
                    change = dot(drawn[:n], source[lane, begin : begin + n])
                    memory.a[lane, target] += scale * change


@loop
def judge(passes, populations, memory, targets, loss):
    """Squared error per replica, and its change per comparison, without cancellation.

    ``l~ - l = dy (2 (y - y*) + dy)``: the difference of two nearly equal losses
    would lose most of float32's digits.

    Returns
    -------
    bool
        Whether all of it is finite.
    """
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
def measure(passes, populations, memory, p, power):
    """Squared change of a population's pre-activations, per comparison and replica.

    Returns
    -------
    bool
        Whether all of it is finite.
    """
    start, size, batch = populations.start[p], populations.size[p], passes.batch
    sound = True
    for c in range(power.size):
        k, b = c // batch, c % batch
        reference = memory.a[passes.reference[k] * batch + b, start : start + size]
        perturbed = memory.a[passes.perturbed[k] * batch + b, start : start + size]
        total = ZERO
        for i in range(size):
            change = perturbed[i] - reference[i]
            total += change * change
        power[c] = total
        sound = sound and is_finite(total)
    if passes.batch_wide:
        share(power, batch, True)
    return sound


@loop
def remember(passes, populations, projections, memory):
    """Keep the baseline's presynaptic activity until the changes it takes part in are made."""
    for q in range(projections.pre.size):
        if projections.rate[q] > 0:
            p = projections.pre[q]
            start, seen = populations.start[p], projections.seen[q]
            source = memory.before if projections.delay[q] else memory.s
            for b in range(passes.batch):
                for j in range(populations.size[p]):
                    memory.pre[b, seen + j] = source[b, start + j]


@loop
def report(passes, populations, memory, adapt, outputs, t):
    """Keep what was sent back, for the next step; give the outputs, if they are wanted."""
    if adapt:
        for b in range(passes.batch):
            for i in range(memory.heard.shape[1]):
                memory.heard[b, i] = memory.retrograde[b, i]
    if len(outputs):
        start = populations.start[-1]
        for b in range(passes.batch):
            for o in range(populations.size[-1]):
                outputs[t, b, o] = memory.s[b, start + o]


@loop
def count(passes, populations, projections, adapt, write):
    """Events sent, weights met by an event, and weights changed in a step.

    Every neuron sends one event a lane. Learning to decorrelate takes one more through
    each weight of D, backwards, in the baseline.
    """
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
        if write and projections.rate[q] > 0:
            writes += weights
    return events, operations, writes
