"""The text of a kernel, run by Numba's simulator of a device: one block, a few threads.

A smoke test, for what neither the emulator nor a compiler sees: the kernel around the phases, as
Python. The simulator is another process, in which nothing is compiled at all.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import neurosim as ns
from neurosim.engines.cuda.emulator import EmulatorEngine
from neurosim.engines.cuda.layout import Launch

THREADS = 4
CASES = {
    "NP": ("ns.rnn(2, 5, 1, seed=1)", "ns.NP(1e-2, noise_std=0.1)", None, 1, 3),
    "DANP in tiles": (
        "ns.rnn(2, 66, 1, decorrelate=True, neuron=ns.Tanh(tau=2.0), seed=1)",
        "ns.ANP(1e-2, noise_std=0.1)",
        "ns.Decorrelation(1e-2)",
        *(1, 2),
    ),
    "WP, signs": (
        "ns.rnn(2, 5, 2, seed=1)",
        "ns.WP(1e-2, noise_std=0.1, distribution='rademacher')",
        *(None, 2, 2),
    ),
}

CHILD = '''
import sys
import warnings

import numba
import numpy as np
from numba import cuda


def njit(*functions, **options):
    """Leave a function as it is; `numba.njit` does so too, but does not say where it is."""
    def same(function):
        function.py_func = function
        return function
    return same(*functions) if functions else same


numba.njit = njit
warnings.simplefilter("ignore", RuntimeWarning)  # counting from the beginning again is meant

from neurosim import noise

drawn, place = noise.words, noise.weight_index


def words(seed, stream, step, pass_, replica, block):
    # By NumPy: of a scalar function, int() gives a float.
    return drawn(*map(np.int64, (seed, stream, step, pass_, replica, block)))


def weight_index(post, pre, n_pre):
    return place(*map(np.int64, (post, pre, n_pre)))


# What masks and multiplies has more than 32 bits to do it in.
noise.words, noise.weight_index = words, weight_index

import neurosim as ns
from neurosim.engines.cuda import at, host, kernel
from neurosim.engines.cuda.language import Board, U, Where
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.program import program
from neurosim import simulator


def arrive(barrier):
    raise AssertionError("one block waits for nobody")


class Simulated(host.PhasedEngine):
    """Launches in the simulator."""

    name = "emulator"

    def _lay(self):
        return Layout(self.plan, Launch(1, {threads}, {weights}))

    def _allocate(self):
        self._memory = np.zeros(self._layout.size, dtype=np.float32)

    def _launch(self, steps, data):
        layout = self._layout
        text, calls = kernel.source(program(layout), layout)
        scope = dict(
            calls, cuda=cuda, float32=numba.types.float32, ZERO=np.float32(0), U=U, Board=Board,
            Where=Where, TABLE=layout.table, gridDim=1, arrive=arrive, arrived=arrive,
            ahead=lambda array, count: array[int(count):], own=lambda array: array,
            **{{name: getattr(at, name) for name in kernel._NAMES}},
        )
        exec(text, scope)
        shared = 4 * (layout.resident_size + layout.scratch)
        given = (layout.values, steps, self._memory, data, np.zeros(32, dtype=np.uint32))
        cuda.jit(scope[kernel.NAME])[1, {threads}, 0, shared](*given, *[np.uint64(0)] * 4)
        return data


simulator.find = lambda name, rule=None: Simulated
sim = ns.Simulator({net}, {rule}, {decorrelation}, batch={batch}, engine="emulator", seed=3)
generator = np.random.default_rng(0)
inputs, targets = (
    generator.normal(size=({steps}, {batch}, p.size))
    for p in (sim.network.inputs, sim.network.outputs)
)
record = sim.run(inputs, targets, outputs=True)
state = {{f"state/{{name}}": values for name, values in sim._engine.state().items()}}
np.savez(sys.argv[1], loss=record.loss, outputs=record.outputs, **sim.weights, **state)
'''


@pytest.mark.parametrize("weights", [0, 1 << 14], ids=["far", "near"])
@pytest.mark.parametrize("case", CASES)
def test_the_text_of_a_kernel_does_what_its_phases_do(case, weights, tmp_path, monkeypatch):
    pytest.importorskip("numba_cuda", reason="numba-cuda, whose simulator it is, is not installed")
    net, rule, decorrelation, batch, steps = CASES[case]
    names = {"net": net, "rule": rule, "decorrelation": decorrelation, "batch": batch}
    text = CHILD.format(**names, steps=steps, threads=THREADS, weights=weights)
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    out = tmp_path / "found.npz"
    done = subprocess.run(
        [sys.executable, "-c", text, out], env=simulated, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(EmulatorEngine, "launch", Launch(1, THREADS, weights))
    given = (eval(part or "None", {"ns": ns}) for part in (net, rule, decorrelation))
    sim = ns.Simulator(*given, batch=batch, engine="emulator", seed=3)
    start, generator = sim.weights, np.random.default_rng(0)
    inputs, targets = (
        generator.normal(size=(steps, batch, p.size))
        for p in (sim.network.inputs, sim.network.outputs)
    )
    record = sim.run(inputs, targets, outputs=True)
    expected = {"loss": record.loss, "outputs": record.outputs, **sim.weights}
    expected |= {f"state/{name}": values for name, values in sim._engine.state().items()}
    with np.load(out) as found:
        assert set(found.files) == set(expected)
        for name, values in expected.items():
            size = np.abs(values).max() + 1e-6
            np.testing.assert_allclose(found[name], values, rtol=0, atol=2e-5 * size, err_msg=name)
            if name in start and name != "A":
                change = np.abs(values - start[name]).max()
                assert np.abs(found[name] - values).max() <= 1e-2 * change
