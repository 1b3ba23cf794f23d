"""All phases of a plan, by name: those of every network, and those that its rules go into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from neurosim.engines.compile import adapted
from neurosim.engines.cuda import on_desk, on_neurons, on_sums, on_synapses
from neurosim.engines.cuda.layout import Layout, tile
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.plan import Plan
from neurosim.local import (
    ACTIVITY,
    DECORRELATION,
    FEEDBACK,
    FIRST,
    NEURON,
    REWARD,
    SECOND,
    SLOPE,
    STEP,
    SYNAPSE,
    TRACE,
    TRACED,
    asked,
    scalar,
)
from neurosim.optimisers import OPTIMISERS

KNOWN = {
    "reward": REWARD,
    "neuron": NEURON,
    "synapse": SYNAPSE,
    "activity": ACTIVITY,
    "slope": SLOPE,
    "feedback_synapse": FEEDBACK,
}


@dataclass(frozen=True, eq=False)
class Phase:
    """A function of a board, of who works, of what it is about (its number), and of the step.

    Attributes
    ----------
    function : callable
        Plain Python.
    version : str
        Hash of the scalar functions that went into it.
    """

    function: Callable[..., None]
    version: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.function.__name__


@cache
def plain(function: Callable[..., None]) -> Phase:
    """A phase that no rule goes into."""
    return Phase(function)


def around(make: Callable[..., Any], owner: type, name: str, known: Any = None) -> Phase:
    """A phase around a scalar function of a rule or model, as it is at this moment."""
    functions, known = (scalar(owner, name),), (tuple(known or KNOWN[name]),)
    return _around(make, owner, functions, known, fingerprint(functions))


@cache
def _around(
    make: Callable[..., Any],
    owner: type,
    functions: tuple[Any, ...],
    known: tuple[tuple[str, ...], ...],
    version: str,
) -> Phase:
    inner = [
        adapted(function, dict.fromkeys(names, ""), owner.__name__, exact=True)
        for function, names in zip(functions, known, strict=True)
    ]
    return Phase(make(*inner), version)


class Phases:
    """The phases that a plan needs."""

    def __init__(self, plan: Plan, layout: Layout) -> None:
        self.plan, self.layout = plan, layout
        self._rule: Any = type(plan.rule)

    def __getattr__(self, name: str) -> Phase:
        """A phase that no rule goes into, by its name."""
        for module in (on_neurons, on_sums, on_desk, on_synapses):
            if name in vars(module):
                return plain(vars(module)[name])
        raise AttributeError(name)

    def fire(self, model: type) -> Phase:
        """Neurons of a model become active."""
        return around(on_neurons.fires, model, "activity")

    def slope(self, model: type) -> Phase:
        """Neurons of a model find the derivative of their activity."""
        return around(on_neurons.slopes, model, "slope")

    @property
    def broadcast(self) -> Phase:
        """Scalars are formed."""
        return around(on_desk.broadcasts, self._rule, "reward")

    @property
    def signal(self) -> Phase:
        """Neurons form signals."""
        return around(on_neurons.signals, self._rule, "neuron")

    @property
    def mend(self) -> Phase:
        """Feedback weights learn."""
        return around(on_desk.mends, self._rule, "feedback_synapse")

    @property
    def absorb(self) -> Phase:
        """Synapses change at once, tile by tile."""
        make = _for_batch(on_synapses.absorbs, self.plan.batch)
        return around(make, self._rule, "synapse")

    @property
    def absorb_few(self) -> Phase:
        """Synapses change at once, a few a thread."""
        make = _for_batch(on_synapses.absorbs_few, self.plan.batch)
        return around(make, self._rule, "synapse")

    @property
    def accumulate(self) -> Phase:
        """Synapses sum what they are to change by."""
        if not self.plan.traces:
            return around(_untraced, self._rule, "synapse")
        functions = tuple(scalar(self._rule, name) for name in ("trace", "synapse"))
        known = tuple(map(tuple, (TRACE, TRACED)))
        return _around(_traced, self._rule, functions, known, fingerprint(functions))

    @property
    def optimise(self) -> Phase:
        """An optimiser makes steps."""
        owner: Any = OPTIMISERS[self.plan.options.optimiser]
        functions = tuple(scalar(owner, name) for name in ("first", "second", "step"))
        known = tuple(map(tuple, (FIRST, SECOND, STEP)))
        return _around(on_synapses.optimises, owner, functions, known, fingerprint(functions))

    @property
    def absorb_outlets(self) -> Phase:
        """Decorrelating synapses change."""
        make = _outlets_through if self.layout.through else _outlets
        return around(make, type(self.plan.decorrelation), "synapse", known=DECORRELATION)

    @property
    def hears_back(self) -> bool:
        """Whether decorrelating synapses ask for what their neuron hears back."""
        return "retrograde" in asked(type(self.plan.decorrelation), "synapse")

    def multiply(self, m: int) -> tuple[Phase, Phase]:
        """Tiles of a matrix are summed, and folded."""
        lanes = self.layout.lane_tile(m)
        if self.layout.perturbed(m):
            return plain(on_sums.multiply_noisy(lanes)), plain(on_sums.fold_noisy(lanes))
        return plain(on_sums.multiply(lanes)), plain(on_sums.fold(lanes))

    def send_back(self) -> tuple[Phase, Phase]:
        """What neurons hear back is summed, and folded."""
        lanes = tile(self.plan.batch)
        return plain(on_sums.send_back(lanes)), plain(on_sums.fold_back(lanes))

    def model(self, p: int) -> type:
        """Neuron model of a population."""
        return type(self.plan.network.populations[p].neuron)


@cache
def _for_batch(make: Callable[..., Any], batch: int) -> Any:
    return lambda synapse: make(synapse, batch)


def _traced(trace: Any, synapse: Any) -> Any:
    return on_synapses.accumulates(synapse, trace)


def _untraced(synapse: Any) -> Any:
    return on_synapses.accumulates(synapse, None)


def _outlets(synapse: Any) -> Any:
    return on_synapses.absorbs_outlets(synapse, False)


def _outlets_through(synapse: Any) -> Any:
    return on_synapses.absorbs_outlets(synapse, True)
