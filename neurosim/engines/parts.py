"""What the referee can run: the paper's network, each of its matrices by its part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosim import bptt
from neurosim.engines.plan import Plan
from neurosim.errors import InputError
from neurosim.neurons import Linear, One, ReLU, Tanh
from neurosim.rules import Decorrelation, LocalDecorrelation
from neurosim.substrate import Substrate
from neurosim.values import nearest

NEURONS: dict[type, str] = {Tanh: "tanh", ReLU: "relu", Linear: "linear"}
DECORRELATIONS: dict[type, Any] = {
    Decorrelation: bptt.decorrelation,
    LocalDecorrelation: bptt.local_decorrelation,
}


def parts(plan: Plan) -> dict[str, str]:
    """Names of the matrices that are A, R, B and, if there are any, b and D.

    Raises
    ------
    InputError
        If backpropagation is not written for this network, chip or decorrelation; or if a
        learning rate is for a projection that does not exist.
    """
    owner, network = type(plan.rule).__name__, plan.network
    found = _projections(owner, plan)
    hidden, output = network.populations[-2:]
    if output.neuron != Linear() or output.decorrelation is not None:
        raise InputError(
            f"{owner}: population {output.name!r} has neuron = {output.neuron!r} and decorrelation "
            f"= {output.decorrelation!r}; an output must have Linear() and None"
        )
    _one_of(f"{owner}: population {hidden.name!r} has neuron", hidden.neuron, NEURONS)
    if plan.decorrelation is not None:
        _one_of(f"{owner}: decorrelation", plan.decorrelation, DECORRELATIONS)
    if plan.substrate != Substrate():
        raise InputError(
            f"{owner}: substrate = {plan.substrate!r} must be the ideal chip, Substrate(): what "
            f"is differentiated is the network as it is described"
        )
    rates = plan.rule.learning_rate
    for name in rates if isinstance(rates, Mapping) else ():
        if name not in found.values():
            known = nearest(name, found.values())
            raise InputError(f"{owner}: learning_rate[{name!r}] names no projection; {known}")
    return found if hidden.decorrelation is None else {**found, "D": hidden.decorrelation}


def _projections(owner: str, plan: Plan) -> dict[str, str]:
    network = plan.network
    always_on = [p.name for p in network.populations[1:] if p.neuron == One()][:1]
    names = [p.name for p in network.populations if p.name not in always_on]
    first, hidden, last = names[0], names[-2], names[-1]
    ways = {(first, hidden, 0): "A", (hidden, hidden, 1): "R", (hidden, last, 0): "B"}
    ways |= {(name, hidden, 0): "b" for name in always_on}
    found = {ways.get((p.pre, p.post, p.delay), "?"): p.name for p in network.projections}
    if (len(names), len(network.projections)) != (3, len(ways)) or set(found) != set(ways.values()):
        names = [p.name for p in network.populations]
        there = ", ".join(
            f"{p.name}: {p.pre} -> {p.post} (delay {p.delay})" for p in network.projections
        )
        raise InputError(
            f"{owner}: network has populations {', '.join(names)} and projections {there}; it must "
            f"be one hidden population with projections input -> hidden, hidden -> hidden (delay "
            f"1) and hidden -> output, and perhaps one -> hidden, as rnn() makes it"
        )
    return {part: found[part] for part in "ARBb" if part in found}


def _one_of(what: str, value: Any, known: Mapping[type, Any]) -> None:
    # A class of one's own may inherit from one of these, and say something else.
    if type(value) not in known:
        names = ", ".join(cls.__name__ for cls in known)
        raise InputError(f"{what} = {value!r}; backpropagation is written for {names}")
