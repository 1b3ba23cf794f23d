"""How weights change: columns of a panel at a time, when a step visits them."""

from __future__ import annotations

import numpy as np

from neurosim.engines.compile import invoke, loop
from neurosim.engines.plan import LOCAL, RETURN_TO_GO
from neurosim.engines.tables import CHUNK, Due, Scratch
from neurosim.engines.tiles import REPLICAS
from neurosim.engines.vectors import WIDTH, widely

OVER, WRITE, CLOCK, TURN = Due.OVER, Due.WRITE, Due.CLOCK, Due.TURN
CHANGE, NOTHING, DRAWN = Scratch.CHANGE, Scratch.NOTHING, Scratch.DRAWN
PLANE = CHUNK // 4 * WIDTH  # see `neurosim.engines.draws.draw_weights`
ZERO, ONE = np.float32(0), np.float32(1)


@loop
def turn(memory, ago):
    """Where ``Memory.sent`` has what was sent so many steps ago."""
    return (memory.due[TURN] + 3 - ago) % 3


@loop
def clear(values):
    """Set numbers to zero."""
    for i in range(values.size):
        values[i] = ZERO


@loop
def add_scaled(values, factor, more):
    """Add `factor` times other numbers."""
    widely()
    for i in range(values.size):
        values[i] += factor * more[i]


@loop
def adapt(system, scratch, words, q, panel, panels, begin, end, ago):
    """Make the changes that the last step called for, in columns of some panels of synapses."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    populations, memory = system.populations, system.memory
    pre, post, batch = projections.pre[q], projections.post[q], passes.batch
    pairs, lanes, rows = memory.signal.shape[0], memory.s.shape[0], memory.s.shape[1]
    rate, size = projections.rate[q], populations.size[pre] * WIDTH
    if not rate > 0:
        return
    row, at = populations.start[post] + panel * WIDTH, projections.start[q] + panel * size
    sent, of = memory.sent[turn(memory, projections.delay[q] + ago)], populations.start[pre] * lanes
    scale, weights, perturbed = rate / np.float32(pairs), memory.weights, projections.perturbed[q]
    drawn = scratch[DRAWN] if perturbed else scratch[NOTHING]
    local = populations.credit[post] == LOCAL and passes.schedule == 0
    if not (local and pairs == batch and batch in REPLICAS):
        for i in range(panels):
            gather(system, scratch, drawn, words, q, panel + i, begin, end, sent, of, scale)
        return
    # Most often changes can go to the weights at once.
    for i in range(0, panels, 1 if perturbed else panels):
        if perturbed:
            draw_again(system, drawn, words, q, 0, panel + i, begin, end)
        invoke(
            kernels.absorb,
            (
                weights, at + i * size, weights, at + i * size, size, 1 if perturbed else panels,
                -scale, begin, end, batch, sent, of, lanes, drawn, PLANE, memory.signal,
                row + i * WIDTH, rows, memory.forming, post * pairs,
            ),
        )  # fmt: skip


@loop
def gather(system, scratch, drawn, words, q, panel, begin, end, sent, of, scale):
    """Sum changes before they go to the weights of a panel, now or later."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    populations, memory = system.populations, system.memory
    post, batch, over = projections.post[q], passes.batch, memory.due[OVER]
    pairs, lanes, rows = memory.signal.shape[0], memory.s.shape[0], memory.s.shape[1]
    row, credit = populations.start[post] + panel * WIDTH, populations.credit[post]
    at = projections.start[q] + panel * populations.size[projections.pre[q]] * WIDTH
    n = (end - begin) * WIDTH
    here, origin, change = at + begin * WIDTH, -begin * WIDTH, scratch[CHANGE, :n]
    clear(change)
    for k in range(pairs // batch):
        if projections.perturbed[q]:
            draw_again(system, drawn, words, q, k, panel, begin, end)
        c = k * batch
        if credit == LOCAL:
            invoke(
                kernels.absorb,
                (
                    change, origin, change, origin, 0, 1, ONE, begin, end, batch, sent, of,
                    lanes, drawn, PLANE, memory.signal, row + c * rows, rows, memory.forming,
                    post * pairs + c,
                ),
            )  # fmt: skip
            continue
        for b in range(batch):
            trace = memory.eligibility[c + b]
            invoke(
                kernels.absorb,
                (
                    trace, at, trace, at, 0, 1, ONE, begin, end, 1, sent, of + b, lanes, drawn,
                    PLANE, memory.signal, row + (c + b) * rows, rows, memory.forming,
                    post * pairs + c + b,
                ),
            )  # fmt: skip
            if credit == RETURN_TO_GO or over:
                add_scaled(change, memory.credited[post, c + b], trace[here : here + n])
            if over:
                clear(trace[here : here + n])
    weights = memory.weights[here : here + n]
    if passes.schedule == 0:
        add_scaled(weights, -scale, change)
    else:
        owed = memory.owed[here : here + n]
        add_scaled(owed, ONE, change)
        if memory.due[WRITE]:
            add_scaled(weights, -scale, owed)
            clear(owed)


@loop
def draw_again(system, drawn, words, q, k, panel, begin, end):
    """Draw the weight noise of the last step."""
    passes, projections, memory = system.passes, system.projections, system.memory
    invoke(
        system.kernels.draw_weights,
        (
            drawn, PLANE, words, passes.noise_gain * passes.noise_std,
            passes.seed, projections.noise_stream[q], memory.due[CLOCK], k, panel * WIDTH,
            system.populations.size[projections.pre[q]], begin, end,
        ),
    )  # fmt: skip


@loop
def adapt_outlets(system, scratch, p, panel, panels, begin, end, ago):
    """Do the same for decorrelating synapses."""
    kernels, passes = system.kernels, system.passes
    populations, memory = system.populations, system.memory
    start, batch, rate = populations.start[p], passes.batch, populations.decorrelation_rate
    lanes, rows, size = memory.s.shape[0], memory.s.shape[1], populations.stride[p] * WIDTH
    sent, weights = memory.sent[turn(memory, ago)], memory.weights
    at, row = populations.decorrelation[p] + panel * size, start + panel * WIDTH
    if batch in REPLICAS:
        invoke(
            kernels.absorb_outlets,
            (
                weights, at, weights, at, size, panels, -rate, begin, end, batch, sent,
                start * lanes, lanes, memory.heard, start * batch, memory.posted, row, rows,
                weights, at, panel * WIDTH,
            ),
        )  # fmt: skip
        return
    n, change = (end - begin) * WIDTH, scratch[CHANGE]
    for i in range(panels):
        here = at + i * size + begin * WIDTH
        clear(change[:n])
        invoke(
            kernels.absorb_outlets,
            (
                change, -begin * WIDTH, change, -begin * WIDTH, 0, 1, ONE, begin, end, batch,
                sent, start * lanes, lanes, memory.heard, start * batch, memory.posted,
                row + i * WIDTH, rows, weights, at + i * size, (panel + i) * WIDTH,
            ),
        )  # fmt: skip
        add_scaled(weights[here : here + n], -rate, change)
