"""Visits to the weights: a few panels at a time, and of these as much as a cache holds."""

from __future__ import annotations

from neurosim.engines.adapt import PLANE, adapt, adapt_outlets, clear, turn
from neurosim.engines.compile import invoke, loop
from neurosim.engines.devices import add_read_noise, age_devices, arrivals, read_noise
from neurosim.engines.memory import CHUNK, Due, Scratch
from neurosim.engines.observe import show
from neurosim.engines.plan import LOCAL
from neurosim.engines.vectors import WIDTH

PROJECTIONS, DECORRELATION = Due.PROJECTIONS, Due.DECORRELATION
DRAWN, NOISY = Scratch.DRAWN, Scratch.NOISY
ARRIVED, POWER = Scratch.ARRIVED, Scratch.POWER


@loop
def portion(lanes, n):
    """Panels visited together, and columns at a time.

    As many panels as the tile for most of the lanes has, so many columns that a cache holds
    them; of small matrices all columns, and more panels.
    """
    if n <= CHUNK // 2:
        return 4, n
    panels = 2 if lanes % 10 == 0 else 4
    return panels, CHUNK // panels


@loop
def integrate(
    system, scratch, words, q, first, stop, backwards,
    lanes, clock,
):  # fmt: skip
    """Visit panels of a projection: change them, then sum what they let through."""
    kernels, passes, projections = system.kernels, system.passes, system.projections
    chip, populations, memory = system.chip, system.populations, system.memory
    pre, post = projections.pre[q], projections.post[q]
    n, rows, wide = populations.size[pre], memory.a.shape[1], memory.s.shape[0]
    size, before = n * WIDTH, populations.start[pre]
    source = memory.sent[turn(memory, projections.delay[q])]
    ago = 1 if lanes else 0  # steps that have begun since changes became due
    at_once = (
        lanes == 2 and memory.due[PROJECTIONS] and passes.batch == 1 and projections.learns[q]
        and populations.credit[post] == LOCAL and passes.schedule == 0
        and not projections.perturbed[q] and passes.optimiser == 0
        and not passes.traces and not passes.normalise > 0
        and not (chip.shows or chip.loses or chip.programs or chip.ages)
    )  # fmt: skip
    group, columns = portion(lanes, n)
    groups = (stop - first + group - 1) // group
    for g in range(groups):
        panel = first + group * (groups - 1 - g if backwards else g)
        panels = min(group, stop - panel)
        at, row = projections.start[q] + panel * size, populations.start[post] + panel * WIDTH
        if at_once:
            invoke(
                kernels.visit,
                (
                    memory.weights, at, size, panels, -projections.rate[q], n,
                    memory.sent[turn(memory, projections.delay[q] + 1)], before * wide,
                    memory.signal, rows, row, memory.forming, post, source, before * wide,
                    memory.a,
                ),
            )  # fmt: skip
            continue
        for begin in range(0, n, columns):
            end = min(n, begin + columns)
            if memory.due[PROJECTIONS]:
                adapt(system, scratch, words, q, panel, panels, begin, end, ago)
            if lanes == 0:
                continue
            if chip.ages:
                for i in range(panels):
                    age_devices(
                        system, scratch, words, q, at + i * size, (panel + i) * WIDTH, n, begin,
                        end, clock,
                    )  # fmt: skip
            if chip.loses:
                continue
            if projections.perturbed[q]:
                perturbed_products(
                    system, scratch, words, q, at, panel, panels,
                    n, begin, end, source, before, row, clock,
                )  # fmt: skip
            else:
                invoke(
                    kernels.multiply,
                    (
                        memory.weights, at, size, panels, begin, end, source, before, wide, 0,
                        lanes, memory.a, rows, row,
                    ),
                )  # fmt: skip
        if lanes and chip.loses:
            for i in range(panels):
                delivered(system, scratch, words, q, at + i * size, panel + i, columns, clock)
    if lanes and not chip.loses and (chip.w_read_noise[q] > 0 or chip.w_read_relative > 0):
        unit = first * WIDTH
        read_noise(
            system, scratch, words, q, projections.start[q] + first * size, n, n, source, before,
            memory.a, populations.start[post] + unit, unit,
            min(populations.size[post], stop * WIDTH) - unit, clock,
        )  # fmt: skip


@loop
def delivered(system, scratch, words, q, at, panel, columns, clock):
    """Sum what one panel makes of the events that arrive, lane by lane."""
    kernels, projections = system.kernels, system.projections
    populations, memory, passes = system.populations, system.memory, system.passes
    pre, post, batch = projections.pre[q], projections.post[q], passes.batch
    n, rows, power = populations.size[pre], memory.a.shape[1], scratch[POWER]
    row, noisy = populations.start[post] + panel * WIDTH, scratch[NOISY]
    lessons = populations.first_lesson[post]
    for lane in range(memory.a.shape[0]):
        k = passes.comparison[lane // batch]
        perturbed = projections.perturbed[q] and lessons <= k < lessons + populations.lessons[post]
        for r in range(2 * WIDTH):
            power[r] = 0
        for begin in range(0, n, columns):
            end = min(n, begin + columns)
            here = at + begin * WIDTH
            arrivals(
                system, scratch, words, scratch[ARRIVED], q, memory.sent, populations.start[pre],
                projections.delay[q], (lane, lane, lane), clock, panel * WIDTH, n, begin, end,
            )  # fmt: skip
            if perturbed:
                invoke(
                    kernels.draw_weights,
                    (
                        scratch[DRAWN], PLANE, words, passes.sign[lane // batch] * passes.noise_std,
                        passes.seed, projections.noise_stream[q], clock, k, panel * WIDTH, n,
                        begin, end,
                    ),
                )  # fmt: skip
                both = (noisy, 0, memory.weights, here, scratch[DRAWN], PLANE, end - begin)
                invoke(kernels.add_drawn, both)
                summed, start = noisy, 0
            else:
                summed, start = memory.weights, here
            given = (
                summed, start, memory.weights, here, end - begin, scratch[ARRIVED], PLANE,
                memory.a, lane * rows + row, power,
            )  # fmt: skip
            invoke(kernels.deliver, given)
        count = min(WIDTH, populations.size[post] - panel * WIDTH)
        add_read_noise(
            system, scratch, words, q, memory.a, lane, row, panel * WIDTH, count, power,
            power[WIDTH:], 1, clock,
        )  # fmt: skip


@loop
def perturbed_products(
    system, scratch, words, q, at, panel, panels, n_pre, begin, end,
    source, before, row, clock,
):  # fmt: skip
    """Sum what weights let through, in each pass with its own noise on them."""
    kernels, passes, projections, memory = (
        system.kernels,
        system.passes,
        system.projections,
        system.memory,
    )
    lanes, rows, batch = memory.a.shape[0], memory.a.shape[1], passes.batch
    post = projections.post[q]
    first, lessons = system.populations.first_lesson[post], system.populations.lessons[post]
    drawn, noisy, size, n = scratch[DRAWN], scratch[NOISY], n_pre * WIDTH, end - begin
    for pass_ in range(passes.passes):
        k, some = passes.comparison[pass_], (pass_ * batch, (pass_ + 1) * batch)
        if not first <= k < first + lessons:  # -1 is the baseline's
            invoke(
                kernels.multiply,
                (
                    memory.weights, at, size, panels, begin, end, source, before, lanes, *some,
                    memory.a, rows, row,
                ),
            )  # fmt: skip
            continue
        for i in range(panels):
            invoke(
                kernels.draw_weights,
                (
                    drawn, PLANE, words, passes.sign[pass_] * passes.noise_std,
                    passes.seed, projections.noise_stream[q], clock, k,
                    (panel + i) * WIDTH, n_pre, begin, end,
                ),
            )  # fmt: skip
            here = at + i * size + begin * WIDTH
            given = (noisy, i * n * WIDTH, memory.weights, here, drawn, PLANE, n)
            invoke(kernels.add_drawn, given)
        invoke(
            kernels.multiply,
            (
                noisy, 0, n * WIDTH, panels, 0, n, source, before + begin, lanes, *some,
                memory.a, rows, row,
            ),
        )  # fmt: skip


@loop
def decorrelate(
    system, scratch, words, p, block, first, stop, backwards, lanes, listen, clock
):  # fmt: skip
    """Visit panels of D: change them, sum what they let through, and what they send back."""
    kernels, passes, chip = system.kernels, system.passes, system.chip
    populations, memory, m = system.populations, system.memory, system.populations.matrix[p]
    start, n, stride = populations.start[p], populations.size[p], populations.stride[p]
    rows, wide, size = memory.s.shape[1], memory.s.shape[0], stride * WIDTH
    back, ago = memory.retrograde[block], 1 if lanes else 0
    if listen:
        for b in range(passes.batch):
            clear(back[b, start : start + stride])
    for lane in range(lanes):
        clear(memory.s[lane, start + first * WIDTH : start + stop * WIDTH])
    group, columns = portion(lanes, n)
    groups = (stop - first + group - 1) // group
    for g in range(groups):
        panel = first + group * (groups - 1 - g if backwards else g)
        panels = min(group, stop - panel)
        at, row = populations.decorrelation[p] + panel * size, start + panel * WIDTH
        for begin in range(0, n, columns):
            end = min(n, begin + columns)
            if memory.due[DECORRELATION]:
                adapt_outlets(system, scratch, words, p, panel, panels, begin, end, ago)
            for i in range(panels if lanes and chip.ages else 0):
                age_devices(
                    system, scratch, words, m, at + i * size, (panel + i) * WIDTH, n, begin, end,
                    clock,
                )  # fmt: skip
            invoke(
                kernels.multiply,
                (
                    memory.weights, at, size, panels, begin, end, memory.fired, start, wide, 0,
                    lanes, memory.s, rows, row,
                ),
            )  # fmt: skip
        unit, until = panel * WIDTH, min(n, (panel + panels) * WIDTH)
        if lanes and (chip.w_read_noise[m] > 0 or chip.w_read_relative > 0):
            read_noise(
                system, scratch, words, m, at, stride, n, memory.fired, start, memory.s, row, unit,
                until - unit, clock,
            )  # fmt: skip
        if lanes:
            show(system, scratch, words, p, unit, until, clock)
        # Beyond the last neuron there is nobody to send anything.
        for lane in range(lanes):
            clear(memory.s[lane, max(row, start + n) : row + panels * WIDTH])
        if listen:
            invoke(
                kernels.send_back,
                (
                    memory.weights, at, size, panels, stride, memory.read_s, row, rows,
                    passes.batch, back, start,
                ),
            )  # fmt: skip
