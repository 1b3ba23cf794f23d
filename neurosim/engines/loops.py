"""The compiled time loop: the phases of a step, the same for every rule and neuron model.

integrate and fire (and decorrelate) population by population, block by block, then teach. A
weight is visited once per step: the change that step t called for is made at t + 1, just
before its row is used, which is the earliest anyone could notice.
"""

from __future__ import annotations

from functools import cache

from numba import njit, typeof

from neurosim.engines import team
from neurosim.engines.adapt import turn
from neurosim.engines.broadcast import arriving, idle
from neurosim.engines.compile import FAILURE, FAST, OUTER, Kernel, attempt, invoke, loop
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.integrate import decorrelate, integrate
from neurosim.engines.lessons import teach
from neurosim.engines.memory import Due, Scratch
from neurosim.engines.observe import disturb, keep_readings, look, show
from neurosim.engines.phases import (
    begin_step,
    count,
    inject,
    judge,
    present,
    remember,
    report,
)
from neurosim.engines.plan import NEVER
from neurosim.engines.references import Reference, refer
from neurosim.engines.system import System
from neurosim.engines.vectors import WIDTH
from neurosim.errors import KernelError

PROJECTIONS, DECORRELATION = Due.PROJECTIONS, Due.DECORRELATION
D_CLOCK, DRAWN = Due.D_CLOCK, Scratch.DRAWN
DONE, FAILED, PHASE, POPULATION = team.DONE, team.FAILED, team.PHASE, team.POPULATION
STEP, BLOCKS, TICKET, STOP = team.STEP, team.BLOCKS, team.TICKET, team.STOP
ACTIVATE, TRANSMIT = 0, 1  # phases that threads share


@njit(**OUTER, **FAST)
def advance(
    everything, inputs, targets, learn, adapt, clock,
    start, stop, settle, rates, decorrelation_rates, loss, rewards, outputs, events, operations,
    writes, me, giving_way,
):  # fmt: skip
    """Run steps, and with `settle` make the changes that the last one called for.

    Called with the same arguments by other threads, `me` counting them from 1, it helps
    until the thread with `me` 0 is through.

    Returns
    -------
    int
        Step at which a number was not finite, or -1.
    """
    system = refer(everything)
    passes, populations, memory = system.passes, system.populations, system.memory
    projections = system.projections
    if me > 0:
        assist(system, adapt, clock, stop, me, giving_way)
        return -1
    last, failed = len(inputs) - 1, -1
    # To settle is to begin one more step and to stop once every row was visited,
    # so that a change is the same to the bit whenever it is made.
    for t in range(start, stop + settle):
        runs = t < stop
        if runs:
            begin_step(system, t)
            present(system, inputs[t], clock + t)
        for p in range(1, populations.size.size):
            for phase in (ACTIVATE, TRANSMIT):
                if phase == ACTIVATE or populations.decorrelation[p] >= 0:
                    share(
                        system, phase, p, adapt,
                        clock, t, runs, giving_way,
                    )  # fmt: skip
        memory.due[PROJECTIONS] = 0
        memory.due[DECORRELATION] = adapt and runs
        memory.due[D_CLOCK] = clock + t
        if not runs:
            break
        for q in range(projections.rate.size):
            projections.rate[q] = rates[t % len(rates), q]
        own = decorrelation_rates[t % len(decorrelation_rates)]
        populations.decorrelation_rate[0] = own / passes.batch
        if adapt:
            remember(system)
        over = t == last or (passes.episode > 0 and (t + 1) % passes.episode == 0)
        write = passes.schedule == 0 or (passes.schedule == 1 and over) or t == last
        write = write and learn and passes.learns
        written = arriving(system, write) and learn and passes.learns
        events[t], operations[t], writes[t] = count(system, adapt, written, learn and passes.learns)
        report(system, outputs, t)
        if not judge(system, targets[t], loss[t]):
            failed = t
            break
        if learn and passes.learns:
            since = t % passes.resync_every if passes.resync_every > 0 else NEVER
            about = (over, write, t == 0, since, clock + t)
            if not teach(system, targets[t], about, rewards[:, t]):
                failed = t
                break
        elif system.chip.delay:
            idle(system)
    team.write(memory.board, TICKET, STOP)
    return failed


@loop
def share(system, phase, p, adapt, clock, t, runs, giving_way):
    """Work on a phase's blocks, together with the threads that assist."""
    populations, memory = system.populations, system.memory
    blocks, board, backwards = populations.blocks[p], memory.board, (clock + t) & 1
    together = populations.shared[p] and blocks > 1 and memory.scratch.shape[0] > 1
    if together:
        team.announce(board, phase, p, t, blocks)
    for n in range(blocks):
        block = blocks - 1 - n if backwards else n
        if not together or team.take(board, block):
            arguments = (system, 0, phase, p, block, adapt, clock + t, runs)
            if attempt(system.kernels.work, arguments) != 0:
                team.write(board, FAILED, 1)
            team.increase(board, DONE, 1)
    if together:
        team.wait(board, DONE, blocks, True, giving_way)
    if team.read(board, FAILED) != 0:
        raise KernelError(FAILURE)


@loop
def assist(system, adapt, clock, stop, me, giving_way):
    """Work on blocks of whatever phase it is, until told to stop."""
    memory = system.memory
    board, threads, ticket = memory.board, memory.scratch.shape[0], 0
    while True:
        team.wait(board, TICKET, ticket, False, giving_way)
        ticket = team.read(board, TICKET)
        if ticket == STOP:
            return
        blocks = board[BLOCKS]
        for n in range(blocks):
            # Everyone begins elsewhere, at each step in the same place.
            block = (n + me * blocks // threads) % blocks
            if team.take(board, block):
                t = board[STEP]
                arguments = (
                    system, me, board[PHASE], board[POPULATION], block, adapt, clock + t, t < stop,
                )  # fmt: skip
                # The thread that waits for the block is told, lest it wait for ever.
                if attempt(system.kernels.work, arguments) != 0:
                    team.write(board, FAILED, 1)
                team.increase(board, DONE, 1)


def work(system, me, phase, p, block, adapt, clock, runs):
    """Do one block's part of a phase; or, if the step does not run, of settling."""
    kernels, chip, populations, projections, memory = (
        system.kernels,
        system.chip,
        system.populations,
        system.projections,
        system.memory,
    )
    scratch, words = memory.scratch[me], memory.words[me]
    lanes, backwards = memory.s.shape[0] if runs else 0, clock & 1
    size, share, rows = populations.size[p], populations.block[p], memory.s.shape[1]
    # In panels, in units, and where these units lie.
    first, stop = block * share, min((block + 1) * share, (size + WIDTH - 1) // WIDTH)
    unit, until = first * WIDTH, min(size, stop * WIDTH)
    begin, end = populations.start[p] + unit, populations.start[p] + until
    if phase == TRANSMIT:
        decorrelate(
            system, scratch, words, p, block, first, stop, backwards,
            lanes, adapt and runs, clock,
        )  # fmt: skip
        if runs:
            if chip.shows:
                keep_readings(system, begin, end)
            given = (memory.s, rows, memory.sent[turn(memory, 0)], lanes, begin, end)
            invoke(kernels.hand_out, given)
        return
    if runs:
        inject(system, p, unit, until, words, scratch[DRAWN], clock)
    for q in range(projections.post.size):
        if projections.post[q] == p:
            integrate(
                system, scratch, words, q, first,
                stop, backwards, lanes, clock,
            )  # fmt: skip
    if not runs:
        return
    disturb(system, p, unit, until, words, scratch, clock)
    activity = kernels.activity[populations.model[p]]
    fired = (memory.a, memory.x, begin, rows, end - begin, lanes, memory.leak, memory.keep)
    invoke(activity, fired)
    if chip.observes:
        start, stream = populations.start[p], chip.act_read_stream[p]
        some = (start, unit, until, lanes, clock)
        look(system, scratch, words, stream, memory.a, memory.read_a, *some)
        stream = chip.fired_read_stream[p]
        look(system, scratch, words, stream, memory.x, memory.read_x, *some)
    if populations.decorrelation[p] >= 0:
        invoke(kernels.hand_out, (memory.x, rows, memory.fired, lanes, begin, end))
        return
    invoke(kernels.copy_rows, (memory.x, memory.s, begin, end - begin, rows, lanes))
    show(system, scratch, words, p, unit, until, clock)
    if chip.shows:
        keep_readings(system, begin, end)
    given = (memory.s, rows, memory.sent[turn(memory, 0)], lanes, begin, end)
    invoke(kernels.hand_out, given)


def complete(system: System) -> System:
    """Add the kernel that the time loop itself consists of."""
    made = _work(Reference(typeof(system)))
    return system._replace(kernels=system.kernels._replace(work=made.entry))


@cache
def _work(kind: Reference) -> Kernel:
    return Kernel(work, (kind, *"iiiiiii"), apart=False)


advance._cache = DiskCache("advance", fingerprint([]))
