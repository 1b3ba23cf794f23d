"""The same learning step as a good user of another framework would write it.

A peer is built from a `Problem`; `Peer.run` executes its steps. Peers share no code with
neurosim: they are what it is timed against (``neurosim bench --against``), and
``tests/test_peers.py`` shows that they compute what it computes.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

INSTALL = {"jax": "pip install jax", "torch": "pip install torch"}
RULES = ("NP", "ANP")
DECORRELATIONS = ("quadratic", "cubic")


class MissingFramework(ImportError):
    """A framework that a peer is written in is not installed."""


@dataclass(frozen=True)
class Problem:
    """What to learn, from what, by which rule.

    Parameters
    ----------
    weights : dict of str to array_like
        ``A``, ``R``, ``B`` as ``w[post, pre]``; with ``D`` it is learned by Eq. 6.
    rule : {"NP", "ANP"}
    learning_rate, noise_std, decorrelation_rate : float
    inputs : array_like, (T, batch, n_in)
    targets : array_like, (T, batch, n_out)
    seed : int
    noise : pair of array_like, optional
        Standard normal numbers for the hidden and the output population, ``(T, batch, n)``
        each. None: the framework draws them.
    decorrelation : {"quadratic", "cubic"}
        Eq. 6 from matrix-vector products, or from products of N x N matrices as it is printed.

    Raises
    ------
    ValueError
        If a name is unknown, or the shapes do not fit.
    """

    weights: dict[str, Any]
    rule: str
    learning_rate: float
    noise_std: float
    decorrelation_rate: float
    inputs: Any
    targets: Any
    seed: int = 0
    noise: tuple[ArrayLike, ArrayLike] | None = None
    decorrelation: str = "quadratic"

    def __post_init__(self) -> None:
        for name, allowed in (("rule", RULES), ("decorrelation", DECORRELATIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"Problem: {name} = {getattr(self, name)!r} must be in {allowed}")
        for name in ("inputs", "targets"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        w = {name: np.array(values, dtype=np.float32) for name, values in self.weights.items()}
        object.__setattr__(self, "weights", w)
        (steps, batch, n_in), n_out, n = self.inputs.shape, self.targets.shape[2], len(w["R"])
        shapes = {"A": (n, n_in), "R": (n, n), "B": (n_out, n), "D": (n, n)}
        for name, values in w.items():
            if values.shape != shapes[name]:
                wanted = f"must be {shapes[name]}"
                raise ValueError(f"Problem: weights[{name!r}] has shape {values.shape}, {wanted}")
        if self.noise is not None:
            drawn = tuple(np.asarray(z, dtype=np.float32) for z in self.noise)
            if [z.shape for z in drawn] != [(steps, batch, n), (steps, batch, n_out)]:
                raise ValueError("Problem: noise must be (T, batch, n_hidden), (T, batch, n_out)")
            object.__setattr__(self, "noise", drawn)


class Peer(Protocol):
    """A framework's way to run a problem."""

    def __init__(self, problem: Problem) -> None: ...

    def run(self) -> NDArray[np.float32]:
        """Run all steps from rest, weights changing at every one; wait until it is done.

        A second call goes on learning from the weights that the first one left, with
        new noise (unless it was given).

        Returns
        -------
        ndarray of float32, (T, batch)
            The baseline pass's loss.
        """

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the weights as they are now."""


def find(framework: str) -> Any:
    """Find the peer of a framework: a class that takes a `Problem`.

    Raises
    ------
    MissingFramework
        If it is not installed, saying how to install it.
    """
    try:
        importlib.import_module(framework)
    except ImportError as error:
        raise MissingFramework(
            f"{framework} is not installed ({error}); install it with: {INSTALL[framework]}"
        ) from error
    return importlib.import_module(f".{framework}_peer", __name__).Peer
