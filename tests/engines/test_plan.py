"""A plan, and the tables that a compiled loop reads it from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import neurosim as ns
from neurosim import noise
from neurosim.engines import ENGINES, find
from neurosim.engines.arrays import padded, panels
from neurosim.engines.assumptions import assumptions_of
from neurosim.engines.memory import empty_memory
from neurosim.engines.plan import GLOBAL, LOCAL, RETURN_TO_GO, Comparison, Plan
from neurosim.engines.tables import BLOCKS, PANELS, columns, layout, passes_of
from neurosim.engines.vectors import WIDTH
from neurosim.network import Network, Population, Projection

NET = ns.rnn(2, 3, 1, decorrelate=True)
FEEDFORWARD = Network(
    (
        Population("input", 2),
        Population("hidden", 3, ns.Tanh()),
        Population("output", 1, ns.Linear()),
    ),
    (Projection("A", "input", "hidden"), Projection("B", "hidden", "output")),
)


def silicon(made):
    """Memory of a simulator made by a plan."""
    return find("cpu")(made, made.initial_weights())._memory


def plan(rule=None, network=NET, decorrelation=None, batch=2, **substrate):
    return Plan(network, rule, decorrelation, ns.Substrate(**substrate), batch, seed=5)


@pytest.mark.parametrize(
    ("pairs", "comparisons", "passes", "gain"),
    [
        (0, [(0, 1)], 2, 1.0),
        (1, [(2, 1)], 3, 2.0),
        (2, [(2, 1), (4, 3)], 5, 2.0),
    ],
)
def test_passes_and_comparisons(pairs, comparisons, passes, gain):
    made = plan(ns.NP(1e-3, noise_std=0.5, pairs=pairs))
    assert made.comparisons == tuple(Comparison(*c) for c in comparisons)
    assert (made.passes, made.lanes) == (passes, 2 * passes)
    assert made.noise_gain == gain
    assert made.variance == (gain * 0.5) ** 2
    for pass_ in range(1, passes):
        assert pass_ in comparisons[made.comparison_of(pass_)]


@pytest.mark.parametrize("made", [plan(), plan(ns.ANP(1e-3)).without_learning(3)])
def test_without_learning_there_is_only_the_baseline(made):
    assert not made.learns
    assert (made.passes, made.comparisons) == (1, ())
    assert made.lanes == made.batch
    assert not any(made.changes(p) for p in NET.projections)


def test_without_learning_the_rest_stays():
    made = plan(ns.ANP(1e-3), decorrelation=ns.Decorrelation(1e-3), act_noise=0.1)
    quiet = made.without_learning(7)
    assert quiet == replace(made, batch=7, learning=False)
    assert (quiet.rule, quiet.batch, made.batch, made.learns) == (made.rule, 7, 2, True)


def test_rates_and_who_is_perturbed():
    one = plan(ns.ANP(0.25))
    assert one.rates(0, 0, 5)[0].tolist() == [[0.25] * 3]
    assert [one.perturbs(p) for p in NET.populations] == [False, True, True]
    assert not any(one.perturbs(p) for p in NET.projections)
    some = plan(ns.ANP({"B": 0.5}))
    assert some.rates(0, 0, 5)[0].tolist() == [[0.0, 0.0, 0.5]]
    assert [some.perturbs(p) for p in NET.populations] == [False, False, True]
    weights = plan(ns.WP({"R": 0.5}))
    assert [weights.perturbs(p) for p in NET.projections] == [False, True, False]
    assert not any(weights.perturbs(p) for p in NET.populations)
    assert [weights.learns_onto(p) for p in NET.populations] == [False, True, False]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Rr", "did you mean 'R'"), ("D", "known: A, B, R"), (3, "known: A, B, R")],
)
def test_a_rate_for_no_projection_is_refused(name, said):
    with pytest.raises(ns.InputError, match=rf"ANP: learning_rate\[{name!r}\] names .*{said}"):
        plan(ns.ANP({"A": 1e-3, name: 1e-3}))


@pytest.mark.parametrize(
    ("rule", "network", "hidden", "output"),
    [
        (ns.ANP(1e-3), NET, LOCAL, LOCAL),
        (ns.ANP(1e-3, reward="return_to_go"), NET, RETURN_TO_GO, LOCAL),
        (ns.ANP(1e-3, reward="global"), NET, GLOBAL, LOCAL),
        (ns.NP(1e-3, reward="return_to_go"), NET, RETURN_TO_GO, LOCAL),
        (ns.NP(1e-3, reward="global"), NET, GLOBAL, GLOBAL),
        (ns.WP(1e-3, reward="global"), NET, GLOBAL, GLOBAL),
        (ns.ANP(1e-3, reward="global"), FEEDFORWARD, LOCAL, LOCAL),
        (ns.NP(1e-3, reward="return_to_go"), FEEDFORWARD, LOCAL, LOCAL),
        (ns.NP(1e-3, reward="global"), FEEDFORWARD, GLOBAL, GLOBAL),
    ],
)
def test_with_what_a_perturbation_is_credited(rule, network, hidden, output):
    made = plan(rule, network)
    assert [made.credit(p) for p in network.populations[1:]] == [hidden, output]


@pytest.mark.parametrize(
    ("rule", "hidden", "output"),
    [
        (ns.ANP(1e-3), 1, 1),
        (ns.ANP(1e-3, scale="network"), 4 / 3, 4),
        (ns.ANP(1e-3, scale="published"), math.sqrt(6) / (3 * 4), math.sqrt(6) / 4),
        (ns.NP(1e-3, noise_std=0.5, scale="published"), 0.5, 0.5),
        (ns.NP(1e-3, reward_scope="batch"), 1, 1),
        (ns.WP(1e-3, reward_scope="batch"), 0.5, 0.5),
        (ns.WP(1e-3, noise_std=0.5, scale="published"), 0.25, 0.25),
    ],
)
def test_factors(rule, hidden, output):
    made = plan(rule)
    assert [made.factor(p) for p in NET.populations[1:]] == pytest.approx([hidden, output])


def test_every_use_and_place_has_a_noise_stream_of_its_own():
    made = plan(ns.WP(1e-3))
    streams = [
        made.stream(use, p.name)
        for use in (noise.PERTURBATION, noise.ACT_NOISE)
        for p in NET.populations
    ]
    streams += [made.stream(noise.WEIGHT_PERTURBATION, p.name) for p in NET.projections]
    assert len(set(streams)) == len(streams)


def test_engines_are_found_by_name():
    found = [name for name in ENGINES if name != "cuda"]  # tests/engines/test_device.py has that
    assert [find(name).name for name in found] == found
    known = "known: auto, cpu, cuda, emulator, objects"
    for name, said in (("cpus", "did you mean 'cpu'"), (None, known)):
        with pytest.raises(ns.InputError, match=rf"engine = {name!r} does not exist; .*{said}"):
            find(name)


# --------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("n", "room"),
    [(1, 1), (WIDTH - 1, 1), (WIDTH, 1), (WIDTH + 1, 2), (9 * WIDTH, 9), (10 * WIDTH - 1, 10)],
)
def test_rows_are_padded_to_whole_vectors(n, room):
    assert (panels(n), padded(n)) == (room, room * WIDTH)


def test_no_two_things_share_a_place():
    net = ns.rnn(WIDTH + 4, WIDTH + 1, 3, decorrelate=True)
    made = plan(ns.NP(1e-3, reward="global", pairs=2), net, ns.Decorrelation(1e-3))
    populations, projections, at, n_weights = layout(made)
    assert populations.start.tolist() == [0, 2 * WIDTH, 4 * WIDTH]
    assert populations.stride.tolist() == [2 * WIDTH, 2 * WIDTH, WIDTH]
    # Rows come in whole panels; so do columns of D, which is also read the other way.
    size = {"A": 2 * (WIDTH + 4), "R": 2 * (WIDTH + 1), "B": WIDTH + 1, "D": 2 * 2 * WIDTH}
    projected = WIDTH * (size["A"] + size["R"] + size["B"])
    assert at == {
        "A": 0,
        "R": WIDTH * size["A"],
        "B": WIDTH * (size["A"] + size["R"]),
        "D": projected,
    }
    assert n_weights == projected + WIDTH * size["D"]
    assert {name: columns(made, name) for name in at} == {
        "A": WIDTH + 4,
        "R": WIDTH + 1,
        "B": WIDTH + 1,
        "D": 2 * WIDTH,
    }
    assert projections.start.tolist() == [at["A"], at["R"], at["B"]]
    assert populations.decorrelation.tolist() == [-1, at["D"], -1]
    memory = empty_memory(made, populations, projections, n_weights, threads=3)
    rows, lanes, pairs = 5 * WIDTH, 5 * 2, 2 * 2
    assert memory.weights.shape == (n_weights,)
    assert memory.a.shape == memory.x.shape == memory.s.shape == (lanes, rows)
    assert memory.sent.shape == (3, rows, lanes)
    assert memory.fired.shape == (rows, lanes)
    assert memory.noise.shape == (pairs, rows)
    assert memory.signal.shape == (1, pairs, rows)
    assert memory.first.size == memory.feedback.size == 0
    assert memory.eligibility.shape == (pairs, projected)
    assert memory.owed.shape == (projected,)
    assert memory.retrograde.shape == (1, 2, rows)
    assert len(memory.scratch) == len(memory.words) == 3


def test_whatever_is_read_as_a_vector_begins_with_a_cache_line():
    made = plan(ns.NP(1e-3, reward="global"), NET, ns.Decorrelation(1e-3))
    populations, projections, _, n = layout(made)
    memory = empty_memory(made, populations, projections, n)
    assert all(v.ctypes.data % 64 == 0 for v in memory if v.dtype == np.float32 and v.size)


@pytest.mark.parametrize("n", [1, 4 * WIDTH, 4 * WIDTH + 1, 64 * WIDTH, 64 * WIDTH + 1, 9999])
def test_blocks_share_out_all_panels_whatever_the_threads(n):
    made = plan(ns.ANP(1e-3), ns.rnn(2, n, 1))
    populations, _, _, _ = layout(made)
    share, blocks = int(populations.block[1]), int(populations.blocks[1])
    assert (blocks - 1) * share < panels(n) <= blocks * share
    assert share >= PANELS
    assert blocks <= BLOCKS
    assert share == PANELS or (share - 1) * BLOCKS < panels(n)


@pytest.mark.parametrize(
    ("rule", "eligibility", "owed"),
    [
        (None, 0, 0),
        (ns.ANP(1e-3), 0, 0),
        (ns.ANP(1e-3, window=2), 0, 8),
        (ns.ANP(1e-3, reward="return_to_go", schedule="online"), 2 * 8, 0),
        (ns.ANP(1e-3, reward="global"), 2 * 8, 8),
    ],
)
def test_memory_is_there_only_where_it_is_needed(rule, eligibility, owed):
    """Columns of the three projections, in a panel each: 2 of A, 3 of R and 3 of B."""
    made = plan(rule)
    populations, projections, _, n = layout(made)
    memory = empty_memory(made, populations, projections, n)
    assert (memory.eligibility.size, memory.owed.size) == (eligibility * WIDTH, owed * WIDTH)


def test_tables_hold_what_the_plan_says():
    net = ns.rnn(2, 3, 1, decorrelate=True, neuron=ns.Tanh(tau=4.0))
    rule = ns.ANP({"A": 0.5, "B": 0.25}, noise_std=0.5, pairs=1, resync_every=3, window=6)
    made = plan(rule, net, ns.Decorrelation(0.5), act_noise=0.125)
    populations, projections, _, _ = layout(made)
    assert populations.model.tolist() == [-1, 0, 1]
    assert projections.learns.tolist() == [1, 0, 1]
    assert projections.delay.tolist() == [0, 1, 0]
    passes = passes_of(made)
    assert (passes.batch, passes.passes, passes.seed, passes.learns) == (2, 3, 5, True)
    assert (passes.episode, passes.resync_every, passes.schedule) == (6, 3, 1)
    assert (passes.noise_std, passes.noise_gain, passes.variance) == (0.5, 2.0, 1.0)
    chip = assumptions_of(made)
    assert chip.act_noise == 0.125
    assert chip.act_noise_stream.tolist() == [noise.ACT_NOISE + p for p in range(3)]
    memory = silicon(made)
    units = [int(start) for start in populations.start]
    assert memory.leak[units].tolist() == [1.0, 0.25, 1.0]
    assert memory.keep[units].tolist() == [0.0, 0.75, 0.0]
    assert passes.comparison.tolist() == [-1, 0, 0]
    assert passes.sign.tolist() == [0.0, 1.0, -1.0]
    for table in (populations, projections, passes, chip):
        for value in table:
            assert np.asarray(value).dtype in (np.float32, np.float64, np.int64, np.bool_)
