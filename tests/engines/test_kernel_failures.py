"""A kernel that raises is noticed, whichever thread runs it."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import NumbaError

import neurosim as ns
from neurosim.engines import disk_cache
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


def test_what_does_not_compile_holds_up_no_other_try():
    def without_a_type(values, n):
        values.nothing = n

    kept = []  # as a notebook keeps the last error, and with it what was held
    for _ in range(2):
        with pytest.raises(NumbaError) as error:
            Kernel(without_a_type, "pi")
        kept.append(error)
        assert not list(disk_cache.folder().glob(".without_a_type-*.lock"))


def activities_raise(a, x, start, rows, n, lanes, leak, keep):
    raise ValueError


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_ends_with_an_error_and_nothing_goes_on_from_it(threads, tmp_path):
    sim = ns.Simulator(ns.rnn(1, 300, 1), batch=2, threads=threads)
    data = np.ones((3, 2, 1))
    sim.run(data, data, learn=False)
    system = sim._engine._system
    system.kernels.activity[:] = Kernel(activities_raise, "ppiiiipp").entry
    calls = (lambda: sim.run(data, data, learn=False), lambda: sim.save(tmp_path / "a"))
    for call in (*calls, lambda: sim.weights, lambda: sim.evaluate(data, data)):
        with pytest.raises(ns.KernelError, match="the state is no longer usable"):
            call()
    assert not list(tmp_path.iterdir())
