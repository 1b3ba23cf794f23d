"""The engine "cuda" from end to end, on a GPU that is made up: see `fake_cupy`.

Its kernels are the programs that a GPU would run, in the emulator; all around them is real.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace

import fake_cupy
import numpy as np
import pytest
from fake_cupy import GB, ORDINARY, Machine

import neurosim as ns
from neurosim import checkpoint
from neurosim.engines.cuda import device, engine, kernel
from neurosim.engines.cuda.engine import THREADS, spread
from neurosim.engines.cuda.layout import Launch, Layout
from neurosim.engines.cuda.program import program
from neurosim.engines.plan import Plan
from neurosim.simulator import Simulator

KINDS = {
    "NP": (ns.NP(1e-3, noise_std=0.1), False, {}),
    "ANP and D": (ns.ANP(1e-3, noise_std=0.1), True, {}),
    "WP": (ns.WP(1e-4, noise_std=0.1), False, {}),
    "late": (
        ns.NP(1e-3, noise_std=0.1, reward="return_to_go", window=3, optimiser="adam", epsilon=1e-3),
        False,
        {},
    ),
    "feedback": (ns.LearnedFeedback(1e-2, noise_std=0.1), False, {}),
    "frozen": (None, False, {}),
    "devices": (ns.ANP(1e-3, noise_std=0.1), True, {"w_bits": 6, "stuck_fraction": 0.3}),
    "a chip": (
        ns.ANP(1e-3, noise_std=0.1, passes="both"),
        False,
        {
            "act_noise": 0.02,
            "act_telegraph": 0.1,
            "mismatch_gain": 0.1,
            "drift_nu": 0.1,
            "event_loss": 0.1,
            "reward_delay": 2,
            "reward_noise": 0.1,
            "act_read_noise": 0.01,
        },
    ),
}
WANTED = "Out of memory allocating"


@pytest.fixture
def machine(monkeypatch):
    """A function that makes up a machine with a GPU, which is there until the test ends."""

    def make(**given):
        made = Machine(**given)
        monkeypatch.setitem(sys.modules, "cupy", made.cupy())
        monkeypatch.setattr(device, "missing", lambda: None)
        monkeypatch.setattr(kernel, "compiled", made.compiled)
        monkeypatch.delenv("NEUROSIM_CUDA_BLOCKS", raising=False)
        forget()
        return made

    yield make
    forget()


def forget():
    """Forget kernels that were loaded, and what was said."""
    engine._load.cache_clear()
    engine._say_once.cache_clear()


def build(kind, name, hidden=9, batch=2):
    rule, decorrelated, chip = KINDS[kind]
    net = ns.rnn(3, hidden, 2, decorrelate=decorrelated, neuron=ns.Tanh(tau=2.0), seed=2)
    decorrelation = ns.Decorrelation(1e-3) if decorrelated else None
    substrate = ns.Substrate(**chip, seed=7)
    return Simulator(net, rule, decorrelation, substrate, batch, engine=name, seed=11)


def series(steps, batch=2, seed=0):
    generator = np.random.default_rng(seed)
    shapes = ((steps, batch, 3), (steps, batch, 2))
    return tuple(generator.normal(size=shape) for shape in shapes)


def learns(sim):
    return sim.rule is not None


def the_same(got, expected):
    """Whether two records, or what engines keep, are equal to the bit."""
    if not isinstance(got, dict):
        got, expected = vars(got), vars(expected)
    assert got.keys() == expected.keys()
    for name, values in got.items():
        if isinstance(values, dict):
            the_same(values, expected[name])
        else:
            np.testing.assert_array_equal(values, expected[name], err_msg=name)


# ------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_the_emulator(machine, kind):
    machine()
    cuda, emulator = (build(kind, name) for name in ("cuda", "emulator"))
    assert (cuda.engine, emulator.engine) == ("cuda", "emulator")
    the_same(cuda.weights, emulator.weights)
    for run, (steps, reset) in enumerate(((4, True), (2, False), (1, False), (3, True))):
        learn = learns(cuda) and run != 2
        records = [
            sim.run(*series(steps, seed=run), learn, outputs=True, reset=reset)
            for sim in (cuda, emulator)
        ]
        the_same(*records)
        the_same(cuda.weights, emulator.weights)
    the_same(cuda._engine.state(), emulator._engine.state())
    start = cuda.network.initial_weights()
    assert learns(cuda) == np.any(cuda.weights["R"] != start["R"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_looked_at_is_that_of_the_emulator(machine, kind):
    made, given = machine(), series(4)
    cuda, emulator = (build(kind, name) for name in ("cuda", "emulator"))
    probes = [ns.Probe("hidden", "x", units=[0, 8]), ns.Probe("R", "w", steps=2)]
    if cuda._plan.passes > 1:
        probes += [ns.Probe("hidden", v, pass_=1) for v in ("a", "noise", "signal")]
        probes.append(ns.Probe("output", "a_read", pass_=1))
    if kind == "late":
        probes.append(ns.Probe("B", "eligibility", pass_=1))
    records = [sim.run(*given, learns(sim), probes=probes) for sim in (cuda, emulator)]
    the_same(*records)
    launches = len(made.launches)
    for noise in (True, False):
        the_same(*(sim.evaluate(*series(5, 3, 1), noise=noise) for sim in (cuda, emulator)))
    assert len(made.launches) == launches + 2
    the_same(cuda._engine.state(), emulator._engine.state())


@pytest.mark.parametrize("kind", ["NP", "ANP and D", "feedback", "devices", "a chip"])
def test_weights_are_written_and_read(machine, kind):
    machine()
    cuda, emulator = (build(kind, name) for name in ("cuda", "emulator"))
    generator = np.random.default_rng(1)
    wanted = {name: generator.normal(size=w.shape) / 3 for name, w in cuda.weights.items()}
    some = {"R": wanted["R"], "B": wanted["B"]}
    for weights in (some, wanted):
        for sim in (cuda, emulator):
            sim.weights = weights
        the_same(cuda.weights, emulator.weights)
    if kind in ("devices", "a chip"):
        stuck = cuda.weights["R"] != np.float32(wanted["R"])
        assert stuck.all() == (kind == "devices")
    else:
        for name, values in wanted.items():
            np.testing.assert_array_equal(cuda.weights[name], np.float32(values))
    the_same(*(sim.run(*series(3), True) for sim in (cuda, emulator)))
    with pytest.raises(ns.InputError, match=r"weights\['Q'\] does not exist"):
        cuda.weights = {"Q": wanted["R"]}


def test_it_blows_up_at_the_same_step_as_the_emulator(machine):
    machine()
    said = []
    for name in ("cuda", "emulator"):
        sim = Simulator(ns.rnn(3, 9, 2, neuron=ns.Linear(), seed=2), ns.NP(1e3), engine=name)
        with pytest.raises(ns.DivergenceError) as caught:
            sim.run(*series(40, 1))
        said.append((str(caught.value), caught.value.step))
    assert said[0] == said[1]
    assert 0 < said[0][1] < 40


# --------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_what_it_saved(machine, kind, tmp_path):
    machine()
    sim, path = build(kind, "cuda"), tmp_path / "saved.npz"
    sim.run(*series(5), learns(sim))
    sim.save(path)
    assert checkpoint.read(path)[1]["engine"] == "cuda"
    expected = sim.run(*series(4, seed=1), learns(sim), reset=False)
    for name in ("cuda", "emulator", None):
        moved = Simulator.load(path, engine=name)
        assert (moved.engine, moved.step) == (name or "cuda", 5)
        the_same(moved.run(*series(4, seed=1), learns(sim), reset=False), expected)
        the_same(moved.weights, sim.weights)
        the_same(moved._engine.state(), sim._engine.state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("first", "second"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_checkpoints_go_from_engine_to_engine(machine, kind, first, second, tmp_path):
    machine()
    sim, path = build(kind, first), tmp_path / "saved.npz"
    sim.run(*series(5), learns(sim))
    sim.save(path)
    moved = Simulator.load(path, engine=second)
    assert (moved.engine, moved.step) == (second, 5)
    the_same(moved.weights, sim.weights)
    got, expected = (s.run(*series(4, seed=1), learns(s), reset=False) for s in (moved, sim))
    np.testing.assert_allclose(got.loss, expected.loss, rtol=1e-3, atol=1e-4)


# ------------------------------------------------------------------------------ launches


def test_a_run_is_one_launch_and_as_many_as_there_are_looks_at_it(machine):
    made, sim = machine(), build("ANP and D", "cuda")
    sim.run(*series(300))
    assert [(launch.steps, launch.networks) for launch in made.launches] == [(300, 1)]
    sim.run(*series(7), probes=[ns.Probe("R", "w", steps=3)])
    assert [launch.steps for launch in made.launches[1:]] == [1, 3, 3]
    sim.run(*series(1), learn=False)
    assert [launch.steps for launch in made.launches[4:]] == [1]
    assert len({launch.name for launch in made.launches}) == 1


def test_long_runs_of_large_networks_are_few_launches(machine):
    """A GPU is told what to do every few minutes' work of a core, not every 0.1 s of it."""
    machine()
    sim = Simulator(ns.rnn(3, 1000, 2), ns.NP(1e-3), engine="cuda", batch=10)
    assert len(sim._stretches(sim._engine, 5000)) == 1
    assert len(sim._stretches(sim._engine, 50_000)) < 10


def test_a_kernel_is_loaded_once(machine):
    made = machine()
    sims = [build("NP", "cuda") for _ in range(2)]
    for sim in sims:
        sim.run(*series(2))
        sim.evaluate(*series(2))
        sim.evaluate(*series(2))
    assert len(made.loaded) == len(set(made.loaded)) == 2  # one learns, one only looks
    other = Simulator(ns.rnn(3, 10, 2), ns.NP(1e-3), engine="cuda", batch=2)
    other.run(*series(2))
    assert len(made.loaded) == 3


def test_rates_seeds_and_noise_are_not_in_the_kernel(machine):
    made, net = machine(), ns.rnn(3, 9, 2, seed=1)
    ends = []
    for rate, std, seed in ((1e-3, 0.1, 1), (2e-3, 0.1, 1), (1e-3, 0.2, 1), (1e-3, 0.1, 2)):
        sim = Simulator(net, ns.NP(rate, noise_std=std), engine="cuda", seed=seed)
        sim.run(*series(3, 1))
        ends.append(sim.weights["R"].tobytes())
    assert len(set(ends)) == 4
    assert len(made.loaded) == 1


# -------------------------------------------------------------------------- side by side


def some(count, name="cuda", kind="ANP and D", hidden=9):
    """Simulators that differ in their seeds and rates."""
    rule, decorrelated, chip = KINDS[kind]
    net = ns.rnn(3, hidden, 2, decorrelate=decorrelated, neuron=ns.Tanh(tau=2.0), seed=2)
    found = []
    for k in range(count):
        rule = replace(rule, learning_rate=(k + 1) * 1e-3)
        decorrelation = ns.Decorrelation(1e-3) if decorrelated else None
        substrate = ns.Substrate(**chip, seed=7)
        found.append(Simulator(net, rule, decorrelation, substrate, 2, engine=name, seed=k))
    return found


@pytest.mark.parametrize("kind", ["ANP and D", "late", "devices", "a chip"])
@pytest.mark.parametrize(("count", "multiprocessors"), [(3, 132), (5, 7), (4, 3)])
def test_networks_side_by_side_are_as_they_are_alone(machine, kind, count, multiprocessors):
    made = machine(multiprocessors=multiprocessors)
    together, alone = some(count, kind=kind), some(count, "emulator", kind)
    for run, reset in enumerate((True, False)):
        given = [series(4, seed=k) for k in range(count)]
        given = [np.stack(all_) for all_ in zip(*given, strict=True)]
        got = ns.side_by_side(together, *given, outputs=True, reset=reset)
        (launch,) = made.launches[run:]
        assert (launch.networks, launch.steps) == (count, 4)
        for k, sim in enumerate(alone):
            the_same(got[k], sim.run(*series(4, seed=k), outputs=True, reset=reset))
    assert 1 <= launch.blocks <= max(count, multiprocessors)
    for one, other in zip(together, alone, strict=True):
        the_same(one.weights, other.weights)
        the_same(one._engine.state(), other._engine.state())
        the_same(*(sim.run(*series(2), reset=False) for sim in (one, other)))
        the_same(*(sim.evaluate(*series(2)) for sim in (one, other)))
        the_same(one.weights, other.weights)


def test_who_runs_beside_whom_may_change(machine, tmp_path):
    made = machine()
    together, alone = some(4), some(4, "emulator")
    orders = [(0, 1, 2), (1, 0), (3, 2, 1, 0), (3, 2, 1, 0), (2,)]
    for run, order in enumerate(orders):
        given = [series(3, seed=run + k) for k in order]
        stacked = [np.stack(all_) for all_ in zip(*given, strict=True)]
        got = ns.side_by_side([together[k] for k in order], *stacked, reset=run % 2 == 0)
        for i, k in enumerate(order):
            the_same(got[i], alone[k].run(*given[i], reset=run % 2 == 0))
    assert [launch.networks for launch in made.launches] == [len(order) for order in orders]
    for k in range(4):
        together[k].save(tmp_path / "saved.npz")
        for sim in (together[k], Simulator.load(tmp_path / "saved.npz")):
            the_same(sim.weights, alone[k].weights)
            the_same(sim._engine.state(), alone[k]._engine.state())
    del together, sim
    assert made.taken == 0


def test_one_that_blows_up_beside_others_leaves_them_alone(machine):
    machine()
    net = ns.rnn(3, 9, 2, neuron=ns.Linear(), seed=2)
    rates = (1e-3, 1e3, 1e-3)
    together, alone = (
        [Simulator(net, ns.NP(rate), engine=name, seed=k) for k, rate in enumerate(rates)]
        for name in ("cuda", "emulator")
    )
    inputs, targets = (np.stack([values] * 3) for values in series(30, 1))
    with pytest.raises(ns.DivergenceError) as caught:
        ns.side_by_side(together, inputs, targets)
    for one, other in zip(together, alone, strict=True):
        if other is alone[1]:
            with pytest.raises(ns.DivergenceError) as expected:
                other.run(inputs[0], targets[0])
            assert str(caught.value) == str(expected.value)
        else:
            other.run(inputs[0], targets[0])
            the_same(one.weights, other.weights)


@dataclass(frozen=True)
class Own:
    """A rule of one's own."""

    learning_rate: float
    noise_std: float = 0.1

    @staticmethod
    def reward(delta_loss, variance):
        return delta_loss / variance

    @staticmethod
    def neuron(noise, reward):
        return noise * reward

    @staticmethod
    def synapse(pre, signal):
        return pre * signal


class Other(Own):
    """Another that asks for the same."""

    @staticmethod
    def synapse(pre, signal):
        return -pre * signal


TANH, RELU = (ns.rnn(3, 9, 2, neuron=model, seed=2) for model in (ns.Tanh(), ns.ReLU()))
ADAM, MOMENTUM = (
    ns.NP(1e-3, noise_std=0.1, optimiser=name, epsilon=1e-3) for name in ("adam", "momentum")
)
DIFFERENT = {
    "batch": [(TANH, ns.NP(1e-3), 1), (TANH, ns.NP(1e-3), 2)],
    "rules": [(TANH, ns.NP(1e-3), 1), (TANH, ns.ANP(1e-3), 1)],
    "functions": [(TANH, Own(1e-3), 1), (TANH, Other(1e-3), 1)],
    "models": [(TANH, ns.NP(1e-3), 1), (RELU, ns.NP(1e-3), 1)],
    "optimisers": [(TANH, ADAM, 1), (TANH, MOMENTUM, 1)],
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_networks_of_which_a_kernel_would_not_be_the_same_are_refused(machine, what):
    """Or all would be run as the first one is."""
    machine()
    sims = [Simulator(net, rule, batch=b, engine="cuda") for net, rule, b in DIFFERENT[what]]
    inputs, targets = (np.stack([values] * 2) for values in series(3, 1))
    with pytest.raises(ns.InputError):
        ns.side_by_side(sims, inputs, targets)


# -------------------------------------------------------------------- blocks and memory


def plan_of(hidden, rule=None, decorrelated=False, batch=1):
    net = ns.rnn(3, hidden, 2, decorrelate=decorrelated, seed=2)
    decorrelation = ns.Decorrelation(1e-3) if decorrelated else None
    return Plan(net, rule, decorrelation, ns.Substrate(), batch, 0)


MOST, FREE = 132, 232448


@pytest.mark.parametrize(("hidden", "blocks"), [(3, 1), (4, 1), (5, 2), (100, 25), (528, 132)])
def test_a_small_network_has_a_block_for_every_four_neurons(hidden, blocks):
    plan = plan_of(hidden, ns.NP(1e-3))
    assert spread(plan, None, MOST, FREE).blocks == blocks
    assert spread(plan, None, MOST, FREE).threads == THREADS


@pytest.mark.parametrize("hidden", [529, 1000, 3000])
def test_a_large_one_has_every_multiprocessor(hidden):
    assert spread(plan_of(hidden, ns.NP(1e-3)), None, MOST, FREE).blocks == MOST


RESIDENT = [
    (3, False, []),  # matrices with few columns are read as they come
    (100, False, ["R"]),
    (1000, False, ["R"]),
    (1000, True, ["R", "D"]),
    (1700, False, ["R"]),
    (1700, True, ["R"]),  # one of the two
    (3000, False, []),
    (3000, True, []),
]


@pytest.mark.parametrize(("hidden", "decorrelated", "kept"), RESIDENT)
@pytest.mark.parametrize("batch", [1, 10])
def test_blocks_keep_matrices_to_themselves_while_they_fit(hidden, decorrelated, kept, batch):
    plan = plan_of(hidden, ns.ANP(1e-3), decorrelated, batch)
    layout = Layout(plan, spread(plan, None, MOST, FREE))
    assert [layout.names[m] for m in layout.resident] == kept
    assert 4 * (layout.resident_size + layout.scratch) <= FREE
    moved = [w.phase.name for w in program(layout).works if w.phase is not None]
    assert ("fetch" in moved, "put_back" in moved) == (bool(kept), bool(kept))


def test_less_memory_of_its_own_is_less_that_a_block_keeps():
    plan = plan_of(1000, ns.ANP(1e-3), True)
    sizes = [
        Layout(plan, spread(plan, None, MOST, free)).resident_size
        for free in (FREE, 166912, 101376, ORDINARY)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_what_is_more_than_ordinary_is_asked_for(machine, monkeypatch):
    made = machine()
    small = build("NP", "cuda", hidden=5, batch=10)
    small.run(*series(1, 10))
    assert made.asked == {}
    monkeypatch.setenv("NEUROSIM_CUDA_BLOCKS", "9")
    large = build("ANP and D", "cuda", hidden=300, batch=1)
    large.run(*series(1, 1))
    (last,) = made.launches[1:]
    assert last.shared > ORDINARY
    assert made.asked == {last.name: last.shared}
    assert last.shared <= made.shared


GPUS = {"T4": 64 * 1024, "RTX 4090": 99 * 1024, "A100": 163 * 1024, "H100": 227 * 1024}


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("gpu", GPUS)
def test_smaller_gpus_do_with_what_they_have(machine, gpu, batch):
    """The memory that a block has of its own; no more can be asked for."""
    made = machine(multiprocessors=40, shared=GPUS[gpu])
    sim = build("ANP and D", "cuda", hidden=70, batch=batch)
    assert sim._engine._layout.launch.blocks == 18
    assert len(made.loaded) == 1
    assert max(made.asked.values(), default=0) <= GPUS[gpu]


@pytest.mark.parametrize("blocks", ["1", "2", "7", "132"])
def test_blocks_may_be_chosen_and_change_no_bit(machine, monkeypatch, blocks):
    made = machine()
    expected = build("ANP and D", "emulator", hidden=21)
    expected.run(*series(3))
    monkeypatch.setenv("NEUROSIM_CUDA_BLOCKS", blocks)
    sim = build("ANP and D", "cuda", hidden=21)
    sim.run(*series(3))
    assert made.launches[0].blocks == int(blocks)
    the_same(sim.weights, expected.weights)


@pytest.mark.parametrize("blocks", ["0", "133", "-1", "two", "1.5", "", " 3"])
def test_blocks_that_there_are_not_are_refused(machine, monkeypatch, blocks):
    machine()
    monkeypatch.setenv("NEUROSIM_CUDA_BLOCKS", blocks)
    says = r"NEUROSIM_CUDA_BLOCKS = '.*' must be a whole number from 1 to 132, the multiproc"
    with pytest.raises(ns.InputError, match=says):
        build("NP", "cuda")


def test_memory_is_given_back(machine):
    made = machine()
    sim = build("ANP and D", "cuda")
    sim.run(*series(3))
    taken = made.taken
    assert sim.nbytes <= taken < 2 * sim.nbytes
    for _ in range(3):
        sim.evaluate(*series(3))
        sim.run(*series(3))
    assert made.taken == taken
    del sim
    assert made.taken == 0


# --------------------------------------------------------------------------- what fails


def test_a_network_that_does_not_fit(machine):
    made = machine(memory=GB // 20)
    with pytest.raises(ns.DeviceError, match=r"used up: .* GB more were wanted, .* of 0\.05 GB"):
        Simulator(ns.rnn(3, 4000, 2, seed=2), ns.NP(1e-3), engine="cuda")
    assert made.taken == 0


def test_memory_that_is_used_up_in_the_middle_leaves_what_was_kept(machine, tmp_path):
    made, path = machine(), tmp_path / "saved.npz"
    sim = build("ANP and D", "cuda")
    sim.run(*series(3))
    sim.save(path)
    kept = path.read_bytes()
    made.memory = made.taken + 10_000
    with pytest.raises(ns.DeviceError, match=r"memory is used up: .*go on from the last") as caught:
        sim.run(*series(1000))
    assert (caught.value.lost, path.read_bytes()) == (False, kept)
    made.memory = 80 * GB
    for name in ("cuda", "cpu"):
        assert Simulator.load(path, engine=name).run(*series(3)).loss.shape == (3, 2)


@pytest.mark.parametrize("after", ["run", "weights", "evaluate", "save"])
def test_a_gpu_that_is_lost_leaves_what_was_kept(machine, tmp_path, after):
    machine(lost_at=2)
    path = tmp_path / "saved.npz"
    sim, straight = (build("ANP and D", name) for name in ("cuda", "emulator"))
    for k in range(2):
        for each in (sim, straight):
            each.run(*series(3, seed=k), reset=False)
    sim.save(path)
    kept = path.read_bytes()
    with pytest.raises(ns.DeviceError, match=r"GPU: was lost .*go on from the last") as caught:
        sim.run(*series(3, seed=2), reset=False)
    assert caught.value.lost
    again = {
        "run": lambda: sim.run(*series(3, seed=2), reset=False),
        "weights": lambda: setattr(sim, "weights", sim.network.initial_weights()),
        "evaluate": lambda: sim.evaluate(*series(3)),
        "save": lambda: sim.save(path),
    }
    with pytest.raises(ns.DeviceError, match="GPU: was lost"):
        again[after]()
    with pytest.raises(ns.DeviceError, match="GPU: was lost"):
        build("NP", "cuda")
    assert path.read_bytes() == kept
    moved = Simulator.load(path, engine="emulator")
    the_same(*(s.run(*series(3, seed=2), reset=False) for s in (moved, straight)))
    the_same(moved.weights, straight.weights)


def test_whatever_touches_a_lost_gpu_says_so(machine):
    """What is put into its memory as well, which fails in the words of CuPy."""
    made, sim = machine(), build("ANP and D", "cuda")
    made.lost = True
    used = sim._engine
    for touch in (
        lambda: used._write(0, np.zeros(3)),
        lambda: used._clear(0, 3),
        lambda: used._read(0, 3),
        lambda: used.begin(rest=True),
        lambda: used.begin(rest=False),
        used.weights,
        used.state,
    ):
        with pytest.raises(ns.DeviceError, match="GPU: was lost"):
            touch()


# ----------------------------------------------------------------------------- the note


def test_that_a_network_is_small_is_said_once(machine, caplog):
    machine()
    with caplog.at_level(logging.INFO, "neurosim"):
        for hidden in (3, 9, 9):
            build("NP", "cuda", hidden)
    said = [r.getMessage() for r in caplog.records if "so small" in r.getMessage()]
    assert len(said) == 1
    assert "engine = 'cpu' may be faster" in said[0]


def test_that_a_network_is_large_is_not_said(machine, caplog):
    machine()
    with caplog.at_level(logging.INFO, "neurosim"):
        Simulator(ns.rnn(3, 500, 2), ns.NP(1e-3), engine="cuda", batch=5)
    assert not [r for r in caplog.records if "so small" in r.getMessage()]


def test_auto_is_this_gpu(machine):
    machine()
    sim = Simulator(ns.rnn(3, 4, 2), ns.NP(1e-3), engine="auto")
    assert (sim.engine, sim.engine_reason) == ("cuda", "cuda: NVIDIA Made Up")


# -------------------------------------------------------------- the one that is made up


def test_the_gpu_that_is_made_up_refuses_what_a_real_one_refuses(machine):
    made = machine(memory=1000)
    cupy = sys.modules["cupy"]
    array = cupy.zeros(3, dtype=cupy.float32)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(array)
    with pytest.raises(ValueError, match="non-scalar"):
        array[:] = np.ones(3)
    with pytest.raises(fake_cupy.NoMemory, match=WANTED):
        cupy.zeros(1000, dtype=cupy.float32)
    made.memory = GB
    layout = Layout(plan_of(600, ns.NP(1e-3), batch=10), Launch(133, THREADS))
    function = engine.loaded(layout, program(layout))
    given = [
        cupy.asarray(layout.values),
        cupy.zeros(100, dtype=cupy.uint32),
        cupy.zeros(layout.size, dtype=cupy.float32),
        cupy.zeros(100, dtype=cupy.float32),
    ]
    with pytest.raises(fake_cupy.DriverFailure, match="TOO_LARGE"):
        engine.launch(function, layout, given, 1)
    arguments = (*given, cupy.zeros(32, dtype=cupy.uint32), *[np.uint64(8)] * 4)
    with pytest.raises(fake_cupy.DriverFailure, match="INVALID_VALUE"):
        function((132,), (THREADS,), arguments, shared_mem=ORDINARY + 4)
    with pytest.raises(fake_cupy.DriverFailure, match="INVALID_VALUE"):
        function.max_dynamic_shared_size_bytes = made.shared + 4
    assert made.launches == []
