"""Visits to the weights: a few panels at a time, and of these as much as a cache holds."""

from __future__ import annotations

from neurosim.engines.adapt import PLANE, adapt, adapt_outlets, clear, turn
from neurosim.engines.compile import invoke, loop
from neurosim.engines.plan import LOCAL
from neurosim.engines.tables import CHUNK, Due, Scratch
from neurosim.engines.vectors import WIDTH

PROJECTIONS, DECORRELATION = Due.PROJECTIONS, Due.DECORRELATION
DRAWN, NOISY = Scratch.DRAWN, Scratch.NOISY


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
    populations, memory = system.populations, system.memory
    pre, post = projections.pre[q], projections.post[q]
    n, rows, wide = populations.size[pre], memory.a.shape[1], memory.s.shape[0]
    size, before = n * WIDTH, populations.start[pre]
    source = memory.sent[turn(memory, projections.delay[q])]
    ago = 1 if lanes else 0  # steps that have begun since changes became due
    at_once = (
        lanes == 2 and memory.due[PROJECTIONS] and passes.batch == 1 and projections.rate[q] > 0
        and populations.credit[post] == LOCAL and passes.schedule == 0
        and not projections.perturbed[q] and passes.optimiser == 0
        and not passes.traces and not passes.normalise > 0
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
def decorrelate(system, scratch, p, block, first, stop, backwards, lanes, listen):
    """Visit panels of D: change them, sum what they let through, and what they send back."""
    kernels, passes, populations, memory = (
        system.kernels,
        system.passes,
        system.populations,
        system.memory,
    )
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
                adapt_outlets(system, scratch, p, panel, panels, begin, end, ago)
            invoke(
                kernels.multiply,
                (
                    memory.weights, at, size, panels, begin, end, memory.fired, start, wide, 0,
                    lanes, memory.s, rows, row,
                ),
            )  # fmt: skip
        # Beyond the last neuron there is nobody to send anything.
        for lane in range(lanes):
            clear(memory.s[lane, max(row, start + n) : row + panels * WIDTH])
        if listen:
            invoke(
                kernels.send_back,
                (
                    memory.weights, at, size, panels, stride, memory.s, row, rows, passes.batch,
                    back, start,
                ),
            )  # fmt: skip
