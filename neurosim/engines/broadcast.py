"""The line on which rewards are broadcast: what becomes of them, and how long it takes."""

from __future__ import annotations

import math

import numpy as np

from neurosim import noise
from neurosim.engines.adapt import TURN
from neurosim.engines.compile import compiled, invoke, loop
from neurosim.engines.devices import ONE, PLANE
from neurosim.engines.memory import Due, Late, Scratch
from neurosim.engines.plan import GLOBAL
from neurosim.substrate.reward_line import line_power as _line_power
from neurosim.substrate.reward_line import reward_received as _reward_received

LATE = Due.LATE
VALID, FIRST = Late.VALID, Late.FIRST
OVER_THEN, WRITE_THEN = Late.OVER, Late.WRITE
CLOCK_THEN, TURN_THEN, SINCE_THEN = Late.CLOCK, Late.TURN, Late.SINCE
NOISY, OTHER = Scratch.NOISY, Scratch.OTHER
REWARD_NOISE, REWARD_LOSS = noise.REWARD_NOISE, noise.REWARD_LOSS

line_power, reward_received = compiled(_line_power), compiled(_reward_received)


@loop
def receive(system, kind, values, received, clock):
    """What arrives of a broadcast of loss differences."""
    passes, chip, memory = system.passes, system.chip, system.memory
    batch, scratch, words = passes.batch, memory.scratch[0], memory.words[0]
    drawn = scratch[NOISY]
    memory.line_count[kind] += 1
    count = np.float32(memory.line_count[kind])
    for c in range(values.size):
        k, b = c // batch, 0 if passes.batch_wide else c % batch
        power = np.float32(line_power(memory.line_power[kind, c], values[c], count))
        memory.line_power[kind, c] = power
        row = k * batch + b
        given = (
            drawn, 0, 0, 1, row, row + 1, batch, ONE, words, scratch[OTHER], PLANE, passes.seed,
            REWARD_NOISE + kind, clock, 0,
        )  # fmt: skip
        invoke(system.kernels.fill_normal, given)
        normal = drawn[0]
        chance = (drawn, 1, words, passes.seed, REWARD_LOSS + kind, clock, k, b, 0)
        invoke(system.kernels.fill_uniform, chance)
        received[c] = reward_received(
            values[c], math.sqrt(power), chip.reward_noise, normal, chip.reward_limit,
            chip.reward_spacing, drawn[0], chip.reward_loss,
        )  # fmt: skip


@loop
def somebody_waits(system):
    """Whether a population learns by what is broadcast at the end of an episode."""
    populations = system.populations
    waiting = False
    for p in range(1, populations.size.size):
        waiting = waiting or populations.credit[p] == GLOBAL
    return waiting


@loop
def arriving(system, write):
    """Whether the lesson that arrives in this step makes weights change."""
    if not system.chip.delay:
        return write
    about = system.memory.late_about[system.memory.due[LATE] % system.chip.delay]
    return about[VALID] > 0 and about[WRITE_THEN] > 0


@loop
def idle(system):
    """Let a step go by in which nothing is taught; what arrives in it is lost."""
    memory = system.memory
    memory.late_about[memory.due[LATE] % system.chip.delay, VALID] = 0
    memory.due[LATE] += 1


@loop
def exchange(system, over, write, start, since, clock):
    """Send this step's lesson on its way, and take the one that arrives."""
    memory = system.memory
    slot = memory.due[LATE] % system.chip.delay
    memory.due[LATE] += 1
    about = memory.late_about[slot]
    arrived = about[VALID], about[OVER_THEN], about[WRITE_THEN], about[FIRST]
    then = about[SINCE_THEN], about[CLOCK_THEN]
    offset = memory.due[TURN] - about[TURN_THEN]
    about[VALID], about[OVER_THEN], about[WRITE_THEN], about[FIRST] = 1, over, write, start
    about[CLOCK_THEN], about[TURN_THEN], about[SINCE_THEN] = clock, memory.due[TURN], since
    swap(memory.late_signal[slot], memory.signal[0])
    swap(memory.late_forming[slot], memory.forming)
    swap(memory.late_broadcast[slot], memory.credited)
    valid, over_then, write_then, first = arrived
    return valid, over_then, write_then, first, then[0], then[1], offset


@loop
def swap(values, others):
    """Exchange rows of numbers."""
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            values[row, i], others[row, i] = others[row, i], values[row, i]
