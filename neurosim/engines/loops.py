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
from neurosim.engines.compile import FAST, OUTER, Kernel, invoke, loop
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.integrate import decorrelate, integrate
from neurosim.engines.lessons import teach
from neurosim.engines.phases import (
    begin_step,
    count,
    disturb,
    inject,
    judge,
    present,
    remember,
    report,
)
from neurosim.engines.references import Reference, refer
from neurosim.engines.tables import Due, Scratch, System
from neurosim.engines.vectors import WIDTH

PROJECTIONS, DECORRELATION = Due.PROJECTIONS, Due.DECORRELATION
OVER, WRITE, CLOCK = Due.OVER, Due.WRITE, Due.CLOCK
DRAWN, NOISY = Scratch.DRAWN, Scratch.NOISY
DONE, PHASE, POPULATION = team.DONE, team.PHASE, team.POPULATION
STEP, BLOCKS, TICKET, STOP = team.STEP, team.BLOCKS, team.TICKET, team.STOP
ACTIVATE, TRANSMIT = 0, 1  # phases that threads share


@njit(**OUTER, **FAST)
def advance(
    everything, inputs, targets, learn, adapt, clock,
    start, stop, settle, loss, rewards, outputs, events, operations, writes, me, giving_way,
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
            present(system, inputs[t])
        for p in range(1, populations.size.size):
            for phase in (ACTIVATE, TRANSMIT):
                if phase == ACTIVATE or populations.decorrelation[p] >= 0:
                    share(
                        system, phase, p, adapt,
                        clock, t, runs, giving_way,
                    )  # fmt: skip
        memory.due[PROJECTIONS] = 0
        memory.due[DECORRELATION] = adapt and runs
        if not runs:
            break
        if adapt:
            remember(system)
        over = t == last or (passes.episode > 0 and (t + 1) % passes.episode == 0)
        write = passes.schedule == 0 or (passes.schedule == 1 and over) or t == last
        write = write and learn and passes.learns
        events[t], operations[t], writes[t] = count(system, adapt, write, learn and passes.learns)
        report(system, outputs, t)
        if not judge(system, targets[t], loss[t]):
            failed = t
            break
        if learn and passes.learns:
            memory.due[PROJECTIONS] = 1
            memory.due[OVER] = over
            memory.due[WRITE] = write
            memory.due[CLOCK] = clock + t
            if not teach(system, targets[t], over, write, rewards[:, t]):
                failed = t
                break
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
            invoke(system.kernels.work, arguments)
            team.increase(board, DONE, 1)
    if together:
        team.wait(board, DONE, blocks, True, giving_way)


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
                invoke(system.kernels.work, arguments)
                team.increase(board, DONE, 1)


def work(system, me, phase, p, block, adapt, clock, runs):
    """Do one block's part of a phase; or, if the step does not run, of settling."""
    kernels, passes, populations, projections, memory = (
        system.kernels,
        system.passes,
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
            system, scratch, p, block, first, stop, backwards,
            lanes, adapt and runs,
        )  # fmt: skip
        if runs:
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
    if passes.act_noise > 0:
        disturb(system, p, unit, until, words, scratch[DRAWN], scratch[NOISY], clock)
    activity = kernels.activity[populations.model[p]]
    leak, keep = populations.leak[p], populations.keep[p]
    invoke(activity, (memory.a, memory.x, begin, rows, end - begin, lanes, leak, keep))
    if populations.decorrelation[p] >= 0:
        invoke(kernels.hand_out, (memory.x, rows, memory.fired, lanes, begin, end))
        return
    invoke(kernels.copy_rows, (memory.x, memory.s, begin, end - begin, rows, lanes))
    given = (memory.x, rows, memory.sent[turn(memory, 0)], lanes, begin, end)
    invoke(kernels.hand_out, given)


def complete(system: System) -> System:
    """Add the kernel that the time loop itself consists of."""
    made = _work(Reference(typeof(system)))
    return system._replace(kernels=system.kernels._replace(work=made.entry))


@cache
def _work(kind: Reference) -> Kernel:
    return Kernel(work, (kind, *"iiiiiii"), apart=False)


advance._cache = DiskCache("advance", fingerprint([]))
