"""What scalar functions may be written in: the same on every engine, before anything runs."""

from __future__ import annotations

import dis
import functools
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from math import fmod

import numpy as np
import pytest
from numba import njit

import neurosim as ns
from neurosim.engines.compile import adapted
from neurosim.local import SYNAPSE
from neurosim.local.language import MATH

ENGINES = ["objects", "cpu", "emulator"]
DATA = np.full((3, 1, 1), 0.5)


def rule_with(**functions):
    made = {name: staticmethod(function) for name, function in functions.items()}
    return dataclass(frozen=True)(type("Mine", (ns.NP,), made))


def simulator(engine="objects", **functions):
    return ns.Simulator(ns.rnn(1, 3, 1, seed=1), rule_with(**functions)(1e-7), engine=engine)


# ------------------------------------------------------------- what no engine takes


def one_branch(noise, reward):
    if noise > 0:
        return reward * noise


def explicit_none(noise, reward):
    return reward * noise if noise > 0 else None


# As it is where no test rewrites it.
exec(
    """def asserts(noise, reward):
    assert noise > 0
    return noise * reward

def slope(a):
    assert a
    return a""",
    globals(),
)


def raises(noise, reward):
    if noise < -100:
        raise ValueError(f"{noise} is too little")
    return reward * noise


def handles(noise, reward):
    try:
        return reward / noise
    except ZeroDivisionError:
        return 0.0


def set_in_one_branch(noise, reward):
    if noise > 100:
        factor = 2.0
    return factor * reward


def set_in_a_loop(noise, reward):
    while noise > 100:
        factor, noise = 2.0, noise - 1
    return factor * reward


def asserting_helper(noise, reward):
    return asserts(noise, reward)  # noqa: F821


def inner_without_return(noise, reward):
    def inner(value):
        if value > 0:
            return value

    return reward * noise if inner(noise) == 0 else 0.0


def inner_of_later(noise, reward):
    def inner(value):
        return later * value

    later = 2.0
    return inner(noise) * reward


def walrus(noise, reward):
    return (product := noise * reward) + product


def recursive(noise, reward):
    return reward if noise < 100 else recursive(noise - 1, reward)


def keyword_only(value, *, factor=2.0):
    return factor * value


def deletes(noise, reward):
    kept = noise
    del noise
    return kept * reward


def matches(noise, reward):
    match noise > 0, reward > 0:
        case True, True:
            return noise * reward
        case _:
            return -noise * reward


def imports(noise, reward):
    import math

    return math.tanh(noise) * reward


def of_a_variable(noise, reward):
    rounded = max
    return rounded(noise, reward)


def of_an_inner_function(noise, reward):
    def inner(value):
        return 2 * value

    other = inner
    return other(noise) * reward


def either_of_two(noise, reward):
    inner = (lambda value: value) if noise > 0 else (lambda value: -value)
    return inner(noise) * reward


def none_through_a_variable(noise, reward):
    signal = None
    if abs(reward) < 100:
        signal = noise * reward
    return signal


def of_a_helper(helper):
    def neuron(noise, reward):
        return helper(noise) * reward

    return neuron


REFUSED = [
    (one_branch, "returns nothing, or None, on one of its paths"),
    (explicit_none, "returns nothing, or None, on one of its paths"),
    (inner_without_return, "returns nothing, or None, on one of its paths"),
    (globals()["asserts"], "raises an exception"),
    (raises, "raises an exception"),
    (asserting_helper, "calls asserts(), which raises an exception"),
    (handles, "handles exceptions"),
    (set_in_one_branch, "reads 'factor' where it may have no value yet"),
    (set_in_a_loop, "reads 'factor' where it may have no value yet"),
    (inner_of_later, "reads 'later' where it may have no value yet"),
    (walrus, "assigns within an expression (:=)"),
    (recursive, "calls itself"),
    (
        lambda noise, reward: keyword_only(noise, factor=reward),
        "calls keyword_only(), which has arg",
    ),
    (
        lambda noise, reward: keyword_only(noise) * reward,
        "calls keyword_only(), which has arguments",
    ),
    (lambda noise, reward: max([noise, reward]), "makes a list, set or dictionary"),
    (lambda noise, reward: max([v * noise for v in (reward,)]), "makes a list, set or dictionary"),
    (lambda noise, reward: max(v for v in (noise, reward)), "is a generator or a coroutine"),
    (lambda noise, reward: max(*(noise, reward)), "uses a * in a call or an assignment"),
    (lambda noise, reward: float(f"{noise}") * reward, "makes text"),
    (lambda noise, reward: math.cbrt(noise) * reward, "uses math.cbrt"),
    (lambda noise, reward: fmod(noise, 1.0) * reward, "uses math.fmod"),
    (lambda noise, reward: math.isclose(noise, 0.0) * reward, "uses math.isclose"),
    (lambda noise, reward: math.fsum((noise, reward)), "uses math.fsum"),
    (of_a_helper(math.cbrt), "uses math.cbrt"),
    (of_a_helper(lambda value: math.fmod(value, 1.0)), "calls <lambda>(), which uses math.fmod"),
    (deletes, "deletes a variable"),
    (matches, "matches sequences, mappings or classes"),
    (imports, "imports a module"),
    (none_through_a_variable, "uses None"),
    (lambda noise, reward: noise * reward * 1j, "uses complex numbers"),
    (lambda noise, reward: ~(noise > 0) * reward, "inverts bits (~)"),
    (lambda noise, reward: math.ldexp(noise, 2) * reward, "uses math.ldexp"),
    (lambda noise, reward: (math.tanh == math.exp) * reward, "uses math.tanh without calling"),
    (of_a_variable, "uses max() without calling it"),
    (of_an_inner_function, "uses inner() without calling it"),
    (either_of_two, "uses a function without calling it"),
    (lambda noise, reward: (0, abs)[0] * reward * noise, "uses abs() without calling it"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("function", "what"), REFUSED)
def test_a_function_that_may_give_no_number_is_refused_before_anything_runs(engine, function, what):
    with pytest.raises(ns.InputError) as error:
        simulator(engine, neuron=function)
    assert str(error.value).startswith(f"Mine: {function.__name__}() {what}")
    assert "must return a number on every path" in str(error.value)


def test_so_are_those_of_neuron_models_and_of_decorrelation():
    def activity(a, x):
        return (a, x)

    for name, function, says in (
        ("activity", activity, r"Mine: activity\(\) = \(.*\) must be a number"),
        ("slope", globals()["slope"], r"Mine: slope\(\) raises an exception"),
    ):
        model = type("Mine", (ns.Tanh,), {name: staticmethod(function)})
        with pytest.raises(ns.InputError, match=says):
            ns.rnn(1, 3, 1, neuron=model())

    def synapse(pre, post):
        if pre > 0:
            return post

    mine = type("Mine", (ns.Decorrelation,), {"synapse": staticmethod(synapse)})
    with pytest.raises(ns.InputError, match=r"Mine: synapse\(\) returns nothing"):
        ns.Simulator(ns.rnn(1, 3, 1, decorrelate=True), None, mine(1e-5))


def factorial(noise, reward, terms=21):
    product = 1
    for k in range(1, terms + 1):
        product *= k
    return noise * reward / product


def inner_factorial(noise, reward):
    def powers(base):
        product = 1
        for _ in range(70):
            product = base * product
        return product

    return noise * reward / powers(2)


BASE = 3  # its powers are of floats


@pytest.mark.parametrize(
    "function", [lambda noise, reward: factorial(noise, reward), inner_factorial]
)
def test_an_integer_that_compiled_code_cannot_hold_is_refused(function):
    with pytest.raises(ns.InputError, match="makes an integer that 64 bits cannot hold"):
        simulator(neuron=function)
    simulator(neuron=lambda noise, reward: factorial(noise, reward, 20) * BASE**30 * BASE**30)


def test_an_inner_function_is_taken_as_other_pythons_compile_it(monkeypatch):
    plain = dis.get_instructions

    def later(code):
        for step in plain(code):
            yield step
            if step.opname == "MAKE_FUNCTION":  # as of Python 3.13
                yield step._replace(opname="SET_FUNCTION_ATTRIBUTE", argval=8)

    monkeypatch.setattr(dis, "get_instructions", later)
    simulator(neuron=with_an_inner_function)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda noise, reward: "much" if noise > 1 else reward, "= 'much' must be a number"),
        (lambda noise, reward: noise + "a" if reward < -1 else 0.0, r"cannot be called \(unsupp"),
    ],
)
def test_more_than_one_point_is_tried(function, says):
    with pytest.raises(ns.InputError, match=rf"Mine: <lambda>\(\) {says}"):
        simulator(neuron=function)


def later_closure():
    def neuron(noise, reward):
        return later * noise * reward

    made = rule_with(neuron=neuron)
    with pytest.raises(ns.InputError, match=r"uses 'later' \(no value yet\)"):
        ns.Simulator(ns.rnn(1, 3, 1), made(1e-3), engine="objects")
    later = 1.0
    return made


def test_what_has_no_name_or_no_value_yet_is_refused_in_words():
    ns.Simulator(ns.rnn(1, 3, 1), later_closure()(1e-3), engine="objects")
    half = functools.partial(lambda factor, noise, reward: factor * noise * reward, 0.5)
    for constant in (np.int8(100), np.float16(1), 1j):
        with pytest.raises(ns.InputError, match="not local"):
            simulator(neuron=of_a_helper(constant))
    with pytest.raises(ns.InputError, match=r"Mine: partial\(\) "):
        simulator(neuron=half)


class Disguised:
    """An object with what compiled functions have, and a state of its own."""

    py_func = staticmethod(lambda value: value)
    state = 0.0

    def __call__(self, value):
        self.state += value
        return self.state


def test_an_object_is_not_taken_for_a_compiled_function():
    with pytest.raises(ns.InputError, match=r"uses 'helper: .*Disguised.* not local"):
        simulator(neuron=of_a_helper(Disguised()))


@pytest.mark.parametrize("engine", ["cpu", "emulator"])
@pytest.mark.parametrize(
    "function",
    [
        lambda noise, reward: (1, 2.5)[int(noise > 0)] * reward,
        lambda noise, reward: bool() + noise * reward,  # noqa: UP018 (a ValueError there)
    ],
)
def test_what_a_compiler_alone_objects_to_is_one_sentence(engine, function):
    simulator("objects", neuron=function).run(DATA, DATA)
    with pytest.raises(ns.InputError) as error:
        simulator(engine, neuron=function)
    said = str(error.value)
    assert said.startswith("Mine: <lambda>() cannot be compiled (")
    assert len(said) < 400
    assert "\n" not in said


def test_without_its_compiler_an_engine_says_so():
    code = "import neurosim as ns; ns.Simulator(ns.rnn(1, 2, 1), engine='{}')"
    for engine, fine in (("objects", True), ("cpu", False), ("emulator", False)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(engine)],
            env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) is fine
        assert fine or f"engine = '{engine}' needs Numba's compiler" in done.stderr.splitlines()[-1]


# ------------------------------------------------------ what every engine takes


def chained(noise, reward):
    twice = again = 2 * noise
    return reward * (twice + again if 0 < noise < 1 else twice)


def every_branch(noise, reward):
    if noise > 0:
        sign = 1.0
    elif noise < 0:
        sign = -1.0
    else:
        sign = 0.0
    return sign * reward


def loops(noise, reward):
    total = 0.0
    for factor in (1.0, 0.5):
        total += factor * noise
    return total * reward


def with_an_inner_function(noise, reward):
    factor = 2.0

    def inner(value):
        return factor * value

    return inner(noise) * reward


COMPILED = njit(lambda value: 1.0 / value)  # by its own options it raises where value is 0


def counts(noise, reward):
    total = 0.0
    for k in range(3):
        total += noise / (k + 1)
    return total * reward


TAKEN = [
    counts,
    of_a_helper(lambda value: 3.0 * value),
    of_a_helper(math.tanh),
    of_a_helper(COMPILED),
    chained,
    every_branch,
    loops,
    with_an_inner_function,
    lambda noise, reward: (lambda value: 2 * value)(noise) * reward,
    lambda noise, reward: (lambda value, factor=2.0: factor * value * reward)(noise),
    lambda noise, reward: (float(noise > 0) - 0.25) * reward,
    # Where Python has no number for it, there is one all the same.
    lambda noise, reward: min(1.0 / (noise - noise), 5.0) * reward,
    lambda noise, reward: max(math.log(noise - noise), -5.0) * reward,
    lambda noise, reward: min(math.exp(1e4 + noise), 5.0) * reward,
    lambda noise, reward: min(COMPILED(noise - noise), 5.0) * reward,
]


# The emulator compiles for a second and a half where the others take none.
@pytest.mark.parametrize(
    ("function", "engine"),
    [(f, "cpu") for f in TAKEN] + [(f, "emulator") for f in (TAKEN[0], TAKEN[3], TAKEN[-1])],
)
def test_engines_agree_on_what_they_take(function, engine):
    weights = []
    for name in ("objects", engine):
        sim = simulator(name, neuron=function)
        sim.run(DATA, -DATA)
        weights.append(sim.weights["R"])
    assert not np.array_equal(weights[0], sim.network.initial_weights()["R"])
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "function",
    [
        lambda noise, reward: reward / (noise - noise),
        lambda noise, reward: (-1.0 - abs(noise)) ** 0.5 * reward,
        lambda noise, reward: math.sqrt(-1.0 - abs(noise)) * reward,
    ],
)
def test_where_there_is_no_number_every_engine_diverges(engine, function):
    with pytest.raises(ns.DivergenceError) as error:
        simulator(engine, neuron=function).run(DATA, -DATA)
    assert error.value.step == 1


def all_of_math(a, b):
    """A scalar function of two numbers between which all of `math` that is offered is used."""
    given = dict.fromkeys(MATH, f"({a})") | {"acosh": f"({b})"}
    given |= dict.fromkeys(("atan2", "copysign", "hypot", "pow"), f"({a}, {b})")
    given |= dict.fromkeys(("e", "inf", "nan", "pi", "tau"), f" - 1.0 == {b}")
    terms = [f"{k} * math.{name}{given[name]}" for k, name in enumerate(sorted(MATH), 1)]
    return eval(f"lambda {a}, {b}: {' + '.join(terms)}", {"math": math})


@pytest.mark.parametrize("exact", [False, True])
def test_compilers_have_all_of_math_that_is_offered(exact):
    plain = all_of_math("pre", "signal")
    inner = adapted(plain, SYNAPSE, "Mine", exact)
    compiled = njit(lambda pre, signal: inner(pre, signal, 0.0, 0.0))
    made = compiled(np.float32(0.5), np.float32(2.0))
    np.testing.assert_allclose(made, plain(0.5, 2.0), rtol=1e-5)


# ------------------------------------------------------------- later, and nowhere

SCALE = 1.0


def scaled(noise, reward):
    return SCALE * noise * reward


def squashed(a):
    return SCALE * math.tanh(a)


@pytest.mark.parametrize("engine", ["objects", "cpu"])
def test_what_a_function_uses_is_as_it_was_when_the_simulator_was_made(engine, monkeypatch):
    model = type("Mine", (ns.Tanh,), {"activity": staticmethod(squashed)})
    net, rule = ns.rnn(1, 3, 1, neuron=model(), seed=1), rule_with(neuron=scaled)(1e-3)
    sims = [ns.Simulator(net, rule, engine=engine) for _ in range(2)]
    for sim in sims:
        sim.run(DATA, -DATA)
    sims[0].run(DATA, -DATA)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    sims[1].run(DATA, -DATA)
    np.testing.assert_array_equal(sims[0].weights["R"], sims[1].weights["R"])
    with pytest.raises(ns.InputError, match="have changed since it was made"):
        sims[1].evaluate(DATA, -DATA)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, r"synapse\(\) asks for 'signal', which only a function neuron\(\) forms"),
        (5, "neuron = 5 must be a function, or None"),
        (property(lambda self: self), "neuron = <property .* must be a function, or None"),
    ],
)
def test_a_rule_whose_neurons_form_no_signal_is_refused(found, says):
    with pytest.raises(ns.InputError, match=f"Mine: {says}"):
        ns.Simulator(ns.rnn(1, 3, 1), type("Mine", (ns.NP,), {"neuron": found})(1e-3))


FAR = (0.0, 1.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda noise, reward: "a" if 1e-4 < noise < 0.1 else reward,
        lambda noise, reward: FAR[2 if 1e-4 < noise < 0.1 else 1] * reward,
    ],
)
def test_what_no_tried_point_reaches_ends_a_run_of_the_oracle(function):
    sim = simulator("objects", neuron=function)
    with pytest.raises(
        ns.KernelError, match=r"Mine: <lambda>\(\) cannot be computed of \["
    ) as error:
        sim.run(np.tile(DATA, (30, 1, 1)), np.tile(-DATA, (30, 1, 1)))
    assert "the state is no longer usable" in str(error.value)
    with pytest.raises(ns.KernelError):
        _ = sim.weights
