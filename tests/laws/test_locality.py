"""Rules, neuron models and optimisers can reach nothing that is not local."""

import ast
import math
import math as m
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import neurosim
import neurosim as ns
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


# --------------------------------------------- rules of your own, wherever they are written

GAIN, TABLE, LIVE = 2.0, (1.0, (0.5, 2)), np.ones(3)
LEDGER = []


def half(value):
    return GAIN * TABLE[1][0] * math.tanh(value)


COMPILED = njit(half)


def peeks(value):
    return LIVE[0] * value


def of_a_number(gain):
    def synapse(pre, signal):
        return gain * pre * signal

    return synapse


def of_a_list(where):
    def synapse(pre, signal):
        where.append(signal)
        return pre * signal

    return synapse


def counting():
    seen = 0

    def synapse(pre, signal):
        nonlocal seen
        seen += 1
        return pre * signal

    return synapse


def with_a_function_inside(pre, signal):
    def twice(value):
        return value * GAIN * pre

    return twice(signal) + max(pre, 0.0)


def ledger(pre, signal):
    LEDGER.append(signal)
    return pre * signal


def changes_a_global(pre, signal):
    global GAIN
    GAIN = signal
    return pre


def inside(pre, signal):
    return (lambda: LIVE[0])() * pre


def marked(value):
    half.heard.append(value)
    return value


half.heard = []


class Sly(float):
    pass


SLY = Sly(2.0)


def stores(value, shelf=[]):  # noqa: B006
    shelf[0] = value
    return value


def marks(pre, signal):
    pre.mark = signal
    return pre


def rule_of(function):
    return dataclass(frozen=True)(type("Mine", (ns.ANP,), {"synapse": staticmethod(function)}))


@pytest.mark.parametrize(
    "function",
    [
        lambda pre, signal: half(pre) * abs(signal),
        of_a_number(3.0),
        of_a_number(np.float32(3.0)),
        lambda pre, signal: COMPILED(pre) * signal,
        with_a_function_inside,
        lambda pre, signal: m.tanh(pre) * math.pi * signal,
    ],
)
def test_a_rule_may_use_numbers_math_and_functions_that_use_no_more(function):
    ns.Simulator(ns.rnn(1, 3, 1), rule_of(function)(1e-3))


@pytest.mark.parametrize(
    ("function", "name", "what"),
    [
        (lambda pre, signal: LIVE[0] * pre, "LIVE", "ndarray"),
        (lambda pre, signal: np.tanh(pre) * signal, "np", "module"),
        (lambda pre, signal: peeks(pre) * signal, "peeks: LIVE", "ndarray"),
        (of_a_list(LEDGER), "where", "list"),
        (counting(), "seen", "changed for others"),
        (ledger, "LEDGER", "list"),
        (changes_a_global, "GAIN", "changed for everyone"),
        (inside, "LIVE", "ndarray"),
        (lambda pre, signal: getattr(pre, "real"), "getattr", "no name of its own"),  # noqa: B009
        (lambda pre, signal: pre.__class__(signal), "pre.__class__", "attribute"),
        (lambda pre, signal: marked(pre) * signal, "marked: half.heard", "attribute"),
        (lambda pre, signal: math.shelf, "math.shelf", "attribute"),
        (lambda pre, signal: SLY * pre, "SLY", "Sly"),
        (lambda pre, signal: stores(pre), "stores: a default value", "list"),
        (marks, "mark", "changed for others"),
    ],
)
def test_a_rule_that_could_reach_further_is_refused(function, name, what):
    with pytest.raises(ns.InputError, match="Mine: ") as error:
        ns.Simulator(ns.rnn(1, 3, 1), rule_of(function)(1e-3), engine="objects")
    assert f"uses {name!r} ({what}), which is not local" in str(error.value)


def test_so_is_a_neuron_model():
    @dataclass(frozen=True)
    class Peeking(ns.Tanh):
        @staticmethod
        def activity(a, x, leak, keep):
            return LIVE[0] * a

    with pytest.raises(ns.InputError, match=r"activity\(\) uses 'LIVE'"):
        ns.rnn(1, 3, 1, neuron=Peeking())
