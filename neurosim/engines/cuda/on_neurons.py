"""Phases of neurons: what each does with its own numbers, lane by lane.

A thread takes one neuron in one lane after another; which neurons are a block's: `places`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurosim import noise
from neurosim.engines.compile import compiled
from neurosim.engines.cuda import at
from neurosim.engines.cuda.language import HALF, ONE, ZERO, U, part
from neurosim.engines.cuda.places import (
    first_unit,
    home,
    population,
    seen_row,
    sent_row,
    step_entry,
    stop_unit,
)
from neurosim.substrate.grid import on_grid as _on_grid
from neurosim.substrate.mismatch import mismatched as _mismatched
from neurosim.substrate.process_noise import OCTAVES
from neurosim.substrate.process_noise import act_flicker as _act_flicker
from neurosim.substrate.process_noise import act_noise as _act_noise
from neurosim.substrate.process_noise import act_telegraph as _act_telegraph
from neurosim.substrate.process_noise import slow as _slow
from neurosim.substrate.process_noise import telegraph_state as _telegraph_state
from neurosim.substrate.reading import act_read as _act_read

SHARE = np.float32(1.0 / math.sqrt(OCTAVES))

draw, normal, uniform = (
    compiled(noise.draw, exact=True),
    compiled(noise.normal, exact=True),
    compiled(noise.uniform, exact=True),
)
on_grid, act_read = compiled(_on_grid, exact=True), compiled(_act_read, exact=True)
mismatched, act_noise = compiled(_mismatched, exact=True), compiled(_act_noise, exact=True)
act_telegraph, act_flicker = (
    compiled(_act_telegraph, exact=True),
    compiled(_act_flicker, exact=True),
)
telegraph_state, slow = compiled(_telegraph_state, exact=True), compiled(_slow, exact=True)


def present(chip, where, p, t):
    """The input population sends the data."""
    table, steps = chip.table, chip.steps
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    batch, size = table[at.BATCH], steps[at.N_INPUTS]
    given = U(steps[at.DATA_INPUTS] + t * batch * size)
    item, own = where.thread, U(stop - first)
    while item < U(own * table[at.LANES]):
        lane, unit = U(item // own), U(first + item % own)
        value = chip.data[U(given + lane % batch * size + unit)]
        _send(chip, p, t, here, stride, lane, unit, value)
        item = U(item + where.threads)


def begin_sums(chip, where, p, t):
    """Pre-activations start from the noise that is injected: nobody else has that of a lane."""
    _begin(chip, where, p, t, ONE)


def begin_sums_alike(chip, where, p, t):
    """Pre-activations start from nothing, in all lanes."""
    _begin(chip, where, p, t, ZERO)


@part
def _begin(chip, where, p, t, perturbed):
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    own = population(table, p)
    here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    begin = table[U(own + at.FIRST_LESSON)]
    end = U(begin + table[U(own + at.LESSONS)] * table[at.SIDES])
    item, n = where.thread, U(stop - first)
    while item < U(n * table[at.LANES]):
        lane, unit = U(item // n), U(first + item % n)
        pass_, b, value = U(lane // batch), U(lane % batch), ZERO
        k = table[U(table[at.PASS_TABLE] + pass_)]  # 0: nobody's
        if perturbed > ZERO and begin < k and k <= end:
            drawn = draw(
                table[at.DISTRIBUTION], chip.steps[at.SEED], table[U(own + at.STREAM_NOISE)],
                chip.steps[at.CLOCK] + t, k - 1, b, unit,
            )  # fmt: skip
            injected = chip.values[at.NOISE_STD] * drawn
            sign = chip.values[U(at.N_VALUES + pass_)]
            if sign > ZERO:
                row = U(table[at.ROW_NOISE] + (k - 1) * batch + b)
                memory[U(here + row * stride + unit)] = injected
            value = sign * injected
        memory[U(here + (table[at.ROW_A] + lane) * stride + unit)] = value
        item = U(item + where.threads)


def disturb(chip, where, p, t):
    """Make of sums what pre-activations are on this chip."""
    table, values, memory = chip.table, chip.values, chip.memory
    batch, clock, seed = table[at.BATCH], U(chip.steps[at.CLOCK] + t), chip.steps[at.SEED]
    own = population(table, p)
    here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    item, n = where.thread, U(stop - first)
    while item < U(n * table[at.LANES]):
        lane, unit = U(item // n), U(first + item % n)
        pass_, b = U(lane // batch), U(lane % batch)
        place = U(here + (table[at.ROW_A] + lane) * stride + unit)
        a = memory[place]
        if values[at.GAINS_AND_OFFSETS] > ZERO:
            gain = memory[U(here + table[at.ROW_GAIN] * stride + unit)]
            offset = memory[U(here + table[at.ROW_OFFSET] * stride + unit)]
            a = np.float32(mismatched(a, gain, offset))
        if values[at.ACT_NOISE] > ZERO:
            drawn = normal(seed, table[U(own + at.STREAM_ACT)], clock, pass_, b, unit)
            a = np.float32(act_noise(a, values[at.ACT_NOISE], drawn))
        if values[at.TELEGRAPH] > ZERO:
            drawn = uniform(seed, table[U(own + at.STREAM_TELEGRAPH)], clock, pass_, b, unit)
            kept = U(here + (table[at.ROW_TELEGRAPH] + lane) * stride + unit)
            state = np.float32(telegraph_state(memory[kept], drawn, values[at.SWITCHES]))
            memory[kept] = state
            a = np.float32(act_telegraph(a, values[at.TELEGRAPH], state))
        if values[at.FLICKER] > ZERO:
            total, octave = ZERO, U(0)
            while octave < OCTAVES:
                then, apart = slow(clock, octave), U(pass_ + (octave << 16))
                stream = table[U(own + at.STREAM_FLICKER)]
                total += normal(seed, stream, then, apart, b, unit)
                octave = U(octave + 1)
            a = np.float32(act_flicker(a, values[at.FLICKER], SHARE, total))
        memory[place] = a
        item = U(item + where.threads)


def set_back(chip, where, p, t):
    """Set what perturbed passes remember back to the baseline."""
    table, memory = chip.table, chip.memory
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    item, n = where.thread, U(stop - first)
    if t % table[at.RESYNC] != 0:
        return
    while item < U(n * table[at.LANES]):
        lane, unit = U(item // n), U(first + item % n)
        x = memory[U(here + (table[at.ROW_X] + lane % table[at.BATCH]) * stride + unit)]
        if lane >= table[at.BATCH]:
            memory[U(here + (table[at.ROW_X] + lane) * stride + unit)] = x
        item = U(item + where.threads)


def fires(activity: Any) -> Any:
    """Make the phase in which neurons of a model become active."""

    def fire(chip, where, p, t):
        table, memory = chip.table, chip.memory
        here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
        first, stop = first_unit(table, p, where), stop_unit(table, p, where)
        item, n = where.thread, U(stop - first)
        while item < U(n * table[at.LANES]):
            lane, unit = U(item // n), U(first + item % n)
            leak = memory[U(here + table[at.ROW_LEAK] * stride + unit)]
            keep = memory[U(here + table[at.ROW_KEEP] * stride + unit)]
            a = memory[U(here + (table[at.ROW_A] + lane) * stride + unit)]
            place = U(here + (table[at.ROW_X] + lane) * stride + unit)
            memory[place] = np.float32(activity(a, memory[place], leak, keep))
            item = U(item + where.threads)

    return fire


def slopes(slope: Any) -> Any:
    """Make the phase in which neurons of a model find the derivative of their activity."""

    def steepen(chip, where, p, t):
        table, memory = chip.table, chip.memory
        here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
        first, stop = first_unit(table, p, where), stop_unit(table, p, where)
        item, n = where.thread, U(stop - first)
        while item < U(n * table[at.BATCH]):
            b, unit = U(item // n), U(first + item % n)
            a = memory[U(here + (table[at.ROW_READ_A] + b) * stride + unit)]
            leak = memory[U(here + table[at.ROW_LEAK] * stride + unit)]
            place = U(here + (table[at.ROW_SLOPE] + b) * stride + unit)
            memory[place] = np.float32(slope(a, leak))
            item = U(item + where.threads)

    return steepen


def look(chip, where, p, t):
    """Show rules what they read of pre-activations and activities."""
    table, memory = chip.table, chip.memory
    own, batch = population(table, p), table[at.BATCH]
    here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    clock = U(chip.steps[at.CLOCK] + t)
    item, n = where.thread, U(stop - first)
    while item < U(n * table[at.LANES]):
        lane, unit = U(item // n), U(first + item % n)
        stream = table[U(own + at.STREAM_ACT_READ)]
        a = memory[U(here + (table[at.ROW_A] + lane) * stride + unit)]
        place = U(here + (table[at.ROW_READ_A] + lane) * stride + unit)
        memory[place] = read(chip, a, stream, clock, lane // batch, lane % batch, unit)
        stream = table[U(own + at.STREAM_FIRED_READ)]
        x = memory[U(here + (table[at.ROW_X] + lane) * stride + unit)]
        place = U(here + (table[at.ROW_READ_X] + lane) * stride + unit)
        memory[place] = read(chip, x, stream, clock, lane // batch, lane % batch, unit)
        item = U(item + where.threads)


@part
def read(chip, value, stream, clock, pass_, b, unit):
    """What a rule reads of a number."""
    values, drawn = chip.values, ZERO
    if values[at.READ_NOISE] > ZERO:
        drawn = normal(chip.steps[at.SEED], stream, clock, pass_, b, unit)
    limit, spacing = values[at.READ_LIMIT], values[at.READ_SPACING]
    return np.float32(act_read(value, values[at.READ_NOISE], drawn, limit, spacing))


def send_fired(chip, where, p, t):
    """Neurons send their activity as it is."""
    _send_all(chip, where, p, t, chip.table[at.ROW_X])


def send(chip, where, p, t):
    """Neurons send their decorrelated activity."""
    _send_all(chip, where, p, t, chip.table[at.ROW_S])


@part
def _send_all(chip, where, p, t, row):
    table = chip.table
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    item, n = where.thread, U(stop - first)
    while item < U(n * table[at.LANES]):
        lane, unit = U(item // n), U(first + item % n)
        value = chip.memory[U(here + (row + lane) * stride + unit)]
        _send(chip, p, t, here, stride, lane, unit, value)
        item = U(item + where.threads)


@part
def _send(chip, p, t, here, stride, lane, unit, value):
    """An event goes out, with what fits into it; rules see what they read of it."""
    table, values, memory = chip.table, chip.values, chip.memory
    own, batch, steps = population(table, p), table[at.BATCH], chip.steps
    if table[U(own + at.COARSE)]:
        limit, spacing = values[at.EVENT_LIMIT], values[at.EVENT_SPACING]
        value = np.float32(on_grid(value, limit, spacing, HALF))
    memory[U(here + (table[at.ROW_S] + lane) * stride + unit)] = value
    row = U(sent_row(table, steps, t, U(0)) + lane)
    memory[U(here + row * stride + unit)] = value
    if table[at.ROW_SEEN] != table[at.ROW_SENT] and lane < table[at.SHOWN]:
        if table[at.OBSERVES]:
            stream, clock = table[U(own + at.STREAM_SENT_READ)], U(steps[at.CLOCK] + t)
            value = read(chip, value, stream, clock, lane // batch, lane % batch, unit)
        row = U(seen_row(table, steps, t, U(0)) + lane)
        memory[U(here + row * stride + unit)] = value


def average(chip, where, p, t):
    """Rules see the mean of what was sent in both passes."""
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    seen = seen_row(table, chip.steps, t, U(0))
    item, n = where.thread, U(stop - first)
    while item < U(n * batch):
        b, unit = U(item // n), U(first + item % n)
        total = memory[U(here + (seen + b) * stride + unit)]
        total = total + memory[U(here + (seen + batch + b) * stride + unit)]
        memory[U(here + (seen + table[at.LANES] + b) * stride + unit)] = HALF * total
        item = U(item + where.threads)


def signals(neuron: Any) -> Any:
    """Make the phase in which neurons form their signals."""

    def signal(chip, where, p, t):
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        own, pairs = population(table, p), table[at.PAIRS]
        here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
        first, stop = first_unit(table, p, where), stop_unit(table, p, where)
        begin = U(table[U(own + at.FIRST_LESSON)] * batch)
        comparisons = table[at.COMPARISON_TABLE]
        forming = U(table[at.DESK] + where.block * table[at.DESK_SIZE] + table[at.DESK_FORMING])
        gain = chip.values[at.NOISE_GAIN]
        item, n = where.thread, U(stop - first)
        while item < U(n * table[U(own + at.LESSONS)] * batch):
            c, unit = U(begin + item // n), U(first + item % n)
            k, b = U(c // batch), U(c % batch)
            one = U(table[U(comparisons + 2 * k)] * batch + b)
            other = U(table[U(comparisons + 2 * k + 1)] * batch + b)
            slope, feedback = ZERO, ZERO
            if table[at.HEARS]:
                slope = memory[U(here + (table[at.ROW_SLOPE] + b) * stride + unit)]
                feedback = memory[U(here + (table[at.ROW_FEEDBACK] + b) * stride + unit)]
            formed = neuron(
                memory[U(here + (table[at.ROW_READ_A] + one) * stride + unit)],
                memory[U(here + (table[at.ROW_READ_A] + other) * stride + unit)],
                gain * memory[U(here + (table[at.ROW_NOISE] + c) * stride + unit)],
                memory[U(forming + p * pairs + c)],
                slope,
                feedback,
            )
            place = U(here + (table[at.ROW_SIGNAL] + c) * stride + unit)
            memory[place] = np.float32(formed)
            item = U(item + where.threads)

    return signal


def listen(chip, where, p, t):
    """Neurons weigh the errors that outputs broadcast; an output hears its own."""
    table, memory = chip.table, chip.memory
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    outputs = table[at.OUTPUTS]
    errors = U(table[at.DESK] + where.block * table[at.DESK_SIZE] + table[at.DESK_ERRORS])
    item, n = where.thread, U(stop - first)
    while item < U(n * table[at.BATCH]):
        b, unit = U(item // n), U(first + item % n)
        own = U(errors + b * outputs)
        heard, o = ZERO, U(0)
        if p + 1 == table[at.N_POPULATIONS]:
            heard = memory[U(own + unit)]
        else:
            while o < outputs:
                guess = memory[U(here + (table[at.ROW_GUESSES] + o) * stride + unit)]
                heard = heard + memory[U(own + o)] * guess
                o = U(o + 1)
        memory[U(here + (table[at.ROW_FEEDBACK] + b) * stride + unit)] = heard
        item = U(item + where.threads)


def exchange_signals(chip, where, p, t):
    """Neurons keep their signals for as long as the reward takes, and take up those it is about."""
    table, memory, pairs = chip.table, chip.memory, chip.table[at.PAIRS]
    here, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    late = U(table[at.ROW_LATE] + step_entry(chip.steps, t, at.SLOT) * pairs)
    item, n = where.thread, U(stop - first)
    while item < U(n * pairs):
        c, unit = U(item // n), U(first + item % n)
        one = U(here + (table[at.ROW_SIGNAL] + c) * stride + unit)
        other = U(here + (late + c) * stride + unit)
        value = memory[one]
        memory[one] = memory[other]
        memory[other] = value
        item = U(item + where.threads)


def divide(chip, where, m, t):
    """Divide signals by the power of what a projection transmitted."""
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    here = U(table[at.MATRICES] + m * at.PER_MATRIX)
    p = table[U(here + at.POST)]
    own = population(table, p)
    rows, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    begin = U(table[U(own + at.FIRST_LESSON)] * batch)
    divisors = U(table[at.DESK] + where.block * table[at.DESK_SIZE] + table[at.DESK_DIVISOR])
    item, n = where.thread, U(stop - first)
    while item < U(n * table[U(own + at.LESSONS)] * batch):
        c, unit = U(begin + item // n), U(first + item % n)
        factor = ONE / memory[U(divisors + m * batch + c % batch)]
        signal = memory[U(rows + (table[at.ROW_SIGNAL] + c) * stride + unit)]
        memory[U(rows + (table[U(here + at.SIGNALS)] + c) * stride + unit)] = factor * signal
        item = U(item + where.threads)
