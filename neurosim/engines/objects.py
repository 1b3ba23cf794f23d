"""The oracle: one Python object per neuron and per synapse, exchanging events.

Literal and slow, for small networks only; in double precision but for stored weights.
It defines what the other engines must compute: whatever an object does here, it does
with what it holds itself, what arrived in events, and one broadcast scalar.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.cells import DecorrelatingSynapse, Neuron, Synapse, knowing_only
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO, Plan
from neurosim.errors import InputError, require
from neurosim.local import DECORRELATION, NEURON, REWARD, SYNAPSE, scalar
from neurosim.network import Weights
from neurosim.substrate.act_noise import act_noise

LARGEST = 20_000  # synapses; beyond this nobody waits for it


class ObjectsEngine(Engine):
    """Run a plan object by object."""

    name = "objects"

    def __init__(self, plan: Plan, weights: Weights, threads: int = 1) -> None:
        allowed = "1 with engine = 'objects'"
        require(threads == 1, "Simulator", "threads", threads, allowed)
        self.plan, self.threads = plan, threads
        self._refuse_large(weights)
        self._neurons = {
            p.name: [Neuron(i, plan.lanes, p.neuron) for i in range(p.size)]
            for p in plan.network.populations
        }
        self._synapses = {
            p.name: [
                Synapse(pre, post, noise.weight_index(post.index, pre.index, n_pre), p.delay)
                for post in self._neurons[p.post]
                for pre in self._neurons[p.pre]
            ]
            for p in plan.network.projections
            for n_pre in [len(self._neurons[p.pre])]
        }
        self._outlets = {
            p.name: [
                DecorrelatingSynapse(pre, post)
                for post in self._neurons[p.name]
                for pre in self._neurons[p.name]
            ]
            for p in plan.network.populations
            if p.decorrelation is not None
        }
        self.set_weights(weights)
        rule, owner = type(plan.rule), type(plan.rule).__name__
        self._reward, self._neuron, self._synapse = (
            knowing_only(scalar(rule, place), known, owner)
            for place, known in (("reward", REWARD), ("neuron", NEURON), ("synapse", SYNAPSE))
        )
        decorrelation = type(plan.decorrelation)
        self._decorrelate = knowing_only(
            scalar(decorrelation, "synapse"), DECORRELATION, decorrelation.__name__
        )
        self._owed_reward: dict[tuple[int, int], float] = {}

    def _refuse_large(self, weights: Weights) -> None:
        synapses = sum(w.size for w in weights.values())
        if synapses > LARGEST:
            raise InputError(
                f"Simulator: engine = 'objects' is an oracle for small networks, at most "
                f"{LARGEST} synapses; this one has {synapses}. Use engine = 'cpu'"
            )

    # ------------------------------------------------------------------ state

    def weights(self) -> Weights:
        found: Weights = {}
        for name, synapses in self._by_matrix():
            values = np.array([s.weight for s in synapses], dtype=np.float32)
            found[name] = values.reshape(self.plan.network.shape(name))
        return found

    def set_weights(self, weights: Weights) -> None:
        for name, synapses in self._by_matrix():
            for synapse, weight in zip(synapses, weights[name].ravel(), strict=True):
                synapse.weight = float(weight)

    def _by_matrix(self) -> list[tuple[str, list[Any]]]:
        matrices: list[tuple[str, list[Any]]] = list(self._synapses.items())
        for population, outlets in self._outlets.items():
            name = self.plan.network.population(population).decorrelation
            assert name is not None
            matrices.append((name, outlets))
        return matrices

    def state(self) -> dict[str, NDArray[np.float64]]:
        return {
            f"{name}.{variable}": np.array([getattr(n, variable) for n in neurons]).T
            for name, neurons in self._neurons.items()
            for variable in ("x", "s")
        }

    def set_state(self, state: dict[str, Any]) -> None:
        for name, neurons in self._neurons.items():
            for variable in ("x", "s"):
                values = state[f"{name}.{variable}"]
                for neuron in neurons:
                    setattr(neuron, variable, [float(v) for v in values[:, neuron.index]])
        self._send_all()

    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        replicas = range(self.plan.batch)
        if variable == "eligibility":
            k = self.plan.comparison_of(pass_)
            traces = [[s.eligibility[k, b] for s in self._synapses[name]] for b in replicas]
            shape = (self.plan.batch, *self.plan.network.shape(name))
            return np.array(traces, dtype=np.float32).reshape(shape)
        neurons = self._neurons[name]
        if variable in ("noise", "signal"):
            k = self.plan.comparison_of(pass_)
            held = [[getattr(n, variable)[k, b] for n in neurons] for b in replicas]
        else:
            held = [[getattr(n, variable)[self._lane(pass_, b)] for n in neurons] for b in replicas]
        return np.array(held, dtype=np.float32)

    # ------------------------------------------------------------------- time

    def begin(self, rest: bool) -> None:
        for neuron in self._all_neurons():
            neuron.signal = dict.fromkeys(self._pairs(), 0.0)
            if rest:
                neuron.x = [0.0] * self.plan.lanes
                neuron.s = [0.0] * self.plan.lanes
        self._send_all()
        for synapse in self._all_synapses():
            synapse.eligibility = dict.fromkeys(self._pairs(), 0.0)
            synapse.owed = 0.0
        self._owed_reward = dict.fromkeys(self._pairs(), 0.0)

    def finish(self) -> None:
        """Nothing is ever left over: here every change is written when it is due."""

    def advance(self, progress: Progress) -> None:
        for t in range(progress.start, progress.stop):
            self._step(progress, t)

    def _all_neurons(self) -> list[Neuron]:
        return [neuron for neurons in self._neurons.values() for neuron in neurons]

    def _all_synapses(self) -> list[Synapse]:
        return [synapse for synapses in self._synapses.values() for synapse in synapses]

    def _pairs(self) -> list[tuple[int, int]]:
        """Every comparison of every replica."""
        return [(k, b) for k in range(len(self.plan.comparisons)) for b in range(self.plan.batch)]

    def _step(self, progress: Progress, t: int) -> None:
        plan, clock = self.plan, progress.clock + t
        for synapse in self._all_synapses():
            synapse.begin_step()
        self._resynchronise(t)
        for neuron in self._neurons[plan.network.inputs.name]:
            neuron.s = [float(progress.inputs[t, b, neuron.index]) for b in range(plan.batch)]
            neuron.s *= plan.passes
        self._send(plan.network.inputs.name, progress, t)
        for population in plan.network.populations[1:]:
            self._integrate(population, clock, progress, t)
            self._fire(population, progress, t)
            self._send(population.name, progress, t)
        self._teach(progress, t)

    def _resynchronise(self, t: int) -> None:
        every = self.plan.options.resync_every
        if every is None or t % every:
            return
        for lane in range(self.plan.batch, self.plan.lanes):
            baseline = lane % self.plan.batch
            for neuron in self._all_neurons():
                neuron.x[lane] = neuron.x[baseline]
            for synapse in self._all_synapses():
                synapse.arrived[lane] = synapse.arrived[baseline]

    def _send(self, population: str, progress: Progress, t: int) -> None:
        for neuron in self._neurons[population]:
            for lane in range(self.plan.lanes):
                neuron.send(lane)
                progress.events[t] += 1

    def _send_all(self) -> None:
        """Put back on its way what was sent last."""
        for neuron in self._all_neurons():
            for lane in range(self.plan.lanes):
                neuron.send(lane)

    def _sign(self, pass_: int) -> list[tuple[int, float]]:
        """Which comparison's noise a pass gets, with which sign."""
        if pass_ == 0:
            return []
        for k, comparison in enumerate(self.plan.comparisons):
            if pass_ == comparison.perturbed:
                return [(k, 1.0)]
            if pass_ == comparison.reference:
                return [(k, -1.0)]
        return []

    def _integrate(self, population: Any, clock: int, progress: Progress, t: int) -> None:
        plan, options, neurons = self.plan, self.plan.options, self._neurons[population.name]
        for neuron in neurons:
            neuron.a = [0.0] * plan.lanes
            neuron.noise = dict.fromkeys(self._pairs(), 0.0)
            if plan.perturbs(population):
                stream = plan.stream(noise.PERTURBATION, population.name)
                for k, b in self._pairs():
                    drawn = noise.draw(
                        plan.distribution, plan.seed, stream, clock, k, b, neuron.index
                    )
                    neuron.noise[k, b] = options.noise_std * float(drawn)
        for projection in plan.network.projections:
            if projection.post != population.name:
                continue
            for synapse in self._synapses[projection.name]:
                synapse.noise = dict.fromkeys(range(len(plan.comparisons)), 0.0)
                if plan.perturbs(projection):
                    stream = plan.stream(noise.WEIGHT_PERTURBATION, projection.name)
                    for k in synapse.noise:
                        drawn = noise.draw(
                            plan.distribution, plan.seed, stream, clock, k, 0, synapse.index
                        )
                        synapse.noise[k] = options.noise_std * float(drawn)
                for lane in range(plan.lanes):
                    pass_ = lane // plan.batch
                    perturbation = sum(sign * synapse.noise[k] for k, sign in self._sign(pass_))
                    synapse.transmit(lane, perturbation)
                    progress.operations[t] += 1
        for neuron in neurons:
            for lane in range(plan.lanes):
                pass_, b = divmod(lane, plan.batch)
                neuron.a[lane] += sum(s * neuron.noise[k, b] for k, s in self._sign(pass_))
                if plan.substrate.act_noise > 0:
                    stream = plan.stream(noise.ACT_NOISE, population.name)
                    drawn = noise.normal(plan.seed, stream, clock, pass_, b, neuron.index)
                    sigma = plan.substrate.act_noise
                    neuron.a[lane] = act_noise(neuron.a[lane], sigma, float(drawn))

    def _fire(self, population: Any, progress: Progress, t: int) -> None:
        plan, neurons = self.plan, self._neurons[population.name]
        for neuron in neurons:
            for lane in range(plan.lanes):
                neuron.fire(lane)
        if population.decorrelation is None:
            for neuron in neurons:
                neuron.s = list(neuron.x)
            return
        for neuron in neurons:
            neuron.s = [0.0] * plan.lanes
        for outlet in self._outlets[population.name]:
            for lane in range(plan.lanes):
                outlet.post.s[lane] += outlet.weight * outlet.pre.x[lane]
                progress.operations[t] += 1
        if progress.learn and plan.decorrelation is not None:
            self._adapt_outlets(population.name, progress, t)

    def _adapt_outlets(self, population: str, progress: Progress, t: int) -> None:
        plan = self.plan
        for neuron in self._neurons[population]:
            neuron.retrograde = dict.fromkeys(range(plan.batch), 0.0)
            for outlet in neuron.outlet:
                for b in range(plan.batch):
                    neuron.retrograde[b] += outlet.post.s[b] * outlet.weight
                    progress.operations[t] += 1
        for outlet in self._outlets[population]:
            change = 0.0
            for b in range(plan.batch):
                change += self._decorrelate(
                    post=outlet.post.s[b],
                    pre=outlet.pre.s[b],
                    weight=outlet.weight,
                    retrograde=outlet.pre.retrograde[b],
                    different=float(outlet.pre is not outlet.post),
                )
            step = plan.decorrelation.learning_rate * change / plan.batch
            outlet.weight = _stored(outlet.weight - step)
            progress.writes[t] += 1

    # --------------------------------------------------------------- learning

    def _teach(self, progress: Progress, t: int) -> None:
        """Compare the passes, broadcast the reward, let synapses learn."""
        plan = self.plan
        outputs = self._neurons[plan.network.outputs.name]
        target = progress.targets[t]
        if len(progress.outputs):
            progress.outputs[t] = [[n.s[b] for n in outputs] for b in range(plan.batch)]
        for b in range(plan.batch):
            errors = [neuron.s[b] - float(target[b, neuron.index]) for neuron in outputs]
            loss = sum(error * error for error in errors)
            progress.loss[t, b] = loss
            if loss - loss != 0.0:
                raise self.divergence(progress.clock + t)
        if not progress.learn or not plan.learns:
            return
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
        for pair in self._pairs():
            self._owed_reward[pair] += difference[pair]
        last = t == progress.steps - 1
        over = last or (plan.episode > 0 and (t + 1) % plan.episode == 0)
        for index, population in enumerate(plan.network.populations[1:]):
            if not plan.learns_onto(population):
                continue
            broadcast = self._broadcast(population, difference, over)
            progress.reward[index, t] = [
                sum(broadcast[k, b] for k in range(len(plan.comparisons))) / len(plan.comparisons)
                for b in range(plan.batch)
            ]
            for projection in plan.network.projections:
                rate = plan.rate(projection)
                if projection.post == population.name and rate > 0:
                    credit = plan.credit(population)
                    for synapse in self._synapses[projection.name]:
                        self._learn(synapse, credit, broadcast, rate, over, last, progress, t)
        if over:
            self._owed_reward = dict.fromkeys(self._pairs(), 0.0)

    def _lane(self, pass_: int, replica: int) -> int:
        return pass_ * self.plan.batch + replica

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
        for pair in self._pairs():
            delta = factor * difference[pair] if credit == LOCAL else 1.0
            self._forming[pair] = (
                self._reward(
                    delta_loss=delta, power=power[pair], n=population.size, variance=plan.variance
                )
                if power[pair] > 0 or not plan.measures_power
                else 0.0
            )
        for neuron in neurons:
            for k, b in self._pairs():
                comparison = plan.comparisons[k]
                neuron.signal[k, b] = self._neuron(
                    a=neuron.a[self._lane(comparison.reference, b)],
                    a_perturbed=neuron.a[self._lane(comparison.perturbed, b)],
                    noise=plan.noise_gain * neuron.noise[k, b],
                    reward=self._forming[k, b],
                )
        if credit == LOCAL:
            return dict(self._forming)
        if credit == RETURN_TO_GO:
            return {pair: factor * difference[pair] for pair in self._pairs()}
        return {pair: factor * self._owed_reward[pair] if over else 0.0 for pair in self._pairs()}

    def _learn(
        self,
        synapse: Synapse,
        credit: int,
        broadcast: dict,
        rate: float,
        over: bool,
        last: bool,
        progress: Progress,
        t: int,
    ) -> None:
        plan = self.plan
        change = 0.0
        for k, b in self._pairs():
            eligible = self._synapse(
                pre=synapse.arrived[b],
                signal=synapse.post.signal[k, b],
                noise=plan.noise_gain * synapse.noise[k],
                reward=self._forming[k, b],
            )
            if credit == LOCAL:
                change += eligible
                continue
            synapse.eligibility[k, b] += eligible
            if credit == RETURN_TO_GO or (credit == GLOBAL and over):
                change += broadcast[k, b] * synapse.eligibility[k, b]
            if over:
                synapse.eligibility[k, b] = 0.0
        synapse.owed += change / len(self._pairs())
        due = {"online": True, "window": over, "sequence": last}[str(plan.options.schedule)]
        if due:
            synapse.weight = _stored(synapse.weight - rate * synapse.owed)
            synapse.owed = 0.0
            progress.writes[t] += 1


def _stored(weight: float) -> float:
    """A weight as the chip stores it, in float32; so that saving one loses nothing."""
    return float(np.float32(weight))


def _square(value: float) -> float:
    return value * value  # value**2 raises where this overflows to infinity
