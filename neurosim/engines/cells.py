"""The objects of the oracle: a neuron, a synapse, and what each holds itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.engines.ieee import interpreted
from neurosim.local import ACTIVITY, SLOPE, arguments, scalar


def stored(weight: float) -> float:
    """A weight as the chip stores it, in float32; so that saving one loses nothing."""
    return float(np.float32(weight))


def knowing_only(function: Callable[..., Any] | None, known: Mapping[str, str], owner: str) -> Any:
    """Wrap a scalar function so that it is handed what it asks for and nothing else."""
    if function is None:
        return lambda **_: 0.0
    names = arguments(function, known, owner)
    number = interpreted(function, owner)
    return lambda **local: number([local[name] for name in names])


def model_functions(model: Any) -> tuple[Any, Any]:
    """Wrap the activity and the slope of a neuron model, which its neurons share."""
    owner = type(model).__name__
    slope = scalar(type(model), "slope")
    return knowing_only(model.activity, ACTIVITY, owner), knowing_only(slope, SLOPE, owner)


@dataclass(frozen=True)
class Event:
    """What a neuron sends down its axon: a number, in one lane."""

    lane: int
    payload: float


class Neuron:
    """A neuron: per lane a pre-activation `a`, an activity `x` and what it sends, `s`."""

    leak = 1.0  # 1 / tau, as `Hardware.make_neuron` sets it

    def __init__(self, index: int, lanes: int, activity: Any, derivative: Any) -> None:
        self.index = index
        self.activity, self.derivative = activity, derivative
        self.a = [0.0] * lanes
        self.x = [0.0] * lanes
        self.s = [0.0] * lanes
        self.before = [0.0] * lanes  # what it sent one step earlier
        self.gain, self.offset = 1.0, 0.0
        self.telegraph = [1.0] * lanes
        # What rules read of it: of a and x in this step, of s in this one and those before.
        self.seen_a = [0.0] * lanes
        self.seen_x = [0.0] * lanes
        self.readings: list[list[float]] = []
        self.noise: dict[tuple[int, int], float] = {}
        self.signal: dict[tuple[int, int], float] = {}
        self.retrograde: dict[int, float] = {}
        self.slope: dict[int, float] = {}
        self.feedback: dict[int, float] = {}
        self.axon: list[Synapse] = []
        self.outlet: list[DecorrelatingSynapse] = []
        self.errors: list[FeedbackSynapse] = []

    def fire(self, lane: int) -> None:
        """Turn the pre-activation into an activity."""
        x, leak = self.x[lane], self.leak
        self.x[lane] = self.activity(a=self.a[lane], x=x, leak=leak, keep=1.0 - leak)

    def send(self, lane: int) -> None:
        """Send an event to every synapse on the axon."""
        event = Event(lane, self.s[lane])
        for synapse in self.axon:
            synapse.accept(event)


class Synapse:
    """A synapse of a projection: a weight, and what it remembers for learning."""

    def __init__(self, pre: Neuron, post: Neuron, index: int, delay: int) -> None:
        self.pre, self.post = pre, post
        self.weight = 0.0
        self.age, self.nu, self.response, self.stuck = 0.0, 0.0, 0.0, False
        self.travelling = [0.0] * len(pre.s)
        # What was due in this step and in the one before, and what arrived of it.
        self.due, self.before = [0.0] * len(pre.s), [0.0] * len(pre.s)
        self.arrived = [0.0] * len(pre.s)
        self.index = index
        self.delay = delay
        self.noise: dict[int, float] = {}
        self.eligibility: dict[tuple[int, int], float] = {}
        self.owed = 0.0
        self.first = 0.0
        self.second = 0.0
        pre.axon.append(self)

    def accept(self, event: Event) -> None:
        """Take an event in; with a delay it is still on its way until the next step."""
        (self.travelling if self.delay else self.due)[event.lane] = event.payload

    def begin_step(self) -> None:
        """Events that were on their way are due."""
        self.before = list(self.due)
        if self.delay:
            self.due = list(self.travelling)

    def transmit(self, lane: int, perturbation: float) -> None:
        """Hand the event that arrived on to the postsynaptic neuron."""
        self.post.a[lane] += (self.weight + perturbation) * self.arrived[lane]


class DecorrelatingSynapse:
    """A synapse of D: from a neuron's activity to what another one sends."""

    def __init__(self, pre: Neuron, post: Neuron, index: int) -> None:
        self.pre, self.post, self.weight, self.index = pre, post, 0.0, index
        self.age, self.nu, self.response, self.stuck = 0.0, 0.0, 0.0, False
        pre.outlet.append(self)


class FeedbackSynapse:
    """A synapse by which a neuron hears the error of an output."""

    def __init__(self, output: Neuron, post: Neuron) -> None:
        self.output, self.post, self.weight = output, post, 0.0
        post.errors.append(self)
