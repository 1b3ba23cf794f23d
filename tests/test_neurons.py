"""Neuron models."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from numba import types

import neurosim as ns
from neurosim.engines.compile import adapted
from neurosim.local import ACTIVITY, SLOPE, scalar

MODELS = [ns.Tanh, ns.ReLU, ns.Linear]
EVERY = [*MODELS, ns.One]
VALUES = [-30.0, -1.5, -0.1, 0.0, 0.2, 1.0, 30.0]
FUNCTION = {ns.Tanh: math.tanh, ns.ReLU: lambda a: max(a, 0.0), ns.Linear: lambda a: a}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("a", VALUES)
def test_without_memory_the_activity_is_a_function_of_the_preactivation(model, a):
    assert model.activity(a, 0.7, 1.0, 0.0) == FUNCTION[model](a)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("tau", [1.5, 4.0])
def test_a_leaky_neuron_keeps_part_of_its_activity(model, tau):
    expected = FUNCTION[model](0.6) / tau + (1 - 1 / tau) * -0.4
    assert model.activity(0.6, -0.4, 1 / tau, 1 - 1 / tau) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_a_constant_input_is_reached_with_the_time_constant(model):
    x, tau = 0.0, 5.0
    for _ in range(5):
        x = model.activity(0.5, x, 1 / tau, 1 - 1 / tau)
    assert x == pytest.approx(FUNCTION[model](0.5) * (1 - 0.8**5))


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("tau", [0, 0.99, -2, math.nan, math.inf, "2", None, True])
def test_a_time_constant_is_at_least_one_step(model, tau):
    said = rf"{model.__name__}: tau = .* must be a finite number of steps >= 1"
    with pytest.raises(ns.InputError, match=said):
        model(tau=tau)


@pytest.mark.parametrize("model", EVERY)
def test_models_are_frozen_values(model):
    assert model().tau == 1.0
    assert model(tau=2) == model(tau=2) != model()
    with pytest.raises(AttributeError):
        model().tau = 3


@pytest.mark.parametrize("model", EVERY)
def test_compiled_for_float32_they_return_float32(model):
    function = adapted(model.activity, ACTIVITY, model.__name__)
    function.compile((types.float32,) * 4)
    assert {s.return_type for s in function.nopython_signatures} == {types.float32}


@pytest.mark.parametrize("tau", [1.0, 2.5])
@pytest.mark.parametrize("a", [-30.0, -1.5, -0.1, 0.2, 1.0, 30.0])
@pytest.mark.parametrize("model", EVERY)
def test_the_slope_is_the_derivative_of_the_activity_leak_included(model, a, tau):
    leak, h = 1 / tau, 1e-6
    asked = handed(model.activity, a=None, x=-0.3, leak=leak, keep=1 - leak)
    above, below = (model.activity(**asked(value)) for value in (a + h, a - h))
    slope = model.slope(**handed(model.slope, a=None, leak=leak)(a))
    assert slope == pytest.approx((above - below) / (2 * h), abs=1e-8)


def handed(function, **local):
    """Of what there is, what a function asks for, with some pre-activation."""
    names = inspect.signature(function).parameters
    return lambda a: {name: a if name == "a" else local[name] for name in names}


def test_slopes_where_there_are_corners():
    assert ns.ReLU.slope(0.0, 0.5) == 0
    assert ns.ReLU.slope(1e-9, 0.5) == 0.5
    assert ns.Tanh.slope(0.0, 0.25) == 0.25


@pytest.mark.parametrize("model", EVERY)
def test_compiled_for_float32_slopes_return_float32(model):
    function = adapted(scalar(model, "slope"), SLOPE, model.__name__)
    function.compile((types.float32,) * 2)
    assert {s.return_type for s in function.nopython_signatures} == {types.float32}


@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_one_is_always_one(tau):
    leak = np.float32(1 / tau)
    assert ns.One.activity(leak, np.float32(1 - 1 / tau)) == pytest.approx(1.0, abs=1e-7)
    assert ns.One(tau=tau).slope(leak) == 0


@pytest.mark.parametrize("engine", ["objects"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_a_network_of_them(engine, model, tau):
    net = ns.rnn(2, 4, 1, neuron=model(tau=tau), seed=2)
    u = np.random.default_rng(0).standard_normal((6, 1, 2))
    record = ns.Simulator(net, engine=engine).evaluate(u, np.zeros((6, 1, 1)))
    w, x = net.initial_weights(), np.zeros(4)
    function = np.vectorize(FUNCTION[model])
    for t in range(6):
        a = w["A"] @ u[t, 0].astype(np.float32) + w["R"] @ x
        x = function(a) / tau + (1 - 1 / tau) * x
        np.testing.assert_allclose(record.outputs[t, 0], w["B"] @ x, rtol=1e-4, atol=1e-6)
