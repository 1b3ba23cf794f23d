"""Plain arrays, as compiled loops read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.vectors import WIDTH

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Words = NDArray[np.uint32]


def padded(n: int) -> int:
    """Round up to a whole number of vectors."""
    return -(-n // WIDTH) * WIDTH


def panels(n: int) -> int:
    """Panels that `n` rows make."""
    return -(-n // WIDTH)


def zeros(*shape: int) -> Floats:
    """Zeros that begin with a cache line: a vector never lies in two."""
    size = int(np.prod(shape))
    memory = np.zeros(size + 16, dtype=np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + size].reshape(shape)


def ints(values: object) -> Ints:
    """Whole numbers."""
    return np.array(values, dtype=np.int64)


def floats(values: object) -> Floats:
    """Numbers in single precision."""
    return np.array(values, dtype=np.float32)
