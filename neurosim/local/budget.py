"""Information budgets: what has to be known where, for a rule to work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from neurosim.local.vocabulary import arguments, scalar


@dataclass(frozen=True)
class Budget:
    """What has to be known where, for a rule to work.

    Attributes
    ----------
    rule : str
    teacher : tuple of str
        What whoever broadcasts has to know to form the scalar.
    broadcast : tuple of str
        Scalars that reach everyone.
    neuron, synapse : tuple of str
        What each neuron and each synapse has to know.
    own_noise : bool
        Whether a neuron or synapse must know the noise injected into it.
    passes : int
        Passes of the chip that run side by side (without antithetic pairs).
    memory : str
        What a synapse has to remember from step to step, besides its weight.
    """

    rule: str
    teacher: tuple[str, ...]
    broadcast: tuple[str, ...]
    neuron: tuple[str, ...]
    synapse: tuple[str, ...]
    own_noise: bool
    passes: int
    memory: str

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.passes} pass{'es' if self.passes > 1 else ''}"]
        for place in ("teacher", "broadcast", "neuron", "synapse"):
            known = getattr(self, place) or ("nothing",)
            for title, item in zip([place, *[""] * len(known)], known, strict=False):
                lines.append(f"  {title:<10} {item}")
        lines.append(f"  own noise  {'must be known' if self.own_noise else 'need not be known'}")
        lines.append(f"  memory     {self.memory}")
        return "\n".join(lines)


class LearningRule:
    """What all rules share: an information budget, read off their functions."""

    passes: ClassVar[int] = 2
    memory: ClassVar[str] = "none"
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    @classmethod
    def budget(cls) -> Budget:
        """Tell what must be known where."""
        asked: dict[str, list[str]] = {"reward": [], "neuron": [], "synapse": []}
        for place, known in cls.knows.items():
            function = scalar(cls, place)
            if function is not None:
                asked[place] = arguments(function, known, cls.__name__)
        told = {
            place: tuple(f"{name}: {cls.knows[place][name]}" for name in names)
            for place, names in asked.items()
        }
        broadcast: tuple[str, ...] = ()
        if asked["reward"]:
            own = {"power", "n"} & set(asked["reward"])
            whom = "one for each population" if own else "the same for everyone"
            broadcast = (f"reward: one scalar per step in each replica, {whom}",)
        return Budget(
            rule=cls.__name__,
            teacher=told["reward"],
            broadcast=broadcast,
            neuron=told["neuron"],
            synapse=told["synapse"],
            own_noise="noise" in asked["neuron"] + asked["synapse"],
            passes=cls.passes,
            memory=cls.memory,
        )
