"""Which gradient a rule's update estimates, and how noisy an estimate it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import bptt, screen
from neurosim.checks import finite_array
from neurosim.engines.chip import Chip
from neurosim.errors import InputError
from neurosim.moments import GROUPS, Arrays, Moments, compare
from neurosim.network import Network, rnn
from neurosim.neurons import One
from neurosim.simulator import Simulator
from neurosim.substrate import Substrate
from neurosim.values import (
    SEEDS,
    STEPS,
    is_count,
    require,
    require_count,
    require_flag,
    require_list,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Alignment:
    """How the updates of a rule compare with gradients.

    With g the gradient, m the mean of the update and C its covariance over noise:

    ============ =============================== ==========================================
    ``cosine``   m . g / (||m|| ||g||)           1: the direction is right on average
    ``scale``    m . g / ||g||^2                 1: so is the length along the gradient
    ``bias2``    ||m - g||^2 / ||g||^2           0: no bias
    ``variance`` trace C / ||g||^2               of one draw, batch and sequence as measured
    ``snr``      ||m||^2 / trace C               1 / snr draws average to as much as noise
    ============ =============================== ==========================================

    A mean over n draws still contains noise of power trace C / n. It is taken off
    ||m||^2 and ||m - g||^2, so that few draws make numbers uncertain but not wrong
    on average; a cosine can come out above 1, and is NaN where noise hides the mean.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row for each ``projection`` (``hidden``: A and R as one vector; ``all``: and B) and
        ``reference``: ``full``, ``k=1`` (truncated to so many steps), ``chunk=5``.
        Columns: the measures above, each with its standard error, ``cosine_se`` and so on.
    draws : int
        Updates that were drawn.
    interrupted : bool
        Whether Ctrl-C ended the measurement before all draws were done.
    """

    frame: pd.DataFrame
    draws: int
    interrupted: bool = False

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cosine to each gradient, one line per projection, with standard errors."""
        from neurosim.drawing import axes

        ax = axes("Alignment", ax)
        for name, rows in self.frame.groupby("projection", sort=False):
            ax.errorbar(
                rows["reference"],
                rows["cosine"],
                rows["cosine_se"],
                fmt="o-",
                capsize=3,
                label=name,
            )
        ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        ax.set(xlabel="gradient", ylabel="cosine to the mean update")
        ax.legend()
        return ax


def align(
    sim: Simulator,
    inputs: ArrayLike,
    targets: ArrayLike,
    *,
    draws: int = 1000,
    truncations: Iterable[int] | None = None,
    chunks: Iterable[int] = (),
    seed: int | None = None,
    progress: bool = True,
) -> Alignment:
    """Compare the updates that a simulator's rule makes with gradients of its loss.

    From the simulator's weights, the rule's update over the sequence is drawn again and
    again with fresh noise, always from rest and applied as a whole at the end, whatever
    the rule's own schedule, learning rate and optimiser. Decorrelating matrices stay as
    they are.
    The gradients are those of the network without noise, by `neurosim.bptt`. The
    simulator is left as it is.

    Parameters
    ----------
    sim : Simulator
        With a rule, and a network from `rnn`.
    inputs : array_like, (T, S, n_in)
        Any number S of series: the update is the mean over them, so its variance
        is that of a batch of S.
    targets : array_like, (T, S, n_out)
    draws : int
        Updates to draw, >= 2. A rule without noise is measured once.
    truncations : iterable of int, optional
        Lengths k of truncated gradients: a loss is followed back through k steps.
        By default the powers of 2 below T. The full gradient always takes part.
    chunks : iterable of int
        Lengths of chunks: a loss is followed back to the start of its chunk.
    seed : int, optional
        Of the noise; the simulator's by default.
    progress : bool
        Whether to show a progress bar; it is silent unless on a terminal.

    Returns
    -------
    Alignment
        On Ctrl-C, of the draws done by then.

    Raises
    ------
    InputError
        For a value outside what is allowed, or a rule or network that cannot be measured.
    DivergenceError
        If activities are not finite.

    Examples
    --------
    >>> import numpy as np, neurosim as ns
    >>> sim = ns.Simulator(ns.rnn(1, 8, 1, seed=1), ns.NP(learning_rate=1e-4), seed=1)
    >>> data = np.random.default_rng(1).normal(size=(2, 6, 1, 1))
    >>> measured = ns.align(sim, *data, draws=200)
    >>> list(measured.frame["reference"].unique())
    ['k=1', 'k=2', 'k=4', 'full']
    """
    require(isinstance(sim, Simulator), "align", "sim", sim, "a Simulator")
    network = sim.network
    _check_network(network)
    given = finite_array(inputs, "inputs", (None, None, network.inputs.size))
    steps, series = given.shape[:2]
    wanted = finite_array(targets, "targets", (steps, series, network.outputs.size))
    draws = require_count("align", "draws", draws, 2)
    seed = require_count("align", "seed", seed, 0, SEEDS, optional=True)
    require_flag("align", "progress", progress)
    most = (2**32 - 1) // steps
    allowed = f"at most {most} with {steps} steps: noise would repeat"
    require(draws <= most, "align", "draws", draws, allowed)
    _check_chip(sim)
    references = _references(steps, truncations, chunks)
    drawn = Simulator(
        network,
        rule=_whole(sim.rule),
        substrate=sim.substrate,
        batch=series,
        engine=sim.engine,
        seed=sim.seed if seed is None else seed,
        threads=sim.threads,
    )
    weights = sim.weights
    precise = {name: weights[name].astype(np.float64) for name in network.matrices}
    model = network.populations[-2].neuron
    name, tau = type(model).__name__.lower(), getattr(model, "tau", 1.0)
    gradients = {
        reference: bptt.gradients(precise, given, wanted, truncate, chunk, name, tau)[1]
        for reference, (truncate, chunk) in references.items()
    }
    if getattr(drawn.rule, "passes", 2) == 1 and drawn.substrate == Substrate():
        draws = 1  # there is no noise: all draws are the same
    rate = drawn.rule.learning_rate
    learning = [name for name in gradients["full"] if not isinstance(rate, Mapping) or name in rate]
    moments = Moments({name: weights[name].size for name in learning}, min(GROUPS, draws))
    interrupted = _draw(drawn, weights, given, wanted, draws, moments, progress)
    return Alignment(compare(moments, gradients), moments.draws, interrupted)


def _check_chip(sim: Simulator) -> None:
    """Refuse chips on which a run's changes of weights are not the updates its rule calls for."""
    chip = Chip(sim.substrate, sim.network)
    if chip.programs or chip.ages or sim.substrate.reward_delay:
        raise InputError(
            f"align: substrate = {sim.substrate!r} writes weights imperfectly, lets them change "
            f"by themselves, or delays rewards; what changes in a run is then not the update "
            f"that the rule calls for. Measure it on a chip without that, substrate | {{...}}"
        )


def _draw(
    sim: Simulator,
    weights: Arrays,
    inputs: NDArray[Any],
    targets: NDArray[Any],
    draws: int,
    moments: Moments,
    progress: bool,
) -> bool:
    """Draw updates; tell whether Ctrl-C came first."""
    from rich.progress import Progress

    before = {name: weights[name].astype(np.float64).ravel() for name in moments.sums}
    # The loss of a gradient is a mean over steps. An update is a sum, but for the referee's own.
    terms = 1 if isinstance(sim.rule, bptt.BPTT) else len(inputs)
    console = screen.console(stderr=True)
    silent = not (progress and console.is_terminal)
    try:
        with Progress(console=console, transient=True, disable=silent) as bar:
            for _ in bar.track(range(draws), description="drawing updates"):
                sim.weights = weights
                sim.run(inputs, targets)
                after = sim.weights
                moments.add({n: (w - after[n].ravel()) / terms for n, w in before.items()})
    except KeyboardInterrupt:
        if moments.draws < 2:
            raise  # nothing can be said yet
        return True
    return False


def _whole(rule: Any) -> Any:
    """The same rule, its whole update made once, at the end of a sequence, with rate 1."""
    owner = type(rule).__name__
    names = {f.name for f in fields(rule)} if is_dataclass(rule) else set()
    fine = {"learning_rate", "schedule"} <= names
    allowed = "a rule with the options of neurosim.local.Perturbation (inherit from it)"
    require(fine, "align", "sim.rule", rule, allowed)
    rate = rule.learning_rate
    changes: dict[str, Any] = {"schedule": "sequence"}
    changes["learning_rate"] = dict.fromkeys(rate, 1.0) if isinstance(rate, Mapping) else 1.0
    if "optimiser" in names:
        changes["optimiser"] = "sgd"
    if "window" in names and rule.reward == "local":
        changes["window"] = None  # it only said when weights were to change
    try:
        return replace(rule, **changes)
    except InputError as error:
        raise InputError(f"align: {owner} cannot be measured ({error})") from error


def _references(
    steps: int, truncations: Iterable[int] | None, chunks: Iterable[int]
) -> dict[str, tuple[int | None, int | None]]:
    """Lengths of truncation and of chunks, by the reference's name."""
    if truncations is None:
        truncations = [2**i for i in range(steps.bit_length()) if 2**i < steps]
    found: dict[str, tuple[int | None, int | None]] = {}
    for length in _lengths("truncations", truncations):
        found[f"k={length}"] = length, None
    for length in _lengths("chunks", chunks):
        found[f"chunk={length}"] = None, length
    return found | {"full": (None, None)}


def _lengths(field: str, lengths: Any) -> list[int]:
    """Refuse what is not whole numbers of steps; give them as Python's own."""
    allowed = "whole numbers of steps in [1, 2**32)"
    found = require_list("align", field, lengths, allowed)
    fine = all(is_count(length) and 1 <= length < STEPS for length in found)
    require(fine, "align", field, lengths, allowed)
    return [int(length) for length in found]


def _check_network(network: Network) -> None:
    """Refuse networks whose gradients `bptt` does not know."""
    hidden = network.populations[-2]
    like = rnn(
        network.inputs.size,
        hidden.size,
        network.outputs.size,
        decorrelate=hidden.decorrelation is not None,
        neuron=hidden.neuron,
        bias=float(any(p.neuron == One() for p in network.populations)),
    )
    ends, known = (
        [(p.name, p.pre, p.post, p.delay) for p in n.projections] for n in (network, like)
    )
    fine = (network.populations, ends) == (like.populations, known)
    require(fine, "align", "sim.network", network, "one as from rnn()")
