"""Settings of a config's tables: changed by field or by text, listed, hashed."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from neurosim.errors import InputError
from neurosim.experiments import tables
from neurosim.values import shortened


def changed(
    given: Mapping[str, Any], settings: Mapping[str, Any], seed: int | None = None
) -> dict[str, Any]:
    """Copy a config's tables, with some fields set.

    Parameters
    ----------
    given : mapping
    settings : mapping of str to value
        By field, such as ``"rule.learning_rate"``; or whole tables, such as ``"rule"``.
    seed : int, optional
        The one seed of weights, noise and data, whatever the config says.

    Raises
    ------
    InputError
        If a field lies below something that is no table.
    """
    made = copy.deepcopy(dict(given))
    for field, value in settings.items():
        put(made, field, copy.deepcopy(value))
    if seed is not None:
        made.setdefault("training", {})["seed"] = seed
        for name in ("network", "task"):
            if isinstance(made.get(name), dict):
                made[name].pop("seed", None)
    return made


def preferring(given: Mapping[str, Any], engine: str | None) -> dict[str, Any]:
    """Copy a config's tables, with an engine unless they name one; None: with none."""
    made = copy.deepcopy(dict(given))
    training = made.setdefault("training", {}) if engine is not None else None
    if isinstance(training, dict):  # or whoever checks the config says that it is no table
        training.setdefault("engine", engine)
    return made


def override(text: str) -> tuple[str, Any]:
    """Read ``table.key=value``; see `neurosim.experiments.tables.literal`.

    Raises
    ------
    InputError
        If it is not of this form.
    """
    field, equals, right = text.partition("=")
    if not equals or "." not in field or not all(field.strip().split(".")):
        raise InputError(f"--set {shortened(text)}: must be table.key=value")
    return field.strip(), tables.literal(right)


def put(given: dict[str, Any], field: str, value: Any) -> None:
    """Set a field of a config's tables, in place.

    Raises
    ------
    InputError
        If it lies too deep, or below something that is no table.
    """
    *above, last = field.split(".")
    if len(above) > tables.DEEPEST:
        raise InputError(f"nested more than {tables.DEEPEST} deep")
    table = given
    for key in above:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"{key!r} is not a table")
    table[last] = value


def leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """List the fields of tables within tables by keys such as ``rule.learning_rate.B``."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def flat(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of all tables, by keys such as ``rule.learning_rate``."""
    return {f"{name}.{key}": v for name, table in resolved.items() for key, v in table.items()}


def hashed(resolved: Mapping[str, Any]) -> str:
    """Hash a config's tables."""
    # Dates are all that TOML has and JSON has not; `repr` tells one from text that reads like it.
    text = json.dumps(resolved, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
