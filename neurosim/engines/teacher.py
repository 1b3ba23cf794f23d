"""The oracle's lessons: what is broadcast, and what neurons and synapses make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cells import FeedbackSynapse, Neuron, Synapse, knowing_only, stored
from neurosim.engines.engine import Progress
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO, Plan
from neurosim.local import FIRST, SECOND, STEP, ProjectionRule, scalar
from neurosim.optimisers import OPTIMISERS


class Teacher:
    """Compares the passes, broadcasts what comes of it, and lets synapses learn."""

    def __init__(
        self,
        plan: Plan,
        neurons: dict[str, list[Neuron]],
        synapses: dict[str, list[Synapse]],
        feedback: dict[str, list[FeedbackSynapse]],
    ) -> None:
        self.plan, self._neurons, self._synapses = plan, neurons, synapses
        self._feedback = feedback
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
        self._owed_reward: dict[tuple[int, int], float] = {}
        self._forming: dict[tuple[int, int], float] = {}
        self._updates = 0

    # ------------------------------------------------------------------ state

    def begin(self) -> None:
        """Eligibilities and rewards end with a sequence."""
        self._owed_reward = dict.fromkeys(self._pairs, 0.0)
        for neurons in self._neurons.values():
            for neuron in neurons:
                neuron.signal = dict.fromkeys(self._pairs, 0.0)
        for synapse in self._all_synapses():
            synapse.eligibility = dict.fromkeys(self._pairs, 0.0)
            synapse.owed = 0.0

    def state(self) -> dict[str, NDArray[Any]]:
        """What optimisers remember."""
        if not self._remembers:
            return {}
        found: dict[str, NDArray[Any]] = {"optimiser.updates": np.array([float(self._updates)])}
        for name, synapses in self._synapses.items():
            for memory in ("first", "second"):
                held = [getattr(synapse, memory) for synapse in synapses]
                found[f"{name}.{memory}"] = np.array(held).reshape(self.plan.network.shape(name))
        return found

    def set_state(self, state: dict[str, Any]) -> None:
        """Overwrite what `state` gives."""
        if not self._remembers:
            return
        self._updates = int(state["optimiser.updates"][0])
        for name, synapses in self._synapses.items():
            for memory in ("first", "second"):
                for synapse, value in zip(synapses, state[f"{name}.{memory}"].flat, strict=True):
                    setattr(synapse, memory, float(value))

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
            progress.loss[t, b] = loss
            sound = sound and loss - loss == 0.0
        return sound

    def teach(self, progress: Progress, t: int) -> None:
        """Broadcast, population by population, and let synapses change."""
        plan = self.plan
        if not plan.local:
            return
        difference = self._differences(progress.targets[t])
        for pair in self._pairs:
            self._owed_reward[pair] += difference[pair]
        last = t == progress.steps - 1
        over = last or (plan.episode > 0 and (t + 1) % plan.episode == 0)
        due = {"online": True, "window": over, "sequence": last}[str(plan.options.schedule)]
        self._updates += due
        if plan.feeds_back:
            progress.operations[t] += self._feed_back(progress.targets[t])
        for index, population in enumerate(plan.network.populations[1:]):
            if not plan.learns_onto(population):
                continue
            lessons = plan.lessons(population)
            broadcast = self._broadcast(population, difference, over)
            progress.reward[index, t] = [
                sum(broadcast[k, b] for k in lessons) / len(lessons) for b in range(plan.batch)
            ]
            for projection in plan.network.projections:
                if projection.post == population.name and plan.rate(projection) > 0:
                    self._learn(projection, population, broadcast, over, due)
                    if due:
                        progress.writes[t] += len(self._synapses[projection.name])
        if plan.learns_feedback:
            self._mend_feedback(progress, t)
        if over:
            self._owed_reward = dict.fromkeys(self._pairs, 0.0)

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
                    power = sum(_square(n.x[there] - n.x[here]) for n in neurons)
                    if not power > 0:
                        continue
                    residual = {
                        output: output.s[there] - output.s[here]
                        for output in self._neurons[plan.network.outputs.name]
                    }
                    for f in changes:
                        residual[f.output] -= f.weight * (f.post.x[there] - f.post.x[here])
                    for f in changes:
                        changes[f] += self._mend(
                            change=f.post.x[there] - f.post.x[here],
                            residual=residual[f.output],
                            power=power,
                        )
            for f, change in changes.items():
                f.weight = stored(f.weight - rate * change / (len(lessons) * batch))
            progress.writes[t] += len(changes)
            progress.operations[t] += len(changes) * len(lessons) * batch

    def _broadcast(self, population: Any, difference: dict, over: bool) -> dict:
        """What is broadcast to a population now; its neurons form their signals from it."""
        plan, neurons = self.plan, self._neurons[population.name]
        credit, factor = plan.credit(population), plan.factor(population)
        power = {
            (k, b): sum(
                _square(n.a[self._lane(c.perturbed, b)] - n.a[self._lane(c.reference, b)])
                for n in neurons
            )
            for k, c in enumerate(plan.comparisons)
            for b in range(plan.batch)
        }
        if plan.options.reward_scope == "batch":
            for k, _ in enumerate(plan.comparisons):
                mean = sum(power[k, b] for b in range(plan.batch)) / plan.batch
                power.update({(k, b): mean for b in range(plan.batch)})
        self._forming = {}
        for pair in self._pairs:
            delta = factor * difference[pair] if credit == LOCAL else 1.0
            self._forming[pair] = (
                self._reward(
                    delta_loss=delta, power=power[pair], n=population.size, variance=plan.variance
                )
                if power[pair] > 0 or not plan.measures_power
                else 0.0
            )
        for neuron in neurons:
            for k, b in self._pairs:
                comparison = plan.comparisons[k]
                neuron.slope[b] = neuron.derivative(a=neuron.a[b], leak=neuron.leak)
                neuron.signal[k, b] = self._neuron(
                    a=neuron.a[self._lane(comparison.reference, b)],
                    a_perturbed=neuron.a[self._lane(comparison.perturbed, b)],
                    noise=plan.noise_gain * neuron.noise[k, b],
                    reward=self._forming[k, b],
                    slope=neuron.slope[b],
                    feedback=neuron.feedback.get(b, 0.0),
                )
        if credit == LOCAL:
            return dict(self._forming)
        if credit == RETURN_TO_GO:
            return {pair: factor * difference[pair] for pair in self._pairs}
        return {pair: factor * self._owed_reward[pair] if over else 0.0 for pair in self._pairs}

    # ---------------------------------------------------------------- synapses

    def _learn(self, projection: Any, population: Any, broadcast: dict, over: bool, due: bool):
        """Let all synapses of a projection change by what they know."""
        plan, synapses = self.plan, self._synapses[projection.name]
        lessons = plan.lessons(population)
        divisor = self._divisors(projection)
        for synapse in synapses:
            change = 0.0
            for k in lessons:
                for b in range(plan.batch):
                    change += self._change(synapse, k, b, divisor[b], population, broadcast, over)
            synapse.owed += change / (len(lessons) * plan.batch)
            if due:
                self._write(synapse, plan.rate(projection))

    def _divisors(self, projection: Any) -> dict[int, float]:
        """One more scalar per projection and replica, where changes are to be normalised."""
        plan = self.plan
        if plan.options.normalise is None:
            return dict.fromkeys(range(plan.batch), 1.0)
        first = self._neurons[projection.post][0]
        onto = [s for s in self._synapses[projection.name] if s.post is first]
        return {
            b: plan.options.normalise + sum(_square(s.arrived[b]) for s in onto)
            for b in range(plan.batch)
        }

    def _change(
        self,
        synapse: Synapse,
        k: int,
        b: int,
        divisor: float,
        population: Any,
        broadcast: dict,
        over: bool,
    ) -> float:
        """What a synapse changes by, in one comparison of one replica."""
        plan, post, credit = self.plan, synapse.post, self.plan.credit(population)
        signal, pre = post.signal[k, b] / divisor, synapse.arrived[b]
        if plan.traces:
            synapse.eligibility[k, b] = self._trace(
                trace=synapse.eligibility[k, b], pre=pre, signal=signal, keep=1.0 - post.leak
            )
        change = self._synapse(
            pre=pre,
            signal=signal,
            noise=plan.noise_gain * synapse.noise[k],
            reward=self._forming[k, b],
            trace=synapse.eligibility[k, b],
            feedback=post.feedback.get(b, 0.0),
        )
        if credit == LOCAL:
            return change
        eligible = plan.options.trace_decay * synapse.eligibility[k, b] + change
        synapse.eligibility[k, b] = 0.0 if over else eligible
        if credit == RETURN_TO_GO or (credit == GLOBAL and over):
            return broadcast[k, b] * eligible
        return 0.0

    def _write(self, synapse: Synapse, rate: float) -> None:
        """Change a weight by what it is owed, as its optimiser makes of that."""
        step, options = synapse.owed, self.plan.options
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
        synapse.weight = stored(synapse.weight - rate * step)
        synapse.owed = 0.0


def _square(value: float) -> float:
    return value * value  # value**2 raises where this overflows to infinity
