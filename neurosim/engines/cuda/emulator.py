"""The cuda engine's program, run on the CPU: block after block, thread after thread.

Whatever order blocks and threads come in, nothing may change: the order is drawn from a seed, so
that what is a race on a device is another result here. What a block keeps to itself holds NaN
until somebody writes there. Slow, and for checking only.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurosim.engines.arrays import Floats
from neurosim.engines.compile import FAST, OUTER, Kernel, invoke
from neurosim.engines.cuda import at
from neurosim.engines.cuda.host import PhasedEngine
from neurosim.engines.cuda.language import Board, U, Where, part
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.phases import Phase
from neurosim.engines.cuda.program import (
    BEFORE,
    LEARN,
    LESSON,
    LISTEN,
    NEXT,
    WRITE,
    Program,
    Stretch,
    program,
)
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.fingerprint import fingerprint

KINDS = "wpwpppp" + "u" * 7
CHECK = 0  # stands for the address of a phase: here a run may end
ADDRESS, WHICH, WHEN, STEP, RESIDENT, SPAN, TIMES, JOINED, COLUMNS = range(9)


@cache
def sources() -> str:
    """Hash of this package's sources, which no fingerprint of the cpu engine contains."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@cache
def address(phase: Phase) -> int:
    """Compile a phase for the CPU, or find it on disk."""
    inner = part(phase.function)

    def entry(
        table, values, steps, memory, data, weights, scratch, block, blocks, thread, threads,
        round, which, t,
    ):  # fmt: skip
        board = Board(table, values, steps, memory, data, weights, scratch)
        inner(board, Where(block, blocks, thread, threads, round), which, t)

    entry.__name__ = f"phase_{phase.name}"
    version = sources() + phase.version + code_of(phase)
    return int(Kernel(entry, KINDS, version, apart=False, exact=True).entry)


def code_of(phase: Phase) -> str:
    """Tell phases apart that were written from the same template."""
    code = phase.function.__code__
    cells = phase.function.__closure__ or ()
    numbers = [c.cell_contents for c in cells if isinstance(c.cell_contents, (int, bool))]
    text = repr((code.co_code, code.co_consts, code.co_names, numbers))
    return hashlib.sha256(text.encode()).hexdigest()


class EmulatorEngine(PhasedEngine):
    """Run a plan as the cuda engine would, without a device.

    Attributes
    ----------
    launch : Launch
        Blocks, threads and the memory of a block, for all emulators; tests set it.
    order : int
        Seed of the order in which blocks and threads come.
    """

    name = "emulator"
    launch: ClassVar[Launch] = Launch(blocks=3, threads=8, weights=1 << 20)
    order: ClassVar[int] = 0
    written: ClassVar[Any] = staticmethod(program)

    def _lay(self) -> Layout:
        return Layout(self.plan, replace(self.launch))

    def _allocate(self) -> None:
        layout = self._layout
        self._memory = np.zeros(layout.size, dtype=np.float32)
        self._program: Program = self.written(layout)
        stretches = self._program.stretches
        rows = [row for stretch in stretches for row in _rows(stretch)]
        self._rows_of = np.array(rows, dtype=np.int64).reshape(-1, COLUMNS)
        ends = np.cumsum([sum(len(some.works) for some in s) for s in stretches])
        self._ends = ends.astype(np.int64)

    def _launch(self, steps: NDArray[np.uint32], data: Floats) -> Floats:
        layout, launch = self._layout, self._layout.launch
        generator = np.random.default_rng(self.order)
        blocks = np.argsort(generator.random((64, launch.blocks)), axis=1)
        threads = np.argsort(generator.random((64, launch.threads)), axis=1)
        weights = np.full((launch.blocks, max(1, layout.resident_size)), np.nan, np.float32)
        scratch = np.full((launch.blocks, layout.scratch), np.nan, np.float32)
        failed = layout.desks + layout.desk["failed"]
        _run(
            self._rows_of, self._ends, blocks, threads, layout.table, layout.values, steps,
            self._memory, data, weights, scratch, failed, layout.desk_size,
        )  # fmt: skip
        return data


def _rows(stretch: Stretch) -> list[list[int]]:
    """A stretch as rows of numbers, one for each work."""
    found = []
    for some in stretch:
        for i, work in enumerate(some.works):
            span = len(some.works) if i == 0 else 0
            where = CHECK if work.phase is None else address(work.phase)
            about = [work.which, work.when, work.step, int(work.resident)]
            found.append([where, *about, span, some.times, int(work.joined)])
    return found


_loop = njit(**{**OUTER, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}, **FAST)


@_loop
def _due(row, steps, t):
    """Whether a work is to be done in a step."""
    if row[WHEN] == LISTEN:
        return steps[at.LISTEN] > 0
    if row[WHEN] == LEARN:
        return steps[at.LEARN] > 0
    here = U(steps[at.TIMES] + U(t * at.PER_STEP))
    if row[WHEN] == LESSON:
        return steps[at.LEARN] > 0 and steps[U(here + at.VALID)] > 0
    if row[WHEN] == WRITE:
        valid = steps[at.LEARN] > 0 and steps[U(here + at.VALID)] > 0
        return valid and steps[U(here + at.WRITE_THEN)] > 0
    return True


@_loop
def _work(
    rows, first, stop, block, blocks, order, table, values, steps, memory, data, weights, scratch,
    failed, t,
):  # fmt: skip
    """Let a block do a stretch; whether it found that the run ends here."""
    threads, i = order.shape[1], first
    for k in range(scratch.shape[1]):
        scratch[block, k] = np.nan
    while i < stop:
        row = rows[i]
        if row[ADDRESS] == CHECK:
            if memory[failed] > 0:
                return True
            i += 1
            continue
        for again in range(row[TIMES]):
            begin = i
            while begin < i + row[SPAN]:
                # Works that a thread goes through without waiting.
                end = begin + 1
                while rows[end - 1, JOINED] and end < stop:
                    end += 1
                some = order[(begin + t) % order.shape[0]]
                for k in range(threads):
                    for work in rows[begin:end]:
                        step = t
                        if work[STEP] == NEXT:
                            step = t + 1
                        elif work[STEP] == BEFORE:
                            step = t - 1
                        if step < steps[at.START] or step >= steps[at.STOP]:
                            continue
                        if not _due(work, steps, step):
                            continue
                        arguments = (
                            table, values, steps, memory, data,
                            weights[block] if work[RESIDENT] else memory, scratch[block],
                            U(block), U(blocks), U(some[k]), U(threads), U(again),
                            U(work[WHICH]), U(step),
                        )  # fmt: skip
                        invoke(work[ADDRESS], arguments)
                begin = end
        i = max(i + row[SPAN], begin)
    return False


@njit(**OUTER, **FAST)
def _run(
    rows, ends, order, threads, table, values, steps, memory, data, weights, scratch, failed, size
):  # fmt: skip
    """Run a program, one stretch after another, in each of which blocks come in any order."""
    blocks, last, turn = order.shape[1], ends.size - 2, 0
    start, stop = int(steps[at.START]), int(steps[at.STOP])
    for block in order[turn % 64]:
        _work(
            rows, 0, ends[0], block, blocks, threads, table, values, steps, memory, data, weights,
            scratch, failed, start,
        )  # fmt: skip
    t, ended = start, False
    while not ended:
        for s in range(1, max(last, 2)):
            turn += 1
            for block in order[turn % 64]:
                flag = failed + block * size
                # What is left of the step before, and the beginning of this one: nobody waits.
                if s == 1 and t > start:
                    over = _work(
                        rows, ends[last - 1], ends[last], block, blocks, threads, table, values,
                        steps, memory, data, weights, scratch, flag, t - 1,
                    )  # fmt: skip
                    ended = ended or over
                    if over:
                        continue
                if t < stop and s < last:
                    _work(
                        rows, ends[s - 1], ends[s], block, blocks, threads, table, values, steps,
                        memory, data, weights, scratch, flag, t,
                    )  # fmt: skip
            if ended:
                break
        if t == stop:
            break
        t += 1
    turn += 1
    for block in order[turn % 64]:
        _work(
            rows, ends[last], ends[last + 1], block, blocks, threads, table, values, steps, memory,
            data, weights, scratch, failed, min(t, stop) - 1,
        )  # fmt: skip


for _function in (_due, _work, _run):
    _function._cache = DiskCache(_function.py_func.__name__, fingerprint([]) + sources())
