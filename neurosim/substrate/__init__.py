"""Hardware assumptions: one frozen record, and scalar functions for what it assumes.

A new assumption is a field of `Substrate` whose default is ideal, a scalar function in a
file here, a noise stream of its own if it draws, and one call in each engine at the phase
of the step where it acts.
"""

from neurosim.substrate.record import Substrate

__all__ = ["Substrate"]
