"""Counts of operations are those of plain loops; memory and energy are what they are made of."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import neurosim as ns
from neurosim.experiments import Experiment, load
from neurosim.experiments.report import costs, neurobench
from neurosim.experiments.report.energy import COSTS, Cost
from neurosim.neurons import Linear, One, ReLU
from neurosim_tasks import Copying, MackeyGlass

TINY = Path(__file__).parent / "tiny.toml"
T, SERIES = 7, 3


# ------------------------------------------------------------------------- by plain loops


def look(sim, inputs, targets):
    """All that neurons do and send on some data."""
    probes = [ns.Probe(p.name, v) for p in sim.network.populations for v in ("a", "x", "s")]
    return sim.evaluate(inputs, targets, probes=probes).probes


def counted(sim, inputs, targets):
    """Count every operation one by one: step by step, series by series, weight by weight."""
    network, weights, seen = sim.network, sim.weights, look(sim, inputs, targets)
    paths = [(p.name, p.pre, "s", p.delay) for p in network.projections]
    paths += [(p.decorrelation, p.name, "x", 0) for p in network.populations if p.decorrelation]
    steps, series = inputs.shape[:2]
    macs = acs = dense = zeros = size = 0
    for name, pre, variable, delay in paths:
        effective, plain = 0, True
        for t in range(steps):
            for k in range(series):
                for j in range(weights[name].shape[1]):
                    there = t >= delay
                    came = seen[f"{pre}.{variable}"][t - delay, k, j] if there else 0.0
                    plain &= came in (-1.0, 0.0, 1.0)
                    for i in range(weights[name].shape[0]):
                        dense += 1
                        effective += came != 0 and weights[name][i, j] != 0
        acs, macs = (acs + effective, macs) if plain else (acs, macs + effective)
        size += weights[name].size
        zeros += sum(1 for w in weights[name].ravel() if w == 0)
    hidden = [p.name for p in network.populations[1:-1] if p.neuron != One()]
    activities = [float(x) for name in hidden for x in seen[f"{name}.x"].ravel()]
    count = steps * series
    return {
        "footprint": 4 * size,
        "connection_sparsity": zeros / size,
        "activation_sparsity": activities.count(0.0) / len(activities),
        "dense": dense / count,
        "effective_macs": macs / count,
        "effective_acs": acs / count,
    }


def data(n_in=2, n_out=2, binary=False, seed=0):
    draw = np.random.default_rng(seed)
    inputs = draw.integers(-1, 2, (T, SERIES, n_in)) if binary else draw.random((T, SERIES, n_in))
    if not binary:
        inputs[draw.random(inputs.shape) < 0.3] = 0
    return inputs.astype(np.float32), np.zeros((T, SERIES, n_out), dtype=np.float32)


def thinned(sim, part=0.4, seed=1):
    """Put some weights to exactly 0, also of D."""
    draw = np.random.default_rng(seed)
    sim.weights = {
        name: np.where(draw.random(w.shape) < part, 0, w + 0.1) for name, w in sim.weights.items()
    }
    return sim


def network(**options):
    return ns.rnn(2, 5, 2, seed=3, **{"gain": 1.5, "neuron": ReLU(), **options})


TWO_LAYERS = ns.Network(
    populations=(
        ns.Population("in", 2),
        ns.Population("low", 4, ReLU(), decorrelation="D"),
        ns.Population("high", 3, ReLU()),
        ns.Population("out", 2, Linear()),
    ),
    projections=(
        ns.Projection("up", "in", "low"),
        ns.Projection("on", "low", "high"),
        ns.Projection("back", "high", "low", delay=1),
        ns.Projection("read", "high", "out"),
        ns.Projection("past", "out", "high", delay=1),
    ),
    seed=2,
)
KINDS = {
    "ReLU": (network(), {}, {}),
    "tanh": (network(neuron=None), {}, {}),
    "binary inputs": (network(), {}, {"binary": True}),
    "decorrelated": (network(decorrelate=True), {}, {}),
    "bias": (network(bias=0.5), {}, {}),
    "leaky": (network(neuron=ReLU(tau=2.0)), {}, {}),
    "two layers": (TWO_LAYERS, {}, {}),
    "coarse events": (
        network(neuron=None, decorrelate=True),
        {"substrate": ns.Substrate(event_bits=3, event_range=1.0)},
        {},
    ),
    "few events": (network(neuron=None), {"substrate": ns.Substrate(event_bits=2)}, {}),
    "coarse weights": (network(), {"substrate": ns.Substrate(w_bits=3, w_max=1.0)}, {}),
    "feedback": (network(neuron=None), {"rule": ns.RFLO(learning_rate=0.01)}, {}),
    "objects": (network(decorrelate=True, bias=0.5), {"engine": "objects"}, {}),
    "BPTT": (network(neuron=None), {"rule": ns.BPTT(learning_rate=0.01)}, {}),
}


def made(kind):
    net, options, of_data = KINDS[kind]
    return thinned(ns.Simulator(net, **options)), *data(**of_data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_counts_are_those_of_plain_loops(kind):
    sim, inputs, targets = made(kind)
    found = neurobench.measure(sim, inputs, targets)
    assert vars(found) == pytest.approx(counted(sim, inputs, targets), rel=1e-12)
    assert 0 < found.connection_sparsity < 1
    assert 0 < found.effective_macs + found.effective_acs < found.dense


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "leaky"])
def test_what_the_loops_let_arrive_is_what_makes_the_next_activity(kind):
    """The truth beneath: weights times what arrives are a neuron's pre-activation."""
    sim, inputs, targets = made(kind)
    seen, weights = look(sim, inputs, targets), sim.weights
    shown = {name: seen[f"{name}.a"].copy() for name in {p.post for p in sim.network.projections}}
    for p in sim.network.projections:
        sent = seen[f"{p.pre}.s"]
        came = np.concatenate([np.zeros_like(sent[:1]), sent[:-1]]) if p.delay else sent
        shown[p.post] -= came @ weights[p.name].T
    for left in shown.values():
        np.testing.assert_allclose(left, 0, atol=1e-5)
    for p in sim.network.populations:
        if p.decorrelation and not sim.substrate.event_bits:
            sent = seen[f"{p.name}.x"] @ weights[p.decorrelation].T
            np.testing.assert_allclose(seen[f"{p.name}.s"], sent, atol=1e-5)


def test_zeros_really_occur_where_they_are_looked_for():
    for kind in ("ReLU", "decorrelated", "bias", "two layers", "coarse events"):
        assert counted(*made(kind))["effective_macs"] > 0
    assert counted(*made("ReLU"))["activation_sparsity"] > 0.05
    assert counted(*made("binary inputs"))["effective_acs"] > 0
    assert counted(*made("bias"))["effective_acs"] > 0  # of a unit that is always on
    seen = look(*made("coarse events"))
    assert ((seen["hidden.s"] == 0) & (seen["hidden.x"] != 0)).any()
    net, options, _ = KINDS["coarse weights"]
    assert (ns.Simulator(net, **options).weights["R"] == 0).any()


def test_the_first_step_of_a_delayed_projection_meets_nothing():
    """Where every activity and weight is not 0, only rest is missing."""
    sim = ns.Simulator(network(neuron=None))
    inputs, targets = np.ones((T, SERIES, 2), np.float32), np.zeros((T, SERIES, 2), np.float32)
    found = neurobench.measure(sim, inputs, targets)
    assert found.dense == 2 * 5 + 5 * 5 + 5 * 2
    assert found.effective_acs == 2 * 5  # A alone meets nothing but 1
    assert found.effective_macs == pytest.approx(5 * 2 + 5 * 5 * (T - 1) / T)


def test_decorrelation_meets_the_activity_and_what_follows_meets_its_result():
    sim = ns.Simulator(network(decorrelate=True, neuron=Linear()))
    sim.weights = {"D": np.zeros((5, 5))}  # x is not 0, s is
    inputs, targets = np.full((T, SERIES, 2), 0.5, np.float32), np.zeros((T, SERIES, 2), np.float32)
    found = neurobench.measure(sim, inputs, targets)
    assert found.activation_sparsity == 0
    assert found.effective_macs == 2 * 5  # A
    sim.weights = {"D": np.eye(5)}
    found = neurobench.measure(sim, inputs, targets)
    assert found.effective_macs == pytest.approx(2 * 5 + 5 + 5 * 2 + 5 * 5 * (T - 1) / T)


def test_copying_is_accumulated_at_the_input_and_multiplied_elsewhere():
    task = Copying(length=2, delay=1, batch=1, sequences=2, test_sequences=3)
    sim = ns.Simulator(ns.rnn(10, 6, 10, seed=1))
    found = neurobench.measure(sim, *task.test())
    assert found.effective_acs == 6  # one channel is on
    steps = task.steps
    assert found.effective_macs == pytest.approx(6 * 10 + 36 * (steps - 1) / steps)
    assert found.dense == 60 + 36 + 60
    assert vars(found) == pytest.approx(counted(sim, *task.test()))


def test_one_number_between_makes_multiplications_of_all():
    sim, (inputs, targets) = ns.Simulator(network()), data(binary=True)
    assert neurobench.measure(sim, inputs, targets).effective_acs > 0
    inputs = inputs.copy()
    inputs[3, 1, 0] = 0.5
    assert neurobench.measure(sim, inputs, targets).effective_acs == 0


def test_weights_that_teach_are_none_of_the_network_s():
    sim = ns.Simulator(network(neuron=None), rule=ns.RFLO(learning_rate=0.01))
    teaching = set(sim.weights) - set(sim.network.matrices)
    assert teaching
    found = neurobench.measure(sim, *data())
    plain = neurobench.measure(ns.Simulator(network(neuron=None)), *data())
    assert found == plain
    assert found.footprint == 4 * (2 * 5 + 5 * 5 + 5 * 2)


def test_a_network_of_nothing_but_zeros():
    sim = ns.Simulator(network(decorrelate=True))
    sim.weights = {name: np.zeros_like(w) for name, w in sim.weights.items()}
    found = neurobench.measure(sim, *data())
    assert (found.connection_sparsity, found.activation_sparsity) == (1, 1)
    assert (found.effective_macs, found.effective_acs) == (0, 0)
    assert found.dense == found.footprint / 4 == 2 * 5 + 2 * 5 * 5 + 5 * 2


def test_a_network_without_any_zero():
    sim = ns.Simulator(network(neuron=None))
    found = neurobench.measure(sim, *data())
    assert (found.connection_sparsity, found.activation_sparsity) == (0, 0)


@pytest.mark.parametrize(("room", "groups"), [(1, [1, 1, 1]), (1100, [2, 1]), (2**30, [3])])
@pytest.mark.parametrize("kind", ["ReLU", "binary inputs", "decorrelated"])
def test_how_many_series_are_looked_at_together_changes_nothing(monkeypatch, room, groups, kind):
    sim, inputs, targets = made(kind)
    found = neurobench.measure(sim, inputs, targets)
    monkeypatch.setattr(neurobench, "ROOM", room)
    seen, evaluate = [], type(sim).evaluate

    def watched(self, inputs, *rest, **options):
        seen.append(inputs.shape[1])
        return evaluate(self, inputs, *rest, **options)

    monkeypatch.setattr(type(sim), "evaluate", watched)
    assert neurobench.measure(sim, inputs, targets) == found
    assert seen == groups


def test_measuring_leaves_the_simulator_as_it_is():
    sim = ns.Simulator(network(), rule=ns.ANP(learning_rate=0.01), batch=SERIES, seed=4)
    inputs, targets = data()
    sim.run(inputs, targets)
    before, step = sim.weights, sim.step
    neurobench.measure(sim, inputs, targets)
    assert sim.step == step
    assert all((w == before[name]).all() for name, w in sim.weights.items())


# --------------------------------------------------------------------------------- energy


def test_an_energy_is_what_each_costs_times_how_many():
    cost = Cost("x", multiply=2.0, add=3.0, write=5.0, update=7.0, source="y")
    assert cost.of() == 0
    assert cost.of(multiplied=10) == 20
    assert cost.of(added=10) == 30
    assert cost.of(written=10) == 50
    assert cost.of(updated=10) == 70
    assert cost.of(1, 1, 1, 1) == 17


def test_what_others_published_is_ordered_as_it_should_be():
    assert len(COSTS) == len({cost.where for cost in COSTS}) == 4
    for low, high in pairwise(COSTS):
        assert 0 < low.multiply < high.multiply
        assert 0 < low.write < high.write
        assert 0 < low.add < high.add
    for cost in COSTS:
        assert cost.add <= cost.multiply <= cost.write
        assert cost.update >= 0
        assert re.search(r"(19|20)\d\d", cost.source), "when it was published"
        assert re.search(r"\d+ nm", cost.source), "of what process"
        assert 1e-14 < cost.add < cost.write < 1e-8  # joules, not picojoules
    first, second, loihi, dram = COSTS
    assert all(cost.source.startswith("Horowitz") for cost in (first, second, dram))
    assert loihi.source.startswith("Davies")


def test_the_figures_are_the_published_ones():
    """Horowitz 2014, figure 1.1.9; Davies 2018, table 2. In picojoules."""
    eight, float32, loihi, dram = (
        [round(value * 1e12, 6) for value in (c.multiply, c.add, c.write, c.update)] for c in COSTS
    )
    assert eight[:2] == [0.2 + 0.03, 0.03]
    assert float32[:2] == [pytest.approx(3.7 + 0.9), 0.9]
    assert loihi == [23.6, 23.6, 120, 81]
    assert all(value >= 1300 for value in dram[:3])


def told(sim, task, **found):
    given = {"steps": 0, "seconds": 0.0, "seconds_per_step": math.nan, "memory": None}
    given |= {"rule": type(sim.rule).__name__, "batch": sim.batch, "engine": sim.engine, **found}
    return "\n".join([*costs.learning(given), *costs.network(sim, task, given)])


def joules(text):
    units = {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12}
    number, unit = text.split("\u00a0")
    return float(number) * units[unit]


COUNTS = {"events": 30.0, "synaptic_operations": 400.0, "weight_writes": 90.0}


@pytest.mark.parametrize("steps", [0, 1, 1000, 10**12])
@pytest.mark.parametrize("zero", [False, True])
def test_the_range_holds_every_row(steps, zero):
    sim, task = ns.Simulator(ns.rnn(1, 5, 1, seed=1)), MackeyGlass(steps=10, horizon=3)
    if zero:
        sim.weights = {name: np.zeros_like(w) for name, w in sim.weights.items()}
    given = {"steps": steps, "seconds": 1.0, "seconds_per_step": 1.0, **COUNTS} if steps else {}
    text = told(sim, task, **given)
    ranges = re.findall(r"etween \*\*(.+?)\*\* and \*\*(.+?)\*\*", text)
    assert len(ranges) == (2 if steps else 1)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if any(line.startswith(f"| {cost.where} ") for cost in COSTS)
    ]
    assert len(rows) == len(COSTS)
    for (low, high), column in zip(ranges, (1, 3), strict=False):
        values = [joules(row[column]) for row in rows]
        assert (joules(low), joules(high)) == (min(values), max(values))
        assert joules(low) < joules(high)
    for cost in COSTS:
        assert f"- {cost.where}: {cost.source}." in text


def test_a_unit_that_is_always_on_is_no_neuron_that_is_updated():
    task = MackeyGlass(steps=10, horizon=3)
    sims = [ns.Simulator(ns.rnn(1, 5, 1, bias=bias, seed=1)) for bias in (0.0, 1.0)]
    for sim in sims:
        sim.weights = {name: np.zeros_like(w) for name, w in sim.weights.items()}
    (line,) = {
        next(line for line in told(sim, task).splitlines() if "neuromorphic chip" in line)
        for sim in sims
    }
    assert line.endswith(f"| {costs.energy(6 * 81e-12)} |")


@pytest.mark.parametrize(
    ("write", "value", "says"),
    [
        (costs.energy, 0, "0 pJ"),
        (costs.energy, 1.234e-12, "1.23 pJ"),
        (costs.energy, 5e-15, "0.005 pJ"),
        (costs.energy, 2e-9, "2 nJ"),
        (costs.energy, 3.5e-6, "3.5 µJ"),
        (costs.energy, 0.25, "250 mJ"),
        (costs.energy, 12, "12 J"),
        (costs.duration, 2e-6, "2 µs"),
        (costs.duration, 0.5, "500 ms"),
        (costs.duration, 59.9, "59.9 s"),
        (costs.duration, 90, "1.5 min"),
        (costs.duration, 5400, "1.5 h"),
        (costs.size, 100, "100 bytes"),
        (costs.size, 1500, "1.5 kB"),
        (costs.size, 2.5e6, "2.5 MB"),
        (costs.size, 3e9, "3 GB"),
    ],
)
def test_numbers_come_with_their_unit(write, value, says):
    assert write(value).replace("\u00a0", " ") == says


def test_a_chip_s_bits_make_the_footprint_smaller():
    task = MackeyGlass(steps=10, horizon=3)
    sim = ns.Simulator(ns.rnn(1, 8, 1, seed=1), substrate=ns.Substrate(w_bits=4))
    assert "| Footprint | 320 bytes (float32; at this chip's 4 bits 40) |" in told(sim, task)
    sim = ns.Simulator(ns.rnn(1, 8, 1, seed=1))
    assert "| Footprint | 320 bytes |" in told(sim, task)


# --------------------------------------------------------------------------------- memory

N_IN, HIDDEN, N_OUT = 3, 40, 2
WEIGHTS = N_IN * HIDDEN + HIDDEN**2 + HIDDEN * N_OUT
UNITS = N_IN + HIDDEN + N_OUT


def bytes_of(rule, steps=10, batch=2, decorrelate=False, **options):
    net = ns.rnn(N_IN, HIDDEN, N_OUT, decorrelate=decorrelate, seed=1)
    sim = ns.Simulator(net, rule=rule, batch=batch, seed=1, **options)
    inputs = np.full((steps, batch, N_IN), 0.1, np.float32)
    sim.run(inputs, np.zeros((steps, batch, N_OUT), np.float32))
    return sim.nbytes


def perturbs(kind=ns.ANP, **options):
    return kind(learning_rate=1e-6, **options)


def test_memory_holds_weights_and_activities_at_least():
    for rule in (perturbs(), perturbs(ns.WP), perturbs(ns.RFLO), perturbs(ns.BPTT)):
        assert bytes_of(rule) > 4 * WEIGHTS + 2 * 4 * 2 * HIDDEN
    assert bytes_of(perturbs()) < 4 * WEIGHTS + 10**6


def test_eligibility_traces_take_a_number_for_each_synapse_and_replica():
    for batch in (1, 4):
        local, late = (bytes_of(perturbs(reward=r), batch=batch) for r in ("local", "global"))
        assert 4 * batch * WEIGHTS <= late - local < 2 * 4 * (batch + 1) * WEIGHTS + 10**5


def test_replicas_have_activities_of_their_own_but_share_weights():
    one, eight = (bytes_of(perturbs(), batch=batch) for batch in (1, 8))
    assert eight - one >= 7 * 2 * 3 * 4 * UNITS  # a, x and s in both passes
    assert eight - one < 8 * 4 * WEIGHTS


def test_an_optimiser_remembers_for_each_synapse():
    plain, momentum, adam = (
        bytes_of(perturbs(optimiser=name)) for name in ("sgd", "momentum", "adam")
    )
    assert momentum - plain >= 4 * WEIGHTS
    assert adam - plain >= 2 * 4 * WEIGHTS


def test_decorrelation_takes_a_matrix():
    assert bytes_of(perturbs(), decorrelate=True) - bytes_of(perturbs()) >= 4 * HIDDEN**2


@pytest.mark.parametrize("kind", [ns.ANP, ns.NP, ns.WP, ns.RFLO])
def test_no_local_rule_s_memory_grows_with_the_sequence(kind):
    assert bytes_of(perturbs(kind), steps=5) == bytes_of(perturbs(kind), steps=500)


def past(steps, batch=2):
    """A chunk of the past: what came in, fired, was sent and was wrong."""
    return 4 * batch * (steps * (N_IN + 2 * HIDDEN + N_OUT) + HIDDEN)


def test_bptt_s_memory_grows_with_the_chunk_and_not_beyond():
    short, long = (bytes_of(perturbs(ns.BPTT, chunk=chunk), steps=400) for chunk in (10, 100))
    assert long - short == past(100) - past(10)
    assert bytes_of(perturbs(ns.BPTT, chunk=10), steps=800) == short


def test_bptt_over_whole_sequences_keeps_them_whole():
    short, long = (bytes_of(perturbs(ns.BPTT), steps=steps) for steps in (10, 300))
    assert long - short == past(300) - past(10)


def test_truncated_bptt_keeps_as_much_as_it_looks_back():
    few, many = (bytes_of(perturbs(ns.BPTT, truncate=k)) for k in (1, 8))
    assert many - few == past(8) - past(1)
    assert bytes_of(perturbs(ns.BPTT, truncate=8), steps=100) == many


def test_memory_is_the_most_it_was():
    sim = ns.Simulator(ns.rnn(1, 4, 1, seed=1), rule=perturbs(ns.BPTT))
    sizes = []
    for steps in (5, 50, 5):
        sim.run(np.ones((steps, 1, 1)), np.zeros((steps, 1, 1)))
        sizes.append(sim.nbytes)
    assert sizes[0] < sizes[1] == sizes[2]


@pytest.mark.parametrize("rule", [None, perturbs(), perturbs(ns.RFLO)])
def test_the_engine_of_objects_tells_of_weights_and_state(rule):
    sim = ns.Simulator(ns.rnn(2, 5, 1, seed=1), rule=rule, engine="objects", batch=2)
    assert sim.nbytes >= 4 * sum(w.size for w in sim.weights.values()) > 0


def test_looking_takes_no_memory_of_the_simulator_s():
    sim = ns.Simulator(ns.rnn(1, 5, 1, seed=1), rule=perturbs())
    before = sim.nbytes
    sim.evaluate(np.ones((100, 50, 1)), np.zeros((100, 50, 1)))
    assert sim.nbytes == before


@pytest.mark.parametrize(
    "overrides",
    [[], ["rule.name=BPTT", "rule.chunk=7"], ["training.engine=objects", "task.steps=8"]],
)
def test_memory_is_in_the_result(tmp_path, overrides):
    config = load(TINY, [*overrides, "baselines.enabled=false", "training.epochs=1"])
    result = Experiment(config, tmp_path / "run", draw=False).run(progress=False)
    kept = json.loads((tmp_path / "run" / "result.json").read_text())["memory"]
    assert kept == result.memory > 0
    sim = ns.Simulator.load(tmp_path / "run" / "checkpoint.npz")
    trained = config.simulator()
    trained.run(*(array[:, :2] for array in config.task.train(0)))
    assert kept == trained.nbytes
    assert kept >= sim.nbytes
    assert (
        f"memory of the simulator: {kept / 1e6:.3g} MB"
        in (tmp_path / "run" / "summary.md").read_text()
    )
