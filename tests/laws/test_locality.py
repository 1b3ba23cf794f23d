"""Rules, neuron models and optimisers can reach nothing that is not local."""

import ast
from pathlib import Path

import pytest

import neurosim
from neurosim import neurons, rules
from neurosim.optimisers import OPTIMISERS

PACKAGE = Path(neurosim.__file__).parent
ALLOWED = {"math", "dataclasses", "typing", "neurosim.local"}
FILES = [
    path
    for folder in ("rules", "neurons", "optimisers")
    for path in sorted((PACKAGE / folder).glob("*.py"))
    if path.name != "__init__.py"
]
WAYS_OUT = {"__import__", "eval", "exec", "open", "globals", "compile", "getattr", "vars"}


def offences(source):
    """Imports and built-ins by which a rule could reach something that is not local."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name not in ALLOWED]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if node.level or node.module not in ALLOWED else []
        elif isinstance(node, ast.Name) and node.id in WAYS_OUT:
            found.append(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found += node.names
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_rule_imports_nothing_but_what_is_local(path):
    assert offences(path.read_text()) == []


def test_there_is_one_file_per_rule_model_and_optimiser():
    made = [found for found in OPTIMISERS.values() if found is not None]
    assert len(FILES) == len(rules.__all__) + len(neurons.__all__) + len(made)


@pytest.mark.parametrize(
    "cheat",
    [
        "import numpy",
        "from numpy import dot",
        "import neurosim.engines",
        "from neurosim import noise",
        "from .. import network",
        "def synapse(pre, signal):\n    import os",
        "def synapse(pre, signal):\n    return __import__('numpy').sum(pre)",
    ],
)
def test_cheating_is_noticed(cheat):
    """Negative control."""
    assert offences(cheat)
