"""Tables of a config: checked against what may stand in them, key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from neurosim.errors import EPOCHS, SEEDS, SIZES, InputError, is_number, nearest, shown

Model = TypeVar("Model", bound=BaseModel)

NONE = "none"  # TOML has no null

DEEPEST = 20  # tables in tables

Seed = Field(default=None, ge=0, lt=SEEDS)


def read(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises
    ------
    tomllib.TOMLDecodeError
        If it is none.
    InputError
        If it is nested too deep, or holds a number that Python does not read.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        says = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(says) from None
    refuse_deep(found)
    return found


def value(text: str) -> Any:
    """Read one value as in TOML, or else as text.

    Raises
    ------
    InputError
        If it is nested too deep, or a number that Python does not read.
    """
    try:
        found = read(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text.strip()
    return found["value"] if len(found) == 1 else text.strip()


def refuse_deep(table: Mapping[str, Any]) -> None:
    """Refuse tables that are nested deeper than `DEEPEST`, before any of them is walked through."""
    depth, level = 0, list(table.values())
    while level := [item for value in level for item in _inside(value)]:
        depth += 1
        if depth > DEEPEST:
            raise InputError(f"nested more than {DEEPEST} deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _held(value: float) -> float:
    """Refuse a number that float32 cannot hold."""
    if not is_number(value):
        raise ValueError("float32 cannot hold it")
    return value


Number = Annotated[float, AfterValidator(_held)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class NetworkTable(_Table):
    """``[network]``: the arguments of `neurosim.rnn`."""

    hidden: int = Field(default=100, ge=1, lt=SIZES)
    neuron: str = "Tanh"
    tau: Number = Field(default=1.0, ge=1)
    decorrelate: bool | None = None
    gain: Number = Field(default=1.0, ge=0)
    input_gain: Number = Field(default=1.0, ge=0)
    recurrent: Literal["xavier", "orthogonal"] = "xavier"
    bias: Number = Field(default=0.0, ge=0)
    seed: int | None = Seed


class TrainingTable(_Table):
    """``[training]``: how long, on how many replicas, from which seed, on which engine.

    With ``held_out`` above 0 that part of the training data is what a run is judged by, not the
    test: to choose settings by. ``measures`` names what else to measure after every epoch.
    """

    epochs: int = Field(default=50, ge=1, lt=EPOCHS)
    batch: int = Field(default=10, ge=1, lt=SIZES)
    seed: int = Field(default=0, ge=0, lt=SEEDS)
    engine: str = "cpu"
    held_out: Number = Field(default=0.0, ge=0, lt=1)
    measures: list[str] = Field(default_factory=list)


class BaselinesTable(_Table):
    """``[baselines]``: whether to compute them, and how long to train the readout alone."""

    enabled: bool = True
    readout_epochs: int = Field(default=50, ge=1, lt=EPOCHS)


def check(model: type[Model], table: Mapping[str, Any], where: str) -> Model:
    """Check a table against its model.

    Raises
    ------
    InputError
        One line per problem.
    """
    given = {key: None if value == NONE else value for key, value in table.items()}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                lines.append(unknown(key, table[key], model.model_fields, where))
            else:
                says = problem["msg"][0].lower() + problem["msg"][1:]
                lines.append(f"[{where}] {key} = {shown(table.get(key))}: {says}")
        raise InputError("\n".join(lines)) from error


def unknown(key: str, value: Any, known: Iterable[str], where: str) -> str:
    """Say that a key does not exist, and which one was probably meant."""
    return f"[{where}] {key} = {shown(value)}: no such key; {nearest(key, known)}"


def build(cls: type, table: Mapping[str, Any], where: str, elsewhere: Mapping[str, str]) -> Any:
    """Build a dataclass from a table, and let it check its own values.

    Parameters
    ----------
    cls : type
        The dataclass.
    table : mapping
        Its fields, without the name.
    where : str
        The table's name, for errors.
    elsewhere : mapping of str to str
        Keys that belong to another choice, and to which.

    Raises
    ------
    InputError
        One line per problem.
    """
    if not is_dataclass(cls):
        raise InputError(f"[{where}] name: {cls.__name__} must be a dataclass")
    known = {f.name: f for f in fields(cls) if f.init}
    lines = []
    for key, value in table.items():
        if key not in known:
            owner = f" ({key!r} belongs to {elsewhere[key]})" if key in elsewhere else ""
            lines.append(unknown(key, value, known, where) + owner)
    for key, f in known.items():
        if key not in table and f.default is MISSING and f.default_factory is MISSING:
            lines.append(f"[{where}] {key}: missing; {cls.__name__} has no default for it")
    if lines:
        raise InputError("\n".join(lines))
    given = {
        key: None if value == NONE and _optional(known[key]) else value
        for key, value in table.items()
    }
    try:
        return cls(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"[{where}] {error}") from error


def _optional(field: Any) -> bool:
    return field.default is None or any(word in str(field.type) for word in ("None", "Optional"))


def plain(value: Any) -> Any:
    """What TOML can hold: no null, no tuples, text for keys and paths."""
    if value is None:
        return NONE
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


def as_table(thing: Any) -> dict[str, Any]:
    """All fields of a dataclass, defaults filled in, as `plain`."""
    return {f.name: plain(getattr(thing, f.name)) for f in fields(thing) if f.init}
