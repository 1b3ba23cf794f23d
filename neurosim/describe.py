"""Networks, rules and chips as plain data, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from neurosim import neurons, rules
from neurosim.bptt import BPTT
from neurosim.errors import CheckpointError
from neurosim.network import Network, Population, Projection
from neurosim.substrate import Substrate

BUILT_IN: dict[str, type] = {
    name: getattr(module, name) for module in (neurons, rules) for name in module.__all__
} | {"BPTT": BPTT, "Substrate": Substrate}


def thing(value: Any) -> dict[str, Any] | None:
    """Describe a rule, neuron model or substrate by its class name and fields."""
    if value is None:
        return None
    names = [f.name for f in fields(value)] if is_dataclass(value) else list(vars(value))
    given = {name: getattr(value, name) for name in names}
    return {"class": type(value).__name__, **given}


def to_thing(described: dict[str, Any] | None, known: Iterable[type] = ()) -> Any:
    """Build what `thing` described.

    Raises
    ------
    CheckpointError
        If its class is not built in and not among `known`.
    """
    if described is None:
        return None
    given = dict(described)
    name = given.pop("class")
    classes = BUILT_IN | {cls.__name__: cls for cls in known}
    if name not in classes:
        raise CheckpointError(f"{name!r} is not built in; pass its class with known=[{name}]")
    return classes[name](**given)


def network(described: Network) -> dict[str, Any]:
    """Describe a network."""
    return {
        "populations": [
            {
                "name": p.name,
                "size": p.size,
                "neuron": thing(p.neuron),
                "decorrelation": p.decorrelation,
            }
            for p in described.populations
        ],
        "projections": [asdict(p) for p in described.projections],
        "seed": described.seed,
    }


def to_network(described: dict[str, Any], known: Iterable[type] = ()) -> Network:
    """Build the network that `network` described."""
    return Network(
        populations=tuple(
            Population(**{**p, "neuron": to_thing(p["neuron"], known)})
            for p in described["populations"]
        ),
        projections=tuple(Projection(**p) for p in described["projections"]),
        seed=described["seed"],
    )
