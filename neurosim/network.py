"""Populations, projections and networks: frozen descriptions without loops.

Weights are ``w[post, pre]`` everywhere.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import display
from neurosim.errors import InputError
from neurosim.frozen import freeze
from neurosim.local import ACTIVITY, SLOPE, asked, check_scalar, scalar
from neurosim.neurons import Linear, One, Tanh
from neurosim.values import (
    SEEDS,
    SIZES,
    nearest,
    require,
    require_count,
    require_flag,
    require_list,
    require_memory,
    require_number,
    require_one_of,
    shown,
)

Weights = dict[str, NDArray[np.float32]]

LONGEST = 1000  # bytes of a name
NAME = f"a non-empty string, of at most {LONGEST} bytes as UTF-8 and without NUL"
INITIAL = ("xavier", "orthogonal")


@dataclass(frozen=True)
class Population:
    """Neurons of one model.

    Parameters
    ----------
    name : str
    size : int
        Number of neurons, >= 1.
    neuron : neuron model, optional
        None for the input population, whose activity is the data.
    decorrelation : str, optional
        Name of the square matrix (``"D"`` in the paper) through which the
        population's activity x passes before it is sent: s = D x. None: s = x.

    Raises
    ------
    InputError
        For a value outside what is allowed.
    """

    name: str
    size: int
    neuron: Any = None
    decorrelation: str | None = None

    def __post_init__(self) -> None:
        owner = f"Population {shown(self.name)}"
        require(_is_name(self.name), "Population", "name", self.name, NAME)
        require_count(owner, "size", self.size, 1, SIZES)
        if self.neuron is not None:
            if scalar(type(self.neuron), "activity") is None:
                allowed = "a neuron model such as neurosim.Tanh(), or None for the input population"
                raise InputError(f"{owner}: neuron = {shown(self.neuron)} must be {allowed}")
            check_scalar(type(self.neuron), "activity", ACTIVITY)
            check_scalar(type(self.neuron), "slope", SLOPE)
            tau, allowed = getattr(self.neuron, "tau", 1.0), "a finite number of steps >= 1"
            require_number(type(self.neuron).__name__, "tau", tau, "[1, inf)", allowed)
        if self.decorrelation is not None:
            fine = _is_name(self.decorrelation) and self.neuron is not None
            allowed = f"None, or a matrix's name on a population that has a neuron model: {NAME}"
            require(fine, owner, "decorrelation", self.decorrelation, allowed)
        freeze(self)


@dataclass(frozen=True)
class Projection:
    """Synapses from every neuron of one population to every neuron of another.

    Parameters
    ----------
    name : str
    pre, post : str
        Names of the populations.
    delay : {0, 1}
        Steps a signal travels. 0 within a step (populations act in their order),
        1 for recurrent connections.
    gain : float
        Factor on the initial weights.
    initial : {"xavier", "orthogonal"}
        Initial weights are normal with Xavier's standard deviation
        ``gain * sqrt(2 / (n_pre + n_post))``; or `gain` times a random orthogonal matrix,
        which leaves the length of what passes through it alone (of a matrix that is not
        square, the rows or columns are orthonormal).

    Raises
    ------
    InputError
        For a value outside what is allowed.
    """

    name: str
    pre: str
    post: str
    delay: int = 0
    gain: float = 1.0
    initial: str = "xavier"

    def __post_init__(self) -> None:
        owner = f"Projection {shown(self.name)}"
        require(_is_name(self.name), "Projection", "name", self.name, NAME)
        for end in ("pre", "post"):
            name = getattr(self, end)
            require(_is_name(name), owner, end, name, "the name of a population")
        require_one_of(owner, "delay", self.delay, (0, 1), "0 or 1")
        require_number(owner, "gain", self.gain, "[0, inf)")
        require_one_of(owner, "initial", self.initial, INITIAL, "'xavier' or 'orthogonal'")
        freeze(self)


@dataclass(frozen=True)
class Network:
    """A description of a network: its populations and its projections.

    Parameters
    ----------
    populations : tuple of Population
        In the order in which they act within a step: the input population first
        (``neuron=None``), the output population, on which the loss is taken, last.
    projections : tuple of Projection
    seed : int
        Of the initial weights, in [0, 2**32). A projection's weights depend on
        the seed and its name alone.

    Raises
    ------
    InputError
        For double names, unknown populations, or a projection without delay
        that points backwards.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        for field, kind in (("populations", Population), ("projections", Projection)):
            allowed = f"a {kind.__name__} each"
            found = tuple(require_list("Network", field, getattr(self, field), allowed))
            object.__setattr__(self, field, found)
            for item in found:
                require(isinstance(item, kind), "Network", field, item, allowed)
        require(len(self.populations) >= 2, "Network", "populations", self.populations, "2 or more")
        require_count("Network", "seed", self.seed, 0, SEEDS)
        order = {p.name: i for i, p in enumerate(self.populations)}
        posts = {p.post for p in self.projections}
        matrices = [p.name for p in self.projections]
        matrices += [p.decorrelation for p in self.populations if p.decorrelation is not None]
        names = [p.name for p in self.populations] + matrices
        double = sorted(name for name, times in Counter(names).items() if times > 1)
        allowed = "different for every population and matrix"
        require(not double, "Network", "names", double, allowed)
        for i, population in enumerate(self.populations):
            fine = (population.neuron is None) == (i == 0)
            allowed = "None for the first population (the input) and a model for all others"
            where = f"neuron of population {population.name!r}"
            require(fine, "Network", where, population.neuron, allowed)
            # A model that asks for no pre-activation needs no synapses.
            alone = i == 0 or not _hears(population.neuron)
            reached = alone or population.name in posts
            require(reached, "Network", "population", population.name, "the post of a projection")
        for projection in self.projections:
            owner = f"Projection {projection.name!r}"
            for end in ("pre", "post"):
                name = getattr(projection, end)
                if name not in order:
                    raise InputError(
                        f"{owner}: {end} = {name!r} is no population; {nearest(name, order)}"
                    )
            require(order[projection.post] > 0, owner, "post", projection.post, "not the input")
            forward = projection.delay == 1 or order[projection.pre] < order[projection.post]
            allowed = f"a population before {projection.post!r}, or delay = 1"
            require(forward, owner, "pre", projection.pre, allowed)
        freeze(self)

    def __repr__(self) -> str:
        matrices = display.few(self.matrices, ", ")
        return f"Network({self.sizes}, matrices=[{matrices}], seed={self.seed})"

    def _repr_html_(self) -> str:
        rows = {}
        for population in self.populations:
            through = f", sent through {population.decorrelation}" * bool(population.decorrelation)
            model = "data" if population.neuron is None else display.brief(population.neuron)
            rows[population.name] = f"{population.size} neurons, {model}{through}"
        for p in self.projections:
            late = ", a step later" * p.delay
            rows[p.name] = f"{p.pre} to {p.post}{late}, {self.shape(p.name)}"
        return display.table(f"Network, seed {self.seed}", rows)

    @property
    def sizes(self) -> str:
        """Sizes of the populations, such as ``1-100-1``."""
        return display.few((p.size for p in self.populations), "-")

    @property
    def inputs(self) -> Population:
        """The population whose activity is the data."""
        return self.populations[0]

    @property
    def outputs(self) -> Population:
        """The population on which the loss is taken."""
        return self.populations[-1]

    def population(self, name: str) -> Population:
        """Find a population by its name."""
        for population in self.populations if isinstance(name, str) else ():
            if population.name == name:
                return population
        names = [p.name for p in self.populations]
        raise InputError(f"Network: no population {shown(name)}; {nearest(name, names)}")

    def shape(self, name: str) -> tuple[int, int]:
        """Shape ``(n_post, n_pre)`` of the weight matrix `name`."""
        named = isinstance(name, str)
        for population in self.populations if named else ():
            if population.decorrelation == name:
                return population.size, population.size
        for projection in self.projections if named else ():
            if projection.name == name:
                return self.population(projection.post).size, self.population(projection.pre).size
        raise InputError(f"Network: no weights {shown(name)}; {nearest(name, self.matrices)}")

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of all weight matrices, the decorrelating ones last."""
        names = [p.name for p in self.projections]
        names += [p.decorrelation for p in self.populations if p.decorrelation is not None]
        return tuple(names)

    def lasts(self, population: str) -> bool:
        """Whether a perturbation of this population can still be felt at a later step.

        It can if its neurons have a memory, or if a delayed projection starts
        from it or from a population that it reaches within the step.
        """
        wanted = self.population(population).name
        felt = {p.name for p in self.populations if getattr(p.neuron, "tau", 1.0) > 1}
        felt |= {p.pre for p in self.projections if p.delay == 1}
        reached = defaultdict(set)
        for projection in self.projections:
            reached[projection.pre].add(projection.post)
        # Within a step, signals go to later populations only: each is looked at once.
        for later in reversed(self.populations):
            if reached[later.name] & felt:
                felt.add(later.name)
        return wanted in felt

    def initial_weights(self) -> Weights:
        """Draw the weights a network starts with.

        Returns
        -------
        dict of str to ndarray of float32, (n_post, n_pre)
            As their `initial` and `gain` say for projections, the identity for decorrelation.
        """
        numbers = sum(math.prod(self.shape(name)) for name in self.matrices)
        require_memory("Network", f"{numbers:,} weights", 4 * numbers)
        weights = {
            p.name: self.draw(p.name, self.shape(p.name), p.gain, p.initial)
            for p in self.projections
        }
        for population in self.populations:
            if population.decorrelation is not None:
                weights[population.decorrelation] = np.eye(population.size, dtype=np.float32)
        return weights

    def draw(
        self, name: str, shape: tuple[int, int], gain: float, initial: str = "xavier"
    ) -> NDArray[np.float32]:
        """Draw a matrix ``(n_post, n_pre)``; it depends on the seed and its name alone."""
        require(_is_name(name), "Network", "name", name, "a non-empty string")
        sizes = require_list("Network", "shape", shape, "two sizes")
        require(len(sizes) == 2, "Network", "shape", shape, "two sizes")
        post, pre = (require_count("Network", "shape", size, 1, SIZES) for size in sizes)
        gain = require_number("Network", "gain", gain, "[0, inf)")
        require_one_of("Network", "initial", initial, INITIAL)
        # Drawn as float64, and scaled in another array; QR has some more.
        arrays = 5 if initial == "orthogonal" else 2
        require_memory("Network", f"{name!r} of shape {(post, pre)}", 8 * arrays * post * pre)
        key = zlib.crc32(name.encode())
        generator = np.random.Generator(np.random.PCG64([self.seed, key]))
        with np.errstate(over="ignore"):  # overflow gives infinity, refused below
            if initial == "orthogonal":
                # The signs make it uniform over all orthogonal matrices (Mezzadri 2007).
                tall = generator.standard_normal((max(post, pre), min(post, pre)))
                q, r = np.linalg.qr(tall)
                q = gain * q * np.sign(np.diagonal(r))
                drawn = np.ascontiguousarray(q if post >= pre else q.T, dtype=np.float32)
            else:
                std = gain * math.sqrt(2.0 / (post + pre))
                drawn = (std * generator.standard_normal((post, pre))).astype(np.float32)
        fine = bool(np.isfinite(drawn).all())
        require(fine, f"Projection {name!r}", "gain", gain, "small enough for finite weights")
        return drawn


def rnn(
    n_inputs: int,
    n_hidden: int,
    n_outputs: int,
    *,
    decorrelate: bool = False,
    neuron: Any = None,
    gain: float = 1.0,
    input_gain: float = 1.0,
    recurrent: str = "xavier",
    bias: float = 0.0,
    seed: int = 0,
) -> Network:
    """The paper's network: input, one recurrent hidden population, linear readout.

    ``a_t = A u_t + R s_{t-1}``, ``x_t = tanh(a_t)``, ``s_t = D x_t``, ``y_t = B s_t``.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
    decorrelate : bool
        Whether the hidden activity passes through D, which starts as the identity.
    neuron : neuron model, optional
        Of the hidden population, `Tanh` by default.
    gain, input_gain : float
        Factors on the initial R and on the initial A.
    recurrent : {"xavier", "orthogonal"}
        What the initial R is, before `gain`; A and B are Xavier normal.
    bias : float
        Standard deviation of a bias that each hidden neuron has: a weight from a unit that is
        always on, projection ``b``, which learns like any other. Without one a network of
        tanh units is an odd function of its input. 0: there is no such unit.
    seed : int
        Of the initial weights.

    Returns
    -------
    Network
        With projections ``A``, ``R``, ``B``, with a bias ``b``, and ``D`` when decorrelated.

    Raises
    ------
    InputError
        For a value outside what is allowed.
    """
    bias = require_number("rnn", "bias", bias, "[0, inf)")
    require_flag("rnn", "decorrelate", decorrelate)
    hidden = Population(
        "hidden",
        n_hidden,
        Tanh() if neuron is None else neuron,
        decorrelation="D" if decorrelate else None,
    )
    xavier = math.sqrt(2.0 / (1 + hidden.size))
    always_on = [Population("one", 1, One())] if bias else []
    biases = [Projection("b", "one", "hidden", gain=bias / xavier)] if bias else []
    return Network(
        populations=(
            Population("input", n_inputs),
            *always_on,
            hidden,
            Population("output", n_outputs, Linear()),
        ),
        projections=(
            Projection("A", "input", "hidden", gain=input_gain),
            Projection("R", "hidden", "hidden", delay=1, gain=gain, initial=recurrent),
            Projection("B", "hidden", "output"),
            *biases,
        ),
        seed=seed,
    )


def _hears(neuron: Any) -> bool:
    """Whether a neuron's activity depends on its pre-activation."""
    return "a" in asked(type(neuron), "activity")


def _is_name(value: Any) -> bool:
    """Whether a name is text that the name of an array in a checkpoint can hold, as UTF-8."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        return 0 < len(value.encode()) <= LONGEST
    except UnicodeEncodeError:
        return False
