"""Find the numbers that overflowed, and the setting that keeps them from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.bptt import BPTT
from neurosim.errors import DivergenceError

if TYPE_CHECKING:
    from neurosim.engines.engine import Engine
    from neurosim.engines.plan import Plan

BLOWN_UP = 1e3  # times the largest initial weight, or 1: learning has made weights of this size
GROWN = 2.0  # times the largest initial weight: learning, too, may have made an activity overflow
# A perturbation below changes a float32 loss by no more than rounding does; one above is beyond
# where a loss is linear in it, as the estimate of a gradient assumes.
FAINT, LOUD = 1e-6, 0.1


def divergence(engine: Engine, step: int, targets: Any = None, lost: str = "") -> DivergenceError:
    """Find what overflowed: weights of a projection, the activity of a population, or the loss.

    Parameters
    ----------
    engine : Engine
        As it stopped.
    step : int
        At which it stopped, counted from the simulator's first.
    targets : ndarray, (batch, n_out), optional
        Of that step.
    lost : str
        The error that is too large to go on with, where nothing overflowed.
    """
    plan = engine.plan
    peaks = {name: _peak(values) for name, values in engine.weights().items()}
    name = max(peaks, key=lambda name: peaks[name])
    start = max(_peak(values) for values in plan.initial_weights().values())
    if peaks[name] > BLOWN_UP * max(1.0, start):
        said = f"weights of projection {name!r} blew up at step {step} "
        said += f"(largest |weight| = {peaks[name]:.3g})"
        return _error(f"{said}; {_UNUSABLE}. {_slower(plan, name)}", step, projection=name)
    finite = f"all weights are finite (largest |weight| = {peaks[name]:.3g}, in projection {name!r}"
    finite += f"; {start:.3g} before learning)"
    if lost:
        advice = f"Compare the targets with those before, or l{_slower(plan, name)[1:]}"
        return _error(f"{lost} at step {step}; {finite}. {advice}", step)
    where, largest = _loudest(engine)
    wanted = 0.0 if targets is None else _peak(targets)
    if np.isfinite(largest) and wanted > largest:
        said = f"the loss overflowed at step {step}: |target| = {wanted:.3g}; {finite}"
        return _error(f"{said}. Scale the targets down", step)
    what = "grew too large" if np.isfinite(largest) else "overflowed"
    said = f"the activity of population {where!r} {what} at step {step} "
    said += f"(largest |activity| = {largest:.3g}); {finite}, {_UNUSABLE}. "
    advice = "Lower the gain of the network's projections, or scale the inputs down"
    if peaks[name] > GROWN * start:
        advice = f"{_slower(plan, name)}; or l{advice[1:]}"
    return _error(said + advice, step, population=where)


_UNUSABLE = "the state is no longer usable"


def _error(said: str, step: int, **what: str) -> DivergenceError:
    message = f"Simulator: {said}, and go on from the last checkpoint."
    return DivergenceError(message, step, **what)


def _peak(values: Any) -> float:
    """Largest absolute value; infinite if one is not a number."""
    size = np.abs(np.asarray(values, dtype=np.float64))
    return float(size.max(initial=0.0)) if np.isfinite(size).all() else np.inf


def _loudest(engine: Engine) -> tuple[str, float]:
    """The first population, in the order in which they act, of which a number overflowed."""
    network, found = engine.plan.network, {}
    for population in network.populations[1:]:
        with np.errstate(all="ignore"):  # float32 may not hold it
            states = [
                engine.observe(population.name, variable, pass_)
                for variable in ("a", "x", "s")
                for pass_ in range(engine.plan.passes)
            ]
        found[population.name] = max(map(_peak, states))
        if not np.isfinite(found[population.name]):
            return population.name, found[population.name]
    name = network.outputs.name
    return name, found[name]


def _slower(plan: Plan, matrix: str) -> str:
    """Say which setting makes changes of a matrix smaller."""
    if any(p.decorrelation == matrix for p in plan.network.populations):
        return "Lower the decorrelation's learning_rate"
    if plan.rule is None:
        return "Set smaller weights"
    owner = type(plan.rule).__name__
    if isinstance(plan.rule, BPTT) or not any(c.perturbed for c in plan.comparisons):
        return f"Lower the learning_rate of {owner}"
    std = plan.options.noise_std
    if 0 < std < FAINT:
        return (
            f"Raise noise_std = {std:g} of {owner}, too little for float32 to resolve what it "
            f"changes in the loss, or lower the learning_rate"
        )
    if std > LOUD:
        return f"Lower the learning_rate of {owner}, or noise_std = {std:g}"
    return f"Lower the learning_rate of {owner}"
