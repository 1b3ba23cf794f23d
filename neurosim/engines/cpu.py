"""The CPU engine: the whole time loop compiled by Numba, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines import loops
from neurosim.engines.compile import adapted
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.plan import Plan
from neurosim.engines.tables import Due, empty_memory, layout, padded, passes_of
from neurosim.local import ACTIVITY, DECORRELATION, NEURON, REWARD, SYNAPSE, scalar
from neurosim.network import Weights
from neurosim.rules import Decorrelation


class CpuEngine(Engine):
    """Run a plan in compiled loops over plain arrays."""

    name = "cpu"

    def __init__(self, plan: Plan, weights: Weights) -> None:
        self.plan = plan
        self._passes = passes_of(plan)
        self._populations, self._projections, self._at, n_weights = layout(plan)
        self._memory = empty_memory(plan, self._populations, self._projections, n_weights)
        self._advance = loops.build(*scalar_functions(plan))
        self.set_weights(weights)

    def _matrix(self, name: str, values: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """View of a weight matrix, or of `values` that lie like weights, without padding."""
        n_post, n_pre = self.plan.network.shape(name)
        stride = padded(n_pre)
        start = self._at[name]
        everything = self._memory.weights if values is None else values
        block = everything[start : start + n_post * stride]
        return block.reshape(n_post, stride)[:, :n_pre]

    def _units(self, population: str) -> slice:
        index = [p.name for p in self.plan.network.populations].index(population)
        start = int(self._populations.start[index])
        return slice(start, start + int(self._populations.size[index]))

    def weights(self) -> Weights:
        self.finish()
        return {name: self._matrix(name).copy() for name in self.plan.network.matrices}

    def set_weights(self, weights: Weights) -> None:
        self.finish()
        for name in self.plan.network.matrices:
            self._matrix(name)[...] = weights[name]

    def state(self) -> dict[str, Any]:
        return {
            f"{p.name}.{variable}": getattr(self._memory, variable)[:, self._units(p.name)].copy()
            for p in self.plan.network.populations
            for variable in ("x", "s")
        }

    def set_state(self, state: dict[str, Any]) -> None:
        for p in self.plan.network.populations:
            for variable in ("x", "s"):
                values = state[f"{p.name}.{variable}"]
                getattr(self._memory, variable)[:, self._units(p.name)] = values

    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        if variable in ("noise", "signal", "eligibility"):
            pass_ = self.plan.comparison_of(pass_)  # these have rows per comparison
        lanes = slice(pass_ * self.plan.batch, (pass_ + 1) * self.plan.batch)
        values = getattr(self._memory, variable)[lanes]
        if variable == "eligibility":
            self.finish()
            if not len(values):  # credit is local everywhere: nobody keeps eligibilities
                return np.zeros((self.plan.batch, *self.plan.network.shape(name)), np.float32)
            return np.stack([self._matrix(name, row) for row in values])
        return values[:, self._units(name)].copy()

    def begin(self, rest: bool) -> None:
        self.finish()
        memory = self._memory
        for values in (memory.eligibility, memory.owed, memory.owed_reward, memory.signal):
            values[...] = 0
        if rest:
            memory.x[...] = 0
            memory.s[...] = 0

    def advance(self, progress: Progress) -> None:
        diverged = self._call(progress, settle=False)
        if diverged >= 0:
            raise self.divergence(progress.clock + diverged)

    def finish(self) -> None:
        if self._memory.due[: Due.OVER].any():
            self._call(_nothing(self.plan), settle=True)

    def _call(self, progress: Progress, settle: bool) -> int:
        return self._advance(
            self._passes,
            self._populations,
            self._projections,
            self._memory,
            progress.inputs,
            progress.targets,
            progress.learn,
            progress.learn and self.plan.decorrelation is not None,
            progress.clock,
            progress.start,
            progress.stop,
            settle,
            progress.loss,
            progress.reward,
            progress.outputs,
            progress.events,
            progress.operations,
            progress.writes,
        )


def _nothing(plan: Plan) -> Progress:
    """A stretch of no steps."""
    network, batch = plan.network, plan.batch
    none = np.zeros((0, batch), dtype=np.float32)
    return Progress(
        inputs=np.zeros((0, batch, network.inputs.size), dtype=np.float32),
        targets=np.zeros((0, batch, network.outputs.size), dtype=np.float32),
        learn=False,
        clock=0,
        start=0,
        stop=0,
        loss=none,
        reward=np.zeros((1, 0, batch), dtype=np.float32),
        outputs=np.zeros((0, batch, network.outputs.size), dtype=np.float32),
        events=np.zeros(0, dtype=np.int64),
        operations=np.zeros(0, dtype=np.int64),
        writes=np.zeros(0, dtype=np.int64),
    )


def scalar_functions(plan: Plan) -> tuple[Any, ...]:
    """Compile the scalar functions of a plan, and take the fingerprint of their sources."""
    models: list[type] = []
    for population in plan.network.populations[1:]:
        if type(population.neuron) not in models:
            models.append(type(population.neuron))
    wanted = [(model, "activity", ACTIVITY) for model in models]
    rule = type(plan.rule)
    wanted += [(rule, "reward", REWARD), (rule, "neuron", NEURON), (rule, "synapse", SYNAPSE)]
    # Without a decorrelation rule the loop never calls one; any will do, and the usual one
    # makes it the same loop, compiled once.
    decorrelation = Decorrelation if plan.decorrelation is None else type(plan.decorrelation)
    wanted += [(decorrelation, "synapse", DECORRELATION)]
    functions = [scalar(owner, name) for owner, name, _ in wanted]
    compiled = [
        adapted(function, known, owner.__name__)
        for function, (owner, _, known) in zip(functions, wanted, strict=True)
    ]
    return tuple(compiled[: len(models)]), *compiled[len(models) :], fingerprint(functions)
