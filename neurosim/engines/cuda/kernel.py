"""A program as one kernel: the whole run of a network in one launch.

The table of the network goes into the kernel as constants, so that what a phase looks up there
costs nothing; rates, seeds and the like do not, so that one kernel serves many runs. Numba
compiles to PTX, for which no device is needed; CuPy loads and launches it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from neurosim.engines import private_folder
from neurosim.engines.cuda import at
from neurosim.engines.cuda.barrier import WORDS, arrive, arrived, wait
from neurosim.engines.cuda.emulator import code_of, sources
from neurosim.engines.cuda.language import Board, U, Where, part
from neurosim.engines.cuda.layout import Layout
from neurosim.engines.cuda.program import (
    BEFORE,
    LEARN,
    LESSON,
    LISTEN,
    NEXT,
    WRITE,
    Program,
    Stretch,
)
from neurosim.engines.disk_cache import alone, folder
from neurosim.engines.fingerprint import fingerprint
from neurosim.errors import StorageError

NAME = "neurosim_run"
F32, U64 = types.float32, types.uint64
POINTER = types.CPointer(F32)
# values, steps, memory, data, barriers; and how far each is from one network's to the next one's
SIGNATURE = (POINTER, WORDS, POINTER, POINTER, WORDS, U64, U64, U64, U64)
# Numbers of steps and lessons that decide which works are done.
CONDITIONS = {
    LEARN: "learn",
    LISTEN: "listen",
    LESSON: "learn and steps[U(times + {t} * PER_STEP + VALID)] > 0",
    WRITE: "learn and steps[U(times + {t} * PER_STEP + VALID)] > 0 "
    "and steps[U(times + {t} * PER_STEP + WRITE_THEN)] > 0",
}


@dataclass(frozen=True)
class Code:
    """A compiled kernel: its PTX, and for which devices it is."""

    ptx: str
    capability: tuple[int, int]


# ------------------------------------------------------------- what only devices do


@intrinsic
def ahead(typing: Any, pointer: Any, count: Any) -> Any:
    """Go so many numbers ahead."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.uint64), emit


@intrinsic
def own(typing: Any, array: Any) -> Any:
    """Point to the first number of an array."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return POINTER(array), emit


# ------------------------------------------------------------------- the source text


def source(given: Program, layout: Layout) -> tuple[str, dict[str, Any]]:
    """Write a program as the source of a kernel, and name what it calls."""
    calls: dict[Any, str] = {}
    lines = [
        f"def {NAME}(values, steps, memory, data, barriers, next_values, next_steps, next_memory, "
        "next_data):",
        f"    network, block = U(cuda.blockIdx.x // {layout.launch.blocks}), "
        f"U(cuda.blockIdx.x % {layout.launch.blocks})",
        "    thread, threads = U(cuda.threadIdx.x), U(cuda.blockDim.x)",
        "    values = ahead(values, network * next_values)",
        "    steps = ahead(steps, network * next_steps)",
        "    memory = ahead(memory, network * next_memory)",
        "    data = ahead(data, network * next_data)",
        "    barrier, waits = ahead(barriers, network * 32), U(0)",
        "    weights = own(cuda.shared.array(0, float32))",
        f"    scratch = ahead(weights, {layout.resident_size})",
        "    near = Board(TABLE, values, steps, memory, data, weights, scratch)",
        "    far = Board(TABLE, values, steps, memory, data, memory, scratch)",
        "    learn, listen = steps[LEARN] > 0, steps[LISTEN] > 0",
        "    start, stop, times = steps[START], steps[STOP], steps[TIMES]",
        f"    failed = U({layout.desks + layout.desk['failed']} + block * {layout.desk_size})",
        "    t = start",
        *_stretch(given.first, calls, 1),
        *_wait(layout, 1),
        "    while t < stop:",
    ]
    for stretch in given.step:
        lines += [*_stretch(stretch, calls, 2), *_wait(layout, 2)]
    lines += [*_stretch(given.rest, calls, 2), "        t = U(t + 1)"]
    # Whoever ends early does so with everyone, in the same step.
    lines += [*_wait(layout, 1), "    t = U(min(t, U(stop - 1)))", *_stretch(given.last, calls, 1)]
    scope = {name: part(phase.function) for phase, name in calls.items()}
    return "\n".join(lines), scope


def _wait(layout: Layout, depth: int) -> list[str]:
    return ["    " * depth + line for line in wait(layout.launch.blocks)]


def _stretch(stretch: Stretch, calls: dict[Any, str], depth: int) -> list[str]:
    """Lines of a stretch; a block's threads wait for each other after every phase."""
    lines: list[str] = []
    for some in stretch:
        inner, indent = depth, "    " * depth
        if some.times > 1:
            lines += [f"{indent}again = U(0)", f"{indent}while again < {some.times}:"]
            inner += 1
        for work in some.works:
            indent, t = "    " * inner, {NEXT: "U(t + 1)", BEFORE: "U(t - 1)"}.get(work.step, "t")
            if work.phase is None:
                lines += [f"{indent}if memory[failed] > ZERO:", f"{indent}    break"]
                continue
            guards = {NEXT: "t + 1 < stop", BEFORE: "t > start"}.get(work.step, "")
            guards = " and ".join(filter(None, [guards, CONDITIONS.get(work.when, "")]))
            if guards:
                lines.append(f"{indent}if {guards.format(t=t)}:")
                indent += "    "
            name = calls.setdefault(work.phase, f"{work.phase.name}_{len(calls)}")
            board, again = "near" if work.resident else "far", "again" if some.times > 1 else "U(0)"
            where = f"Where(block, U(gridDim), thread, threads, {again})"
            lines.append(f"{indent}{name}({board}, {where}, U({work.which}), {t})")
            if not work.joined:
                lines.append("    " * inner + "cuda.syncthreads()")
        if some.times > 1:
            lines.append("    " * inner + "again = U(again + 1)")
    return lines


# ------------------------------------------------------------------------- compiling


def compiled(given: Program, layout: Layout, capability: tuple[int, int]) -> Code:
    """Compile a program to PTX, or find it on disk; no device is needed."""
    key = _key(given, layout, capability)
    kept = folder() / f"{NAME}-{key}.ptx"
    if not private_folder.claim(kept.parent):
        return Code(compile_ptx(given, layout, capability), capability)
    with suppress(OSError, ValueError):
        return Code(private_folder.read(kept).decode(), capability)
    with alone(kept):
        with suppress(OSError, ValueError):  # another process may have been at it
            return Code(private_folder.read(kept).decode(), capability)
        code = Code(compile_ptx(given, layout, capability), capability)
        with suppress(StorageError):  # where it cannot be kept, it is compiled again next time
            private_folder.write(kept, code.ptx.encode())
    return code


def _key(given: Program, layout: Layout, capability: tuple[int, int]) -> str:
    """Hash of all that a kernel is made of."""
    phases = [work.phase for work in given.works if work.phase is not None]
    text, _ = source(given, layout)
    machine = (numba.__version__, _version(), capability, layout.launch.threads)
    parts = (*machine, sources(), fingerprint([]), text)
    made_of = [phase.version + code_of(phase) for phase in phases]
    digest = hashlib.sha256(repr((parts, made_of)).encode())
    digest.update(layout.table.tobytes())
    return digest.hexdigest()[:32]


def _version() -> str:
    from importlib.metadata import version

    return version("numba-cuda")


def compile_ptx(given: Program, layout: Layout, capability: tuple[int, int]) -> str:
    """Compile a program to PTX."""
    from numba import cuda

    text, calls = source(given, layout)
    scope = {
        **calls, "cuda": cuda, "float32": np.float32, "ZERO": np.float32(0), "U": U,
        "Board": Board, "Where": Where, "TABLE": layout.table, "ahead": ahead, "own": own,
        "arrive": arrive, "arrived": arrived, "gridDim": layout.launch.blocks,
        **{name: getattr(at, name) for name in _NAMES},
    }  # fmt: skip
    exec(text, scope)
    return assemble(scope[NAME], SIGNATURE, layout.launch.threads, capability)


def assemble(
    function: Any, signature: tuple[Any, ...], threads: int, capability: tuple[int, int]
) -> str:
    """Compile a kernel to PTX, for at most so many threads a block; nothing is fused by itself."""
    from numba.cuda import compiler

    with _capability(capability):
        made = compiler.compile_cuda(
            function, None, signature, nvvm_options={"opt": 3, "fma": 0}, cc=capability
        )
        library = made.library
        kernel = library.get_function(made.fndesc.llvm_func_name)
        library._entry_name = kernel.name
        compiler.kernel_fixup(kernel, False)
        compiler.nvvm.set_launch_bounds(kernel, (threads, 1))
        return library.get_asm_str(cc=capability)


@contextmanager
def _capability(capability: tuple[int, int]) -> Iterator[None]:
    """Compile device functions for a device that need not be there.

    numba-cuda asks the current device for its capability when it compiles a function that a
    kernel calls; there is no other way to tell it.
    """
    from numba.cuda import dispatcher

    class Device:
        compute_capability = capability

    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: Device
    try:
        yield
    finally:
        dispatcher.get_current_device = asked


def entry(ptx: str) -> str:
    """Name of the kernel in PTX."""
    found = re.search(r"\.entry\s+(\w+)", ptx)
    assert found is not None
    return found.group(1)


_NAMES = ("LEARN", "LISTEN", "START", "STOP", "TIMES", "PER_STEP", "VALID", "WRITE_THEN")
