"""One of the paper's figures, as its TOML file says it: methods, scales, and what is claimed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neurosim.errors import InputError
from neurosim.experiments import config as configs
from neurosim.experiments import registry, settings
from neurosim.experiments.sweep.axes import RUNS
from neurosim.experiments.sweep.axes import parse as parse_axes
from neurosim.experiments.sweep.runs import Run
from neurosim.files import text_of
from neurosim.values import nearest

SCALES = ("small", "paper")
FIRST_SEED = 10  # rates were chosen on seeds 1 and 2

Tables = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Claim(_Strict):
    """A statement of the paper's, in a form that numbers can contradict.

    Either: each of `worse` has a higher error than each of `than`, by the factor `by` or more. Or:
    each of `level` is level with `to`, within the factor `within`.
    """

    says: str
    worse: list[str] = Field(default_factory=list)
    than: list[str] = Field(default_factory=list)
    by: float = 1.0
    level: list[str] = Field(default_factory=list)
    to: list[str] = Field(default_factory=list)
    within: float = 1.25
    score: Literal["test_mse", "train_mse", "missed", "s_covariance", "us_per_step", "mb"] = (
        "test_mse"
    )


class Scale(_Strict):
    """What all methods have in common at a scale."""

    words: str
    tables: Tables = Field(default_factory=dict)
    vary: Tables = Field(default_factory=dict)
    costs: Tables = Field(default_factory=dict)


class Method(_Strict):
    """One line of a figure.

    At a scale it is a config that comes with neurosim (`config`) or none; what all methods have in
    common, laid over it; and tables of its own over that. It has as many seeds as all, or fewer.
    """

    name: str
    small: Tables | None = None
    paper: Tables | None = None


class File(_Strict):
    """The whole file."""

    title: str
    figure: str
    panels: Literal["learning", "scaling", "decorrelation", "reward", "costs"]
    small: Scale
    paper: Scale
    method: list[Method]
    claim: list[Claim] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)
    shown: list[str] = Field(default_factory=list)


OWN = ("config", "vary", "seeds")  # keys of a method's scale that are no tables of a config


@dataclass(frozen=True)
class Reproduction:
    """A figure at a scale.

    Attributes
    ----------
    name : str
        As the command line has it.
    scale : str
        ``small`` or ``paper``.
    file : File
    seeds : tuple of int
    changes : dict
        Fields set in every run, by the one who runs it.
    engine : str, optional
        Of runs whose config names none. Costs are always those of the config's own.
    """

    name: str
    scale: str
    file: File
    seeds: tuple[int, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    engine: str | None = None

    @property
    def common(self) -> Scale:
        """What all methods have in common at this scale."""
        return self.file.small if self.scale == "small" else self.file.paper

    @property
    def title(self) -> str:
        """What the figure is of, at this scale and with what was changed."""
        said = ", ".join(f"{key} = {value}" for key, value in self.changes.items())
        changed = f"\nchanged for this run: {said}" if said else ""
        return f"{self.file.title}: {self.common.words}{changed}"

    def methods(self) -> Iterator[tuple[Method, Tables]]:
        """Methods that this scale has, with what they are there."""
        for method in self.file.method:
            tables = method.small if self.scale == "small" else method.paper
            if tables is not None:
                yield method, tables

    @cached_property
    def runs(self) -> list[Run]:
        """All runs; what is varied is in their settings: ``method`` first.

        Raises
        ------
        InputError
            If some config cannot be used.
        """
        found = []
        for method, tables in self.methods():
            vary = {**self.common.vary, **tables.get("vary", {})}
            seeds = self.seeds[: tables.get("seeds", len(self.seeds))]
            for setting, _ in parse_axes(vary).settings():
                for seed in seeds:
                    given = self._given(tables)
                    made = settings.changed(given, {**setting, **self.changes}, seed)
                    where = f"{self.name}, {method.name}"
                    config = configs.parse(made, self.name, where)
                    found.append(
                        Run(config, {"method": method.name, **setting, "training.seed": seed})
                    )
        # Seeds outermost, as in any sweep: what is compiled for one is compiled once.
        return sorted(found, key=lambda run: self.seeds.index(run.setting["training.seed"]))

    def _given(self, tables: Tables) -> Tables:
        given: Tables = {}
        if "config" in tables:
            given = configs.read(tables["config"])[0]
        own = {key: value for key, value in tables.items() if key not in OWN}
        given = _laid_over(_laid_over(given, self.common.tables), own)
        # What is measured of costs is the memory of a process: nothing of it would be on a GPU.
        return settings.preferring(given, None if self.file.panels == "costs" else self.engine)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tables:
    """Tables with others over them; a table with a name takes the place of one with another."""
    made = dict(below)
    for key, value in above.items():
        there = made.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            other = value.get("name", there.get("name")) != there.get("name")
            made[key] = dict(value) if other else _laid_over(there, value)
        else:
            made[key] = value
    return made


def names() -> dict[str, Path]:
    """All figures that can be reproduced, by name; files of one's own come first."""
    folders = filter(None, (registry.reproductions(), registry.own_reproductions()))
    found = {path.stem: path for folder in folders for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def load(
    name: str,
    scale: str,
    seeds: int,
    changes: Mapping[str, Any] | None = None,
    engine: str | None = None,
) -> Reproduction:
    """Read a figure's file.

    Raises
    ------
    InputError
        If there is none of this name, or something in it cannot be used.
    """
    known = names()
    if name not in known:
        raise InputError(f"reproduce {name!r}: no such figure; {nearest(name, [*known, 'all'])}")
    if scale not in SCALES:
        raise InputError(f"--scale {scale}: must be one of {', '.join(SCALES)}")
    if not 1 <= seeds <= RUNS:
        raise InputError(f"--seeds {seeds}: must be 1 or more, and {RUNS:,} at most")
    path = known[name]
    try:
        file = File.model_validate(tomllib.loads(text_of(path)))
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(f"{path}: {error}") from error
    chosen = tuple(range(FIRST_SEED, FIRST_SEED + seeds))
    return Reproduction(name, scale, file, chosen, dict(changes or {}), engine)
