"""What a learning rule and a neuron model are: functions of local quantities.

A rule is a class with up to three static functions. **The names of a function's
arguments are all that it can know**: an engine reads them and hands over exactly
those quantities. There is nothing else to reach for, because a rule imports
nothing but ``math``, ``dataclasses``, ``typing`` and this module. The same names
make up the rule's information budget, so a budget cannot promise less than the
rule uses.

========== =================================================================
function   what it answers
========== =================================================================
``reward`` the teacher: which scalar is broadcast to a population this step
``neuron`` one neuron: which signal it forms from its own activity
``synapse`` one synapse: by how much it changes (``w <- w - learning_rate * dw``)
========== =================================================================

``reward`` must be proportional to ``delta_loss``: a reward that comes later is
credited to an eligibility that the same function formed for ``delta_loss = 1``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from neurosim.errors import InputError, is_count, is_number, require

# What each argument of a scalar function means, and who has to know it.
REWARD = {
    "delta_loss": "change in loss from the reference pass to the perturbed pass",
    "power": "sum over the population of the squared change in pre-activation",
    "n": "number of neurons in the population",
    "variance": "variance of the injected noise (of its difference between the two passes)",
}
NEURON = {
    "a": "its pre-activation in the reference pass",
    "a_perturbed": "its pre-activation in the perturbed pass",
    "noise": "the noise that was injected into it",
    "reward": "the broadcast scalar",
}
SYNAPSE = {
    "pre": "what it transmitted in the baseline pass",
    "signal": "the signal of its postsynaptic neuron",
    "noise": "the noise that was injected into its own weight",
    "reward": "the broadcast scalar",
}
DECORRELATION = {
    "post": "decorrelated activity of the neuron it ends on",
    "pre": "decorrelated activity of the neuron it starts from",
    "weight": "its own weight",
    "retrograde": "sum over all synapses leaving its neuron of post * weight (a retrograde sum)",
    "different": "1 between two different neurons, 0 from a neuron to itself",
}
ACTIVITY = {
    "a": "its pre-activation",
    "x": "its own activity one step ago",
    "leak": "1 / tau",
    "keep": "1 - 1 / tau",
}


def arguments(function: Callable[..., Any], known: Mapping[str, str], owner: str) -> list[str]:
    """Names of the local quantities that a scalar function asks for.

    Raises
    ------
    InputError
        If it asks for something that is not local, naming what there is.
    """
    names = list(inspect.signature(function).parameters)
    for name in names:
        if name not in known:
            raise InputError(
                f"{owner}: {function.__name__}() asks for {name!r}, which is not local to it; "
                f"it may ask for: {', '.join(known)}"
            )
    return names


def scalar(owner: type, name: str) -> Callable[..., Any] | None:
    """The scalar function `name` of a rule or model; None where there is none.

    Looked up on the class: an option may have the same name (`reward` does).
    """
    found = getattr(owner, name, None)
    return found if callable(found) else None


class Sizes(NamedTuple):
    """Numbers a rule may scale its reward by."""

    population: int
    network: int
    inputs: int
    outputs: int
    replicas: int


@dataclass(frozen=True)
class Budget:
    """What has to be known where, for a rule to work.

    Attributes
    ----------
    broadcast, neuron, synapse : tuple of str
        What the teacher needs to form the broadcast scalar, what each neuron and
        what each synapse needs to know.
    own_noise : bool
        Whether a neuron or synapse must know the noise injected into it.
    passes : int
        Passes of the chip that run side by side (without antithetic pairs).
    """

    rule: str
    broadcast: tuple[str, ...]
    neuron: tuple[str, ...]
    synapse: tuple[str, ...]
    own_noise: bool
    passes: int
    memory: str

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.passes} passes"]
        for place in ("broadcast", "neuron", "synapse"):
            known = getattr(self, place)
            lines.append(f"  {place:<10} {'; '.join(known) if known else 'nothing'}")
        lines.append(f"  own noise  {'must be known' if self.own_noise else 'need not be known'}")
        lines.append(f"  memory     {self.memory}")
        return "\n".join(lines)


class LearningRule:
    """What all rules share: a rate, and an information budget read off their functions."""

    passes: ClassVar[int] = 2
    memory: ClassVar[str] = "none"
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    @classmethod
    def budget(cls) -> Budget:
        """Tell what must be known where."""
        asked: dict[str, tuple[str, ...]] = {"reward": (), "neuron": (), "synapse": ()}
        noise = False
        for place, known in cls.knows.items():
            function = scalar(cls, place)
            if function is not None:
                names = arguments(function, known, cls.__name__)
                asked[place] = tuple(f"{name}: {known[name]}" for name in names)
                noise |= "noise" in names
        return Budget(
            rule=cls.__name__,
            broadcast=asked["reward"],
            neuron=asked["neuron"],
            synapse=asked["synapse"],
            own_noise=noise,
            passes=cls.passes,
            memory=cls.memory,
        )


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


@dataclass(frozen=True)
class DecorrelationRule(LearningRule):
    """What rules that decorrelate a population have: one rate.

    Parameters
    ----------
    learning_rate : float
        Finite and > 0.

    Raises
    ------
    InputError
        If it is not.
    """

    learning_rate: float

    passes: ClassVar[int] = 1
    knows: ClassVar[Mapping[str, Mapping[str, str]]] = {"synapse": DECORRELATION}

    def __post_init__(self) -> None:
        fine = is_number(self.learning_rate) and self.learning_rate > 0
        owner = type(self).__name__
        require(fine, owner, "learning_rate", self.learning_rate, "a finite number > 0")


def options(rule: Any) -> Perturbation:
    """The options of any rule, a plain class with the three functions included.

    A rule need not inherit from `Perturbation`: one with only ``learning_rate``
    and ``noise_std`` gets the defaults for the rest.
    """
    if isinstance(rule, Perturbation):
        return rule
    owner = type(rule).__name__
    given = {f.name: vars(rule)[f.name] for f in fields(Perturbation) if f.name in vars(rule)}
    if "learning_rate" not in given:
        raise InputError(f"{owner}: a rule must have the field learning_rate")
    return Perturbation(**given)


@dataclass(frozen=True)
class NeuronModel:
    """What neuron models share: a leak.

    Parameters
    ----------
    tau : float
        Time constant in steps, >= 1: ``x_t = f(a_t) / tau + (1 - 1 / tau) x_{t-1}``.
        1 means no memory, ``x_t = f(a_t)``.

    Raises
    ------
    InputError
        If `tau` is not a finite number >= 1.
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        fine = is_number(self.tau) and self.tau >= 1
        require(fine, type(self).__name__, "tau", self.tau, "a finite number of steps >= 1")
