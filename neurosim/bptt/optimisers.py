"""How weights follow a gradient: plainly, with momentum, or by Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neurosim.bptt.gradient import array_of
from neurosim.errors import InputError
from neurosim.values import is_one_of, nearest, require, require_number, shown

Arrays = dict[str, Any]

PIECE = 2**16  # weights


class SGD:
    """Steepest descent: ``w <- w - rate * g``.

    Weights that have no rate are left alone.

    Parameters
    ----------
    weights : mapping of str to array
        What will be changed, in place. Gradients come under the same names.
    rates : mapping of str to float
        Learning rate of each.
    """

    kept: ClassVar[tuple[str, ...]] = ()
    """What is remembered of the gradients of every weight from step to step."""

    def __init__(self, weights: Mapping[str, Any], rates: Mapping[str, float]) -> None:
        owner = self._owner
        for field, given in (("weights", weights), ("rates", rates)):
            require(isinstance(given, Mapping), owner, field, given, "a mapping, by name")
        for name, rate in rates.items():
            require(name in weights, owner, f"rates[{shown(name)}]", rate, "of one of the weights")
            require_number(owner, f"rates[{shown(name)}]", rate, "[0, inf)")
            self._matrix(f"weights[{name!r}]", weights[name], None)
        self.rates = {name: float(rate) for name, rate in rates.items()}
        self.memory = {
            f"{kind}.{name}": np.zeros_like(weights[name]) for kind in self.kept for name in rates
        }
        self.count = 0

    def step(self, weights: Mapping[str, Any], gradients: Mapping[str, Any]) -> None:
        """Change the weights once, in place."""
        for field, given in (("weights", weights), ("gradients", gradients)):
            require(isinstance(given, Mapping), self._owner, field, given, "a mapping, by name")
            for name in self.rates:
                require(name in given, self._owner, field, list(given), f"with {name!r}")
        for name in self.rates:
            shape = self._matrix(f"weights[{name!r}]", weights[name], None).shape
            self._matrix(f"gradients[{name!r}]", gradients[name], shape)
        self.count += 1
        for name, rate in self.rates.items():
            matrix, gradient = weights[name], gradients[name]
            # Some rows at a time: every operation on a large matrix fetches it from memory.
            some = max(1, PIECE // matrix.shape[1])
            for start in range(0, len(matrix), some):
                rows = slice(start, start + some)
                matrix[rows] -= self._change(name, rows, gradient[rows], rate)

    @property
    def _owner(self) -> str:
        return f"bptt.{type(self).__name__}"

    def _matrix(self, field: str, values: Any, shape: tuple[int, ...] | None) -> Any:
        """Refuse what is no array of two axes, or of another shape."""
        array = array_of(self._owner, field, values, str(shape or "(n_post, n_pre)"))
        if shape is None:  # it will be changed in place
            fine = array is values and array.ndim == 2 and array.dtype.kind == "f"
            fine = fine and getattr(getattr(array, "flags", None), "writeable", True)
            allowed = "an array (n_post, n_pre) of floats that can be written to"
            require(fine, self._owner, field, values, allowed)
        else:
            require(array.shape == shape, self._owner, field, array.shape, f"of shape {shape}")
        return array

    def _change(self, name: str, rows: slice, gradient: Any, rate: float) -> Any:
        return rate * gradient

    def state(self) -> Arrays:
        """Copies of what is remembered, and how many steps there were."""
        return {
            **{name: values.copy() for name, values in self.memory.items()},
            "count": np.array(self.count, dtype=np.float64),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Overwrite what `state` gives."""
        require(isinstance(state, Mapping), self._owner, "state", state, "a mapping, by name")
        for name in (*self.memory, "count"):
            require(name in state, self._owner, "state", list(state), f"with {name!r}")
        given = array_of(self._owner, "state['count']", state["count"], "()")
        count = float(given) if given.ndim == 0 else -1.0
        fine = 0 <= count < 2**53 and count == int(count)
        allowed = "a whole number of steps in [0, 2**53)"
        require(fine, self._owner, "state['count']", state["count"], allowed)
        for name, values in self.memory.items():
            values[...] = self._matrix(f"state[{name!r}]", state[name], values.shape)
        self.count = int(count)


class Momentum(SGD):
    """Heavy ball: ``m <- beta1 m + g``, ``w <- w - rate * m``.

    Parameters
    ----------
    weights, rates
        As for `SGD`.
    beta1 : float
        What is left of the sum from one step to the next.
    """

    kept: ClassVar[tuple[str, ...]] = ("mean",)

    def __init__(
        self, weights: Mapping[str, Any], rates: Mapping[str, float], beta1: float = 0.9
    ) -> None:
        super().__init__(weights, rates)
        require_number(self._owner, "beta1", beta1, "[0, 1)")
        self.beta1 = float(beta1)

    def _change(self, name: str, rows: slice, gradient: Any, rate: float) -> Any:
        mean = self.memory[f"mean.{name}"][rows]
        mean *= self.beta1
        mean += gradient
        return rate * mean


class Adam(SGD):
    """Adam, with its correction for having started from zero [1]_.

    ``m <- beta1 m + (1 - beta1) g``, ``v <- beta2 v + (1 - beta2) g^2``, and after n steps
    ``w <- w - rate * m / (1 - beta1^n) / (sqrt(v / (1 - beta2^n)) + epsilon)``.

    Parameters
    ----------
    weights, rates
        As for `SGD`.
    beta1, beta2, epsilon : float

    References
    ----------
    .. [1] Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """

    kept: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __init__(
        self,
        weights: Mapping[str, Any],
        rates: Mapping[str, float],
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(weights, rates)
        check_optimiser(self._owner, "adam", beta1, beta2, epsilon)
        self.beta1, self.beta2, self.epsilon = float(beta1), float(beta2), float(epsilon)

    def _change(self, name: str, rows: slice, gradient: Any, rate: float) -> Any:
        mean, square = (self.memory[f"{kind}.{name}"][rows] for kind in self.kept)
        mean *= self.beta1
        mean += (1 - self.beta1) * gradient
        square *= self.beta2
        square += (1 - self.beta2) * gradient * gradient
        size = np.sqrt(square)
        size *= 1 / (1 - self.beta2**self.count) ** 0.5
        size += self.epsilon
        return np.divide(mean, size, out=size) * (rate / (1 - self.beta1**self.count))


OPTIMISERS = {"sgd": SGD, "momentum": Momentum, "adam": Adam}


def optimiser(
    name: str,
    weights: Mapping[str, Any],
    rates: Mapping[str, float],
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> SGD:
    """Build an optimiser by its name; it takes what it knows of the other options.

    Parameters
    ----------
    name : {"sgd", "momentum", "adam"}
    weights, rates
        As for `SGD`.
    beta1, beta2, epsilon : float

    Raises
    ------
    InputError
        If there is none of that name.
    """
    check_optimiser("bptt.optimiser", name, beta1, beta2, epsilon)
    if name == "adam":
        return Adam(weights, rates, beta1, beta2, epsilon)
    return Momentum(weights, rates, beta1) if name == "momentum" else SGD(weights, rates)


def check_optimiser(owner: str, name: Any, beta1: Any, beta2: Any, epsilon: Any) -> None:
    """Refuse an optimiser that does not exist, or does not converge."""
    if not is_one_of(name, OPTIMISERS):
        known = nearest(name, OPTIMISERS)
        raise InputError(f"{owner}: optimiser = {shown(name)} does not exist; {known}")
    for field, value in (("beta1", beta1), ("beta2", beta2)):
        require_number(owner, field, value, "[0, 1)")
    require_number(owner, "epsilon", epsilon, "(0, inf)")
