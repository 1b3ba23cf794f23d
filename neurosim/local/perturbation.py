"""Perturbation rules: the options they all have, and what makes no sense together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from neurosim.errors import InputError
from neurosim.local.projection import ProjectionRule
from neurosim.values import STEPS, is_number, require, require_count, require_number, require_one_of

# Of NP and WP on networks of 20 to 400 neurons an update's variance is the same from 1e-2 down to
# 1e-7, ten times as large at 1e-8, and a thousand times, all of it rounding, at 1e-9.
LEAST_NOISE = 1e-8
PAIRS = 10_000  # fewer than so many: each is two passes more


class Sizes(NamedTuple):
    """Numbers a rule may scale its reward by."""

    population: int
    network: int
    inputs: int
    outputs: int
    replicas: int


@dataclass(frozen=True)
class Perturbation(ProjectionRule):
    """Options that every perturbation rule has, besides those of `ProjectionRule`.

    Parameters
    ----------
    learning_rate, optimiser, beta1, beta2, epsilon, normalise
        See `neurosim.local.ProjectionRule`.
    noise_std : float
        Standard deviation of the perturbation, in units of what it is added to; 1e-8 or
        more, for float32 to tell the passes apart. 0 is for rules with ``passes="both"`` on
        a chip that is noisy itself.
    distribution : {"normal", "rademacher"}
        Of the perturbation; both have mean 0 and standard deviation `noise_std`.
    schedule : {"online", "window", "sequence"}, optional
        When weights change: every step; every `window` steps; at the end of the
        sequence. By default the earliest one that `reward` and `window` allow.
    reward : {"local", "return_to_go", "global"}
        Loss differences that a perturbation is credited with: that of its own step
        (Eq. 2, 3, 5); those of its own and all later steps of the episode; that of the
        whole episode, broadcast once at its end (Eq. 1, 4). The first estimates the
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
        Factor of ANP's reward: the size of the population that is perturbed
        (then a single-output readout gets its exact delta rule); the size of the
        network, as Eq. 3 prints it; that of the published code (square root of
        the network's size, norm and reward over the whole batch). The last two
        serve to reproduce tables.
    layers : {"together", "separate"}
        Whether one perturbed pass has noise in all populations that learn, or each
        population has perturbed passes of its own, from which it alone learns. Then what
        one population's noise does to the loss is no noise in another's credit; it takes
        a perturbed pass (or `pairs` of them) more for each population.
    trace_decay : float
        In (0, 1]; factor by which an eligibility that waits for a later reward decays
        in a step. 1 credits all later steps alike, less credits near ones more.

    Raises
    ------
    InputError
        For a value outside what is allowed, or a combination that makes no sense.
    """

    noise_std: float = 1e-3
    distribution: str = "normal"
    schedule: str | None = None
    reward: str = "local"
    window: int | None = None
    resync_every: int | None = None
    pairs: int = 0
    reward_scope: str = "replica"
    scale: str = "population"
    layers: str = "together"
    trace_decay: float = 1.0

    passes_known: ClassVar[tuple[int | str, ...]] = (1, 2, "both")
    perturbs: ClassVar[str] = "neurons"
    outputs_may_wait: ClassVar[bool] = True
    scales: ClassVar[tuple[str, ...]] = ("population", "published")
    memory: ClassVar[str] = (
        "none with a local reward; otherwise one eligibility per synapse, replica and pair"
    )

    def changed_budget(self) -> tuple[str, ...]:
        """List how options that are not at their defaults change the budget."""
        later = "each synapse keeps an eligibility, per replica and pair"
        k = self.pairs
        words = {
            "passes": "both passes are noisy, none is clean; pre is their mean",
            "pairs": f"{2 * k} perturbed passes beside the baseline, each with its opposite; "
            "a broadcast scalar for each pair",
            "layers": "perturbed passes, and scalars, of its own for every population that learns",
            "reward": later
            + ("" if self.reward == "return_to_go" else "; one broadcast, at an episode's end"),
            "window": "everyone knows when an episode ends",
            "resync_every": "perturbed passes take over the baseline's state: a connection between "
            "the copies of each neuron",
            "reward_scope": "one scalar for all replicas, not one each",
            "scale": "another factor in the scalar, the paper's",
        }
        usual = {f.name: f.default for f in fields(self)}
        given = {name: getattr(self, name) for name in words if name in usual}
        changed = [name for name, value in given.items() if value != usual[name]]
        own = tuple(f"{name} = {given[name]!r}: {words[name]}" for name in changed)
        return own + super().changed_budget()

    def __post_init__(self) -> None:
        owner = type(self).__name__
        allowed = ", or ".join(map(repr, self.passes_known))
        require_one_of(owner, "passes", self.passes, self.passes_known, allowed)
        both = self.passes == "both"  # then the chip's own noise may be all there is
        why = "a rule that compares passes needs a perturbation"
        if "passes" in {f.name for f in fields(self)}:
            why += "; with passes = 'both' a chip's own noise may be all there is"
        allowed = "a finite number >= 0" if both else f"a finite number > 0: {why}"
        within = "[0, inf)" if both else "(0, inf)"
        require_number(owner, "noise_std", self.noise_std, within, allowed)
        felt = self.noise_std == 0 or self.noise_std >= LEAST_NOISE
        allowed = f"{LEAST_NOISE:g} or more: float32 cannot tell passes apart that differ by less"
        require(felt, owner, "noise_std", self.noise_std, allowed)
        # Rules divide by the variance: it must be a number as well.
        fine = is_number(float(self.noise_std) ** 2)
        require(fine, owner, "noise_std", self.noise_std, "one whose square float32 can hold")
        for name, choices in _CHOICES.items():
            require_one_of(owner, name, getattr(self, name), choices)
        for name in ("window", "resync_every"):
            require_count(owner, name, getattr(self, name), 1, STEPS, of="steps", optional=True)
        require_count(owner, "pairs", self.pairs, 0, PAIRS)
        allowed = f"one of {', '.join(self.scales)}: no neuron count enters {owner}'s reward"
        require_one_of(owner, "scale", self.scale, self.scales, allowed)
        require_number(owner, "trace_decay", self.trace_decay, "(0, 1]")

        if self.schedule is None:
            earliest = "online" if self.reward == "local" else "sequence"
            object.__setattr__(self, "schedule", "window" if self.window else earliest)
        if self.scale == "published":
            object.__setattr__(self, "reward_scope", "batch")
        super().__post_init__()
        self._refuse_nonsense(owner)  # by numbers of Python's own

    def _refuse_nonsense(self, owner: str) -> None:
        window, resync = self.window, self.resync_every
        if self.passes == "both":
            for name, value in (("pairs", self.pairs), ("layers", self.layers)):
                if value not in (0, "together"):
                    raise InputError(
                        f"{owner}: {name} = {value!r} does not go with passes = 'both': two noisy "
                        f"passes are compared with each other, and there is no other"
                    )
        if self.schedule == "window" and window is None:
            raise InputError(f"{owner}: schedule = 'window' needs window = a number of steps")
        if self.schedule == "online" and self.reward == "global":
            raise InputError(
                f"{owner}: reward = 'global' is known only when the episode is over, so "
                f"schedule = 'online' cannot use it; use schedule 'window' or 'sequence'"
            )
        if self.reward != "return_to_go" and self.trace_decay != 1:
            raise InputError(
                f"{owner}: trace_decay = {self.trace_decay} does nothing with reward = "
                f"{self.reward!r}; leave it out, or use reward = 'return_to_go'"
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
    "layers": ("together", "separate"),
}


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
    passes = getattr(rule, "passes", 2)
    named = type(owner, (Perturbation,), {"passes": passes})  # so that a refusal names the rule
    found: Perturbation = named(**given)
    return found
