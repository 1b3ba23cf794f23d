"""Phases in which neurons sum what synapses let through.

The sums of a block's neurons are shared by its threads: a *tile* is `CHUNK` neurons in some
lanes, a *slice* every so-many-th column. A thread sums one slice of one tile, in registers, and
`fold` adds the slices up, always in the same order: which sums are whose changes no bit.
Tiles are written out from a template; by hand that would be unreadable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from neurosim import noise
from neurosim.engines.compile import compiled
from neurosim.engines.cuda import at, language, places
from neurosim.engines.cuda.language import CHUNK, ONE, ZERO, U, fused, part
from neurosim.engines.cuda.on_neurons import draw, normal, uniform
from neurosim.engines.cuda.places import (
    first_chunk,
    first_unit,
    home,
    lane_then,
    matrix,
    matrix_value,
    origin,
    population,
    seen_row,
    sent_row,
    stop_chunk,
    stop_unit,
)
from neurosim.substrate.events import arrives_later as _arrives_later
from neurosim.substrate.events import arrives_now as _arrives_now
from neurosim.substrate.weight_reading import w_read_noise as _w_read_noise

AHEAD = 4  # columns whose numbers are asked for together

arrives_now = compiled(_arrives_now, exact=True)
arrives_later = compiled(_arrives_later, exact=True)
w_read_noise = compiled(_w_read_noise, exact=True)
weight_index = compiled(noise.weight_index, exact=True)
_words = compiled(noise.words, exact=True)
_normal_pair = compiled(noise.normal_pair, exact=True)
_sign = compiled(noise.sign, exact=True)


@part
def source_row(table, steps, m, t):
    """First row of what goes into a matrix."""
    here = matrix(table, m)
    if table[U(here + at.RECURRENT)]:
        return sent_row(table, steps, t, table[U(here + at.DELAY)])
    return table[U(here + at.SOURCE)]


@part
def source_lane(table, m, t, lane):
    """Lane that a lane's input comes from."""
    here = matrix(table, m)
    if table[U(here + at.RECURRENT)]:
        return lane_then(table, t, table[U(here + at.DELAY)], lane)
    return lane


@part
def lesson_of(table, m, pass_):
    """1 + the comparison whose noise a pass has on a matrix's weights, 0 without."""
    here = matrix(table, m)
    if not table[U(here + at.PERTURBED)]:
        return U(0)
    own = population(table, table[U(here + at.POST)])
    k = table[U(table[at.PASS_TABLE] + pass_)]
    first = table[U(own + at.FIRST_LESSON)]
    return k if first < k and k <= first + table[U(own + at.LESSONS)] else U(0)


@part
def four_draws(distribution, seed, stream, step, pass_, index):
    """Draw for four weights next to each other, the first of which has an `index` of a block."""
    if distribution == noise.RADEMACHER:
        w0, w1, w2, w3 = _words(seed, stream, step, pass_, 0, index >> 7)
        which, bit = (index >> 5) & 3, index & 31
        word = w0 if which == 0 else (w1 if which == 1 else (w2 if which == 2 else w3))
        return _sign(word, bit), _sign(word, bit + 1), _sign(word, bit + 2), _sign(word, bit + 3)
    w0, w1, w2, w3 = _words(seed, stream, step, pass_, 0, index >> 2)
    z0, z1 = _normal_pair(w0, w1)
    z2, z3 = _normal_pair(w2, w3)
    return z0, z1, z2, z3


# ------------------------------------------------------------------------- tiles

_TILE = """
table, memory = chip.table, chip.memory
here = matrix(table, m)
{setting}
lanes, tiles, slices = {lanes}, {tiles}, table[at.SLICES]
first, stop = first_chunk(table, {owner}, *place), stop_chunk(table, {owner}, *place)
all_tiles, item = U((stop - first) * tiles), where.thread
while item < U(table[at.TILES] * slices):
    tile, slice = U(where.round * table[at.TILES] + item // slices), U(item % slices)
    if tile < all_tiles:
        chunk, lane = U(first + tile // tiles), U(tile % tiles)
        {tile}
        {sums} = ({zeros})
        j = {begin}
        {ahead}
        while j < n:
            {body}
            j = U(j + {step})
        out = U(item // slices * {size} * (slices + 1) + slice)
        {store}
    item = U(item + where.threads)
"""


def _indented(lines: list[str], template: str, name: str) -> str:
    """Lines that take the place of a name in a template, as far in as it is."""
    line = next(line for line in template.splitlines() if f"{{{name}}}" in line)
    return ("\n" + " " * (len(line) - len(line.lstrip()))).join(lines)


def _products(across: int, load: Callable[[int, str], str], source: str = "s") -> dict[str, Any]:
    """Lines of a loop over columns, alone and with the loads of some columns ahead of products.

    A number takes its time to come from memory: a thread asks for many before it needs the first.
    """

    def columns(count: int) -> list[str]:
        j = [f"j{u}" for u in range(count)]
        lines = [f"j{u} = U(j + {u} * slices)" for u in range(count)]
        lines += [f"w{a}_{u} = {load(a, j[u])}" for u in range(count) for a in range(CHUNK)]
        lines += [
            f"sent{b}_{u} = memory[U({source}{b} + {j[u]})]"
            for u in range(count)
            for b in range(across)
        ]
        return lines + [
            f"t{a}_{b} = fused(w{a}_{u}, sent{b}_{u}, t{a}_{b})"
            for u in range(count)
            for b in range(across)
            for a in range(CHUNK)
        ]

    many = [f"while U(j + {AHEAD - 1} * slices) < n:", *[f"    {x}" for x in columns(AHEAD)]]
    many.append(f"    j = U(j + {AHEAD} * slices)")
    return {"ahead": many, "body": columns(1), "begin": "slice", "step": "slices"}


def _tiled(name: str, across: int, **given: Any) -> Callable[..., None]:
    """Write out a phase that sums tiles of so many lanes."""
    r, i = range(CHUNK), range(across)
    names = [f"t{a}_{b}" for a in r for b in i]
    store = [f"chip.scratch[U(out + {k} * (slices + 1))] = {t}" for k, t in enumerate(names)]
    filled = {key: _indented(v, _TILE, key) for key, v in given.items() if isinstance(v, list)}
    text = _TILE.format(
        **{**given, **filled},
        sums=", ".join(names),
        zeros=", ".join(["ZERO"] * len(names)),
        size=CHUNK * across,
        store=_indented(store, _TILE, "store"),
    )
    body = "\n".join(f"    {line}" for line in text.strip().splitlines())
    scope = {**vars(language), **vars(places), **globals()}
    exec(f"def {name}(chip, where, m, t):\n    place = where.block, where.blocks\n{body}", scope)
    return scope[name]


@cache
def multiply(lanes: int) -> Callable[..., None]:
    """Sum what matrices let through: ``sum over columns of weight[row, column] * sent[column]``."""
    i, r = range(lanes), range(CHUNK)
    return _tiled(
        "multiply",
        lanes,
        owner="table[U(here + at.POST)]",
        lanes="table[at.LANES]",
        tiles="table[U(here + at.LANE_TILES)]",
        setting=[
            "pre, start, across = table[U(here + at.PRE)], origin(table, m, where), "
            "table[U(here + at.ROW_STRIDE)]",
            "n, stride = table[U(here + at.COLUMNS)], table[U(population(table, pre) + at.STRIDE)]",
            "source = source_row(table, chip.steps, m, t)",
            "rows = U(home(table, pre, where.block) + source * stride)",
        ],
        tile=[
            f"w0 = U(start + chunk * {CHUNK} * across)",
            *[f"w{a} = U(w{a - 1} + across)" for a in r if a],
            *[
                f"s{b} = U(rows + source_lane(table, m, t, min(lanes - 1, lane * {lanes} + {b}))"
                " * stride)"
                for b in i
            ],
        ],
        **_products(lanes, lambda a, j: f"chip.weights[U(w{a} + {j})]"),
    )


@cache
def multiply_noisy(lanes: int) -> Callable[..., None]:
    """Do the same with noise on every weight, another for each comparison."""
    i, r = range(lanes), range(CHUNK)
    return _tiled(
        "multiply_noisy",
        lanes,
        owner="table[U(here + at.POST)]",
        lanes="table[at.LANES]",
        tiles="table[U(here + at.LANE_TILES)]",
        setting=[
            "pre, start, across = table[U(here + at.PRE)], origin(table, m, where), "
            "table[U(here + at.ROW_STRIDE)]",
            "n, stride = table[U(here + at.COLUMNS)], table[U(population(table, pre) + at.STRIDE)]",
            "source = source_row(table, chip.steps, m, t)",
            "rows = U(home(table, pre, where.block) + source * stride)",
            "batch, clock = table[at.BATCH], U(chip.steps[at.CLOCK] + t)",
            f"tiles_of_pass = U((batch + {lanes - 1}) // {lanes})",
            "stream, std = table[U(here + at.STREAM_WEIGHTS)], chip.values[at.NOISE_STD]",
        ],
        tile=[
            "pass_ = U(lane // tiles_of_pass)",
            "k = lesson_of(table, m, pass_)",
            "scale = std * chip.values[U(at.N_VALUES + pass_)]",
            f"w0 = U(start + chunk * {CHUNK} * across)",
            *[f"w{a} = U(w{a - 1} + across)" for a in r if a],
            f"b0 = U(lane % tiles_of_pass * {lanes})",
            *[
                f"s{b} = U(rows + source_lane(table, m, t, U(pass_ * batch + "
                f"min(batch - 1, b0 + {b}))) * stride)"
                for b in i
            ],
        ],
        ahead=[],
        begin=f"U({CHUNK} * slice)",
        step=f"{CHUNK} * slices",
        body=[
            *[f"z{a}_0 = z{a}_1 = z{a}_2 = z{a}_3 = ZERO" for a in r],
            "if k > 0:",
            *[
                f"    z{a}_0, z{a}_1, z{a}_2, z{a}_3 = four_draws(table[at.DISTRIBUTION], "
                "chip.steps[at.SEED], stream, clock, k - 1, "
                f"U(weight_index(chunk * {CHUNK} + {a}, j, n)))"
                for a in r
            ],
            *[
                line
                for c in range(CHUNK)
                for line in [
                    f"if j + {c} < n:",
                    *[f"    sent{b} = memory[U(s{b} + j + {c})]" for b in i],
                    *[
                        line
                        for a in r
                        for line in [
                            f"    weight = chip.weights[U(w{a} + j + {c})] + scale * z{a}_{c}",
                            *[f"    t{a}_{b} = fused(weight, sent{b}, t{a}_{b})" for b in i],
                        ]
                    ],
                ]
            ],
        ],
    )


@cache
def send_back(lanes: int) -> Callable[..., None]:
    """Sum what neurons hear back: ``sum over rows of s[row] * weight[row, column]``.

    Columns of D are read where everyone's rows of it are: in memory.
    """
    i = range(lanes)
    return _tiled(
        "send_back",
        lanes,
        owner="table[U(here + at.POST)]",
        lanes="table[at.BATCH]",
        tiles=f"U((table[at.BATCH] + {lanes - 1}) // {lanes})",
        setting=[
            "own, across = table[U(here + at.POST)], table[U(here + at.ROW_STRIDE)]",
            "n, stride = table[U(here + at.ROWS)], table[U(population(table, own) + at.STRIDE)]",
            "seen = seen_row(table, chip.steps, t, U(0))",
            "rows = U(home(table, own, where.block) + seen * stride)",
        ],
        tile=[
            f"column = U(table[U(here + at.GLOBAL)] + chunk * {CHUNK})",
            *[f"s{b} = U(rows + min(lanes - 1, lane * {lanes} + {b}) * stride)" for b in i],
        ],
        **_products(lanes, lambda a, j: f"memory[U(column + {j} * across + {a})]"),
    )


def _folded(lanes: int, back: bool, of_pass: bool) -> Callable[..., None]:
    """Make the phase that adds up the slices of tiles."""
    size = CHUNK * lanes

    def fold(chip, where, m, t):
        table, memory, scratch = chip.table, chip.memory, chip.scratch
        here, slices = matrix(table, m), table[at.SLICES]
        p, batch = table[U(here + at.POST)], table[at.BATCH]
        own = population(table, p)
        first = first_chunk(table, p, where.block, where.blocks)
        stop = stop_chunk(table, p, where.block, where.blocks)
        tiles = table[U(here + at.LANE_TILES)]
        tiles = U((batch + lanes - 1) // lanes) if back else tiles
        row = table[at.ROW_HEARD] if back else table[U(here + at.TARGET)]
        target, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
        item = where.thread
        while item < U(table[at.TILES] * size):
            tile, which = U(where.round * table[at.TILES] + item // size), U(item % size)
            unit = U((first + tile // tiles) * CHUNK + which // lanes)
            lane, most = U(tile % tiles * lanes + which % lanes), table[at.LANES]
            if back:
                most = batch
            if of_pass:
                of = U((batch + lanes - 1) // lanes)
                b = U(tile % tiles % of * lanes + which % lanes)
                lane = U(tile % tiles // of * batch + b)
                most = U(lane + 1) if b < batch else U(0)
            if tile < U((stop - first) * tiles) and lane < most and unit < table[U(own + at.SIZE)]:
                total, k = ZERO, U(0)
                while k < slices:
                    total = total + scratch[U(item * (slices + 1) + k)]
                    k = U(k + 1)
                place = U(target + (row + lane) * stride + unit)
                # What is decorrelated consists of this sum alone.
                whole = back or table[U(here + at.DECORRELATES)] > 0
                memory[place] = total if whole else memory[place] + total
            item = U(item + where.threads)

    return fold


@cache
def fold(lanes: int) -> Callable[..., None]:
    """Add up what `multiply` summed."""
    return _folded(lanes, False, False)


@cache
def fold_noisy(lanes: int) -> Callable[..., None]:
    """Add up what `multiply_noisy` summed."""
    return _folded(lanes, False, True)


@cache
def fold_back(lanes: int) -> Callable[..., None]:
    """Add up what `send_back` summed."""
    return _folded(lanes, True, False)


def deliver(chip, where, m, t):
    """Sum what matrices let through, one sum a thread: what tiles cannot do.

    Matrices with few columns; weights that are noisy when they are read; events that get lost.
    """
    table, values, steps, memory = chip.table, chip.values, chip.steps, chip.memory
    here, batch = matrix(table, m), table[at.BATCH]
    p, pre = table[U(here + at.POST)], table[U(here + at.PRE)]
    clock, seed = U(steps[at.CLOCK] + t), chip.steps[at.SEED]
    n, across = table[U(here + at.COLUMNS)], table[U(here + at.ROW_STRIDE)]
    rows, stride = home(table, p, where.block), table[U(population(table, p) + at.STRIDE)]
    of, wide = home(table, pre, where.block), table[U(population(table, pre) + at.STRIDE)]
    first, stop = first_unit(table, p, where), stop_unit(table, p, where)
    start, source = origin(table, m, where), source_row(table, steps, m, t)
    loses, delay = table[U(here + at.LOSES)], table[U(here + at.DELAY)]
    before = sent_row(table, steps, t, U(delay + 1))
    sigma, relative = matrix_value(chip, m, at.W_READ_NOISE), values[at.READ_RELATIVE]
    item, own = where.thread, U(stop - first)
    while item < U(own * table[at.LANES]):
        lane, unit = U(item // own), U(first + item % own)
        pass_, b = U(lane // batch), U(lane % batch)
        k = lesson_of(table, m, pass_)
        scale = values[at.NOISE_STD] * values[U(at.N_VALUES + pass_)]
        now = U(of + (source + source_lane(table, m, t, lane)) * wide)
        then = U(of + (before + lane_then(table, t, U(delay + 1), lane)) * wide)
        total, met, through, j = ZERO, ZERO, ZERO, U(0)
        while j < n:
            weight, sent = chip.weights[U(start + unit * across + j)], memory[U(now + j)]
            if loses:
                late = memory[U(then + j)]
                index = U(weight_index(unit, j, n))
                sent = arrived(chip, here, clock, pass_, b, index, sent, late)
            passed = weight * sent
            met = met + sent * sent
            through = through + passed * passed
            if k > 0:
                weight = weight + scale * draw(
                    table[at.DISTRIBUTION], seed, table[U(here + at.STREAM_WEIGHTS)], clock,
                    k - 1, 0, U(weight_index(unit, j, n)),
                )  # fmt: skip
            total = fused(weight, sent, total)
            j = U(j + 1)
        place = U(rows + (table[U(here + at.TARGET)] + lane) * stride + unit)
        if not table[U(here + at.DECORRELATES)]:
            total = memory[place] + total
        if sigma > ZERO:
            drawn = normal(seed, table[U(here + at.STREAM_READ)], clock, pass_, b, unit)
            total = np.float32(w_read_noise(total, sigma, met, drawn))
        if relative > ZERO:
            drawn = normal(seed, table[U(here + at.STREAM_RELATIVE)], clock, pass_, b, unit)
            total = np.float32(w_read_noise(total, relative, through, drawn))
        memory[place] = total
        item = U(item + where.threads)


@part
def arrived(chip, here, clock, pass_, b, index, sent, late):
    """What arrives at a synapse of what was sent now and a step before."""
    table, values, seed = chip.table, chip.values, chip.steps[at.SEED]
    loss, jitter = values[at.EVENT_LOSS], values[at.EVENT_JITTER]
    lossy, jittery = table[U(here + at.STREAM_LOSS)], table[U(here + at.STREAM_JITTER)]
    # Draws of 1 neither lose nor delay anything.
    lost = delayed = lost_before = delayed_before = ONE
    if loss > ZERO:
        lost = uniform(seed, lossy, clock, pass_, b, index)
    if jitter > ZERO:
        delayed = uniform(seed, jittery, clock, pass_, b, index)
        delayed_before = uniform(seed, jittery, clock - 1, pass_, b, index)
        if loss > ZERO:
            lost_before = uniform(seed, lossy, clock - 1, pass_, b, index)
    value = sent if arrives_now(lost, loss, delayed, jitter) else ZERO
    if jitter > ZERO and arrives_later(lost_before, loss, delayed_before, jitter):
        value = value + late
    return value


# ----------------------------------------------------- sums over all chunks of neurons


def contribute(chip, where, m, t):
    """What a chunk of neurons lets through to the outputs, each of which will sum the parts."""
    table, memory, batch = chip.table, chip.memory, chip.table[at.BATCH]
    here = matrix(table, m)
    pre, outputs, lanes = table[U(here + at.PRE)], table[U(here + at.ROWS)], table[at.LANES]
    size, across = table[U(here + at.COLUMNS)], table[U(here + at.ROW_STRIDE)]
    stride, chunks = (
        table[U(population(table, pre) + at.STRIDE)],
        table[U(population(table, pre) + at.CHUNKS)],
    )
    apart = table[U(here + at.PARTS_APART)]
    first = first_chunk(table, pre, where.block, where.blocks)
    own = U(stop_chunk(table, pre, where.block, where.blocks) - first)
    rows = U(home(table, pre, where.block) + source_row(table, chip.steps, m, t) * stride)
    parts = U(table[U(here + at.PARTS)] + (chip.steps[at.TURN] + t) % 2 * chunks * apart)
    clock, item = U(chip.steps[at.CLOCK] + t), where.thread
    while item < U(own * lanes * outputs):
        chunk, entry = U(first + item // (lanes * outputs)), U(item % (lanes * outputs))
        lane, o = U(entry // outputs), U(entry % outputs)
        pass_, j = U(lane // batch), U(CHUNK * chunk)
        k, then = lesson_of(table, m, pass_), source_lane(table, m, t, lane)
        sent, weight = U(rows + then * stride + j), U(table[U(here + at.GLOBAL)] + o * across + j)
        scale = chip.values[at.NOISE_STD] * chip.values[U(at.N_VALUES + pass_)]
        z0 = z1 = z2 = z3 = ZERO
        if k > 0:
            z0, z1, z2, z3 = four_draws(
                table[at.DISTRIBUTION], chip.steps[at.SEED],
                table[U(here + at.STREAM_WEIGHTS)], clock, k - 1, U(weight_index(o, j, size)),
            )  # fmt: skip
        # Beyond the last neuron nothing is sent, and weights are zero.
        total = (memory[weight] + scale * z0) * memory[sent]
        total = fused(memory[U(weight + 1)] + scale * z1, memory[U(sent + 1)], total)
        total = fused(memory[U(weight + 2)] + scale * z2, memory[U(sent + 2)], total)
        total = fused(memory[U(weight + 3)] + scale * z3, memory[U(sent + 3)], total)
        memory[U(parts + chunk * apart + entry)] = total
        item = U(item + where.threads)


def measure(chip, where, p, t):
    """Squared change of a chunk's pre-activations, per comparison and replica."""
    table = chip.table
    own = population(table, p)
    parts, apart = table[U(own + at.POWER_PARTS)], table[U(own + at.POWER_APART)]
    _squares(chip, where, p, t, table[at.ROW_READ_A], parts, apart)


def measure_activity(chip, where, p, t):
    """Squared change of a chunk's activities."""
    table = chip.table
    parts = table[U(population(table, p) + at.CHANGED_PARTS)]
    _squares(chip, where, p, t, table[at.ROW_READ_X], parts, table[at.PAIRS])


@part
def _squares(chip, where, p, t, row, parts, apart):
    table, memory, batch, pairs = (
        chip.table,
        chip.memory,
        chip.table[at.BATCH],
        chip.table[at.PAIRS],
    )
    own = population(table, p)
    here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first = first_chunk(table, p, where.block, where.blocks)
    n = U(stop_chunk(table, p, where.block, where.blocks) - first)
    parts = U(parts + (chip.steps[at.TURN] + t) % 2 * table[U(own + at.CHUNKS)] * apart)
    comparisons, item = table[at.COMPARISON_TABLE], where.thread
    while item < U(n * pairs):
        chunk, c = U(first + item // pairs), U(item % pairs)
        k, b = U(c // batch), U(c % batch)
        one = U(here + (row + table[U(comparisons + 2 * k)] * batch + b) * stride)
        other = U(here + (row + table[U(comparisons + 2 * k + 1)] * batch + b) * stride)
        # Beyond the last neuron both are zero.
        i, j = U(one + CHUNK * chunk), U(other + CHUNK * chunk)
        d0, d1 = memory[j] - memory[i], memory[U(j + 1)] - memory[U(i + 1)]
        d2, d3 = memory[U(j + 2)] - memory[U(i + 2)], memory[U(j + 3)] - memory[U(i + 3)]
        total = fused(d3, d3, fused(d2, d2, fused(d1, d1, d0 * d0)))
        memory[U(parts + chunk * apart + c)] = total
        item = U(item + where.threads)


def explain(chip, where, p, t):
    """What a chunk's feedback weights make of its changes in activity, output by output."""
    table, memory, batch, pairs = (
        chip.table,
        chip.memory,
        chip.table[at.BATCH],
        chip.table[at.PAIRS],
    )
    own, row, outputs = population(table, p), table[at.ROW_READ_X], table[at.OUTPUTS]
    here, stride = home(table, p, where.block), table[U(own + at.STRIDE)]
    first = first_chunk(table, p, where.block, where.blocks)
    n, size = U(stop_chunk(table, p, where.block, where.blocks) - first), U(pairs * outputs)
    parts = U(
        table[U(own + at.EXPLAINED_PARTS)]
        + (chip.steps[at.TURN] + t) % 2 * table[U(own + at.CHUNKS)] * size
    )
    comparisons, item = table[at.COMPARISON_TABLE], where.thread
    while item < U(n * size):
        chunk, entry = U(first + item // size), U(item % size)
        c, o = U(entry // outputs), U(entry % outputs)
        k, b = U(c // batch), U(c % batch)
        one = U(here + (row + table[U(comparisons + 2 * k)] * batch + b) * stride)
        other = U(here + (row + table[U(comparisons + 2 * k + 1)] * batch + b) * stride)
        guesses = U(here + (table[at.ROW_GUESSES] + o) * stride)
        unit, total = U(CHUNK * chunk), ZERO
        stop = U(min(table[U(own + at.SIZE)], unit + CHUNK))
        while unit < stop:
            change = memory[U(other + unit)] - memory[U(one + unit)]
            total = fused(memory[U(guesses + unit)], change, total)
            unit = U(unit + 1)
        memory[U(parts + chunk * size + entry)] = total
        item = U(item + where.threads)


@part
def _reduction(table, z):
    return U(table[at.REDUCTIONS] + z * at.PER_REDUCTION)


def reduce(chip, where, z, t):
    """Sum slices of the parts that chunks of neurons have left, for all blocks the same."""
    table, memory, slices = chip.table, chip.memory, chip.table[at.SLICES]
    here = _reduction(table, z)
    entries, count = table[U(here + at.ENTRIES)], table[U(here + at.COUNT)]
    parts = U(table[U(here + at.FROM)] + (chip.steps[at.TURN] + t) % 2 * count * entries)
    first = U(where.round * table[at.SUMS])
    own, item = U(min(table[at.SUMS], U(entries - first))), where.thread
    while item < U(own * slices):
        # Neighbours take neighbouring sums: parts lie that way.
        entry, slice = U(item % own), U(item // own)
        place, total, k = U(parts + first + entry), ZERO, slice
        while k < count:
            # All are asked for before the first is needed, some of them in vain.
            k1, k2, k3 = U(k + slices), U(k + 2 * slices), U(k + 3 * slices)
            v0, v1 = memory[U(place + k * entries)], memory[U(place + min(k1, count - 1) * entries)]
            v2 = memory[U(place + min(k2, count - 1) * entries)]
            v3 = memory[U(place + min(k3, count - 1) * entries)]
            total = total + v0
            total = total + (v1 if k1 < count else ZERO)
            total = total + (v2 if k2 < count else ZERO)
            total = total + (v3 if k3 < count else ZERO)
            k = U(k3 + slices)
        chip.scratch[U(entry * (slices + 1) + slice)] = total
        item = U(item + where.threads)


def conclude(chip, where, z, t):
    """Add the slices up, and put each sum where it belongs."""
    table, memory, slices = chip.table, chip.memory, chip.table[at.SLICES]
    here, item = _reduction(table, z), where.thread
    while item < table[at.SUMS]:
        which = U(where.round * table[at.SUMS] + item)
        if which < table[U(here + at.ENTRIES)]:
            total, k = ZERO, U(0)
            while k < slices:
                total = total + chip.scratch[U(item * (slices + 1) + k)]
                k = U(k + 1)
            sums = table[U(here + at.OF_OUTPUTS)]
            if which >= sums:
                start = U(table[at.DESK] + where.block * table[at.DESK_SIZE])
                memory[U(start + table[U(here + at.TO_DESK)] + which - sums)] = total
            else:
                p, width = U(table[at.N_POPULATIONS] - 1), table[at.OUTPUTS]
                stride = table[U(population(table, p) + at.STRIDE)]
                row = U(table[at.ROW_A] + which // width)
                place = U(home(table, p, where.block) + row * stride + which % width)
                memory[place] = memory[place] + total
        item = U(item + where.threads)


def square_seen(chip, where, m, t):
    """Sum slices of the power of what a projection transmitted, replica by replica."""
    table, steps, memory, slices = chip.table, chip.steps, chip.memory, chip.table[at.SLICES]
    here = matrix(table, m)
    pre, n = table[U(here + at.PRE)], table[U(here + at.COLUMNS)]
    rows, stride = home(table, pre, where.block), table[U(population(table, pre) + at.STRIDE)]
    ago = U(table[U(here + at.DELAY)] + places.step_entry(steps, t, at.AGO))
    seen, item = U(rows + seen_row(table, steps, t, ago) * stride), where.thread
    back = places.set_back_then(chip, t, table[U(here + at.DELAY)])
    while item < U(table[at.SUMS] * slices):
        entry, slice = U(item // slices), U(item % slices)
        b = U(where.round * table[at.SUMS] + entry)
        if b < table[at.BATCH]:
            total, j = ZERO, slice
            while j < n:
                value = memory[U(seen + b * stride + j)]
                if not back:
                    value = places.mean_seen(table, memory, seen, stride, j, b)
                total = fused(value, value, total)
                j = U(j + slices)
            chip.scratch[U(entry * (slices + 1) + slice)] = total
        item = U(item + where.threads)


def divide_by(chip, where, m, t):
    """Add the slices up to what signals are divided by."""
    table, memory, slices = chip.table, chip.memory, chip.table[at.SLICES]
    start = U(table[at.DESK] + where.block * table[at.DESK_SIZE] + table[at.DESK_DIVISOR])
    item = where.thread
    while item < table[at.SUMS]:
        b = U(where.round * table[at.SUMS] + item)
        if b < table[at.BATCH]:
            total, k = chip.values[at.NORMALISE], U(0)
            while k < slices:
                total = total + chip.scratch[U(item * (slices + 1) + k)]
                k = U(k + 1)
            memory[U(start + m * table[at.BATCH] + b)] = total
        item = U(item + where.threads)
