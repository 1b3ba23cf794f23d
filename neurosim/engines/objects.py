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
from neurosim.engines.cells import (
    DecorrelatingSynapse,
    FeedbackSynapse,
    Neuron,
    Synapse,
    knowing_only,
    stored,
)
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.engines.teacher import Teacher
from neurosim.errors import InputError, require
from neurosim.local import DECORRELATION, scalar
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
        outputs = self._neurons[plan.network.outputs.name]
        self._feedback = {
            name: [FeedbackSynapse(pre, post) for post in self._neurons[p.name] for pre in outputs]
            for name, p in plan.feedback.items()
        }
        self.set_weights(weights)
        decorrelation = type(plan.decorrelation)
        self._decorrelate = knowing_only(
            scalar(decorrelation, "synapse"), DECORRELATION, decorrelation.__name__
        )
        self._teacher = Teacher(plan, self._neurons, self._synapses, self._feedback)

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
            found[name] = values.reshape(self.plan.matrices()[name])
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
        return matrices + list(self._feedback.items())

    def state(self) -> dict[str, NDArray[np.float64]]:
        activity = {
            f"{name}.{variable}": np.array([getattr(n, variable) for n in neurons]).T
            for name, neurons in self._neurons.items()
            for variable in ("x", "s")
        }
        return activity | self._teacher.state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._teacher.set_state(state)
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
            if rest:
                neuron.x = [0.0] * self.plan.lanes
                neuron.s = [0.0] * self.plan.lanes
        self._send_all()
        self._teacher.begin()

    def finish(self) -> None:
        """Nothing is ever left over: here every change is written when it is due."""

    def advance(self, progress: Progress) -> None:
        for t in range(progress.start, progress.stop):
            if not self._step(progress, t):
                raise self.divergence(progress.clock + t)

    def _all_neurons(self) -> list[Neuron]:
        return [neuron for neurons in self._neurons.values() for neuron in neurons]

    def _all_synapses(self) -> list[Synapse]:
        return [synapse for synapses in self._synapses.values() for synapse in synapses]

    def _pairs(self) -> list[tuple[int, int]]:
        """Every comparison of every replica."""
        return [(k, b) for k in range(len(self.plan.comparisons)) for b in range(self.plan.batch)]

    def _step(self, progress: Progress, t: int) -> bool:
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
        if not self._teacher.judge(progress, t):
            return False
        if progress.learn and self.plan.learns:
            self._teacher.teach(progress, t)
        return True

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
                lessons = plan.lessons(population)
                for k, b in [(k, b) for k, b in self._pairs() if k in lessons]:
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
                    for k in plan.lessons(population):
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
            outlet.weight = stored(outlet.weight - step)
            progress.writes[t] += 1

    def _lane(self, pass_: int, replica: int) -> int:
        return pass_ * self.plan.batch + replica
