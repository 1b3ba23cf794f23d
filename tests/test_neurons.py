"""Neuron models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import types

import neurosim as ns
from neurosim.engines.compile import adapted
from neurosim.local import ACTIVITY

MODELS = [ns.Tanh, ns.ReLU, ns.Linear]
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


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("tau", [0, 0.99, -2, math.nan, math.inf, "2", None, True])
def test_a_time_constant_is_at_least_one_step(model, tau):
    said = rf"{model.__name__}: tau = .* must be a finite number of steps >= 1"
    with pytest.raises(ns.InputError, match=said):
        model(tau=tau)


@pytest.mark.parametrize("model", MODELS)
def test_models_are_frozen_values(model):
    assert model().tau == 1.0
    assert model(tau=2) == model(tau=2) != model()
    with pytest.raises(AttributeError):
        model().tau = 3


@pytest.mark.parametrize("model", MODELS)
def test_compiled_for_float32_they_return_float32(model):
    function = adapted(model.activity, ACTIVITY, model.__name__)
    function.compile((types.float32,) * 4)
    assert [s.return_type for s in function.nopython_signatures] == [types.float32]


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
