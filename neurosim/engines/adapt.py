"""How weights change: columns of a panel at a time, when a step visits them."""

from __future__ import annotations

import numpy as np

from neurosim.engines.compile import invoke, loop
from neurosim.engines.devices import PLANE, arrived_mean, of_turn, set_back, write_devices
from neurosim.engines.memory import Due, Scratch
from neurosim.engines.plan import LOCAL, RETURN_TO_GO
from neurosim.engines.tiles import REPLICAS
from neurosim.engines.vectors import WIDTH, widely

OVER, WRITE, CLOCK = Due.OVER, Due.WRITE, Due.CLOCK
TURN, UPDATES = Due.TURN, Due.UPDATES
CHANGE, NOTHING, DRAWN = Scratch.CHANGE, Scratch.NOTHING, Scratch.DRAWN
ARRIVED, OTHER = Scratch.ARRIVED, Scratch.OTHER
OFFSET, D_CLOCK = Due.OFFSET, Due.D_CLOCK
ZERO, ONE = np.float32(0), np.float32(1)


@loop
def turn(memory, ago):
    """Where ``Memory.sent`` has what was sent so many steps ago."""
    return of_turn(memory.sent, memory, ago)


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
    chip, populations, memory = system.chip, system.populations, system.memory
    pre, post, batch = projections.pre[q], projections.post[q], passes.batch
    pairs, lanes, rows = memory.signal.shape[1], memory.seen.shape[2], memory.s.shape[1]
    rate, size = projections.rate[q], populations.size[pre] * WIDTH
    if not projections.learns[q]:
        return
    row, at = populations.start[post] + panel * WIDTH, projections.start[q] + panel * size
    delay = projections.delay[q]
    ago += delay + memory.due[OFFSET]
    sent = memory.seen[of_turn(memory.seen, memory, ago)]
    of = populations.start[pre] * lanes + (0 if set_back(memory, delay) else chip.mean_lane)
    count, weights = np.float32(populations.lessons[post] * batch), memory.weights
    perturbed, signals = projections.perturbed[q], signals_of(system, q)
    drawn = scratch[DRAWN] if perturbed else scratch[NOTHING]
    local = populations.credit[post] == LOCAL and passes.schedule == 0
    plain = local and passes.optimiser == 0 and not passes.traces
    plain = plain and not (chip.programs or chip.loses or chip.drifts)
    if not (plain and pairs == batch and batch in REPLICAS):
        for i in range(panels):
            gather(
                system, scratch, drawn, words, q, panel + i, begin, end, sent, of, ago, ONE / count
            )
        return
    # Most often changes can go to the weights at once.
    for i in range(0, panels, 1 if perturbed else panels):
        if perturbed:
            draw_again(system, drawn, words, q, 0, panel + i, begin, end)
        invoke(
            kernels.absorb,
            (
                weights, at + i * size, weights, at + i * size, size, 1 if perturbed else panels,
                -(rate / count), begin, end, batch, sent, of, lanes, drawn, PLANE, memory.signal,
                signals + row + i * WIDTH, rows, memory.forming, post * pairs,
            ),
        )  # fmt: skip


@loop
def gather(system, scratch, drawn, words, q, panel, begin, end, sent, of, ago, scale):
    """Sum changes before they go to the weights of a panel, now or later."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    chip, populations, memory = system.chip, system.populations, system.memory
    post, batch, over = projections.post[q], passes.batch, memory.due[OVER]
    pairs, lanes, rows = memory.signal.shape[1], memory.seen.shape[2], memory.s.shape[1]
    row, credit = populations.start[post] + panel * WIDTH, populations.credit[post]
    signals, first = signals_of(system, q) + row, populations.first_lesson[post]
    at = projections.start[q] + panel * populations.size[projections.pre[q]] * WIDTH
    n = (end - begin) * WIDTH
    here, origin, change = at + begin * WIDTH, -begin * WIDTH, scratch[CHANGE, :n]
    clear(change)
    if chip.loses:  # what arrived is another for every synapse
        for b in range(batch):
            arrived_mean(
                system, scratch, words, scratch[ARRIVED], q,
                populations.start[projections.pre[q]], ago, b, memory.due[CLOCK], panel * WIDTH,
                populations.size[projections.pre[q]], begin, end,
            )  # fmt: skip
            for k in range(first, first + populations.lessons[post]):
                if projections.perturbed[q]:
                    draw_again(system, drawn, words, q, k, panel, begin, end)
                gather_arrived(system, scratch, drawn, q, panel, begin, end, k, b)
    for k in range(first, 0 if chip.loses else first + populations.lessons[post]):
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
                        post * pairs + c + b, memory.feedback, row + b * rows, memory.keep, row,
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
        write(system, scratch, words, q, here, change, scale, at, panel, begin, end)
    else:
        owed = memory.owed[here : here + n]
        add_scaled(owed, ONE, change)
        if memory.due[WRITE]:
            write(system, scratch, words, q, here, owed, scale, at, panel, begin, end)
            clear(owed)


@loop
def gather_arrived(system, scratch, drawn, q, panel, begin, end, k, b):
    """Do the same for one replica of a comparison, of what arrived at each synapse."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    populations, memory = system.populations, system.memory
    post, c = projections.post[q], k * passes.batch + b
    pairs, rows = memory.signal.shape[1], memory.s.shape[1]
    row, credit = populations.start[post] + panel * WIDTH, populations.credit[post]
    at = projections.start[q] + panel * populations.size[projections.pre[q]] * WIDTH
    n, here = (end - begin) * WIDTH, at + begin * WIDTH
    change, signal = scratch[CHANGE, :n], signals_of(system, q) + row + c * rows
    if passes.traces:
        invoke(
            kernels.trace_arrived,
            (
                change, memory.eligibility[c], at, begin, end, scratch[ARRIVED], drawn, PLANE,
                memory.signal, signal, memory.forming, post * pairs + c, memory.feedback,
                row + b * rows, memory.keep, row,
            ),
        )  # fmt: skip
        return
    target = change
    if credit != LOCAL:
        trace = memory.eligibility[c, here : here + n]
        if passes.decay != ONE:
            fade(trace, passes.decay)
        target = trace
    invoke(
        kernels.absorb_arrived,
        (
            target, 0, end - begin, scratch[ARRIVED], drawn, PLANE, memory.signal, signal,
            memory.forming, post * pairs + c,
        ),
    )  # fmt: skip
    if credit != LOCAL:
        if credit == RETURN_TO_GO or memory.due[OVER]:
            add_scaled(change, memory.credited[post, c], target)
        if memory.due[OVER]:
            clear(target)


@loop
def write(system, scratch, words, q, here, change, scale, at, panel, begin, end):
    """Change weights by what is called for, as the optimiser and the devices make of it."""
    passes, memory, n = system.passes, system.memory, change.size
    chip, weights, rate = system.chip, memory.weights[here : here + n], system.projections.rate[q]
    through = chip.programs or chip.drifts
    if through:
        weights = scratch[OTHER, :n]
        clear(weights)
    if passes.optimiser == 0:
        add_scaled(weights, -rate * scale, change)
    else:
        optimise(system, weights, here, change, scale, rate)
    if through:
        write_devices(
            system, scratch, words, q, at, weights, panel * WIDTH,
            system.populations.size[system.projections.pre[q]], begin, end, memory.due[CLOCK],
        )  # fmt: skip


@loop
def optimise(system, weights, here, change, scale, rate):
    """Change numbers by what the optimiser makes of what is called for."""
    passes, memory, n = system.passes, system.memory, change.size
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
def adapt_outlets(system, scratch, words, p, panel, panels, begin, end, ago):
    """Do the same for decorrelating synapses."""
    kernels, passes, chip = system.kernels, system.passes, system.chip
    populations, memory = system.populations, system.memory
    start, batch, rate = populations.start[p], passes.batch, populations.decorrelation_rate[0]
    lanes, rows, size = memory.seen.shape[2], memory.s.shape[1], populations.stride[p] * WIDTH
    sent, weights = memory.seen[of_turn(memory.seen, memory, ago)], memory.weights
    at, row = populations.decorrelation[p] + panel * size, start + panel * WIDTH
    through = chip.programs or chip.drifts
    if batch in REPLICAS and not through:
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
        if not through:
            add_scaled(weights[here : here + n], -rate, change)
            continue
        wanted = scratch[OTHER, :n]
        clear(wanted)
        add_scaled(wanted, -rate, change[:n])
        write_devices(
            system, scratch, words, populations.matrix[p], at + i * size, wanted,
            (panel + i) * WIDTH, populations.size[p], begin, end, memory.due[D_CLOCK],
        )  # fmt: skip
