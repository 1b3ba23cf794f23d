"""The oracle's broadcasts on their way, and what neurons keep to meet them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cells import Neuron
from neurosim.engines.plan import NEVER, Plan


@dataclass
class Lesson:
    """A step's broadcast, on its way, and what neurons keep to meet it with.

    Attributes
    ----------
    turn, clock : int
        Steps and pauses begun so far; the simulator's step.
    over, due, first : bool
        Whether an episode ends, weights are to change, a sequence begins.
    since : int
        Steps since perturbed passes were set back: see `Plan.since_set_back`.
    forming, broadcast : dict
        Per population: the scalar in which signals are formed, and the one that meets what
        was made of them, per comparison and replica.
    signal : dict
        Per neuron.
    """

    turn: int
    clock: int
    over: bool
    due: bool
    first: bool
    since: int
    forming: dict[str, dict[tuple[int, int], float]]
    broadcast: dict[str, dict[tuple[int, int], float]]
    signal: dict[Neuron, dict[tuple[int, int], float]]


class Underway:
    """A queue as long as a reward takes."""

    def __init__(self, plan: Plan, neurons: dict[str, list[Neuron]]) -> None:
        self.plan, self._neurons = plan, neurons
        self._pairs = [(k, b) for k in range(len(plan.comparisons)) for b in range(plan.batch)]
        self._late: list[Lesson | None] = [None] * plan.substrate.reward_delay

    def send(self, lesson: Lesson | None) -> Lesson | None:
        """Send a step's lesson, or none, on its way; give the one that arrives."""
        self._late.append(lesson)
        return self._late.pop(0)

    def state(self, turn: int) -> dict[str, NDArray[Any]]:
        """Lessons that have not arrived, the latest first; `turn` is the teacher's."""
        plan, delay, pairs = self.plan, self.plan.substrate.reward_delay, len(self._pairs)
        populations = plan.network.populations
        about, since = np.zeros((delay, 6)), np.zeros(delay)
        forming, broadcast = (np.zeros((delay, len(populations), pairs)) for _ in range(2))
        signal = {p.name: np.zeros((delay, pairs, p.size)) for p in populations[1:]}
        for i, lesson in enumerate(reversed(self._late)):
            if lesson is None:
                continue
            ago = turn - lesson.turn
            about[i] = 1, lesson.over, lesson.due, lesson.first, lesson.clock, ago
            since[i] = lesson.since
            for p, population in enumerate(populations):
                if population.name not in lesson.broadcast:
                    continue
                for c, pair in enumerate(self._pairs):
                    forming[i, p, c] = lesson.forming[population.name][pair]
                    broadcast[i, p, c] = lesson.broadcast[population.name][pair]
                    for neuron in self._neurons[population.name]:
                        signal[population.name][i, c, neuron.index] = lesson.signal[neuron][pair]
        found: dict[str, NDArray[Any]] = {"late.about": about}
        for key, values in (("late.forming", forming), ("late.broadcast", broadcast)):
            found[key] = np.where(plan.taught, values, 0)
        found |= {"late.since": since} if plan.sets_back_means else {}
        return found | {f"{name}.late": values for name, values in signal.items()}

    def set_state(self, state: dict[str, Any], turn: int) -> None:
        """Overwrite what `state` gives."""
        populations, self._late = self.plan.network.populations, []
        for i in reversed(range(self.plan.substrate.reward_delay)):
            valid, over, due, first, clock, ago = (float(v) for v in state["late.about"][i])
            if not valid:
                self._late.append(None)
                continue
            flags = (bool(over), bool(due), bool(first))
            since = int(state["late.since"][i]) if self.plan.sets_back_means else NEVER
            lesson = Lesson(turn - int(ago), int(clock), *flags, since, {}, {}, {})
            for p, population in enumerate(populations):
                if p == 0 or not self.plan.learns_onto(population):
                    continue
                for name, found in (("forming", lesson.forming), ("broadcast", lesson.broadcast)):
                    values = [float(v) for v in state[f"late.{name}"][i, p]]
                    found[population.name] = dict(zip(self._pairs, values, strict=True))
                for neuron in self._neurons[population.name]:
                    values = state[f"{population.name}.late"][i][:, neuron.index].tolist()
                    lesson.signal[neuron] = dict(zip(self._pairs, values, strict=True))
            self._late.append(lesson)
