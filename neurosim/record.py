"""What a run leaves behind, and what to look at while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import display
from neurosim.engines import Plan
from neurosim.engines.engine import PERTURBED_VARIABLES, VARIABLES
from neurosim.errors import InputError
from neurosim.values import (
    SIZES,
    STEPS,
    is_count,
    nearest,
    require,
    require_count,
    require_list,
    require_memory,
    require_one_of,
    shown,
)


@dataclass(frozen=True)
class Probe:
    """Record one state at chosen steps and units.

    Parameters
    ----------
    of : str
        A population, or a weight matrix.
    variable : str
        Of a population: ``a`` pre-activation, ``x`` activity, ``s`` what is sent;
        ``a_read``, ``x_read`` and ``s_read``, what learning rules read of these (synapses
        read ``s`` only in passes whose activity they learn from);
        in a perturbed pass also ``noise``, the injected noise of its comparison,
        and ``signal``, what each neuron formed for its synapses. Of a projection:
        ``w`` weights, ``eligibility`` (of a perturbed pass).
    steps : int, slice or iterable of int, optional
        Steps of the sequence: every so many from step 0; a slice; or a list. None: all.
    units : iterable of int, optional
        Neurons; for a matrix, postsynaptic neurons (rows). None: all.
    pass_ : int
        0 the baseline; 1, 2, ... the perturbed passes.

    Raises
    ------
    InputError
        If `steps` or `units` are none of these.

    Notes
    -----
    A probe holds ``steps x batch x units`` numbers (``steps x rows x columns`` for
    weights): choose what you need.
    """

    of: str
    variable: str = "x"
    steps: Any = None
    units: Any = None
    pass_: int = 0

    def __post_init__(self) -> None:
        """Store steps and units as tuples: an iterator gives its items once."""
        for name in ("of", "variable"):
            value = getattr(self, name)
            require(isinstance(value, str), "Probe", name, value, "a name")
        pass_ = require_count("Probe", "pass_", self.pass_, 0, SIZES)
        object.__setattr__(self, "pass_", pass_)
        if not (self.steps is None or isinstance(self.steps, slice) or is_count(self.steps)):
            allowed = "None, an int >= 1, a slice, or a list of steps in [0, T)"
            object.__setattr__(self, "steps", _indices(self, "steps", self.steps, allowed))
        if self.units is not None:
            allowed = "None or a list of indices in [0, size)"
            object.__setattr__(self, "units", _indices(self, "units", self.units, allowed))

    @property
    def name(self) -> str:
        """Key in ``record.probes``: ``of.variable``, and ``@pass`` for perturbed passes."""
        return f"{self.of}.{self.variable}" + (f"@{self.pass_}" if self.pass_ else "")

    def sampled(self, n_steps: int) -> list[int]:
        """Steps of a sequence of `n_steps` at which to look."""
        owner = f"Probe {shown(self.name)}"
        n_steps = require_count(owner, "n_steps", n_steps, 0, STEPS, of="steps")
        allowed = f"None, an int >= 1, a slice, or a list of steps in [0, {n_steps})"
        if isinstance(self.steps, tuple):
            fine = all(step < n_steps for step in self.steps)
            require(fine, owner, "steps", list(self.steps), allowed)
            return sorted(set(self.steps))
        chosen: Any = slice(None) if self.steps is None else self.steps
        if is_count(chosen):
            require(chosen >= 1, owner, "steps", chosen, allowed)
            chosen = slice(None, None, int(chosen))
        try:
            found = range(n_steps)[chosen]
        except Exception as error:  # a slice may hold anything
            text = f"{owner}: steps = {shown(self.steps)} must be {allowed}"
            raise InputError(text) from error
        require_memory(owner, f"{len(found):,} steps", 40 * len(found))
        return list(found)

    def check(self, plan: Plan) -> None:
        """Refuse what this network does not have.

        Raises
        ------
        InputError
            Naming what there is.
        """
        require(isinstance(plan, Plan), "Probe", "plan", plan, "a Plan")
        owner, network = f"Probe {shown(self.name)}", plan.network
        populations = {p.name: p for p in network.populations}
        projections = {p.name for p in network.projections}
        shapes = plan.matrices()
        known = [*populations, *shapes]
        if self.of not in known:
            raise InputError(
                f"{owner}: of = {shown(self.of)} does not exist; {nearest(self.of, known)}"
            )
        fine = 0 <= self.pass_ < plan.passes
        require(fine, owner, "pass_", self.pass_, f"a pass, in [0, {plan.passes})")
        if self.of in populations:
            allowed: tuple[str, ...] = VARIABLES
            acts = populations[self.of].neuron is not None
            allowed += ("a_read", "x_read") if acts else ()
            allowed += ("s_read",) if self.pass_ == 0 or plan.both else ()
            if self.pass_ > 0 and acts:
                allowed += PERTURBED_VARIABLES
            size = populations[self.of].size
        else:
            allowed = ("w",)
            if self.pass_ > 0 and self.of in projections and plan.options.reward != "local":
                allowed += ("eligibility",)
            size = shapes[self.of][0]
        require_one_of(owner, "variable", self.variable, allowed, f"one of {allowed}")
        if self.units is not None:
            fine = all(unit < size for unit in self.units)
            wanted = f"None or a list of indices in [0, {size})"
            require(fine, owner, "units", list(self.units), wanted)


def _numbers(probe: Probe, plan: Plan) -> int:
    """How many numbers a probe holds of a step."""
    shapes = plan.matrices()
    if probe.of not in shapes:
        rows, columns = plan.network.population(probe.of).size, plan.batch
    else:
        rows, columns = shapes[probe.of]
        columns *= 1 if probe.variable == "w" else plan.batch
    return columns * (rows if probe.units is None else len(probe.units))


def _indices(probe: Probe, field: str, values: Any, allowed: str) -> tuple[int, ...]:
    """Check a list of indices, which may be given but once."""
    owner = f"Probe {shown(probe.name)}"
    chosen = require_list(owner, field, values, allowed)
    fine = all(is_count(i) and i >= 0 for i in chosen)
    require(fine, owner, field, values, allowed)
    return tuple(int(i) for i in chosen)


@dataclass(frozen=True)
class Record:
    """What a run leaves behind.

    Attributes
    ----------
    loss : ndarray of float32, (T, batch)
        Squared error summed over outputs, baseline pass.
    reward : dict of str to ndarray of float32, (T, batch)
        Per projection, the scalar broadcast to it at each step, mean over perturbed
        passes; 0 where nothing was broadcast. Empty unless learning by a rule.
    outputs : ndarray of float32, (T, batch, n_out), or None
        Baseline outputs, if they were asked for.
    probes : dict of str to ndarray of float32
        Per probe ``(samples, batch, units)``; for weights ``(samples, rows, columns)``.
    events, synaptic_operations, weight_writes : ndarray of int64, (T,)
        Per step: events sent by neurons, weights met by an event, weights told to change
        (on a chip that is not ideal some do not).
    n_outputs : int
    """

    loss: NDArray[np.float32]
    reward: dict[str, NDArray[np.float32]]
    outputs: NDArray[np.float32] | None
    probes: dict[str, NDArray[np.float32]]
    events: NDArray[np.int64]
    synaptic_operations: NDArray[np.int64]
    weight_writes: NDArray[np.int64]
    n_outputs: int = field(repr=False)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self._shown().items())
        return f"Record({told})"

    def _repr_html_(self) -> str:
        return display.table("Record", self._shown())

    def _shown(self) -> dict[str, Any]:
        """Collect sizes and the error, to be shown."""
        steps, batch = self.loss.shape
        outputs = None if self.outputs is None else self.outputs.shape
        probed = (f"{name} {values.shape}" for name, values in self.probes.items())
        found = {"steps": steps, "batch": batch, "mse": f"{self.mse:.4g}", "outputs": outputs}
        return found | {"reward": [*self.reward], "probes": f"[{display.few(probed, ', ')}]"}

    @property
    def mse(self) -> float:
        """Mean squared error over steps, replicas and outputs."""
        return float(self.loss.mean(dtype=np.float64)) / self.n_outputs


class Sampler:
    """Collects what probes ask for while a run goes on."""

    def __init__(self, probes: Iterable[Probe], plan: Plan, n_steps: int) -> None:
        self.probes = require_list("Simulator", "probes", probes, "Probe objects")
        for probe in self.probes:
            require(isinstance(probe, Probe), "Simulator", "probes", probe, "Probe objects")
            probe.check(plan)
        names = [probe.name for probe in self.probes]
        double = sorted({name for name in names if names.count(name) > 1})
        require(not double, "Simulator", "probes", double, "of different states")
        self._steps = [set(probe.sampled(n_steps)) for probe in self.probes]
        for probe, steps in zip(self.probes, self._steps, strict=True):
            nbytes = 4 * len(steps) * _numbers(probe, plan)
            require_memory(f"Probe {probe.name!r}", f"{len(steps)} samples", nbytes)
        self._samples: list[list[NDArray[np.float32]]] = [[] for _ in self.probes]
        self.stops = sorted(set().union(*self._steps)) if self.probes else []

    def look(self, engine: Any, step: int) -> None:
        """Sample the probes that want this step."""
        for probe, steps, samples in zip(self.probes, self._steps, self._samples, strict=True):
            if step not in steps:
                continue
            if probe.variable == "w":
                values = engine.weights()[probe.of]
            else:
                values = engine.observe(probe.of, probe.variable, probe.pass_)
            if probe.units is not None:
                axis = 0 if probe.variable == "w" else 1
                values = np.take(values, probe.units, axis=axis)
            samples.append(values)

    def result(self) -> dict[str, NDArray[np.float32]]:
        """All samples, stacked."""
        return {
            probe.name: np.stack(samples) if samples else np.empty(0, dtype=np.float32)
            for probe, samples in zip(self.probes, self._samples, strict=True)
        }
