"""Kernels over panels of weights, unrolled so that sums stay in registers.

A panel is `WIDTH` rows of a matrix, stored column by column: the weights that one
presynaptic neuron has to `WIDTH` neighbours are one vector. What a neuron sends meets
them as a scalar, what neighbours have of their own (sums, signals) meets them as a vector,
and every sum runs over columns in their order, whatever the tile, so that equal lanes
have equal sums to the bit.

A tile is so many panels times so many lanes, or so many replicas; each kernel is written
from one template for all the tiles it is made of. By hand that would be unreadable; a
compiler does not do it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.core.errors import NumbaError

from neurosim.engines import unrolled, vectors
from neurosim.engines.compile import loop
from neurosim.engines.vectors import REGISTERS, WIDTH

# How many lanes at once, and with so many how many panels: some 20 sums of 32 registers.
SHAPES = {10: 2, 4: 4, 2: 4, 1: 4} if REGISTERS == 32 else {4: 2, 2: 4, 1: 4}
# How many replicas at once.
REPLICAS = (10, 8, 4, 2, 1) if REGISTERS == 32 else (4, 2, 1)


def multiply() -> Callable[..., None]:
    """Add to sums what columns `begin` to `end` of some panels let through.

    ``sums[lane, row] += sum over columns of weight[row, column] * sent[column, lane]``
    """
    tile = """
        here, there = lane * n + row + i * WIDTH, at + i * panel
        t{p}_{k} = load_tile(sums, here, n, {p}, {k})
        for j in range(begin, end):
            t{p}_{k} = add_products(
                t{p}_{k}, weights, there + j * WIDTH, panel, sent, (of + j) * wide + lane,
                end - begin, {p}, {k}
            )
        store_tile(t{p}_{k}, sums, here, n, {p}, {k})
        i += {p}
    """
    lines = []
    for k, most in SHAPES.items():
        body = ["i = 0"]
        for p in (most, 1):
            body += _while_there_are("panels - i", p, _lines(tile, p=p, k=k))
        lines += _while_there_are("stop - lane", k, [*body, f"lane += {k}"])
    head = "weights, at, panel, panels, begin, end, sent, of, wide, lane, stop, sums, n, row"
    return _define("multiply", head, lines)


def send_back() -> Callable[..., None]:
    """Add what panels send back: ``back[b, column] += sum over rows of s[b, row] * weight``."""
    # A sum over rows is one over lanes. With many replicas it pays to exchange rows and lanes
    # of the weights, with few to sum over panels first and over lanes last.
    lines = _lines(
        """
        for j in range(0, columns, WIDTH):
            if batch > {few}:
                for i in range(panels):
                    block = transpose(load_tile(weights, at + i * panel + j * WIDTH, WIDTH, 1, {k}))
                    for b in range(batch):
                        to, total = there + b * n + j, load(back, there + b * n + j)
                        store(back, to, add_rows(total, block, s, here + b * n + i * WIDTH))
                continue
            for b in range(batch):
                sums = zero_rows()
                for i in range(panels):
                    factors = load(s, here + b * n + i * WIDTH)
                    sums = add_columns(sums, weights, at + i * panel + j * WIDTH, factors)
                to = there + b * n + j
                store(back, to, load(back, to) + sum_lanes(sums))
        """,
        k=WIDTH,
        few=4,
    )
    head = "weights, at, panel, panels, columns, s, here, n, batch, back, there"
    return _define("send_back", head, lines)


def visit(synapse: Any) -> Callable[..., None]:
    """Do in one go what `absorb` and `multiply` do, for one replica and its two passes.

    With so few lanes a step takes as long as it takes to fetch the weights, and once is enough.
    """
    lines, passes = ["i, reward = 0, get(forming, c)"], 2
    for panels in (SHAPES[passes], 1):
        p = range(panels)
        body = ["here, there = row + i * WIDTH, at + i * panel"]
        body += [f"g{i} = load(signal, here + {i} * WIDTH)" for i in p]
        body += [f"t{i}_{m} = load(sums, here + {m} * n + {i} * WIDTH)" for i in p for m in (0, 1)]
        body += ["for j in range(columns):", "    x = get(pre, of + j * 2)"]
        body += [f"    s{m} = get(sent, since + j * 2 + {m})" for m in (0, 1)]
        for i in p:
            place = f"there + {i} * panel + j * WIDTH"
            change = f"factor * synapse(x, g{i}, noise, reward)"
            body += [f"    w{i} = load(weights, {place}) + {change}"]
            body += [f"    store(weights, {place}, w{i})"]
            body += [f"    t{i}_{m} = add_product(w{i}, s{m}, t{i}_{m})" for m in (0, 1)]
        body += [f"store(sums, here + {m} * n + {i} * WIDTH, t{i}_{m})" for i in p for m in (0, 1)]
        lines += _while_there_are("panels - i", panels, [*body, f"i += {panels}"])
    head = (
        "weights, at, panel, panels, factor, columns, pre, of, signal, n, row, forming, c, sent,"
        " since, sums"
    )
    known = vectorised(synapse, "fvvf")
    return _define("visit", head, ["noise = zero_rows()[0]", *lines], synapse=known)


def hand_out() -> Callable[..., None]:
    """Lay numbers of some units side by side, lane by lane: ``there[i, lane] = here[lane, i]``."""
    lines = _lines(
        """
        for i in range(start, stop, WIDTH):
            for lane in range(0, lanes, WIDTH):
                count = min(WIDTH, lanes - lane)
                block = transpose(load_rows(here, lane * n + i, n, count))
                store_rows(block, there, i * lanes + lane, lanes, count)
        """
    )
    return _define("hand_out", "here, n, there, lanes, start, stop", lines)


def absorb(synapse: Any) -> Callable[..., None]:
    """Add `factor` times what synapses change by, summed over replicas of one comparison.

    What there was is read from `old`, the result goes to `new`; column 0 would be at
    `origin` and at `at`. Signals and rewards begin with the comparison's first replica.
    """
    tile = """
        rewards{k} = get_all(forming, c + b, {k})
        for i in range(panels):
            signals{k} = load_tile(signal, here + i * WIDTH + b * n, n, 1, {k})
            there, before = at + i * panel, origin + i * panel
            for j in range(begin, end):
                noise = load(drawn, (j & 3) * plane + ((j - begin) >> 2) * WIDTH)
                sent{k} = get_all(pre, of + j * wide + b, {k})
                change = sum_over_replicas(synapse, (sent{k}, signals{k}, noise, rewards{k}))
                store(new, there + j * WIDTH, load(old, before + j * WIDTH) + factor * change)
    """
    head = (
        "new, at, old, origin, panel, panels, factor, begin, end, batch, pre, of, wide, drawn,"
        " plane, signal,"
        " here, n, forming, c"
    )
    return _over_replicas("absorb", head, tile, vectorised(synapse, "fvvf"))


def absorb_arrived(synapse: Any) -> Callable[..., None]:
    """Add what `n` columns of synapses change by, each of which knows what arrived at it."""
    lines = _lines(
        """
        reward, signals = get(forming, c), load(signal, here)
        for j in range(n):
            place, there = (j & 3) * plane + (j >> 2) * WIDTH, at + j * WIDTH
            wanted = synapse(load(arrived, place), signals, load(drawn, place), reward)
            store(change, there, load(change, there) + wanted)
        """
    )
    head = "change, at, n, arrived, drawn, plane, signal, here, forming, c"
    return _define("absorb_arrived", head, lines, synapse=vectorised(synapse, "vvvf"))


def traced(trace: Any, synapse: Any, arrived: bool = False) -> Callable[..., None]:
    """Let traces go on, and add what synapses change by, in a panel and one replica.

    Of `arrived` each synapse has its own, or else all of a column have what was sent.
    """
    lines = _lines(
        """
        reward, signals, errors = get(forming, c), load(signal, here), load(feedback, ear)
        stays = load(keep, own)
        for j in range(begin, end):
            draw = (j & 3) * plane + ((j - begin) >> 2) * WIDTH
            noise, place, there = load(drawn, draw), at + j * WIDTH, (j - begin) * WIDTH
            sent = load(pre, draw) if {arrived} else get(pre, of + j * wide)
            new = trace(load(traces, place), sent, signals, stays)
            store(traces, place, new)
            wanted = synapse(sent, signals, noise, reward, new, errors)
            store(change, there, load(change, there) + wanted)
        """.replace(
            "load(pre, draw) if {arrived} else get(pre, of + j * wide)",
            "load(pre, draw)" if arrived else "get(pre, of + j * wide)",
        )
    )
    sender = "pre" if arrived else "pre, of, wide"
    head = (
        f"change, traces, at, begin, end, {sender}, drawn, plane, signal, here, forming, c,"
        " feedback, ear, keep, own"
    )
    kinds = ("vvvv", "vvvfvv") if arrived else ("vfvv", "fvvfvv")
    known = {"trace": vectorised(trace, kinds[0]), "synapse": vectorised(synapse, kinds[1])}
    return _define("traced", head, lines, **known)


def absorb_outlets(synapse: Any) -> Callable[..., None]:
    """Do the same for decorrelating synapses, in a panel that begins with row `first`."""
    tile = """
        for i in range(panels):
            posts{k} = load_tile(post, here + i * WIDTH + b * n, n, 1, {k})
            there, before, own = at + i * panel, origin + i * panel, where + i * panel
            for j in range(begin, end):
                sent{k} = get_all(pre, of + j * wide + b, {k})
                sums{k} = get_all(heard, back + j * batch + b, {k})
                weight, other = load(weights, own + j * WIDTH), but(j - first - i * WIDTH)
                change = sum_over_replicas(synapse, (posts{k}, sent{k}, weight, sums{k}, other))
                store(new, there + j * WIDTH, load(old, before + j * WIDTH) + factor * change)
    """
    head = (
        "new, at, old, origin, panel, panels, factor, begin, end, batch, pre, of, wide, heard,"
        " back, post, here, n, weights, where, first"
    )
    return _over_replicas("absorb_outlets", head, tile, vectorised(synapse, "vfvfv"))


def _over_replicas(name: str, head: str, tile: str, synapse: Any) -> Callable[..., None]:
    lines = ["b = 0"]
    for k in REPLICAS:
        # The next replicas add to what these have made.
        body = [*_lines(tile, k=k), f"b += {k}", "old, origin = new, at"]
        lines += _while_there_are("batch - b", k, body)
    return _define(name, head, lines, synapse=synapse)


def _while_there_are(rest: str, count: int, body: Sequence[str]) -> list[str]:
    """Lines that take `count` of something at a time."""
    # Four times 4 are better than 10, 4 and 2.
    fits = f" and (({rest}) % 10 == 0 or ({rest}) % 4)" if count == 10 else ""
    return [f"while {rest} >= {count}{fits}:", *(f"    {line}" for line in body)]


def _lines(template: str, **values: int) -> list[str]:
    return inspect.cleandoc(template.format(**values)).splitlines()


def _define(name: str, head: str, lines: Sequence[str], **known: Any) -> Any:
    scope = {**vars(vectors), **vars(unrolled), **known}
    exec("\n".join([f"def {name}({head}):", *(f"    {line}" for line in lines)]), scope)
    return scope[name]


def vectorised(function: Any, kinds: str) -> Any:
    """Make a scalar function take vectors for its arguments of kind "v"; "f" are scalars.

    Where its arithmetic is defined for vectors it is the function itself, or else one that
    calls it for each number in turn (a function that branches, or calls a library).
    """
    given = tuple(vectors.vector if kind == "v" else types.float32 for kind in kinds)
    try:
        function.compile(given)
        return function
    except NumbaError:
        names = ", ".join(f"x{i}" for i in range(len(kinds)))
        lines = [f"return one_by_one(function, ({names}))"]
        return loop(_define("each", names, lines, function=function))
