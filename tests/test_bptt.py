"""The referee is right: its gradients, its optimisers, its decorrelation."""

from __future__ import annotations

import doctest
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from bptt_reference import given_states, gradient, losses, slope

import neurosim as ns
from neurosim import bptt
from neurosim.bptt import gradient as gradient_module
from neurosim.bptt.passes import Cell

STEPS, BATCH, N, N_IN, N_OUT = 7, 3, 5, 2, 2
REACH = {
    "full": {},
    "truncate 1": {"truncate": 1},
    "truncate 2": {"truncate": 2},
    "truncate 5": {"truncate": 5},
    "truncate 6": {"truncate": 6},
    "chunk 1": {"chunk": 1},
    "chunk 3": {"chunk": 3},
}


def problem(decorrelated=True, steps=STEPS, seed=0, dtype=np.float64, bias=False):
    """Weights, inputs and targets."""
    generator = np.random.default_rng(seed)
    w = {
        "A": generator.normal(size=(N, N_IN)),
        "R": generator.normal(size=(N, N)) / 2,
        "B": generator.normal(size=(N_OUT, N)),
    }
    if decorrelated:
        w["D"] = np.eye(N) + 0.2 * generator.normal(size=(N, N))
    if bias:
        w["b"] = generator.normal(size=(N, 1))
    data = generator.normal(size=(2, steps, BATCH, 2))
    return {name: v.astype(dtype) for name, v in w.items()}, *data.astype(dtype)


def same(found, expected, rtol):
    """Whether gradients agree up to `rtol` of the largest entry of each matrix."""
    return set(found) == set(expected) and all(
        np.abs(found[name] - g).max() <= rtol * np.abs(g).max() for name, g in expected.items()
    )


# ------------------------------------------------------------------- gradients


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH)
@pytest.mark.parametrize("neuron", ["tanh", "relu", "linear"])
@pytest.mark.parametrize("tau", [1.0, 3.0])
@pytest.mark.parametrize("decorrelated", [False, True])
def test_gradients_are_those_of_finite_differences(reach, neuron, tau, decorrelated):
    w, inputs, targets = problem(decorrelated)
    how = {"neuron": neuron, "tau": tau, **reach}
    loss, found = bptt.gradients(w, inputs, targets, **how)
    expected = gradient(w, inputs, targets, **how)
    assert same(found, expected, 1e-7)
    assert loss == pytest.approx(losses(w, inputs, targets, **how), rel=1e-12)


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH)
def test_gradients_of_a_bias(reach):
    w, inputs, targets = problem(bias=True)
    found = bptt.gradients(w, inputs, targets, tau=2.0, **reach)[1]
    expected = gradient(w, inputs, targets, tau=2.0, **reach)
    assert set(found) == {"A", "R", "B", "b"}
    assert same(found, expected, 1e-7)


@pytest.mark.parametrize("reach", [{}, {"truncate": 3}, {"chunk": 70}, {"chunk": 64}])
def test_long_sequences_too(reach):
    """Longer than what is differentiated in one go: along a random direction."""
    w, inputs, targets = problem(steps=150, bias=True)
    generator = np.random.default_rng(1)
    direction = {name: generator.normal(size=w[name].shape) for name in "ARBb"}
    how = {"tau": 1.5, **reach}
    found = bptt.gradients(w, inputs, targets, **how)[1]
    given = given_states(w, inputs, **how)
    expected = slope(w, direction, inputs, targets, h=1e-6, given=given, **how)
    along = sum((found[name] * direction[name]).sum() for name in direction)
    assert along == pytest.approx(expected, rel=1e-7)


def test_the_finite_differences_tell_reaches_apart():
    """Negative control: each way of cutting credit off gives another gradient."""
    w, inputs, targets = problem()
    found = {key: bptt.gradients(w, inputs, targets, **reach)[1] for key, reach in REACH.items()}
    for key, reach in REACH.items():
        expected = gradient(w, inputs, targets, **reach)
        others = [other for other in REACH if same(found[other], expected, 1e-3)]
        alike = {"truncate 1", "chunk 1"}
        assert set(others) == (alike if key in alike else {key})


@pytest.mark.parametrize("reach", [{name: k} for name in ("truncate", "chunk") for k in (7, 8, 99)])
def test_reaching_back_over_the_whole_sequence_is_the_full_gradient(reach):
    w, inputs, targets = problem()
    full = bptt.gradients(w, inputs, targets, tau=2.0)[1]
    assert same(bptt.gradients(w, inputs, targets, tau=2.0, **reach)[1], full, 1e-14)


@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_truncating_to_one_step_is_cutting_into_chunks_of_one(tau):
    w, inputs, targets = problem()
    one, other = (
        bptt.gradients(w, inputs, targets, tau=tau, **reach)[1]
        for reach in ({"truncate": 1}, {"chunk": 1})
    )
    assert same(one, other, 1e-14)


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH)
@pytest.mark.parametrize("neuron", ["tanh", "relu", "linear"])
def test_the_precision_is_that_of_the_weights(reach, neuron):
    w, inputs, targets = problem()
    how = {"neuron": neuron, "tau": np.float64(2.0), **reach}
    exact = bptt.gradients(w, inputs, targets, **how)[1]
    single = {name: v.astype(np.float32) for name, v in w.items()}
    rounded = bptt.gradients(single, inputs, targets, **how)[1]
    assert {g.dtype for g in exact.values()} == {np.dtype(np.float64)}
    assert {g.dtype for g in rounded.values()} == {np.dtype(np.float32)}
    assert same(rounded, exact, 1e-5)
    assert not same(rounded, exact, 1e-9)


@pytest.mark.parametrize("neuron", ["tanh", "relu", "linear"])
def test_a_numpy_number_as_an_option_does_not_widen(neuron):
    given = problem(dtype=np.float32)
    one, other = (
        bptt.gradients(*given, neuron=neuron, tau=tau)[1] for tau in (2.0, np.float64(2.0))
    )
    for name, g in one.items():
        np.testing.assert_array_equal(other[name], g)
    assert Cell(neuron, 2.0).slope(np.ones(3, np.float32)).dtype == np.float32


def test_whole_numbers_and_lists_become_float64():
    w = {"A": [[1], [2]], "R": np.eye(2, dtype=int), "B": [[1, 1]]}
    loss, found = bptt.gradients(w, [[[1]], [[2]]], np.zeros((2, 1, 1), np.float32))
    exact = {name: np.asarray(v, dtype=float) for name, v in w.items()}
    expected = gradient(exact, np.array([[[1.0]], [[2.0]]]), np.zeros((2, 1, 1)))
    assert isinstance(loss, float)
    assert same(found, expected, 1e-7)
    assert found["R"].dtype == np.float64


def test_nothing_that_is_given_is_changed():
    w, inputs, targets = problem()
    for values in (*w.values(), inputs, targets):
        values.flags.writeable = False
    for reach in REACH.values():
        bptt.gradients(w, inputs, targets, **reach)


BAD = {
    "no weights": (lambda w, u, y: ({}, u, y), r"weights\['A'\] is missing"),
    "no mapping": (lambda w, u, y: (w["A"], u, y), "weights must be a mapping .*ndarray"),
    "one more": (lambda w, u, y: (w | {"C": u}, u, y), r"weights\['C'\] has no part.*A, B, D, R"),
    "R": (lambda w, u, y: (w | {"R": w["A"]}, u, y), r"weights\['R'\] has shape \(5, 2\), .*5, 5"),
    "A": (
        lambda w, u, y: (w | {"A": w["R"]}, u, y),
        r"weights\['A'\] .*\(5, 5\), must be \(5, 2\)",
    ),
    "B": (
        lambda w, u, y: (w | {"B": w["A"]}, u, y),
        r"weights\['B'\] .*\(5, 2\), must be \(2, 5\)",
    ),
    "D": (
        lambda w, u, y: (w | {"D": w["B"]}, u, y),
        r"weights\['D'\] .*\(2, 5\), must be \(5, 5\)",
    ),
    "b": (
        lambda w, u, y: (w | {"b": w["A"]}, u, y),
        r"weights\['b'\] .*\(5, 2\), must be \(5, 1\)",
    ),
    "vector": (lambda w, u, y: (w | {"R": w["R"][0]}, u, y), r"weights\['R'\] has shape \(5,\)"),
    "inputs": (lambda w, u, y: (w, u[0], y), r"inputs has shape \(3, 2\), must be \(T, batch"),
    "empty": (lambda w, u, y: (w, u[:0], y), r"inputs has shape \(0, 3, 2\)"),
    "targets": (
        lambda w, u, y: (w, u, y[1:]),
        r"targets has shape \(6, 3, 2\), must be \(7, 3, 2\)",
    ),
    "text": (lambda w, u, y: (w, np.full(u.shape, "a"), y), "inputs must be numbers of shape"),
    "complex": (lambda w, u, y: (w, u, y + 1j), "targets must be numbers of shape .*complex128"),
    "masked": (
        lambda w, u, y: (w, np.ma.masked_less(u, 0), y),
        r"inputs must be numbers of shape \(T, batch, features\), and none masked",
    ),
    "masked weights": (
        lambda w, u, y: (w | {"A": np.ma.masked_less(w["A"], 0)}, u, y),
        r"weights\['A'\] must be numbers .* none masked",
    ),
    "ragged": (lambda w, u, y: (w, [[1], [1, 2]], y), "inputs must be numbers of shape"),
}


@pytest.mark.parametrize(("change", "says"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused(change, says):
    with pytest.raises(ns.InputError, match=f"bptt.gradients: {says}"):
        bptt.gradients(*change(*problem()))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            {"truncate": 0},
            r"truncate = 0 must be None or a whole number of steps in \[1, 2\*\*32\)",
        ),
        ({"truncate": 1.5}, r"truncate = 1\.5"),
        ({"truncate": True}, "truncate = True"),
        ({"chunk": -1}, "chunk = -1"),
        ({"chunk": 2, "truncate": 3}, "truncate = 3 and chunk = 2 exclude each other"),
        ({"neuron": "tahn"}, "neuron = 'tahn' does not exist; did you mean 'tanh'"),
        ({"neuron": ns.Tanh()}, r"neuron = Tanh\(tau=1\.0\) does not exist"),
        ({"tau": 0.5}, r"tau = 0\.5 must be a finite number of steps >= 1"),
        ({"tau": math.nan}, "tau = nan"),
    ],
)
def test_options_that_do_not_exist_are_refused(how, says):
    with pytest.raises(ns.InputError, match=f"bptt.gradients: {says}"):
        bptt.gradients(*problem(), **how)


# --------------------------------------------------- arrays of other libraries


class Elsewhere(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in another memory, as strict as CuPy's: NumPy's arrays cannot meet it."""

    def __init__(self, values):
        assert type(values) in (np.ndarray, np.float64, np.float32, np.bool_)
        self._values = np.asarray(values)

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    @staticmethod
    def _inside(value):
        if isinstance(value, tuple | list):
            return type(value)(Elsewhere._inside(v) for v in value)
        if isinstance(value, np.ndarray):
            raise TypeError("unsupported type: numpy.ndarray")
        return value._values if isinstance(value, Elsewhere) else value

    def _call(self, function, given, options):
        options = {name: self._inside(value) for name, value in options.items()}
        found = function(*self._inside(tuple(given)), **options)
        return Elsewhere(found)

    def __array_ufunc__(self, ufunc, method, *given, **options):
        return self._call(getattr(ufunc, method), given, options)

    def __array_function__(self, function, types, given, options):
        return self._call(function, given, options)

    def __getattr__(self, name):
        if name in ("shape", "dtype", "ndim"):
            return getattr(self._values, name)
        if name == "T":
            return Elsewhere(self._values.T)
        if name in ("astype", "reshape", "copy", "sum", "all"):
            return lambda *given, **how: self._call(getattr(self._values, name), given, how)
        raise AttributeError(name)

    def __len__(self):
        return len(self._values)

    def __bool__(self):
        return bool(self._values)

    def __float__(self):
        return float(self._values)

    def __getitem__(self, index):
        return Elsewhere(self._values[index])

    def __setitem__(self, index, value):
        self._values[index] = self._inside(value)


def elsewhere(w, *arrays):
    return {name: Elsewhere(v.copy()) for name, v in w.items()}, *map(Elsewhere, arrays)


@pytest.mark.parametrize("reach", REACH.values(), ids=REACH)
@pytest.mark.parametrize("neuron", ["tanh", "relu", "linear"])
@pytest.mark.parametrize("tau", [1.0, 3.0])
@pytest.mark.parametrize("decorrelated", [False, True])
def test_arrays_of_another_library_give_the_same_numbers(reach, neuron, tau, decorrelated):
    given = problem(decorrelated, bias=True)
    how = {"neuron": neuron, "tau": tau, **reach}
    loss, found = bptt.gradients(*elsewhere(*given), **how)
    expected = bptt.gradients(*given, **how)
    assert loss == expected[0]
    for name, g in expected[1].items():
        assert type(found[name]) is Elsewhere
        np.testing.assert_array_equal(found[name]._values, g)


def test_the_other_library_does_not_mix():
    """Negative control of the stand-in: what CuPy refuses, it refuses."""
    w, inputs, targets = problem()
    away, u, y = elsewhere(w, inputs, targets)
    for given in ((w, u, y), (away, inputs, y), (away, u, targets)):
        with pytest.raises(TypeError, match=r"numpy\.ndarray|NumPy array"):
            bptt.gradients(*given)
    with pytest.raises(TypeError, match="NumPy array"):
        np.asarray(u)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_arrays_of_another_library_are_optimised(name):
    w, inputs, _ = problem()
    away = elsewhere(w)[0]
    rates = {"A": 0.1, "B": 0.2}
    ours, theirs = bptt.optimiser(name, w, rates), bptt.optimiser(name, away, rates)
    for k in range(3):
        ours.step(w, {n: (k + 1) * v for n, v in problem()[0].items()})
        theirs.step(away, {n: (k + 1) * v for n, v in elsewhere(problem()[0])[0].items()})
    for n, v in w.items():
        np.testing.assert_array_equal(away[n]._values, v)
    assert not np.array_equal(w["A"], problem()[0]["A"])
    s = inputs[:, :, :1] * np.ones(N)
    for change in (bptt.decorrelation, bptt.local_decorrelation):
        found = change(Elsewhere(w["D"]), Elsewhere(s))
        np.testing.assert_array_equal(found._values, change(w["D"], s))


def test_the_example():
    tried = doctest.testmod(gradient_module)
    assert tried.attempted >= 5
    assert tried.failed == 0


# ------------------------------------------------------------------ optimisers


def run(optimiser, gradients, rate=0.5, **options):
    """Weights after each of some gradients of a single weight that starts at 1."""
    w = {"A": np.array([[1.0]])}
    made = bptt.optimiser(optimiser, w, {"A": rate}, **options)
    found = []
    for g in gradients:
        made.step(w, {"A": np.array([[float(g)]])})
        found.append(float(w["A"][0, 0]))
    return found


def test_steepest_descent():
    assert run("sgd", [1, -3]) == [0.5, 2.0]


def test_momentum():
    # m = 1; .5 + 2 = 2.5; 1.25 - 1 = .25
    assert run("momentum", [1, 2, -1], beta1=0.5) == [0.5, -0.75, -0.875]


def test_adam():
    # n = 1: m = 1 / 2, v = 1 / 4, unbiased 1 and 1; a step of .5 / (1 + .25)
    # n = 2: m = 1/4 - 1 = -3/4, unbiased -1; v = 3/16 + 1 = 19/16, unbiased 19/7
    second = 0.6 + 0.5 / (math.sqrt(19 / 7) + 0.25)
    found = run("adam", [1, -2], beta1=0.5, beta2=0.75, epsilon=0.25)
    assert found == pytest.approx([0.6, second], rel=1e-14)


def test_adams_first_step_has_the_size_of_the_rate_whatever_the_gradient():
    for g in (1e-3, 1.0, -1e3):
        (found,) = run("adam", [g], rate=0.1)
        assert found == pytest.approx(1 - math.copysign(0.1, g), rel=1e-4)


def test_weights_without_a_rate_are_left_alone():
    w, *_ = problem()
    before = {name: v.copy() for name, v in w.items()}
    bptt.optimiser("adam", w, {"B": 0.1}).step(w, before)
    assert {n for n, v in w.items() if not np.array_equal(v, before[n])} == {"B"}


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_large_matrices_follow_row_by_row(name):
    generator = np.random.default_rng(5)
    wide = {"A": generator.normal(size=(7, 30_000))}
    narrow = {f"{k}": wide["A"][k : k + 1].copy() for k in range(7)}
    one = bptt.optimiser(name, wide, {"A": 0.1})
    many = bptt.optimiser(name, narrow, dict.fromkeys(narrow, 0.1))
    for _ in range(3):
        g = generator.normal(size=(7, 30_000))
        one.step(wide, {"A": g})
        many.step(narrow, {f"{k}": g[k : k + 1] for k in range(7)})
    for k in range(7):
        np.testing.assert_array_equal(wide["A"][k], narrow[f"{k}"][0])


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_an_optimiser_goes_on_from_its_state_to_the_bit(name):
    gradients, *_ = problem(dtype=np.float32)
    w, *_ = problem(seed=1, dtype=np.float32)
    rates = dict.fromkeys(w, 1e-2)
    first = bptt.optimiser(name, w, rates)
    for _ in range(3):
        first.step(w, gradients)
    other = {n: v.copy() for n, v in w.items()}
    second = bptt.optimiser(name, other, rates)
    state = first.state()
    second.set_state(state)
    for values in state.values():
        values[...] = 0  # they were copies
    for _ in range(3):
        first.step(w, gradients)
        second.step(other, gradients)
    for n, v in w.items():
        assert v.dtype == np.float32
        np.testing.assert_array_equal(v, other[n])


def test_an_optimiser_that_does_not_exist():
    with pytest.raises(ns.InputError, match=r"bptt\.optimiser: optimiser = 'adma'.*'adam'"):
        bptt.optimiser("adma", {}, {})


# --------------------------------------------------------------- decorrelation


def test_decorrelation_is_equation_6():
    D, s = problem()[0]["D"], np.random.default_rng(2).normal(size=(4, BATCH, N))
    expected, local = np.zeros((N, N)), np.zeros((N, N))
    for step in s:
        for replica in step:
            apart = np.outer(replica, replica) - np.diag(replica**2)
            local += apart / BATCH
            expected += apart @ D / BATCH
    np.testing.assert_allclose(bptt.decorrelation(D, s), expected, rtol=1e-12)
    np.testing.assert_allclose(bptt.local_decorrelation(D, s), local, rtol=1e-12)
    assert not bptt.local_decorrelation(D, s).diagonal().any()
    parts = sum(bptt.decorrelation(D, step) for step in s)
    np.testing.assert_allclose(parts, expected, rtol=1e-12)


@pytest.mark.parametrize("change", [bptt.decorrelation, bptt.local_decorrelation])
def test_decorrelation_decorrelates(change):
    generator = np.random.default_rng(3)
    mixed = generator.normal(size=(N, N)) / 2
    D = np.eye(N)
    x = generator.normal(size=(500, N)) @ mixed.T

    def correlation(D):
        second = np.cov((x @ D.T).T, bias=True)
        return np.abs(second - np.diag(second.diagonal())).sum()

    before = correlation(D)
    for _ in range(200):
        D -= 0.05 * change(D, x @ D.T)
    assert correlation(D) < 0.1 * before


# --------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("given", "schedule"),
    [
        ({}, "sequence"),
        ({"truncate": 3}, "online"),
        ({"chunk": 3}, "chunk"),
        ({"truncate": 3, "schedule": "sequence"}, "sequence"),
        ({"chunk": 3, "schedule": "sequence"}, "sequence"),
    ],
)
def test_weights_change_as_soon_as_the_options_allow(given, schedule):
    rule = ns.BPTT(1e-3, **given)
    assert rule.schedule == schedule
    assert rule.passes == 1
    assert ns.BPTT(1e-3, **given | {"schedule": schedule}) == rule
    with pytest.raises(FrozenInstanceError):
        rule.truncate = 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"learning_rate": 0}, "learning_rate = 0 must be a finite number > 0"),
        ({"learning_rate": {}}, "learning_rate = {} must be"),
        ({"learning_rate": {"A": -1}}, r"learning_rate\['A'\] = -1 must be"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast' must be"),
        ({"truncate": 0}, "truncate = 0 must be"),
        ({"chunk": 2.0}, r"chunk = 2\.0 must be"),
        ({"truncate": 1, "chunk": 1}, "truncate = 1 and chunk = 1 exclude each other"),
        ({"schedule": "online"}, "schedule = 'online' needs truncate"),
        ({"schedule": "online", "chunk": 2}, "schedule = 'online' needs truncate"),
        ({"schedule": "chunk"}, "schedule = 'chunk' needs chunk"),
        ({"schedule": "window"}, "schedule = 'window' must be one of None, online"),
        ({"optimiser": "adamw"}, "optimiser = 'adamw' does not exist; did you mean 'adam'"),
        ({"beta1": 1}, r"beta1 = 1 must be a number in \[0, 1\)"),
        ({"beta2": -0.1}, r"beta2 = -0\.1 must be"),
        ({"epsilon": 0}, "epsilon = 0 must be a finite number > 0"),
    ],
)
def test_options_without_sense_are_refused(given, says):
    with pytest.raises(ns.InputError, match=f"BPTT: {says}"):
        ns.BPTT(**{"learning_rate": 1e-3, **given})


def test_the_budget_says_that_it_is_not_local():
    told = str(ns.BPTT.budget())
    for words in ("BPTT: 1 pass; not local", "transposed", "a vector", "all activities"):
        assert words in told
