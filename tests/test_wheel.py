"""The wheel, installed into a clean environment, runs from an empty folder."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NO_INDEX = ("No matching distribution", "Could not find a version", "NewConnectionError")


def call(*command, **options):
    """Run a command; skip with a reason where no package index can be reached."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=900, **options
    )
    if done.returncode and "pip" in map(str, command) and any(t in done.stderr for t in NO_INDEX):
        pytest.skip("no package index can be reached, so nothing can be installed")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A clean environment with the wheel in it: the folder of its commands."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("neurosim_plasticity-*.whl")
    call(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return environment / "bin"


@pytest.fixture
def outside(tmp_path):
    """An empty folder, and variables that lead nowhere near the checkout."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "NEUROSIM_DATA")}
    return {"cwd": tmp_path, "env": variables}


@pytest.mark.wheel
def test_the_package_comes_from_the_wheel(installed, outside):
    where = "import neurosim, neurosim_tasks; print(neurosim.__file__, neurosim_tasks.__file__)"
    for path in call(installed / "python", "-c", where, **outside).split():
        assert Path(path).is_relative_to(installed.parent)


@pytest.mark.wheel
def test_a_users_tasks_are_not_hidden(installed, outside, tmp_path):
    (tmp_path / "tasks.py").write_text("MINE = 1")
    assert call(installed / "python", "-c", "import tasks; print(tasks.MINE)", **outside) == "1\n"
    code = "import importlib.util as u; print(u.find_spec('tasks'))"
    assert call(installed / "python", "-I", "-c", code, **outside) == "None\n"


@pytest.mark.wheel
def test_every_config_is_found_by_name(installed, outside):
    listed = call(installed / "neurosim", "list", "configs", **outside)
    figures = call(installed / "neurosim", "list", "figures", **outside)
    for path in (ROOT / "configs").rglob("*.toml"):
        assert path.stem in (figures if path.parent.name == "reproduce" else listed)


@pytest.mark.wheel
def test_peers_are_found(installed, outside):
    where = "from neurosim.experiments import registry; print(registry.peers().__file__)"
    path = Path(call(installed / "python", "-c", where, **outside).strip())
    assert path.is_relative_to(installed.parent)
    for peer in (ROOT / "benchmarks" / "peers").glob("*.py"):
        assert (path.parent / peer.name).is_file()


@pytest.mark.wheel
def test_quickstart_runs_from_an_empty_folder(installed, outside, tmp_path):
    small = ["--set", "training.epochs=1", "--set", "network.hidden=8"]
    printed = call(installed / "neurosim", "run", "quickstart", *small, **outside)
    assert "persistence" in printed
    (summary,) = tmp_path.rglob("summary.md")
    assert "ridge" in summary.read_text()
    assert list(tmp_path.rglob("*.png"))
