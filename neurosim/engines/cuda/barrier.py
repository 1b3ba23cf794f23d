"""Where all blocks of a launch wait for each other.

A counter in the device's memory: whoever comes adds one, after all that it wrote, and waits until
all have. It only goes up, so nobody has to set it back. All blocks must be on the device at once,
which a cooperative launch sees to.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORDS = types.CPointer(types.uint32)
_PLACE = ir.IntType(32).as_pointer()


def _assembly(text: str, constraints: str, result: Any, *kinds: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(result, list(kinds))
        asm = ir.InlineAsm(function, text, constraints, side_effect=True)
        found = builder.call(asm, list(args))
        return context.get_dummy_value() if isinstance(result, ir.VoidType) else found

    return emit


@intrinsic
def arrive(typing: Any, place: Any) -> Any:
    """Count a block that has come to a barrier, after all that it wrote."""
    text = "fence.acq_rel.gpu; red.relaxed.gpu.global.add.u32 [$0], 1;"
    return types.void(place), _assembly(text, "l,~{memory}", ir.VoidType(), _PLACE)


@intrinsic
def arrived(typing: Any, place: Any) -> Any:
    """How many have come, and after that all that they wrote."""
    text = "ld.acquire.gpu.global.u32 $0, [$1];"
    return types.uint32(place), _assembly(text, "=r,l,~{memory}", ir.IntType(32), _PLACE)


def wait(blocks: int) -> list[str]:
    """Lines of a kernel in which a block's threads, and then all blocks, wait for each other.

    `waits`, an unsigned number that begins with 0, counts the arrivals to wait for; `barrier` is
    where they are counted.
    """
    lines = ["cuda.syncthreads()"]
    if blocks > 1:
        lines += [
            f"waits = U(waits + {blocks})",
            "if thread == 0:",
            "    arrive(barrier)",
            "    while arrived(barrier) < waits:",
            "        pass",
            "cuda.syncthreads()",
        ]
    return lines
