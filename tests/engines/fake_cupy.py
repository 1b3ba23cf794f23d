"""A GPU that is made up: CuPy, as the engine "cuda" uses it, over the emulator of its phases.

What it refuses, a real one refuses: numbers of the host among those of the device, more blocks or
more of a block's memory than there are, and everything once it was lost.
"""

from __future__ import annotations

import copy
import hashlib
import re
import types
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from neurosim.engines.cuda import kernel
from neurosim.engines.cuda.emulator import EmulatorEngine, code_of

GB = 10**9
ORDINARY = 48 * 1024  # bytes of its own that a block has without asking


class RuntimeFailure(RuntimeError):
    """Stands for CuPy's CUDARuntimeError."""


class DriverFailure(RuntimeError):
    """Stands for CuPy's CUDADriverError."""


class NoMemory(MemoryError):
    """Stands for CuPy's OutOfMemoryError."""


class Array:
    """Numbers on a device, or some of them. What NumPy makes of a real one is an error."""

    def __init__(self, machine, numbers, of=None):
        self._machine, self._numbers, self._of = machine, numbers, of
        if of is None:
            machine.take(self, numbers.nbytes)

    shape = property(lambda self: self._numbers.shape)
    dtype = property(lambda self: self._numbers.dtype)
    size = property(lambda self: self._numbers.size)
    nbytes = property(lambda self: self._numbers.nbytes)

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __getitem__(self, some):
        return Array(self._machine, self._numbers[some], self)

    def __setitem__(self, some, values):
        self._machine.work()
        if isinstance(values, Array):
            values = values._numbers
        elif not np.isscalar(values):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self._numbers[some] = values

    def reshape(self, *shape):
        """The same numbers, as CuPy has it where they lie next to each other."""
        assert self._numbers.flags.c_contiguous
        return Array(self._machine, self._numbers.reshape(*shape), self)


@dataclass
class Launch:
    """What a kernel was launched with."""

    name: str
    blocks: int
    threads: int
    shared: int
    networks: int
    steps: int


@dataclass
class Machine:
    """A machine with one GPU.

    Attributes
    ----------
    multiprocessors, shared, memory : int
        How many there are; bytes that a block can have of its own, and that all have together.
    launches : list of Launch
        All so far.
    loaded : list of str
        Kernels that were loaded.
    asked : dict of str to int
        Bytes of its own that a kernel asked for.
    lost_at : int, optional
        Launch that fails, and everything after it.
    """

    multiprocessors: int = 132
    shared: int = 232448
    memory: int = 80 * GB
    launches: list = field(default_factory=list)
    loaded: list = field(default_factory=list)
    asked: dict = field(default_factory=dict)
    lost_at: int | None = None
    lost: bool = False
    taken: int = 0
    programs: dict = field(default_factory=dict)

    # ------------------------------------------------------------------- what fails

    def work(self):
        """Everything fails on a device that was lost."""
        if self.lost:
            raise RuntimeFailure("cudaErrorLaunchFailure: unspecified launch failure")

    def take(self, owner, size):
        """Take memory for as long as its owner lives."""
        self.work()
        if self.taken + size > self.memory:
            raise NoMemory(
                f"Out of memory allocating {size:,} bytes (allocated so far: {self.taken:,} bytes)."
            )
        self.taken += size
        weakref.finalize(owner, self._release, size)

    def _release(self, size):
        self.taken -= size

    # ---------------------------------------------------------------------- modules

    def cupy(self):
        """A module that stands for CuPy on this machine."""
        module = types.ModuleType("cupy")
        module.float32, module.uint32, module.ndarray = np.float32, np.uint32, Array
        module.zeros = lambda n, dtype: Array(self, np.zeros(n, dtype))
        module.asarray = self._handed
        module.asnumpy = self._fetched
        module.concatenate = self._concatenated
        module.split = _split
        module.RawModule = lambda **given: Module(self, **given)
        runtime = SimpleNamespace(
            CUDARuntimeError=RuntimeFailure,
            driverGetVersion=lambda: 13000,
            runtimeGetVersion=lambda: 13000,
            getDeviceCount=lambda: 1,
            getDevice=lambda: 0,
            getDeviceProperties=lambda _: {
                "name": b"NVIDIA Made Up",
                "major": 9,
                "minor": 0,
                "multiProcessorCount": self.multiprocessors,
            },
            memGetInfo=lambda: (self.memory - self.taken, self.memory),
        )
        module.cuda = SimpleNamespace(
            Device=lambda: SimpleNamespace(
                id=0,
                compute_capability="90",
                attributes={
                    "MultiProcessorCount": self.multiprocessors,
                    "MaxSharedMemoryPerBlockOptin": self.shared,
                    "CooperativeLaunch": 1,
                },
            ),
            get_current_stream=lambda: SimpleNamespace(synchronize=self.work),
            get_local_runtime_version=lambda: 13000,
            runtime=runtime,
            driver=SimpleNamespace(CUDADriverError=DriverFailure),
            memory=SimpleNamespace(OutOfMemoryError=NoMemory),
        )
        return module

    def _handed(self, values):
        self.work()
        return values if isinstance(values, Array) else Array(self, np.array(values))

    def _fetched(self, values):
        self.work()
        return np.array(values._numbers)

    def _concatenated(self, arrays):
        return Array(self, np.concatenate([array._numbers for array in arrays]))

    def compiled(self, given, layout, capability):
        """Stand for `kernel.compiled`: PTX that a real device could do nothing with."""
        text, _ = kernel.source(given, layout)
        phases = [work.phase for work in given.works if work.phase is not None]
        made_of = [text, *(phase.version + code_of(phase) for phase in phases)]
        digest = hashlib.sha256(repr(made_of).encode() + layout.table.tobytes())
        name = f"run_{digest.hexdigest()[:16]}"
        self.programs[name] = (given, layout)
        return kernel.Code(f".visible .entry {name}(", capability)


def _split(array, parts):
    size = array.size // parts
    return [array[k * size : (k + 1) * size] for k in range(parts)]


class Module:
    """What was loaded from a file of PTX."""

    def __init__(self, machine, path, enable_cooperative_groups):
        machine.work()
        self._given = machine, Path(path), enable_cooperative_groups

    def get_function(self, name):
        """A kernel, which is loaded when it is first needed, as CuPy has it."""
        return Function(name, *self._given)


class Function:
    """A kernel, which is its program in the emulator."""

    def __init__(self, name, machine, path, together):
        self.name, self._machine, self._path, self._together = name, machine, path, together
        self._program = None

    def _load(self):
        if self._program is None:
            (name,) = re.findall(r"\.entry (\w+)", self._path.read_text())
            assert name == self.name
            self._program = self._machine.programs[name]
            self._machine.loaded.append(name)

    @property
    def attributes(self):
        """What the driver knows of it."""
        self._load()
        return {"num_regs": 100, "max_dynamic_shared_size_bytes": self.max_dynamic}

    @property
    def max_dynamic(self):
        """Bytes of its own that a block may have."""
        return self._machine.asked.get(self.name, ORDINARY)

    def _ask(self, size):
        self._load()
        if size > self._machine.shared:
            raise DriverFailure("CUDA_ERROR_INVALID_VALUE: invalid argument")
        self._machine.asked[self.name] = size

    max_dynamic_shared_size_bytes = property(lambda self: self.max_dynamic, _ask)

    def __call__(self, grid, block, arguments, *, shared_mem=0):
        machine = self._machine
        machine.work()
        self._load()
        (blocks,), (threads,) = grid, block
        *arrays, barriers = arguments[:5]
        assert all(isinstance(array, Array) for array in (*arrays, barriers))
        kinds = [np.float32, np.uint32, np.float32, np.float32, np.uint32]
        assert [array.dtype for array in (*arrays, barriers)] == kinds
        assert all(type(size) is np.uint64 for size in arguments[5:])
        assert not barriers._numbers.any()
        if self._together and blocks > machine.multiprocessors:
            raise DriverFailure("CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: too many blocks")
        if shared_mem > self.max_dynamic:
            raise DriverFailure("CUDA_ERROR_INVALID_VALUE: invalid argument")
        given, layout = self._program
        networks = barriers.size // 32
        # Blocks that wait for each other wait for ever where they are not there at once.
        assert self._together or layout.launch.blocks == 1
        assert (blocks, threads) == (layout.launch.blocks * networks, layout.launch.threads)
        assert shared_mem >= 4 * (layout.resident_size + layout.scratch)
        numbers = [array._numbers for array in arrays]
        assert [n.size for n in numbers] == [networks * int(size) for size in arguments[5:]]
        if machine.lost_at == len(machine.launches):
            numbers[2][:] = np.nan
            machine.lost = True
            return
        parts = [n.reshape(networks, -1) for n in numbers]
        for values, steps, memory, data in zip(*parts, strict=True):
            _emulate(given, layout, values, steps, memory, data)
        about = (self.name, blocks, threads, shared_mem, networks)
        machine.launches.append(Launch(*about, _length(parts[1][0])))


def _length(steps):
    from neurosim.engines.cuda import at

    return int(steps[at.STOP]) - int(steps[at.START])


def _emulate(given, layout, values, steps, memory, data):
    """Run a program in the emulator, over these numbers."""
    engine = object.__new__(EmulatorEngine)
    engine.plan, engine._layout = layout.plan, copy.copy(layout)
    engine._layout.values = values
    engine.written = lambda _: given
    engine._allocate()
    engine._memory = memory
    data[:] = engine._launch(steps, data)
