"""All that the time loop works with."""

from __future__ import annotations

from typing import NamedTuple

from neurosim.engines.assumptions import Assumptions
from neurosim.engines.kernels import Kernels
from neurosim.engines.memory import Memory
from neurosim.engines.tables import Passes, Populations, Projections


class System(NamedTuple):
    """Kernels, tables and memory of a simulation."""

    kernels: Kernels
    passes: Passes
    chip: Assumptions
    populations: Populations
    projections: Projections
    memory: Memory
