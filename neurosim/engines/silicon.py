"""The cpu engine's chip between runs: what it is made with, what it stores, what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines.arrays import Floats
from neurosim.engines.compile import FAST, OUTER, compiled
from neurosim.engines.devices import ONE, ZERO, on_grid
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.memory import Due, Late, Memory
from neurosim.engines.plan import NEVER, Plan
from neurosim.engines.tables import Populations
from neurosim.engines.vectors import WIDTH
from neurosim.substrate.mismatch import own_tau

_normal, _uniform = compiled(noise.normal, exact=True), compiled(noise.uniform, exact=True)
_weight_index = compiled(noise.weight_index)


class Silicon:
    """What of a plan's chip is frozen, and what goes on from one run to the next."""

    def __init__(
        self,
        plan: Plan,
        memory: Memory,
        populations: Populations,
        panels: Callable[..., NDArray[np.float32]],
    ) -> None:
        self.plan, self._memory = plan, memory
        self._make_neurons(populations)
        if len(memory.stuck):
            for name in plan.network.matrices:
                self._make_devices(name, panels)
        self._panels = panels

    # ---------------------------------------------------------------- frozen

    def _drawn(self, use: int, name: str, n: int, pass_: int = 0, b: int = 0) -> Floats:
        """One number for each of `n` units: normal, or of a fluctuator's beginning uniform."""
        plan, out = self.plan, np.zeros(n, dtype=np.float32)
        normal = use != noise.TELEGRAPH_START
        draw_units(out, normal, plan.key(use), plan.stream(use, name), pass_, b)
        return out

    def _make_neurons(self, populations: Populations) -> None:
        plan, given, memory = self.plan, self.plan.substrate, self._memory
        memory.gain[...] = memory.leak[...] = 1
        for p, start in zip(plan.network.populations, populations.start, strict=True):
            units, tau = slice(start, start + p.size), getattr(p.neuron, "tau", 1.0)
            taus = np.full(p.size, tau)
            if given.mismatch_gain > 0:
                drawn = self._drawn(noise.MISMATCH_GAIN, p.name, p.size)
                memory.gain[units] = 1.0 + given.mismatch_gain * drawn
            if given.mismatch_offset > 0:
                drawn = self._drawn(noise.MISMATCH_OFFSET, p.name, p.size)
                memory.offset[units] = given.mismatch_offset * drawn
            if given.mismatch_tau > 0:
                drawn = self._drawn(noise.MISMATCH_TAU, p.name, p.size)
                taus[...] = [own_tau(tau, given.mismatch_tau, float(draw)) for draw in drawn]
            memory.leak[units] = 1.0 / taus
            memory.keep[units] = 1.0 - 1.0 / taus
            for lane in range(len(memory.telegraph)):
                drawn = self._drawn(
                    noise.TELEGRAPH_START, p.name, p.size, *divmod(lane, plan.batch)
                )
                memory.telegraph[lane, units] = np.where(drawn <= 0.5, 1, -1)

    def _make_devices(self, name: str, panels: Callable[..., NDArray[np.float32]]) -> None:
        plan, given, memory = self.plan, self.plan.substrate, self._memory
        n_post, n_pre = plan.network.shape(name)

        def drawn(use: int, values: Floats, normal: bool) -> NDArray[np.float32]:
            there = panels(name, values)
            draw_devices(there, normal, plan.key(use), plan.stream(use, name), n_post, n_pre)
            return there

        stuck = panels(name, memory.stuck)
        if given.stuck_fraction > 0:
            drawn(noise.STUCK, memory.stuck, False)
            stuck[...] = stuck <= given.stuck_fraction
        # Where there is no neuron there is nothing that could change.
        row, lane = np.arange(len(stuck))[:, None, None], np.arange(WIDTH)[None, None]
        stuck[np.broadcast_to(row * WIDTH + lane >= n_post, stuck.shape)] = 1
        if given.d2d > 0:
            drawn(noise.D2D, memory.response, True)
        if plan.chip.drifts:
            low, high = plan.chip.drift
            nu = drawn(noise.DRIFT, memory.nu, False)
            nu[...] = low + (high - low) * nu

    # ---------------------------------------------------------------- storing

    def store(self, name: str, before: NDArray[np.float32]) -> None:
        """Have devices store what lies in the weights, or keep what they stored `before`."""
        device, (n_post, n_pre) = self.plan.chip.devices[name], self.plan.network.shape(name)
        store(
            self._panels(name),
            self._panels(name, self._memory.stuck),
            before,
            np.float32(device.limit),
            np.float32(device.spacing),
            np.float32(device.stuck_at),
            n_post,
            n_pre,
        )
        if self.plan.chip.ages:
            self._panels(name, self._memory.age)[...] = 0

    # ------------------------------------------------------------------ state

    def forget(self) -> None:
        """Nothing was sent before a sequence that begins at rest; what is owed is kept."""
        memory = self._memory
        if not self.plan.shows:
            return
        if not self.plan.delays:
            memory.seen[...] = 0
            return
        for _ in range(2):
            memory.due[Due.TURN] += 1
            memory.seen[memory.due[Due.TURN] % len(memory.seen)] = 0

    def _turns(self) -> list[int]:
        """Places of what was read, the latest first."""
        now, n = int(self._memory.due[Due.TURN]), len(self._memory.seen)
        return [(now - ago) % n for ago in range(n)]

    def past(self, name: str, units: slice) -> dict[str, Any]:
        """What a population sent before, as far as it is remembered."""
        memory, found, lanes = self._memory, {}, self.plan.lanes
        if self.plan.shows:
            values = memory.seen[self._turns()][:, units, :lanes]
            found[f"{name}.readings"] = values.transpose(0, 2, 1).copy()
        if self.plan.chip.loses:
            place = (int(memory.due[Due.TURN]) - 1) % len(memory.sent)
            found[f"{name}.before"] = memory.sent[place, units].T.copy()
        if self.plan.delays and name != self.plan.network.inputs.name:
            order = self._lessons()
            found[f"{name}.late"] = memory.late_signal[order][:, :, units].copy()
            found[f"{name}.late"][memory.late_about[order, Late.VALID] == 0] = 0
        return found

    def set_past(self, name: str, units: slice, state: dict[str, Any]) -> None:
        """Overwrite what `past` gives."""
        memory, batch = self._memory, self.plan.batch
        if self.plan.shows:
            values = state[f"{name}.readings"].transpose(0, 2, 1)
            for place, readings in zip(self._turns(), values, strict=True):
                memory.seen[place, units, : self.plan.lanes] = readings
                if self.plan.averages:
                    mean = 0.5 * (readings[:, :batch] + readings[:, batch : 2 * batch])
                    memory.seen[place, units, self.plan.lanes :] = mean
        if self.plan.chip.loses:
            place = (int(memory.due[Due.TURN]) - 1) % len(memory.sent)
            memory.sent[place, units] = state[f"{name}.before"].T
        if self.plan.delays and name != self.plan.network.inputs.name:
            memory.late_signal[self._lessons(), :, units] = state[f"{name}.late"]

    def _lessons(self) -> list[int]:
        """Places of the lessons on their way, the latest first."""
        now, n = int(self._memory.due[Due.LATE]), self.plan.substrate.reward_delay
        return [(now - 1 - ago) % n for ago in range(n)]

    def line(self) -> dict[str, Any]:
        """What is on its way, and what is usual there."""
        memory, found = self._memory, {}
        if self.plan.compares and self.plan.chip.alters_rewards:
            found["line.count"] = memory.line_count.astype(float)
            found["line.power"] = memory.line_power.copy()
        if self.plan.delays:
            order = self._lessons()
            about = memory.late_about[order].astype(float)
            valid = about[:, Late.VALID] > 0
            about[:, Late.TURN] = int(memory.due[Due.TURN]) - about[:, Late.TURN]
            about[~valid] = 0
            found["late.about"] = about[:, : Late.SINCE]
            if self.plan.sets_back_means:
                found["late.since"] = about[:, Late.SINCE]
            for key, values in self._late().items():
                # What teaches nothing need not be finite.
                found[key] = np.where(valid[:, None, None] & self.plan.taught, values[order], 0)
        return found

    def _late(self) -> dict[str, Floats]:
        memory = self._memory
        return {"late.forming": memory.late_forming, "late.broadcast": memory.late_broadcast}

    def set_line(self, state: dict[str, Any]) -> None:
        """Overwrite what `line` gives."""
        memory = self._memory
        if self.plan.compares and self.plan.chip.alters_rewards:
            memory.line_count[...] = state["line.count"]
            memory.line_power[...] = state["line.power"]
        if self.plan.delays:
            order = self._lessons()
            about = np.zeros((len(order), Late.SIZE), dtype=np.int64)
            about[:, : Late.SINCE] = state["late.about"]
            about[:, Late.SINCE] = state.get("late.since", NEVER)
            about[:, Late.TURN] = int(memory.due[Due.TURN]) - about[:, Late.TURN]
            memory.late_about[order] = about
            for key, values in self._late().items():
                values[order] = state[key]


@njit(**OUTER, **FAST)
def draw_units(out, normal, seed, stream, pass_, replica):
    """Draw a number for every unit of a population."""
    for i in range(out.size):
        if normal:
            out[i] = _normal(seed, stream, 0, pass_, replica, i)
        else:
            out[i] = _uniform(seed, stream, 0, pass_, replica, i)


@njit(**OUTER, **FAST)
def draw_devices(panels, normal, seed, stream, n_post, n_pre):
    """Draw a number for every synapse of a matrix that lies in panels."""
    for panel in range(panels.shape[0]):
        for j in range(n_pre):
            for r in range(panels.shape[2]):
                post = panel * panels.shape[2] + r
                if post < n_post:
                    index = _weight_index(post, j, n_pre)
                    if normal:
                        panels[panel, j, r] = _normal(seed, stream, 0, 0, 0, index)
                    else:
                        panels[panel, j, r] = _uniform(seed, stream, 0, 0, 0, index)


@njit(**OUTER, **FAST)
def store(panels, stuck, before, limit, spacing, stuck_at, n_post, n_pre):
    """Store weights as well as devices can."""
    for panel in range(panels.shape[0]):
        for j in range(n_pre):
            for r in range(panels.shape[2]):
                post, weight = panel * panels.shape[2] + r, panels[panel, j, r]
                if post < n_post:
                    if stuck[panel, j, r] > ZERO:
                        weight = stuck_at if stuck_at == stuck_at else before[post, j]
                    panels[panel, j, r] = on_grid(weight, limit, spacing, ONE / (ONE + ONE))


for _function in (draw_units, draw_devices, store):
    _function._cache = DiskCache(_function.py_func.__name__, fingerprint([]))
