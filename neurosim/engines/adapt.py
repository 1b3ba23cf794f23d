"""How weights change: columns of a panel at a time, when a step visits them."""

from __future__ import annotations

import numpy as np

from neurosim.engines.compile import invoke, loop
from neurosim.engines.plan import LOCAL, RETURN_TO_GO
from neurosim.engines.tables import CHUNK, Due, Scratch
from neurosim.engines.tiles import REPLICAS
from neurosim.engines.vectors import WIDTH, widely

OVER, WRITE, CLOCK = Due.OVER, Due.WRITE, Due.CLOCK
TURN, UPDATES = Due.TURN, Due.UPDATES
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
    pairs, lanes, rows = memory.signal.shape[1], memory.s.shape[0], memory.s.shape[1]
    rate, size = projections.rate[q], populations.size[pre] * WIDTH
    if not rate > 0:
        return
    row, at = populations.start[post] + panel * WIDTH, projections.start[q] + panel * size
    sent, of = memory.sent[turn(memory, projections.delay[q] + ago)], populations.start[pre] * lanes
    scale, weights = rate / np.float32(populations.lessons[post] * batch), memory.weights
    perturbed, signals = projections.perturbed[q], signals_of(system, q)
    drawn = scratch[DRAWN] if perturbed else scratch[NOTHING]
    local = populations.credit[post] == LOCAL and passes.schedule == 0
    plain = local and passes.optimiser == 0 and not passes.traces
    if not (plain and pairs == batch and batch in REPLICAS):
        for i in range(panels):
            gather(system, scratch, drawn, words, q, panel + i, begin, end, sent, of, scale / rate)
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
                signals + row + i * WIDTH, rows, memory.forming, post * pairs,
            ),
        )  # fmt: skip


@loop
def gather(system, scratch, drawn, words, q, panel, begin, end, sent, of, scale):
    """Sum changes before they go to the weights of a panel, now or later."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    populations, memory = system.populations, system.memory
    post, batch, over = projections.post[q], passes.batch, memory.due[OVER]
    pairs, lanes, rows = memory.signal.shape[1], memory.s.shape[0], memory.s.shape[1]
    row, credit = populations.start[post] + panel * WIDTH, populations.credit[post]
    signals, first = signals_of(system, q) + row, populations.first_lesson[post]
    at = projections.start[q] + panel * populations.size[projections.pre[q]] * WIDTH
    n = (end - begin) * WIDTH
    here, origin, change = at + begin * WIDTH, -begin * WIDTH, scratch[CHANGE, :n]
    clear(change)
    for k in range(first, first + populations.lessons[post]):
        if projections.perturbed[q]:
            draw_again(system, drawn, words, q, k, panel, begin, end)
        c = k * batch
        if passes.traces:
            for b in range(batch):
                invoke(
                    kernels.trace,
                    (
                        change, memory.eligibility[c + b], at, begin, end, sent, of + b, lanes,
                        drawn, PLANE, memory.signal, signals + (c + b) * rows, memory.forming,
                        post * pairs + c + b, memory.feedback, row + b * rows,
                        populations.keep[post],
                    ),
                )  # fmt: skip
            continue
        if credit == LOCAL:
            invoke(
                kernels.absorb,
                (
                    change, origin, change, origin, 0, 1, ONE, begin, end, batch, sent, of,
                    lanes, drawn, PLANE, memory.signal, signals + c * rows, rows,
                    memory.forming, post * pairs + c,
                ),
            )  # fmt: skip
            continue
        for b in range(batch):
            trace = memory.eligibility[c + b]
            if passes.decay != ONE:
                fade(trace[here : here + n], passes.decay)
            invoke(
                kernels.absorb,
                (
                    trace, at, trace, at, 0, 1, ONE, begin, end, 1, sent, of + b, lanes, drawn,
                    PLANE, memory.signal, signals + (c + b) * rows, rows, memory.forming,
                    post * pairs + c + b,
                ),
            )  # fmt: skip
            if credit == RETURN_TO_GO or over:
                add_scaled(change, memory.credited[post, c + b], trace[here : here + n])
            if over:
                clear(trace[here : here + n])
    if passes.schedule == 0:
        write(system, q, here, change, scale)
    else:
        owed = memory.owed[here : here + n]
        add_scaled(owed, ONE, change)
        if memory.due[WRITE]:
            write(system, q, here, owed, scale)
            clear(owed)


@loop
def write(system, q, here, change, scale):
    """Change weights by what is called for, as the optimiser makes of it."""
    passes, memory, n = system.passes, system.memory, change.size
    weights, rate = memory.weights[here : here + n], system.projections.rate[q]
    if passes.optimiser == 0:
        add_scaled(weights, -rate * scale, change)
        return
    invoke(
        system.kernels.optimise,
        (
            weights, memory.first[here : here + n], memory.second[here : here + n], change, n,
            scale, rate, passes.beta1, 1.0 - passes.beta1, passes.beta2, 1.0 - passes.beta2,
            memory.unbias, passes.epsilon,
        ),
    )  # fmt: skip


@loop
def signals_of(system, q):
    """Where in ``Memory.signal`` the signals for a projection begin."""
    signal = system.memory.signal
    return (1 + q) * signal.shape[1] * signal.shape[2] if system.passes.normalise > 0 else 0


@loop
def fade(values, factor):
    """Multiply numbers by a factor."""
    widely()
    for i in range(values.size):
        values[i] *= factor


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
