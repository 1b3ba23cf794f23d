"""What the peers on a GPU are given to learn, and who they are.

Unlike the peers on a CPU they have weight perturbation too. They draw their noise on the
device, each with the generator its framework is fastest with; for tests it can be given.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from . import MissingFramework

RULES = ("NP", "ANP", "WP")
LEAST = 1e-30  # added to the power of a change, so that no change teaches nothing, not NaN
# By the name on the command line: the module that must be there, and how to get it.
NEEDS = {
    "graph": ("cupy", "pip install cupy-cuda13x (or cupy-cuda12x)"),
    "torch": ("torch", "pip install torch"),
    "jax": ("jax", "pip install 'jax[cuda13]' (or 'jax[cuda12]')"),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What to learn, from what, by which rule: a local reward, one perturbed pass.

    Parameters
    ----------
    weights : dict of str to array_like
        ``A``, ``R``, ``B`` as ``w[post, pre]``; with ``D`` it is learned by Eq. 6.
    rule : {"NP", "ANP", "WP"}
    learning_rate, noise_std, decorrelation_rate : float
    inputs : array_like, (T, batch, n_in)
    targets : array_like, (T, batch, n_out)
    seed : int
    noise : dict of str to array_like, optional
        Standard normal numbers: ``hidden`` and ``output``, ``(T, batch, n)`` each; for WP
        ``A``, ``R``, ``B``, ``(T, n_post, n_pre)`` each. None: the framework draws them.

    Raises
    ------
    ValueError
        If the rule is unknown, or shapes do not fit.
    """

    weights: dict[str, Any]
    rule: str
    learning_rate: float
    noise_std: float
    decorrelation_rate: float
    inputs: Any
    targets: Any
    seed: int = 0
    noise: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"Problem: rule = {self.rule!r} must be in {RULES}")
        for name in ("inputs", "targets"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        for name in ("weights", "noise"):
            given = getattr(self, name)
            if given is not None:
                held = {k: np.array(v, dtype=np.float32) for k, v in given.items()}
                object.__setattr__(self, name, held)
        n_in, n_out = self.inputs.shape[2], self.targets.shape[2]
        shapes = {"A": (self.n, n_in), "R": (self.n, self.n), "B": (n_out, self.n)}
        wanted = dict(shapes)
        if "D" in self.weights:
            wanted["D"] = (self.n, self.n)
        self._compare("weights", self.weights, wanted)
        if self.noise is not None:
            lead = self.inputs.shape[:2]
            perturbed = {"hidden": (*lead, self.n), "output": (*lead, n_out)}
            if self.rule == "WP":
                perturbed = {name: (lead[0], *shape) for name, shape in shapes.items()}
            self._compare("noise", self.noise, perturbed)

    @staticmethod
    def _compare(what: str, given: dict[str, Any], wanted: dict[str, tuple[int, ...]]) -> None:
        found = {name: values.shape for name, values in given.items()}
        if found != wanted:
            raise ValueError(f"Problem: {what} has shapes {found}, must have {wanted}")

    @property
    def n(self) -> int:
        """Hidden neurons."""
        return len(self.weights["R"])


def find(name: str, on_device: bool = True) -> ModuleType:
    """Import a peer's module; its class is ``Peer``, built from a `Problem`.

    Raises
    ------
    MissingFramework
        If what it is written in is not installed, saying how to install it. Where it is not
        to run on a device, the graph peer needs none.
    """
    framework, command = NEEDS[name]
    try:
        if on_device or name != "graph":
            importlib.import_module(framework)
    except ImportError as error:
        raise MissingFramework(
            f"{framework} is not installed ({error}); install it with: {command}"
        ) from error
    return importlib.import_module(f".gpu_{name}", __package__)
