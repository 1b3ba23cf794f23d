"""How weights change: row by row, when a step visits them."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.engines.compile import loop
from neurosim.engines.phases import fill, weight_index
from neurosim.engines.plan import LOCAL, RETURN_TO_GO
from neurosim.engines.tables import Due
from neurosim.engines.tiles import (
    REPLICAS,
    ROWS,
    add_products,
    make_absorb,
    make_absorb_outlets,
    send_back,
)

DECORRELATION, OVER, WRITE, CLOCK = Due.DECORRELATION, Due.OVER, Due.WRITE, Due.CLOCK
ZERO = np.float32(0)


def make_adapt_row(synapse: Any) -> Any:
    """Make the changes that the last step called for in one row of a projection."""
    absorb_many, absorb_one = make_absorb(synapse, REPLICAS), make_absorb(synapse, 1)

    @loop
    def adapt_row(passes, populations, projections, memory, q, i):
        if not projections.rate[q] > 0:
            return
        pre, post, batch = projections.pre[q], projections.post[q], passes.batch
        n, seen = populations.size[pre], projections.seen[q]
        at = projections.start[q] + i * projections.stride[q]
        row = memory.weights[at : at + n]
        change, drawn = memory.scratch[0, :n], memory.scratch[3]  # drawn: 0 if nothing is
        over, write = memory.due[OVER], memory.due[WRITE]
        credit, neuron = populations.credit[post], populations.start[post] + i
        pairs = memory.signal.shape[0]
        for j in range(n):
            change[j] = ZERO
        for k in range(pairs // batch):
            if projections.perturbed[q]:
                stream, first = projections.noise_stream[q], weight_index(i, 0, n)
                clock = memory.due[CLOCK]
                fill(drawn, n, passes.distribution, passes.seed, stream, clock, k, 0, first)
                for j in range(n):
                    drawn[j] *= passes.noise_gain * passes.noise_std
            if credit == LOCAL:
                forming, c, b = memory.forming[post], k * batch, 0
                while b + REPLICAS <= batch:
                    absorb_many(
                        change, memory.pre, seen, b, drawn, memory.signal, forming, c + b, neuron
                    )
                    b += REPLICAS
                while b < batch:
                    absorb_one(
                        change, memory.pre, seen, b, drawn, memory.signal, forming, c + b, neuron
                    )
                    b += 1
                continue
            for b in range(batch):
                c = k * batch + b
                sent = memory.pre[b, seen : seen + n]
                signal, forming = memory.signal[c, neuron], memory.forming[post, c]
                eligibility = memory.eligibility[c, at : at + n]
                for j in range(n):
                    eligibility[j] += synapse(sent[j], signal, drawn[j], forming)
                if credit == RETURN_TO_GO or over:
                    credited = memory.credited[post, c]
                    for j in range(n):
                        change[j] += credited * eligibility[j]
                if over:
                    for j in range(n):
                        eligibility[j] = ZERO
        scale = projections.rate[q] / np.float32(pairs)
        if passes.schedule == 0:
            for j in range(n):
                row[j] -= scale * change[j]
        else:
            owed = memory.owed[at : at + n]
            for j in range(n):
                owed[j] += change[j]
            if write:
                for j in range(n):
                    row[j] -= scale * owed[j]
                    owed[j] = ZERO

    return adapt_row


def make_decorrelate(decorrelating: Any) -> Any:
    """Visit the rows of D: change each, sum what it lets through, and what it sends back."""
    absorb_many = make_absorb_outlets(decorrelating, REPLICAS)
    absorb_one = make_absorb_outlets(decorrelating, 1)

    @loop
    def adapt_outlets(passes, populations, memory, p, i, sent):
        start, n, b = populations.start[p], populations.size[p], 0
        at = populations.decorrelation[p] + i * populations.stride[p]
        row, change = memory.weights[at : at + n], memory.scratch[0, :n]
        for k in range(n):
            change[k] = ZERO
        while b + REPLICAS <= passes.batch:
            absorb_many(change, row, sent, memory.heard, b, start, i)
            b += REPLICAS
        while b < passes.batch:
            absorb_one(change, row, sent, memory.heard, b, start, i)
            b += 1
        for k in range(n):
            row[k] -= populations.decorrelation_rate * change[k]

    @loop
    def decorrelate(passes, populations, memory, p, sent, lanes, listen):
        start, n, stride = populations.start[p], populations.size[p], populations.stride[p]
        if listen:
            for b in range(passes.batch):
                for k in range(start, start + n):
                    memory.retrograde[b, k] = ZERO
        for first in range(0, n, ROWS):
            rows = min(ROWS, n - first)
            at = populations.decorrelation[p] + first * stride
            if memory.due[DECORRELATION]:
                for i in range(first, first + rows):
                    adapt_outlets(passes, populations, memory, p, i, sent)
            for lane in range(lanes):
                for i in range(start + first, start + first + rows):
                    memory.s[lane, i] = ZERO
            add_products(
                memory.weights, at, stride, rows, memory.x, lanes, start, memory.s, start + first
            )
            if listen:
                for b in range(passes.batch):
                    back = memory.retrograde[b, start : start + n]
                    send_back(memory.weights, at, stride, rows, memory.s[b], start + first, back)

    return decorrelate
