"""What a sweep varies: axes over config fields, and the settings they make together."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.errors import InputError
from neurosim.experiments import tables
from neurosim.values import is_count, is_number, nearest, shortened, shown

SEEDS = "seeds"
BLOCKS = ("product", "zip", SEEDS)
RANGES = ("log", "linear")
RUNS = 100_000  # that one sweep may have: every config is checked before anything is run

Setting = dict[str, Any]
"""Values by field, such as ``{"rule.learning_rate": 1e-3}``."""


@dataclass(frozen=True)
class Axis:
    """Settings to be taken one after the other: one field's values, or several fields' together."""

    settings: tuple[Setting, ...]

    def __post_init__(self) -> None:
        """Refuse a setting that comes twice."""
        seen = set()
        for setting in self.settings:
            same = _hashable(setting)
            if same in seen:
                said = ", ".join(f"{field} = {value!r}" for field, value in setting.items())
                raise InputError(f"[sweep] {said}: is there twice")
            seen.add(same)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it sets."""
        return tuple(self.settings[0])


@dataclass(frozen=True)
class Axes:
    """All that a sweep varies.

    Attributes
    ----------
    axes : tuple of Axis
        Every setting of one with every setting of the others.
    seeds : tuple of int or None
        Each of all settings once with each; None: the seed is the config's.
    """

    axes: tuple[Axis, ...] = ()
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse fields that are set twice."""
        fields = [field for axis in self.axes for field in axis.fields]
        for field in fields:
            others = list(fields)
            others.remove(field)
            for other in others:
                if field == other or other.startswith(f"{field}."):
                    raise InputError(f"[sweep] {other}: varied by two axes; one must do")
        if self.size > RUNS:
            raise InputError(f"[sweep]: makes {self.size:,} runs; at most {RUNS:,} may be made")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are varied, in the order given."""
        return tuple(field for axis in self.axes for field in axis.fields)

    def settings(self) -> Iterator[tuple[Setting, int | None]]:
        """Give every setting with every seed.

        Seeds come outermost, so that the first runs of a sweep are of all settings: what is
        compiled for one of them is compiled once, and a first look at all of them comes early.
        """
        for seed in self.seeds or (None,):
            for parts in itertools.product(*(axis.settings for axis in self.axes)):
                yield {field: v for part in parts for field, v in part.items()}, seed

    @property
    def size(self) -> int:
        """Number of runs."""
        sizes = [len(axis.settings) for axis in self.axes]
        return math.prod(sizes) * len(self.seeds or (None,))

    def __len__(self) -> int:
        return self.size


def _hashable(value: Any) -> Any:
    """Turn tables and lists into values that can be looked up in a set; True is not 1 there."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


# -------------------------------------------------------------------------- from TOML


def parse(table: Any) -> Axes:
    """Read the table ``[sweep]``.

    Parameters
    ----------
    table : mapping
        ``product``: values by field. ``zip``: such tables, in a list; the values in one are taken
        together. ``seeds``: a list, or how many, counted from 0. Values are a list, or a range
        such as ``{log = [1e-4, 1e-1], points = 7}`` or ``{linear = [0, 1], points = 5}``.

    Raises
    ------
    InputError
        If it is not of this form.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"sweep = {shown(table)}: must be a table, [sweep]")
    for key in table:
        if key not in BLOCKS:
            raise InputError(f"[sweep] {key}: no such key; {nearest(key, BLOCKS)}")
    axes = [
        Axis(tuple({field: value} for value in values(field, given)))
        for field, given in _fields(table.get("product", {}), "product").items()
    ]
    zipped = table.get("zip", [])
    blocks = [zipped] if isinstance(zipped, Mapping) else zipped
    if not isinstance(blocks, list):
        raise InputError(f"[sweep.zip] = {shown(zipped)}: must be tables, [[sweep.zip]]")
    for block in blocks:
        axes.append(_zipped(_fields(block, "zip")))
    return Axes(tuple(axes), _seeds(table.get(SEEDS)))


def _fields(block: Any, where: str) -> dict[str, Any]:
    """Values by field; TOML reads a key without quotes, a.b = [...], as tables in tables."""
    if not isinstance(block, Mapping):
        raise InputError(f"[sweep.{where}] = {shown(block)}: must be a table of values by field")
    found: dict[str, Any] = {}
    for key, given in block.items():
        inner = isinstance(given, Mapping) and not set(RANGES) & set(given)
        below = _fields(given, where) if inner else {}
        for name, values in ({f"{key}.{k}": v for k, v in below.items()} or {key: given}).items():
            if name in found:
                raise InputError(f"[sweep.{where}] {name}: is there twice")
            found[name] = values
    return found


def _zipped(block: Mapping[str, Any]) -> Axis:
    lists = {field: values(field, given) for field, given in block.items()}
    lengths = {field: len(found) for field, found in lists.items()}
    if len(set(lengths.values())) != 1:
        said = ", ".join(f"{field} has {n}" for field, n in lengths.items()) or "there are none"
        raise InputError(f"[sweep.zip]: fields must have as many values each; {said}")
    rows = zip(*lists.values(), strict=True)
    return Axis(tuple(dict(zip(lists, row, strict=True)) for row in rows))


def values(field: str, given: Any) -> list[Any]:
    """Write a range out; a list is one already.

    Raises
    ------
    InputError
        If it is neither, or empty.
    """
    if "." not in field:
        # A whole table may be put in place of another: methods differ in more than one field.
        allowed = "a list of tables"
        fine = isinstance(given, Sequence) and all(isinstance(v, Mapping) for v in given)
    else:
        allowed = "a list, or a range such as {log = [1e-4, 1e-1], points = 7}"
        fine = isinstance(given, Sequence) and not isinstance(given, str)
        if isinstance(given, Mapping):
            return _range(field, given)
    if not fine or not given:
        raise InputError(f"[sweep] {field} = {shown(given)}: must be {allowed}, and not empty")
    return list(given)


def _range(field: str, given: Mapping[str, Any]) -> list[Any]:
    kind = next((kind for kind in RANGES if kind in given), None)
    says = f"[sweep] {field} = {shown(dict(given))}: must be "
    if kind is None or set(given) != {kind, "points"}:
        raise InputError(says + "{log = [low, high], points = n} or {linear = ..., points = n}")
    ends, points = given[kind], given["points"]
    fine = isinstance(ends, Sequence) and len(ends) == 2 and all(map(is_number, ends))
    if not fine or not ends[0] < ends[1]:
        raise InputError(says + "of two numbers, the lower first")
    if kind == "log" and ends[0] <= 0:
        raise InputError(says + "of numbers above 0: it is logarithmic")
    if not is_count(points) or points < 2:
        raise InputError(says + "of 2 points or more")
    if points > RUNS:
        raise InputError(says + f"of {RUNS:,} points at most: each is a run")
    low, high = map(float, ends)
    make = np.geomspace if kind == "log" else np.linspace
    # Fewer digits: what is meant as 1e-3 is not to be called 0.0010000000000000002.
    digits = 7 if kind == "log" else 12
    found = [float(f"{value:.{digits}g}") for value in make(low, high, points)]
    whole = all(map(is_count, ends)) and all(value.is_integer() for value in found)
    return [int(value) for value in found] if whole else found


def _seeds(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    if is_count(given) and given > RUNS:
        raise InputError(f"[sweep] seeds = {shown(given)}: must be {RUNS:,} at most: each is a run")
    seeds = range(given) if is_count(given) and given > 0 else given
    fine = isinstance(seeds, Sequence) and not isinstance(seeds, str) and len(seeds) > 0
    if not fine or not all(is_count(s) and 0 <= s < 2**32 for s in seeds):
        words = "must be a list of whole numbers, or how many"
        raise InputError(f"[sweep] seeds = {shown(given)}: {words}")
    if len(set(seeds)) != len(seeds):
        raise InputError(f"[sweep] seeds = {shown(given)}: holds a seed twice")
    return tuple(int(seed) for seed in seeds)


# ------------------------------------------------------------------ from the command line

_CALL = re.compile(r"(log|linear)\((.*)\)")


def option(text: str) -> Axis:
    """Read ``--over table.key=...``: values with commas between, or ``log(low, high, points)``.

    Raises
    ------
    InputError
        If it is not of this form.
    """
    field, equals, right = (part.strip() for part in text.partition("="))
    said = shortened(text)
    if not equals or "." not in field or not right:
        raise InputError(
            f"--over {said}: must be table.key=value,value,... or table.key=log(low,high,points)"
        )
    try:
        given = _given(right)
        return Axis(tuple({field: value} for value in values(field, given)))
    except InputError as error:
        raise InputError(f"--over {said}: {error}") from error


def _given(text: str) -> Any:
    call = _CALL.fullmatch(text)
    if not call:
        return _list(text)
    numbers = list(map(tables.literal, call[2].split(",")))
    if len(numbers) != 3:
        raise InputError(f"{call[1]}(low, high, points) takes three numbers")
    return {call[1]: numbers[:2], "points": numbers[2]}


def _list(text: str) -> list[Any]:
    found = tables.literal(f"[{text}]")
    return found if isinstance(found, list) else list(map(tables.literal, text.split(",")))


def seeds_option(text: str) -> tuple[int, ...]:
    """Read ``--seeds``: how many, or a list such as ``10,11,12``.

    Raises
    ------
    InputError
        If it is neither.
    """
    try:
        parts = [tables.literal(part) for part in text.split(",") if part.strip()]
        found = _seeds(parts[0] if len(parts) == 1 and "," not in text else parts)
    except InputError as error:
        says, ours = str(error), "[sweep] seeds = "
        says = says if ours in says else f"{shortened(text)}: {says}"
        raise InputError(f"--seeds {says.removeprefix(ours)}") from error
    assert found is not None
    return found
