"""Loops unrolled over rows, lanes or replicas, each kind generated from one template.

Unrolled by hand they would be unreadable; left to a compiler they are not unrolled, and
every number would be fetched from memory once per use instead of once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosim.engines.compile import loop

ZERO, ONE = np.float32(0), np.float32(1)
ROWS = 4  # rows of a full tile
REPLICAS = 5  # replicas whose changes are summed at once


def _define(name: str, lines: Sequence[str], known: dict[str, Any]) -> Any:
    scope = {"ZERO": ZERO, **known}
    exec("\n".join(lines), scope)
    return loop(scope[name])


def make_tile(rows: int, lanes: int) -> Any:
    """Sums of products of `rows` rows of weights with `lanes` lanes, all kept in registers."""
    r, k = range(rows), range(lanes)
    lines = ["def tile(weights, at, stride, source, lane, begin, out, target):"]
    lines += [f"    w{i} = weights[at + {i} * stride : at + {i + 1} * stride]" for i in r]
    lines += [f"    s{m} = source[lane + {m}, begin : begin + stride]" for m in k]
    lines += [f"    t{i}_{m} = ZERO" for i in r for m in k]
    lines += ["    for j in range(stride):"]
    lines += [f"        v{i} = w{i}[j]" for i in r]
    for m in k:
        lines += [f"        x = s{m}[j]"]
        lines += [f"        t{i}_{m} += v{i} * x" for i in r]
    lines += [f"    out[lane + {m}, target + {i}] += t{i}_{m}" for i in r for m in k]
    return _define("tile", lines, {})


def make_absorb(synapse: Any, replicas: int) -> Any:
    """Sum what a row of synapses changes by, over `replicas` replicas of one comparison."""
    r = range(replicas)
    lines = ["def absorb(change, pre, seen, b, drawn, signal, forming, c, neuron):"]
    lines += ["    n = change.size"]
    lines += [f"    s{k} = pre[b + {k}, seen : seen + n]" for k in r]
    lines += [f"    g{k} = signal[c + {k}, neuron]" for k in r]
    lines += [f"    f{k} = forming[c + {k}]" for k in r]
    lines += ["    for j in range(n):"]
    terms = [f"synapse(s{k}[j], g{k}, drawn[j], f{k})" for k in r]
    lines += [f"        change[j] += {' + '.join(terms)}"]
    return _define("absorb", lines, {"synapse": synapse})


def make_absorb_outlets(synapse: Any, replicas: int) -> Any:
    """Sum what a row of decorrelating synapses changes by, over `replicas` replicas."""
    r = range(replicas)
    lines = ["def absorb(change, row, sent, heard, b, start, i):"]
    lines += ["    n = change.size"]
    lines += [f"    p{k} = sent[b + {k}, start + i]" for k in r]
    lines += [f"    s{k} = sent[b + {k}, start : start + n]" for k in r]
    lines += [f"    h{k} = heard[b + {k}, start : start + n]" for k in r]
    lines += ["    for j in range(n):"]
    lines += ["        different = ZERO if j == i else ONE"]
    terms = [f"synapse(p{k}, s{k}[j], row[j], h{k}[j], different)" for k in r]
    lines += [f"        change[j] += {' + '.join(terms)}"]
    return _define("absorb", lines, {"synapse": synapse, "ONE": ONE})


def make_listen(rows: int) -> Any:
    """Add what `rows` rows of synapses send back to the neurons that they start from."""
    r = range(rows)
    lines = ["def listen(weights, at, stride, s, first, back):"]
    lines += [f"    w{i} = weights[at + {i} * stride : at + {i + 1} * stride]" for i in r]
    lines += [f"    p{i} = s[first + {i}]" for i in r]
    lines += ["    for j in range(back.size):"]
    lines += [f"        back[j] += {' + '.join(f'p{i} * w{i}[j]' for i in r)}"]
    return _define("listen", lines, {})


tile_4_4, tile_4_2, tile_4_1 = make_tile(ROWS, 4), make_tile(ROWS, 2), make_tile(ROWS, 1)
tile_1_1 = make_tile(1, 1)
listen_4, listen_1 = make_listen(ROWS), make_listen(1)


@loop
def add_products(weights, at, stride, rows, source, lanes, begin, out, target):
    """Add to ``out[lane, target + i]`` what row i of some rows of weights lets through.

    Rows are `stride` numbers long, from `at` on; a lane's activity starts at `begin`. All
    lanes go through tiles of one kind, so that equal lanes have equal sums to the bit: a
    perturbed pass without perturbation must not differ from the baseline.
    """
    if rows == ROWS:
        if lanes % 4 == 0:
            for lane in range(0, lanes, 4):
                tile_4_4(weights, at, stride, source, lane, begin, out, target)
        elif lanes % 2 == 0:
            for lane in range(0, lanes, 2):
                tile_4_2(weights, at, stride, source, lane, begin, out, target)
        else:
            for lane in range(lanes):
                tile_4_1(weights, at, stride, source, lane, begin, out, target)
    else:
        for i in range(rows):
            for lane in range(lanes):
                tile_1_1(weights, at + i * stride, stride, source, lane, begin, out, target + i)


@loop
def send_back(weights, at, stride, rows, s, first, back):
    """Add to `back` what some rows of weights send back, ``s[first + i]`` times row i."""
    if rows == ROWS:
        listen_4(weights, at, stride, s, first, back)
    else:
        for i in range(rows):
            listen_1(weights, at + i * stride, stride, s, first + i, back)
