"""The phases of the cuda engine, run on the CPU, compute what the oracle computes.

In any order of blocks and threads, on any number of both: to the bit the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from agreement import NEURONS, ROUNDING, agree, close, report_the_same
from test_agreement import Branching, BranchingOutlets
from test_agreement_on_chips import (
    ALL,
    CHIPS,
    FIVE,
    RULES,
    SILENT,
    after,
    before,
    build,
    same_weights,
    series,
)
from test_agreement_on_chips import same_state as same_chip_state

import neurosim as ns
from neurosim import simulator
from neurosim.engines import objects
from neurosim.engines.cuda import layout as layouts
from neurosim.engines.cuda import program as programs
from neurosim.engines.cuda.emulator import EmulatorEngine
from neurosim.engines.cuda.layout import Launch, Layout

# Numbers of threads that do not divide 64, or a thread meets its own sums again.
# One block; blocks with a few neurons each; more blocks than there are neurons. With memory of
# their own for weights, and without.
LAUNCHES = [Launch(1, 24, 0), Launch(3, 7, 1 << 20), Launch(40, 1, 0), Launch(18, 64, 1 << 20)]
MANY = 64  # columns from which on a matrix is summed in tiles


def put(monkeypatch, launch, order=0):
    monkeypatch.setattr(EmulatorEngine, "launch", launch)
    monkeypatch.setattr(EmulatorEngine, "order", order)


@dataclass(frozen=True)
class Soft:
    """A neuron model of one's own."""

    @staticmethod
    def activity(a):
        return a / (1 + abs(a))

    @staticmethod
    def slope(a):
        return 1 / ((1 + abs(a)) * (1 + abs(a)))


NP, ANP, WP, D = ns.NP, ns.ANP, ns.WP, ns.Decorrelation(1e-2)
STD = {"noise_std": 1e-2}
LATER = {"reward": "return_to_go", "window": 3}
# Rule, neuron, decorrelation, hidden neurons, replicas, steps: every option once, at odd sizes.
CASES = {
    "NP": (NP(1e-3, **STD), "tanh", None, 67, 3, 4),
    "NP, D, batch": (NP(1e-3, reward_scope="batch", **STD), "relu", D, 5, 2, 6),
    "NP, pairs, window": (
        NP(1e-3, pairs=2, schedule="window", window=4, **STD),
        "linear",
        D,
        7,
        3,
        9,
    ),
    "NP, signs": (NP(1e-3, distribution="rademacher", **STD), "leaky tanh", None, 1, 1, 6),
    "NP, to go": (NP(1e-3, resync_every=3, trace_decay=0.9, **LATER, **STD), "tanh", D, 7, 1, 9),
    "NP, global": (
        NP(1e-3, reward="global", schedule="sequence", **STD),
        "leaky relu",
        None,
        9,
        3,
        7,
    ),
    "NP, adam": (
        NP(1e-3, optimiser="adam", epsilon=1e-3, normalise=1.0, **STD),
        "tanh",
        D,
        6,
        2,
        7,
    ),
    "NP, set back": (NP(1e-3, resync_every=2, pairs=1, **STD), "leaky linear", D, 11, 2, 7),
    "ANP": (ANP(1e-3, **STD), "tanh", ns.LocalDecorrelation(1e-2), 71, 1, 4),
    "ANP, D": (ANP(1e-3, **STD), "leaky tanh", D, 67, 3, 4),
    "ANP, published": (ANP(1e-3, scale="published", **STD), "tanh", D, 66, 10, 3),
    "ANP, separate": (ANP(1e-3, layers="separate", pairs=1, **STD), "relu", None, 9, 3, 6),
    "ANP, both": (ANP(1e-3, passes="both", **STD), "tanh", D, 7, 3, 6),
    "ANP, batch, later": (ANP(1e-3, reward_scope="batch", **LATER, **STD), "tanh", D, 65, 2, 6),
    "WP": (WP(1e-4, **STD), "tanh", D, 70, 3, 4),
    "WP, signs": (WP(1e-4, distribution="rademacher", pairs=1, **STD), "relu", None, 65, 1, 4),
    "WP, global": (
        WP(1e-4, reward="global", window=4, schedule="window", **STD),
        "tanh",
        D,
        6,
        3,
        9,
    ),
    "WP, momentum": (WP(1e-4, optimiser="momentum", **STD), "tanh", None, 6, 2, 6),
    "learned feedback": (ns.LearnedFeedback(1e-3, feedback_rate=0.3, **STD), "tanh", D, 7, 3, 6),
    "learned feedback, tiles": (
        ns.LearnedFeedback(1e-3, feedback_rate=0.3),
        "relu",
        None,
        66,
        1,
        4,
    ),
    "RFLO": (ns.RFLO(1e-2), "leaky tanh", D, 9, 3, 6),
    "one's own": (Branching(1e-4), "tanh", BranchingOutlets(1e-3), 21, 3, 6),
    "no rule": (None, "tanh", D, 7, 2, 5),
}


def run(case, engine, bias=0.0, outputs=True):
    rule, neuron, decorrelation, hidden, batch, steps = CASES[case]
    generator = np.random.default_rng(3)
    shapes = ((steps, batch, 3), (steps, batch, 2))
    inputs, targets = (generator.normal(size=shape) for shape in shapes)
    net = ns.rnn(
        3,
        hidden,
        2,
        decorrelate=decorrelation is not None,
        neuron=NEURONS[neuron],
        bias=bias,
        seed=2,
    )
    sim = ns.Simulator(net, rule, decorrelation, batch=batch, engine=engine, seed=11)
    return sim, sim.run(inputs, targets, outputs=outputs)


def numbers(sim, record):
    """All that a run leaves."""
    return [
        record.loss,
        *record.reward.values(),
        *sim.weights.values(),
        *sim._engine.state().values(),
    ]


@pytest.mark.parametrize("case", CASES)
def test_phases_agree_with_the_oracle(case, monkeypatch):
    monkeypatch.setattr(objects, "LARGEST", 40_000)
    put(monkeypatch, LAUNCHES[list(CASES).index(case) % len(LAUNCHES)], order=5)
    (oracle, expected), (engine, got) = (run(case, name) for name in ("objects", "emulator"))
    report_the_same(got, expected)
    still = oracle.network.initial_weights()
    if CASES[case][0] is not None:
        start = {name: still.get(name, 0 * values) for name, values in oracle.weights.items()}
        agree(engine, oracle, start)
    for name, values in engine._engine.state().items():
        if not name.endswith("readings"):
            close(values, oracle._engine.state()[name])


@pytest.mark.parametrize("chip", [*CHIPS, "five", "all"])
def test_phases_agree_with_the_oracle_on_every_chip(chip, monkeypatch):
    given = {**CHIPS, "five": FIVE, "all": ALL}[chip]
    put(monkeypatch, Launch(3, 4, 1 << 20), order=2)
    agree_on(ns.ANP(1e-3, noise_std=0.1), given)


def test_every_assumption_is_among_these_chips():
    assumed = {name for chip in CHIPS.values() for name in chip}
    rest = {"seed", "telegraph_dwell", "rounding"}
    assert {field.name for field in fields(ns.Substrate)} - rest <= assumed


@pytest.mark.parametrize(
    "rule", ["ANP, both, set back", "NP to go", "WP global", "NP adam", "RFLO"]
)
def test_phases_agree_with_the_oracle_on_much_at_once(rule, monkeypatch):
    put(monkeypatch, Launch(4, 3, 0), order=1)
    quiet = rule in SILENT
    chip = {k: v for k, v in ALL.items() if not (quiet and k.startswith("reward_"))}
    agree_on(RULES[rule], chip, batch=1 if rule == "NP to go" else 3)


def agree_on(rule, chip, **more):
    oracle, engine = (build(rule, chip, name, **more) for name in ("objects", "emulator"))
    start = oracle.weights
    for run, (steps, reset) in enumerate(((5, True), (2, False))):
        given = series(oracle, steps, run)
        expected, got = (sim.run(*given, reset=reset, outputs=True) for sim in (oracle, engine))
        report_the_same(got, expected)
    same_weights(engine.weights, oracle.weights, start)
    same_chip_state(engine._engine.state(), oracle._engine.state())
    given = series(oracle, 2, 5)
    expected, got = (sim.evaluate(*given) for sim in (oracle, engine))
    report_the_same(got, expected)


@pytest.mark.parametrize("rule", [NP(1e-3), ANP(1e-3), WP(1e-4)], ids=["NP", "ANP", "WP"])
def test_phases_agree_with_the_cpu_engine_at_a_real_size(rule, monkeypatch):
    put(monkeypatch, Launch(20, 32, 1 << 20))
    generator = np.random.default_rng(0)
    inputs, targets = (generator.normal(size=(3, 10, 1)) for _ in range(2))
    net, found = ns.rnn(1, 300, 1, decorrelate=True, seed=1), []
    for engine in ("cpu", "emulator"):
        sim = ns.Simulator(net, rule, ns.Decorrelation(1e-5), batch=10, engine=engine, seed=4)
        found.append((sim, sim.run(inputs, targets, outputs=True)))
    report_the_same(found[1][1], found[0][1])
    agree(found[1][0], found[0][0], net.initial_weights())


SAME = [
    "NP",
    "ANP, D",
    "WP",
    "NP, to go",
    "ANP, published",
    "learned feedback",
    "ANP, batch, later",
]


@pytest.mark.parametrize("case", SAME)
def test_however_blocks_and_threads_come_all_bits_are_the_same(case, monkeypatch):
    found = []
    for order, launch in enumerate((*LAUNCHES, LAUNCHES[1])):
        put(monkeypatch, launch, order)
        found.append(numbers(*run(case, "emulator")))
    for other in found[1:]:
        for values, expected in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(values, expected)


def deep(engine):
    """Two hidden populations, both decorrelated, a skip and feedback."""
    net = ns.Network(
        populations=(
            ns.Population("retina", 3),
            ns.Population("first", 70, ns.ReLU(), decorrelation="D1"),
            ns.Population("second", 9, Soft(), decorrelation="D2"),
            ns.Population("out", 2, ns.Linear(), decorrelation="D3"),
        ),
        projections=(
            ns.Projection("in", "retina", "first"),
            ns.Projection("up", "first", "second"),
            ns.Projection("skip", "retina", "out"),
            ns.Projection("back", "second", "first", delay=1),
            ns.Projection("loop", "out", "second", delay=1),
            ns.Projection("again", "out", "out", delay=1),
            ns.Projection("read", "second", "out"),
            ns.Projection("late", "first", "out", delay=1),
        ),
        seed=6,
    )
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(6, 2, 3)), generator.normal(size=(6, 2, 2))
    rule = ns.ANP(1e-3, noise_std=1e-2)
    sim = ns.Simulator(net, rule, ns.Decorrelation(1e-2), batch=2, engine=engine, seed=1)
    return sim, sim.run(inputs, targets, outputs=True)


def test_phases_agree_on_a_deep_network_whose_outputs_are_heard(monkeypatch):
    put(monkeypatch, LAUNCHES[1], order=3)
    (oracle, expected), (engine, got) = (deep(name) for name in ("objects", "emulator"))
    report_the_same(got, expected)
    agree(engine, oracle, oracle.network.initial_weights())


# ---------------------------------------------------------------- negative controls


def differs_by_order(make, monkeypatch, launch):
    found = []
    for order in range(6):
        put(monkeypatch, launch, order)
        with np.errstate(all="ignore"):
            try:
                found.append(numbers(*make()))
            except ns.DivergenceError:
                return True
    pairs = (zip(other, found[0], strict=True) for other in found[1:])
    return any((a != b).any() for a, b in itertools.chain(*pairs))


@pytest.mark.parametrize("case", ["ANP, D", "deep"])
def test_blocks_that_do_not_wait_are_found_out(case, monkeypatch):
    """Negative control: a race between blocks is another result in another order."""
    make = (lambda: deep("emulator")) if case == "deep" else (lambda: run(case, "emulator"))
    assert not differs_by_order(make, monkeypatch, LAUNCHES[1])

    def wrong(layout):
        return programs.without_waiting(programs.program(layout))

    monkeypatch.setattr(EmulatorEngine, "written", staticmethod(wrong))
    assert differs_by_order(make, monkeypatch, LAUNCHES[1])


def changed(change):
    """A program in which every work is what `change` makes of it."""

    def written(layout):
        given = programs.program(layout)
        made = [
            tuple(
                programs.Rounds(tuple(map(change, some.works)), some.times)
                for some in stretch
                if change(some.works[0]) is not None
            )
            for stretch in given.stretches
        ]
        first, *step, rest, last = made
        return programs.Program(first, tuple(step), rest, last)

    return staticmethod(written)


def test_threads_that_do_not_wait_are_found_out(monkeypatch):
    """Negative control: threads that go on where they must not."""

    def hurried(work):
        return programs.replace(work, joined=work.phase is not None and work.phase.name != "settle")

    monkeypatch.setattr(EmulatorEngine, "written", changed(hurried))
    assert differs_by_order(lambda: run("NP, adam", "emulator"), monkeypatch, Launch(1, 16, 0))


def test_what_nobody_fetched_is_no_number(monkeypatch):
    """Negative control: a block's own memory holds NaN until somebody writes there."""
    put(monkeypatch, LAUNCHES[1])

    def forgetful(work):
        return None if work.phase is not None and work.phase.name == "fetch" else work

    monkeypatch.setattr(EmulatorEngine, "written", changed(forgetful))
    with pytest.raises(ns.DivergenceError):
        run("NP", "emulator")


# ---------------------------------------------------------------------------- going on


@pytest.mark.parametrize("rule", ["ANP, both", "ANP, both, set back", "NP to go"])
def test_a_chip_that_is_stopped_in_mid_flight_goes_on(rule, tmp_path, monkeypatch):
    """Bit for bit in itself, on other blocks too; within rounding on another engine and back."""
    put(monkeypatch, Launch(3, 8, 0))
    path, back = tmp_path / "chip.npz", tmp_path / "back.npz"
    sim = before(build(RULES[rule], ALL, "emulator"))
    sim.save(path)
    start, expected = sim.weights, after(sim)
    put(monkeypatch, Launch(5, 4, 1 << 20), order=9)
    for values, wanted in zip(after(ns.Simulator.load(path)), expected, strict=True):
        np.testing.assert_array_equal(values, wanted)
    other = ns.Simulator.load(path, engine="cpu")
    other.save(back)
    again = ns.Simulator.load(back, engine="emulator")
    for there in (other, again):
        for values, wanted in zip(after(there)[:-4], expected[:-4], strict=True):
            assert np.abs(values - wanted).max() <= 3 * ROUNDING * np.abs(wanted).max()
        same_weights(there.weights, sim.weights, start, times=3)


@pytest.mark.parametrize("case", ["NP, to go", "ANP, D", "NP, adam"])
def test_a_run_in_stretches_is_the_run_in_one(case, monkeypatch):
    whole = numbers(*run(case, "emulator"))
    monkeypatch.setattr(simulator, "STRETCH", 1)
    for values, wanted in zip(numbers(*run(case, "emulator")), whole, strict=True):
        np.testing.assert_array_equal(values, wanted)


def test_synapses_that_wait_for_nothing_are_seen_to_remember_nothing():
    net, rule = ns.rnn(3, 20, 2, seed=1), ANP({"B": 1e-3}, reward="return_to_go")
    probe = ns.Probe("R", "eligibility", pass_=1)
    for engine in ("cpu", "emulator"):
        sim = ns.Simulator(net, rule, engine=engine)
        seen = sim.run(np.ones((3, 1, 3)), np.ones((3, 1, 2)), probes=[probe]).probes
        assert not seen[probe.name].any()


@pytest.mark.parametrize("rate", [10.0, 1e30])
def test_numbers_that_are_not_finite_end_a_run_in_the_step_in_which_they_do_on_cpu(rate):
    told = []
    for engine in ("cpu", "emulator"):
        net = ns.rnn(2, 9, 1, neuron=ns.Linear(), seed=1)
        sim = ns.Simulator(net, ns.NP(rate), batch=2, engine=engine, seed=3)
        with pytest.raises(ns.DivergenceError) as error:
            sim.run(np.ones((200, 2, 2)), np.zeros((200, 2, 1)))
        told.append((error.value.projection, error.value.step))
    assert told[0] == told[1]


def test_side_by_side_is_one_after_the_other():
    def some():
        nets = [ns.rnn(2, 9, 1, seed=i) for i in range(3)]
        return [
            ns.Simulator(net, NP(1e-3 * (1 + i)), batch=2, engine="emulator", seed=i)
            for i, net in enumerate(nets)
        ]

    inputs, targets = np.random.default_rng(0).normal(size=(2, 3, 5, 2, 2))
    together, alone = some(), some()
    records = ns.side_by_side(together, inputs, targets[..., :1])
    for sim, one, record, u, y in zip(together, alone, records, inputs, targets, strict=True):
        np.testing.assert_array_equal(record.loss, one.run(u, y[..., :1]).loss)
        for name, weights in sim.weights.items():
            np.testing.assert_array_equal(weights, one.weights[name])


@pytest.mark.parametrize("wrong", ["twice", "engines", "length", "none"])
def test_simulators_that_cannot_run_side_by_side_are_refused(wrong):
    net = ns.rnn(1, 3, 1)
    one, other = (ns.Simulator(net, NP(1e-3), engine=name) for name in ("cpu", "objects"))
    sims = {"twice": [one, one], "engines": [one, other], "length": [one], "none": []}[wrong]
    with pytest.raises(ns.InputError, match="side_by_side"):
        ns.side_by_side(sims, np.ones((2, 3, 1, 1)), np.ones((2, 3, 1, 1)))


# ---------------------------------------------------------------------------- refusals


def test_more_numbers_than_can_be_counted_are_refused(monkeypatch):
    sim = ns.Simulator(ns.rnn(1, 70, 1, seed=1), NP(1e-3))
    large = replace(sim._plan, network=ns.rnn(1, 70_000, 1, seed=1))
    with pytest.raises(ns.InputError, match="32 bits"):
        Layout(large, Launch(4))  # before anything is allocated
    monkeypatch.setattr(layouts, "ENTRIES", 1000)
    with pytest.raises(ns.InputError, match="32 bits"):
        run("NP", "emulator")


@pytest.mark.parametrize("given", [{"threads": 2}, {"rule": ns.BPTT(1e-3)}], ids=str)
def test_what_the_emulator_cannot_do_is_refused(given):
    with pytest.raises(ns.InputError, match="emulator"):
        ns.Simulator(ns.rnn(1, 3, 1), **{"rule": NP(1e-3), "engine": "emulator", **given})


@pytest.mark.parametrize("blocks", [1, 7, 132])
@pytest.mark.parametrize("n", [1, 6, 65, 1000])
def test_every_chunk_of_neurons_is_one_blocks(n, blocks):
    sim = ns.Simulator(ns.rnn(1, n, 1, seed=1), NP(1e-3))
    layout = Layout(sim._plan, Launch(blocks))
    chunks = layout.chunks("hidden")
    shares = [(chunks * b // blocks, chunks * (b + 1) // blocks) for b in range(blocks)]
    assert [chunk for first, stop in shares for chunk in range(first, stop)] == list(range(chunks))
    assert max(stop - first for first, stop in shares) <= layout.most_chunks("hidden")
