"""Arguments that a scalar function may ask for, and checks of scalar functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from neurosim.errors import InputError
from neurosim.local.functions import title
from neurosim.local.language import refuse_unsupported
from neurosim.local.reach import refuse_reaching
from neurosim.local.whole import refuse_no_number
from neurosim.values import require

# Meaning of each argument of a scalar function, by the object that has to know it.
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
    "slope": "derivative of its activity with respect to its own pre-activation, baseline pass",
    "feedback": "sum over outputs of its own feedback weight * that output's broadcast error "
    "(an output: its own error)",
}
SYNAPSE = {
    "pre": "what it transmitted in the baseline pass",
    "signal": "the signal of its postsynaptic neuron",
    "noise": "the noise that was injected into its own weight",
    "reward": "the broadcast scalar",
}
TRACE = {
    "trace": "its own trace, one step ago",
    "pre": "what it transmitted in the baseline pass",
    "signal": "the signal of its postsynaptic neuron",
    "keep": "1 - 1 / tau of its postsynaptic neuron",
}
TRACED = SYNAPSE | {
    "trace": "its own trace",
    "feedback": "the feedback that its postsynaptic neuron hears",
}
FEEDBACK = {
    "change": "change in activity of its neuron, from the reference pass to the perturbed pass",
    "residual": "what all feedback weights from its output leave unexplained of that output's "
    "change",
    "power": "sum over the population of the squared change in activity",
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
SLOPE = {
    "a": "its pre-activation",
    "leak": "1 / tau",
}
FIRST = {
    "change": "what the rule wants it to change by",
    "first": "its own first memory",
    "beta1": "how much of the first memory stays",
    "fresh1": "1 - beta1",
}
SECOND = {
    "change": "what the rule wants it to change by",
    "second": "its own second memory",
    "beta2": "how much of the second memory stays",
    "fresh2": "1 - beta2",
}
STEP = {
    "first": "its own first memory",
    "second": "its own second memory",
    "unbias1": "1 / (1 - beta1 ** n) after n changes: a memory that began at zero is too small",
    "unbias2": "1 / (1 - beta2 ** n)",
    "epsilon": "the option of this name",
}


def arguments(function: Callable[..., Any], known: Mapping[str, str], owner: str) -> list[str]:
    """Names of the local quantities that a scalar function asks for.

    Raises
    ------
    InputError
        If it asks for something that is not local, naming what there is; if it could reach
        such a thing in another way; or if it is written in more than scalar functions may be.
    """
    names = list(inspect.signature(function).parameters)
    for name in names:
        if name not in known:
            raise InputError(
                f"{owner}: {title(function)}() asks for {name!r}, which is not local to it; "
                f"it may ask for: {', '.join(known)}"
            )
    refuse_unsupported(function, owner)
    refuse_reaching(function, owner)
    return names


def asked(owner: type, place: str) -> list[str]:
    """List what the scalar function `place` of a checked rule or model asks for, if it has one."""
    function = scalar(owner, place)
    return [] if function is None else list(inspect.signature(function).parameters)


def check_scalar(owner: type, place: str, known: Mapping[str, str]) -> None:
    """Refuse the scalar function `place` of a rule or model, if it has one that cannot be run.

    Raises
    ------
    InputError
        As from `arguments`; or if it does not make a number of numbers.
    """
    function = scalar(owner, place)
    if function is not None:
        names = arguments(function, known, owner.__name__)
        refuse_no_number(function, len(names), owner.__name__)


def scalar(owner: type, name: str) -> Callable[..., Any] | None:
    """Find the scalar function `name` of a rule or model; None where there is none, or None.

    It is looked up on the class. An option, a field of a dataclass, may have the same name
    (`reward` does).

    Raises
    ------
    InputError
        If there is something else of that name.
    """
    found = getattr(owner, name, None)
    if callable(found):
        return found
    if found is not None and name not in getattr(owner, "__dataclass_fields__", ()):
        require(False, owner.__name__, name, found, "a function, or None")
    return None
