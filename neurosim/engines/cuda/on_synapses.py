"""Phases of synapses: how weights change, and what devices make of it.

A block changes the synapses onto its own neurons; of a matrix that outputs sum in parts, those
from its own neurons. Changes are made as soon as the lesson is known, in the stretch between two
barriers in which the next step begins, so that a weight waits for nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from neurosim.engines.compile import compiled
from neurosim.engines.cuda import at, language, places
from neurosim.engines.cuda.language import CHUNK, HALF, ONE, ZERO, U, part
from neurosim.engines.cuda.on_neurons import draw, normal, uniform
from neurosim.engines.cuda.on_sums import arrived, four_draws, weight_index
from neurosim.engines.cuda.places import (
    changes_of,
    desk,
    first_chunk,
    first_unit,
    home,
    learning_rate,
    matrix,
    matrix_value,
    origin,
    population,
    pre_lane,
    seen_row,
    set_back_then,
    step_entry,
    stop_chunk,
    stop_unit,
)
from neurosim.engines.plan import LOCAL, RETURN_TO_GO
from neurosim.substrate.ageing import aged as _aged
from neurosim.substrate.device import step_made as _step_made
from neurosim.substrate.device import weight_written as _weight_written
from neurosim.substrate.record import ROUNDINGS

NEAREST, SHARED = ROUNDINGS.index("nearest"), ROUNDINGS.index("stochastic_shared")
ACROSS = 4  # columns of a tile of changes

step_made = compiled(_step_made, exact=True)
weight_written = compiled(_weight_written, exact=True)
aged = compiled(_aged, exact=True)


@part
def rows_of(table, m, where):
    """Rows of a matrix that are a block's, first and stop."""
    here = matrix(table, m)
    if table[U(here + at.BY_COLUMN)]:
        return U(0), table[U(here + at.ROWS)]
    p = table[U(here + at.POST)]
    return first_unit(table, p, where), stop_unit(table, p, where)


@part
def columns_of(table, m, where):
    """Columns of a matrix that are a block's, first and stop."""
    here = matrix(table, m)
    if table[U(here + at.BY_COLUMN)]:
        p = table[U(here + at.PRE)]
        return first_unit(table, p, where), stop_unit(table, p, where)
    return U(0), table[U(here + at.COLUMNS)]


@part
def place_of(table, here, i, j):
    """Place of a synapse among all synapses."""
    return U(table[U(here + at.BEGINNING)] + i * table[U(here + at.ROW_STRIDE)] + j)


def fetch(chip, where, m, t):
    """A block takes its rows of a matrix to itself."""
    _move(chip, where, m, True)


def put_back(chip, where, m, t):
    """A block shows its rows of a matrix."""
    _move(chip, where, m, False)


@part
def _move(chip, where, m, here_first):
    table, memory, here = chip.table, chip.memory, matrix(chip.table, m)
    p, across = table[U(here + at.POST)], table[U(here + at.ROW_STRIDE)]
    first = U(CHUNK * first_chunk(table, p, where.block, where.blocks))
    stop = U(CHUNK * stop_chunk(table, p, where.block, where.blocks))
    start, item = origin(table, m, where), U(first * across + where.thread)
    while item < U(stop * across):
        there = U(table[U(here + at.GLOBAL)] + item)
        if here_first:
            chip.weights[U(start + item)] = memory[there]
        else:
            memory[there] = chip.weights[U(start + item)]
        item = U(item + where.threads)


# ----------------------------------------------------------------------- at once


def absorbs(synapse: Any, batch: int) -> Any:
    """Make the phase in which synapses change at once, tile by tile, some replicas at a time."""
    r, c = range(CHUNK), range(ACROSS)
    ahead = _ahead(batch)
    lines = []
    for u in range(ahead):
        lines += [
            f"reward{u}, lane = memory[U(forming + c + {u})], U(sent + (b + {u}) * wide)",
            f"signal = U(post + (table[U(here + at.SIGNALS)] + c + {u}) * stride + row)",
            *[f"x{j}_{u} = memory[U(lane + min(c{j}, n - 1))]" for j in c],
            *[f"g{i}_{u} = memory[U(signal + {i})]" for i in r],
        ]
    lines += [
        f"d{i}_{j} = d{i}_{j} + F(synapse(x{j}_{u}, g{i}_{u}, ZERO, reward{u}))"
        for u in range(ahead)
        for i in r
        for j in c
    ]
    return _over_tiles("absorb", synapse, lines, ahead)


def _over_tiles(name: str, synapse: Any, lines: list[str], ahead: int) -> Callable[..., None]:
    r, c = range(CHUNK), range(ACROSS)
    template = inspect.cleandoc(
        """
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        here = matrix(table, m)
        p, pre, n = table[U(here + at.POST)], table[U(here + at.PRE)], table[U(here + at.COLUMNS)]
        own, start = population(table, p), origin(table, m, where)
        across, size = table[U(here + at.ROW_STRIDE)], table[U(own + at.SIZE)]
        first = first_chunk(table, p, where.block, where.blocks)
        stop = stop_chunk(table, p, where.block, where.blocks)
        ago = U(table[U(here + at.DELAY)] + step_entry(chip.steps, t, at.AGO))
        wide, stride = table[U(population(table, pre) + at.STRIDE)], table[U(own + at.STRIDE)]
        seen = U(seen_row(table, chip.steps, t, ago) + pre_lane(chip, here, t))
        sent, post = U(home(table, pre, where.block) + seen * wide), home(table, p, where.block)
        forming = U(desk(table, where.block) + table[at.DESK_FORMING] + p * table[at.PAIRS])
        lessons, begin = table[U(own + at.LESSONS)], table[U(own + at.FIRST_LESSON)]
        factor = learning_rate(chip, m, t) * matrix_value(chip, m, at.SCALE)
        groups = U((n + {across} - 1) // {across})
        item, every = where.thread, U((stop - first) * groups)
        while item < every:
            row, c0 = U(CHUNK * (first + item // groups)), U(item % groups)
            {columns}
            {zeros}
            k = begin
            while k < U(begin + lessons):
                b = U(0)
                while b < batch:
                    c = U(k * batch + b)
                    {lines}
                    b = U(b + {ahead})
                k = U(k + 1)
            {write}
            item = U(item + where.threads)
        """
    )
    write = [
        line
        for i in r
        for line in [
            f"if row + {i} < size:",
            f"    w = U(start + (row + {i}) * across)",
            *[
                line
                for j in c
                for line in [
                    f"    if c{j} < n:",
                    f"        chip.weights[U(w + c{j})] = "
                    f"chip.weights[U(w + c{j})] - factor * d{i}_{j}",
                ]
            ],
        ]
    ]
    text = _filled(
        template,
        across=str(ACROSS),
        ahead=str(ahead),
        columns=[f"c{j} = U(c{j - 1} + groups)" for j in c if j],
        zeros=[f"d{i}_{j} = ZERO" for i in r for j in c],
        lines=lines,
        write=write,
    )
    return _made(name, text, synapse)


def _filled(template: str, **given: Any) -> str:
    """Put lines into a template, each as far in as what they replace; all indented by four."""
    lines: list[str] = []
    for line in template.splitlines():
        name = line.strip().strip("{}")
        if line.strip().startswith("{") and isinstance(given.get(name), list):
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + more for more in given[name]]
        else:
            lines.append(line.format(**{k: v for k, v in given.items() if isinstance(v, str)}))
    return "\n".join(f"    {line}" for line in lines)


def absorbs_few(synapse: Any, batch: int) -> Any:
    """Do the same synapse by synapse, four next to each other a thread, with noise on weights."""
    ahead, c = _ahead(batch), range(ACROSS)
    template = inspect.cleandoc(
        """
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        here = matrix(table, m)
        p, pre, n = table[U(here + at.POST)], table[U(here + at.PRE)], table[U(here + at.COLUMNS)]
        own, start = population(table, p), origin(table, m, where)
        across = table[U(here + at.ROW_STRIDE)]
        wide, stride = table[U(population(table, pre) + at.STRIDE)], table[U(own + at.STRIDE)]
        ago = U(table[U(here + at.DELAY)] + step_entry(chip.steps, t, at.AGO))
        seen = U(seen_row(table, chip.steps, t, ago) + pre_lane(chip, here, t))
        sent, post = U(home(table, pre, where.block) + seen * wide), home(table, p, where.block)
        forming = U(desk(table, where.block) + table[at.DESK_FORMING] + p * table[at.PAIRS])
        lessons, begin = table[U(own + at.LESSONS)], table[U(own + at.FIRST_LESSON)]
        factor = learning_rate(chip, m, t) * matrix_value(chip, m, at.SCALE)
        std = chip.values[at.NOISE_GAIN] * chip.values[at.NOISE_STD]
        clock = step_entry(chip.steps, t, at.CLOCK_THEN)
        i0, i1 = rows_of(table, m, where)
        j0, j1 = columns_of(table, m, where)
        fours = U((j1 - j0 + 3) // 4)
        item = where.thread
        while item < U((i1 - i0) * fours):
            i, j = U(i0 + item // fours), U(j0 + item % fours * 4)
            # Beyond the last column are numbers of its row that nobody looks at.
            d0 = d1 = d2 = d3 = ZERO
            k = begin
            while k < U(begin + lessons):
                z0 = z1 = z2 = z3 = ZERO
                if table[U(here + at.PERTURBED)]:
                    z0, z1, z2, z3 = four_draws(
                        table[at.DISTRIBUTION], chip.steps[at.SEED],
                        table[U(here + at.STREAM_WEIGHTS)], clock, k, U(weight_index(i, j, n)),
                    )
                b = U(0)
                while b < batch:
                    c = U(k * batch + b)
                    {lines}
                    b = U(b + {ahead})
                k = U(k + 1)
            w = U(start + i * across + j)
            {write}
            item = U(item + where.threads)
        """
    )
    lines = []
    for u in range(ahead):
        lines += [
            f"reward{u}, lane = memory[U(forming + c + {u})], U(sent + (b + {u}) * wide + j)",
            f"g{u} = memory[U(post + (table[U(here + at.SIGNALS)] + c + {u}) * stride + i)]",
            *[f"x{j}_{u} = memory[U(lane + {j})]" for j in c],
        ]
    lines += [
        f"d{j} = d{j} + F(synapse(x{j}_{u}, g{u}, std * z{j}, reward{u}))"
        for u in range(ahead)
        for j in c
    ]
    write = [
        line
        for j in c
        for line in [
            f"if j + {j} < j1:",
            f"    chip.weights[U(w + {j})] = chip.weights[U(w + {j})] - factor * d{j}",
        ]
    ]
    text = _filled(template, lines=lines, write=write, ahead=str(ahead))
    return _made("absorb_few", text, synapse)


def _ahead(batch: int) -> int:
    """Replicas whose numbers are asked for together."""
    return max(k for k in range(1, 6) if batch % k == 0)


def _made(name: str, text: str, synapse: Any) -> Callable[..., None]:
    known = {"synapse": synapse, "F": np.float32, "four_draws": four_draws}
    scope = {**vars(language), **vars(places), **globals(), **known}
    exec(f"def {name}(chip, where, m, t):\n{text}", scope)
    return scope[name]


# ----------------------------------------------------------------- by way of sums


@part
def transmitted(chip, here, where, t, b, i, j, ago):
    """What a synapse transmitted in the step that is learned from, as far as it can tell."""
    table, steps, memory, batch = chip.table, chip.steps, chip.memory, chip.table[at.BATCH]
    pre, n = table[U(here + at.PRE)], table[U(here + at.COLUMNS)]
    rows, wide = home(table, pre, where.block), table[U(population(table, pre) + at.STRIDE)]
    now = seen_row(table, steps, t, ago)
    if not table[U(here + at.LOSES)]:
        return memory[U(rows + (now + pre_lane(chip, here, t) + b) * wide + j)]
    then, clock = seen_row(table, steps, t, U(ago + 1)), step_entry(steps, t, at.CLOCK_THEN)
    index, value, pass_ = U(weight_index(i, j, n)), ZERO, U(0)
    back = set_back_then(chip, t, table[U(here + at.DELAY)])
    back_then = set_back_then(chip, t, U(table[U(here + at.DELAY)] + 1))
    while pass_ <= table[at.BOTH]:
        lane = U(pass_ * batch + b)
        sent, late = (
            memory[U(rows + (now + (b if back else lane)) * wide + j)],
            memory[U(rows + (then + (b if back_then else lane)) * wide + j)],
        )
        value = value + arrived(chip, here, clock, pass_, b, index, sent, late)
        pass_ = U(pass_ + 1)
    return HALF * value if table[at.BOTH] else value


def accumulates(synapse: Any, trace: Any) -> Any:
    """Make the phase in which synapses sum what they are to change by, now or later."""
    keeps = trace is not None

    def accumulate(chip, where, m, t):
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        here, pairs = matrix(table, m), table[at.PAIRS]
        p, n = table[U(here + at.POST)], table[U(here + at.COLUMNS)]
        own, desk_ = population(table, p), desk(table, where.block)
        post, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
        ago = U(table[U(here + at.DELAY)] + step_entry(chip.steps, t, at.AGO))
        credit, over = table[U(here + at.CREDIT_OF)], step_entry(chip.steps, t, at.OVER_THEN)
        lessons, begin = table[U(own + at.LESSONS)], table[U(own + at.FIRST_LESSON)]
        std = chip.values[at.NOISE_GAIN] * chip.values[at.NOISE_STD]
        clock = step_entry(chip.steps, t, at.CLOCK_THEN)
        (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
        item, across = where.thread, U(j1 - j0)
        while item < U((i1 - i0) * across):
            i, j = U(i0 + item // across), U(j0 + item % across)
            place, change, k = place_of(table, here, i, j), ZERO, begin
            stays = memory[U(post + table[at.ROW_KEEP] * stride + i)]
            while k < U(begin + lessons):
                own_noise, b = ZERO, U(0)
                if table[U(here + at.PERTURBED)]:
                    own_noise = std * draw(
                        table[at.DISTRIBUTION], chip.steps[at.SEED],
                        table[U(here + at.STREAM_WEIGHTS)], clock, k, 0, U(weight_index(i, j, n)),
                    )  # fmt: skip
                while b < batch:
                    c = U(k * batch + b)
                    sent = transmitted(chip, here, where, t, b, i, j, ago)
                    reward = memory[U(desk_ + table[at.DESK_FORMING] + p * pairs + c)]
                    signal = memory[U(post + (table[U(here + at.SIGNALS)] + c) * stride + i)]
                    kept = U(table[at.ELIGIBILITY] + c * table[at.TRACE_SIZE] + place)
                    if keeps:
                        heard = ZERO
                        if table[at.HEARS]:
                            heard = memory[U(post + (table[at.ROW_FEEDBACK] + b) * stride + i)]
                        new = np.float32(trace(memory[kept], sent, signal, stays))
                        memory[kept] = new
                        wanted = np.float32(synapse(sent, signal, own_noise, reward, new, heard))
                        change = change + wanted
                    else:
                        wanted = np.float32(synapse(sent, signal, own_noise, reward))
                        if credit == LOCAL:
                            change = change + wanted
                        else:
                            eligible = chip.values[at.DECAY] * memory[kept] + wanted
                            if credit == RETURN_TO_GO or over:
                                credited = U(desk_ + table[at.DESK_CREDITED] + p * pairs + c)
                                change = change + memory[credited] * eligible
                            memory[kept] = ZERO if over else eligible
                    b = U(b + 1)
                k = U(k + 1)
            if table[at.ONLINE]:
                memory[U(table[at.WANTED] + place)] = change
            else:
                owed = U(table[at.OWED] + place)
                change = memory[owed] + change
                if step_entry(chip.steps, t, at.WRITE_THEN):
                    memory[U(table[at.WANTED] + place)] = change
                    change = ZERO
                memory[owed] = change
            item = U(item + where.threads)

    return accumulate


def forget(chip, where, m, t):
    """Synapses forget, if a sequence begins with the step that is learned from."""
    table, memory, here = chip.table, chip.memory, matrix(chip.table, m)
    (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
    item, across = where.thread, U(j1 - j0)
    while step_entry(chip.steps, t, at.FIRST_THEN) and item < U((i1 - i0) * across):
        place, c = place_of(table, here, U(i0 + item // across), U(j0 + item % across)), U(0)
        while table[at.TRACE_SIZE] > 0 and c < table[at.PAIRS]:
            memory[U(table[at.ELIGIBILITY] + c * table[at.TRACE_SIZE] + place)] = ZERO
            c = U(c + 1)
        if not table[at.ONLINE]:
            memory[U(table[at.OWED] + place)] = ZERO
        item = U(item + where.threads)


def scale(chip, where, m, t):
    """What is wanted becomes a step, by the learning rate."""
    table, memory, here = chip.table, chip.memory, matrix(chip.table, m)
    (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
    factor = learning_rate(chip, m, t) * matrix_value(chip, m, at.SCALE)
    item, across = where.thread, U(j1 - j0)
    while item < U((i1 - i0) * across):
        place = place_of(table, here, U(i0 + item // across), U(j0 + item % across))
        wanted = U(table[at.WANTED] + place)
        memory[wanted] = -(factor * memory[wanted])
        item = U(item + where.threads)


def optimises(first: Any, second: Any, step: Any) -> Any:
    """Make the phase in which an optimiser turns what is wanted into a step."""

    def optimise(chip, where, m, t):
        table, values, memory = chip.table, chip.values, chip.memory
        here, rate = matrix(table, m), learning_rate(chip, m, t)
        (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
        unbias = U(changes_of(chip, t) + at.UNBIAS)
        item, across = where.thread, U(j1 - j0)
        while item < U((i1 - i0) * across):
            place = place_of(table, here, U(i0 + item // across), U(j0 + item % across))
            wanted = U(table[at.WANTED] + place)
            one, two = U(table[at.FIRST_MEMORY] + place), U(table[at.SECOND_MEMORY] + place)
            change = matrix_value(chip, m, at.SCALE) * memory[wanted]
            m1 = np.float32(first(change, memory[one], values[at.BETA1], values[at.FRESH1]))
            m2 = np.float32(second(change, memory[two], values[at.BETA2], values[at.FRESH2]))
            memory[one] = m1
            memory[two] = m2
            memory[wanted] = -rate * np.float32(
                step(m1, m2, chip.data[unbias], chip.data[U(unbias + 1)], values[at.EPSILON])
            )
            item = U(item + where.threads)

    return optimise


# ------------------------------------------------------------------------ devices


@part
def threshold(table, seed, stream, clock, index):
    """One minus the threshold at which a synapse rounds up."""
    if table[at.ROUNDING] == NEAREST:
        return HALF
    if table[at.ROUNDING] == SHARED:
        return uniform(seed, stream, clock, 0, 0, 0)
    return uniform(seed, stream, clock, 0, 0, index)


def write(chip, where, m, t):
    """Weights change by the steps that are wanted, as far as devices let them."""
    table, values, memory, here = chip.table, chip.values, chip.memory, matrix(chip.table, m)
    start, across = origin(table, m, where), table[U(here + at.ROW_STRIDE)]
    (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
    seed, clock = chip.steps[at.SEED], step_entry(chip.steps, t, at.CLOCK_THEN)
    if table[U(here + at.DECORRELATES)]:
        clock = U(chip.steps[at.CLOCK] + t)
    smallest, spacing = matrix_value(chip, m, at.SMALLEST), matrix_value(chip, m, at.SPACING)
    noise_left, limit = matrix_value(chip, m, at.WRITE_NOISE), matrix_value(chip, m, at.LIMIT)
    item, width = where.thread, U(j1 - j0)
    while item < U((i1 - i0) * width):
        i, j = U(i0 + item // width), U(j0 + item % width)
        place, w = place_of(table, here, i, j), U(start + i * across + j)
        wanted, before = memory[U(table[at.WANTED] + place)], chip.weights[w]
        item = U(item + where.threads)
        if not table[at.THROUGH]:
            chip.weights[w] = before + wanted
            continue
        if memory[U(table[at.STUCK] + place)] > ZERO:
            continue
        index = U(weight_index(i, j, table[U(here + at.COLUMNS)]))
        pulses, rounded, cycle, left = HALF, HALF, ZERO, ZERO
        if smallest > ZERO:
            pulses = threshold(table, seed, table[U(here + at.STREAM_PULSES)], clock, index)
        if spacing > ZERO:
            rounded = threshold(table, seed, table[U(here + at.STREAM_ROUNDING)], clock, index)
        if values[at.C2C] > ZERO:
            cycle = normal(seed, table[U(here + at.STREAM_C2C)], clock, 0, 0, index)
        if noise_left > ZERO:
            left = normal(seed, table[U(here + at.STREAM_WRITE)], clock, 0, 0, index)
        step = np.float32(
            step_made(
                wanted, before, smallest, ONE - pulses, values[at.ASYMMETRY], values[at.D2D],
                memory[U(table[at.RESPONSE] + place)], values[at.C2C], cycle,
                values[at.SOFTNESS], matrix_value(chip, m, at.FULL_SCALE),
            )
        )  # fmt: skip
        weight = np.float32(
            weight_written(before, step, noise_left, left, limit, spacing, ONE - rounded)
        )
        chip.weights[w] = weight
        if table[at.AGES] and weight != before:
            memory[U(table[at.AGE] + place)] = ZERO


def grow_old(chip, where, m, t):
    """Let a step go by for devices."""
    table, values, memory, here = chip.table, chip.values, chip.memory, matrix(chip.table, m)
    start, across = origin(table, m, where), table[U(here + at.ROW_STRIDE)]
    (i0, i1), (j0, j1) = rows_of(table, m, where), columns_of(table, m, where)
    diffusion, limit = matrix_value(chip, m, at.DIFFUSION), matrix_value(chip, m, at.LIMIT)
    clock, stream = U(chip.steps[at.CLOCK] + t), table[U(here + at.STREAM_DIFFUSION)]
    item, width = where.thread, U(j1 - j0)
    while item < U((i1 - i0) * width):
        i, j = U(i0 + item // width), U(j0 + item % width)
        place, w, drawn = place_of(table, here, i, j), U(start + i * across + j), ZERO
        age = memory[U(table[at.AGE] + place)] + ONE
        memory[U(table[at.AGE] + place)] = age
        if diffusion > ZERO:
            index = U(weight_index(i, j, table[U(here + at.COLUMNS)]))
            drawn = normal(chip.steps[at.SEED], stream, clock, 0, 0, index)
        if not memory[U(table[at.STUCK] + place)] > ZERO:
            nu = memory[U(table[at.DRIFT] + place)]
            chip.weights[w] = np.float32(
                aged(chip.weights[w], age, nu, values[at.KEEP], diffusion, drawn, limit)
            )
        item = U(item + where.threads)


# ------------------------------------------------------------------ decorrelation


def absorbs_outlets(synapse: Any, through: bool) -> Any:
    """Make the phase in which decorrelating synapses change, or say what they want to."""

    def absorb_outlets(chip, where, m, t):
        table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
        here = matrix(table, m)
        p, n, across = (
            table[U(here + at.POST)],
            table[U(here + at.COLUMNS)],
            table[U(here + at.ROW_STRIDE)],
        )
        rows, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
        first, stop = first_unit(table, p, where), stop_unit(table, p, where)
        seen = U(rows + seen_row(table, chip.steps, t, U(0)) * stride)
        heard = U(rows + table[at.ROW_HEARD] * stride)
        start = origin(table, m, where)
        rate = chip.data[U(changes_of(chip, t) + at.DECORRELATION_RATE)]
        groups = U((n + 3) // 4)
        item = where.thread
        while item < U((stop - first) * groups):
            i, c0 = U(first + item // groups), U(item % groups)
            c1 = U(c0 + groups)
            c2 = U(c1 + groups)
            c3 = U(c2 + groups)
            e1, e2, e3 = U(min(c1, n - 1)), U(min(c2, n - 1)), U(min(c3, n - 1))
            w = U(start + i * across)
            w0, w1 = chip.weights[U(w + c0)], chip.weights[U(w + e1)]
            w2, w3 = chip.weights[U(w + e2)], chip.weights[U(w + e3)]
            o0, o1 = ONE if c0 != i else ZERO, ONE if c1 != i else ZERO
            o2, o3 = ONE if c2 != i else ZERO, ONE if c3 != i else ZERO
            d0 = d1 = d2 = d3 = ZERO
            b = U(0)
            while b < batch:
                s, v = U(seen + b * stride), U(heard + b * stride)
                post = memory[U(s + i)]
                d0 += np.float32(synapse(post, memory[U(s + c0)], w0, memory[U(v + c0)], o0))
                d1 += np.float32(synapse(post, memory[U(s + e1)], w1, memory[U(v + e1)], o1))
                d2 += np.float32(synapse(post, memory[U(s + e2)], w2, memory[U(v + e2)], o2))
                d3 += np.float32(synapse(post, memory[U(s + e3)], w3, memory[U(v + e3)], o3))
                b = U(b + 1)
            if through:
                place = U(table[at.WANTED] + place_of(table, here, i, U(0)))
                memory[U(place + c0)] = -rate * d0
                if c1 < n:
                    memory[U(place + c1)] = -rate * d1
                if c2 < n:
                    memory[U(place + c2)] = -rate * d2
                if c3 < n:
                    memory[U(place + c3)] = -rate * d3
            else:
                chip.weights[U(w + c0)] = w0 - rate * d0
                if c1 < n:
                    chip.weights[U(w + c1)] = w1 - rate * d1
                if c2 < n:
                    chip.weights[U(w + c2)] = w2 - rate * d2
                if c3 < n:
                    chip.weights[U(w + c3)] = w3 - rate * d3
            item = U(item + where.threads)

    return absorb_outlets
