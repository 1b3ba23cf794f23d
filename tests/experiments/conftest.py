"""A config that runs in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neurosim.experiments import Config, load

TINY = """
[task]
name = "mackey_glass"
horizon = 3
steps = 40

[network]
hidden = 6

[rule]
name = "ANP"
learning_rate = 1e-3

[decorrelation]
learning_rate = 1e-4

[training]
epochs = 3
batch = 2
seed = 5
"""


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
