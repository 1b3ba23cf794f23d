"""Perturbation rules: the options they all have, and what makes no sense together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from neurosim.errors import InputError, is_count, is_number, require
from neurosim.local.budget import LearningRule
from neurosim.local.vocabulary import NEURON, REWARD, SYNAPSE


class Sizes(NamedTuple):
    """Numbers a rule may scale its reward by."""

    population: int
    network: int
    inputs: int
    outputs: int
    replicas: int


@dataclass(frozen=True)
class Perturbation(LearningRule):
    """Options that every perturbation rule has.

    Parameters
    ----------
    learning_rate : float or mapping of str to float
        One rate, or one per projection; projections that are not named do not learn.
    noise_std : float
        Standard deviation of the perturbation, in units of what it is added to.
    distribution : {"normal", "rademacher"}
        Of the perturbation; both have mean 0 and standard deviation `noise_std`.
    schedule : {"online", "window", "sequence"}, optional
        When weights change: every step; every `window` steps; at the end of the
        sequence. By default the earliest one that `reward` and `window` allow.
    reward : {"local", "return_to_go", "global"}
        What a perturbation is credited with: the loss difference of its own step
        (Eq. 2, 3, 5); of its own and all later steps of the episode; of the whole
        episode, broadcast once at its end (Eq. 1, 4). The first estimates the
        one-step truncated gradient, the other two the gradient over the episode.
    window : int, optional
        Steps an episode lasts. None: as long as the sequence.
    resync_every : int, optional
        Every so many steps the perturbed passes are set back to the baseline
        pass's state. None: never within a sequence.
    pairs : int
        Antithetic pairs of perturbed passes per replica, compared with each other
        (``+noise`` against ``-noise``). 0: one perturbed pass, compared with the
        baseline.
    reward_scope : {"replica", "batch"}
        One scalar per replica of the network, or one for the whole batch.
    scale : {"population", "network", "published"}
        By what ANP multiplies: the size of the population that is perturbed
        (then a single-output readout gets its exact delta rule); the size of the
        network, as Eq. 3 prints it; what the published code does (square root of
        the network's size, norm and reward over the whole batch). The last two
        serve to reproduce tables.

    Raises
    ------
    InputError
        For a value outside what is allowed, or a combination that makes no sense.
    """

    learning_rate: float | Mapping[str, float]
    noise_std: float = 1e-3
    distribution: str = "normal"
    schedule: str | None = None
    reward: str = "local"
    window: int | None = None
    resync_every: int | None = None
    pairs: int = 0
    reward_scope: str = "replica"
    scale: str = "population"

    perturbs: ClassVar[str] = "neurons"
    outputs_may_wait: ClassVar[bool] = True
    scales: ClassVar[tuple[str, ...]] = ("population", "published")
    memory: ClassVar[str] = (
        "none with a local reward; otherwise one eligibility per synapse, replica and pair"
    )
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "reward": REWARD,
        "neuron": NEURON,
        "synapse": SYNAPSE,
    }

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_rate(owner, self.learning_rate)
        positive = is_number(self.noise_std) and self.noise_std > 0
        require(
            positive,
            owner,
            "noise_std",
            self.noise_std,
            "a finite number > 0: a rule that compares passes needs a perturbation",
        )
        for name, allowed in _CHOICES.items():
            choice = getattr(self, name)
            require(
                choice in allowed, owner, name, choice, f"one of {', '.join(map(str, allowed))}"
            )
        for name in ("window", "resync_every"):
            steps = getattr(self, name)
            fine = steps is None or (is_count(steps) and steps >= 1)
            require(fine, owner, name, steps, "None or a whole number of steps >= 1")
        fine = is_count(self.pairs) and self.pairs >= 0
        require(fine, owner, "pairs", self.pairs, "a whole number >= 0")
        fine = self.scale in self.scales
        reason = f"one of {', '.join(self.scales)}: no neuron count enters {owner}'s reward"
        require(fine, owner, "scale", self.scale, reason)

        if self.schedule is None:
            earliest = "online" if self.reward == "local" else "sequence"
            object.__setattr__(self, "schedule", "window" if self.window else earliest)
        if self.scale == "published":
            object.__setattr__(self, "reward_scope", "batch")
        self._refuse_nonsense(owner)

    def _refuse_nonsense(self, owner: str) -> None:
        window, resync = self.window, self.resync_every
        if self.schedule == "window" and window is None:
            raise InputError(f"{owner}: schedule = 'window' needs window = a number of steps")
        if self.schedule == "online" and self.reward == "global":
            raise InputError(
                f"{owner}: reward = 'global' is known only when the episode is over, so "
                f"schedule = 'online' cannot use it; use schedule 'window' or 'sequence'"
            )
        if self.reward == "local" and window is not None and self.schedule != "window":
            raise InputError(
                f"{owner}: window = {window} does nothing with reward = 'local' and "
                f"schedule = {self.schedule!r}; leave it out, or use schedule = 'window'"
            )
        if self.reward != "local" and resync is not None and (window is None or resync % window):
            raise InputError(
                f"{owner}: resync_every = {resync} must be a multiple of window = {window}: once "
                f"the perturbed pass is set back, later losses say nothing about earlier noise"
            )

    def factor(self, sizes: Sizes) -> float:
        """By what ``delta_loss`` is multiplied, from `scale` and the sizes of the network."""
        if self.scale == "population":
            return 1.0
        # The published code divides by sigma, not sigma^2, and its loss is a mean over outputs.
        return self.noise_std / sizes.outputs


_CHOICES = {
    "distribution": ("normal", "rademacher"),
    "schedule": (None, "online", "window", "sequence"),
    "reward": ("local", "return_to_go", "global"),
    "reward_scope": ("replica", "batch"),
    "scale": ("population", "network", "published"),
}


def check_rate(owner: str, rate: float | Mapping[str, float]) -> None:
    """Refuse learning rates that are not positive and finite."""
    if isinstance(rate, Mapping):
        require(len(rate) > 0, owner, "learning_rate", rate, "a rate for at least one projection")
        for projection, value in rate.items():
            fine = is_number(value) and value > 0
            where = f"learning_rate[{projection!r}]"
            allowed = "a finite number > 0 (leave a projection out to freeze it)"
            require(fine, owner, where, value, allowed)
    else:
        fine = is_number(rate) and rate > 0
        require(fine, owner, "learning_rate", rate, "a finite number > 0, or one per projection")


def options(rule: Any) -> Perturbation:
    """The options of any rule, a plain class with the three functions included.

    A rule need not inherit from `Perturbation`: one with only ``learning_rate``
    and ``noise_std`` gets the defaults for the rest.
    """
    if isinstance(rule, Perturbation):
        return rule
    owner = type(rule).__name__
    given = {f.name: getattr(rule, f.name) for f in fields(Perturbation) if hasattr(rule, f.name)}
    # A plain class has its equation under the name of the option.
    given = {name: value for name, value in given.items() if not callable(value)}
    if "learning_rate" not in given:
        raise InputError(f"{owner}: a rule must have the field learning_rate")
    named = type(owner, (Perturbation,), {})  # so that a refusal names the rule
    found: Perturbation = named(**given)
    return found
