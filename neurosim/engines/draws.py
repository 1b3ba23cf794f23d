"""Kernels that draw noise and add it, for a row of neurons or a panel of weights at a time.

Noise is never stored: whoever needs it draws it, a weight's where a step meets the weight
and once more where its change is due.
"""

from __future__ import annotations

from numba import njit

from neurosim import noise
from neurosim.engines.compile import FAST, INNER, compiled
from neurosim.engines.unrolled import signs, zero_rows
from neurosim.engines.vectors import WIDTH, load, store, widely

SHIFT = WIDTH.bit_length() - 1

draw_words = compiled(noise.words, exact=True)
normal_pair = compiled(noise.normal_pair, exact=True)
sign = compiled(noise.sign, exact=True)
unit = compiled(noise.unit, exact=True)
weight_index = compiled(noise.weight_index)


def fill_signs(
    out, at, rows, n, c, stop, batch, scale, words, drawn, plane, seed, stream, step, first
) -> None:
    """Draw signs `first` to ``first + n`` for the replicas of some passes, a row for each.

    Row c is for replica ``c % batch`` of pass ``c // batch``.
    """
    for row in range(c, stop):
        i, here = 0, at + row * rows
        while i < n:
            bit, block = (first + i) & 127, (first + i) >> 7
            w0, w1, w2, w3 = draw_words(seed, stream, step, row // batch, row % batch, block)
            words[0], words[1], words[2], words[3] = w0, w1, w2, w3
            while i < n and bit < 128:
                out[here + i] = scale * sign(words[bit >> 5], bit & 31)
                i += 1
                bit += 1


def fill_normal(
    out, at, rows, n, c, stop, batch, scale, words, drawn, plane, seed, stream, step, first
) -> None:
    """Do the same with normal numbers; `first` is a multiple of 4, `n` at most ``4 * plane``."""
    widely()
    blocks = (n + 3) >> 2
    # All rows in one loop, up to a whole number of vectors: rows may be as short as one number.
    while c < stop:
        last, m = min(stop, c + plane // blocks), 0
        for row in range(c, last):
            for k in range(blocks):
                words[4 * plane + m] = row // batch
                words[5 * plane + m] = row % batch
                words[6 * plane + m] = (first >> 2) + k
                m += 1
        count = (m + 15) & -16
        for m in range(count):
            w0, w1, w2, w3 = draw_words(
                seed, stream, step, words[4 * plane + m], words[5 * plane + m], words[6 * plane + m]
            )
            words[m] = w0
            words[plane + m] = w1
            words[2 * plane + m] = w2
            words[3 * plane + m] = w3
        _turn_normal(drawn, words, scale, plane, count)
        for row in range(c, last):
            here, m = at + row * rows, (row - c) * blocks
            for k in range(blocks):  # rows are padded, so a block never ends outside
                out[here + 4 * k] = drawn[m + k]
                out[here + 4 * k + 1] = drawn[plane + m + k]
                out[here + 4 * k + 2] = drawn[2 * plane + m + k]
                out[here + 4 * k + 3] = drawn[3 * plane + m + k]
        c = last


@njit(forceinline=True, **INNER, **FAST)
def _turn_normal(drawn, words, scale, plane, count):
    """Make normal numbers of words, in a loop of its own: words take lanes of 64 bits."""
    widely()
    for m in range(count):
        z0, z1 = normal_pair(words[m], words[plane + m])
        z2, z3 = normal_pair(words[2 * plane + m], words[3 * plane + m])
        drawn[m] = scale * z0
        drawn[plane + m] = scale * z1
        drawn[2 * plane + m] = scale * z2
        drawn[3 * plane + m] = scale * z3


def weight_signs(
    drawn, plane, words, scale, seed, stream, step, pass_, row, n_pre, begin, end
) -> None:
    """Draw signs for the columns `begin` to `end` of the panel that begins with `row`.

    Column j is the vector at ``(j % 4) * plane + (j - begin) // 4 * WIDTH``: the four normal
    numbers that a block of the counter gives then lie in four places, each written in order.
    """
    widely()
    j = begin
    while j < end:
        for r in range(WIDTH):
            block = weight_index(row + r, j, n_pre) >> 7
            w0, w1, w2, w3 = draw_words(seed, stream, step, pass_, 0, block)
            words[r] = w0
            words[WIDTH + r] = w1
            words[2 * WIDTH + r] = w2
            words[3 * WIDTH + r] = w3
        stop = min(end, (j | 127) + 1)
        while j < stop:
            four = ((j >> 5) & 3) * WIDTH
            column = (j & 3) * plane + ((j - begin) >> 2) * WIDTH
            store(drawn, column, signs(words, four, j & 31, scale))
            j += 1


def weight_normals(
    drawn, plane, words, scale, seed, stream, step, pass_, row, n_pre, begin, end
) -> None:
    """Do the same with normal numbers; `begin` is a multiple of 4."""
    widely()
    count = ((end - begin + 3) >> 2) * WIDTH
    first, further = weight_index(row, begin, n_pre) >> 2, weight_index(1, 0, n_pre) >> 2
    for m in range(count):
        block = first + (m & (WIDTH - 1)) * further + (m >> SHIFT)
        w0, w1, w2, w3 = draw_words(seed, stream, step, pass_, 0, block)
        words[m] = w0
        words[plane + m] = w1
        words[2 * plane + m] = w2
        words[3 * plane + m] = w3
    _turn_normal(drawn, words, scale, plane, count)


def weight_uniforms(
    drawn, plane, words, seed, stream, step, pass_, replica, row, n_pre, begin, end
) -> None:
    """Draw uniform numbers in (0, 1] as `weight_normals` draws normal ones, for a replica."""
    widely()
    count = ((end - begin + 3) >> 2) * WIDTH
    first, further = weight_index(row, begin, n_pre) >> 2, weight_index(1, 0, n_pre) >> 2
    for m in range(count):
        block = first + (m & (WIDTH - 1)) * further + (m >> SHIFT)
        w0, w1, w2, w3 = draw_words(seed, stream, step, pass_, replica, block)
        words[m] = w0
        words[plane + m] = w1
        words[2 * plane + m] = w2
        words[3 * plane + m] = w3
    for m in range(count):
        drawn[m] = unit(words[m])
        drawn[plane + m] = unit(words[plane + m])
        drawn[2 * plane + m] = unit(words[2 * plane + m])
        drawn[3 * plane + m] = unit(words[3 * plane + m])


def fill_uniform(out, n, words, seed, stream, step, pass_, replica, first) -> None:
    """Draw uniform numbers `first`, a multiple of 4, to ``first + n``, up to a whole block."""
    for k in range((n + 3) >> 2):
        w0, w1, w2, w3 = draw_words(seed, stream, step, pass_, replica, (first >> 2) + k)
        out[4 * k] = unit(w0)
        out[4 * k + 1] = unit(w1)
        out[4 * k + 2] = unit(w2)
        out[4 * k + 3] = unit(w3)


def add_drawn(noisy, at, weights, here, drawn, plane, n) -> None:
    """Give `n` columns of weights the noise that `draw_weights` drew."""
    for j in range(n):
        noise = load(drawn, (j & 3) * plane + (j >> 2) * WIDTH)
        store(noisy, at + j * WIDTH, load(weights, here + j * WIDTH) + noise)


def begin_sums(a, noise, start, n, rows, comparison, sign, passes, batch) -> None:
    """Let pre-activations of `n` units, in all lanes, begin with the noise on them."""
    for pass_ in range(passes):
        k, factor = comparison[pass_], sign[pass_]
        for b in range(batch):
            here, there = start + (pass_ * batch + b) * rows, start + (k * batch + b) * rows
            for i in range(0, n, WIDTH):
                store(a, here + i, load(noise, there + i) * factor if k >= 0 else zero_rows()[0])


def copy_rows(here, there, start, n, rows, lanes) -> None:
    """Copy numbers of `n` units, in all lanes."""
    for lane in range(lanes):
        for i in range(start + lane * rows, start + lane * rows + n, WIDTH):
            store(there, i, load(here, i))
