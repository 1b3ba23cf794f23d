"""Compiled kernels called from Python, and weights that lie in panels."""

from __future__ import annotations

import numpy as np

from neurosim.engines.vectors import WIDTH

EPSILON = np.finfo(np.float32).eps
LEFT = np.float32(9.25)  # where nothing was written


def call(kernel, *given):
    """Call a kernel; of an array it gets the address of the first number."""
    function = kernel.ctypes
    pointers = [
        value.ctypes.data_as(kind) if isinstance(value, np.ndarray) else value
        for value, kind in zip(given, function.argtypes, strict=True)
    ]
    for value, pointer in zip(given, pointers, strict=True):
        assert value is pointer or value.flags.c_contiguous
        assert value is pointer or np.ctypeslib.as_ctypes_type(value.dtype) == pointer._type_
    function(*pointers)


def in_panels(matrix):
    """Lay a matrix of whole panels as kernels find it: panel, column, row of the panel."""
    columns = matrix.shape[1]
    return np.ascontiguousarray(matrix.reshape(-1, WIDTH, columns).transpose(0, 2, 1))


def by_rows(panels):
    """Undo `in_panels`."""
    return panels.transpose(0, 2, 1).reshape(-1, panels.shape[1])


def in_columns(matrix, begin, plane):
    """Lay `WIDTH` rows of drawn noise, from column `begin`, as kernels keep it: in four planes."""
    drawn = np.zeros(4 * plane, dtype=np.float32)
    for j, column in enumerate(matrix.T, start=begin):
        place = (j & 3) * plane + ((j - begin) >> 2) * WIDTH
        drawn[place : place + WIDTH] = column
    return drawn


def numbers(*shape, seed=0):
    """Numbers from anywhere between -2 and 2."""
    return np.random.default_rng(seed).uniform(-2, 2, size=shape).astype(np.float32)


def left(*shape):
    """An array that nobody has written into yet."""
    return np.full(shape, LEFT, dtype=np.float32)


def close(got, expected, size, times=4):
    """Whether numbers are right up to float32 rounding of terms whose magnitudes sum to `size`."""
    return np.abs(got - expected).max() <= times * EPSILON * np.max(size)
