"""Kernels of the hardware under weights: devices that are written and age, events that arrive."""

from __future__ import annotations

import numpy as np

from neurosim.engines.compile import compiled
from neurosim.engines.unrolled import zero_rows
from neurosim.engines.vectors import WIDTH, get, load, store, widely
from neurosim.substrate.ageing import aged as _aged
from neurosim.substrate.device import step_made as _step_made
from neurosim.substrate.device import weight_written as _weight_written
from neurosim.substrate.events import arrives_later as _arrives_later
from neurosim.substrate.events import arrives_now as _arrives_now

ZERO, ONE = np.float32(0), np.float32(1)

aged, step_made, weight_written = compiled(_aged), compiled(_step_made), compiled(_weight_written)
arrives_now, arrives_later = compiled(_arrives_now), compiled(_arrives_later)


def program(
    weights, here, n, wanted, response, stuck, pulses, cycle, written, rounded, plane, ages,
    age, smallest, asymmetry, d2d, c2c, softness, full_scale, noise, limit, spacing,
) -> None:  # fmt: skip
    """Make what changes are wanted of `n` columns of a panel, as far as devices let it."""
    widely()
    for j in range(n):
        drawn = (j & 3) * plane + (j >> 2) * WIDTH
        for r in range(WIDTH):
            i, d = here + j * WIDTH + r, drawn + r
            if stuck[i] > ZERO:
                continue
            step = np.float32(
                step_made(
                    wanted[j * WIDTH + r], weights[i], smallest, ONE - pulses[d], asymmetry,
                    d2d, response[i], c2c, cycle[d], softness, full_scale,
                )
            )  # fmt: skip
            before = weights[i]
            weights[i] = weight_written(
                before, step, noise, written[d], limit, spacing, ONE - rounded[d]
            )
            if ages and weights[i] != before:
                age[i] = ZERO


def grow_old(weights, here, n, age, nu, stuck, keep, diffusion, limit, drawn, plane) -> None:
    """Let a step go by for `n` columns of a panel."""
    widely()
    for j in range(n):
        d = (j & 3) * plane + (j >> 2) * WIDTH
        for r in range(WIDTH):
            i = here + j * WIDTH + r
            age[i] += ONE
            weight = aged(weights[i], age[i], nu[i], keep, diffusion, drawn[d + r], limit)
            weights[i] = weights[i] if stuck[i] > ZERO else weight


def arrive(
    out, n, sent, at, earlier, since, before, wide, lost, late, lost_before, late_before, plane,
    loss, jitter,
) -> None:  # fmt: skip
    """What arrives at `n` columns of a panel, of what was sent now and one step before.

    Column by column as draws lie, so that the loop over synapses is a long one.
    """
    widely()
    nothing = zero_rows()[0]
    for j in range(n):
        place = (j & 3) * plane + (j >> 2) * WIDTH
        store(out, place, nothing + get(sent, at + j * wide))
        if jitter > ZERO:
            store(before, place, nothing + get(earlier, since + j * wide))
    for k in range(4):
        first = k * plane
        stop = first + ((n + 3 - k) >> 2) * WIDTH
        if jitter > ZERO:
            for i in range(first, stop):
                own = arrives_now(lost[i], loss, late[i], jitter)
                other = arrives_later(lost_before[i], loss, late_before[i], jitter)
                out[i] = (out[i] if own else ZERO) + (before[i] if other else ZERO)
        else:
            for i in range(first, stop):
                out[i] = out[i] if arrives_now(lost[i], loss, late[i], jitter) else ZERO


def deliver(noisy, here, weights, there, n, arrived, plane, sums, at, power) -> None:
    """Sum what a panel makes of what arrived, and the powers of both."""
    total, met, through = load(sums, at), load(power, 0), load(power, WIDTH)
    for j in range(n):
        value = load(arrived, (j & 3) * plane + (j >> 2) * WIDTH)
        passed = load(weights, there + j * WIDTH) * value
        total = total + load(noisy, here + j * WIDTH) * value
        met = met + value * value
        through = through + passed * passed
    store(sums, at, total)
    store(power, 0, met)
    store(power, WIDTH, through)


def squares(weights, at, n, sent, of, wide, power) -> None:
    """Power of what met a panel, and of what it made of that."""
    met, through = load(power, 0), load(power, WIDTH)
    for j in range(n):
        value = sent[of + j * wide]
        passed = load(weights, at + j * WIDTH) * value
        met = met + value * value
        through = through + passed * passed
    store(power, 0, met)
    store(power, WIDTH, through)
