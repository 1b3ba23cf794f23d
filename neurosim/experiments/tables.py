"""Tables of a config: checked against what may stand in them, key by key."""

from __future__ import annotations

import ast
import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, time
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from neurosim import rates
from neurosim.describe import SIMPLE, alike, python
from neurosim.errors import InputError
from neurosim.values import EPOCHS, SEEDS, SIZES, is_number, nearest, shown

Model = TypeVar("Model", bound=BaseModel)

NONE = "none"  # TOML has no null
NAME = "name"  # of a table: which class it is of

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
    except tomllib.TOMLDecodeError as error:
        try:
            tomllib.loads(with_digits(text))
        except (ValueError, RecursionError):
            raise error from None
        says = f"{error}: a number must have digits on both sides of its point, as in 0.5"
        raise InputError(says) from None
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        raise InputError("nested too deep" if deep else "a number of too many digits") from None
    refuse_deep(found)
    return found


_POINT = re.compile(  # text and comments, which are left alone; or a number with a point
    r"""(\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*)"""
    r"|(?<![\w.])(\d*)\.(\d*)(?=[eE][+-]?\d|[^\w.]|$)"
)


def with_digits(text: str) -> str:
    """Write ``.5`` and ``5.`` as TOML has them, with a digit on both sides of the point."""

    def mended(found: re.Match[str]) -> str:
        before, after = found[2], found[3]
        return f"{before or 0}.{after or 0}" if before or after else found[0]

    return _POINT.sub(mended, text)


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
    tau: Number | None = Field(default=None, ge=1)  # None: the neuron model's own
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
    known = settable(cls)
    lines = []
    for key, value in table.items():
        if key not in known:
            owner = f" ({key!r} belongs to {elsewhere[key]})" if key in elsewhere else ""
            lines.append(unknown(key, value, known, where) + owner)
    for key, f in known.items():
        if key not in table and f.default is MISSING and f.default_factory is MISSING:
            lines.append(f"[{where}] {key}: missing; {cls.__name__} has no default for it")
    for f in fields(cls):
        if f.init and f.name == NAME and f.default is MISSING and f.default_factory is MISSING:
            lines.append(
                f"[{where}] {NAME}: says which class it is, so {cls.__name__}'s field of that name "
                f"cannot be set here; give it a default, or another name"
            )
    if lines:
        raise InputError("\n".join(lines))
    try:
        given = {
            key: None if value == NONE and _optional(known[key]) else rates.read(key, value)
            for key, value in table.items()
        }
        return cls(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"[{where}] {error}") from error
    except Exception as error:  # the class's own code may raise anything
        says = f"{type(error).__name__}: {error}"
        raise InputError(f"[{where}] {cls.__name__} cannot be made ({says})") from error


def _optional(field: Any) -> bool:
    return field.default is None or any(word in str(field.type) for word in ("None", "Optional"))


def settable(cls: Any) -> dict[str, Any]:
    """Fields of a dataclass that a table can set, by name: not the one that names the class."""
    return {f.name: f for f in fields(cls) if f.init and f.name != NAME}


def literal(text: str) -> Any:
    """Read a value from the command line: as TOML has it, or Python (``.5``, ``True``); or text.

    Raises
    ------
    InputError
        If it is nested too deep, or a number that Python does not read.
    """
    text = text.strip()
    with suppress(tomllib.TOMLDecodeError):
        found = read(f"value = {with_digits(text)}")
        if len(found) == 1:  # else there were more lines than one
            return found["value"]
    with warnings.catch_warnings(), suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        warnings.simplefilter("ignore")  # the text need be no good program
        value = ast.literal_eval(text)
        if value is None or type(value) in (bool, int, float, list, dict):
            refuse_deep({"value": value})
            return NONE if value is None else value
    return text


def plain(value: Any) -> Any:
    """Write a value as TOML can hold it: no null, no tuples, text for keys and paths.

    Whether a class makes the value of it again, `unlike` tells.
    """
    if type(value) in SIMPLE:
        return value
    if value is None:
        return NONE
    if isinstance(value, Enum):
        return plain(value.value)
    value = value.table() if isinstance(value, rates.Schedule) else python(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | int | float | str | date | time):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def as_table(thing: Any) -> dict[str, Any]:
    """All fields of a dataclass, defaults filled in, as `plain`."""
    return {name: plain(getattr(thing, name)) for name in settable(thing)}


def unlike(thing: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Fields in which two objects of a class differ, with both values."""
    for name in settable(thing):
        one, two = getattr(thing, name), getattr(other, name)
        if not alike(one, two):
            yield name, one, two
