"""What is to happen in which step: known before, so that a device never has to decide.

When an episode ends, when weights change, which lesson arrives: all of it follows from the plan
and from how many steps there were before. The host keeps these counts, a device keeps numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cuda import at
from neurosim.engines.engine import Progress
from neurosim.engines.plan import GLOBAL, NEVER, Plan


@dataclass
class Lesson:
    """A lesson on its way: what was to happen in its step, and when that was.

    `since` is how many steps before that perturbed passes had been set back.
    """

    over: bool
    write: bool
    first: bool
    since: int
    clock: int
    turn: int


@dataclass
class Timetable:
    """Counts that go on from run to run, and what follows from them.

    Attributes
    ----------
    turn : int
        Steps begun so far, pauses included; `base` of them before this sequence.
    updates : int
        Times that weights were told to change.
    counts : list of int
        Broadcasts so far, by step and by episode.
    late : list of Lesson or None
        Lessons on their way, each in its slot; `slot` is the next one's.
    """

    plan: Plan
    turn: int = 0
    base: int = 0
    updates: int = 0
    counts: list[int] = field(default_factory=lambda: [0, 0])
    late: list[Lesson | None] = field(default_factory=list)
    slot: int = 0

    def __post_init__(self) -> None:
        plan = self.plan
        delay = plan.substrate.reward_delay if plan.compares else 0
        self.late = [None] * delay
        self.somebody_waits = any(plan.credit(p) == GLOBAL for p in plan.network.populations[1:])
        self._writes = [
            int(np.prod(plan.network.shape(p.name)))
            for p in plan.network.projections
            if plan.changes(p)
        ]

    @property
    def delay(self) -> int:
        """Steps that a lesson is on its way."""
        return len(self.late)

    def steps(self, progress: Progress) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Write down the steps ``progress.start`` to ``progress.stop``.

        Returns
        -------
        steps : ndarray of uint32, (steps, at.PER_STEP)
        changes : ndarray of float32, (steps, at.RATES + projections)
            How much too small an optimiser's memories are, and learning rates.
        """
        plan, options = self.plan, self.plan.options
        count = progress.stop - progress.start
        steps = np.zeros((count, at.PER_STEP), dtype=np.uint32)
        changes = np.ones((count, at.RATES + len(plan.network.projections)), dtype=np.float32)
        learns = progress.learn and plan.learns and plan.local
        last, episode = progress.steps - 1, plan.episode
        for t in range(progress.start, progress.stop):
            rates, own = progress.rates_in(t)
            changes[t - progress.start, at.RATES :] = rates
            changes[t - progress.start, at.DECORRELATION_RATE] = own / plan.batch
            over = t == last or (episode > 0 and (t + 1) % episode == 0)
            write = {"online": True, "window": over, "sequence": t == last}[str(options.schedule)]
            clock, turn = progress.clock + t, self.base + 1 + t
            lesson: Lesson | None = None
            if learns:
                lesson = Lesson(over, write, t == 0, plan.since_set_back(t), clock, turn)
            slot = self.slot
            if self.delay:
                lesson, self.late[slot] = self.late[slot], lesson
                self.slot = (slot + 1) % self.delay
            if not learns:
                continue
            self.counts[0] += 1
            self.counts[1] += over and self.somebody_waits
            row = steps[t - progress.start]
            row[at.OVER], row[at.WAITS] = over, self.somebody_waits
            row[at.COUNTED], row[at.EPISODES] = self.counts
            row[at.SLOT] = slot
            if lesson is None:
                continue
            row[at.VALID], row[at.OVER_THEN], row[at.WRITE_THEN] = True, lesson.over, lesson.write
            row[at.FIRST_THEN] = lesson.first and self.delay > 0
            row[at.CLOCK_THEN], row[at.AGO] = lesson.clock, turn - lesson.turn
            row[at.SINCE_THEN] = lesson.since
            if lesson.write:
                self.updates += 1
                changes[t - progress.start, at.UNBIAS : at.UNBIAS + 2] = [
                    1.0 / (1.0 - float(beta) ** self.updates)
                    for beta in (options.beta1, options.beta2)
                ]
        return steps, changes

    def note(self, progress: Progress, steps: NDArray[np.uint32]) -> None:
        """Note events, synaptic operations and writes of these steps: see `Progress`.

        They follow from who is connected to whom, and from what happened when.
        """
        plan, network = self.plan, self.plan.network
        adapts = progress.learn and plan.decorrelation is not None
        learns = progress.learn and plan.learns and plan.local
        events = sum(p.size for p in network.populations) * plan.lanes
        projections = [int(np.prod(network.shape(p.name))) for p in network.projections]
        squares = sum(p.size**2 for p in network.populations if p.decorrelation)
        operations = (sum(projections) + squares) * plan.lanes
        operations += squares * plan.batch * adapts
        always, when_due = squares * adapts, sum(self._writes)
        for population in plan.feedback.values() if learns else ():
            weights = population.size * network.outputs.size
            operations += weights * plan.batch
            if plan.learns_feedback:
                operations += weights * plan.batch * len(plan.lessons(population))
                always += weights
        stretch = slice(progress.start, progress.stop)
        progress.events[stretch] = events
        progress.operations[stretch] = operations
        progress.writes[stretch] = always + when_due * steps[:, at.WRITE_THEN].astype(int)

    def pause(self, turns: int) -> None:
        """Let turns go by without a step."""
        self.turn += turns

    def state(self) -> dict[str, Any]:
        """Counts that the next step needs, by the names of `Engine.state`."""
        about, since = np.zeros((self.delay, 6)), np.zeros(self.delay)
        for i, slot in enumerate(self.latest_first()):
            lesson = self.late[slot]
            if lesson is not None:
                flags = (1, lesson.over, lesson.write, lesson.first)
                about[i] = *flags, lesson.clock, self.turn - lesson.turn
                since[i] = lesson.since
        found = {"late.about": about}
        return found | {"late.since": since} if self.plan.sets_back_means else found

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Overwrite what `state` gives."""
        since = state.get("late.since", [NEVER] * self.delay)
        rows = zip(state["late.about"], since, self.latest_first(), strict=True)
        for row, steps, slot in rows:
            valid, over, write, first, clock, ago = (float(value) for value in row)
            flags = bool(over), bool(write), bool(first)
            turn = self.turn - int(ago)
            self.late[slot] = Lesson(*flags, int(steps), int(clock), turn) if valid else None

    def latest_first(self) -> list[int]:
        """Slots of the lessons on their way, the latest first."""
        return [(self.slot - 1 - ago) % self.delay for ago in range(self.delay)]
