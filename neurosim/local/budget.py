"""Information budgets: what has to be known where, for a rule to work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from neurosim.local.vocabulary import arguments, scalar

PLACES = ("reward", "neuron", "trace", "synapse", "feedback_synapse")


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
    neuron, synapse, feedback : tuple of str
        What each neuron, each synapse and each feedback synapse that learns has to know.
    own_noise : bool
        Whether a neuron or synapse must know the noise injected into it.
    passes : int
        Passes of the chip that run side by side (without antithetic pairs).
    memory : str
        What a synapse has to remember from step to step, besides its weight.
    options : tuple of str
        What options that were set change in all of this; nothing if the budget is of a class.
    """

    rule: str
    teacher: tuple[str, ...]
    broadcast: tuple[str, ...]
    neuron: tuple[str, ...]
    synapse: tuple[str, ...]
    own_noise: bool
    passes: int
    memory: str
    feedback: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.passes} pass{'es' if self.passes > 1 else ''}"]
        places = ("teacher", "broadcast", "neuron", "synapse", "feedback")
        for place in places if self.feedback else places[:-1]:
            known = getattr(self, place) or ("nothing",)
            for title, item in zip([place, *[""] * len(known)], known, strict=False):
                lines.append(f"  {title:<10} {item}")
        lines.append(f"  own noise  {'must be known' if self.own_noise else 'need not be known'}")
        lines.append(f"  memory     {self.memory}")
        for title, item in zip(["as set", *[""] * len(self.options)], self.options, strict=False):
            lines.append(f"  {title:<10} {item}")
        return "\n".join(lines)


class OfBoth:
    """A method of a class and of its instances: it is given both, the instance or None."""

    def __init__(self, function: Callable[..., Budget]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, rule: Any, cls: type) -> Callable[[], Budget]:
        return functools.partial(self._function, cls, rule)


class LearningRule:
    """What all rules share: an information budget, read off their functions."""

    passes: ClassVar[Any] = 2  # 1; or 2, one without perturbation; or "both": two with it
    memory: ClassVar[str] = "none"
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def changed_budget(self) -> tuple[str, ...]:
        """What options that are not as by default change in the budget."""
        return ()

    @OfBoth
    def budget(cls: Any, rule: Any) -> Budget:
        """Tell what must be known where; of an instance also what its options change."""
        asked: dict[str, list[str]] = {place: [] for place in PLACES}
        for place, known in cls.knows.items():
            function = scalar(cls, place)
            if function is not None:
                asked[place] = arguments(function, known, cls.__name__)

        def told(*places: str) -> tuple[str, ...]:
            words: dict[str, str] = {}
            for place in places:  # what two of them ask for is said once, as the first has it
                for name in asked[place]:
                    words.setdefault(name, cls.knows[place][name])
            return tuple(f"{name}: {meaning}" for name, meaning in words.items())

        broadcast: list[str] = []
        if asked["reward"]:
            own = {"power", "n"} & set(asked["reward"])
            whom = "one for each population" if own else "the same for everyone"
            broadcast += [f"reward: one scalar per step in each replica, {whom}"]
        if "feedback" in asked["neuron"] + asked["synapse"]:
            broadcast += ["error: one number per output and step in each replica, a vector"]
        if asked["feedback_synapse"]:
            broadcast += ["residual: one more number per output, the population's power folded in"]
        if "feedback" in asked["synapse"] and "feedback" not in asked["neuron"]:
            asked["neuron"].append("feedback")  # a synapse has it from its neuron
        return Budget(
            rule=cls.__name__,
            teacher=told("reward"),
            broadcast=tuple(broadcast),
            neuron=told("neuron"),
            synapse=told("synapse", "trace"),
            feedback=told("feedback_synapse"),
            own_noise="noise" in asked["neuron"] + asked["synapse"],
            passes=cls.passes,
            memory=cls.memory,
            options=() if rule is None else rule.changed_budget(),
        )
