"""Schemas of the JSON files in the folders of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from neurosim.experiments.summary import AFTER
from neurosim.files import read_json
from neurosim.values import EPOCHS


class _Note(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Scores(_Note):
    """A row of a result's table."""

    note: str | None = None
    __pydantic_extra__: dict[str, FiniteFloat | None]


class Result(_Note):
    """``result.json``: the numbers of a finished run."""

    config: str
    digest: str
    epochs: int
    data: str | None = None
    seconds_per_step: float
    memory: int | None = None
    table: dict[str, Scores]
    beaten: list[str]
    not_beaten: list[str]

    @field_validator("table")
    @classmethod
    def _judged(cls, table: dict[str, Scores]) -> dict[str, Scores]:
        if getattr(table.get(AFTER), "test_mse", None) is None:
            raise ValueError(f"has no test_mse of the {AFTER}")
        return table


class Failure(_Note):
    """``failure.json``: why there is no result."""

    status: Literal["diverged", "failed"]
    reason: str
    digest: str
    epochs: int


class Machine(_Note):
    """An entry of ``environment.json``: versions and platform of one process."""

    neurosim: str
    python: str
    system: str
    machine: str
    cores: int
    packages: dict[str, str]
    engine: str | None = None
    device: dict[str, Any] | None = None


class Epoch(_Note):
    """The ``extra`` of a checkpoint: its epoch, and hashes of its config and data."""

    epoch: int = Field(ge=0, le=EPOCHS)
    config: str
    data: str


def read(path: Path, kind: Any) -> dict[str, Any]:
    """Read one of these files, as a dict.

    Raises
    ------
    CheckpointError
        As `read_json`.
    """
    found: dict[str, Any] = read_json(path, kind).model_dump(exclude_unset=True)
    return found
