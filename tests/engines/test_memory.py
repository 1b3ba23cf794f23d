"""Time costs no memory: nothing is allocated per step, and nothing grows with the sequence."""

import tracemalloc
from types import FunctionType

import numpy as np
import pytest
from numba import njit
from numba.core.errors import NumbaError

import neurosim as ns
from neurosim.engines.compile import FAST, OUTER


def test_a_loop_that_allocates_does_not_compile():
    """The time loop is compiled under the same options, so it does not allocate."""

    @njit(**OUTER, **FAST)
    def allocates(n):
        return np.zeros(n).sum()

    with pytest.raises(NumbaError):
        allocates(3)


@pytest.mark.parametrize(
    "rule",
    [
        ns.ANP(1e-4),
        ns.ANP(1e-4, reward="return_to_go", window=10, resync_every=10),
        ns.ANP(1e-4, reward="global"),
    ],
    ids=["local", "window", "sequence"],
)
def test_memory_does_not_grow_with_the_sequence(rule):
    """Beyond the data handed in and the record handed back, which are as long as the sequence."""
    extra = {}
    for steps in (100, 10_000):
        inputs = np.ones((steps, 2, 1), dtype=np.float32)
        sim = ns.Simulator(ns.rnn(1, 20, 1), rule, batch=2)
        sim.run(inputs[:10], inputs[:10])
        tracemalloc.start()
        record = sim.run(inputs, inputs)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept = record.loss.nbytes + sum(r.nbytes for r in record.reward.values())
        counts = (record.events, record.synaptic_operations, record.weight_writes)
        extra[steps] = peak - kept - sum(c.nbytes for c in counts)
    # Checking the data for NaN takes a byte a number for a moment: 4 bytes a step here.
    assert extra[10_000] - extra[100] < 8 * 10_000


def test_simulators_share_their_compiled_code():
    """However many there are: each evaluation makes one, and compiled code is never given back."""
    net = ns.rnn(1, 20, 1)
    sims = [ns.Simulator(net, ns.ANP(rate), batch=batch) for batch, rate in ((2, 1e-3), (1, 1e-4))]
    tables = [sim._engine._system.kernels._asdict() for sim in sims]
    for name, address in tables[0].items():
        other = tables[1][name]  # 0, where it is never called
        assert np.all((address == other) | (address == 0) | (other == 0)), name
    assert tables[0]["work"] == tables[1]["work"] > 0


def test_an_oracle_is_freed_when_modules_are_gone_already():
    """As Python ends: what a module had imported is None by then."""
    sim = ns.Simulator(ns.rnn(1, 2, 1), engine="objects")
    free = FunctionType(type(sim._engine).__del__.__code__, {})
    neurons = [n for each in sim._engine._neurons.values() for n in each]
    assert all(map(vars, neurons))
    free(sim._engine)
    assert not any(map(vars, neurons))
