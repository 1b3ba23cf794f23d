"""The names that notebooks rely on, and what importing them costs."""

from __future__ import annotations

import doctest
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import neurosim as ns
from neurosim import simulator
from neurosim_tasks import MackeyGlass

ROOT = Path(__file__).parents[1]


def test_a_notebooks_first_cell(tmp_path):
    task = MackeyGlass(horizon=15, steps=60, batch=4, seed=0)
    net = ns.rnn(task.n_inputs, 12, task.n_targets, decorrelate=True, seed=42)
    sim = ns.Simulator(
        net,
        rule=ns.ANP(learning_rate=3e-5, noise_std=1e-3),
        decorrelation=ns.Decorrelation(learning_rate=5e-9),
        substrate=ns.Substrate(),
        batch=4,
        engine="cpu",
        seed=42,
    )
    inputs, targets = task.train()
    steps = len(inputs)
    record = sim.run(inputs, targets, learn=True)
    assert record.loss.shape == (steps, 4)
    assert {name: reward.shape for name, reward in record.reward.items()} == dict.fromkeys(
        "ARB", (steps, 4)
    )
    weights = sim.weights
    assert {name: w.shape for name, w in weights.items()} == {
        "A": (12, 1),
        "R": (12, 12),
        "B": (1, 12),
        "D": (12, 12),
    }
    for name, w in net.initial_weights().items():
        assert not np.array_equal(w, weights[name])
        with pytest.raises(ValueError, match="read-only"):
            weights[name][...] = 0
    assert record.mse == pytest.approx(record.loss.mean() / task.n_targets, rel=1e-5)
    path = tmp_path / "run.npz"
    sim.save(path)
    sim, other = ns.Simulator.load(path), sim
    np.testing.assert_array_equal(
        sim.run(inputs, targets).loss, other.run(inputs, targets, learn=True).loss
    )


def test_learning_lowers_the_loss():
    task = MackeyGlass(steps=200, batch=4, seed=1)
    net = ns.rnn(task.n_inputs, 20, task.n_targets, seed=1)
    sim = ns.Simulator(net, ns.ANP(learning_rate=3e-3), batch=4, seed=1)
    first, *_, last = (sim.run(*task.train()).mse for _ in range(10))
    assert last < first / 2
    assert sim.evaluate(*task.test()).mse < first / 2


@pytest.mark.parametrize("name", [n for n in ns.__all__ if n != "__version__"])
def test_every_public_name_exists_and_says_what_it_is(name):
    assert len(getattr(ns, name).__doc__.split()) > 2


def test_public_names_are_listed_once_and_in_order():
    assert sorted(set(ns.__all__)) == sorted(ns.__all__)
    names = {"ANP", "NP", "WP", "BPTT", "bptt", "Simulator", "rnn", "train", "Probe"}
    assert names <= set(ns.__all__)


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="'neurosim' has no attribute 'Simulater'"):
        _ = ns.Simulater


def test_the_version_is_the_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ns.__version__ == project["version"]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import neurosim",
            "numba pandas matplotlib pydantic scipy neurosim_tasks typer rich cupy",
        ),
        ("import neurosim; import neurosim.experiments, neurosim.cli", "cupy numba_cuda"),
        (
            "import neurosim.experiments.reproduce, neurosim.experiments.report, "
            "neurosim.experiments.align, neurosim.experiments.sweep, neurosim.experiments.doctor",
            "matplotlib",
        ),
        (
            "import neurosim as ns; ns.Simulator(ns.rnn(1, 2, 1), engine='objects')",
            "numba pandas matplotlib pydantic neurosim_tasks",
        ),
        (
            "import neurosim as ns; ns.Simulator(ns.rnn(1, 2, 1))",
            "pandas matplotlib pydantic cupy numba_cuda",
        ),
        (
            "import neurosim as ns; net = ns.rnn(1, 2, 1); "
            "ns.Simulator(net, ns.BPTT(1e-3)).run([[[1]]], [[[1]]])",
            "numba pandas matplotlib pydantic neurosim_tasks",
        ),
    ],
)
def test_importing_loads_nothing_heavy(statement, absent):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "neurosim" in loaded
    # With the extras for GPUs installed Numba finds a package of another name in its place.
    assert "numba.cuda" not in done.stdout.split()
    assert loaded.isdisjoint(absent.split())


def test_the_simulators_example():
    tried = doctest.testmod(simulator)
    assert tried.attempted >= 5
    assert tried.failed == 0
