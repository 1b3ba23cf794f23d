"""The gradient of the paper's network: what a user gives, checked, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.bptt.passes import Cell, backward, forward
from neurosim.errors import InputError
from neurosim.values import (
    STEPS,
    is_one_of,
    nearest,
    require_count,
    require_memory,
    require_number,
    shown,
)

OWNER = "bptt.gradients"
NEURONS = ("tanh", "relu", "linear")


def gradients(
    weights: Mapping[str, Any],
    inputs: Any,
    targets: Any,
    truncate: int | None = None,
    chunk: int | None = None,
    neuron: str = "tanh",
    tau: float = 1.0,
) -> tuple[float, dict[str, Any]]:
    """Loss of the paper's network and its gradient, by backpropagation through time.

    ``a_t = A u_t + R s_{t-1}``, ``x_t = f(a_t) / tau + (1 - 1 / tau) x_{t-1}``,
    ``s_t = D x_t`` (``s = x`` without D), ``y_t = B s_t``, from rest. The loss is the mean
    over steps and replicas of the squared error summed over outputs.

    Parameters
    ----------
    weights : mapping of str to array
        ``A`` (N, n_in), ``R`` (N, N), ``B`` (n_out, N), and, if there are any, ``D`` (N, N)
        and ``b`` (N, 1), a bias added to ``a_t``; ``w[post, pre]``. All is computed in their
        precision; whole numbers become float64.
    inputs : array, (T, batch, n_in)
    targets : array, (T, batch, n_out)
    truncate : int, optional
        The loss of step s reaches back to steps ``s - truncate < t <= s``; whatever was
        before is taken as given. 1 is what the paper's published code calls BP.
    chunk : int, optional
        The sequence is cut into chunks of so many steps, from step 0, and the losses of a
        chunk reach back to its start. With neither: to the start of the sequence.
    neuron : {"tanh", "relu", "linear"}
        f.
    tau : float
        Time constant in steps, >= 1.

    Returns
    -------
    loss : float
    gradients : dict of str to array
        Of ``A``, ``R``, ``B`` and ``b``; D is not learned by gradients.

    Raises
    ------
    InputError
        For shapes that do not fit, or options that do not exist or exclude each other.

    Notes
    -----
    Arrays may be NumPy's, or those of another library with NumPy's interface, such as
    CuPy: all of one kind, and gradients are of that kind.

    Kept for every step and replica are N numbers, as many again with D and with
    ``tau > 1``, and about six times as many with `truncate`, whose time grows with
    T times `truncate`.

    Examples
    --------
    >>> import numpy as np, neurosim as ns
    >>> weights = ns.rnn(1, 5, 1, seed=1).initial_weights()
    >>> inputs, targets = np.ones((20, 3, 1)), np.zeros((20, 3, 1))
    >>> loss, grads = ns.bptt.gradients(weights, inputs, targets)
    >>> {name: grad.shape for name, grad in grads.items()}
    {'A': (5, 1), 'R': (5, 5), 'B': (1, 5)}
    """
    weights, inputs, targets = _check_arrays(weights, inputs, targets)
    truncate, chunk = check_reach(OWNER, truncate, chunk)
    if not is_one_of(neuron, NEURONS):
        known = nearest(neuron, NEURONS)
        raise InputError(f"{OWNER}: neuron = {shown(neuron)} does not exist; {known}")
    require_number(OWNER, "tau", tau, "[1, inf)", "a finite number of steps >= 1")
    cell = Cell(neuron, float(tau))
    trace = forward(weights, inputs, cell)
    error = (trace.s[1:].reshape(-1, len(weights["R"])) @ weights["B"].T).reshape(targets.shape)
    error -= targets
    count = error.shape[0] * error.shape[1]
    loss = float((error * error).sum(dtype=np.float64)) / count
    error *= 2 / count
    return loss, backward(weights, trace, error, cell, truncate, chunk)


def check_reach(owner: str, truncate: Any, chunk: Any) -> tuple[int | None, int | None]:
    """Check how far back a loss reaches; return `truncate` and `chunk` as Python's own numbers."""
    truncate = require_count(owner, "truncate", truncate, 1, STEPS, of="steps", optional=True)
    chunk = require_count(owner, "chunk", chunk, 1, STEPS, of="steps", optional=True)
    if truncate is not None and chunk is not None:
        raise InputError(
            f"{owner}: truncate = {truncate} and chunk = {chunk} exclude each other: losses "
            f"reach back either so many steps each, or to the start of their chunk"
        )
    return truncate, chunk


def _check_arrays(weights: Any, inputs: Any, targets: Any) -> tuple[dict[str, Any], Any, Any]:
    """Everything as arrays of one precision whose shapes fit together."""
    if not isinstance(weights, Mapping):
        raise InputError(f"{OWNER}: weights must be a mapping of arrays, not {type(weights)}")
    for name in "ARB":
        if name not in weights:
            raise InputError(f"{OWNER}: weights[{name!r}] is missing; there must be A, R and B")
    for name in weights:
        if name not in ("A", "R", "B", "D", "b"):
            raise InputError(
                f"{OWNER}: weights[{shown(name)}] has no part here; {nearest(name, 'ARBDb')}"
            )
    found = {name: _array(f"weights[{name!r}]", w, 2) for name, w in weights.items()}
    given, wanted = _array("inputs", inputs, 3), _array("targets", targets, 3)
    n, n_in, n_out = len(found["R"]), given.shape[2], wanted.shape[2]
    shapes = {"R": (n, n), "A": (n, n_in), "B": (n_out, n), "D": (n, n), "b": (n, 1)}
    for name, shape in shapes.items():
        if name in found:
            _fits(f"weights[{name!r}]", found[name], shape)
    _fits("targets", wanted, (*given.shape[:2], n_out))
    kind = np.result_type(*(w.dtype for w in found.values()))
    kind = kind if kind.kind == "f" else np.dtype(np.float64)
    found = {name: w.astype(kind, copy=False) for name, w in found.items()}
    return found, given.astype(kind, copy=False), wanted.astype(kind, copy=False)


def _array(name: str, values: Any, axes: int) -> Any:
    """An array of numbers, of whichever library."""
    shape = {2: "(n_post, n_pre)", 3: "(T, batch, features)"}[axes]
    array = array_of(OWNER, name, values, shape)
    if array.ndim != axes or 0 in array.shape:
        raise InputError(f"{OWNER}: {name} has shape {array.shape}, must be {shape}")
    require_memory(OWNER, f"{name} of shape {array.shape}", 8 * math.prod(array.shape))
    if not np.isfinite(array).all():
        raise InputError(f"{OWNER}: {name} must be finite numbers; some are not")
    return array


def array_of(owner: str, name: str, values: Any, shape: str) -> Any:
    """An array of numbers, of whichever library; `shape` is what is wanted, for the message."""
    try:
        masked, own = np.ma.is_masked(values), isinstance(values, np.ndarray)
        # A matrix of NumPy's multiplies in its own way: it is taken as the array that it holds.
        other = hasattr(values, "__array_function__") and not own
        array = values if other else np.asarray(values)
        kind = array.dtype.kind
    except Exception as error:  # an object's own conversion to an array can raise anything
        raise InputError(f"{owner}: {name} must be numbers of shape {shape} ({error})") from error
    if masked:
        raise InputError(f"{owner}: {name} must be numbers of shape {shape}, and none masked")
    if kind not in "fiu":
        raise InputError(f"{owner}: {name} must be numbers of shape {shape}, not {array.dtype}")
    return array


def _fits(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise InputError(f"{OWNER}: {name} has shape {array.shape}, must be {shape}")
