"""The paper's network forwards in time, and the gradient of its loss backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Steps differentiated in one go: enough for a fast product, few enough to take little memory.
BLOCK = 64


@dataclass(frozen=True)
class Cell:
    """A hidden unit: ``x_t = f(a_t) / tau + (1 - 1 / tau) x_{t-1}``."""

    neuron: str = "tanh"
    tau: float = 1.0

    def fire(self, a: Any) -> Any:
        """``f(a)``."""
        if self.neuron == "tanh":
            return np.tanh(a)
        return np.maximum(a, 0) if self.neuron == "relu" else a

    def slope(self, fired: Any) -> Any:
        """``f'(a) / tau`` from ``f(a)``; at its corner, a ReLU's is 0."""
        if self.neuron == "tanh":
            return (1 - fired * fired) / self.tau
        return (np.sign(fired) if self.neuron == "relu" else np.ones_like(fired)) / self.tau

    def step(self, weights: Mapping[str, Any], u: Any, x: Any, s: Any) -> tuple[Any, Any, Any, Any]:
        """One step of time: ``a_t, f(a_t), x_t, s_t`` from ``u_t, x_{t-1}, s_{t-1}``."""
        a = u @ weights["A"].T + s @ weights["R"].T
        if "b" in weights:
            a += weights["b"][:, 0]
        fired = self.fire(a)
        x = fired if self.tau == 1 else fired / self.tau + (1 - 1 / self.tau) * x
        return a, fired, x, (x @ weights["D"].T if "D" in weights else x)


@dataclass
class Trace:
    """Record of a run for the backward pass.

    Attributes
    ----------
    inputs : array, (T, batch, n_in)
    fired : array, (T, batch, N)
        ``f(a_t)``.
    s : array, (T + 1, batch, N)
        What was sent: ``s[0]`` before the first step, ``s[t + 1]`` in step t.
    """

    inputs: Any
    fired: Any
    s: Any


def forward(weights: Mapping[str, Any], inputs: Any, cell: Cell) -> Trace:
    """Run the network from rest."""
    steps, batch, _ = inputs.shape
    s = np.zeros_like(inputs, shape=(steps + 1, batch, len(weights["R"])))
    # Where they are the same numbers, they are kept once.
    fired = s[1:] if cell.tau == 1 and "D" not in weights else np.empty_like(s[1:])
    x = s[0]
    for t in range(steps):
        _, fired[t], x, s[t + 1] = cell.step(weights, inputs[t], x, s[t])
    return Trace(inputs, fired, s)


def backward(
    weights: Mapping[str, Any],
    trace: Trace,
    error: Any,
    cell: Cell,
    truncate: int | None = None,
    chunk: int | None = None,
) -> dict[str, Any]:
    """Gradients of A, R, B and, if there is one, b, from those of the outputs.

    Parameters
    ----------
    weights : mapping
    trace : Trace
    error : array, (T, batch, n_out)
        Derivative of the loss by each output, ``2 (y - y*)`` over whatever it is a mean of.
    cell : Cell
    truncate, chunk : int, optional
        As for `gradients`.
    """
    steps = len(trace.inputs)
    found: dict[str, Any] = {}
    if truncate is not None and truncate < steps:
        blocks = [(0, _windows(weights, trace, error, cell, truncate))]
    else:
        blocks = _chunks(weights, trace, error, cell, chunk or steps)
    for start, da in blocks:
        stop = start + len(da)
        changes = {
            "A": _flat(da).T @ _flat(trace.inputs[start:stop]),
            "R": _flat(da).T @ _flat(trace.s[start:stop]),
        }
        if "b" in weights:
            changes["b"] = _flat(da).sum(axis=0)[:, None]
        for name, change in changes.items():
            found[name] = found[name] + change if name in found else change
    found["B"] = _flat(error).T @ _flat(trace.s[1:])
    return found


def _chunks(weights: Mapping[str, Any], trace: Trace, error: Any, cell: Cell, chunk: int) -> Any:
    """Yield derivatives by the pre-activations, block by block from the end, with their start.

    Derivatives of later losses by ``s_t`` and ``x_t`` are dropped where a chunk ends.
    """
    steps = len(error)
    later_s = later_x = 0
    for stop in range(steps, 0, -BLOCK):
        start = max(0, stop - BLOCK)
        da = np.empty_like(trace.fired[start:stop])
        for t in reversed(range(start, stop)):
            dx = _through_d(weights, error[t] @ weights["B"] + later_s) + later_x
            da[t - start] = dx * cell.slope(trace.fired[t])
            if t % chunk:
                later_s, later_x = da[t - start] @ weights["R"], (1 - 1 / cell.tau) * dx
            else:
                later_s = later_x = 0
        yield start, da


def _windows(
    weights: Mapping[str, Any], trace: Trace, error: Any, cell: Cell, truncate: int
) -> Any:
    """Compute derivatives by all pre-activations; each step's loss reaches `truncate` steps.

    All steps at once, one lag after the other: the derivative of the losses of steps t to t + k
    by ``x_t`` is that of step t's own, plus that of those of t + 1 to t + k through ``x_{t+1}``.
    """
    own = _through_d(weights, _times(error, weights["B"]))
    slope = cell.slope(trace.fired)
    dx = own
    for _ in range(truncate - 1):
        later = dx[1:]
        dx = own.copy()
        dx[:-1] += _through_d(weights, _times(later * slope[1:], weights["R"]))
        dx[:-1] += (1 - 1 / cell.tau) * later
    return dx * slope


def _through_d(weights: Mapping[str, Any], ds: Any) -> Any:
    return _times(ds, weights["D"]) if "D" in weights else ds


def _times(values: Any, matrix: Any) -> Any:
    """One product for all steps: many small ones are slow."""
    return (_flat(values) @ matrix).reshape(*values.shape[:-1], matrix.shape[1])


def _flat(values: Any) -> Any:
    return values.reshape(-1, values.shape[-1])
