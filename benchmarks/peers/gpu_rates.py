"""What a card can do, measured: the two bandwidths, single-precision arithmetic, the barrier.

Each rate comes from the plainest program that should reach it. Written for a `clock` that
times a call (see `gpu_timing`).
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable
from importlib import metadata
from typing import Any

REPEATS = 7
THREADS = 256
PER_SM = 8  # blocks; 2048 threads, all that a multiprocessor holds
CHAINS = 16  # independent sums per thread, more than enough to hide an addition's delay
BARRIERS = 10_000
PACKAGES = (
    *("neurosim-plasticity", "numpy", "numba", "numba-cuda", "cupy-cuda13x", "cupy-cuda12x"),
    *("nvidia-cublas", "torch", "jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin"),
)
SOURCE = r"""
extern "C" __global__ void multiply_add(float* out, int rounds, float x, float y) {
    float sums[CHAINS];
    #pragma unroll
    for (int k = 0; k < CHAINS; ++k) sums[k] = threadIdx.x + k;
    for (int r = 0; r < rounds; ++r) {
        #pragma unroll
        for (int k = 0; k < CHAINS; ++k) sums[k] = fmaf(sums[k], x, y);
    }
    float sum = 0;
    #pragma unroll
    for (int k = 0; k < CHAINS; ++k) sum += sums[k];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// There and back, past the L1 cache. Every thread meets its own numbers only.
extern "C" __global__ void copy(float4* one, float4* other, int n, int rounds) {
    for (int r = 0; r < rounds; ++r) {
        const float4* from = r & 1 ? other : one;
        float4* to = r & 1 ? one : other;
        for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
            __stcg(to + i, __ldcg(from + i));
    }
}
"""
Clock = Callable[[Callable[[], Any]], tuple[float, float]]


def versions() -> dict[str, Any]:
    """Versions of all that takes part; what is not installed says so."""
    import platform

    found: dict[str, Any] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def card() -> dict[str, Any]:
    """The device, its driver and its clocks, as the driver tells them."""
    import cupy

    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    properties, attributes = runtime.getDeviceProperties(device.id), device.attributes
    free, total = device.mem_info
    found = {
        "name": properties["name"].decode(),
        "compute_capability": device.compute_capability,
        "multiprocessors": int(attributes["MultiProcessorCount"]),
        "memory_bytes": int(total),
        "free_bytes": int(free),
        "l2_bytes": int(attributes["L2CacheSize"]),
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "max_clock_khz": attributes.get("ClockRate"),
        "max_memory_clock_khz": attributes.get("MemoryClockRate"),
    }
    return found | {"nvidia_smi": state()}


def state() -> dict[str, str] | str:
    """What clocks, power and temperature are right now."""
    asked = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.draw,power.limit"
    asked += ",temperature.gpu,utilization.gpu"
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown: {error}"
    line = done.stdout.splitlines()[0]
    return dict(zip(asked.split(","), (part.strip() for part in line.split(",")), strict=False))


def measure(clock: Clock, say: Callable[[str], None]) -> dict[str, Any]:
    """Every rate by name; one that could not be measured is the reason why, in words."""
    found: dict[str, Any] = {}
    for name, how in _MEASURES.items():
        try:
            found[name] = how(clock)
        except Exception as error:  # the others may still work
            found[name] = f"{type(error).__name__}: {error}"
        say(f"{name}: {found[name]}")
    return found


def _median(clock: Clock, run: Callable[[], Any]) -> float:
    """Seconds of a call, as a rule."""
    run()
    return statistics.median(clock(run)[0] for _ in range(REPEATS))


def _compiled(name: str) -> Any:
    import cupy

    return cupy.RawKernel(SOURCE, name, options=(f"-DCHAINS={CHAINS}",))


def _multiprocessors() -> int:
    import cupy

    return int(cupy.cuda.Device().attributes["MultiProcessorCount"])


def _dram(clock: Clock) -> float:
    import cupy

    size = min(1 << 28, cupy.cuda.Device().mem_info[0] // 16)  # numbers: a GiB at most
    one, other = cupy.ones(size, dtype="float32"), cupy.empty(size, dtype="float32")
    return 10 * 8 * size / _median(clock, lambda: [cupy.copyto(other, one) for _ in range(10)])


def _l2(clock: Clock) -> float:
    import cupy

    # Both arrays together are half of the cache.
    size = int(cupy.cuda.Device().attributes["L2CacheSize"]) // 4 // 16
    one, other = (cupy.ones(4 * size, dtype="float32") for _ in range(2))
    kernel, rounds, blocks = _compiled("copy"), 200, PER_SM * _multiprocessors()
    given = (one, other, _int(size), _int(rounds))
    return rounds * 32 * size / _median(clock, lambda: kernel((blocks,), (THREADS,), given))


def _fma(clock: Clock) -> float:
    import cupy

    kernel, rounds, blocks = _compiled("multiply_add"), 20_000, PER_SM * _multiprocessors()
    out = cupy.empty(blocks * THREADS, dtype="float32")
    given = (out, _int(rounds), _float(0.999), _float(0.001))
    seconds = _median(clock, lambda: kernel((blocks,), (THREADS,), given))
    return 2 * CHAINS * rounds * out.size / seconds


def _sgemm(clock: Clock) -> float:
    import cupy

    n = 8192
    a, b, out = (cupy.random.standard_normal((n, n), dtype="float32") for _ in range(3))
    return 2 * n**3 / _median(clock, lambda: cupy.matmul(a, b, out=out))


def _barrier(_: Clock) -> float:
    from neurosim.engines.cuda.engine import bare_barrier

    blocks = _multiprocessors()
    bare_barrier(blocks, THREADS, 100)
    took = [bare_barrier(blocks, THREADS, BARRIERS) for _ in range(REPEATS)]
    return statistics.median(took) / 1e3 / BARRIERS


def _int(value: int) -> Any:
    import numpy as np

    return np.int32(value)


def _float(value: float) -> Any:
    import numpy as np

    return np.float32(value)


_MEASURES: dict[str, Callable[[Clock], float]] = {
    "dram_bytes_per_second": _dram,
    "l2_bytes_per_second": _l2,
    "fma_flops": _fma,
    "sgemm_flops": _sgemm,
    "barrier_seconds": _barrier,
}
