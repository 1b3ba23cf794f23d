"""The oracle's lessons: what is broadcast, and what neurons and synapses make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.cells import FeedbackSynapse, Neuron, Synapse, knowing_only, stored
from neurosim.engines.chip import EPISODE, STEP_BY_STEP
from neurosim.engines.engine import Progress
from neurosim.engines.hardware import Hardware
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO, Plan
from neurosim.engines.underway import Lesson, Underway
from neurosim.local import FIRST, SECOND, STEP, ProjectionRule, scalar
from neurosim.optimisers import OPTIMISERS


class Teacher:
    """Compares the passes, broadcasts what comes of it, and lets synapses learn."""

    def __init__(
        self,
        plan: Plan,
        hardware: Hardware,
        neurons: dict[str, list[Neuron]],
        synapses: dict[str, list[Synapse]],
        feedback: dict[str, list[FeedbackSynapse]],
    ) -> None:
        self.plan, self._neurons, self._synapses = plan, neurons, synapses
        self._feedback, self._hardware = feedback, hardware
        rule, owner = type(plan.rule), type(plan.rule).__name__
        self._reward, self._neuron, self._trace, self._synapse, self._mend = (
            knowing_only(scalar(rule, place), ProjectionRule.knows[place], owner)
            for place in ("reward", "neuron", "trace", "synapse", "feedback_synapse")
        )
        name = plan.options.optimiser
        optimiser: Any = OPTIMISERS[name]
        self._remembers = optimiser is not None
        self._first, self._second, self._step = (
            knowing_only(scalar(optimiser, place), known, name)
            for place, known in (("first", FIRST), ("second", SECOND), ("step", STEP))
        )
        self._pairs = [
            (k, b) for k in range(len(plan.comparisons)) for b in range(plan.batch)
        ]  # every comparison of every replica
        self._credits = {p.name: plan.credit(p) for p in plan.network.populations[1:]}
        self._owed_reward: dict[tuple[int, int], float] = {}
        self._updates = 0
        self._underway = Underway(plan, neurons)
        self.turn = 0
        self._clear()

    # ------------------------------------------------------------------ state

    def begin(self) -> None:
        """Eligibilities and rewards end with a sequence, unless some are still on their way."""
        self._owed_reward = dict.fromkeys(self._pairs, 0.0)
        for neurons in self._neurons.values():
            for neuron in neurons:
                neuron.signal = dict.fromkeys(self._pairs, 0.0)
        if not self.plan.delays:
            self._clear()

    def _clear(self) -> None:
        for synapse in self._all_synapses():
            synapse.eligibility = dict.fromkeys(self._pairs, 0.0)
            synapse.owed = 0.0

    def state(self) -> dict[str, NDArray[Any]]:
        """What optimisers remember, and what is on its way."""
        found: dict[str, NDArray[Any]] = {}
        if self._remembers:
            found["optimiser.updates"] = np.array([float(self._updates)])
        for name, memory in self._memories():
            held = [getattr(synapse, memory) for synapse in self._synapses[name]]
            if memory == "eligibility":
                traces = np.array([[of[pair] for of in held] for pair in self._pairs])
                found[f"{name}.{memory}"] = traces.reshape(-1, *self.plan.network.shape(name))
            else:
                found[f"{name}.{memory}"] = np.array(held).reshape(self.plan.network.shape(name))
        if self.plan.compares and self.plan.chip.alters_rewards:
            count, power = self._hardware.line()
            found |= {"line.count": np.array(count, float), "line.power": np.array(power)}
        if self.plan.delays:
            found |= self._underway.state(self.turn)
        return found

    def _memories(self) -> list[tuple[str, str]]:
        """What synapses remember from one run to the next, by projection."""
        memories = ["first", "second"] if self._remembers else []
        if self.plan.delays:
            memories += ["eligibility"] * self.plan.waits + ["owed"] * self.plan.gathers
        return [(name, memory) for name in self._synapses for memory in memories]

    def set_state(self, state: dict[str, Any]) -> None:
        """Overwrite what `state` gives."""
        if self._remembers:
            self._updates = int(state["optimiser.updates"][0])
        for name, memory in self._memories():
            values = np.asarray(state[f"{name}.{memory}"], dtype=float)
            flat = values.reshape(-1, len(self._synapses[name]))
            for i, synapse in enumerate(self._synapses[name]):
                if memory == "eligibility":
                    synapse.eligibility = dict(zip(self._pairs, flat[:, i].tolist(), strict=True))
                else:
                    setattr(synapse, memory, float(flat[0, i]))
        if self.plan.compares and self.plan.chip.alters_rewards:
            self._hardware.set_line(state["line.count"], state["line.power"])
        if self.plan.delays:
            self._underway.set_state(state, self.turn)

    def _all_synapses(self) -> list[Synapse]:
        return [synapse for synapses in self._synapses.values() for synapse in synapses]

    def _lane(self, pass_: int, replica: int) -> int:
        return pass_ * self.plan.batch + replica

    # ------------------------------------------------------------------- a step

    def judge(self, progress: Progress, t: int) -> bool:
        """Squared error per replica; whether all are finite."""
        plan, sound = self.plan, True
        outputs = self._neurons[plan.network.outputs.name]
        if len(progress.outputs):
            progress.outputs[t] = [[n.s[b] for n in outputs] for b in range(plan.batch)]
        for b in range(plan.batch):
            loss = sum(_square(n.s[b] - float(progress.targets[t, b, n.index])) for n in outputs)
            with np.errstate(over="ignore"):  # a loss that float32 cannot hold is none
                progress.loss[t, b] = loss
            sound = sound and bool(np.isfinite(progress.loss[t, b]))
        return sound

    def teach(self, progress: Progress, t: int) -> None:
        """Broadcast, population by population, and let synapses learn when it arrives."""
        plan = self.plan
        if not plan.local:
            return
        if plan.feeds_back:
            progress.operations[t] += self._feed_back(progress.targets[t])
        lesson = self._underway.send(self._lesson(progress, t))
        if plan.learns_feedback:
            self._mend_feedback(progress, t)
        if lesson is not None:
            self._arrive(lesson, progress, t)

    def rest(self) -> None:
        """Let a step go by in which nothing is taught; what arrives in it is lost."""
        self._underway.send(None)

    def _arrive(self, lesson: Lesson, progress: Progress, t: int) -> None:
        """Let synapses learn from the broadcast that arrives now."""
        plan = self.plan
        if lesson.first and plan.delays:
            self._clear()
        self._updates += lesson.due
        names = [projection.name for projection in plan.network.projections]
        rates = dict(zip(names, progress.rates_in(t)[0].tolist(), strict=True))
        for index, population in enumerate(plan.network.populations[1:]):
            if not plan.learns_onto(population):
                continue
            for neuron in self._neurons[population.name]:
                neuron.signal = dict(lesson.signal[neuron])
            lessons, broadcast = plan.lessons(population), lesson.broadcast[population.name]
            progress.reward[index, t] = [
                sum(broadcast[k, b] for k in lessons) / len(lessons) for b in range(plan.batch)
            ]
            for projection in plan.network.projections:
                if projection.post == population.name and plan.changes(projection):
                    self._learn(projection, lesson, rates[projection.name])
                    if lesson.due:
                        progress.writes[t] += len(self._synapses[projection.name])

    def _lesson(self, progress: Progress, t: int) -> Lesson:
        """What is broadcast of a step, and what neurons make of it."""
        plan, clock = self.plan, progress.clock + t
        difference = self._differences(progress.targets[t])
        for pair in self._pairs:
            self._owed_reward[pair] += difference[pair]
        last = t == progress.steps - 1
        over = last or (plan.episode > 0 and (t + 1) % plan.episode == 0)
        due = {"online": True, "window": over, "sequence": last}[str(plan.options.schedule)]
        received = self._hardware.received(STEP_BY_STEP, difference, clock)
        waiting = GLOBAL in self._credits.values()
        owed = self._owed_reward
        if over and waiting:
            owed = self._hardware.received(EPISODE, owed, clock)
        since = plan.since_set_back(t)
        lesson = Lesson(self.turn, clock, over, due, t == 0, since, {}, {}, {})
        for population in plan.network.populations[1:]:
            if plan.learns_onto(population):
                self._broadcast(population, received, owed, lesson)
        if over:
            self._owed_reward = dict.fromkeys(self._pairs, 0.0)
        return lesson

    def _differences(self, target: NDArray[Any]) -> dict[tuple[int, int], float]:
        """Loss of the perturbed pass minus that of the reference, per comparison and replica."""
        plan = self.plan
        outputs = self._neurons[plan.network.outputs.name]
        difference = {
            (k, b): sum(
                _square(n.s[self._lane(c.perturbed, b)] - float(target[b, n.index]))
                - _square(n.s[self._lane(c.reference, b)] - float(target[b, n.index]))
                for n in outputs
            )
            for k, c in enumerate(plan.comparisons)
            for b in range(plan.batch)
        }
        if plan.options.reward_scope == "batch":
            for k, _ in enumerate(plan.comparisons):
                total = sum(difference[k, b] for b in range(plan.batch))
                difference.update({(k, b): total for b in range(plan.batch)})
        return difference

    def _feed_back(self, target: NDArray[Any]) -> int:
        """Broadcast the errors; neurons weigh them, outputs hear their own.

        Returns how many feedback weights met an error.
        """
        plan = self.plan
        outputs = self._neurons[plan.network.outputs.name]
        error = {
            (n.index, b): n.s[b] - float(target[b, n.index])
            for n in outputs
            for b in range(plan.batch)
        }
        for population in plan.network.populations[1:]:
            for neuron in self._neurons[population.name]:
                for b in range(plan.batch):
                    neuron.feedback[b] = sum(
                        f.weight * error[f.output.index, b] for f in neuron.errors
                    )
        for neuron in outputs:
            for b in range(plan.batch):
                neuron.feedback[b] = error[neuron.index, b]
        return sum(len(synapses) for synapses in self._feedback.values()) * plan.batch

    def _mend_feedback(self, progress: Progress, t: int) -> None:
        """Feedback weights learn to explain how the outputs changed."""
        plan = self.plan
        rate, batch = plan.rule.feedback_rate, plan.batch
        for name, population in plan.feedback.items():
            lessons = plan.lessons(population)
            changes = dict.fromkeys(self._feedback[name], 0.0)
            for k in lessons:
                one, other = plan.comparisons[k].reference, plan.comparisons[k].perturbed
                for b in range(batch):
                    here, there = self._lane(one, b), self._lane(other, b)
                    neurons = self._neurons[population.name]
                    power = sum(_square(n.seen_x[there] - n.seen_x[here]) for n in neurons)
                    if not power > 0:
                        continue
                    residual = {
                        output: output.s[there] - output.s[here]
                        for output in self._neurons[plan.network.outputs.name]
                    }
                    for f in changes:
                        changed = f.post.seen_x[there] - f.post.seen_x[here]
                        residual[f.output] -= f.weight * changed
                    for f in changes:
                        changes[f] += self._mend(
                            change=f.post.seen_x[there] - f.post.seen_x[here],
                            residual=residual[f.output],
                            power=power,
                        )
            for f, change in changes.items():
                f.weight = stored(f.weight - rate * change / (len(lessons) * batch))
            progress.writes[t] += len(changes)
            progress.operations[t] += len(changes) * len(lessons) * batch

    def _broadcast(self, population: Any, received: dict, owed: dict, lesson: Lesson) -> None:
        """What is broadcast to a population now, and the signals its neurons form from it."""
        plan, neurons = self.plan, self._neurons[population.name]
        credit, factor = self._credits[population.name], plan.factor(population)
        power = {
            (k, b): sum(
                _square(n.seen_a[self._lane(c.perturbed, b)] - n.seen_a[self._lane(c.reference, b)])
                for n in neurons
            )
            for k, c in enumerate(plan.comparisons)
            for b in range(plan.batch)
        }
        if plan.options.reward_scope == "batch":
            for k, _ in enumerate(plan.comparisons):
                mean = sum(power[k, b] for b in range(plan.batch)) / plan.batch
                power.update({(k, b): mean for b in range(plan.batch)})
        forming = {}
        for pair in self._pairs:
            delta = factor * received[pair] if credit == LOCAL else 1.0
            forming[pair] = (
                self._reward(
                    delta_loss=delta, power=power[pair], n=population.size, variance=plan.variance
                )
                if power[pair] > 0 or not plan.measures_power
                else 0.0
            )
        for neuron in neurons:
            signal = lesson.signal[neuron] = {}
            for k, b in self._pairs:
                comparison = plan.comparisons[k]
                neuron.slope[b] = neuron.derivative(a=neuron.seen_a[b], leak=neuron.leak)
                signal[k, b] = self._neuron(
                    a=neuron.seen_a[self._lane(comparison.reference, b)],
                    a_perturbed=neuron.seen_a[self._lane(comparison.perturbed, b)],
                    noise=plan.noise_gain * neuron.noise[k, b],
                    reward=forming[k, b],
                    slope=neuron.slope[b],
                    feedback=neuron.feedback.get(b, 0.0),
                )
        broadcast = forming
        if credit == RETURN_TO_GO:
            broadcast = {pair: factor * received[pair] for pair in self._pairs}
        elif credit == GLOBAL:
            sums = owed if lesson.over else dict.fromkeys(self._pairs, 0.0)
            broadcast = {pair: factor * sums[pair] for pair in self._pairs}
        heard = plan.lessons(population)
        lesson.forming[population.name] = forming
        lesson.broadcast[population.name] = {
            (k, b): value if k in heard else 0.0 for (k, b), value in broadcast.items()
        }

    # ---------------------------------------------------------------- synapses

    def _learn(self, projection: Any, lesson: Lesson, rate: float) -> None:
        """Let all synapses of a projection change by what they know."""
        plan, synapses = self.plan, self._synapses[projection.name]
        lessons = plan.lessons(plan.network.population(projection.post))
        divisor = self._divisors(projection, lesson)
        for synapse in synapses:
            change = 0.0
            pre = [self._pre(projection, synapse, b, lesson) for b in range(plan.batch)]
            for k in lessons:
                own = self._noise(projection, synapse, k, lesson)
                for b in range(plan.batch):
                    signal = synapse.post.signal[k, b] / divisor[b]
                    change += self._change(projection, synapse, k, b, pre[b], signal, own, lesson)
            synapse.owed += change
            if lesson.due:
                step = synapse.owed / (len(lessons) * plan.batch)
                self._write(projection, synapse, rate, step, lesson.clock)
                synapse.owed = 0.0

    def _pre(self, projection: Any, synapse: Synapse, b: int, lesson: Lesson) -> float:
        """What a synapse transmitted in the step a lesson is about, as far as it can tell."""
        turn, delay = self.turn - lesson.turn + projection.delay, projection.delay
        readings = synapse.pre.readings
        arrived = []
        for lane in [b, self._lane(1, b)] if self.plan.both else [b]:
            now, before = (
                readings[turn + late][self._lane_then(lesson, delay + late, lane)]
                for late in (0, 1)
            )
            where = (projection.name, synapse.index, lane, lesson.clock)
            arrived.append(self._hardware.arrived(*where, now, before))
        return sum(arrived) / len(arrived)

    def _lane_then(self, lesson: Lesson, ago: int, lane: int) -> int:
        """Lane that sent what reaches `lane`, `ago` steps before the step a lesson is about."""
        return lane % self.plan.batch if ago > lesson.since else lane

    def _noise(self, projection: Any, synapse: Synapse, k: int, lesson: Lesson) -> float:
        """The noise on a synapse's weight in the step a lesson is about."""
        plan = self.plan
        if not plan.perturbs(projection):
            return 0.0
        stream = plan.stream(noise.WEIGHT_PERTURBATION, projection.name)
        where = (lesson.clock, k, 0, synapse.index)
        drawn = float(noise.draw(plan.distribution, plan.seed, stream, *where))
        return plan.noise_gain * plan.options.noise_std * drawn

    def _divisors(self, projection: Any, lesson: Lesson) -> dict[int, float]:
        """One more scalar per projection and replica, where changes are to be normalised."""
        plan, turn = self.plan, self.turn - lesson.turn + projection.delay
        if plan.options.normalise is None:
            return dict.fromkeys(range(plan.batch), 1.0)
        found = {}
        for b in range(plan.batch):
            lanes = [b, self._lane(1, b)] if plan.both else [b]
            lanes = [self._lane_then(lesson, projection.delay, lane) for lane in lanes]
            readings = [
                sum(n.readings[turn][lane] for lane in lanes) / len(lanes)
                for n in self._neurons[projection.pre]
            ]
            found[b] = plan.options.normalise + sum(_square(value) for value in readings)
        return found

    def _change(
        self,
        projection: Any,
        synapse: Synapse,
        k: int,
        b: int,
        pre: float,
        signal: float,
        noise: float,
        lesson: Lesson,
    ) -> float:
        """What a synapse changes by, in one comparison of one replica."""
        plan, post = self.plan, synapse.post
        credit = self._credits[projection.post]
        if plan.traces:
            synapse.eligibility[k, b] = self._trace(
                trace=synapse.eligibility[k, b], pre=pre, signal=signal, keep=1.0 - post.leak
            )
        change = self._synapse(
            pre=pre,
            signal=signal,
            noise=noise,
            reward=lesson.forming[projection.post][k, b],
            trace=synapse.eligibility[k, b],
            feedback=post.feedback.get(b, 0.0),
        )
        if credit == LOCAL:
            return change
        eligible = plan.options.trace_decay * synapse.eligibility[k, b] + change
        synapse.eligibility[k, b] = 0.0 if lesson.over else eligible
        if credit == RETURN_TO_GO or (credit == GLOBAL and lesson.over):
            return lesson.broadcast[projection.post][k, b] * eligible
        return 0.0

    def _write(
        self, projection: Any, synapse: Synapse, rate: float, step: float, clock: int
    ) -> None:
        """Change a weight by a step, as its optimiser and its device make of that."""
        options = self.plan.options
        if self._remembers:
            beta1, beta2 = options.beta1, options.beta2
            synapse.first = self._first(
                change=step, first=synapse.first, beta1=beta1, fresh1=1.0 - beta1
            )
            synapse.second = self._second(
                change=step, second=synapse.second, beta2=beta2, fresh2=1.0 - beta2
            )
            step = self._step(
                first=synapse.first,
                second=synapse.second,
                unbias1=1.0 / (1.0 - beta1**self._updates),
                unbias2=1.0 / (1.0 - beta2**self._updates),
                epsilon=options.epsilon,
            )
        self._hardware.write(synapse, projection.name, -rate * step, clock)


def _square(value: float) -> float:
    return value * value  # value**2 raises where this overflows to infinity
