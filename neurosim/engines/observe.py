"""What hardware makes of activities: disturbed, read by rules, and sent."""

from __future__ import annotations

import math

import numpy as np

from neurosim.engines.compile import compiled, invoke, loop
from neurosim.engines.devices import HALF, ONE, PLANE, ZERO, of_turn, on_grid
from neurosim.engines.memory import Scratch
from neurosim.substrate.mismatch import mismatched as _mismatched
from neurosim.substrate.process_noise import OCTAVES
from neurosim.substrate.process_noise import act_flicker as _act_flicker
from neurosim.substrate.process_noise import act_noise as _act_noise
from neurosim.substrate.process_noise import act_telegraph as _act_telegraph
from neurosim.substrate.process_noise import slow as _slow
from neurosim.substrate.process_noise import telegraph_state as _telegraph_state
from neurosim.substrate.reading import act_read as _act_read

DRAWN, NOISY, OTHER = Scratch.DRAWN, Scratch.NOISY, Scratch.OTHER
MOST = 4 * PLANE  # numbers that are drawn at once
SHARE = np.float32(1.0 / math.sqrt(OCTAVES))

mismatched, act_read = compiled(_mismatched), compiled(_act_read)
act_noise, act_telegraph, act_flicker = (
    compiled(_act_noise),
    compiled(_act_telegraph),
    compiled(_act_flicker),
)
slow, telegraph_state = compiled(_slow), compiled(_telegraph_state)


@loop
def disturb(system, p, first, stop, words, scratch, clock):
    """Make of sums what the pre-activations of some units are on this chip, in all lanes."""
    chip, memory = system.chip, system.memory
    for begin in range(first, stop, MOST):
        n, start = min(stop - begin, MOST), system.populations.start[p] + begin
        for lane in range(memory.a.shape[0]):
            a, drawn = memory.a[lane, start : start + n], scratch[NOISY]
            if chip.mismatches:
                gain, offset = memory.gain[start : start + n], memory.offset[start : start + n]
                for i in range(n):
                    a[i] = mismatched(a[i], gain[i], offset[i])
            if chip.act_noise > 0:
                stream = chip.act_noise_stream[p]
                row_of_normals(system, scratch, words, stream, clock, 0, lane, begin, n)
                for i in range(n):
                    a[i] = act_noise(a[i], chip.act_noise, drawn[i])
            if chip.telegraph > 0:
                switch(system, p, words, scratch[NOISY], clock, lane, start, begin, n)
                states = memory.telegraph[lane, start : start + n]
                for i in range(n):
                    a[i] = act_telegraph(a[i], chip.telegraph, states[i])
            if chip.flicker > 0:
                total = scratch[OTHER, :n]
                for i in range(n):
                    total[i] = ZERO
                for octave in range(OCTAVES):
                    stream, then = chip.flicker_stream[p], slow(clock, octave)
                    row_of_normals(system, scratch, words, stream, then, octave, lane, begin, n)
                    for i in range(n):
                        total[i] += drawn[i]
                for i in range(n):
                    a[i] = act_flicker(a[i], chip.flicker, SHARE, total[i])


@loop
def row_of_normals(system, scratch, words, stream, clock, octave, lane, first, n):
    """Draw a normal number for every unit from `first` on, in one lane, into a row of scratch."""
    batch = system.passes.batch
    row = (octave << 16) * batch + lane
    invoke(
        system.kernels.fill_normal,
        (
            scratch[NOISY], 0, 0, n, row, row + 1, batch, ONE, words, scratch[DRAWN], PLANE,
            system.passes.seed, stream, clock, first,
        ),
    )  # fmt: skip


@loop
def switch(system, p, words, drawn, clock, lane, start, first, n):
    """Let fluctuators change their states."""
    chip, memory, batch = system.chip, system.memory, system.passes.batch
    given = (
        drawn, n, words, system.passes.seed, chip.telegraph_stream[p], clock, lane // batch,
        lane % batch, first,
    )  # fmt: skip
    invoke(system.kernels.fill_uniform, given)
    states = memory.telegraph[lane, start : start + n]
    for i in range(n):
        states[i] = telegraph_state(states[i], drawn[i], chip.switches)


@loop
def look(system, scratch, words, stream, values, there, start, first, stop, lanes, clock):
    """Show rules what they read of some units' activity."""
    chip = system.chip
    for begin in range(first, stop, MOST):
        n, at = min(stop - begin, MOST), start + begin
        for lane in range(lanes):
            if chip.read_noise > 0:
                row_of_normals(system, scratch, words, stream, clock, 0, lane, begin, n)
            else:
                for i in range(n):
                    scratch[NOISY, i] = ZERO
            here, seen, drawn = values[lane, at : at + n], there[lane, at : at + n], scratch[NOISY]
            for i in range(n):
                seen[i] = act_read(
                    here[i], chip.read_noise, drawn[i], chip.read_limit, chip.read_spacing
                )


@loop
def show(system, scratch, words, p, first, stop, clock):
    """Turn what some units send into what an event carries, and show it to rules."""
    chip, populations, memory = system.chip, system.populations, system.memory
    start = populations.start[p]
    if chip.coarse[p]:
        for lane in range(memory.s.shape[0]):
            for i in range(start + first, start + stop):
                memory.s[lane, i] = on_grid(
                    memory.s[lane, i], chip.event_limit, chip.event_spacing, HALF
                )
    if chip.observes:
        look(
            system, scratch, words, chip.sent_read_stream[p], memory.s, memory.read_s, start,
            first, stop, shown_lanes(system), clock,
        )  # fmt: skip


@loop
def shown_lanes(system):
    """Lanes in which synapses read what is sent."""
    return (2 if system.chip.both else 1) * system.passes.batch


@loop
def keep_readings(system, start, stop):
    """Remember what rules read of what some units send."""
    chip, memory, batch = system.chip, system.memory, system.passes.batch
    seen = memory.seen[of_turn(memory.seen, memory, 0)]
    for i in range(start, stop):
        for lane in range(shown_lanes(system)):
            seen[i, lane] = memory.read_s[lane, i]
        if chip.mean_lane:
            for b in range(batch):
                seen[i, chip.mean_lane + b] = mean_read(system, seen, i, b)


@loop
def mean_read(system, seen, unit, b):
    """What rules read of what a unit sent in a replica; of both passes, the mean."""
    chip, batch = system.chip, system.passes.batch
    if chip.both:
        return HALF * (seen[unit, b] + seen[unit, batch + b])
    return seen[unit, b]
