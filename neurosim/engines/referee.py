"""The referee as an engine: a plan whose rule is backpropagation through time, in NumPy.

It shares the simulator with the other engines, and no equation: those are in `neurosim.bptt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import bptt, rates
from neurosim.bptt.passes import Cell, Trace, backward
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.parts import DECORRELATIONS, NEURONS, parts
from neurosim.engines.plan import Plan
from neurosim.engines.undisturbed import ctrl_c_waits, one_thread
from neurosim.network import Weights
from neurosim.neurons import One
from neurosim.values import require_memory


@dataclass
class Past:
    """Steps that losses reach back over: the last so many, or those since weights changed.

    Attributes
    ----------
    trace : Trace
        Room for them. Of those that never were, all is zero, and nothing comes of it.
    error : ndarray, (T, batch, n_out)
        Derivative of each step's loss by its outputs; that of the last step alone if it slides.
    slides : bool
        Whether the oldest step goes when a new one comes.
    count : int
        Steps in it.
    """

    trace: Trace
    error: NDArray[np.float32]
    slides: bool
    count: int = 0

    def add(self, u: Any, fired: Any, before: Any, s: Any, error: Any) -> None:
        """Add a step, in which `before` was received from the one before."""
        trace, at = self.trace, self.count
        if self.slides:
            for values in (trace.inputs, trace.fired, trace.s):
                values[:-1] = values[1:]
            at = len(self.error) - 1
        trace.inputs[at], trace.fired[at], trace.s[at + 1], self.error[at] = u, fired, s, error
        trace.s[at] = before
        self.count = at + 1

    @property
    def full(self) -> bool:
        """Whether there is no room for another step."""
        return self.count == len(self.error)

    def taken(self) -> tuple[Trace, Any]:
        """Take what is there, to learn from it; what does not slide is empty then."""
        n, trace = self.count, self.trace
        self.count = 0
        return Trace(trace.inputs[:n], trace.fired[:n], trace.s[: n + 1]), self.error[:n]


class RefereeEngine(Engine):
    """Run a plan in float32 on one thread. Matrices go by their parts: A, R, B and D."""

    name = "cpu"

    def __init__(self, plan: Plan, weights: Weights, threads: int = 1) -> None:
        self.plan, self.threads = plan, threads
        self._names = parts(plan)
        self._weights = {part: weights[name].copy() for part, name in self._names.items()}
        self._acting = [p for p in plan.network.populations if p.neuron != One()]
        hidden, rule = self._acting[1], plan.rule
        self._cell = Cell(NEURONS[type(hidden.neuron)], float(hidden.neuron.tau))
        self._optimiser = bptt.optimiser(
            rule.optimiser, self._weights, self._rates(), rule.beta1, rule.beta2, rule.epsilon
        )
        self._x, self._s = self._zeros(hidden.size), self._zeros(hidden.size)
        self._seen = {
            (p.name, variable): self._zeros(p.size)
            for p in plan.network.populations
            for variable in "axs"
        }
        for p in plan.network.populations:
            if p.neuron == One():
                self._seen[p.name, "x"] = self._seen[p.name, "s"] = self._zeros(1) + 1
        self._online = plan.learns and rule.schedule == "online"
        self._most = 0
        self._past = self._room(rule.truncate) if self._online else None

    def _zeros(self, size: int, *steps: int) -> NDArray[np.float32]:
        return np.zeros((*steps, self.plan.batch, size), dtype=np.float32)

    def _room(self, steps: int) -> Past:
        n_in, n, n_out = (p.size for p in self._acting)
        nbytes = 4 * steps * self.plan.batch * (n_in + 2 * n + n_out)
        require_memory(type(self.plan.rule).__name__, f"a memory of {steps:,} steps", nbytes)
        trace = Trace(self._zeros(n_in, steps), self._zeros(n, steps), self._zeros(n, steps + 1))
        error = self._zeros(n_out, steps)
        self._most = max(self._most, error.nbytes + sum(v.nbytes for v in vars(trace).values()))
        return Past(trace, error, slides=self._online)

    @property
    def nbytes(self) -> int:
        kept = self.weights().values(), self._optimiser.state().values()
        now = sum(values.nbytes for some in kept for values in some)
        return now + self._x.nbytes + self._s.nbytes + self._most

    def _rates(self) -> dict[str, float]:
        """Parts that learn; every change of weights has its step's rates."""
        names, given = self._projections, self.plan.rule.learning_rate
        some = {part: name for part, name in self._names.items() if name in names}
        return {part: 0.0 for part, name in some.items() if rates.of(given, name) != 0}

    @property
    def _projections(self) -> list[str]:
        return [projection.name for projection in self.plan.network.projections]

    # ------------------------------------------------------------------ state

    def weights(self) -> Weights:
        return {name: self._weights[part].copy() for part, name in self._names.items()}

    def set_weights(self, weights: Weights) -> None:
        for part, name in self._names.items():
            self._weights[part][...] = weights[name]

    def state(self) -> dict[str, Any]:
        state = {"x": self._x, "s": self._s}
        kept = self._optimiser.state()
        state |= {f"optimiser.{name}": values for name, values in kept.items()}
        if self._online and self._past is not None:
            state |= {f"past.{name}": values for name, values in vars(self._past.trace).items()}
        return {name: values.copy() for name, values in state.items()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._x, self._s = state["x"].copy(), state["s"].copy()
        kept = {name.removeprefix("optimiser."): values for name, values in state.items()}
        self._optimiser.set_state(kept)
        if self._online and self._past is not None:
            for name, values in vars(self._past.trace).items():
                values[...] = state[f"past.{name}"]

    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        return self._seen[name, variable].copy()

    # ------------------------------------------------------------------- time

    def begin(self, rest: bool) -> None:
        self.finish()
        if rest:
            self._x[...] = 0
            self._s[...] = 0
            if self._online:
                self._past = self._room(self.plan.rule.truncate)

    def advance(self, progress: Progress) -> None:
        with one_thread(), ctrl_c_waits(), np.errstate(all="ignore"):
            for t in range(progress.start, progress.stop):
                self._step(progress, t)

    def finish(self) -> None:
        if not self._online:
            self._past = None  # what is left was interrupted: nothing is learned from it

    def _step(self, progress: Progress, t: int) -> None:
        plan, rule, u, before = self.plan, self.plan.rule, progress.inputs[t], self._s
        a, fired, x, s = self._cell.step(self._weights, u, self._x, before)
        y = s @ self._weights["B"].T
        self._x, self._s = x, s
        self._look(u, a, y)
        error = y - progress.targets[t]
        progress.loss[t] = (error * error).sum(axis=1)
        if len(progress.outputs):
            progress.outputs[t] = y
        if not (np.isfinite(progress.loss[t]).all() and np.isfinite(s).all()):
            raise self.divergence(progress, t)
        learns = progress.learn and plan.learns
        self._account(progress, t, learns)
        if self._past is None and learns:
            steps = progress.steps
            self._past = self._room(min(rule.chunk, steps) if rule.schedule == "chunk" else steps)
        if self._past is not None:
            self._past.add(u, fired, before, s, error * (2 / plan.batch))
            if learns and (self._past.full or t == progress.steps - 1):
                progress.writes[t] += self._learn(*self._past.taken(), progress, t)

    def _look(self, u: Any, a: Any, y: Any) -> None:
        """Leave the step's states where probes find them."""
        first, hidden, last = (p.name for p in self._acting)
        self._seen[first, "s"] = u
        for name, states in ((hidden, (a, self._x, self._s)), (last, (y, y, y))):
            self._seen.update({(name, v): values for v, values in zip("axs", states, strict=True)})

    def _account(self, progress: Progress, t: int, learns: bool) -> None:
        """Count events and weights they meet; a retrograde sum meets those of D once more."""
        batch, network = self.plan.batch, self.plan.network
        progress.events[t] += batch * sum(p.size for p in network.populations)
        progress.operations[t] += batch * sum(w.size for w in self._weights.values())
        if learns and self.plan.decorrelation is not None:
            progress.operations[t] += batch * self._weights["D"].size

    def _learn(self, trace: Trace, error: Any, progress: Progress, t: int) -> int:
        """Change the weights by what was; return how many changed."""
        rule, decorrelation = self.plan.rule, self.plan.decorrelation
        if self._online:  # by the last step's loss alone, back through all of the past
            sent, reach = trace.s[-1:], {}
        else:
            sent, reach = trace.s[1:], {"truncate": rule.truncate, "chunk": rule.chunk}
            error = error / len(error)
        gradients = backward(self._weights, trace, error, self._cell, **reach)
        changed = sum(self._weights[part].size for part in self._optimiser.rates)
        if decorrelation is not None:
            change = DECORRELATIONS[type(decorrelation)](self._weights["D"], sent)
            self._weights["D"] -= progress.rates_in(t)[1] * change
            changed += change.size
        for part in self._optimiser.rates:
            place = self._projections.index(self._names[part])
            self._optimiser.rates[part] = float(progress.rates_in(t)[0][place])
        self._optimiser.step(self._weights, gradients)
        return changed
