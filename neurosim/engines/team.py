"""Threads that share the work of a step, and agree to the bit with one that does it alone.

A step's work comes in blocks of neurons. Whoever is free takes the next block that nobody
has taken, so a thread that the operating system puts aside holds up no more than the one
block in its hands. What a block computes depends on nobody's share.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neurosim.engines.compile import loop

LINE = 8  # int64 numbers in a cache line: neighbours in one slow each other down
TICKET, DONE, PHASE, POPULATION, STEP, BLOCKS, FAILED = (k * LINE for k in range(7))
TAKEN = 7 * LINE
PATIENCE = 2000  # looks at a number before others may have the processor
STOP = -1


def board(blocks: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """What a team shares: what is to be done, and which blocks are taken."""
    return np.ones(TAKEN + blocks, dtype=np.int64)


def way_to_yield() -> int:
    """Address of the operating system's call that lets other threads run."""
    if os.name == "nt":
        function: Any = ctypes.windll.kernel32.SwitchToThread  # type: ignore[attr-defined]
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], signature.args[1], types.intp)
    return builder.gep(array.data, [index])


def _value(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return context.cast(builder, args[2], signature.args[2], types.int64)


@intrinsic
def read(typing: Any, array: Any, index: Any) -> Any:
    """Read a number that another thread may be writing, and all it wrote before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        return builder.load_atomic(place, ordering="acquire", align=8)

    return types.int64(array, index), emit


@intrinsic
def write(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a number for other threads, after all that was written before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        number = _value(context, builder, signature, args)
        builder.store_atomic(number, place, ordering="release", align=8)
        return context.get_dummy_value()

    return types.void(array, index, value), emit


def _exchange(operation: str) -> Any:
    @intrinsic
    def atomic(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _place(context, builder, signature, args)
            number = _value(context, builder, signature, args)
            return builder.atomic_rmw(operation, place, number, ordering="seq_cst")

        return types.int64(array, index, value), emit

    return atomic


exchange, increase = _exchange("xchg"), _exchange("add")


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this thread is only waiting."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        machine, number = platform.machine().lower(), ir.IntType(32)
        known: dict[str, tuple[str, list[Any]]] = {
            "x86_64": ("llvm.x86.sse2.pause", []),
            "amd64": ("llvm.x86.sse2.pause", []),
            "aarch64": ("llvm.aarch64.hint", [ir.Constant(number, 1)]),
            "arm64": ("llvm.aarch64.hint", [ir.Constant(number, 1)]),
        }
        if machine in known:
            name, given = known[machine]
            kind = ir.FunctionType(ir.VoidType(), [number] * len(given))
            hint = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(hint, given)
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def call(typing: Any, address: Any) -> Any:
    """Call a function of the operating system that takes nothing."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.int32(types.int64), emit


@loop
def wait(board, place, value, until, giving_way):
    """Wait until a number is `value` (or, with `until` false, until it is something else)."""
    looks = 0
    while (read(board, place) == value) != until:
        looks += 1
        if looks < PATIENCE:
            pause()
        else:
            call(giving_way)


@loop
def take(board, block):
    """Take a block, if nobody has."""
    return read(board, TAKEN + block) == 0 and exchange(board, TAKEN + block, 1) == 0


@loop
def announce(board, phase, population, step, blocks):
    """Put up a new piece of work."""
    board[PHASE], board[POPULATION], board[STEP], board[BLOCKS] = phase, population, step, blocks
    write(board, DONE, 0)
    for block in range(blocks):
        write(board, TAKEN + block, 0)
    write(board, TICKET, read(board, TICKET) + 1)
