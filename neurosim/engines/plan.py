"""The plan of a simulation: every choice resolved into numbers, before any engine runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import noise, rates
from neurosim.engines.chip import Chip
from neurosim.engines.fingerprint import fingerprint
from neurosim.errors import InputError
from neurosim.local import (
    ACTIVITY,
    DECORRELATION,
    LEAST_NOISE,
    SLOPE,
    Perturbation,
    ProjectionRule,
    Sizes,
    asked,
    options,
    scalar,
)
from neurosim.network import Network, Population, Projection, Weights
from neurosim.substrate import Substrate
from neurosim.values import SIZES, nearest, require_count, require_memory, shown

Rates = NDArray[np.float64]

LOCAL, RETURN_TO_GO, GLOBAL = 0, 1, 2
NEVER = 2**31  # steps ago, in 32 bits: before anything that is still on its way was sent
CREDITS = {"local": LOCAL, "return_to_go": RETURN_TO_GO, "global": GLOBAL}
# Noise that is another in every pass.
LANE_NOISE = (
    *("act_noise", "act_telegraph", "act_flicker", "w_read_noise", "w_read_relative"),
    *("event_loss", "event_jitter"),
)


@dataclass(frozen=True)
class Comparison:
    """Two passes whose difference teaches: `perturbed` got ``+noise``, `reference` less.

    Whom it teaches is a population's name, or None for all that learn. A rule of one pass
    compares nothing: its one comparison is the baseline with itself.
    """

    reference: int
    perturbed: int
    teaches: str | None = None


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
                        f"{type(self.rule).__name__}: learning_rate[{shown(name)}] names no "
                        f"projection; {nearest(name, names)}"
                    )
        self._refuse_size()
        if self.local:
            self._refuse_nonsense(type(self.rule).__name__)
        if self.local and self.learning:
            self._refuse_chip(type(self.rule).__name__)

    def _refuse_size(self) -> None:
        """Refuse what this machine cannot hold, before any of it is allocated."""
        neurons = sum(p.size for p in self.network.populations)
        weights = sum(math.prod(self.network.shape(name)) for name in self.network.matrices)
        compared, delay = len(self.comparisons) * self.batch, self.substrate.reward_delay
        states = 6 + self.remembered if self.shows else 6  # a, x, s, and what is sent
        numbers = self.lanes * neurons * states + compared * neurons * delay
        numbers += weights * (1 + compared * (self.learns and self.waits))
        what = f"batch = {shown(self.batch)}, {self.passes} passes, {neurons:,} neurons"
        require_memory("Simulator", f"{what} and {weights:,} weights", 4 * numbers)
        require_count("Simulator", "batch", self.batch, 1, SIZES)

    def _refuse_nonsense(self, owner: str) -> None:
        """Refuse what a rule and a network together cannot do."""
        options, network = self.options, self.network
        if options.normalise is not None and scalar(type(self.rule), "neuron") is None:
            raise InputError(
                f"{owner}: normalise = {options.normalise} needs neurons that form a signal; "
                f"{owner}'s do not"
            )
        if self.traces and options.reward != "local":
            raise InputError(
                f"{owner}: reward = {options.reward!r} must be 'local': its synapses keep "
                f"traces of their own"
            )
        for place in ("trace", "synapse"):
            if self.asks(place, "signal") and scalar(type(self.rule), "neuron") is None:
                raise InputError(
                    f"{owner}: {place}() asks for 'signal', which only a function neuron() forms"
                )
        for name in () if self.traces else ("trace", "feedback"):
            if self.asks("synapse", name):
                raise InputError(
                    f"{owner}: synapse() asks for {name!r}, which a synapse has only with a "
                    f"function trace(); for a neuron's signal, ask for it in neuron()"
                )
        if self.learns_feedback and not hasattr(self.rule, "feedback_rate"):
            raise InputError(f"{owner}: a rule with feedback_synapse() must have feedback_rate")
        if self.asks("neuron", "slope"):
            for population in network.populations[1:]:
                if scalar(type(population.neuron), "slope") is None:
                    raise InputError(
                        f"{owner}: population {population.name!r} has neuron = "
                        f"{shown(population.neuron)}, which has no function slope(), the "
                        f"derivative of its activity, and {owner} asks for it"
                    )
        for name in self.feedback:
            if name in network.matrices:
                raise InputError(
                    f"{owner}: its feedback weights are called {name!r}; no projection of the "
                    f"network must have that name"
                )

    def _refuse_chip(self, owner: str) -> None:
        """Refuse a rule and a chip that have nothing to do with each other."""
        chip, assumed = self.chip, self.substrate.assumed
        if chip.imperfect_line and scalar(type(self.rule), "reward") is None:
            name = next(name for name in assumed if name.startswith("reward_"))
            raise InputError(
                f"{owner}: substrate has {name} = {assumed[name]}, which is about the scalar "
                f"that is broadcast, and {owner} broadcasts none"
            )
        if self.substrate.reward_delay and self.feeds_back:
            raise InputError(
                f"{owner}: substrate has reward_delay = {self.substrate.reward_delay}, but the "
                f"errors that {owner} broadcasts have no delay; both would have to wait"
            )
        sources = [name for name in LANE_NOISE if assumed.get(name, 0) >= LEAST_NOISE]
        if self.both and self.options.noise_std == 0 and not sources:
            raise InputError(
                f"{owner}: noise_std = 0 needs a substrate whose passes differ by themselves: "
                f"one of {', '.join(LANE_NOISE)} >= {LEAST_NOISE:g}; with {self.substrate!r} they "
                f"are equal"
            )

    @cached_property
    def chip(self) -> Chip:
        """What the substrate means for this network."""
        return Chip(self.substrate, self.network)

    @property
    def both(self) -> bool:
        """Whether the reference pass is as noisy as the perturbed one."""
        return getattr(self.rule, "passes", 2) == "both"

    @property
    def compares(self) -> bool:
        """Whether passes are compared, and something is made of it."""
        return bool(self.comparisons)

    @property
    def delays(self) -> bool:
        """Whether broadcasts are on their way for a while."""
        return self.compares and self.substrate.reward_delay > 0

    @property
    def waits(self) -> bool:
        """Whether synapses keep traces, of the rule's own or for a later reward."""
        learning = [p for p in self.network.populations[1:] if self.learns_onto(p)]
        return self.traces or any(self.credit(p) != LOCAL for p in learning)

    @property
    def gathers(self) -> bool:
        """Whether changes wait to be made."""
        return self.options.schedule != "online"

    @property
    def shows(self) -> bool:
        """Whether rules meet something else than what was sent, or meet it later."""
        return self.chip.observes or self.both or self.substrate.reward_delay > 0

    @property
    def averages(self) -> bool:
        """Whether the mean of both passes is what a synapse transmitted.

        Where events get lost every synapse has a mean of its own.
        """
        return self.both and self.compares and not self.chip.loses

    @property
    def sets_back_means(self) -> bool:
        """Whether a synapse transmits the mean of two passes, of which one may be set back."""
        return self.both and self.compares and self.options.resync_every is not None

    @property
    def remembered(self) -> int:
        """Steps, this one included, of which rules remember what was sent.

        A signal travels a step and may be late by one, and a change may be made a step after
        it was called for. A reward that comes later is about longer ago, with two silent
        steps more for every run that began from rest since.
        """
        return 4 + 3 * self.substrate.reward_delay

    @property
    def sent(self) -> int:
        """Steps of which synapses remember it."""
        return 4 if self.chip.loses else 3

    @cached_property
    def options(self) -> Perturbation:
        """The rule's options; a plan without a local rule never uses them."""
        return options(self.rule) if self.local else Perturbation(learning_rate=1.0)

    @property
    def local(self) -> bool:
        """Whether there is a rule, and it is made of scalar functions."""
        return scalar(type(self.rule), "synapse") is not None

    @property
    def learns(self) -> bool:
        """Whether weights of projections can change."""
        return self.learning and self.rule is not None

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Which passes are compared with each other, per replica."""
        if not (self.learns and self.local):
            return ()
        if getattr(self.rule, "passes", 2) == 1:
            return (Comparison(0, 0),)
        taught, pairs = self._taught, self.options.pairs
        if pairs == 0:
            return tuple(Comparison(0, 1 + k, who) for k, who in enumerate(taught))
        return tuple(
            Comparison(2 + 2 * k, 1 + 2 * k, who)
            for i, who in enumerate(taught)
            for k in range(i * pairs, (i + 1) * pairs)
        )

    @property
    def _taught(self) -> list[str | None]:
        """Populations that have comparisons of their own; or None, for all that learn."""
        if self.options.layers == "separate":
            return [p.name for p in self.network.populations[1:] if self.learns_onto(p)]
        return [None]

    def lessons(self, population: Population) -> range:
        """Which comparisons teach a population; they follow each other."""
        some = [k for k, c in enumerate(self.comparisons) if c.teaches in (None, population.name)]
        return range(some[0], some[-1] + 1) if some else range(0)

    @property
    def taught(self) -> NDArray[np.bool_]:
        """Whether a comparison in a replica teaches a population: ``(populations, pairs)``."""
        found = np.zeros((len(self.network.populations), len(self.comparisons), self.batch), bool)
        for p, population in enumerate(self.network.populations):
            if p > 0 and self.learns_onto(population):
                found[p, list(self.lessons(population))] = True
        return found.reshape(len(found), -1)

    def comparison_of(self, pass_: int) -> int:
        """Which comparison a perturbed pass takes part in."""
        return next(
            k
            for k, c in enumerate(self.comparisons)
            if pass_ > 0 and pass_ in (c.reference, c.perturbed)
        )

    @cached_property
    def passes(self) -> int:
        """Passes per replica, the baseline included."""
        # Not counted one by one: there may be more than there is room for.
        if not (self.learns and self.local) or getattr(self.rule, "passes", 2) == 1:
            return 1
        return 1 + max(1, 2 * self.options.pairs) * len(self._taught)

    @cached_property
    def lanes(self) -> int:
        """Passes times replicas."""
        return self.passes * self.batch

    def since_set_back(self, t: int) -> int:
        """Steps since perturbed passes were set back to the baseline, in step `t` of a sequence.

        What was sent more steps ago reaches all passes from the baseline.
        """
        every = self.options.resync_every
        return NEVER if every is None else min(t % every, NEVER)

    def injected(self, pass_: int) -> tuple[int, float]:
        """Which injected noise a pass gets, of all that is drawn, with which sign; or -1, 0.

        A comparison's noise has its number. When both passes are noisy, the reference has
        noise of its own, which comes after that of all comparisons.
        """
        for k, c in enumerate(self.comparisons):
            if c.perturbed > 0 and pass_ == c.perturbed:
                return k, 1.0
            if c.reference > 0 and pass_ == c.reference:
                return k, -1.0
            if self.both and pass_ == c.reference:
                return len(self.comparisons) + k, 1.0
        return -1, 0.0

    @property
    def sides(self) -> int:
        """How many passes of a comparison have noise of their own."""
        return 2 if self.both else 1

    @property
    def noise_gain(self) -> float:
        """Difference in injected noise between the passes of a comparison, per unit of noise."""
        return 2.0 if self.options.pairs else 1.0

    @property
    def variance(self) -> float:
        """Variance of that difference."""
        return self.sides * (self.noise_gain * self.options.noise_std) ** 2

    @property
    def perturbs_weights(self) -> bool:
        """Whether the perturbation is added to weights rather than to pre-activations."""
        return getattr(self.rule, "perturbs", "neurons") == "weights"

    @property
    def measures_power(self) -> bool:
        """Whether the teacher asks how much a population's activity changed.

        It then has nothing to say where nothing changed.
        """
        return self.asks("reward", "power")

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
        reached = {p.post for p in network.projections}  # a unit that is always on is no neuron
        sizes = Sizes(
            population=population.size,
            network=sum(p.size for p in network.populations if p.name in reached),
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

    def changes(self, projection: Projection) -> bool:
        """Whether a projection's weights learn: not every step need have a rate above 0."""
        return self.learns and self._has_rate(projection)

    def _has_rate(self, projection: Projection) -> bool:
        return rates.of(self.options.learning_rate, projection.name) != 0

    def rates(self, epoch: int, clock: int, steps: int) -> tuple[Rates, Rates]:
        """Compute the learning rates of some steps.

        Parameters
        ----------
        epoch, clock : int
            Epochs trained and steps run before the first of them.
        steps : int

        Returns
        -------
        projections : ndarray of float64, (steps, projections) or (1, projections)
            With one row, of all steps; otherwise a row each.
        decorrelation : ndarray of float64, (steps,) or (1,)
        """
        rule: Any = self.options if self.local else self.rule
        given = [
            rates.of(rule.learning_rate, p.name) if self.learns else 0.0
            for p in self.network.projections
        ]
        own: Any = self.decorrelation
        rate = 0.0 if own is None else rates.checked(type(own).__name__, own.learning_rate)
        # Projections most often share a schedule; a step of a small network takes as long.
        found = {each: rates.in_steps(each, epoch, clock, steps) for each in {*given, rate}}
        projections = np.empty((max((len(found[each]) for each in given), default=1), len(given)))
        for i, each in enumerate(given):
            projections[:, i] = found[each]
        return projections, np.array(found[rate])

    def asks(self, place: str, name: str) -> bool:
        """Whether a function of the rule asks for a quantity."""
        return name in asked(type(self.rule), place)

    def scalar_functions(self) -> Iterator[tuple[str, Callable[..., Any], Mapping[str, str]]]:
        """All scalar functions of rule, decorrelation and neuron models.

        Yields
        ------
        owner : str
        function : callable
        known : mapping of str to str
            What it may ask for.
        """
        models = {type(p.neuron): None for p in self.network.populations[1:]}
        places = [(type(self.rule), place, known) for place, known in ProjectionRule.knows.items()]
        places += [(type(self.decorrelation), "synapse", DECORRELATION)]
        places += [(model, "activity", ACTIVITY) for model in models]
        places += [(model, "slope", SLOPE) for model in models]
        for owner, place, known in places:
            function = scalar(owner, place)
            if function is not None:
                yield owner.__name__, function, known

    def version(self) -> str:
        """Hash all scalar functions and what they use, as they are now."""
        return fingerprint(function for _, function, _ in self.scalar_functions())

    @cached_property
    def traces(self) -> bool:
        """Whether synapses keep traces of the rule's own making."""
        return scalar(type(self.rule), "trace") is not None

    @property
    def feeds_back(self) -> bool:
        """Whether outputs' errors are broadcast."""
        return self.asks("neuron", "feedback") or self.asks("synapse", "feedback")

    @property
    def learns_feedback(self) -> bool:
        """Whether feedback weights change."""
        return scalar(type(self.rule), "feedback_synapse") is not None

    @cached_property
    def feedback(self) -> dict[str, Population]:
        """Feedback weights by name: ``F``, or ``F_population`` where several have them."""
        if not self.feeds_back:
            return {}
        # Whether this plan learns or only evaluates, weights are the same.
        taught = {p.post for p in self.network.projections if self._has_rate(p)}
        some = [p for p in self.network.populations[1:-1] if p.name in taught]
        return {"F" if len(some) == 1 else f"F_{p.name}": p for p in some}

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Shapes of all weights, feedback's included, by name."""
        shapes = {name: self.network.shape(name) for name in self.network.matrices}
        return shapes | {
            name: (p.size, self.network.outputs.size) for name, p in self.feedback.items()
        }

    def initial_weights(self) -> Weights:
        """The network's initial weights, and the feedback's: random, or 0 if they learn."""
        weights = self.network.initial_weights()
        for name, population in self.feedback.items():
            n_out = self.network.outputs.size
            gain = 0.0 if self.learns_feedback else getattr(self.rule, "feedback_gain", 1.0)
            # Like a projection from the outputs.
            weights[name] = self.network.draw(name, (population.size, n_out), gain)
        return weights

    def perturbs(self, target: Population | Projection) -> bool:
        """Whether a population's neurons, or a projection's weights, get injected noise.

        They do if something learns from it: noise elsewhere would be pure variance.
        """
        if getattr(self.rule, "passes", 2) == 1 or self.options.noise_std == 0:
            return False
        if self.learns_feedback:  # feedback weights are all that learns from noise
            return isinstance(target, Population) and target in self.feedback.values()
        if isinstance(target, Projection):
            return self.perturbs_weights and self.changes(target)
        return not self.perturbs_weights and self.learns_onto(target)

    def learns_onto(self, population: Population) -> bool:
        """Whether any projection onto a population learns."""
        onto = [p for p in self.network.projections if p.post == population.name]
        return any(self.changes(p) for p in onto)

    def stream(self, use: int, name: str) -> int:
        """Noise stream of a use at a population or matrix.

        A network that is only looked at has streams of its own: what it draws is none of
        the noise that learning will meet.
        """
        places = [p.name for p in self.network.populations]
        if use in noise.OF_MATRICES:
            places = list(self.network.matrices)
        looking = noise.EVALUATION * (not self.learning and use not in noise.FROZEN)
        return looking + use + places.index(name)

    def key(self, use: int) -> int:
        """Seed of a use of noise: the chip's for what is frozen, the simulator's for the rest."""
        return self.substrate.seed if use in noise.FROZEN else self.seed

    @property
    def distribution(self) -> int:
        """Code of the perturbation's distribution."""
        return noise.DISTRIBUTIONS[self.options.distribution]

    def without_learning(self, batch: int, noise: bool = True) -> Plan:
        """The same network on the same chip, with baseline passes only.

        The rule stays, unused: so the same compiled code serves.
        """
        substrate = self.substrate if noise else self.substrate.without_noise()
        return replace(self, batch=batch, learning=False, substrate=substrate)
