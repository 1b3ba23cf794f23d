"""The cuda engine: a whole stretch of a run in one launch."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.arrays import Floats
from neurosim.engines.cuda import kernel
from neurosim.engines.cuda.device import translated
from neurosim.engines.cuda.host import PhasedEngine
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.program import program
from neurosim.engines.plan import Plan
from neurosim.errors import InputError

THREADS = 256
ORDINARY = 48 * 1024  # bytes that every block may keep to itself without asking
SMALL = 2_000_000  # products a step that take a GPU no longer than to wait for itself once
_log = logging.getLogger("neurosim")


class CudaEngine(PhasedEngine):
    """Run a plan on an NVIDIA GPU."""

    name = "cuda"
    speed: ClassVar[float] = 1000.0

    def _lay(self) -> Layout:
        with translated():
            launch = choose(self.plan)
            return Layout(self.plan, launch)

    def _allocate(self) -> None:
        import cupy

        with translated():
            self._memory = cupy.zeros(self._layout.size, dtype=cupy.float32)
            self._values = cupy.asarray(self._layout.values)
            self._kernel = loaded(self._layout)
        _say_if_small(self.plan)

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


def choose(plan: Plan) -> Launch:
    """Spread a plan over the current device: as many blocks as can work at once.

    ``NEUROSIM_CUDA_BLOCKS`` sets their number; numbers are the same to the bit, however many.
    """
    import cupy

    attributes = cupy.cuda.Device().attributes
    most = int(attributes["MultiProcessorCount"])
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


def loaded(layout: Layout) -> Any:
    """Compile a layout's program for the current device, and load it."""
    import cupy

    capability = tuple(int(digit) for digit in _split(cupy.cuda.Device().compute_capability))
    ptx = kernel.compiled(program(layout), layout, capability).ptx  # type: ignore[arg-type]
    return _load(ptx, 4 * (layout.resident_size + layout.scratch), cupy.cuda.Device().id)


def _split(capability: str) -> tuple[str, str]:
    return capability[:-1], capability[-1]


@cache
def _load(ptx: str, shared: int, device: int) -> Any:
    import cupy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(ptx)
        module = cupy.RawModule(path=str(path), enable_cooperative_groups=True)
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


@cache
def _say_once(words: str) -> None:
    _log.info(words)


def _say_if_small(plan: Plan) -> None:
    network = plan.network
    products = sum(int(np.prod(network.shape(name))) for name in network.matrices) * plan.lanes
    if products < SMALL:
        _say_once(
            "engine = 'cuda': this network is so small that a GPU waits longer than it computes; "
            "engine = 'cpu' may be faster, or many networks side by side"
        )
