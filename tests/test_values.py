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
from neurosim import values
from neurosim.local import ProjectionRule
from neurosim.training import History

mpl.use("Agg")

ERRORS = (ns.NeurosimError, neurosim_tasks.TaskError)
MODULES = (ns, ns.bptt, ns.presets, ns.rates, neurosim_tasks)
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


class Uncountable:
    """A list whose length cannot be known, with an end that never comes."""

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no items")


class Nowhere:
    """A path that leads to an error."""

    def __fspath__(self):
        raise RuntimeError("no path")


def nested(deep):
    return functools.reduce(lambda inner, _: [inner], range(deep), 1.0)


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
    # NumPy says that these are whole numbers.
    lambda: np.timedelta64(3, "s"),
    lambda: np.timedelta64(3),
    Uncountable,
    Nowhere,
    lambda: (1 / 0 for _ in range(3)),
    lambda: nested(900),
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
    "Constant": {"start": 0.1},
    "Cosine": {"start": 0.1, "over": 5},
    "Steps": {"rates": [0.1], "at": []},
    **{f"{name}.rate": {"epoch": 1, "step": 1} for name in ("Constant", "Cosine", "Steps")},
    "Simulator.epoch": {"epoch": 1},
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
    "refit_readout": lambda: {"sim": simulator(), "task": task()},
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
    errors_and_bases = {name for name in everything if name.endswith("Error")} | {
        "Task",
        "Schedule",
    }
    assert everything - errors_and_bases - RESULTS <= looked_at


def allows(annotation, value):
    """Whether a value is of a type that a parameter's annotation names."""
    annotation = getattr(annotation, "__name__", annotation)
    kinds = re.split(r" \| ", re.sub(r"\[.*?\](?=$| \|)", "", str(annotation)))
    for kind in kinds:
        kind = kind.rpartition(".")[2]
        if kind in ("Any", "ArrayLike", "Array", "_empty", "object"):
            return True
        if kind in ("bool",) and values.is_flag(value):
            return True
        if kind == "int" and values.is_count(value):
            return True
        if kind == "float" and isinstance(value, numbers.Real) and not isinstance(value, bool):
            return values.is_number(value)
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
    call, usual, faults = make(), given(name), []
    about = str(signature.parameters[parameter].annotation)
    for value in (bad() for bad in BAD):
        words = values.shown(value)[:60]
        try:
            call(**{**usual, parameter: value})
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


# What is set, or lies within what is given: by what is done with a value there.
WITHIN = {
    "History.rows": lambda value: shown_history("rows", value),
    "History.interrupted": lambda value: shown_history("interrupted", value),
    "History.simulator": lambda value: shown_history("simulator", value),
    "a row": lambda value: shown_history("rows", [value]),
    "test_mse of a row": lambda value: shown_history("rows", [{"epoch": 0, "test_mse": value}]),
    "count of a state": lambda value: ns.bptt.SGD(MATRICES, RATES).set_state({"count": value}),
    "state": lambda value: ns.bptt.SGD(MATRICES, RATES).set_state(value),
    "what | adds": lambda value: ns.Substrate() | value,
    "a side of a shape": lambda value: NET.draw("A", (value, 2), 1.0),
    "a measure": lambda value: ns.train(
        simulator(), task(), measure=measuring({"a": value}), **quietly
    ),
    "a score": lambda value: ns.train(simulator(), Judging({"mse": value}), **quietly),
    "what train() returns": lambda value: ns.train(simulator(), Shown(value), **quietly),
    "n_inputs": lambda value: ns.train(simulator(), Judging({"mse": 1.0}, value), **quietly),
    "decorrelate of a preset": lambda value: ns.presets.Preset(
        {"decorrelate": value}, ns.ANP(1e-3)
    ),
}


def shown_history(name, value):
    history = ns.History([{"epoch": 0, "train_mse": 1.0, "test_mse": 1.0}])
    setattr(history, name, value)
    assert repr(history)
    assert history.epoch == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", WITHIN)
def test_a_bad_value_within_something_is_refused_or_meaningful(where, place):
    faults = []
    for value in (bad() for bad in BAD):
        try:
            WITHIN[where](value)
        except ERRORS:
            continue
        except Exception as error:
            words = f"{values.shown(value)[:60]}: {type(error).__name__}: {str(error)[:150]}"
            faults.append(words)
    assert not faults, "\n".join(faults)


# ------------------------------------------------------------------- what is said


def measuring(returned):
    return lambda sim, inputs, targets: returned


class Judging:
    """A task that judges as it is told."""

    def __init__(self, scores, n_inputs=1):
        self._scores, self.n_inputs = scores, n_inputs
        self.train = lambda epoch: tuple(DATA.values())
        self.test = lambda: tuple(DATA.values())

    def score(self, outputs, targets):
        return self._scores


class Shown(Judging):
    """A task that shows what it is given."""

    def __init__(self, pair):
        super().__init__({"mse": 1.0})
        self.train = lambda epoch: pair


class Own:
    """A rule that inherits from nothing."""

    def __init__(
        self,
        learning_rate=1e-3,
        noise_std=1e-3,
        passes=2,
        perturbs="neurons",
        feedback_rate=1.0,
        outputs_may_wait=True,
    ):
        self.learning_rate, self.noise_std = learning_rate, noise_std
        self.passes, self.perturbs, self.feedback_rate = passes, perturbs, feedback_rate
        self.outputs_may_wait = outputs_may_wait

    @staticmethod
    def neuron(slope, feedback):
        return slope * feedback

    @staticmethod
    def synapse(pre, signal):
        return signal * pre


class Decorrelating:
    @staticmethod
    def synapse(post, pre, different):
        return different * post * pre


class Model:
    def __init__(self, tau):
        self.tau = tau

    @staticmethod
    def activity(a, x, leak, keep):
        return leak * a + keep * x


def own(**given):
    return ns.Simulator(NET, Own(**given), engine="objects")


def nan(name):
    return {**MATRICES, name: MATRICES[name] * np.nan}


quietly = {"epochs": 0, "progress": False}
SAID = {
    "ANP: learning_rate = np.timedelta64(3,'s') must be a finite number": (
        lambda: ns.ANP(np.timedelta64(3, "s"))
    ),
    "Network: populations = <generator object": lambda: ns.Network((1 / 0 for _ in "a"), ()),
    "must be a Population each (ZeroDivisionError: division by zero)": (
        lambda: ns.Network((1 / 0 for _ in "a"), ())
    ),
    "Simulator: inputs must be numbers of shape": (
        lambda: simulator().run(nested(5000), DATA["targets"])
    ),
    "Preset: network = 'decorrelate' must be one of neuron, gain, input_gain, recurrent, bias": (
        lambda: ns.presets.Preset({"decorrelate": True}, ns.ANP(1e-3))
    ),
    "Simulator: decorrelation = 5 must be an instance": (
        lambda: ns.presets.Preset({}, ns.ANP(1e-3), 5)
    ),
    "Substrate: the right side of | = 5 must be a Substrate or a mapping of its fields": (
        lambda: ns.Substrate() | 5
    ),
    "train: what measure returns['a'] = np.complex64(1+2j) must be a number": (
        lambda: ns.train(
            simulator(), task(), measure=measuring({"a": np.complex64(1 + 2j)}), **quietly
        )
    ),
    "train: what measure returns['a'] = masked must be a number": (
        lambda: ns.train(simulator(), task(), measure=measuring({"a": np.ma.masked}), **quietly)
    ),
    "train: history = History(1 rows) must be None or a History that train() made": (
        lambda: ns.train(simulator(), task(), history=ns.History([{"epoch": 0}]), **quietly)
    ),
    "History: rows = [{'epoch': 0}] must be mappings with 'test_mse' each": (
        lambda: ns.History([{"epoch": 0}]).best
    ),
    "Probe: pass_ = 100000000000000000000 must be a whole number in [0, 2": (
        lambda: ns.Probe("A", pass_=10**20)
    ),
    "4,000,000,000 steps would take 160 GB of memory": (
        lambda: ns.Probe("hidden").sampled(4_000_000_000)
    ),
    "state['count'] = -1 must be a whole number of steps": (
        lambda: ns.bptt.SGD(MATRICES, RATES).set_state({"count": -1})
    ),
    "ANP: schedule = array([1., 2.]) must be one of None, online, window, sequence": (
        lambda: ns.ANP(1e-3, schedule=np.array([1.0, 2.0]))
    ),
    "ANP: passes = 2.0 must be 2, or 'both'": lambda: ns.ANP(1e-3, passes=2.0),
    "NP: reward = {} must be one of local": lambda: ns.NP(1e-3, reward={}),
    "WP: optimiser = [] must be one of sgd": lambda: ns.WP(1e-3, optimiser=[]),
    "BPTT: optimiser = ['adam'] does not exist": lambda: ns.BPTT(1e-3, optimiser=["adam"]),
    "bptt.gradients: neuron = {} does not exist": (
        lambda: ns.bptt.gradients(MATRICES, **DATA, neuron={})
    ),
    "Simulator: engine = ['cpu'] does not exist": lambda: ns.Simulator(NET, engine=["cpu"]),
    "Substrate: w_bits = array([8, 8]) must be None or a whole number of bits": (
        lambda: ns.Substrate(w_bits=np.array([8, 8]))
    ),
    "Substrate: act_bits = '' must be": lambda: ns.Substrate(act_bits=""),
    "Substrate: act_bits = [] must be": lambda: ns.Substrate(act_bits=[]),
    "Substrate: act_bits = False must be": lambda: ns.Substrate(act_bits=False),
    "Substrate: telegraph_dwell = False must be": lambda: ns.Substrate(telegraph_dwell=False),
    "Substrate: w_max = [] must be": lambda: ns.Substrate(w_max=[]),
    "Probe: pass_ = array([1, 2]) must be a whole number": lambda: ns.Probe(
        "A", pass_=np.array([1, 2])
    ),
    "Probe 'hidden.x': units = count(0) must be None or a list": (
        lambda: simulator().run(**DATA, probes=[ns.Probe("hidden", units=itertools.count())])
    ),
    "Probe 'R.w': 2 samples would take 72 bytes of memory": lambda: on_a_small_machine(
        ns.Probe("R", "w", steps=[0, 1])
    ),
    "rnn: decorrelate = 'False' must be True or False": lambda: ns.rnn(
        1, 2, 1, decorrelate="False"
    ),
    "Population 'hidden': size = '3' must be a whole number": lambda: ns.rnn(1, "3", 1),
    "Simulator: learn = 'no' must be True or False": lambda: simulator().run(**DATA, learn="no"),
    "Simulator: reset = None must be True": lambda: simulator().run(**DATA, reset=None),
    "Simulator: progress = 5 must be None or a function of (steps)": (
        lambda: simulator().run(**DATA, progress=5)
    ),
    "Simulator: weights = 5 must be a mapping": lambda: setattr(simulator(), "weights", 5),
    "Simulator: noise = 'off' must be": lambda: simulator().evaluate(**DATA, noise="off"),
    "side_by_side: simulators = None must be different simulators": (
        lambda: ns.side_by_side(None, **DATA)
    ),
    "side_by_side: simulators = 5 must be": lambda: ns.side_by_side([5], **DATA),
    "baselines: task = None must be a task": lambda: ns.baselines(None, simulator()),
    "baselines: untrained = None must be": lambda: ns.baselines(task(), None),
    "baselines: epochs = -1 must be": lambda: ns.baselines(task(), simulator(), epochs=-1),
    "baselines: epochs = True must be": lambda: ns.baselines(task(), simulator(), epochs=True),
    "train: history = {} must be None or a History": (
        lambda: ns.train(simulator(), task(), history={}, **quietly)
    ),
    "train: measure = 5 must be None or a function of (sim, inputs, targets)": (
        lambda: ns.train(simulator(), task(), measure=5, **quietly)
    ),
    "train: on_epoch = <built-in function getpid> must be None or a function of (history)": (
        lambda: ns.train(simulator(), task(), on_epoch=os.getpid, **quietly)
    ),
    "train: what measure returns = 5 must be a mapping of numbers by name": (
        lambda: ns.train(simulator(), task(), measure=measuring(5), **quietly)
    ),
    "train: what measure returns['a'] = 'b' must be a number": (
        lambda: ns.train(simulator(), task(), measure=measuring({"a": "b"}), **quietly)
    ),
    "train: a name in what measure returns = 5 must be text": (
        lambda: ns.train(simulator(), task(), measure=measuring({5: 1}), **quietly)
    ),
    "Judging.score(): what it returns = [0.1] must be numbers by name": (
        lambda: ns.train(simulator(), Judging([0.1]), **quietly)
    ),
    "Judging.score(): mse = [] must be a number": (
        lambda: ns.train(simulator(), Judging({"mse": []}), **quietly)
    ),
    "train: checkpoint = 5 must be a path": (
        lambda: ns.train(simulator(), task(), checkpoint=5, **quietly)
    ),
    "checkpoint: path = 5 must be a path": lambda: ns.Simulator.load(5),
    "checkpoint: path = b'x' must be a path": lambda: simulator().save(b"x"),
    "checkpoint: path = '' must be a path": lambda: simulator().save(""),
    ".: could not be written (it is no file)": lambda: simulator().save("."),
    "x.npz: only what JSON can hold can be saved": (
        lambda: simulator().save("x.npz", extra={"a": {1}})
    ),
    "Simulator: extra = 0 must be None or a mapping": lambda: simulator().save("x.npz", extra=0),
    "Simulator: known = 5 must be classes": lambda: ns.Simulator.load("there.npz", known=5),
    # Parts of one's own.
    "Own: learning_rate = 'fast' must be a finite number": lambda: own(learning_rate="fast"),
    "Own: passes = array([1, 2]) must be 1; or 2": lambda: own(passes=np.array([1, 2])),
    "Own: perturbs = ['weights'] must be 'neurons'": lambda: own(perturbs=["weights"]),
    "Own: feedback_rate = 'x' must be a number in (0, 2)": lambda: own(feedback_rate="x"),
    "Own: outputs_may_wait = 'no' must be True": lambda: own(outputs_may_wait="no"),
    "Decorrelating: learning_rate = None must be": (
        lambda: ns.Simulator(NET, decorrelation=Decorrelating(), engine="objects")
    ),
    "Model: tau = 'x' must be a finite number of steps": lambda: ns.rnn(1, 2, 1, neuron=Model("x")),
    "Preset: network = 'hidden' must be one of neuron": (
        lambda: ns.presets.Preset({"hidden": 3}, ns.ANP(1e-3))
    ),
    # Sizes.
    "of memory; this process can have": lambda: neurosim_tasks.MackeyGlass(batch=10**15),
    "units of time would take": lambda: neurosim_tasks.MackeyGlass(steps=10**15),
    "100000000000000000000 sequences": lambda: neurosim_tasks.Copying(sequences=10**19),
    "lags = 1000000000000 for": lambda: task().baselines(lags=10**12),
    "lags = 100000 for 2 steps would take 1.6e+04 GB": (
        lambda: neurosim_tasks.Copying(1, 0, 1, 1, test_sequences=1).baselines(lags=10**5)
    ),
    "Weather: a year in sha256 = <NA> must be a whole number, or text": (
        lambda: neurosim_tasks.Weather(year=2000, sha256={pd.NA: "0" * 64})
    ),
    "Population 'hidden': size = 1000000000000000000000000000000 must be a whole number in [1, 2": (
        lambda: ns.rnn(1, 10**30, 1)
    ),
    "Network: 1,000,002,000,000 weights would take 4 TB of memory; this process can have": (
        lambda: ns.rnn(1, 10**6, 1).initial_weights()
    ),
    "Simulator: batch = 1000000000000000, 2 passes, 5 neurons and 24 weights would take": (
        lambda: simulator(batch=10**15)
    ),
    "Simulator: threads = 100000 must be a whole number in [1, 1025)": (
        lambda: ns.Simulator(NET, threads=100000)
    ),
    "ANP: pairs = 1000000000 must be a whole number in [0, 10000)": (
        lambda: ns.ANP(1e-3, pairs=10**9)
    ),
    "NP: window = 1000000000000000000000000000000 must be": lambda: ns.NP(1e-3, window=10**30),
    "BPTT: a memory of 4,000,000,000 steps would take": (
        lambda: ns.Simulator(NET, ns.BPTT(1e-3, truncate=4 * 10**9), batch=1000)
    ),
    "align: chunks = [100000000000] must be whole numbers of steps": (
        lambda: ns.align(simulator(), **DATA, chunks=[10**11])
    ),
    "align: truncations = count(1) must be whole numbers": (
        lambda: ns.align(simulator(), **DATA, truncations=itertools.count(1))
    ),
    # Numbers that float32 cannot hold.
    "learning_rate = 1e-50 must be a finite number > 0, or a schedule, or one per projection": (
        lambda: ns.ANP(1e-50)
    ),
    "learning_rate['A'] = 1e-50 must be a finite number > 0": lambda: ns.BPTT({"A": 1e-50}),
    "NP: noise_std = 1e+50 must be a finite number > 0": lambda: ns.NP(1e-3, noise_std=1e50),
    "float32 makes inf of it": lambda: ns.NP(1e-3, noise_std=1e50),
    "NP: noise_std = 1e+30 must be one whose square float32 can hold": (
        lambda: ns.NP(1e-3, noise_std=1e30)
    ),
    "beta2 = 0.999999999999 must be a number in [0, 1); float32 makes 1 of it": (
        lambda: ns.NP(1e-3, beta2=1 - 1e-12)
    ),
    "Projection 'R': gain = 3e+38 must be small enough for finite weights": (
        lambda: ns.rnn(1, 1, 1, gain=3e38, seed=3).initial_weights()
    ),
    "bptt.SGD: weights['A'] = array([[1]]) must be an array (n_post, n_pre) of floats": (
        lambda: ns.bptt.SGD({"A": np.ones((1, 1), int)}, {"A": 1.0})
    ),
    "bptt.Adam: gradients['A'] = (2, 2) must be of shape (2, 1)": (
        lambda: ns.bptt.Adam(MATRICES, RATES).step(MATRICES, {**MATRICES, "A": np.ones((2, 2))})
    ),
    "Substrate: w_min_step of 'A' = 1e-40 must be a number that float32": (
        lambda: simulator(substrate=ns.Substrate(w_max=1e-20, w_min_step=1e-20))
    ),
    "Substrate: spacing of act_bits = 1.": (
        lambda: simulator(substrate=ns.Substrate(act_range=1e-37, act_bits=24))
    ),
    "Substrate: act_noise = 1e-50 must be": lambda: ns.Substrate(act_noise=1e-50),
    "bptt.gradients: weights['R'] must be finite": lambda: ns.bptt.gradients(nan("R"), **DATA),
    "bptt.gradients: inputs must be finite": (
        lambda: ns.bptt.gradients(MATRICES, DATA["inputs"] * np.nan, DATA["targets"])
    ),
    "bptt.gradients: targets must be finite": (
        lambda: ns.bptt.gradients(MATRICES, DATA["inputs"], DATA["targets"] + np.inf)
    ),
}


def on_a_small_machine(probe):
    sim = simulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "memory", lambda: 71)
        sim.run(**DATA, probes=[probe])


@pytest.mark.parametrize("said", SAID)
def test_it_says_what_was_given_and_what_is_allowed(said, place):
    with pytest.raises(ERRORS) as refused:
        SAID[said]()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_flag_of_numpys_is_a_flag():
    told = simulator().run(**DATA, learn=np.bool_(True), outputs=np.bool_(True), reset=np.True_)
    np.testing.assert_array_equal(told.loss, simulator().run(**DATA, outputs=True).loss)
    assert told.outputs.shape == (4, 1, 1)
    assert simulator().run(**DATA, outputs=np.bool_(False)).outputs is None
    assert ns.rnn(1, 2, 1, decorrelate=np.bool_(False)) == ns.rnn(1, 2, 1)


def test_numpys_small_numbers_are_as_pythons():
    """A sum, product or remainder with one of them overflows, or has few digits."""
    for size in (np.int8(100), np.uint8(200), np.uint16(300)):
        drawn, wanted = (NET.draw("A", (n, n), 1.0) for n in (size, int(size)))
        np.testing.assert_array_equal(drawn, wanted)
    gain = np.float16(0.1)
    np.testing.assert_array_equal(NET.draw("A", (2, 3), gain), NET.draw("A", (2, 3), float(gain)))
    assert ns.rnn(1, 2, 1, bias=gain) == ns.rnn(1, 2, 1, bias=float(gain))
    for rule in (ns.NP, ns.WP):
        small = rule(1e-3, reward="global", window=np.uint8(150), resync_every=300)
        assert small == rule(1e-3, reward="global", window=150, resync_every=300)
    data = {"weights": MATRICES, "inputs": np.ones((300, 1, 1)), "targets": np.ones((300, 1, 1))}
    for name in ("chunk", "truncate"):
        found, wanted = (ns.bptt.gradients(**data, **{name: n})[1] for n in (np.uint8(200), 200))
        np.testing.assert_array_equal(found["R"], wanted["R"])


@pytest.mark.parametrize("epochs", [np.int8(127), np.uint8(255), np.uint16(65535)])
def test_as_many_epochs_are_trained_as_were_asked_for(epochs):
    def stop(history):
        raise KeyboardInterrupt

    assert ns.train(simulator(), task(), epochs, on_epoch=stop, progress=False).interrupted


def test_a_network_is_wired_whatever_its_size():
    """However many ways there are through it, and however long they are."""
    layers = [ns.Population("input", 1)]
    layers += [ns.Population(f"{side}{k}", 1, ns.Tanh()) for k in range(60) for side in "ab"]
    wires = [(p, q) for k, p in enumerate(layers) for q in layers[k + 1 : k + 4]]
    net = ns.Network(
        layers, [ns.Projection(f"{p.name} {q.name}", p.name, q.name) for p, q in wires]
    )
    assert not net.lasts("a0")
    again = ns.Projection("again", "b59", "b59", delay=1)
    assert ns.Network(layers, [*net.projections, again]).lasts("a0")


def test_a_preset_takes_another_rule_and_decorrelation():
    start = ns.presets.best_local
    rules = {"rule": ns.NP(1e-3), "decorrelation": ns.Decorrelation(1e-4)}
    sim = start.simulator(task(), 2, 1, engine="objects", **rules)
    assert (sim.rule, sim.decorrelation) == tuple(rules.values())


def test_a_loss_that_float32_cannot_hold_is_a_divergence():
    with pytest.raises(ns.DivergenceError):
        simulator().run(DATA["inputs"], DATA["targets"] + 3e19)


def test_a_limit_of_the_system_is_one_of_memory():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = 2**40 if hard < 0 else hard
    looks = (values.memory, neurosim_tasks.checks.memory)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        assert all(look.__wrapped__() <= limit for look in looks)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_what_is_measured_becomes_numbers_of_pythons_own():
    row = ns.train(
        simulator(), task(), measure=measuring({"n": np.int64(3), "x": np.array(0.5)}), **quietly
    ).last
    assert (row["n"], row["x"]) == (3.0, 0.5)
    assert type(row["x"]) is float
