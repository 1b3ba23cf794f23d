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
    model_functions,
)
from neurosim.engines.engine import Engine, Progress
from neurosim.engines.hardware import Hardware
from neurosim.engines.plan import Plan
from neurosim.engines.teacher import Teacher
from neurosim.engines.undisturbed import ctrl_c_waits
from neurosim.errors import InputError
from neurosim.local import DECORRELATION, scalar
from neurosim.network import Weights
from neurosim.values import require

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
            p.name: [Neuron(i, plan.lanes, activity, slope) for i in range(p.size)]
            for p in plan.network.populations
            for activity, slope in [(None, None) if p.neuron is None else model_functions(p.neuron)]
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
                DecorrelatingSynapse(
                    pre, post, noise.weight_index(post.index, pre.index, len(self._neurons[p.name]))
                )
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
        self._hardware = Hardware(plan)
        for p in plan.network.populations:
            for neuron in self._neurons[p.name]:
                self._hardware.make_neuron(neuron, p)
                neuron.readings = [[0.0] * plan.lanes for _ in range(plan.remembered)]
        for name, synapses in self._devices():
            for synapse in synapses:
                self._hardware.make_synapse(synapse, name)
        self.set_weights(weights)
        decorrelation = type(plan.decorrelation)
        self._decorrelate = knowing_only(
            scalar(decorrelation, "synapse"), DECORRELATION, decorrelation.__name__
        )
        self._teacher = Teacher(plan, self._hardware, self._neurons, self._synapses, self._feedback)

    def __del__(self) -> None:
        """Free neurons and synapses, which hold each other, without waiting for the collector."""
        for neurons in vars(self).get("_neurons", {}).values():
            for neuron in neurons:  # by builtins alone: as Python ends, modules are gone
                vars(neuron).clear()

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

    def program(self, weights: Weights) -> None:
        for name, synapses in self._devices():
            if name in weights:
                for synapse, weight in zip(synapses, weights[name].ravel(), strict=True):
                    self._hardware.program(synapse, name, float(weight))
        for name, synapses in self._feedback.items():
            if name in weights:
                for synapse, weight in zip(synapses, weights[name].ravel(), strict=True):
                    synapse.weight = float(weight)

    def _devices(self) -> list[tuple[str, list[Any]]]:
        """Synapses that are devices, matrix by matrix."""
        matrices: list[tuple[str, list[Any]]] = list(self._synapses.items())
        for population, outlets in self._outlets.items():
            name = self.plan.network.population(population).decorrelation
            assert name is not None
            matrices.append((name, outlets))
        return matrices

    def _by_matrix(self) -> list[tuple[str, list[Any]]]:
        return self._devices() + list(self._feedback.items())

    def ages(self) -> dict[str, NDArray[Any]]:
        if not self.plan.chip.drifts:
            return {}
        return {
            f"{name}.age": np.array([s.age for s in synapses]).reshape(self.plan.matrices()[name])
            for name, synapses in self._devices()
        }

    def set_ages(self, ages: dict[str, Any]) -> None:
        for name, synapses in self._devices() if self.plan.chip.drifts else ():
            for synapse, value in zip(synapses, ages[f"{name}.age"].flat, strict=True):
                synapse.age = float(value)

    def state(self) -> dict[str, NDArray[np.float64]]:
        activity = {
            f"{name}.{variable}": np.array([getattr(n, variable) for n in neurons]).T
            for name, neurons in self._neurons.items()
            for variable in self._kept()
        }
        if self.plan.shows:
            for name, neurons in self._neurons.items():
                history = np.array([n.readings for n in neurons])
                activity[f"{name}.readings"] = history.transpose(1, 2, 0)
        if self.plan.chip.loses:
            for name, neurons in self._neurons.items():
                activity[f"{name}.before"] = np.array([n.before for n in neurons]).T
        return activity | self._teacher.state() | self.ages()

    def _kept(self) -> tuple[str, ...]:
        return ("x", "s", "telegraph") if self.plan.substrate.act_telegraph else ("x", "s")

    def set_state(self, state: dict[str, Any]) -> None:
        self._teacher.set_state(state)
        self.set_ages(state)
        for name, neurons in self._neurons.items():
            for variable in self._kept():
                values = state[f"{name}.{variable}"]
                for neuron in neurons:
                    setattr(neuron, variable, [float(v) for v in values[:, neuron.index]])
            for neuron in neurons:
                neuron.readings[0] = list(neuron.s)
                if self.plan.shows:
                    history = state[f"{name}.readings"][:, :, neuron.index]
                    neuron.readings = [[float(v) for v in turn] for turn in history]
                if self.plan.chip.loses:
                    values = state[f"{name}.before"][:, neuron.index]
                    neuron.before = [float(v) for v in values]
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
            lanes = [self._lane(pass_, b) for b in replicas]
            held = [[self._seen(n, variable)[lane] for n in neurons] for lane in lanes]
        return np.array(held, dtype=np.float32)

    @staticmethod
    def _seen(neuron: Neuron, variable: str) -> list[float]:
        """A state of a neuron, or what rules read of it."""
        readings = {"a_read": neuron.seen_a, "x_read": neuron.seen_x, "s_read": neuron.readings[0]}
        return readings[variable] if variable in readings else getattr(neuron, variable)

    # ------------------------------------------------------------------- time

    def begin(self, rest: bool) -> None:
        for neuron in self._all_neurons() if rest else ():
            neuron.x, neuron.s, neuron.before = ([0.0] * self.plan.lanes for _ in range(3))
        if rest:
            self._forget()
        self._send_all()
        self._teacher.begin()

    def _forget(self) -> None:
        """Nothing was sent before a sequence that begins at rest; what is owed is kept."""
        turns = 2 if self.plan.substrate.reward_delay else self.plan.remembered
        for _ in range(turns):
            self._turn()

    def _turn(self) -> None:
        """What was read goes one step further into the past."""
        self._teacher.turn += 1
        for neuron in self._all_neurons():
            neuron.readings = [[0.0] * self.plan.lanes, *neuron.readings[:-1]]

    def finish(self) -> None:
        """Nothing is ever left over: here every change is written when it is due."""

    def advance(self, progress: Progress) -> None:
        for t in range(progress.start, progress.stop):
            with ctrl_c_waits():
                finite = self._step(progress, t)
            if not finite:
                raise self.divergence(progress, t)

    def _all_neurons(self) -> list[Neuron]:
        return [neuron for neurons in self._neurons.values() for neuron in neurons]

    def _all_synapses(self) -> list[Synapse]:
        return [synapse for synapses in self._synapses.values() for synapse in synapses]

    def _pairs(self) -> list[tuple[int, int]]:
        """Every comparison of every replica."""
        return [(k, b) for k in range(len(self.plan.comparisons)) for b in range(self.plan.batch)]

    def _step(self, progress: Progress, t: int) -> bool:
        plan, clock = self.plan, progress.clock + t
        self._turn()
        for neuron in self._all_neurons():
            neuron.before = list(neuron.s)
        for synapse in self._all_synapses():
            synapse.begin_step()
        self._resynchronise(t)
        for name, devices in self._devices() if plan.chip.ages else ():
            for device in devices:
                self._hardware.age(device, name, clock)
        for neuron in self._neurons[plan.network.inputs.name]:
            neuron.s = [float(progress.inputs[t, b, neuron.index]) for b in range(plan.batch)]
            neuron.s *= plan.passes
        self._send(plan.network.inputs.name, progress, t)
        for population in plan.network.populations[1:]:
            self._integrate(population, clock, progress, t)
            self._fire(population, progress, t)
            self._send(population.name, progress, t)
            learns = progress.learn and plan.decorrelation is not None
            if learns and population.decorrelation is not None:
                self._adapt_outlets(population, progress, t)
        if not self._teacher.judge(progress, t):
            return False
        if progress.learn and self.plan.learns:
            self._teacher.teach(progress, t)
        else:
            self._teacher.rest()
        return True

    def _resynchronise(self, t: int) -> None:
        every = self.plan.options.resync_every
        if every is None or t % every:
            return
        for lane in range(self.plan.batch, self.plan.lanes):
            baseline = lane % self.plan.batch
            for neuron in self._all_neurons():
                neuron.x[lane] = neuron.x[baseline]
                neuron.before[lane] = neuron.before[baseline]
            for synapse in self._all_synapses():
                synapse.due[lane] = synapse.due[baseline]
                synapse.before[lane] = synapse.before[baseline]

    def _send(self, population: str, progress: Progress, t: int) -> None:
        hardware, clock = self._hardware, progress.clock + t
        for neuron in self._neurons[population]:
            for lane in range(self.plan.lanes):
                sent = hardware.payload(neuron.s[lane], population)
                neuron.s[lane] = sent
                neuron.readings[0][lane] = hardware.read(
                    noise.SENT_READ, sent, population, neuron.index, lane, clock
                )
                neuron.send(lane)
                progress.events[t] += 1

    def _send_all(self) -> None:
        """Put back on its way what was sent last, and before that."""
        for neuron in self._all_neurons():
            for synapse in neuron.axon:
                if synapse.delay:
                    synapse.due = list(neuron.before)
            for lane in range(self.plan.lanes):
                neuron.send(lane)

    def _integrate(self, population: Any, clock: int, progress: Progress, t: int) -> None:
        plan, options, neurons = self.plan, self.plan.options, self._neurons[population.name]
        injected = [plan.injected(lane // plan.batch) for lane in range(plan.lanes)]
        for neuron in neurons:
            neuron.a = [0.0] * plan.lanes
            sources = range(plan.sides * len(plan.comparisons))
            neuron.noise = {(k, b): 0.0 for k in sources for b in range(plan.batch)}
            if plan.perturbs(population):
                stream = plan.stream(noise.PERTURBATION, population.name)
                lessons = sources if plan.both else plan.lessons(population)
                for k, b in [(k, b) for k, b in neuron.noise if k in lessons]:
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
                for lane, (k, sign) in enumerate(injected):
                    perturbation = sign * synapse.noise.get(k, 0.0)
                    synapse.arrived[lane] = self._hardware.arrived(
                        projection.name,
                        synapse.index,
                        lane,
                        clock,
                        synapse.due[lane],
                        synapse.before[lane],
                    )
                    synapse.transmit(lane, perturbation)
                    progress.operations[t] += 1
            if plan.chip.reads_noisily:
                self._read_weights(projection.name, self._synapses[projection.name], clock)
        for neuron in neurons:
            for lane, (k, sign) in enumerate(injected):
                neuron.a[lane] += sign * neuron.noise.get((k, lane % plan.batch), 0.0)
                self._hardware.disturb(neuron, population.name, lane, clock)

    def _read_weights(self, matrix: str, synapses: list[Any], clock: int) -> None:
        """Add the noise of reading a matrix's weights to the sums that they go into."""
        onto: dict[Neuron, list[Any]] = {}
        for synapse in synapses:
            onto.setdefault(synapse.post, []).append(synapse)
        for neuron, some in onto.items():
            for lane in range(self.plan.lanes):
                met = [s.pre.x[lane] if s in s.pre.outlet else s.arrived[lane] for s in some]
                power = sum(value * value for value in met)
                through = sum((s.weight * v) ** 2 for s, v in zip(some, met, strict=True))
                total = self._hardware.read_weights(
                    matrix, lane, clock, neuron.index, power, through
                )
                sums = neuron.s if some[0] in some[0].pre.outlet else neuron.a
                sums[lane] += total

    def _fire(self, population: Any, progress: Progress, t: int) -> None:
        plan, neurons, clock = self.plan, self._neurons[population.name], progress.clock + t
        for neuron in neurons:
            for lane in range(plan.lanes):
                neuron.fire(lane)
                where = (population.name, neuron.index, lane, clock)
                neuron.seen_a[lane] = self._hardware.read(noise.ACT_READ, neuron.a[lane], *where)
                neuron.seen_x[lane] = self._hardware.read(noise.FIRED_READ, neuron.x[lane], *where)
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
        if plan.chip.reads_noisily:
            self._read_weights(population.decorrelation, self._outlets[population.name], clock)

    def _adapt_outlets(self, population: Any, progress: Progress, t: int) -> None:
        plan = self.plan
        for neuron in self._neurons[population.name]:
            neuron.retrograde = dict.fromkeys(range(plan.batch), 0.0)
            for outlet in neuron.outlet:
                for b in range(plan.batch):
                    neuron.retrograde[b] += outlet.post.readings[0][b] * outlet.weight
                    progress.operations[t] += 1
        for outlet in self._outlets[population.name]:
            change = 0.0
            for b in range(plan.batch):
                change += self._decorrelate(
                    post=outlet.post.readings[0][b],
                    pre=outlet.pre.readings[0][b],
                    weight=outlet.weight,
                    retrograde=outlet.pre.retrograde[b],
                    different=float(outlet.pre is not outlet.post),
                )
            step = progress.rates_in(t)[1] * change / plan.batch
            self._hardware.write(outlet, population.decorrelation, -step, progress.clock + t)
            progress.writes[t] += 1

    def _lane(self, pass_: int, replica: int) -> int:
        return pass_ * self.plan.batch + replica
