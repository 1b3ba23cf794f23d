"""Lessons, after the outputs were judged: what is broadcast, and what neurons make of it."""

from __future__ import annotations

import numpy as np

from neurosim.engines.adapt import UPDATES, add_scaled, clear, turn
from neurosim.engines.compile import invoke, loop
from neurosim.engines.phases import ONE, ZERO, is_finite, share
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO
from neurosim.engines.vectors import widely


@loop
def teach(system, targets, over, write, rewards):
    """Form the broadcast scalars and, neuron by neuron, the signals.

    Returns
    -------
    bool
        Whether all of it is finite.
    """
    kernels, passes, populations, memory = (
        system.kernels,
        system.passes,
        system.populations,
        system.memory,
    )
    batch, pairs, rows = passes.batch, memory.difference.size, memory.a.shape[1]
    power, delta = memory.power, memory.delta
    if write:
        memory.due[UPDATES] += 1
        memory.unbias[0] = 1.0 / (1.0 - passes.beta1 ** memory.due[UPDATES])
        memory.unbias[1] = 1.0 / (1.0 - passes.beta2 ** memory.due[UPDATES])
    if passes.feeds_back:
        feed_back(system, targets)
    for c in range(pairs):
        memory.owed_reward[c] += memory.difference[c]
    for p in range(1, populations.size.size):
        if not populations.learns[p]:
            continue
        if not measure(system, p, power):
            return False
        credit, factor = populations.credit[p], populations.factor[p]
        size, start = populations.size[p], populations.start[p]
        for c in range(pairs):
            delta[c] = factor * memory.difference[c] if credit == LOCAL else ONE
        invoke(
            kernels.reward,
            (
                delta, power, np.float32(size), passes.variance, memory.forming, p * pairs,
                pairs,
            ),
        )  # fmt: skip
        first, lessons = populations.first_lesson[p], populations.lessons[p]
        for b in range(batch):
            rewards[p - 1, b] = ZERO
        for c in range(first * batch, (first + lessons) * batch):
            b = c % batch
            if passes.measures_power and not power[c] > 0:
                memory.forming[p, c] = ZERO
            forming = memory.forming[p, c]
            broadcast = forming
            if credit == RETURN_TO_GO:
                broadcast = factor * memory.difference[c]
            elif credit == GLOBAL:
                broadcast = factor * memory.owed_reward[c] if over else ZERO
            memory.credited[p, c] = broadcast
            rewards[p - 1, b] += broadcast / np.float32(lessons)
        if passes.asks_slope:
            given = (
                memory.a, start, rows, size, batch, populations.leak[p], memory.slope,
            )  # fmt: skip
            invoke(kernels.slope[populations.model[p]], given)
        for k in range(first, first + lessons):
            invoke(
                kernels.neuron,
                (
                    memory.a, start, rows, size, passes.reference, passes.perturbed, k, batch,
                    memory.noise, passes.noise_gain, memory.forming, p * pairs + k * batch,
                    memory.slope, memory.feedback, memory.slope.shape[0], memory.signal,
                ),
            )  # fmt: skip
        if passes.normalise > 0:
            normalise(system, p)
    if passes.feedback_rate > 0:
        mend(system)
    if over:
        for c in range(pairs):
            memory.owed_reward[c] = ZERO
    return True


@loop
def measure(system, p, power):
    """Squared change of a population's pre-activations, per comparison and replica.

    Returns
    -------
    bool
        Whether all of it is finite.
    """
    passes, populations, memory = system.passes, system.populations, system.memory
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
def feed_back(system, targets):
    """Neurons weigh the outputs' errors; an output hears its own."""
    passes, populations, memory = system.passes, system.populations, system.memory
    start, outputs = populations.start[-1], populations.size[-1]
    widely()
    for b in range(passes.batch):
        clear(memory.feedback[b])
        for o in range(outputs):
            error = memory.s[b, start + o] - targets[b, o]
            add_scaled(memory.feedback[b], error, memory.feedback_weights[o])
            memory.errors[b, o] = error
        for o in range(outputs):
            memory.feedback[b, start + o] = memory.errors[b, o]


@loop
def mend(system):
    """Feedback weights learn to explain how the outputs changed."""
    kernels, passes = system.kernels, system.passes
    populations, memory = system.populations, system.memory
    last, batch, rows = populations.start[-1], passes.batch, memory.x.shape[1]
    for p in range(populations.size.size):
        if not populations.hears[p]:
            continue
        start, size = populations.start[p], populations.size[p]
        first, lessons = populations.first_lesson[p], populations.lessons[p]
        for c in range(first * batch, (first + lessons) * batch):
            k, b = c // batch, c % batch
            one, other = passes.reference[k] * batch + b, passes.perturbed[k] * batch + b
            here, there = memory.x[one, start : start + size], memory.x[other, start : start + size]
            power = squared_distance(here, there)
            if not power > 0:
                continue
            for o in range(populations.size[-1]):
                guesses = memory.feedback_weights[o, start : start + size]
                residual = memory.s[other, last + o] - memory.s[one, last + o]
                residual -= explained(guesses, here, there)
                given = (
                    memory.x, one * rows + start, other * rows + start, size, residual, power,
                    memory.feedback_change, o * rows + start,
                )  # fmt: skip
                invoke(kernels.mend, given)
        rate = passes.feedback_rate / np.float32(lessons * batch)
        for o in range(populations.size[-1]):
            change = memory.feedback_change[o, start : start + size]
            add_scaled(memory.feedback_weights[o, start : start + size], -rate, change)
            clear(change)


@loop
def squared_distance(here, there):
    """Sum of squared differences."""
    widely()
    total = ZERO
    for i in range(here.size):
        change = there[i] - here[i]
        total += change * change
    return total


@loop
def explained(guesses, here, there):
    """What guesses make of a change."""
    widely()
    total = ZERO
    for i in range(guesses.size):
        total += guesses[i] * (there[i] - here[i])
    return total


@loop
def normalise(system, p):
    """Divide the signals, for each projection by the power of what it transmits."""
    passes, populations, projections = system.passes, system.populations, system.projections
    memory, batch = system.memory, passes.batch
    widely()
    start, stop = populations.start[p], populations.start[p] + populations.size[p]
    first, lessons = populations.first_lesson[p], populations.lessons[p]
    for q in range(projections.post.size):
        if projections.post[q] != p or not projections.rate[q] > 0:
            continue
        sent, of = memory.sent[turn(memory, projections.delay[q])], projections.pre[q]
        for b in range(batch):
            memory.divisor[b] = passes.normalise
        for j in range(populations.start[of], populations.start[of] + populations.size[of]):
            for b in range(batch):
                memory.divisor[b] += sent[j, b] * sent[j, b]
        for c in range(first * batch, (first + lessons) * batch):
            factor = ONE / memory.divisor[c % batch]
            for i in range(start, stop):
                memory.signal[1 + q, c, i] = factor * memory.signal[0, c, i]
