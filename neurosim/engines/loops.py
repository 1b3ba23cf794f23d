"""The compiled time loop: the phases of a step, for any rule and any neuron model.

integrate, fire (and decorrelate) population by population, then teach. A weight is
visited once per step: the change that step t called for is made at t + 1, just
before its row is used, which is the earliest anyone could notice.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from neurosim.engines.adapt import make_adapt_row, make_decorrelate
from neurosim.engines.compile import FAST, OUTER, loop
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.phases import (
    begin_step,
    count,
    disturb,
    inject,
    judge,
    measure,
    perturb_row,
    present,
    remember,
    report,
)
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO
from neurosim.engines.tables import Due
from neurosim.engines.tiles import ROWS, add_products

PROJECTIONS, DECORRELATION = Due.PROJECTIONS, Due.DECORRELATION
OVER, WRITE, CLOCK = Due.OVER, Due.WRITE, Due.CLOCK
ZERO, ONE = np.float32(0), np.float32(1)


@cache
def build(
    models: tuple[Any, ...],
    reward: Any,
    neuron: Any,
    synapse: Any,
    decorrelating: Any,
    fingerprint: str,
) -> Any:
    """Compile the loop around scalar functions, or find it on disk.

    Parameters
    ----------
    models, reward, neuron, synapse, decorrelating
        Compiled scalar functions, each taking all arguments that
        `neurosim.local` lists for it.
    fingerprint : str
        Of everything they were compiled from.

    Returns
    -------
    callable
        ``advance(passes, populations, projections, memory, inputs, targets, learn,
        adapt, clock, start, stop, settle, loss, rewards, outputs, events, operations,
        writes)`` runs steps, and with `settle` makes the changes that the last one
        called for. It returns the step at which a number was not finite, or -1.
    """
    act = make_act(make_fire(models), make_integrate(make_adapt_row(synapse)), decorrelating)
    teach = make_teach(reward, neuron)

    @njit(**OUTER, **FAST)
    def advance(
        passes, populations, projections, memory, inputs, targets, learn, adapt, clock,
        start, stop, settle, loss, rewards, outputs, events, operations, writes,
    ):  # fmt: skip
        last = len(inputs) - 1
        # To settle is to begin one more step and to stop once every row was visited,
        # so that a change is the same to the bit whenever it is made.
        for t in range(start, stop + settle):
            runs = t < stop
            if runs:
                begin_step(passes, memory, t)
                present(passes, populations, memory, inputs[t])
            for p in range(1, populations.size.size):
                act(passes, populations, projections, memory, p, clock + t, adapt, runs)
            memory.due[PROJECTIONS] = 0
            memory.due[DECORRELATION] = adapt and runs
            if not runs:
                break
            over = t == last or (passes.episode > 0 and (t + 1) % passes.episode == 0)
            write = passes.schedule == 0 or (passes.schedule == 1 and over) or t == last
            write = write and learn and passes.learns
            events[t], operations[t], writes[t] = count(
                passes, populations, projections, adapt, write
            )
            report(passes, populations, memory, adapt, outputs, t)
            if not judge(passes, populations, memory, targets[t], loss[t]):
                return t
            if learn and passes.learns:
                memory.due[PROJECTIONS] = 1
                memory.due[OVER] = over
                memory.due[WRITE] = write
                memory.due[CLOCK] = clock + t
                if not teach(passes, populations, memory, over, rewards[:, t]):
                    return t
                remember(passes, populations, projections, memory)
        return -1

    advance._cache = DiskCache("advance", fingerprint)
    return advance


def make_act(fire: Any, integrate: Any, decorrelating: Any) -> Any:
    """One population's part of a step; or, if the step does not run, of settling."""
    decorrelate = make_decorrelate(decorrelating)

    @loop
    def act(passes, populations, projections, memory, p, clock, adapt, runs):
        lanes = memory.s.shape[0] if runs else 0
        begin = populations.start[p]
        end = begin + populations.size[p]
        if runs:
            inject(passes, populations, memory, p, clock)
        for q in range(projections.post.size):
            if projections.post[q] == p:
                integrate(passes, populations, projections, memory, q, lanes, clock)
        if runs and passes.act_noise > 0:
            disturb(passes, populations, memory, p, clock)
        model, leak, keep = populations.model[p], populations.leak[p], populations.keep[p]
        for lane in range(lanes):
            fire(model, memory.a[lane, begin:end], memory.x[lane, begin:end], leak, keep)
        if populations.decorrelation[p] >= 0:
            sent = memory.before if runs else memory.s
            decorrelate(passes, populations, memory, p, sent, lanes, adapt and runs)
        else:
            for lane in range(lanes):
                for i in range(begin, end):
                    memory.s[lane, i] = memory.x[lane, i]

    return act


def make_fire(models: tuple[Any, ...]) -> Any:
    """Chain the loops of several neuron models; ``fire(model, ...)`` runs the one asked for."""
    activity = models[0]

    @loop
    def first(model, a, x, leak, keep):
        for i in range(a.size):
            x[i] = activity(a[i], x[i], leak, keep)

    if len(models) == 1:
        return first
    others = make_fire(models[1:])

    @loop
    def either(model, a, x, leak, keep):
        if model == 0:
            first(model, a, x, leak, keep)
        else:
            others(model - 1, a, x, leak, keep)

    return either


def make_integrate(adapt_row: Any) -> Any:
    """Visit the rows of a projection: change each, then sum what it lets through."""

    @loop
    def integrate(passes, populations, projections, memory, q, lanes, clock):
        pre, post = projections.pre[q], projections.post[q]
        n, stride = populations.size[pre], projections.stride[q]
        begin, target = populations.start[pre], populations.start[post]
        source = memory.before if projections.delay[q] else memory.s
        for first in range(0, populations.size[post], ROWS):
            rows = min(ROWS, populations.size[post] - first)
            at = projections.start[q] + first * stride
            if memory.due[PROJECTIONS]:
                for i in range(first, first + rows):
                    adapt_row(passes, populations, projections, memory, q, i)
            add_products(
                memory.weights, at, stride, rows, source, lanes, begin, memory.a, target + first
            )
            if projections.perturbed[q] and lanes > 0:
                stream = projections.noise_stream[q]
                for i in range(first, first + rows):
                    perturb_row(passes, stream, memory, source, begin, i, n, target + i, clock)

    return integrate


def make_teach(reward: Any, neuron: Any) -> Any:
    """Form the broadcast scalars and, neuron by neuron, the signals."""

    @loop
    def teach(passes, populations, memory, over, rewards):
        batch, pairs = passes.batch, memory.difference.size
        power = memory.scratch[2, :pairs]
        for c in range(pairs):
            memory.owed_reward[c] += memory.difference[c]
        for p in range(1, populations.size.size):
            if not populations.learns[p]:
                continue
            if not measure(passes, populations, memory, p, power):
                return False
            credit, factor = populations.credit[p], populations.factor[p]
            size, start = populations.size[p], populations.start[p]
            for b in range(batch):
                rewards[p - 1, b] = ZERO
            for c in range(pairs):
                k, b = c // batch, c % batch
                delta = factor * memory.difference[c] if credit == LOCAL else ONE
                forming = ZERO
                if power[c] > 0 or not passes.measures_power:
                    forming = reward(delta, power[c], np.float32(size), passes.variance)
                memory.forming[p, c] = forming
                broadcast = forming
                if credit == RETURN_TO_GO:
                    broadcast = factor * memory.difference[c]
                elif credit == GLOBAL:
                    broadcast = factor * memory.owed_reward[c] if over else ZERO
                memory.credited[p, c] = broadcast
                rewards[p - 1, b] += broadcast / np.float32(passes.perturbed.size)
                reference = memory.a[passes.reference[k] * batch + b, start : start + size]
                perturbed = memory.a[passes.perturbed[k] * batch + b, start : start + size]
                drawn = memory.noise[c, start : start + size]
                signal = memory.signal[c, start : start + size]
                for i in range(size):
                    signal[i] = neuron(
                        reference[i], perturbed[i], passes.noise_gain * drawn[i], forming
                    )
        if over:
            for c in range(pairs):
                memory.owed_reward[c] = ZERO
        return True

    return teach
