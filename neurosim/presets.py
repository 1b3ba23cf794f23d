"""Ready choices, to start from: what was found to work, under a name.

See ``docs/improvements.md`` for how `best_local` was found and what it scores, and
`neurosim.substrate.presets` for where the chips' figures come from.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurosim.checks import check_decorrelation, check_rule
from neurosim.errors import InputError
from neurosim.frozen import freeze
from neurosim.network import rnn
from neurosim.rules import LearnedFeedback
from neurosim.simulator import Simulator
from neurosim.substrate.presets import (
    CHIPS,
    bad_reward,
    bss2_like,
    dynapse_like,
    ecram,
    ideal,
    loihi_like,
    noisy_node,
    pcm_drift,
    rram_hfo2,
    smtj,
)
from neurosim.values import require, shown

__all__ = [
    "CHIPS",
    "Preset",
    "bad_reward",
    "best_local",
    "bss2_like",
    "dynapse_like",
    "ecram",
    "ideal",
    "loihi_like",
    "noisy_node",
    "pcm_drift",
    "rram_hfo2",
    "smtj",
]

OTHERS = (
    "n_inputs",
    "n_hidden",
    "n_outputs",
    "decorrelate",
    "seed",
)  # a task decides these


@dataclass(frozen=True)
class Preset:
    """A network's start and how it learns.

    Attributes
    ----------
    network : mapping
        Arguments of `neurosim.rnn`, without its sizes, `decorrelate` and `seed`.
    rule : learning rule
    decorrelation : decorrelation rule or None
    """

    network: Mapping[str, Any]
    rule: Any
    decorrelation: Any = None

    def __post_init__(self) -> None:
        fine = isinstance(self.network, Mapping)
        require(fine, "Preset", "network", self.network, "a mapping of arguments of rnn")
        names = inspect.signature(rnn).parameters
        for name in self.network:
            fine = name in names and name not in OTHERS
            allowed = ", ".join(other for other in names if other not in OTHERS)
            require(fine, "Preset", "network", name, f"one of {allowed}")
        network = rnn(1, 1, 1, decorrelate=True, **self.network)
        check_rule(self.rule)
        check_decorrelation(self.decorrelation, network)
        freeze(self)

    def simulator(
        self, task: Any, hidden: int = 100, batch: int = 10, seed: int = 0, **more: Any
    ) -> Simulator:
        """Build a simulator for a task.

        Parameters
        ----------
        task : task
            Anything with ``n_inputs`` and ``n_targets``.
        hidden, batch : int
            Neurons of the hidden population, replicas.
        seed : int
            Of the initial weights and of all noise.
        **more
            Other arguments of `Simulator`; a rule or decorrelation takes the place of the preset's.

        Raises
        ------
        InputError
            If the task has no sizes, or for arguments that cannot be simulated.

        Examples
        --------
        >>> import neurosim as ns
        >>> from neurosim_tasks import MackeyGlass
        >>> sim = ns.presets.best_local.simulator(MackeyGlass(steps=100), hidden=20, seed=1)
        >>> type(sim.rule).__name__
        'LearnedFeedback'
        """
        for name in ("n_inputs", "n_targets"):
            if not hasattr(task, name):
                says = f"Preset: task = {shown(task)} must have {name}, a number of channels"
                raise InputError(says)
        given = {"rule": self.rule, "decorrelation": self.decorrelation, **more}
        network = rnn(
            task.n_inputs,
            hidden,
            task.n_targets,
            decorrelate=given["decorrelation"] is not None,
            seed=seed,
            **self.network,
        )
        return Simulator(network, batch=batch, seed=seed, **given)


best_local = Preset(
    network={"recurrent": "orthogonal", "gain": 0.9, "input_gain": 1.0, "bias": 0.1},
    rule=LearnedFeedback(
        learning_rate={"A": 0.01, "R": 0.01, "b": 0.01, "B": 0.3},
        normalise=1.0,
        feedback_rate=1.0,
    ),
)
"""The best all-round way to learn with nothing but local quantities and broadcast numbers.

One setting for all tasks; a start that suits the task does better on each.
"""
