"""A kernel that raises is noticed, whichever thread runs it."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

import neurosim as ns
from neurosim.engines.compile import OUTER, Kernel, attempt, invoke


def raises(values, n):
    if n > 2:
        raise ValueError
    values[0] = n


def kernel():
    return Kernel(raises, "pi").entry


def test_invoking_a_kernel_that_raises_raises():
    @njit(**OUTER)
    def call(address, values, n):
        invoke(address, (values, n))

    address, values = kernel(), np.zeros(1, np.float32)
    call(address, values, 2)
    assert values[0] == 2
    with pytest.raises(ns.KernelError, match="a compiled kernel raised an exception"):
        call(address, values, 3)
    assert values[0] == 2


def test_attempting_it_gives_its_status():
    @njit(**OUTER)
    def call(address, values, n):
        return attempt(address, (values, n))

    address, values = kernel(), np.zeros(1, np.float32)
    assert call(address, values, 2) == 0
    assert call(address, values, 3) != 0


def activities_raise(a, x, start, rows, n, lanes, leak, keep):
    raise ValueError


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_ends_with_an_error(threads):
    sim = ns.Simulator(ns.rnn(1, 300, 1), batch=2, threads=threads)
    data = np.ones((3, 2, 1))
    sim.run(data, data, learn=False)
    system = sim._engine._system
    system.kernels.activity[:] = Kernel(activities_raise, "ppiiiipp").entry
    for _ in range(2):  # threads that helped are there for the next run
        with pytest.raises(ns.KernelError, match="the state is no longer usable"):
            sim.run(data, data, learn=False)
