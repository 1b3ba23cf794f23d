"""The CPU engine: the whole time loop compiled by Numba, in float32."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines import team
from neurosim.engines.arrays import panels
from neurosim.engines.assumptions import assumptions_of
from neurosim.engines.compile import compiling
from neurosim.engines.engine import READINGS, Engine, Progress
from neurosim.engines.kernels import kernels
from neurosim.engines.loops import advance, complete
from neurosim.engines.memory import Due, empty_memory
from neurosim.engines.plan import Plan
from neurosim.engines.silicon import Silicon
from neurosim.engines.system import System
from neurosim.engines.tables import columns, layout, passes_of
from neurosim.engines.vectors import WIDTH
from neurosim.network import Weights

_YIELD = team.way_to_yield()


class CpuEngine(Engine):
    """Run a plan in compiled loops over plain arrays."""

    name = "cpu"

    def __init__(self, plan: Plan, weights: Weights, threads: int = 1) -> None:
        self.plan, self.threads = plan, threads
        self._passes = passes_of(plan)
        self._populations, self._projections, self._at, n_weights = layout(plan)
        self._memory = empty_memory(plan, self._populations, self._projections, n_weights, threads)
        with compiling(plan):
            compiled = kernels(plan)
        self._system = complete(
            System(
                compiled,
                self._passes,
                assumptions_of(plan),
                self._populations,
                self._projections,
                self._memory,
            )
        )
        # Not a method of its own: what an engine holds must not hold the engine.
        self._panels = partial(_panels, plan, self._at, self._memory.weights)
        self._silicon = Silicon(plan, self._memory, self._populations, self._panels)
        self._helpers: ThreadPoolExecutor | None = None
        self._process = 0  # in which there are these helpers: a fork has none of them
        self._helping: list[Future[Any]] = []
        self.set_weights(weights)

    def _matrix(self, name: str, values: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Copy of the same, row by row and without padding."""
        n_post, n_pre = self.plan.network.shape(name)
        rows = self._panels(name, values)[:, :n_pre].transpose(0, 2, 1)
        return rows.reshape(-1, n_pre)[:n_post].copy()

    def _units(self, population: str) -> slice:
        index = [p.name for p in self.plan.network.populations].index(population)
        start = int(self._populations.start[index])
        return slice(start, start + int(self._populations.size[index]))

    def _lay(self, name: str, matrix: Any, values: NDArray[np.float32] | None = None) -> None:
        """Overwrite a matrix, or the part of `values` that lies like it."""
        n_post, n_pre = self.plan.network.shape(name)
        padded = np.zeros((panels(n_post) * WIDTH, n_pre), dtype=np.float32)
        padded[:n_post] = matrix
        by_panel = padded.reshape(-1, WIDTH, n_pre).transpose(0, 2, 1)
        self._panels(name, values)[:, :n_pre] = by_panel

    def weights(self) -> Weights:
        self.finish()
        found = {name: self._matrix(name) for name in self.plan.network.matrices}
        for name, population in self.plan.feedback.items():
            rows = self._memory.feedback_weights[:, self._units(population.name)]
            found[name] = rows.T.copy()
        return found

    def set_weights(self, weights: Weights) -> None:
        self.finish()
        for name in self.plan.network.matrices:
            self._lay(name, weights[name])
        for name, population in self.plan.feedback.items():
            rows = self._memory.feedback_weights[:, self._units(population.name)]
            rows[...] = weights[name].T

    def program(self, weights: Weights) -> None:
        if not self.plan.chip.programs and not self.plan.chip.ages:
            super().program(weights)
            return
        self.finish()
        before = {name: self._matrix(name) for name in self.plan.network.matrices}
        self.set_weights(self.weights() | weights)
        for name in self.plan.network.matrices:
            if name in weights:
                self._silicon.store(name, before[name])

    def ages(self) -> dict[str, Any]:
        if not self.plan.chip.drifts:
            return {}
        self.finish()
        names = self.plan.network.matrices
        return {f"{name}.age": self._matrix(name, self._memory.age) for name in names}

    def set_ages(self, ages: dict[str, Any]) -> None:
        for name in self.plan.network.matrices if self.plan.chip.drifts else ():
            self._lay(name, ages[f"{name}.age"], self._memory.age)

    def _remembered(self) -> dict[tuple[str, str], NDArray[np.float32]]:
        """What synapses remember from run to run: by projection and memory, as weights lie."""
        names = [p.name for p in self.plan.network.projections]
        memories: dict[str, NDArray[np.float32]] = {}
        if len(self._memory.first):
            memories |= {"first": self._memory.first, "second": self._memory.second}
        if self.plan.delays and len(self._memory.owed):
            memories |= {"owed": self._memory.owed}
        return {(name, key): values for name in names for key, values in memories.items()}

    def state(self) -> dict[str, Any]:
        self.finish()
        found = {
            f"{p.name}.{variable}": getattr(self._memory, variable)[:, self._units(p.name)].copy()
            for p in self.plan.network.populations
            for variable in self._kept()
        }
        remembered = self._remembered()
        if len(self._memory.first):
            updates = float(self._memory.due[Due.UPDATES])
            found["optimiser.updates"] = np.array([updates])  # beyond 2**24 float32 cannot count
        for (name, key), values in remembered.items():
            found[f"{name}.{key}"] = self._matrix(name, values)
        for name in [p.name for p in self.plan.network.projections] * self._waiting():
            traces = [self._matrix(name, row) for row in self._memory.eligibility]
            found[f"{name}.eligibility"] = np.stack(traces)
        for p in self.plan.network.populations:
            found |= self._silicon.past(p.name, self._units(p.name))
        return found | self._silicon.line() | self.ages()

    @property
    def nbytes(self) -> int:
        pieces: dict[int, int] = {}
        for values in self._memory:  # some are the same: each piece of memory counts once
            at = values.__array_interface__["data"][0]
            pieces[at] = max(pieces.get(at, 0), values.nbytes)
        return sum(pieces.values())

    def _kept(self) -> tuple[str, ...]:
        return ("x", "s", "telegraph") if self.plan.substrate.act_telegraph else ("x", "s")

    def _waiting(self) -> bool:
        """Whether eligibilities outlive a run."""
        return self.plan.delays and self.plan.waits

    def set_state(self, state: dict[str, Any]) -> None:
        remembered = self._remembered()
        if len(self._memory.first):
            self._memory.due[Due.UPDATES] = int(state["optimiser.updates"][0])
        for (name, key), values in remembered.items():
            self._lay(name, state[f"{name}.{key}"], values)
        for p in self.plan.network.populations:
            for variable in self._kept():
                values = state[f"{p.name}.{variable}"]
                getattr(self._memory, variable)[:, self._units(p.name)] = values
        for name in [p.name for p in self.plan.network.projections] * self._waiting():
            for row, values in zip(
                self._memory.eligibility, state[f"{name}.eligibility"], strict=True
            ):
                self._lay(name, values, row)
        self._memory.sent[...] = self._memory.s.T  # whichever of the three is the last
        for p in self.plan.network.populations:
            self._silicon.set_past(p.name, self._units(p.name), state)
        self._silicon.set_line(state)
        self.set_ages(state)

    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        if variable in ("noise", "signal", "eligibility"):
            pass_ = self.plan.comparison_of(pass_)  # these have rows per comparison
        lanes = slice(pass_ * self.plan.batch, (pass_ + 1) * self.plan.batch)
        place = f"read_{READINGS[variable]}" if variable in READINGS else variable
        held = getattr(self._memory, place)
        values = (held[0] if variable == "signal" else held)[lanes]
        if variable == "eligibility":
            self.finish()
            if not len(values):  # credit is local everywhere: nobody keeps eligibilities
                return np.zeros((self.plan.batch, *self.plan.network.shape(name)), np.float32)
            return np.stack([self._matrix(name, row) for row in values])
        return values[:, self._units(name)].copy()

    def begin(self, rest: bool) -> None:
        self.finish()
        memory = self._memory
        late = () if self.plan.delays else (memory.eligibility, memory.owed)
        for values in (*late, memory.owed_reward, memory.signal):
            values[...] = 0
        if rest:
            for values in (memory.x, memory.s, memory.sent):
                values[...] = 0
            self._silicon.forget()

    def advance(self, progress: Progress) -> None:
        diverged = self._call(progress, settle=False)
        if diverged >= 0:
            raise self.divergence(progress, diverged)

    def finish(self) -> None:
        if self._memory.due[: Due.OVER].any():
            self._call(_nothing(self.plan), settle=True)

    def _team(self) -> ThreadPoolExecutor:
        """Threads that help, made when they are first needed in a process."""
        if self._helpers is None or self._process != os.getpid():
            self._helpers = ThreadPoolExecutor(self.threads - 1)
            self._process, self._helping = os.getpid(), []
        return self._helpers

    def _call(self, progress: Progress, settle: bool) -> int:
        given: tuple[Any, ...] = (
            self._system,
            progress.inputs,
            progress.targets,
            progress.learn,
            progress.learn and self.plan.decorrelation is not None,
            progress.clock,
            progress.start,
            progress.stop,
            settle,
            progress.rates,
            progress.decorrelation_rates,
            progress.loss,
            progress.reward,
            progress.outputs,
            progress.events,
            progress.operations,
            progress.writes,
        )
        board = self._memory.board
        board[team.FAILED] = 0
        if self.threads == 1:
            return int(advance(*given, 0, _YIELD))
        helpers = self._team()
        wait(self._helping)  # for those of a call that Ctrl-C cut short
        board[team.TICKET] = 0
        try:
            self._helping = [
                helpers.submit(lambda me=me: advance(*given, me, _YIELD))  # type: ignore[misc]
                for me in range(1, self.threads)
            ]
            diverged = int(advance(*given, 0, _YIELD))
        finally:
            board[team.TICKET] = team.STOP
        wait(self._helping)
        return diverged


def _panels(
    plan: Plan,
    at: Mapping[str, int],
    weights: NDArray[np.float32],
    name: str,
    values: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """View of a weight matrix, or of `values` that lie like weights, as they lie: in panels."""
    n_post, _ = plan.network.shape(name)
    shape = (panels(n_post), columns(plan, name), WIDTH)
    everything = weights if values is None else values
    return everything[at[name] : at[name] + int(np.prod(shape))].reshape(shape)


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
        rates=np.zeros((1, len(network.projections))),
        decorrelation_rates=np.zeros(1),
        events=np.zeros(0, dtype=np.int64),
        operations=np.zeros(0, dtype=np.int64),
        writes=np.zeros(0, dtype=np.int64),
    )
