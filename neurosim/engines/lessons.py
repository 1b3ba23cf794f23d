"""Lessons, after the outputs were judged: what is broadcast, and what neurons make of it."""

from __future__ import annotations

import numpy as np

from neurosim.engines.adapt import CLOCK, OFFSET, OVER, UPDATES, WRITE, add_scaled, clear
from neurosim.engines.broadcast import exchange, receive, somebody_waits
from neurosim.engines.chip import EPISODE, STEP_BY_STEP
from neurosim.engines.compile import invoke, loop
from neurosim.engines.devices import of_turn, set_back
from neurosim.engines.memory import Due
from neurosim.engines.observe import mean_read
from neurosim.engines.phases import ONE, ZERO, is_finite, share
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO
from neurosim.engines.vectors import widely

PROJECTIONS, SINCE = Due.PROJECTIONS, Due.SINCE


@loop
def teach(system, targets, about, rewards):
    """Form the broadcast scalars and, neuron by neuron, the signals.

    `about` a step are whether an episode is over, whether weights are to change, whether a
    sequence begins, how many steps before perturbed passes were set back, and the clock.

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
    over, clock = about[0], about[4]
    if passes.feeds_back:
        feed_back(system, targets)
    for c in range(pairs):
        memory.owed_reward[c] += memory.difference[c]
    if system.chip.alters_rewards:
        receive(system, STEP_BY_STEP, memory.difference, memory.received, clock)
        if over and somebody_waits(system):
            receive(system, EPISODE, memory.owed_reward, memory.received_reward, clock)
    for p in range(1, populations.size.size):
        if not populations.learns[p]:
            continue
        if not measure(system, p, power):
            return False
        credit, factor = populations.credit[p], populations.factor[p]
        size, start = populations.size[p], populations.start[p]
        for c in range(pairs):
            delta[c] = factor * memory.received[c] if credit == LOCAL else ONE
        invoke(
            kernels.reward,
            (
                delta, power, np.float32(size), passes.variance, memory.forming, p * pairs,
                pairs,
            ),
        )  # fmt: skip
        first, lessons = populations.first_lesson[p], populations.lessons[p]
        for c in range(first * batch, (first + lessons) * batch):
            if passes.measures_power and not power[c] > 0:
                memory.forming[p, c] = ZERO
            forming = memory.forming[p, c]
            broadcast = forming
            if credit == RETURN_TO_GO:
                broadcast = factor * memory.received[c]
            elif credit == GLOBAL:
                broadcast = factor * memory.received_reward[c] if over else ZERO
            memory.credited[p, c] = broadcast
        if passes.asks_slope:
            given = (
                memory.read_a, start, rows, size, batch, memory.leak, memory.slope,
            )  # fmt: skip
            invoke(kernels.slope[populations.model[p]], given)
        for k in range(first, first + lessons):
            invoke(
                kernels.neuron,
                (
                    memory.read_a, start, rows, size, passes.reference, passes.perturbed, k, batch,
                    memory.noise, passes.noise_gain, memory.forming, p * pairs + k * batch,
                    memory.slope, memory.feedback, memory.slope.shape[0], memory.signal,
                ),
            )  # fmt: skip
    if passes.feedback_rate > 0:
        mend(system)
    if over:
        for c in range(pairs):
            memory.owed_reward[c] = ZERO
    learn_from(system, about, rewards)
    return True


@loop
def learn_from(system, about, rewards):
    """Let the lesson that arrives now be learned from: this step's, or one from long ago."""
    passes, populations, memory = system.passes, system.populations, system.memory
    batch, (over, write, start, since, clock), offset = passes.batch, about, 0
    if system.chip.delay:
        valid, over, write, start, since, clock, offset = exchange(
            system, over, write, start, since, clock
        )
        if start:
            forget(memory.eligibility)
            clear(memory.owed)
        if not valid:
            return
    memory.due[PROJECTIONS] = 1
    memory.due[OVER] = over
    memory.due[WRITE] = write
    memory.due[CLOCK] = clock
    memory.due[SINCE] = since
    memory.due[OFFSET] = offset
    if write:
        memory.due[UPDATES] += 1
        memory.unbias[0] = 1.0 / (1.0 - passes.beta1 ** memory.due[UPDATES])
        memory.unbias[1] = 1.0 / (1.0 - passes.beta2 ** memory.due[UPDATES])
    for p in range(1, populations.size.size):
        if not populations.learns[p]:
            continue
        first, lessons = populations.first_lesson[p], populations.lessons[p]
        for b in range(batch):
            rewards[p - 1, b] = ZERO
        for c in range(first * batch, (first + lessons) * batch):
            rewards[p - 1, c % batch] += memory.credited[p, c] / np.float32(lessons)
        if passes.normalise > 0:
            normalise(system, p)


@loop
def forget(values):
    """Set rows of numbers to zero."""
    for row in range(values.shape[0]):
        clear(values[row])


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
        reference = memory.read_a[passes.reference[k] * batch + b, start : start + size]
        perturbed = memory.read_a[passes.perturbed[k] * batch + b, start : start + size]
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
            here = memory.read_x[one, start : start + size]
            there = memory.read_x[other, start : start + size]
            power = squared_distance(here, there)
            if not power > 0:
                continue
            for o in range(populations.size[-1]):
                guesses = memory.feedback_weights[o, start : start + size]
                residual = memory.s[other, last + o] - memory.s[one, last + o]
                residual -= explained(guesses, here, there)
                given = (
                    memory.read_x, one * rows + start, other * rows + start, size, residual, power,
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
        if projections.post[q] != p or not projections.learns[q]:
            continue
        ago, of = projections.delay[q] + memory.due[OFFSET], projections.pre[q]
        sent = memory.seen[of_turn(memory.seen, memory, ago)]
        apart = not set_back(memory, projections.delay[q])
        for b in range(batch):
            memory.divisor[b] = passes.normalise
        for j in range(populations.start[of], populations.start[of] + populations.size[of]):
            for b in range(batch):
                value = mean_read(system, sent, j, b) if apart else sent[j, b]
                memory.divisor[b] += value * value
        for c in range(first * batch, (first + lessons) * batch):
            factor = ONE / memory.divisor[c % batch]
            for i in range(start, stop):
                memory.signal[1 + q, c, i] = factor * memory.signal[0, c, i]
