"""The plan of a simulation: every choice resolved into numbers, before any engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from neurosim import noise
from neurosim.errors import InputError, nearest
from neurosim.local import REWARD, Perturbation, Sizes, arguments, options, scalar
from neurosim.network import Network, Population, Projection
from neurosim.substrate import Substrate

LOCAL, RETURN_TO_GO, GLOBAL = 0, 1, 2
CREDITS = {"local": LOCAL, "return_to_go": RETURN_TO_GO, "global": GLOBAL}


@dataclass(frozen=True)
class Comparison:
    """Two passes whose difference teaches: `perturbed` got ``+noise``, `reference` less."""

    reference: int
    perturbed: int


@dataclass(frozen=True)
class Plan:
    """A network, what it learns by, on what chip, how many replicas.

    Vocabulary: a *replica* is one copy of the network that sees its own data; a
    *pass* is one run of it with or without perturbation, pass 0 being the
    baseline; a *lane* is one pass of one replica, ``lane = pass * batch + replica``.
    """

    network: Network
    rule: Any
    decorrelation: Any
    substrate: Substrate
    batch: int
    seed: int
    learning: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.options.learning_rate, Mapping):
            names = [p.name for p in self.network.projections]
            for name in self.options.learning_rate:
                if name not in names:
                    raise InputError(
                        f"{type(self.rule).__name__}: learning_rate[{name!r}] names no "
                        f"projection; {nearest(name, names)}"
                    )

    @cached_property
    def options(self) -> Perturbation:
        """The rule's options; a plan without a rule never uses them."""
        return Perturbation(learning_rate=1.0) if self.rule is None else options(self.rule)

    @property
    def learns(self) -> bool:
        """Whether weights of projections can change."""
        return self.learning and self.rule is not None

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Which passes are compared with each other, per replica."""
        if not self.learns:
            return ()
        if self.options.pairs == 0:
            return (Comparison(reference=0, perturbed=1),)
        return tuple(Comparison(2 + 2 * k, 1 + 2 * k) for k in range(self.options.pairs))

    def comparison_of(self, pass_: int) -> int:
        """Which comparison a perturbed pass takes part in."""
        return next(
            k
            for k, c in enumerate(self.comparisons)
            if pass_ > 0 and pass_ in (c.reference, c.perturbed)
        )

    @property
    def passes(self) -> int:
        """Passes per replica, the baseline included."""
        return 1 + max((max(c.reference, c.perturbed) for c in self.comparisons), default=0)

    @property
    def lanes(self) -> int:
        """Passes times replicas."""
        return self.passes * self.batch

    @property
    def noise_gain(self) -> float:
        """Difference in injected noise between the passes of a comparison, per unit of noise."""
        return 2.0 if self.options.pairs else 1.0

    @property
    def variance(self) -> float:
        """Variance of that difference."""
        return (self.noise_gain * self.options.noise_std) ** 2

    @property
    def perturbs_weights(self) -> bool:
        """Whether the perturbation is added to weights rather than to pre-activations."""
        return getattr(self.rule, "perturbs", "neurons") == "weights"

    @property
    def measures_power(self) -> bool:
        """Whether the teacher asks how much a population's activity changed.

        It then has nothing to say where nothing changed.
        """
        reward = scalar(type(self.rule), "reward")
        return reward is not None and "power" in arguments(reward, REWARD, type(self.rule).__name__)

    @property
    def episode(self) -> int:
        """Steps an episode lasts; 0: as long as the sequence."""
        return self.options.window or 0

    def factor(self, population: Population) -> float:
        """By what a loss difference is multiplied before the teacher sees it.

        A batch-wide loss difference is the sum over replicas when each has its own
        noise (the others' noise averages out), the mean when they share it.
        """
        network = self.network
        sizes = Sizes(
            population=population.size,
            network=sum(p.size for p in network.populations[1:]),
            inputs=network.inputs.size,
            outputs=network.outputs.size,
            replicas=self.batch,
        )
        factor = self.options.factor(sizes)
        shared = self.options.reward_scope == "batch" and self.perturbs_weights
        return factor / self.batch if shared else factor

    def credit(self, population: Population) -> int:
        """`LOCAL`, `RETURN_TO_GO` or `GLOBAL`, for the projections onto a population.

        Where a perturbation ends with its step, later losses say nothing about it.
        """
        credit = CREDITS[self.options.reward]
        ends = not self.network.lasts(population.name)
        waits = credit == GLOBAL and getattr(self.rule, "outputs_may_wait", True)
        return LOCAL if ends and not waits else credit

    def rate(self, projection: Projection) -> float:
        """Learning rate of a projection, 0 if it does not learn."""
        if not self.learns:
            return 0.0
        rate = self.options.learning_rate
        return float(rate.get(projection.name, 0.0) if isinstance(rate, Mapping) else rate)

    def perturbs(self, target: Population | Projection) -> bool:
        """Whether a population's neurons, or a projection's weights, get injected noise.

        They do if something learns from it: noise elsewhere would be pure variance.
        """
        if isinstance(target, Projection):
            return self.perturbs_weights and self.rate(target) > 0
        return not self.perturbs_weights and self.learns_onto(target)

    def learns_onto(self, population: Population) -> bool:
        """Whether any projection onto a population learns."""
        onto = [p for p in self.network.projections if p.post == population.name]
        return any(self.rate(p) > 0 for p in onto)

    def stream(self, use: int, name: str) -> int:
        """Noise stream of a use at a population or projection."""
        places = [p.name for p in self.network.populations]
        if use == noise.WEIGHT_PERTURBATION:
            places = [p.name for p in self.network.projections]
        return use + places.index(name)

    @property
    def distribution(self) -> int:
        """Code of the perturbation's distribution."""
        return noise.DISTRIBUTIONS[self.options.distribution]

    def without_learning(self, batch: int) -> Plan:
        """The same network on the same chip, with baseline passes only.

        The rule stays, unused: so the same compiled code serves.
        """
        return replace(self, batch=batch, learning=False)
