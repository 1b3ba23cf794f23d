"""The few words in which phases are written, for the device and for its emulator alike.

Phases index with unsigned numbers of 32 bits: a device has no other arithmetic for addresses,
and a sign would have to be looked at. No product is fused with a sum unless it is written as
`fused`, and nothing is reordered: so both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic

from neurosim.engines.compile import EXACT, INNER

U = np.uint32
ZERO, ONE, HALF, TWO = np.float32(0), np.float32(1), np.float32(0.5), np.float32(2)
LARGEST = np.finfo(np.float32).max
CHUNK = 4  # neurons that stay together: those of a block are whole chunks


class Board(NamedTuple):
    """What a launch works on, in arrays that everyone sees; `weights` and `scratch` are a block's.

    `table` and `values` describe the network, `steps` what is to happen when, `memory` is all
    that changes, `data` what is given and what is asked for.
    """

    table: Any
    values: Any
    steps: Any
    memory: Any
    data: Any
    weights: Any
    scratch: Any


class Where(NamedTuple):
    """Who works: a thread of so many, of a block of so many, in which round of a phase."""

    block: Any
    blocks: Any
    thread: Any
    threads: Any
    round: Any


def part(function: Callable[..., Any]) -> Any:
    """Compile what phases call, for wherever it is called from."""
    return njit(forceinline=True, **INNER, **EXACT)(function)


if config.DISABLE_JIT:  # as in Numba's simulator of a device

    def fused(a: Any, b: Any, c: Any) -> Any:
        """Give ``a b + c``."""
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

else:

    @intrinsic
    def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
        """Give ``a b + c``, rounded once."""

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(*args)

        return types.float32(types.float32, types.float32, types.float32), emit


@part
def is_finite(value):
    """Whether a number is neither infinite nor NaN."""
    return abs(value) <= LARGEST
