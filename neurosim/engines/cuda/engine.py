"""The cuda engine: a whole stretch of a run in one launch."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from neurosim.engines.arrays import Floats
from neurosim.engines.cuda import barrier, kernel
from neurosim.engines.cuda.device import translated
from neurosim.engines.cuda.host import PhasedEngine
from neurosim.engines.cuda.language import U
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.program import Program, program
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.engines.undisturbed import ctrl_c_waits
from neurosim.errors import DivergenceError, InputError
from neurosim.network import Weights

THREADS = 256
ORDINARY = 48 * 1024  # bytes that every block may keep to itself without asking
SMALL = 2_000_000  # products a step that take a GPU no longer than to wait for itself once
# Memory and values of all that run side by side, and who they are.
Together = tuple[Any, Any, list[int]]
_log = logging.getLogger("neurosim")


class CudaEngine(PhasedEngine):
    """Run a plan on an NVIDIA GPU."""

    name = "cuda"
    _together: Together

    def __init__(self, plan: Plan, weights: Weights, threads: int = 1, beside: int = 1) -> None:
        self._beside = beside
        super().__init__(plan, weights, threads)

    @property
    def speed(self) -> float:
        # Synapses that draw noise or keep traces take their time.
        layout, plan = self._layout, self.plan
        noisy = plan.chip.loses or any(layout.perturbed(m) for m in range(len(layout.names)))
        return 1000.0 if layout.at_once and not noisy else 30.0

    def _lay(self) -> Layout:
        with translated():
            return Layout(self.plan, choose(self.plan, self._beside))

    def _allocate(self) -> None:
        import cupy

        with translated():
            self._memory = cupy.zeros(self._layout.size, dtype=cupy.float32)
            self._values = cupy.asarray(self._layout.values)
            self._program = program(self._layout)
            self._kernel = loaded(self._layout, self._program)
        _say_if_small(self.plan)

    def _write(self, *given: Any, **more: Any) -> None:
        with translated():
            super()._write(*given, **more)

    def _clear(self, *given: Any) -> None:
        with translated():
            super()._clear(*given)

    @staticmethod
    def _fetched(values: Any) -> Floats:
        import cupy

        with translated():
            return cupy.asnumpy(values)

    @staticmethod
    def _handed(values: Floats) -> Any:
        import cupy

        with translated():
            return cupy.asarray(values)

    def _launch(self, steps: NDArray[np.uint32], data: Floats) -> Floats:
        import cupy

        with translated():
            given = (self._values, cupy.asarray(steps), self._memory, cupy.asarray(data))
            launch(self._kernel, self._layout, given, 1)
            return cupy.asnumpy(given[3])

    @classmethod
    def side_by_side(cls, engines: Sequence[Engine]) -> list[Engine]:
        """Spread engines over the device, all of them in one array."""
        import cupy

        there: list[Any] = [getattr(engine, "_together", None) for engine in engines]
        together = there[0] is not None and all(each is there[0] for each in there)
        if together and [id(engine) for engine in engines] == there[0][2]:
            return list(engines)  # they are already
        made = []
        for engine in engines:
            assert isinstance(engine, CudaEngine)
            other = cls(engine.plan, engine.weights(), beside=len(engines))
            other.go_on_from(engine)
            made.append(other)
        first = made[0]
        for engine in made[1:]:
            same = np.array_equal(engine._layout.table, first._layout.table)
            same = same and engine._layout.launch == first._layout.launch
            if not same or engine._program != first._program:
                raise InputError(
                    "side_by_side: simulators must have the same network, batch, chip and rule but "
                    "for seeds, weights, learning rates and the like; these differ in more"
                )
        with translated():
            memory = cupy.concatenate([engine._memory for engine in made])
            values = cupy.concatenate([engine._values for engine in made])
        all_: Together = (memory, values, [])
        for engine, mine in zip(made, cupy.split(memory, len(made)), strict=True):
            engine._memory, engine._together = mine, all_
        all_[2].extend(id(engine) for engine in made)
        return list(made)

    @classmethod
    def advance_all(cls, engines: Sequence[Engine], stretches: Sequence[Progress]) -> None:
        some = [engine for engine in engines if isinstance(engine, CudaEngine)]
        if stretches[0].start == stretches[0].stop:
            return
        with ctrl_c_waits():
            cls._advance_all(some, stretches)

    @staticmethod
    def _advance_all(some: Sequence[CudaEngine], stretches: Sequence[Progress]) -> None:
        import cupy

        briefs = [engine._brief(part) for engine, part in zip(some, stretches, strict=True)]
        for engine in some:
            engine._set_desks("failed", np.zeros(3))
        memory, values, _ = some[0]._together
        with translated():
            steps = cupy.asarray(np.concatenate([brief.steps for brief in briefs]))
            data = cupy.asarray(np.concatenate([brief.data for brief in briefs]))
            launch(some[0]._kernel, some[0]._layout, (values, steps, memory, data), len(some))
            done = np.split(cupy.asnumpy(data), len(some))
        errors = []
        for engine, part, brief, found in zip(some, stretches, briefs, done, strict=True):
            try:
                engine._note(part, brief, found)
            except DivergenceError as error:  # the others have gone on
                errors.append(error)
        if errors:
            raise errors[0]


def choose(plan: Plan, beside: int = 1) -> Launch:
    """Spread a plan over the current device: as many blocks as can work at once.

    ``NEUROSIM_CUDA_BLOCKS`` sets their number; numbers are the same to the bit, however many.
    """
    import cupy

    attributes = cupy.cuda.Device().attributes
    most = max(1, int(attributes["MultiProcessorCount"]) // beside)
    # Of what a block can have, sums that are not yet complete take a part.
    free = max(ORDINARY, int(attributes["MaxSharedMemoryPerBlockOptin"]))
    wanted = os.environ.get("NEUROSIM_CUDA_BLOCKS")
    if wanted is not None and not (wanted.isdecimal() and 1 <= int(wanted) <= most):
        raise InputError(
            f"NEUROSIM_CUDA_BLOCKS = {wanted!r} must be a whole number from 1 to {most}, the "
            f"multiprocessors of this device"
        )
    return spread(plan, int(wanted) if wanted else None, most, free)


def spread(plan: Plan, blocks: int | None, most: int, free: int) -> Launch:
    """Choose blocks and what each keeps to itself, for a device with so much of both."""
    one = Layout(plan, Launch(1, THREADS))
    chunks = max(one.chunks(p.name) for p in plan.network.populations)
    weights = max(0, free // 4 - one.scratch)
    return Launch(min(most, chunks) if blocks is None else blocks, THREADS, weights)


def loaded(layout: Layout, given: Program) -> Any:
    """Compile a program for the current device, and load it."""
    import cupy

    ptx = kernel.compiled(given, layout, _capability(cupy.cuda.Device())).ptx
    shared, waits = 4 * (layout.resident_size + layout.scratch), layout.launch.blocks > 1
    return _load(ptx, shared, waits, cupy.cuda.Device().id)


def _capability(device: Any) -> tuple[int, int]:
    """Compute capability of a device, which CuPy gives as digits."""
    digits = str(device.compute_capability)
    return int(digits[:-1]), int(digits[-1])


@cache
def _load(ptx: str, shared: int, waits: bool, device: int) -> Any:
    """Load a kernel; blocks that wait for each other must all be there at once."""
    import cupy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(ptx)
        module = cupy.RawModule(path=str(path), enable_cooperative_groups=waits)
        function = module.get_function(kernel.entry(ptx))
        if shared > ORDINARY:
            function.max_dynamic_shared_size_bytes = shared
        function.attributes  # noqa: B018 - loads it, while the file is there
    return function


def launch(function: Any, layout: Layout, given: Sequence[Any], networks: int) -> None:
    """Run networks side by side, each with its values, steps, memory and data."""
    import cupy

    values, steps, memory, data = given
    barriers = cupy.zeros(32 * networks, dtype=cupy.uint32)
    sizes = [np.uint64(array.size // networks) for array in (values, steps, memory, data)]
    blocks, threads = layout.launch.blocks * networks, layout.launch.threads
    shared = 4 * (layout.resident_size + layout.scratch)
    arguments = (values, steps, memory, data, barriers, *sizes)
    function((blocks,), (threads,), arguments, shared_mem=shared)
    cupy.cuda.get_current_stream().synchronize()


def bare_barrier(blocks: int, threads: int, count: int) -> float:
    """Time that so many waits of all blocks for each other take, and nothing else [ms]."""
    import cupy
    from numba import cuda

    device = cupy.cuda.Device()
    lines = [f"            {line}" for line in barrier.wait(blocks)]
    text = "\n".join(
        [
            "def neurosim_wait(barrier, count):",
            "    thread, waits, i = U(cuda.threadIdx.x), U(0), U(0)",
            "    while i < count:",
            *[line[4:] for line in lines],
            "        i = U(i + 1)",
        ]
    )
    scope = {"U": U, "cuda": cuda, "arrive": barrier.arrive, "arrived": barrier.arrived}
    exec(text, scope)
    signature = (barrier.WORDS, types.uint32)
    capability = _capability(device)
    ptx = kernel.assemble(scope["neurosim_wait"], signature, threads, capability)
    function = _load(ptx, 0, blocks > 1, device.id)
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    for waits in (10, count):  # the first time it is loaded
        counter = cupy.zeros(1, dtype=cupy.uint32)
        begin.record()
        function((blocks,), (threads,), (counter, np.uint32(waits)))
        end.record()
        end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end))


@cache
def _say_once(words: str) -> None:
    _log.warning(words)


def _say_if_small(plan: Plan) -> None:
    network = plan.network
    products = sum(int(np.prod(network.shape(name))) for name in network.matrices) * plan.lanes
    if products < SMALL:
        _say_once(
            "engine = 'cuda': this network is so small that a GPU waits longer than it computes; "
            "engine = 'cpu' may be faster, or many networks side by side"
        )
