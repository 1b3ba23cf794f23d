"""The oracle's chip: what hardware does to each object, by the substrate's scalar functions."""

from __future__ import annotations

import math
from typing import Any

from neurosim import noise
from neurosim.engines.cells import DecorrelatingSynapse, Neuron, Synapse, stored
from neurosim.engines.plan import Plan
from neurosim.substrate.ageing import aged
from neurosim.substrate.device import step_made, weight_written
from neurosim.substrate.events import arrives_later, arrives_now
from neurosim.substrate.grid import on_grid
from neurosim.substrate.mismatch import mismatched, own_tau
from neurosim.substrate.process_noise import (
    OCTAVES,
    act_flicker,
    act_noise,
    act_telegraph,
    slow,
    telegraph_state,
)
from neurosim.substrate.reading import act_read
from neurosim.substrate.reward_line import line_power, reward_received
from neurosim.substrate.weight_reading import w_read_noise


class Hardware:
    """What happens to neurons, synapses and rewards, and when it is drawn."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.chip, self.given = plan, plan.chip, plan.substrate
        self._power: dict[tuple[int, int, int], float] = {}
        self._count = [0, 0]

    def draw(
        self, use: int, name: str, step: int, pass_: int, replica: int, index: int, normal: bool
    ) -> float:
        """One draw, standard normal or uniform in (0, 1]."""
        function = noise.normal if normal else noise.uniform
        stream = self.plan.stream(use, name)
        return float(function(self.plan.key(use), stream, step, pass_, replica, index))

    def _frozen(self, use: int, name: str, index: int, normal: bool = True) -> float:
        return self.draw(use, name, 0, 0, 0, index, normal)

    # ---------------------------------------------------------------- neurons

    def make_neuron(self, neuron: Neuron, population: Any) -> None:
        """Give a neuron what it alone has."""
        s, name, i = self.given, population.name, neuron.index
        if self.chip.mismatches:
            neuron.gain = 1.0 + s.mismatch_gain * self._frozen(noise.MISMATCH_GAIN, name, i)
            neuron.offset = s.mismatch_offset * self._frozen(noise.MISMATCH_OFFSET, name, i)
        if population.neuron is not None:
            tau, draw = getattr(population.neuron, "tau", 1.0), noise.MISMATCH_TAU
            neuron.leak = 1.0 / own_tau(tau, s.mismatch_tau, self._frozen(draw, name, i))
        for lane in range(self.plan.lanes if s.act_telegraph > 0 else 0):
            pass_, b = divmod(lane, self.plan.batch)
            up = self.draw(noise.TELEGRAPH_START, name, 0, pass_, b, i, False) <= 0.5
            neuron.telegraph[lane] = 1.0 if up else -1.0

    def disturb(self, neuron: Neuron, population: str, lane: int, clock: int) -> None:
        """Make of a neuron's summed input what its pre-activation is on this chip."""
        s, (pass_, b) = self.given, divmod(lane, self.plan.batch)
        where = (pass_, b, neuron.index)
        a = neuron.a[lane]
        if self.chip.mismatches:
            a = mismatched(a, neuron.gain, neuron.offset)
        if s.act_noise > 0:
            drawn = self.draw(noise.ACT_NOISE, population, clock, *where, True)
            a = act_noise(a, s.act_noise, drawn)
        if s.act_telegraph > 0:
            drawn = self.draw(noise.TELEGRAPH, population, clock, *where, False)
            state = telegraph_state(neuron.telegraph[lane], drawn, self.chip.switches)
            neuron.telegraph[lane] = state
            a = act_telegraph(a, s.act_telegraph, state)
        if s.act_flicker > 0:
            total = 0.0
            for octave in range(OCTAVES):
                at = (slow(clock, octave), pass_ + (octave << 16), b, neuron.index)
                total += self.draw(noise.FLICKER, population, *at, True)
            a = act_flicker(a, s.act_flicker, 1.0 / math.sqrt(OCTAVES), total)
        neuron.a[lane] = a

    def read(self, use: int, value: float, population: str, i: int, lane: int, clock: int) -> float:
        """What a rule is shown of an activity."""
        if not self.chip.observes:
            return value
        pass_, b = divmod(lane, self.plan.batch)
        drawn = self.draw(use, population, clock, pass_, b, i, True)
        sigma, limit = self.given.act_read_noise, self.chip.read_limit
        return act_read(value, sigma, drawn, limit, self.chip.read_spacing)

    def payload(self, value: float, population: str) -> float:
        """What an event carries of what a neuron sends."""
        if not (self.chip.coarse and self.chip.sends(population)):
            return value
        return on_grid(value, self.chip.event_limit, self.chip.event_spacing, 0.5)

    # --------------------------------------------------------------- synapses

    def make_synapse(self, synapse: Synapse | DecorrelatingSynapse, matrix: str) -> None:
        """Give a device what it alone has."""
        s, i = self.given, synapse.index
        if s.d2d > 0:
            synapse.response = self._frozen(noise.D2D, matrix, i)
        if s.stuck_fraction > 0:
            synapse.stuck = self._frozen(noise.STUCK, matrix, i, False) <= s.stuck_fraction
        if self.chip.drifts:
            low, high = self.chip.drift
            synapse.nu = low + (high - low) * self._frozen(noise.DRIFT, matrix, i, False)

    def program(self, synapse: Synapse | DecorrelatingSynapse, matrix: str, weight: float) -> None:
        """Store a weight that the user wants."""
        device = self.chip.devices[matrix]
        if synapse.stuck:
            weight = synapse.weight if math.isnan(device.stuck_at) else device.stuck_at
        synapse.weight = stored(on_grid(weight, device.limit, device.spacing, 0.5))
        synapse.age = 0.0

    def write(
        self, synapse: Synapse | DecorrelatingSynapse, matrix: str, wanted: float, clock: int
    ) -> None:
        """Change a device by what is wanted, as far as it lets itself be changed."""
        if synapse.stuck:
            return
        before = synapse.weight
        if self.chip.programs:
            synapse.weight = stored(self._written(synapse, matrix, wanted, clock))
        else:
            synapse.weight = stored(before + wanted)
        if synapse.weight != before:
            synapse.age = 0.0

    def _written(
        self, synapse: Synapse | DecorrelatingSynapse, matrix: str, wanted: float, clock: int
    ) -> float:
        """What a device that is not perfect makes of a wanted change."""
        s, device = self.given, self.chip.devices[matrix]
        step = step_made(
            wanted,
            synapse.weight,
            device.smallest,
            self._threshold(noise.PULSES, matrix, synapse.index, clock),
            s.asymmetry,
            s.d2d,
            synapse.response,
            s.c2c,
            self.draw(noise.C2C, matrix, clock, 0, 0, synapse.index, True),
            s.soft_bounds,
            device.full_scale,
        )
        return weight_written(
            synapse.weight,
            step,
            device.write_noise,
            self.draw(noise.W_WRITE, matrix, clock, 0, 0, synapse.index, True),
            device.limit,
            device.spacing,
            self._threshold(noise.ROUNDING, matrix, synapse.index, clock),
        )

    def _threshold(self, use: int, matrix: str, index: int, clock: int) -> float:
        """From where on a number is rounded up."""
        if self.given.rounding == "nearest":
            return 0.5
        index = 0 if self.given.rounding == "stochastic_shared" else index
        return 1.0 - self.draw(use, matrix, clock, 0, 0, index, False)

    def age(self, synapse: Synapse | DecorrelatingSynapse, matrix: str, clock: int) -> None:
        """Let a step go by for a device."""
        synapse.age += 1.0
        if synapse.stuck or not self.chip.ages:
            return
        device = self.chip.devices[matrix]
        drawn = 0.0
        if device.diffusion > 0:
            drawn = self.draw(noise.DIFFUSION, matrix, clock, 0, 0, synapse.index, True)
        weight = aged(
            synapse.weight,
            synapse.age,
            synapse.nu,
            self.chip.keep,
            device.diffusion,
            drawn,
            device.limit,
        )
        synapse.weight = stored(weight)

    def arrived(
        self, matrix: str, index: int, lane: int, clock: int, sent: float, before: float
    ) -> float:
        """What arrives in a step of an event that was due in it, and of the one before."""
        if not self.chip.loses:
            return sent
        total = 0.0
        for when, payload, function in (
            (clock, sent, arrives_now),
            (clock - 1, before, arrives_later),
        ):
            pass_, b = divmod(lane, self.plan.batch)
            lost, late = (
                self.draw(use, matrix, when, pass_, b, index, False)
                for use in (noise.EVENT_LOSS, noise.EVENT_JITTER)
            )
            if function(lost, self.given.event_loss, late, self.given.event_jitter):
                total += payload
        return total

    def read_weights(
        self, matrix: str, lane: int, clock: int, i: int, power: float, through: float
    ) -> float:
        """Noise of the weights in one neuron's sum.

        Parameters
        ----------
        matrix : str
        lane, clock : int
        i : int
            The neuron.
        power : float
            Sum of squares of what arrived.
        through : float
            Sum of squares of what weights made of it.
        """
        total, device, (pass_, b) = 0.0, self.chip.devices[matrix], divmod(lane, self.plan.batch)
        if device.read_noise > 0:
            drawn = self.draw(noise.W_READ, matrix, clock, pass_, b, i, True)
            total = w_read_noise(total, device.read_noise, power, drawn)
        if self.given.w_read_relative > 0:
            drawn = self.draw(noise.W_READ_RELATIVE, matrix, clock, pass_, b, i, True)
            total = w_read_noise(total, self.given.w_read_relative, through, drawn)
        return total

    # ------------------------------------------------------------- reward line

    def received(
        self, about: int, differences: dict[tuple[int, int], float], clock: int
    ) -> dict[tuple[int, int], float]:
        """What arrives of the broadcast of a loss difference, per comparison and replica."""
        if not self.chip.alters_rewards:
            return differences
        self._count[about] += 1
        found = {}
        for (k, b), value in differences.items():
            who = 0 if self.plan.options.reward_scope == "batch" else b
            power = self._power.get((about, k, b), 0.0)
            power = stored(line_power(power, value, float(self._count[about])))
            self._power[about, k, b] = power
            drawn = noise.normal(self.plan.seed, noise.REWARD_NOISE + about, clock, k, who, 0)
            lost = noise.uniform(self.plan.seed, noise.REWARD_LOSS + about, clock, k, who, 0)
            found[k, b] = reward_received(
                value,
                math.sqrt(power),
                self.given.reward_noise,
                float(drawn),
                self.chip.reward_limit,
                self.chip.reward_spacing,
                float(lost),
                self.given.reward_loss,
            )
        return found

    def line(self) -> tuple[list[int], list[list[float]]]:
        """How many broadcasts there were, and their power."""
        pairs = [(k, b) for k in range(len(self.plan.comparisons)) for b in range(self.plan.batch)]
        powers = [[self._power.get((about, *pair), 0.0) for pair in pairs] for about in (0, 1)]
        return self._count, powers

    def set_line(self, count: Any, powers: Any) -> None:
        """Overwrite what `line` gives."""
        self._count = [int(n) for n in count]
        for about, values in enumerate(powers):
            for c, value in enumerate(values):
                self._power[about, c // self.plan.batch, c % self.plan.batch] = float(value)
