"""Where a thread finds things, and which of them are its block's."""

from __future__ import annotations

from neurosim.engines.cuda import at
from neurosim.engines.cuda.language import CHUNK, HALF, U, part


@part
def population(table, p):
    """Start of a population's table."""
    return U(table[at.POPULATIONS] + p * at.PER_POPULATION)


@part
def matrix(table, m):
    """Start of a matrix's table."""
    return U(table[at.MATRICES] + m * at.PER_MATRIX)


@part
def home(table, p, block):
    """Start of a population's rows; every block has its own copy of those it works out alone."""
    here = population(table, p)
    return U(table[U(here + at.HOME)] + block * table[U(here + at.COPY)])


@part
def desk(table, block):
    """Start of what a block's own teacher works with."""
    return U(table[at.DESK] + block * table[at.DESK_SIZE])


@part
def first_chunk(table, p, block, blocks):
    """First of the chunks of neurons that are a block's."""
    here = population(table, p)
    if table[U(here + at.EVERYWHERE)]:
        return U(0)
    return U(table[U(here + at.CHUNKS)] * block // blocks)


@part
def stop_chunk(table, p, block, blocks):
    """The one after the last."""
    here = population(table, p)
    if table[U(here + at.EVERYWHERE)]:
        return table[U(here + at.CHUNKS)]
    return U(table[U(here + at.CHUNKS)] * (block + 1) // blocks)


@part
def first_unit(table, p, where):
    """First of the neurons that are a block's."""
    size = table[U(population(table, p) + at.SIZE)]
    return U(min(size, U(CHUNK * first_chunk(table, p, where.block, where.blocks))))


@part
def stop_unit(table, p, where):
    """The one after the last."""
    size = table[U(population(table, p) + at.SIZE)]
    return U(min(size, U(CHUNK * stop_chunk(table, p, where.block, where.blocks))))


@part
def slot(steps, t, ago, slots):
    """Which of so many slots that take turns a step has, `ago` steps before it."""
    return U((steps[at.TURN] + t + slots - ago) % slots)


@part
def sent_row(table, steps, t, ago):
    """First row, one for each lane, of what was sent `ago` steps before a step."""
    slots = table[at.SLOTS]
    return U(table[at.ROW_SENT] + slot(steps, t, ago, slots) * table[at.LANES])


@part
def seen_row(table, steps, t, ago):
    """First row of what rules see of that."""
    slots = table[at.SEEN_SLOTS]
    return U(table[at.ROW_SEEN] + slot(steps, t, ago, slots) * table[at.WIDE])


@part
def lane_then(table, t, ago, lane):
    """Lane from which something sent `ago` steps ago reaches a lane.

    Where perturbed passes were set back to the baseline since then, it is the baseline's.
    """
    every = table[at.RESYNC]
    if every > 0 and ago > 0 and t % every < ago:
        return U(lane % table[at.BATCH])
    return lane


@part
def set_back_then(chip, t, ago):
    """Whether passes were set back after what arrived in the step that is learned from was sent.

    It was sent `ago` steps before that one, and reached every pass from the baseline.
    """
    return step_entry(chip.steps, t, at.SINCE_THEN) < ago


@part
def pre_lane(chip, here, t):
    """First of the lanes that stand for what a synapse transmitted in the step learned from."""
    if set_back_then(chip, t, chip.table[U(here + at.DELAY)]):
        return U(0)
    return chip.table[at.PRE_LANE]


@part
def step_entry(steps, t, entry):
    """What is to happen in a step."""
    return steps[U(steps[at.TIMES] + t * at.PER_STEP + entry)]


@part
def changes_of(chip, t):
    """Where a step's numbers that go into changes of weights begin."""
    return U(chip.steps[at.DATA_CHANGES] + t * (at.RATES + chip.table[at.N_PROJECTIONS]))


@part
def learning_rate(chip, m, t):
    """Rate of a projection's changes in a step."""
    return chip.data[U(changes_of(chip, t) + at.RATES + m)]


@part
def matrix_value(chip, m, entry):
    """A number that belongs to a matrix."""
    return chip.values[U(chip.steps[at.MATRIX_VALUES] + m * at.PER_MATRIX_VALUES + entry)]


@part
def population_value(chip, p, entry):
    """A number that belongs to a population."""
    start = chip.steps[at.POPULATION_VALUES]
    return chip.values[U(start + p * at.PER_POPULATION_VALUES + entry)]


@part
def origin(table, m, where):
    """Where a matrix would begin among the numbers that hold it, for this block."""
    here = matrix(table, m)
    if table[U(here + at.RESIDENT)]:
        first = CHUNK * first_chunk(table, table[U(here + at.POST)], where.block, where.blocks)
        return U(table[U(here + at.LOCAL)] - U(first * table[U(here + at.ROW_STRIDE)]))
    return table[U(here + at.GLOBAL)]


@part
def mean_seen(table, memory, row, stride, unit, b):
    """What rules see of what a unit sent in a replica; of two noisy passes, the mean."""
    value = memory[U(row + b * stride + unit)]
    if table[at.BOTH]:
        return HALF * (value + memory[U(row + (table[at.BATCH] + b) * stride + unit)])
    return value
