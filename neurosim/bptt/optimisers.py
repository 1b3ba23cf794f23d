"""How weights follow a gradient: plainly, with momentum, or by Adam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neurosim.errors import InputError, is_number, nearest, require

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
        self.rates = {name: float(rate) for name, rate in rates.items()}
        self.memory = {
            f"{kind}.{name}": np.zeros_like(weights[name]) for kind in self.kept for name in rates
        }
        self.count = 0

    def step(self, weights: Mapping[str, Any], gradients: Mapping[str, Any]) -> None:
        """Change the weights once, in place."""
        self.count += 1
        for name, rate in self.rates.items():
            matrix, gradient = weights[name], gradients[name]
            # Some rows at a time: every operation on a large matrix fetches it from memory.
            some = max(1, PIECE // matrix.shape[1])
            for start in range(0, len(matrix), some):
                rows = slice(start, start + some)
                matrix[rows] -= self._change(name, rows, gradient[rows], rate)

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
        for name, values in self.memory.items():
            values[...] = state[name]
        self.count = int(state["count"])


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
    if name not in OPTIMISERS:
        raise InputError(
            f"{owner}: optimiser = {name!r} does not exist; {nearest(name, OPTIMISERS)}"
        )
    for field, value in (("beta1", beta1), ("beta2", beta2)):
        fine = is_number(value) and 0 <= value < 1
        require(fine, owner, field, value, "a number in [0, 1)")
    fine = is_number(epsilon) and epsilon > 0
    require(fine, owner, "epsilon", epsilon, "a finite number > 0")
