"""What hardware makes of weights when a step visits them: written, aged, read, events lost."""

from __future__ import annotations

import numpy as np

from neurosim.engines.compile import compiled, invoke, loop
from neurosim.engines.memory import CHUNK, Due, Scratch
from neurosim.engines.vectors import WIDTH, widely
from neurosim.substrate.grid import on_grid as _on_grid
from neurosim.substrate.weight_reading import w_read_noise as _w_read_noise

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
PLANE = CHUNK // 4 * WIDTH  # see `neurosim.engines.draws.weight_normals`
NOTHING, NOISY, ARRIVED, OTHER = Scratch.NOTHING, Scratch.NOISY, Scratch.ARRIVED, Scratch.OTHER
PULSES, CYCLE, WRITTEN, ROUNDED = (
    Scratch.PULSES,
    Scratch.CYCLE,
    Scratch.WRITTEN,
    Scratch.ROUNDED,
)
LOST, LATE, LOST_BEFORE, LATE_BEFORE, POWER, ONES, BEFORE = (
    Scratch.LOST,
    Scratch.LATE,
    Scratch.LOST_BEFORE,
    Scratch.LATE_BEFORE,
    Scratch.POWER,
    Scratch.ONES,
    Scratch.BEFORE,
)
TURN, SINCE = Due.TURN, Due.SINCE
NEAREST, SHARED = 0, 2  # places in ROUNDINGS

on_grid, w_read_noise = compiled(_on_grid), compiled(_w_read_noise)


@loop
def of_turn(values, memory, ago):
    """Where numbers are that take turns, of so many turns ago."""
    return (memory.due[TURN] + values.shape[0] - ago) % values.shape[0]


@loop
def write_devices(system, scratch, words, m, at, wanted, row, n_pre, begin, end, clock):
    """Make what changes are wanted of columns of a panel that begins with `row`, at `at`."""
    kernels, chip, memory, n = system.kernels, system.chip, system.memory, end - begin
    nothing = scratch[NOTHING]
    where = (row, n_pre, begin, end)
    pulses, rounded = scratch[PULSES], scratch[ROUNDED]
    if chip.smallest[m] > 0:
        thresholds(system, pulses, words, chip.pulses_stream[m], clock, *where)
    if chip.spacing[m] > 0:
        thresholds(system, rounded, words, chip.rounding_stream[m], clock, *where)
    cycle, written = nothing, nothing
    if chip.c2c > 0:
        cycle = scratch[CYCLE]
        normals(system, cycle, words, chip.c2c_stream[m], clock, *where)
    if chip.write_noise[m] > 0:
        written = scratch[WRITTEN]
        normals(system, written, words, chip.w_write_stream[m], clock, *where)
    invoke(
        kernels.program,
        (
            memory.weights, at + begin * WIDTH, n, wanted, memory.response, memory.stuck, pulses,
            cycle, written, rounded, PLANE, chip.ages, memory.age, chip.smallest[m],
            chip.asymmetry, chip.d2d, chip.c2c, chip.softness, chip.full_scale[m],
            chip.write_noise[m], chip.limit[m], chip.spacing[m],
        ),
    )  # fmt: skip


@loop
def normals(system, drawn, words, stream, clock, row, n_pre, begin, end):
    """Draw a normal number for every synapse in columns of a panel."""
    invoke(
        system.kernels.weight_normals,
        (
            drawn, PLANE, words, ONE, system.passes.seed, stream, clock, 0, row, n_pre, begin,
            end,
        ),
    )  # fmt: skip


@loop
def uniforms(system, drawn, words, stream, clock, pass_, replica, row, n_pre, begin, end):
    """Draw a uniform number for every synapse in columns of a panel."""
    invoke(
        system.kernels.weight_uniforms,
        (
            drawn, PLANE, words, system.passes.seed, stream, clock, pass_, replica, row, n_pre,
            begin, end,
        ),
    )  # fmt: skip


@loop
def thresholds(system, drawn, words, stream, clock, row, n_pre, begin, end):
    """One minus the threshold at which each synapse rounds up."""
    if system.chip.rounding == NEAREST:
        same = HALF
    elif system.chip.rounding == SHARED:
        given = (drawn, 1, words, system.passes.seed, stream, clock, 0, 0, 0)
        invoke(system.kernels.fill_uniform, given)
        same = drawn[0]
    else:
        uniforms(system, drawn, words, stream, clock, 0, 0, row, n_pre, begin, end)
        return
    for i in range(drawn.size):
        drawn[i] = same


@loop
def age_devices(system, scratch, words, m, at, row, n_pre, begin, end, clock):
    """Let a step go by for columns of a panel."""
    chip, memory, drawn = system.chip, system.memory, scratch[NOTHING]
    if chip.diffusion[m] > 0:
        drawn = scratch[WRITTEN]
        normals(system, drawn, words, chip.diffusion_stream[m], clock, row, n_pre, begin, end)
    invoke(
        system.kernels.grow_old,
        (
            memory.weights, at + begin * WIDTH, end - begin, memory.age, memory.nu, memory.stuck,
            chip.keep, chip.diffusion[m], chip.limit[m], drawn, PLANE,
        ),
    )  # fmt: skip


@loop
def set_back(memory, ago):
    """Whether passes were set back after what arrived in the step that is learned from was sent.

    It was sent `ago` steps before that one, and reached every pass from the baseline.
    """
    return memory.due[SINCE] < ago


@loop
def arrivals(
    system, scratch, words, out, m, values, unit, delay, lanes, clock, row, n_pre, begin, end
):  # fmt: skip
    """What arrived at columns of a panel in one lane.

    `values` take turns, `delay` turns ago lies what was due; `unit` is the first sender. `lanes`
    are the one in which it arrived, and those in which what was due and what was late were sent.
    """
    chip, passes, memory = system.chip, system.passes, system.memory
    lane, sent, sent_before = lanes
    wide, pass_, b = values.shape[2], lane // passes.batch, lane % passes.batch
    now, before = of_turn(values, memory, delay), of_turn(values, memory, delay + 1)
    where = (row, n_pre, begin, end)
    loss, jitter = chip.event_loss_stream[m], chip.event_jitter_stream[m]
    # Draws of 1 neither lose nor delay anything.
    lost = late = lost_before = late_before = scratch[ONES]
    if chip.event_loss > 0:
        lost = scratch[LOST]
        uniforms(system, lost, words, loss, clock, pass_, b, *where)
    if chip.event_jitter > 0:
        late, late_before = scratch[LATE], scratch[LATE_BEFORE]
        uniforms(system, late, words, jitter, clock, pass_, b, *where)
        uniforms(system, late_before, words, jitter, clock - 1, pass_, b, *where)
        if chip.event_loss > 0:
            lost_before = scratch[LOST_BEFORE]
            uniforms(system, lost_before, words, loss, clock - 1, pass_, b, *where)
    place = (unit + begin) * wide
    invoke(
        system.kernels.arrive,
        (
            out, end - begin, values[now], place + sent, values[before], place + sent_before,
            scratch[BEFORE], wide, lost, late, lost_before, late_before, PLANE, chip.event_loss,
            chip.event_jitter,
        ),
    )  # fmt: skip


@loop
def arrived_mean(
    system, scratch, words, out, m, unit, delay, b, clock, row, n_pre, begin, end
):  # fmt: skip
    """What synapses of columns of a panel transmitted in a replica, as far as they can tell."""
    memory, batch, travels = system.memory, system.passes.batch, system.projections.delay[m]
    where = (clock, row, n_pre, begin, end)
    arrivals(system, scratch, words, out, m, memory.seen, unit, delay, (b, b, b), *where)
    if system.chip.both:
        other, lane = scratch[OTHER], batch + b
        now = b if set_back(memory, travels) else lane
        before = b if set_back(memory, travels + 1) else lane
        lanes = (lane, now, before)
        arrivals(system, scratch, words, other, m, memory.seen, unit, delay, lanes, *where)
        for i in range(out.size):
            out[i] = HALF * (out[i] + other[i])


@loop
def add_read_noise(
    system, scratch, words, m, sums, lane, row, first, n, power, through, stride, clock
):  # fmt: skip
    """Add the noise of reading weights to the sums of `n` units, the first of them `first`.

    Powers have a value for each unit, or (with a `stride` of 0) one for all.
    """
    chip, passes, drawn = system.chip, system.passes, scratch[NOISY]
    for kind in range(2):
        sigma = chip.w_read_noise[m] if kind == 0 else chip.w_read_relative
        if not sigma > 0:
            continue
        stream = chip.w_read_stream[m] if kind == 0 else chip.w_relative_stream[m]
        invoke(
            system.kernels.fill_normal,
            (
                drawn, 0, 0, n, lane, lane + 1, passes.batch, ONE, words, scratch[OTHER], PLANE,
                passes.seed, stream, clock, first,
            ),
        )  # fmt: skip
        powers = power if kind == 0 else through
        for i in range(n):
            total = sums[lane, row + i]
            sums[lane, row + i] = w_read_noise(total, sigma, powers[i * stride], drawn[i])


@loop
def read_noise(
    system, scratch, words, m, at, columns, n_pre, sent, unit, sums, row, first, n, clock
):  # fmt: skip
    """Add the noise of reading weights to the sums of `n` units, `row` and on, in all lanes.

    The first is unit `first` of its population and begins a panel, whose weights are `at`, so
    many `columns` in memory; `unit` is the first sender.
    """
    chip, power, wide = system.chip, scratch[POWER], sent.shape[1]
    widely()
    for lane in range(wide):
        if not chip.w_read_relative > 0:
            power[0] = sum_of_squares(sent, unit, unit + n_pre, lane)
            whole = (lane, row, first, n, power, power, 0, clock)
            add_read_noise(system, scratch, words, m, sums, *whole)
            continue
        for i in range(0, n, WIDTH):
            for r in range(2 * WIDTH):
                power[r] = ZERO
            given = (
                system.memory.weights, at + i * columns, n_pre, sent, unit * wide + lane, wide,
                power,
            )  # fmt: skip
            invoke(system.kernels.squares, given)
            some = (lane, row + i, first + i, min(WIDTH, n - i), power, power[WIDTH:], 1, clock)
            add_read_noise(system, scratch, words, m, sums, *some)


@loop
def sum_of_squares(values, begin, end, lane):
    """Power of what some units send in a lane."""
    total = ZERO
    for j in range(begin, end):
        total += values[j, lane] * values[j, lane]
    return total
