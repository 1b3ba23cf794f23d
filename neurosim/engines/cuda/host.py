"""What the cuda engine and its emulator have in common: all but the launch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.arrays import Floats
from neurosim.engines.compile import compiling
from neurosim.engines.cuda import at
from neurosim.engines.cuda.layout import Layout
from neurosim.engines.cuda.timetable import Timetable
from neurosim.engines.engine import READINGS, Engine, Progress
from neurosim.engines.plan import Plan
from neurosim.engines.silicon import draw_devices, draw_units, store
from neurosim.engines.undisturbed import ctrl_c_waits
from neurosim.network import Weights
from neurosim.substrate.mismatch import own_tau
from neurosim.values import require


@dataclass(frozen=True)
class Brief:
    """What a launch is told.

    Attributes
    ----------
    steps : ndarray of uint32
        ``at.RUN_SIZE`` entries of the run, then ``at.PER_STEP`` of every step.
    data : ndarray of float32
        What is given, and room for what is asked for.
    places : dict of str to slice
        Where in it that is.
    """

    steps: NDArray[np.uint32]
    data: Floats
    places: dict[str, slice]


class PhasedEngine(Engine):
    """Run a plan as a program of phases, over one array that the host reads and writes in parts.

    A subclass says how it launches, and where the array is.
    """

    _memory: Any

    def __init__(self, plan: Plan, weights: Weights, threads: int = 1) -> None:
        allowed = f"1 with engine = {self.name!r}"
        require(threads == 1, "Simulator", "threads", threads, allowed)
        self.plan, self.threads = plan, threads
        self._layout = self._lay()
        self._times = Timetable(plan)
        with compiling(plan):
            self._allocate()
        self._make_neurons()
        if plan.chip.programs or plan.chip.ages:
            for name in plan.network.matrices:
                self._make_devices(name)
        self.set_weights(weights)

    # ------------------------------------------------------------ for subclasses

    @abstractmethod
    def _lay(self) -> Layout:
        """Decide how many blocks there are, and lay memory out for them."""

    @abstractmethod
    def _allocate(self) -> None:
        """Allocate `_memory`, all of it zero."""

    @staticmethod
    def _fetched(values: Any) -> Floats:
        """Numbers from where the memory is."""
        return np.array(values)

    @staticmethod
    def _handed(values: Floats) -> Any:
        """Numbers to where the memory is."""
        return values

    @abstractmethod
    def _launch(self, steps: NDArray[np.uint32], data: Floats) -> Floats:
        """Run steps, and give the data back with what they wrote there."""

    # ------------------------------------------------------------------- places

    def _read(self, start: int, count: int) -> Floats:
        """Copy of numbers in memory."""
        return self._fetched(self._memory[start : start + count])

    def _write(
        self, start: int, values: Any, offset: int = 0, size: int = 0, copies: int = 1
    ) -> None:
        """Overwrite numbers in memory, in all copies of something of a size."""
        numbers = np.asarray(values, dtype=np.float32).ravel()
        size = size or offset + numbers.size
        everyone = self._memory[start : start + copies * size].reshape(copies, size)
        everyone[:, offset : offset + numbers.size] = self._handed(numbers)

    def _rows(self, population: str, row: int, count: int) -> Floats:
        """Copy of some rows of a population, without padding."""
        stride = self._layout.strides[population]
        start = self._layout.homes[population] + row * stride
        size = self.plan.network.population(population).size
        return self._read(start, count * stride).reshape(count, stride)[:, :size].copy()

    def _set_rows(self, population: str, row: int, values: Any) -> None:
        """Overwrite some rows of a population, in all its copies."""
        layout, stride = self._layout, self._layout.strides[population]
        padded = np.zeros((len(values), stride), dtype=np.float32)
        padded[:, : self.plan.network.population(population).size] = values
        copies = layout.launch.blocks if layout.everywhere(population) else 1
        size = layout.n_rows * stride
        self._write(layout.homes[population], padded, row * stride, size, copies)

    def _matrix(self, name: str, start: int | None = None) -> Floats:
        """Copy of a weight matrix, or of what lies like it from `start` on."""
        m, (n_post, n_pre) = self._layout.names.index(name), self.plan.network.shape(name)
        at_, stride = self._layout.matrices[name]
        if start is not None:
            at_ = start + self._layout.beginning[m]
        return self._read(at_, n_post * stride).reshape(n_post, stride)[:, :n_pre].copy()

    def _set_matrix(self, name: str, values: Any, start: int | None = None) -> None:
        """Overwrite a weight matrix, or what lies like it."""
        m, (n_post, n_pre) = self._layout.names.index(name), self.plan.network.shape(name)
        at_, stride = self._layout.matrices[name]
        if start is not None:
            at_ = start + self._layout.beginning[m]
        padded = np.zeros((n_post, stride), dtype=np.float32)
        padded[:, :n_pre] = values
        self._write(at_, padded)

    def _on_desk(self, name: str, count: int, start: int = 0) -> Floats:
        """Copy of what lies on the desk; it is the same on all."""
        return self._read(self._layout.desks + self._layout.desk[name] + start, count)

    def _set_desks(self, name: str, values: Any) -> None:
        """Overwrite what lies on all desks."""
        layout = self._layout
        where = (layout.desk[name], layout.desk_size, layout.launch.blocks)
        self._write(layout.desks, values, *where)

    # ------------------------------------------------------------------- frozen

    def _make_neurons(self) -> None:
        plan, given, row = self.plan, self.plan.substrate, self._layout.rows
        for p in plan.network.populations:
            gain: Any = np.ones(p.size)
            offset: Any = np.zeros(p.size)
            tau = getattr(p.neuron, "tau", 1.0)
            taus = np.full(p.size, tau)
            if given.mismatch_gain > 0:
                drawn = self._drawn(noise.MISMATCH_GAIN, p.name, p.size)
                gain = 1.0 + given.mismatch_gain * drawn
            if given.mismatch_offset > 0:
                offset = given.mismatch_offset * self._drawn(noise.MISMATCH_OFFSET, p.name, p.size)
            if given.mismatch_tau > 0:
                drawn = self._drawn(noise.MISMATCH_TAU, p.name, p.size)
                taus[...] = [own_tau(tau, given.mismatch_tau, float(draw)) for draw in drawn]
            own = {"gain": gain, "offset": offset, "leak": 1.0 / taus, "keep": 1.0 - 1.0 / taus}
            for name, values in own.items():
                self._set_rows(p.name, row[name], values[None])
            if given.act_telegraph > 0:
                states = [
                    self._drawn(noise.TELEGRAPH_START, p.name, p.size, *divmod(lane, plan.batch))
                    for lane in range(plan.lanes)
                ]
                self._set_rows(p.name, row["telegraph"], np.where(np.array(states) <= 0.5, 1, -1))

    def _drawn(self, use: int, name: str, n: int, pass_: int = 0, b: int = 0) -> Floats:
        """One number for each of `n` units: normal, or of a fluctuator's beginning uniform."""
        plan, out = self.plan, np.zeros(n, dtype=np.float32)
        draw_units(
            out, use != noise.TELEGRAPH_START, plan.key(use), plan.stream(use, name), pass_, b
        )
        return out

    def _make_devices(self, name: str) -> None:
        plan, given, arrays = self.plan, self.plan.substrate, self._layout.arrays
        n_post, n_pre = plan.network.shape(name)

        def drawn(use: int, normal: bool) -> Floats:
            out = np.zeros((n_post, n_pre, 1), dtype=np.float32)
            draw_devices(out, normal, plan.key(use), plan.stream(use, name), n_post, n_pre)
            return out[:, :, 0]

        if given.stuck_fraction > 0:
            stuck = drawn(noise.STUCK, False) <= given.stuck_fraction
            self._set_matrix(name, stuck, arrays["stuck"])
        if given.d2d > 0:
            self._set_matrix(name, drawn(noise.D2D, True), arrays["response"])
        if plan.chip.drifts:
            low, high = plan.chip.drift
            nu = low + (high - low) * drawn(noise.DRIFT, False)
            self._set_matrix(name, nu, arrays["nu"])

    # ------------------------------------------------------------------ weights

    def weights(self) -> Weights:
        found = {name: self._matrix(name) for name in self.plan.network.matrices}
        for name, population in self.plan.feedback.items():
            row, outputs = self._layout.rows["guesses"], self.plan.network.outputs.size
            found[name] = self._rows(population.name, row, outputs).T.copy()
        return found

    def set_weights(self, weights: Weights) -> None:
        for name in self.plan.network.matrices:
            self._set_matrix(name, weights[name])
        for name, population in self.plan.feedback.items():
            self._set_rows(population.name, self._layout.rows["guesses"], weights[name].T)

    def program(self, weights: Weights) -> None:
        plan, arrays = self.plan, self._layout.arrays
        if not plan.chip.programs and not plan.chip.ages:
            super().program(weights)
            return
        before = {name: self._matrix(name) for name in plan.network.matrices}
        self.set_weights(self.weights() | weights)
        for name in plan.network.matrices:
            if name not in weights:
                continue
            device, (n_post, n_pre) = plan.chip.devices[name], plan.network.shape(name)
            stored = self._matrix(name)[:, :, None]
            stuck = self._matrix(name, arrays["stuck"])[:, :, None]
            limit, spacing, stuck_at = (
                np.float32(value) for value in (device.limit, device.spacing, device.stuck_at)
            )
            store(stored, stuck, before[name], limit, spacing, stuck_at, n_post, n_pre)
            self._set_matrix(name, stored[:, :, 0])
            if plan.chip.ages:
                self._set_matrix(name, np.zeros((n_post, n_pre)), arrays["age"])

    def ages(self) -> dict[str, Any]:
        if not self.plan.chip.drifts:
            return {}
        start = self._layout.arrays["age"]
        return {f"{name}.age": self._matrix(name, start) for name in self.plan.network.matrices}

    def set_ages(self, ages: dict[str, Any]) -> None:
        for name in self.plan.network.matrices if self.plan.chip.drifts else ():
            self._set_matrix(name, ages[f"{name}.age"], self._layout.arrays["age"])

    # -------------------------------------------------------------------- state

    def _remembered(self) -> dict[tuple[str, str], int]:
        """What synapses remember from run to run: where it lies, by projection and memory."""
        plan, arrays, kept = self.plan, self._layout.arrays, []
        if plan.learns and plan.local and plan.options.optimiser != "sgd":
            kept += ["first", "second"]
        if plan.delays and plan.gathers:
            kept += ["owed"]
        return {(p.name, key): arrays[key] for p in plan.network.projections for key in kept}

    def _of_units(self) -> tuple[str, ...]:
        return ("x", "s", "telegraph") if self.plan.substrate.act_telegraph else ("x", "s")

    def _traced(self) -> list[str]:
        """Projections whose eligibilities outlive a run."""
        lasts = self.plan.delays and self.plan.waits
        return [p.name for p in self.plan.network.projections] * lasts

    def _eligibility(self, name: str, c: int) -> Floats:
        layout = self._layout
        if not layout.traces:  # where nothing waits
            return np.zeros(self.plan.network.shape(name), dtype=np.float32)
        return self._matrix(name, layout.arrays["eligibility"] + c * layout.traces)

    def _past_row(self, kind: str, ago: int) -> int:
        """First row of what was sent, or seen, so many turns ago."""
        layout = self._layout
        slots = layout.slots if kind == "sent" else layout.seen_slots
        lanes = layout.wide if kind == "seen" else self.plan.lanes
        return layout.rows[kind] + (self._times.turn - ago) % slots * lanes

    def state(self) -> dict[str, Any]:
        plan, layout, lanes = self.plan, self._layout, self.plan.lanes
        found: dict[str, Any] = {
            f"{p.name}.{variable}": self._rows(p.name, layout.rows[variable], lanes)
            for p in plan.network.populations
            for variable in self._of_units()
        }
        if any(key == "first" for _, key in self._remembered()):
            found["optimiser.updates"] = np.array([float(self._times.updates)])
        for (name, key), start in self._remembered().items():
            found[f"{name}.{key}"] = self._matrix(name, start)
        for name in self._traced():
            traces = [self._eligibility(name, c) for c in range(layout.pairs)]
            found[f"{name}.eligibility"] = np.stack(traces)
        for p in plan.network.populations:
            found |= self._past(p.name)
        return found | self._line() | self.ages()

    def _past(self, name: str) -> dict[str, Any]:
        """What a population sent before, as far as it is remembered."""
        plan, layout, found = self.plan, self._layout, {}
        if plan.shows:
            turns = [
                self._rows(name, self._past_row("seen", ago), plan.lanes)
                for ago in range(plan.remembered)
            ]
            found[f"{name}.readings"] = np.stack(turns)
        if plan.chip.loses:
            before = self._rows(name, self._past_row("sent", 1), plan.lanes)
            every, t = plan.options.resync_every, self._times.turn - self._times.base - 1
            if every and t % every == 0:  # devices look where a lane's input comes from instead
                before = np.tile(before[: plan.batch], (plan.passes, 1))
            found[f"{name}.before"] = before
        if plan.delays and name != plan.network.inputs.name:
            late = np.zeros((layout.delay, layout.pairs, plan.network.population(name).size))
            for i, slot in enumerate(self._times.latest_first()):
                if self._times.late[slot] is not None:
                    row = layout.rows["late"] + slot * layout.pairs
                    late[i] = self._rows(name, row, layout.pairs)
            found[f"{name}.late"] = late.astype(np.float32)
        return found

    def _line(self) -> dict[str, Any]:
        """What is on its way, and what is usual there."""
        plan, layout, found = self.plan, self._layout, {}
        n = len(plan.network.populations)
        if plan.compares and plan.chip.alters_rewards:
            found["line.count"] = np.array(self._times.counts, dtype=float)
            found["line.power"] = self._on_desk("line", 2 * layout.pairs).reshape(2, layout.pairs)
        if plan.delays:
            found |= self._times.state()
            slots, size = self._times.latest_first(), n * layout.pairs
            for key, where in (
                ("late.forming", "late_forming"),
                ("late.broadcast", "late_credited"),
            ):
                values = np.zeros((layout.delay, n, layout.pairs), dtype=np.float32)
                for i, slot in enumerate(slots):
                    if self._times.late[slot] is not None:
                        on_desk = self._on_desk(where, size, slot * size).reshape(n, -1)
                        values[i] = np.where(plan.taught, on_desk, 0)
                found[key] = values
        return found

    def set_state(self, state: dict[str, Any]) -> None:
        plan, layout = self.plan, self._layout
        if any(key == "first" for _, key in self._remembered()):
            self._times.updates = int(state["optimiser.updates"][0])
        for (name, key), start in self._remembered().items():
            self._set_matrix(name, state[f"{name}.{key}"], start)
        for p in plan.network.populations:
            for variable in self._of_units():
                self._set_rows(p.name, layout.rows[variable], state[f"{p.name}.{variable}"])
            for ago in range(layout.slots):
                self._set_rows(p.name, self._past_row("sent", ago), state[f"{p.name}.s"])
        for name in self._traced():
            for c, values in enumerate(state[f"{name}.eligibility"]):
                start = layout.arrays["eligibility"] + c * layout.traces
                self._set_matrix(name, values, start)
        self._set_line(state)
        for p in plan.network.populations:
            self._set_past(p.name, state)
        self.set_ages(state)

    def _set_past(self, name: str, state: dict[str, Any]) -> None:
        plan, layout, batch = self.plan, self._layout, self.plan.batch
        if plan.shows:
            for ago, readings in enumerate(state[f"{name}.readings"]):
                row = self._past_row("seen", ago)
                self._set_rows(name, row, readings)
                if plan.averages:
                    mean = 0.5 * (readings[:batch] + readings[batch : 2 * batch])
                    self._set_rows(name, row + plan.lanes, mean)
        if plan.chip.loses:
            self._set_rows(name, self._past_row("sent", 1), state[f"{name}.before"])
        if plan.delays and name != plan.network.inputs.name:
            for i, slot in enumerate(self._times.latest_first()):
                row = layout.rows["late"] + slot * layout.pairs
                self._set_rows(name, row, state[f"{name}.late"][i])

    def _set_line(self, state: dict[str, Any]) -> None:
        plan = self.plan
        if plan.compares and plan.chip.alters_rewards:
            self._times.counts = [int(count) for count in state["line.count"]]
            self._set_desks("line", state["line.power"])
        if plan.delays:
            self._times.set_state(state)
            slots = self._times.latest_first()
            for key, where in (
                ("late.forming", "late_forming"),
                ("late.broadcast", "late_credited"),
            ):
                values = np.zeros_like(state[key])
                values[slots] = state[key]
                self._set_desks(where, values)

    def observe(self, name: str, variable: str, pass_: int) -> NDArray[np.float32]:
        layout, batch = self._layout, self.plan.batch
        if variable in ("noise", "signal", "eligibility"):
            pass_ = self.plan.comparison_of(pass_)  # these have rows per comparison
        rows = range(pass_ * batch, (pass_ + 1) * batch)
        if variable == "eligibility":
            return np.stack([self._eligibility(name, c) for c in rows])
        if variable == "s_read":
            first = self._past_row("seen", 0)
        else:
            first = layout.rows[variable if variable in layout.rows else READINGS[variable]]
        return self._rows(name, first + rows.start, batch)

    def go_on_from(self, other: PhasedEngine) -> None:
        """Take over what another engine of the same plan has come to."""
        self._times = copy.deepcopy(other._times)
        self.set_state(other.state())

    # --------------------------------------------------------------------- time

    def begin(self, rest: bool) -> None:
        plan, layout, arrays = self.plan, self._layout, self._layout.arrays
        if not plan.delays:
            self._clear(arrays["eligibility"], layout.pairs * layout.traces)
            self._clear(arrays["owed"], layout.projected if plan.learns and plan.gathers else 0)
        self._set_desks("owed", np.zeros(layout.pairs))
        for p in plan.network.populations:
            signals = layout.rows["gain"] - layout.rows["signal"]
            self._set_rows(p.name, layout.rows["signal"], np.zeros((signals, p.size)))
            if rest:
                self._forget(p.name, p.size)
        if rest and plan.shows and plan.delays:
            self._times.pause(2)
        self._times.base = self._times.turn

    def _clear(self, start: int, count: int) -> None:
        if count:
            self._memory[start : start + count] = 0

    def _forget(self, name: str, size: int) -> None:
        """Nothing was sent before a sequence that begins at rest; what is owed is kept."""
        plan, layout = self.plan, self._layout
        nothing = np.zeros((plan.lanes, size))
        for variable in ("x", "s"):
            self._set_rows(name, layout.rows[variable], nothing)
        self._set_rows(name, layout.rows["sent"], np.zeros((layout.slots * plan.lanes, size)))
        if not plan.shows:
            return
        some = layout.seen_slots * layout.wide
        if not plan.delays:
            self._set_rows(name, layout.rows["seen"], np.zeros((some, size)))
            return
        for ago in (-1, -2):  # the two silent turns that are about to pass
            row = self._past_row("seen", ago)
            self._set_rows(name, row, np.zeros((layout.wide, size)))

    def advance(self, progress: Progress) -> None:
        if progress.start == progress.stop:
            return
        with ctrl_c_waits():
            brief = self._brief(progress)
            self._set_desks("failed", np.zeros(3))
            self._note(progress, brief, self._launch(brief.steps, brief.data))

    def _note(self, progress: Progress, brief: Brief, done: Floats) -> None:
        """Take down what a launch found.

        Raises
        ------
        DivergenceError
            If that were numbers that are not finite.
        """
        start, stop = progress.start, progress.stop
        some, count = slice(start, stop), stop - start
        progress.loss[some] = done[brief.places["loss"]].reshape(count, -1)
        shape = (len(progress.reward), count, -1)
        progress.reward[:, some] = done[brief.places["reward"]].reshape(shape)
        if len(progress.outputs):
            shape = (count, *progress.outputs.shape[1:])
            progress.outputs[some] = done[brief.places["outputs"]].reshape(shape)
        self._times.turn = self._times.base + stop
        self._times.note(progress, brief.steps[at.RUN_SIZE :].reshape(count, at.PER_STEP))
        failed, high, low = self._on_desk("failed", 3)
        if failed:
            raise self.divergence(progress, 4096 * int(high) + int(low))

    def _brief(self, progress: Progress) -> Brief:
        """What a launch is told, and where in its data it puts what it is asked for."""
        steps, changes = self._times.steps(progress)
        start, stop, layout = progress.start, progress.stop, self._layout
        count, batch = stop - start, self.plan.batch
        n_rewards, wants = len(progress.reward), len(progress.outputs) > 0
        per_step = {
            "inputs": progress.inputs[start:stop].ravel(),
            "targets": progress.targets[start:stop].ravel(),
            "changes": changes.ravel(),
            "loss": np.zeros(count * batch, dtype=np.float32),
            "outputs": np.zeros(count * batch * progress.targets.shape[2] * wants, np.float32),
            "reward": np.zeros(n_rewards * count * batch, dtype=np.float32),
        }
        places, size = {}, 0
        for name, values in per_step.items():
            places[name] = slice(size, size + values.size)
            size += values.size
        data = np.concatenate(list(per_step.values()))
        header = np.zeros(at.RUN_SIZE, dtype=np.uint32)

        def from_zero(name: str, each: int) -> int:
            """Where a step 0 would lie, modulo what can be counted."""
            return (places[name].start - start * each) % 2**32

        entries = {
            at.SEED: self.plan.seed,
            at.CLOCK: progress.clock,
            at.START: start,
            at.STOP: stop,
            at.TURN: self._times.base + 1,
            at.LEARN: progress.learn and self.plan.learns,
            at.LISTEN: progress.learn and self.plan.decorrelation is not None,
            at.N_INPUTS: progress.inputs.shape[2],
            at.N_OUTPUTS: progress.targets.shape[2],
            at.DATA_INPUTS: from_zero("inputs", batch * progress.inputs.shape[2]),
            at.DATA_TARGETS: from_zero("targets", batch * progress.targets.shape[2]),
            at.DATA_LOSS: from_zero("loss", batch),
            at.DATA_REWARD: from_zero("reward", batch),
            at.DATA_OUTPUTS: from_zero("outputs", batch * progress.targets.shape[2]),
            at.DATA_CHANGES: from_zero("changes", changes.shape[1]),
            at.WANTS_OUTPUTS: wants,
            at.LENGTH: count,
            at.POPULATION_VALUES: layout.population_values,
            at.MATRIX_VALUES: layout.matrix_values,
            at.TIMES: (at.RUN_SIZE - start * at.PER_STEP) % 2**32,
        }
        for entry, value in entries.items():
            header[entry] = int(value)
        return Brief(np.concatenate([header, steps.ravel()]), data, places)

    @property
    def nbytes(self) -> int:
        return int(self._memory.nbytes)

    def finish(self) -> None:
        """Nothing is ever left over: a launch ends when every change is written."""
