"""Kernels compute what NumPy does, at whatever size, and write nothing else."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from calls import EPSILON, LEFT, by_rows, call, close, in_columns, in_panels, left, numbers

import neurosim as ns
from neurosim import noise
from neurosim.engines.compile import adapted
from neurosim.engines.kernels import _around, _machine, _of
from neurosim.engines.tiles import REPLICAS, SHAPES, vectorised
from neurosim.engines.vectors import WIDTH
from neurosim.local import DECORRELATION, SYNAPSE, scalar
from neurosim.neurons import Tanh

LANES, PANELS = range(1, 34), range(1, 10)
BATCHES = range(1, 22)
COLUMNS, BEGIN, END = 13, 4, 11  # of a matrix; those that a kernel is asked to visit
GAP = 3  # numbers before and after what a kernel may touch


# ------------------------------------------------------------------- multiply


def multiplied(weights, sent, sums, lanes, panels, columns=(BEGIN, END)):
    """Let columns of the first panels through in some lanes; the rest of all arrays is theirs."""
    size = weights[0].size
    call(
        _machine("multiply"),
        *(weights, size, size, panels, *columns, sent, 2, sent.shape[1]),
        *(*lanes, sums, sums.shape[1], GAP),
    )
    return sums


@pytest.fixture(scope="module")
def layer():
    """Weights, of which the first panel is nobody's; what is sent; sums that have begun."""
    weights = numbers((1 + max(PANELS)) * WIDTH, COLUMNS)
    sent = numbers(2 + COLUMNS, max(LANES) + 3, seed=1)
    sums = numbers(max(LANES) + 3, max(PANELS) * WIDTH + 2 * GAP, seed=2)
    return in_panels(weights), sent, sums


@pytest.mark.parametrize("lanes", LANES)
def test_sums_are_those_of_numpy_in_any_number_of_lanes_and_panels(layer, lanes):
    weights, sent, sums = layer
    columns, exact = slice(BEGIN, END), by_rows(weights[1:]).astype(float)
    products = exact[:, columns] @ sent[2:][columns].astype(float)
    sizes = np.abs(exact[:, columns]) @ np.abs(sent[2:][columns]) + np.abs(sums).max()
    for panels in PANELS:
        rows, some = slice(GAP, GAP + panels * WIDTH), slice(2, 2 + lanes)
        got = multiplied(weights, sent, sums.copy(), (2, 2 + lanes), panels)
        expected = sums.astype(float)
        expected[some, rows] += products[: panels * WIDTH, some].T
        error = np.abs(got - expected)
        assert (
            error[some, rows] <= EPSILON * (END - BEGIN) * sizes.T[some, : rows.stop - GAP]
        ).all()
        error[some, rows] = 0
        assert not error.any()


@pytest.mark.parametrize("lanes", LANES)
def test_a_lanes_sums_are_the_same_to_the_bit_whatever_lies_beside_them(layer, lanes):
    weights, sent, sums = layer
    alone = sums.copy()
    for lane, panel in itertools.product(range(2, 2 + lanes), PANELS):
        call(
            _machine("multiply"),
            *(weights, panel * weights[0].size, 0, 1, BEGIN, END, sent, 2, sent.shape[1]),
            *(lane, lane + 1, alone, alone.shape[1], GAP + (panel - 1) * WIDTH),
        )
    for panels in PANELS:
        rows = slice(GAP, GAP + panels * WIDTH)
        got = multiplied(weights, sent, sums.copy(), (2, 2 + lanes), panels)
        np.testing.assert_array_equal(got[:, rows], alone[:, rows])


def test_columns_may_be_visited_a_few_at_a_time(layer):
    weights, sent, sums = layer
    for lanes, panels in itertools.product((1, 2, 5, 10, 33), (1, 2, 3, 9)):
        whole = multiplied(weights, sent, sums.copy(), (0, lanes), panels, (0, COLUMNS))
        parts = sums.copy()
        for columns in ((0, 1), (1, 4), (4, 4), (4, COLUMNS)):
            multiplied(weights, sent, parts, (0, lanes), panels, columns)
        np.testing.assert_array_equal(parts, whole)


# ------------------------------------------------------- changes of synapses


class Smooth:
    """Arithmetic that is defined for vectors, with literals of both kinds."""

    @staticmethod
    def synapse(pre, signal, noise, reward):
        bounded = min(max(2 * signal, -1), 1.5) - 0.25 * abs(noise)
        bounded -= 1 - math.sqrt(abs(signal)) / 3
        return -bounded * pre + reward / 2


class Branching:
    """Something that no vector can do."""

    @staticmethod
    def synapse(pre, signal, noise, reward):
        if signal * pre > 0.5:
            return math.log(1 + signal * pre) * reward
        return noise * pre if noise > 0 else 0.0


class Looping:
    """Nor this, not even loop by loop: each number takes as many rounds as it needs."""

    @staticmethod
    def synapse(pre, signal):
        rounds = 0
        while signal > 0.25:
            signal /= 2
            rounds += 1
        return signal * pre + rounds


class Alike:
    """The same for all neurons: its answer is not a vector."""

    @staticmethod
    def synapse(pre, reward):
        return 0.5 * pre * reward


class Constant:
    """The same for everyone, and no float32."""

    @staticmethod
    def synapse():
        return 1


class Whether:
    """The same for all neurons, and no number at all."""

    @staticmethod
    def synapse(pre):
        return pre > 0


class SmoothOutlet:
    @staticmethod
    def synapse(post, pre, weight, retrograde, different):
        return different * max(post, 0.25) * (retrograde - 2 * weight) + min(pre, 1) / 4


class BranchingOutlet:
    @staticmethod
    def synapse(post, pre, weight, retrograde, different):
        if different == 0:
            return weight
        return math.log(1 + abs(post * pre)) if retrograde > weight else post


RULES = [ns.ANP, ns.WP, Smooth, Branching, Looping, Alike, Constant, Whether]
OUTLETS = [ns.Decorrelation, ns.LocalDecorrelation, SmoothOutlet, BranchingOutlet, Constant]
ONE_BY_ONE = {Branching, Looping, BranchingOutlet}


def of_each(rule, known, *values):
    """What a rule's scalar function answers to float64 numbers, each on its own."""
    function = scalar(rule, "synapse")
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    taken = [list(known).index(name) for name in names]
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in values))
    answers = [
        function(*(float(given[k]) for k in taken))
        for given in zip(*(array.ravel() for array in arrays), strict=True)
    ]
    return np.array(answers, dtype=float).reshape(arrays[0].shape)


@pytest.mark.parametrize(
    ("rule", "known", "kinds"),
    [(rule, SYNAPSE, "fvvf") for rule in (*RULES, ns.NP)]
    + [(rule, DECORRELATION, "vfvfv") for rule in OUTLETS],
)
def test_who_branches_is_called_for_one_number_after_another(rule, known, kinds):
    """And nobody else: the difference is in speed, so nothing would tell."""
    function = adapted(scalar(rule, "synapse"), known, rule.__name__)
    assert (vectorised(function, kinds) is function) == (rule not in ONE_BY_ONE)


@pytest.mark.parametrize("rule", [Branching, Looping])
def test_who_branches_is_compiled_without_a_word(rule, capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path))
    _around.__wrapped__(rule, "synapse", False, rule.synapse, version="")
    assert capfd.readouterr() == ("", "")


def absorbed(rule, old, batch, panels, columns, sent, signals, rewards, drawn, plane, at=GAP):
    """Add half of what synapses change by; the result, and all that lies around it."""
    (begin, end), wide = columns, sent.shape[1]
    new, size = left(old.size + 2 * GAP), old[0].size
    call(
        _of(rule, "synapse"),
        *(new, at, old, 0, size, panels, 0.5, begin, end, batch, sent, 2 * wide, wide),
        *(drawn, plane, signals, GAP, signals.shape[1], rewards, 1),
    )
    return new


@pytest.mark.parametrize("rule", RULES)
def test_changes_are_summed_over_replicas_however_many_there_are(rule):
    panels, plane = 3, 2 * WIDTH
    old, n = in_panels(numbers(panels * WIDTH, COLUMNS)), panels * WIDTH
    drawn = numbers(WIDTH, END - BEGIN, seed=1)
    for batch in BATCHES:
        sent = numbers(2 + COLUMNS, batch + 2, seed=2)
        signals, rewards = numbers(batch, n + 2 * GAP, seed=3), numbers(1 + batch, seed=4)
        terms = of_each(
            rule,
            SYNAPSE,
            sent[2 + BEGIN : 2 + END, :batch].T[:, None, :],
            signals[:, GAP : GAP + n, None],
            np.tile(drawn, (panels, 1)),
            rewards[1:, None, None],
        )
        expected = left(old.size + 2 * GAP).astype(float)
        changed = expected[GAP:-GAP].reshape(old.shape)[:, BEGIN:END]
        changed[...] = old[:, BEGIN:END] + 0.5 * in_panels(terms.sum(axis=0))
        planes = in_columns(drawn, BEGIN, plane)
        given = (batch, panels, (BEGIN, END), sent, signals, rewards, planes, plane)
        got = absorbed(rule, old, *given)
        assert close(got, expected, np.abs(terms).sum(axis=0).max() + LEFT, times=8)
        # Where nothing was to be visited there is what there was.
        np.testing.assert_array_equal(got[expected == LEFT], LEFT)
        assert (expected == LEFT).sum() == 2 * GAP + panels * (COLUMNS - END + BEGIN) * WIDTH


@pytest.mark.parametrize("batch", BATCHES)
def test_changes_may_go_to_the_weights_at_once(batch):
    panels, n = 3, 3 * WIDTH
    old, nothing = in_panels(numbers(n, COLUMNS)), np.zeros(4 * WIDTH, dtype=np.float32)
    sent, signals = numbers(2 + COLUMNS, batch), numbers(batch, n + 2 * GAP)
    given = (batch, panels, (0, COLUMNS), sent, signals, numbers(1 + batch), nothing, 0)
    apart = absorbed(ns.ANP, old, *given)[GAP:-GAP].reshape(old.shape)
    size = old[0].size
    call(
        _of(ns.ANP, "synapse"),
        *(old, 0, old, 0, size, panels, 0.5, 0, COLUMNS, batch, sent, 2 * batch, batch),
        *(nothing, 0, signals, GAP, signals.shape[1], numbers(1 + batch), 1),
    )
    np.testing.assert_array_equal(old, apart)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("panels", PANELS)
def test_a_visit_is_a_change_and_a_sum(rule, panels):
    """For one replica and its two passes; no noise is on weights then."""
    n, none = panels * WIDTH, np.zeros(4 * (COLUMNS + 3) * WIDTH, dtype=np.float32)
    weights = in_panels(numbers(n, COLUMNS))
    before, sent = numbers(2 + COLUMNS, 2, seed=1), numbers(3 + COLUMNS, 2, seed=2)
    signals, rewards = numbers(1, n + 2 * GAP, seed=3), numbers(2, seed=4)
    sums, size = numbers(2, n + 2 * GAP, seed=5), weights[0].size
    given = (1, panels, (0, COLUMNS), before, signals, rewards, none, WIDTH * COLUMNS)
    changed = absorbed(rule, weights, *given)[GAP:-GAP].reshape(weights.shape)
    exact = sums.astype(float)
    exact[:, GAP:-GAP] += sent[3:].T.astype(float) @ by_rows(changed).T
    call(
        _of(rule, "visit"),
        *(weights, 0, size, panels, 0.5, COLUMNS, before, 4, signals, signals.shape[1], GAP),
        *(rewards, 1, sent, 6, sums),
    )
    assert close(weights, changed, np.abs(changed).max() + 8)
    assert close(sums, exact, 2 * np.abs(changed).max() * COLUMNS)
    np.testing.assert_array_equal(
        np.delete(sums, range(GAP, GAP + n), axis=1).ravel(),
        (np.delete(exact, range(GAP, GAP + n), axis=1).ravel()),
    )


@pytest.mark.parametrize("rule", OUTLETS)
def test_changes_of_outlets_are_summed_over_replicas_however_many_there_are(rule):
    panels, first, n = 3, WIDTH, 3 * WIDTH  # of a matrix of four panels the last three
    columns = 4 * WIDTH + 1
    begin, end = 2, columns - 1
    old, weights = (in_panels(numbers(n, columns, seed=k)) for k in (0, 1))
    size = old[0].size
    different = np.arange(first, first + n)[:, None] != np.arange(begin, end)
    for batch in BATCHES:
        sent, heard = numbers(2 + columns, batch + 2, seed=2), numbers(1 + columns, batch, seed=3)
        post = numbers(batch, n + 2 * GAP, seed=4)
        terms = of_each(
            rule,
            DECORRELATION,
            post[:, GAP : GAP + n, None],
            sent[2 + begin : 2 + end, :batch].T[:, None, :],
            by_rows(weights)[:, begin:end],
            heard[1 + begin : 1 + end].T[:, None, :],
            different,
        )
        expected = left(old.size + 2 * GAP).astype(float)
        changed = expected[GAP:-GAP].reshape(old.shape)[:, begin:end]
        changed[...] = old[:, begin:end] + 0.5 * in_panels(terms.sum(axis=0))

        def change(new, at, old, weights, batch=batch, sent=sent, heard=heard, post=post):
            call(
                _of(rule, "synapse", outlets=True),
                *(new, at, old, 0, size, panels, 0.5, begin, end, batch),
                *(sent, 2 * sent.shape[1], sent.shape[1], heard, batch),
                *(post, GAP, post.shape[1], weights, 0, first),
            )

        got = left(old.size + 2 * GAP)
        change(got, GAP, old, weights)
        assert close(got, expected, np.abs(terms).sum(axis=0).max() + LEFT, times=8)
        np.testing.assert_array_equal(got[expected == LEFT], LEFT)
        if batch in REPLICAS:  # then they may go to the weights at once
            apart, own = left(*weights.shape), weights.copy()
            change(apart, 0, weights, weights)
            change(own, 0, own, own)
            np.testing.assert_array_equal(own[:, begin:end], apart[:, begin:end])


# ------------------------------------------------------------------ backwards


@pytest.mark.parametrize("batch", range(1, 13))
@pytest.mark.parametrize("panels", [1, 2, 3, 4, 9])
def test_what_is_sent_back_is_the_transposed_sum(batch, panels):
    columns, n = 2 * WIDTH, panels * WIDTH
    weights, s = numbers(n, columns), numbers(batch, n + 2 * GAP, seed=1)
    back = numbers(batch, n + 2 * GAP + columns, seed=2)
    exact, some = back.astype(float), slice(5, 5 + columns)
    exact[:, some] += s[:, GAP : GAP + n].astype(float) @ weights
    wide = np.pad(s[:, : n + GAP], ((0, 0), (0, back.shape[1] - n - GAP)))
    laid = in_panels(weights)
    size = laid[0].size
    given = (laid, 0, size, panels, columns, wide, GAP, back.shape[1], batch)
    call(_machine("send_back"), *given, back, 5)
    assert close(back, exact, np.abs(s) @ np.abs(np.pad(weights, ((GAP, GAP), (0, 0)))))
    error = back - exact
    error[:, some] = 0
    assert not error.any()


# ----------------------------------------------------- copies, sums that begin


@pytest.mark.parametrize("lanes", range(1, 41))
@pytest.mark.parametrize("n", [1, WIDTH, 2 * WIDTH + 1])
def test_numbers_are_laid_side_by_side_lane_by_lane(lanes, n):
    start, written = WIDTH, -(-n // WIDTH) * WIDTH  # whole vectors
    here = numbers(lanes, start + written + 5)
    there = left(start + written + 5, lanes)
    call(_machine("hand_out"), here, here.shape[1], there, lanes, start, start + n)
    expected = left(*there.shape)
    expected[start : start + written] = here[:, start : start + written].T
    np.testing.assert_array_equal(there, expected)


@pytest.mark.parametrize("n", [1, 4, 7, 64])
def test_noise_is_added_column_by_column(n):
    plane = 16 * WIDTH
    weights, drawn = numbers(WIDTH, n + 2), numbers(WIDTH, n, seed=1)
    noisy = left((n + 2) * WIDTH)
    planes, laid = in_columns(drawn, 0, plane), in_panels(weights)
    call(_machine("add_drawn"), noisy, WIDTH, laid, WIDTH, planes, plane, n)
    got = noisy.reshape(1, n + 2, WIDTH)
    np.testing.assert_array_equal(by_rows(got[:, 1:-1]), weights[:, 1:-1] + drawn)
    assert (got[:, [0, -1]] == LEFT).all()


@pytest.mark.parametrize("pairs", [0, 1, 2])
@pytest.mark.parametrize("n", [1, WIDTH, 2 * WIDTH + 1])
def test_sums_begin_with_the_noise_of_their_pass(n, pairs):
    batch, passes, written = 3, 1 + (2 * pairs or 1), -(-n // WIDTH) * WIDTH
    comparison = np.array([-1, *(k // 2 for k in range(passes - 1))])
    sign = np.array([0, *(1 - 2 * (k % 2) for k in range(passes - 1))], dtype=np.float32)
    drawn, a = numbers(batch * max(pairs, 1), written + 7), left(passes * batch, written + 7)
    rows = a.shape[1]
    call(_machine("begin_sums"), a, drawn, GAP, n, rows, comparison, sign, passes, batch)
    expected, some = left(*a.shape).reshape(passes, batch, -1), slice(GAP, GAP + written)
    expected[0, :, some] = 0
    for k in range(1, passes):
        one = drawn.reshape(-1, batch, rows)[(k - 1) // 2]
        expected[k, :, some] = one[:, some] * (1 if k % 2 else -1)
    np.testing.assert_array_equal(a.reshape(expected.shape), expected)


@pytest.mark.parametrize("n", [1, WIDTH, 2 * WIDTH + 1])
def test_rows_are_copied_in_whole_vectors(n):
    lanes, written = 5, -(-n // WIDTH) * WIDTH
    here, there = numbers(lanes, written + 7), left(lanes, written + 7)
    call(_machine("copy_rows"), here, there, GAP, n, written + 7, lanes)
    expected = left(*there.shape)
    expected[:, GAP : GAP + written] = here[:, GAP : GAP + written]
    np.testing.assert_array_equal(there, expected)


# --------------------------------------------------------------------- noise


DRAW_WEIGHTS = {"normal": "weight_normals", "rademacher": "weight_signs"}


@pytest.mark.parametrize("distribution", noise.DISTRIBUTIONS)
@pytest.mark.parametrize("row", [0, 3 * WIDTH])
@pytest.mark.parametrize(
    ("n_pre", "begin", "end"),
    [(1, 0, 1), (70, 0, 64), (70, 64, 70), (300, 64, 192), (300, 192, 300), (300, 128, 131)],
)
def test_weights_get_the_noise_that_is_theirs_bit_for_bit(distribution, row, n_pre, begin, end):
    key, scale = (2**32 - 1, 2 << 16, 2**31 + 5, 2), np.float32(0.3)
    plane = -(-(end - begin) // 4) * WIDTH
    drawn, words = left(4 * plane), np.zeros(7 * plane + 4 * WIDTH, dtype=np.uint32)
    code = noise.DISTRIBUTIONS[distribution]
    kernel = {"normal": "weight_normals", "rademacher": "weight_signs"}[distribution]
    given = (plane, words, scale, *key, row, n_pre, begin, end)
    call(_machine(kernel), drawn, *given)
    expected = [
        [
            scale * noise.draw(code, *key, 0, noise.weight_index(row + r, j, n_pre))
            for j in range(begin, end)
        ]
        for r in range(WIDTH)
    ]
    laid = in_columns(np.array(expected, dtype=np.float32), begin, plane)
    asked = in_columns(np.ones((WIDTH, end - begin)), begin, plane) == 1
    np.testing.assert_array_equal(drawn[asked], laid[asked])


def test_tiles_leave_no_lane_and_no_replica_out():
    assert min(SHAPES) == min(REPLICAS) == 1
    assert list(SHAPES) == sorted(SHAPES, reverse=True)
    assert list(REPLICAS) == sorted(REPLICAS, reverse=True)


# -------------------------------------------------------- neurons and teachers


def test_neurons_fire_each_for_itself():
    n, lanes = 2 * WIDTH + 1, 3
    a, x = numbers(lanes, n + 2 * GAP), numbers(lanes, n + 2 * GAP, seed=1)
    expected = x.astype(float)
    leak, keep = numbers(n + 2 * GAP, seed=2), numbers(n + 2 * GAP, seed=3)
    own = slice(GAP, GAP + n)
    expected[:, own] = leak[own] * np.tanh(a[:, own], dtype=float) + keep[own] * x[:, own]
    call(_of(Tanh, "activity"), a, x, GAP, x.shape[1], n, lanes, leak, keep)
    assert close(x, expected, 1)
    np.testing.assert_array_equal(x[:, :GAP], expected[:, :GAP])
    np.testing.assert_array_equal(x[:, -GAP:], expected[:, -GAP:])
