"""Whether there is a GPU to work on, what it is, and what its errors mean."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from neurosim.errors import DeviceError, NeurosimError

# Blocks of one launch wait for each other: that needs threads that make progress of their own. The
# compilers of CUDA 13 no longer know the first GPUs with such.
OLDEST = {12: (7, 0), 13: (7, 5)}

INSTALL = (
    'pip install "neurosim-plasticity[cuda13]" (or [cuda12], where the driver is one for CUDA 12)'
)
GO_ON = (
    "What was kept before is intact: go on from the last checkpoint with --engine cpu, or by "
    "Simulator.load(path, engine='cpu')."
)

# Classes of errors by the module that must have been imported for one of them to be raised, and
# the way from there. Private places are what there is: it is no harm if one of them moves.
_ERRORS = (
    ("cupy", "cuda.memory.OutOfMemoryError"),
    ("cupy", "cuda.runtime.CUDARuntimeError"),
    ("cupy", "cuda.driver.CUDADriverError"),
    ("numba.cuda.cudadrv.error", "CudaDriverError"),
    ("numba.cuda.cudadrv.error", "CudaRuntimeError"),
    ("numba.cuda.cudadrv.error", "CudaSupportError"),
    ("numba.cuda.cudadrv.driver", "LinkerError"),
    ("cuda.core._utils.cuda_utils", "CUDAError"),
)
# What is said of them, in either spelling: cudaErrorMemoryAllocation, CUDA_ERROR_OUT_OF_MEMORY.
_MEMORY = ("outofmemory", "memoryallocation")
_TOO_OLD = ("unsupportedptxversion", "insufficientdriver", "systemdrivermismatch")
_TAKEN = ("devicesunavailable", "deviceunavailable", "nodevice", "devicealreadyinuse")
_REFUSED = ("invalid", "notsupported", "outofresources", "launchtoolarge", "nokernelimage")


# ------------------------------------------------------------------- is there one


def missing() -> str | None:
    """Say what is missing to work on a GPU, and how to get it.

    Looks anew at every call: a driver may be loaded, or a device hidden, at any time.

    Returns
    -------
    str or None
        One sentence without a full stop; None if nothing is missing.
    """
    try:
        cupy = _cupy()
    except ImportError as error:
        return _not_installed("CuPy", "cupy", error)
    try:
        import numba_cuda  # noqa: F401  # Numba brings a `numba.cuda` of its own, an older one
    except ImportError as error:
        return _not_installed("numba-cuda", "numba_cuda", error)
    runtime = cupy.cuda.runtime
    try:
        driver = int(runtime.driverGetVersion())
        needed = _toolkit(cupy)
        if not driver:
            return (
                "no NVIDIA driver was found (libcuda); install the driver of the GPU: "
                "https://www.nvidia.com/drivers"
            )
        if driver < needed:
            return _too_old(driver, needed)
        if not runtime.getDeviceCount():
            return _no_device()
        found = runtime.getDeviceProperties(runtime.getDevice())
    except Exception as error:  # whatever a driver stumbles upon
        if "nodevice" in _plain(error):
            return _no_device()
        if "insufficientdriver" in _plain(error):
            return _too_old(driver, needed)
        return f"CUDA does not start ({error}); nvidia-smi may say why"
    capability = (int(found["major"]), int(found["minor"]))
    oldest = OLDEST[13 if needed >= 13000 else 12]
    if capability < oldest:
        return (
            f"{_name(found)} has compute capability {_dotted(capability)}, and with CUDA "
            f"{_version(needed)} {_dotted(oldest)} or newer is needed"
        )
    if not _compiles():
        return f"the CUDA compiler (NVVM) is not installed; {INSTALL}"
    return None


def require_device(who: str = "Simulator: engine = 'cuda'") -> None:
    """Refuse to go on where there is no GPU to work on.

    Parameters
    ----------
    who : str
        What asks for one, for the message.

    Raises
    ------
    DeviceError
        Naming what is missing, and how to get it.
    """
    why = missing()
    if why is not None:
        raise DeviceError(f"{who} cannot work on this machine: {why}; or use engine = 'cpu'")


def visible() -> list[str]:
    """Names of this process's GPUs, as ``CUDA_VISIBLE_DEVICES`` has them."""
    count = int(_cupy().cuda.runtime.getDeviceCount())
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(k) for k in range(count)] if said is None else said.split(",")
    return [name.strip() for name in names[:count]]


def name() -> str:
    """Name of the GPU that is worked on."""
    runtime = _cupy().cuda.runtime
    return _name(runtime.getDeviceProperties(runtime.getDevice()))


def describe() -> dict[str, Any]:
    """Look at the GPU that is worked on.

    Returns
    -------
    dict
        ``name``; ``compute_capability``, such as ``"9.0"``; ``multiprocessors``;
        ``memory_free`` and ``memory_total`` [bytes]; ``driver``, the newest CUDA that it knows,
        and ``toolkit``, the CUDA that is installed, such as ``"13.0"``.
    """
    cupy = _cupy()
    runtime = cupy.cuda.runtime
    found = runtime.getDeviceProperties(runtime.getDevice())
    free, total = runtime.memGetInfo()
    return {
        "name": _name(found),
        "compute_capability": _dotted((int(found["major"]), int(found["minor"]))),
        "multiprocessors": int(found["multiProcessorCount"]),
        "memory_free": int(free),
        "memory_total": int(total),
        "driver": _version(int(runtime.driverGetVersion())),
        "toolkit": _version(_toolkit(cupy)),
    }


def words() -> str:
    """Say in one line what `describe` finds."""
    found = describe()
    return (
        f"{found['name']}, compute capability {found['compute_capability']}, "
        f"{found['multiprocessors']} multiprocessors, {_gb(found['memory_free'])} of "
        f"{_gb(found['memory_total'])} GB free; driver for CUDA {found['driver']}, toolkit "
        f"{found['toolkit']}"
    )


def _cupy() -> Any:
    import cupy

    return cupy


def _toolkit(cupy: Any) -> int:
    """The CUDA that makes machine code here, such as 13000.

    CuPy's own runtime is linked into it, and any driver of the same major version will do for
    that. The compilers are in the toolkit beside it.
    """
    own = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000 * 1000
    try:
        return max(own, int(cupy.cuda.get_local_runtime_version()))
    except Exception:  # no toolkit that CuPy can find; what is missing shows later
        return own


def _compiles() -> bool:
    try:
        from numba.cuda.cudadrv import nvvm

        return bool(nvvm.is_available())
    except Exception:  # as many as there are versions of it
        return False


def _not_installed(what: str, module: str, error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        return f"{what} is not installed; {INSTALL}"
    return f"{what} cannot be imported ({error}); {INSTALL}"


def _too_old(driver: int, needed: int) -> str:
    says = (
        f"the NVIDIA driver is too old: it knows CUDA up to {_version(driver)}, and the toolkit "
        f"that is installed here is {_version(needed)}; install a newer driver"
    )
    if driver // 1000 == needed // 1000:
        return f'{says}, or an older toolkit: pip install "cuda-toolkit=={_version(driver)}.*"'
    if driver >= 12000:
        return f'{says}, or, in an environment of its own, "neurosim-plasticity[cuda12]"'
    return says


def _no_device() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    why = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES = {hidden!r} hides all others)"
    return f"the NVIDIA driver finds no GPU{why}; nvidia-smi lists those that there are"


def _name(found: Any) -> str:
    name = found["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def _gb(size: float) -> str:
    return f"{size / 1e9:.3g}"


# ------------------------------------------------------------------ what went wrong


@contextmanager
def translated() -> Iterator[None]:
    """Make a `DeviceError` of what CuPy, Numba or CUDA raise when the device fails."""
    try:
        yield
    except NeurosimError:
        raise
    except Exception as error:
        meant = translate(error)
        if meant is None:
            raise
        raise meant from error


def translate(error: BaseException) -> DeviceError | None:
    """Say what an error means that a device caused; None of any other error."""
    if not isinstance(error, _classes()):
        return None
    said = _plain(error)
    if isinstance(error, MemoryError) or any(word in said for word in _MEMORY):
        return DeviceError(f"GPU: memory is used up: {_memory(error)}. {GO_ON}")
    if any(word in said for word in _TOO_OLD):
        cupy = sys.modules.get("cupy")
        why = f"the driver refuses what the CUDA toolkit makes ({error})"
        if cupy is not None:
            driver, needed = int(cupy.cuda.runtime.driverGetVersion()), _toolkit(cupy)
            # A driver that is new enough by its number refuses for a reason that is not known.
            why = _too_old(driver, needed) if driver < needed else why
        return DeviceError(f"GPU: {why}. {GO_ON}")
    if any(word in said for word in _TAKEN):
        return DeviceError(f"GPU: is not there, or another process has it ({error}). {GO_ON}", True)
    if any(word in said for word in _REFUSED):
        return DeviceError(f"GPU: refuses what was asked of it ({error}). {GO_ON}")
    return DeviceError(
        f"GPU: was lost ({error}); this process cannot use it any more, and nvidia-smi may say "
        f"why. {GO_ON}",
        lost=True,
    )


def _classes() -> tuple[type[BaseException], ...]:
    """Classes of errors that only a device can cause, of what was imported."""
    found = []
    for module, way in _ERRORS:
        thing: Any = sys.modules.get(module)
        for step in way.split("."):
            thing = getattr(thing, step, None)
        if isinstance(thing, type) and issubclass(thing, BaseException):
            found.append(thing)
    return tuple(found)


def _plain(error: BaseException) -> str:
    """An error's text, in small letters and no others."""
    return re.sub(r"[^a-z]", "", str(error).lower())


def _memory(error: BaseException) -> str:
    """How much was wanted, and how much there is."""
    wanted = re.search(r"allocating ([\d,]+) bytes", str(error))
    parts = []
    if wanted is not None:
        parts.append(f"{_gb(int(wanted.group(1).replace(',', '')))} GB more were wanted")
    try:
        free, total = _cupy().cuda.runtime.memGetInfo()
        parts.append(f"{_gb(free)} of {_gb(total)} GB are free")
    except Exception:  # a device without memory may not even tell
        parts.append("how much is free it does not tell")
    return f"{', '.join(parts)}; a smaller network or batch needs less"
