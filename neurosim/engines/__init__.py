"""Engines: the same scalar functions run by different machinery."""

from __future__ import annotations

from typing import Any

from neurosim.bptt import BPTT
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.errors import InputError, nearest

ENGINES = {
    "cpu": "compiled by Numba, float32; for work",
    "objects": "one Python object per neuron and synapse, float64; the oracle, small nets only",
}

__all__ = ["ENGINES", "Engine", "Plan", "Progress", "find"]


def find(name: str, rule: Any = None) -> type[Engine]:
    """Find an engine by its name and by what it is to learn by; it is imported only now.

    Raises
    ------
    InputError
        If there is none of that name, or it cannot run this rule.
    """
    if isinstance(rule, BPTT) and name in list(ENGINES):
        if name != "cpu":
            raise InputError(
                f"Simulator: engine = {name!r} cannot run {type(rule).__name__}: it is made of "
                f"what is local, and that is not; use engine = 'cpu'"
            )
        from neurosim.engines.referee import RefereeEngine

        return RefereeEngine
    if name == "cpu":
        from neurosim.engines.cpu import CpuEngine

        return CpuEngine
    if name == "objects":
        from neurosim.engines.objects import ObjectsEngine

        return ObjectsEngine
    raise InputError(f"Simulator: engine = {name!r} does not exist; {nearest(str(name), ENGINES)}")
