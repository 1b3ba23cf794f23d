"""Engines: the same scalar functions run by different machinery."""

from __future__ import annotations

from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.errors import InputError, nearest

ENGINES = {
    "cpu": "compiled by Numba, float32; for work",
    "objects": "one Python object per neuron and synapse, float64; the oracle, small nets only",
}

__all__ = ["ENGINES", "Engine", "Plan", "Progress", "find"]


def find(name: str) -> type[Engine]:
    """Find an engine by name; it is imported only now.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name == "cpu":
        from neurosim.engines.cpu import CpuEngine

        return CpuEngine
    if name == "objects":
        from neurosim.engines.objects import ObjectsEngine

        return ObjectsEngine
    raise InputError(f"Simulator: engine = {name!r} does not exist; {nearest(str(name), ENGINES)}")
