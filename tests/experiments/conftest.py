"""A config that runs in a moment, and processes that many such runs share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neurosim import cli
from neurosim.experiments import Config, load
from neurosim.experiments.sweep.sweep import Workers

HERE = Path(__file__).parent
TINY = (HERE / "tiny.toml").read_text()


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


@pytest.fixture
def neurosim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs the command line here: exit code and output."""
    monkeypatch.delenv("NEUROSIM_DEBUG", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurosim", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return int(done.value.code or 0), said.out, said.err

    return call


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`own_parts` installed, with tasks of its own, for other processes as well."""
    place = tmp_path_factory.mktemp("own")
    about = place / "own_parts-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own_parts\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[neurosim.tasks]\nfrom_file = own_parts:FromFile\nuntested = own_parts:Untested\n"
    )
    known = [str(place), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        patch.setenv("PYTHONPATH", os.pathsep.join(known))
        patch.setenv("OWN_PLACE", str(place))
        yield place


@pytest.fixture
def own(installed: Path) -> Path:
    """The same, and the folder of its traces, without those of earlier tests."""
    for name in ("log", "died", "mended", "hold"):
        (installed / name).unlink(missing_ok=True)
    return installed


@pytest.fixture(scope="module")
def workers(installed: Path) -> Iterator[Workers]:
    """Two processes, started once: that is what takes long."""
    with Workers(2) as found:
        found.client(2).wait_for_workers(2)
        yield found
