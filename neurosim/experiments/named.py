"""Objects that a config names: its task, rule, decorrelation and chip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from neurosim.engines import AUTO, ENGINES
from neurosim.errors import InputError
from neurosim.experiments import registry, tables
from neurosim.experiments.tables import NetworkTable, TrainingTable
from neurosim.substrate import Substrate
from neurosim.substrate.presets import CHIPS
from neurosim.values import is_number, is_one_of, nearest, shown


def task(given: Mapping[str, Any], training: TrainingTable) -> tuple[Any, str]:
    """Build the task, with the batch and the seed of the training, and give its name."""
    name, table = _named(given, "task", registry.tasks(), None)
    cls = registry.task(name)
    known = set(tables.settable(cls)) if is_dataclass(cls) else set()
    batch = table.get("batch", training.batch)
    if batch != training.batch and "batch" in known:
        says = f"must be that of [training], {training.batch}; leave it out"
        raise InputError(f"[task] batch = {shown(batch)}: {says}")
    for key in ("batch", "seed"):
        if key in known:
            table.setdefault(key, getattr(training, key))
    elsewhere = {} if set(table) <= known else _keys_of_others(name)
    return tables.build(cls, table, "task", elsewhere), name


def rule(given: Mapping[str, Any]) -> tuple[Any, str]:
    """Build the learning rule, and give its name."""
    return _built(given, "rule", registry.RULES)


def decorrelation(given: Mapping[str, Any]) -> tuple[Any, str]:
    """Build the decorrelation, and give its name; None, and no name, where there is none."""
    if "decorrelation" not in given:
        return None, ""
    return _built(given, "decorrelation", registry.DECORRELATIONS, "Decorrelation")


def substrate(given: Mapping[str, Any]) -> Substrate:
    """Build the chip from its fields, or from a preset and the fields that differ."""
    table = dict(given.get("substrate", {}))
    name = table.pop("preset", "ideal")
    if not is_one_of(name, CHIPS):
        raise InputError(
            f"[substrate] preset = {shown(name)} does not exist; {nearest(name, CHIPS)}"
        )
    start = {f.name: getattr(CHIPS[name], f.name) for f in fields(Substrate)}
    built: Substrate = tables.build(Substrate, {**start, **table}, "substrate", {})
    return built


def tau(model: type) -> float:
    """Look up the time constant of a neuron model's neurons where none is given [steps]."""
    known = tables.settable(model) if is_dataclass(model) else {}
    default = known["tau"].default if "tau" in known else getattr(model, "tau", 1.0)
    return float(default) if is_number(default) else 1.0


def check_neuron(network: NetworkTable | None) -> None:
    """Refuse a neuron model that does not exist."""
    if network is not None:
        registry.plugin(network.neuron, registry.NEURONS, "[network] neuron")


def check_engine(name: str) -> None:
    """Refuse an engine that does not exist."""
    known = [*ENGINES, AUTO]
    if name not in known:
        raise InputError(f"[training] engine = {name!r} does not exist; {nearest(name, known)}")


def _built(
    given: Mapping[str, Any], where: str, known: Any, default: str | None = None
) -> tuple[Any, str]:
    name, table = _named(given, where, known, default)
    return tables.build(registry.plugin(name, known, where), table, where, {}), name


def _named(given: Mapping[str, Any], where: str, known: Iterable[str], default: str | None) -> Any:
    """Take the name of a class out of a table; the default where it has none."""
    table = dict(given.get(where, {}))
    name = table.pop("name", default)
    if not isinstance(name, str):
        says = "missing" if name is None else f"{shown(name)} must be text"
        raise InputError(f"[{where}] name: {says}; known: {', '.join(known)}")
    return name, table


def _keys_of_others(task: str) -> dict[str, str]:
    """List the fields of all other tasks, and whose they are."""
    found = {}
    for name in registry.tasks():
        cls = registry.task(name)
        if name != task and is_dataclass(cls):
            found.update(dict.fromkeys(tables.settable(cls), f"task {name!r}"))
    return found
