"""Whatever is given to a public name: taken, if it is of a type that is allowed, or refused."""

from __future__ import annotations

import datetime
import functools
import inspect
import itertools
import math
import numbers
import os
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import neurosim as ns
import neurosim_tasks
from neurosim import errors
from neurosim.local import ProjectionRule
from neurosim.training import History

mpl.use("Agg")

ERRORS = (ns.NeurosimError, neurosim_tasks.TaskError)
MODULES = (ns, ns.bptt, ns.presets, neurosim_tasks)
# What engines call, with numbers of one neuron or synapse, or what only they can make.
OF_ENGINES = {*ProjectionRule.knows, "activity", "slope", "factor", "check", "sampled"}
RESULTS = {"Record", "Alignment"}  # made by a run, not by users; their methods are looked at


class Unruly:
    """It cannot write itself, and cannot be compared."""

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")


# Each is made anew: a generator can be gone through once.
BAD = [
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: "",
    lambda: "no",
    lambda: "0\0",
    lambda: "x" * 5000,
    lambda: b"x",
    list,
    lambda: [None],
    lambda: (1, 2),
    dict,
    lambda: {"a": 1},
    lambda: {5: object()},
    lambda: set(),
    object,
    Unruly,
    lambda: np.array([1.0, 2.0]),
    lambda: np.array(3),
    lambda: np.full((2, 2, 2), np.nan),
    lambda: np.broadcast_to(np.float32(0), (10**9, 10**6, 1)),
    lambda: np.array(["a"]),
    lambda: np.bool_(True),
    lambda: np.float64("nan"),
    lambda: pd.DataFrame({"a": ["b"]}),
    lambda: math.nan,
    lambda: math.inf,
    lambda: 1e-50,
    lambda: 1e50,
    lambda: 0.5,
    lambda: 1 - 1e-12,
    lambda: 10**30,
    lambda: 10**5000,
    lambda: 2**31,
    lambda: -1,
    lambda: 0,
    lambda: 1j,
    lambda: Fraction(1, 10**60),
    lambda: datetime.date(2000, 1, 1),
    lambda: len,
    lambda: lambda: None,
    lambda: int,
    lambda: (i for i in range(3)),
    itertools.count,
    lambda: slice("a"),
    lambda: Path(),
]

NET = ns.rnn(1, 3, 1, decorrelate=True, seed=1)
DATA = {"inputs": np.ones((4, 1, 1)), "targets": np.zeros((4, 1, 1))}
MATRICES = {"R": np.ones((2, 2)), "A": np.ones((2, 1)), "B": np.ones((1, 2))}
RATES = dict.fromkeys(MATRICES, 0.1)


@functools.cache
def task():
    return neurosim_tasks.MackeyGlass(horizon=2, steps=12, batch=1, washout=5)


@functools.cache
def data(name):
    cls = getattr(neurosim_tasks, name, None)
    return (
        task() if cls in (None, neurosim_tasks.MackeyGlass, neurosim_tasks.Task) else cls()
    ).test()


def simulator(**more):
    return ns.Simulator(NET, ns.ANP(1e-3), engine="objects", **more)


def record():
    return simulator().run(**DATA)


def history():
    return ns.train(simulator(), task(), epochs=0, progress=False)


def alignment():
    return ns.align(simulator(), **DATA, draws=2)


# What is given beside the bad value: what a callable must have, or what makes it quick.
GIVEN = {
    "Population": {"name": "hidden", "size": 2, "neuron": ns.Tanh()},
    "Projection": {"name": "A", "pre": "input", "post": "hidden"},
    "Network": {"populations": NET.populations, "projections": NET.projections},
    "Network.population": {"name": "hidden"},
    "Network.shape": {"name": "A"},
    "Network.lasts": {"population": "hidden"},
    "Network.draw": {"name": "A", "shape": (2, 2), "gain": 1.0},
    "rnn": {"n_inputs": 1, "n_hidden": 2, "n_outputs": 1},
    "Probe": {"of": "hidden"},
    "Simulator": {"network": NET, "rule": ns.ANP(1e-3), "engine": "objects"},
    "Simulator.run": DATA,
    "Simulator.evaluate": DATA,
    "Simulator.save": {"path": "saved.npz"},
    "Simulator.load": {"path": "there.npz"},
    "Simulator.weights": {},
    "side_by_side": {"inputs": DATA["inputs"][None], "targets": DATA["targets"][None]},
    "train": {"epochs": 0, "progress": False},
    "History.load": {"path": "there.npz"},
    "History.plot": {},
    "align": {**DATA, "draws": 2, "progress": False},
    "baselines": {"epochs": 1},
    "load_results": {"folder": "sweep"},
    "Preset": {"network": {}, "rule": ns.ANP(1e-3)},
    "Preset.simulator": {"hidden": 2, "batch": 1, "engine": "objects"},
    "gradients": {"weights": MATRICES, **DATA},
    "decorrelation": {"D": np.eye(2), "s": np.ones((3, 2))},
    "local_decorrelation": {"D": np.eye(2), "s": np.ones((3, 2))},
    "optimiser": {"name": "sgd", "weights": MATRICES, "rates": RATES},
    "MackeyGlass": {"horizon": 1, "steps": 12, "washout": 5},
    **{name: {"weights": MATRICES, "rates": RATES} for name in ("SGD", "Momentum", "Adam")},
    **{
        name: {"learning_rate": 1e-3}
        for name in ("ANP", "NP", "WP", "RFLO", "BPTT", "LearnedFeedback", "Perturbation")
    },
    **{name: {"learning_rate": 1e-3} for name in ("Decorrelation", "LocalDecorrelation")},
}
LATER = {  # what takes a while to make
    "side_by_side": lambda: {"simulators": [simulator()]},
    "train": lambda: {"sim": simulator(), "task": task()},
    "align": lambda: {"sim": simulator()},
    "baselines": lambda: {"task": task(), "untrained": simulator()},
    "Preset.simulator": lambda: {"task": task()},
}
MADE = {"Simulator": simulator, "History": history, "Record": record, "Alignment": alignment}


def given(name):
    """What a callable is given if nothing is wrong."""
    owner, _, method = name.rpartition(".")
    usual = {"step": {"weights": MATRICES, "gradients": MATRICES}, "set_state": {"state": {}}}
    inputs, targets = data(owner)
    of_tasks = {"outputs": targets, "targets": targets}
    usual |= {"score": of_tasks, "loss": of_tasks, "guesses": {"inputs": inputs}}
    usual |= {"to_fahrenheit": {"values": [0.5]}}
    found = dict(GIVEN.get(name, usual.get(method, {})))
    return found | LATER.get(name, dict)()


@functools.cache
def face():
    """Every public callable with parameters: by name, what makes it, and its signature."""
    found = {}
    for thing_name, thing in {n: getattr(m, n) for m in MODULES for n in m.__all__}.items():
        if inspect.isroutine(thing):
            found[thing_name] = (lambda thing=thing: thing), inspect.signature(thing)
        elif isinstance(thing, type) and not issubclass(thing, Exception):
            if thing_name not in RESULTS and not inspect.isabstract(thing):
                found[thing_name] = (lambda thing=thing: thing), inspect.signature(thing)
            found |= methods(thing_name, thing)
    return {name: pair for name, pair in found.items() if pair[1].parameters}


def methods(thing_name, thing):
    found = {}

    @functools.cache
    def shared():
        return MADE.get(thing_name, lambda: thing(**given(thing_name)))()

    def instance():
        # A simulator goes on with every run; all else stays as it is.
        return simulator() if thing is ns.Simulator else shared()

    for name in dir(thing):
        raw = inspect.getattr_static(thing, name)
        if name.startswith("_") or name in OF_ENGINES or inspect.isabstract(thing):
            continue
        if isinstance(raw, property) and raw.fset is not None:
            setter = raw.fset
            signature = inspect.signature(setter)
            make = lambda setter=setter: functools.partial(setter, instance())  # noqa: E731
        elif inspect.isfunction(raw) or isinstance(raw, classmethod):
            signature = inspect.signature(getattr(thing, name))
            make = lambda name=name: getattr(instance(), name)  # noqa: E731
        else:
            continue
        left = [p for p in signature.parameters.values() if p.name != "self"]
        found[f"{thing_name}.{name}"] = make, signature.replace(parameters=left)
    return found


CASES = [
    (name, parameter)
    for name, (_, signature) in face().items()
    for parameter, about in signature.parameters.items()
    if about.kind is not inspect.Parameter.VAR_KEYWORD
]


def test_the_whole_face_is_looked_at():
    looked_at = {name.partition(".")[0] for name, _ in CASES}
    everything = {name for m in MODULES for name in m.__all__ if callable(getattr(m, name))}
    errors_and_bases = {name for name in everything if name.endswith("Error")} | {"Task"}
    assert everything - errors_and_bases - RESULTS <= looked_at


def allows(annotation, value):
    """Whether a value is of a type that a parameter's annotation names."""
    annotation = getattr(annotation, "__name__", annotation)
    kinds = re.split(r" \| ", re.sub(r"\[.*?\](?=$| \|)", "", str(annotation)))
    for kind in kinds:
        kind = kind.rpartition(".")[2]
        if kind in ("Any", "ArrayLike", "Array", "_empty", "object"):
            return True
        if kind in ("bool",) and errors.is_flag(value):
            return True
        if kind == "int" and errors.is_count(value):
            return True
        if kind == "float" and isinstance(value, numbers.Real) and not isinstance(value, bool):
            return errors.is_number(value)
        if kind == "str" and isinstance(value, str):
            return True
        if kind == "None" and value is None:
            return True
        if kind == "PathLike" and isinstance(value, os.PathLike):
            return True
        if kind == "Mapping" and isinstance(value, Mapping):
            return True
        if kind in ("Callable", "Measure") and callable(value):
            return True
        if kind in ("Iterable", "Sequence", "tuple", "list") and isinstance(value, Iterable):
            return not isinstance(value, str | bytes)
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("NEUROSIM_DATA", raising=False)
        history = ns.train(simulator(), task(), 0, checkpoint="there.npz", progress=False)
        assert isinstance(history, History)
        (folder / "sweep" / "runs").mkdir(parents=True)
        yield folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", face())
def test_what_is_usual_is_taken(name, place):
    make, _ = face()[name]
    if not name.endswith(".set_state") and name != "Simulator.weights":
        make()(**given(name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "parameter"), CASES, ids=map(".".join, CASES))
def test_a_bad_value_is_refused_or_meaningful(name, parameter, place):
    make, signature = face()[name]
    usual, faults = given(name), []
    about = str(signature.parameters[parameter].annotation)
    for value in (bad() for bad in BAD):
        words = errors.shown(value)[:60]
        try:
            make()(**{**usual, parameter: value})
        except ERRORS as error:
            if "\n" in str(error):
                faults.append(f"{words}: more than a sentence: {error}")
        except Exception as error:
            if callable(value) and ("Callable" in about or "Measure" in about):
                continue  # what is called fails in its own way
            faults.append(f"{words}: {type(error).__name__}: {str(error)[:150]}")
        else:
            if not allows(signature.parameters[parameter].annotation, value):
                faults.append(f"{words}: taken")
    assert not faults, "\n".join(faults)
