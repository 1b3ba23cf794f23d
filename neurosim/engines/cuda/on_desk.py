"""Phases of the teacher: what is broadcast, worked out by every block for itself.

Each block has a desk, with the same numbers on it: so nobody has to wait for anyone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurosim import noise
from neurosim.engines.chip import EPISODE, STEP_BY_STEP
from neurosim.engines.compile import compiled
from neurosim.engines.cuda import at
from neurosim.engines.cuda.language import ONE, TWO, ZERO, U, fused, is_finite, part
from neurosim.engines.cuda.on_neurons import normal, uniform
from neurosim.engines.cuda.places import (
    desk,
    first_unit,
    home,
    population,
    population_value,
    sent_row,
    step_entry,
    stop_unit,
)
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO
from neurosim.substrate.reward_line import line_power as _line_power
from neurosim.substrate.reward_line import reward_received as _reward_received

REWARD_NOISE, REWARD_LOSS = noise.REWARD_NOISE, noise.REWARD_LOSS

line_power = compiled(_line_power, exact=True)
reward_received = compiled(_reward_received, exact=True)


@part
def _fail(table, memory, block, t):
    """Say that a number is not finite, and in which step; in two halves, for these are floats."""
    here = U(desk(table, block) + table[at.DESK_FAILED])
    memory[here] = ONE
    memory[U(here + 1)] = np.float32(t >> 12)
    memory[U(here + 2)] = np.float32(t & 4095)


def report(chip, where, p, t):
    """Give the outputs, if they are wanted."""
    table, steps, memory = chip.table, chip.steps, chip.memory
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    row, outputs = sent_row(table, steps, t, U(0)), table[at.OUTPUTS]
    start, item = U(steps[at.DATA_OUTPUTS] + t * table[at.BATCH] * outputs), where.thread
    if where.block > 0 or not steps[at.WANTS_OUTPUTS]:
        return
    while item < U(table[at.BATCH] * outputs):
        b, o = U(item // outputs), U(item % outputs)
        chip.data[U(start + item)] = memory[U(here + (row + b) * stride + o)]
        item = U(item + where.threads)


def judge(chip, where, p, t):
    """Squared error per replica, and its change per comparison, without cancellation.

    ``l~ - l = dy (2 (y - y*) + dy)``: the difference of two nearly equal losses
    would lose most of float32's digits.
    """
    table, steps, memory = chip.table, chip.steps, chip.memory
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    row, outputs, batch = sent_row(table, steps, t, U(0)), table[at.OUTPUTS], table[at.BATCH]
    given, own = steps[at.DATA_TARGETS], desk(table, where.block)
    comparisons, item = table[at.COMPARISON_TABLE], where.thread
    while item < U(batch + table[at.PAIRS]):
        total, o = ZERO, U(0)
        b = U(item % batch)  # of a comparison and of a replica: there are so many of both
        targets = U(given + (t * batch + b) * outputs)
        if item >= table[at.PAIRS]:
            while o < outputs:
                error = memory[U(here + (row + b) * stride + o)] - chip.data[U(targets + o)]
                total = total + error * error
                o = U(o + 1)
            if where.block == 0:
                chip.data[U(steps[at.DATA_LOSS] + t * batch + b)] = total
        else:
            c = item
            k = U(c // batch)
            one = U(here + (row + table[U(comparisons + 2 * k)] * batch + b) * stride)
            other = U(here + (row + table[U(comparisons + 2 * k + 1)] * batch + b) * stride)
            while o < outputs:
                y = memory[U(one + o)]
                change = memory[U(other + o)] - y
                total = total + change * (TWO * (y - chip.data[U(targets + o)]) + change)
                o = U(o + 1)
            memory[U(own + table[at.DESK_DIFFERENCE] + c)] = total
        if not is_finite(total):
            _fail(table, memory, where.block, t)
        item = U(item + where.threads)


def share_differences(chip, where, p, t):
    """Every replica's change of the loss becomes the sum over the batch."""
    start = U(desk(chip.table, where.block) + chip.table[at.DESK_DIFFERENCE])
    _share(chip, where, start, ZERO)


def share_powers(chip, where, p, t):
    """Every replica's power becomes the mean over the batch."""
    table = chip.table
    start = U(desk(table, where.block) + table[at.DESK_POWER] + p * table[at.PAIRS])
    _share(chip, where, start, ONE)


@part
def _share(chip, where, start, mean):
    memory, batch, k = chip.memory, chip.table[at.BATCH], where.thread
    while k < chip.table[at.COMPARISONS]:
        total, b = ZERO, U(0)
        while b < batch:
            total = total + memory[U(start + k * batch + b)]
            b = U(b + 1)
        if mean > ZERO:
            total = total / np.float32(batch)
        b = U(0)
        while b < batch:
            memory[U(start + k * batch + b)] = total
            b = U(b + 1)
        k = U(k + where.threads)


def measure_alone(chip, where, p, t):
    """Squared change of the pre-activations of a population that is worked out here."""
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    own, here = population(table, p), home(table, p, where.block)
    row, stride = table[at.ROW_READ_A], table[U(own + at.STRIDE)]
    powers = U(desk(table, where.block) + table[at.DESK_POWER] + p * table[at.PAIRS])
    comparisons, c = table[at.COMPARISON_TABLE], where.thread
    while c < table[at.PAIRS]:
        k, b = U(c // batch), U(c % batch)
        one = U(here + (row + table[U(comparisons + 2 * k)] * batch + b) * stride)
        other = U(here + (row + table[U(comparisons + 2 * k + 1)] * batch + b) * stride)
        total, unit = ZERO, U(0)
        while unit < table[U(own + at.SIZE)]:
            change = memory[U(other + unit)] - memory[U(one + unit)]
            total = fused(change, change, total)
            unit = U(unit + 1)
        memory[U(powers + c)] = total
        c = U(c + where.threads)


def owe(chip, where, p, t):
    """Add up what an episode's broadcast will be about."""
    table, memory, own = chip.table, chip.memory, desk(chip.table, where.block)
    c = where.thread
    while c < table[at.PAIRS]:
        here = U(own + table[at.DESK_OWED] + c)
        memory[here] = memory[here] + memory[U(own + table[at.DESK_DIFFERENCE] + c)]
        c = U(c + where.threads)


def receive(chip, where, p, t):
    """What arrives of the broadcast of loss differences, on a line that is not perfect."""
    table, steps, own = chip.table, chip.steps, desk(chip.table, where.block)
    c = where.thread
    while c < table[at.PAIRS]:
        sent, there = U(own + table[at.DESK_DIFFERENCE]), U(own + table[at.DESK_RECEIVED])
        count = np.float32(step_entry(steps, t, at.COUNTED))
        _receive(chip, own, STEP_BY_STEP, sent, there, c, count, t)
        if step_entry(steps, t, at.OVER) and step_entry(steps, t, at.WAITS):
            sent, there = U(own + table[at.DESK_OWED]), U(own + table[at.DESK_OWED_RECEIVED])
            count = np.float32(step_entry(steps, t, at.EPISODES))
            _receive(chip, own, EPISODE, sent, there, c, count, t)
        c = U(c + where.threads)


@part
def _receive(chip, own, kind, sent, there, c, count, t):
    table, values, memory = chip.table, chip.values, chip.memory
    clock, seed, batch = U(chip.steps[at.CLOCK] + t), chip.steps[at.SEED], table[at.BATCH]
    value, usual = memory[U(sent + c)], U(own + table[at.DESK_LINE] + kind * table[at.PAIRS] + c)
    k, b = U(c // batch), U(c % batch)
    if table[at.BATCH_WIDE]:
        b = U(0)
    power = np.float32(line_power(memory[usual], value, count))
    memory[usual] = power
    drawn = normal(seed, REWARD_NOISE + kind, clock, k, b, 0)
    lost = uniform(seed, REWARD_LOSS + kind, clock, k, b, 0)
    memory[U(there + c)] = np.float32(
        reward_received(
            value, math.sqrt(power), values[at.REWARD_NOISE], drawn, values[at.REWARD_LIMIT],
            values[at.REWARD_SPACING], lost, values[at.REWARD_LOSS],
        )
    )  # fmt: skip


def broadcasts(reward: Any) -> Any:
    """Make the phase in which the scalars for a population are formed."""

    def broadcast(chip, where, p, t):
        table, values, memory = chip.table, chip.values, chip.memory
        own, here, pairs = desk(table, where.block), population(table, p), table[at.PAIRS]
        credit, batch = table[U(here + at.CREDIT)], table[at.BATCH]
        factor = population_value(chip, p, at.FACTOR)
        first = U(table[U(here + at.FIRST_LESSON)] * batch)
        stop = U(first + table[U(here + at.LESSONS)] * batch)
        c = where.thread
        while c < pairs:
            power = memory[U(own + table[at.DESK_POWER] + p * pairs + c)]
            if not is_finite(power):
                _fail(table, memory, where.block, t)
            received = factor * memory[U(own + table[at.DESK_RECEIVED] + c)]
            delta = received if credit == LOCAL else ONE
            n = population_value(chip, p, at.NEURONS)
            forming = np.float32(reward(delta, power, n, values[at.VARIANCE]))
            heard = first <= c and c < stop
            if heard and table[at.MEASURES_POWER] and not power > ZERO:
                forming = ZERO
            memory[U(own + table[at.DESK_FORMING] + p * pairs + c)] = forming
            credited = forming
            if credit == RETURN_TO_GO:
                credited = received
            elif credit == GLOBAL:
                credited = ZERO
                if step_entry(chip.steps, t, at.OVER):
                    credited = factor * memory[U(own + table[at.DESK_OWED_RECEIVED] + c)]
            if heard:
                memory[U(own + table[at.DESK_CREDITED] + p * pairs + c)] = credited
            c = U(c + where.threads)

    return broadcast


def settle(chip, where, p, t):
    """At the end of an episode nothing is owed any more."""
    table, memory, c = chip.table, chip.memory, where.thread
    own = desk(table, where.block)
    while step_entry(chip.steps, t, at.OVER) and c < table[at.PAIRS]:
        memory[U(own + table[at.DESK_OWED] + c)] = ZERO
        c = U(c + where.threads)


def exchange(chip, where, p, t):
    """Send this step's broadcast on its way, and take the one that arrives."""
    table, memory = chip.table, chip.memory
    own, size = desk(table, where.block), U(table[at.N_POPULATIONS] * table[at.PAIRS])
    behind, item = U(step_entry(chip.steps, t, at.SLOT) * size), where.thread
    while item < size:
        one = U(own + table[at.DESK_FORMING] + item)
        other = U(own + table[at.DESK_LATE_FORMING] + behind + item)
        value = memory[one]
        memory[one] = memory[other]
        memory[other] = value
        one = U(own + table[at.DESK_CREDITED] + item)
        other = U(own + table[at.DESK_LATE_CREDITED] + behind + item)
        value = memory[one]
        memory[one] = memory[other]
        memory[other] = value
        item = U(item + where.threads)


def record(chip, where, p, t):
    """Note what was broadcast to a population, as the mean over its comparisons."""
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    own, here, b = desk(table, where.block), population(table, p), where.thread
    first, lessons = table[U(here + at.FIRST_LESSON)], table[U(here + at.LESSONS)]
    start = U(chip.steps[at.DATA_REWARD] + ((p - 1) * chip.steps[at.LENGTH] + t) * batch)
    while where.block == 0 and b < batch:
        total, k = ZERO, first
        while k < U(first + lessons):
            credited = U(own + table[at.DESK_CREDITED] + p * table[at.PAIRS] + k * batch + b)
            total = total + memory[credited] / np.float32(lessons)
            k = U(k + 1)
        chip.data[U(start + b)] = total
        b = U(b + where.threads)


def err(chip, where, p, t):
    """Errors of the outputs, which are broadcast."""
    table, steps, memory = chip.table, chip.steps, chip.memory
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    row, outputs = sent_row(table, steps, t, U(0)), table[at.OUTPUTS]
    errors, item = U(desk(table, where.block) + table[at.DESK_ERRORS]), where.thread
    while item < U(table[at.BATCH] * outputs):
        b, o = U(item // outputs), U(item % outputs)
        target = chip.data[U(steps[at.DATA_TARGETS] + t * table[at.BATCH] * outputs + item)]
        memory[U(errors + item)] = memory[U(here + (row + b) * stride + o)] - target
        item = U(item + where.threads)


def mends(feedback: Any) -> Any:
    """Make the phase in which feedback weights learn to explain how the outputs changed."""

    def mend(chip, where, p, t):
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        own, pairs, outputs = population(table, p), table[at.PAIRS], table[at.OUTPUTS]
        here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
        last = U(table[at.N_POPULATIONS] - 1)
        wide = table[U(population(table, last) + at.STRIDE)]
        row = U(home(table, last, where.block) + sent_row(table, chip.steps, t, U(0)) * wide)
        first, stop = first_unit(table, p, where), stop_unit(table, p, where)
        powers = U(desk(table, where.block) + table[at.DESK_CHANGED] + p * pairs)
        explained = desk(table, where.block) + table[at.DESK_EXPLAINED] + p * pairs * outputs
        comparisons, lessons = table[at.COMPARISON_TABLE], table[U(own + at.LESSONS)]
        begin = U(table[U(own + at.FIRST_LESSON)] * batch)
        rate = chip.values[at.FEEDBACK_RATE] / np.float32(lessons * batch)
        item, n = where.thread, U(stop - first)
        while item < U(n * outputs):
            o, unit = U(item // n), U(first + item % n)
            total, c = ZERO, begin
            while c < U(begin + lessons * batch):
                k, b = U(c // batch), U(c % batch)
                one = U(table[U(comparisons + 2 * k)] * batch + b)
                other = U(table[U(comparisons + 2 * k + 1)] * batch + b)
                power = memory[U(powers + c)]
                if power > ZERO:
                    residual = memory[U(row + other * wide + o)] - memory[U(row + one * wide + o)]
                    residual = residual - memory[U(explained + c * outputs + o)]
                    x = memory[U(here + (table[at.ROW_READ_X] + one) * stride + unit)]
                    x_perturbed = memory[U(here + (table[at.ROW_READ_X] + other) * stride + unit)]
                    total = total + np.float32(feedback(x_perturbed - x, residual, power))
                c = U(c + 1)
            place = U(here + (table[at.ROW_GUESSES] + o) * stride + unit)
            memory[place] = memory[place] - rate * total
            item = U(item + where.threads)

    return mend
