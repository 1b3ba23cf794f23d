"""Engines: the same scalar functions run by different machinery."""

from __future__ import annotations

from typing import Any

from neurosim.bptt import BPTT
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.errors import InputError
from neurosim.values import is_one_of, nearest, shown

ENGINES = {
    "cpu": "compiled by Numba, float32; for work",
    "objects": "one Python object per neuron and synapse, float64; the oracle, small nets only",
    "cuda": "on an NVIDIA GPU, one launch per stretch of a run",
    "emulator": "the cuda engine's phases one after another on the CPU, to check them; slow",
}
AUTO = "auto"
AUTO_WORDS = "cuda where there is a GPU to work on, else cpu"
ONE_THREAD = ("cuda", "emulator")
COMPILED = ("cpu", "cuda", "emulator")

__all__ = ["AUTO", "AUTO_WORDS", "ENGINES", "Engine", "Plan", "Progress", "find", "resolve"]


def resolve(name: str, rule: Any = None) -> tuple[str, str]:
    """Choose the engine that "auto" stands for; any other name stands for itself.

    Parameters
    ----------
    name : str
    rule : learning rule, optional

    Returns
    -------
    name : str
        As `find` takes it.
    reason : str
        Which, and why, such as ``"cuda: NVIDIA H100 80GB HBM3"``.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if not is_one_of(name, [*ENGINES, AUTO]):
        known = nearest(name, [*ENGINES, AUTO])
        raise InputError(f"Simulator: engine = {shown(name)} does not exist; {known}")
    if name != AUTO:
        return name, f"{name}: asked for by name"
    if isinstance(rule, BPTT):
        return "cpu", f"cpu: {type(rule).__name__} runs in NumPy, on no other engine"
    from neurosim.engines.cuda import device

    why = device.missing()
    return ("cuda", f"cuda: {device.name()}") if why is None else ("cpu", f"cpu: {why}")


def find(name: str, rule: Any = None) -> type[Engine]:
    """Find an engine by its name and by what it is to learn by; it is imported only now.

    Raises
    ------
    InputError
        If there is none of that name, or it cannot run this rule.
    DeviceError
        If it needs a GPU, and there is none to work on.
    """
    name, _ = resolve(name, rule)
    if isinstance(rule, BPTT):
        if name != "cpu":
            raise InputError(
                f"Simulator: engine = {name!r} cannot run {type(rule).__name__}: it is made of "
                f"what is local, and that is not; use engine = 'cpu'"
            )
        from neurosim.engines.referee import RefereeEngine

        return RefereeEngine
    if name in COMPILED:
        _refuse_without_compiler(name)
    if name == "cpu":
        from neurosim.engines.cpu import CpuEngine

        return CpuEngine
    if name == "objects":
        from neurosim.engines.objects import ObjectsEngine

        return ObjectsEngine
    if name == "cuda":
        from neurosim.engines.cuda.device import require_device

        require_device()
        from neurosim.engines.cuda.engine import CudaEngine

        return CudaEngine
    from neurosim.engines.cuda.emulator import EmulatorEngine

    return EmulatorEngine


def _refuse_without_compiler(name: str) -> None:
    from numba import config

    if config.DISABLE_JIT:
        raise InputError(
            f"Simulator: engine = {name!r} needs Numba's compiler, which NUMBA_DISABLE_JIT (in the "
            f"environment or .numba_config.yaml) switches off; unset it, or use engine = 'objects'"
        )
