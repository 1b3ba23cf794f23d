"""A config that runs in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neurosim.experiments import Config, load

TINY = (Path(__file__).parent / "tiny.toml").read_text()


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A config file."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny(tiny_file: Path) -> Callable[..., Config]:
    """A function that loads it, with overrides."""

    def make(*overrides: str, seed: int | None = None) -> Config:
        return load(tiny_file, overrides, seed)

    return make
