"""What a user may bring along: a config names it as ``own_parts:...``, or as an installed task.

Everything here is known to the processes of a sweep as well, and leaves its traces in the folder
that the environment variable OWN_PLACE names; see the fixture `own`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurosim.errors import DeviceError
from neurosim_tasks import MackeyGlass

UNLUCKY = 13  # the seed that something happens to


def place():
    return Path(os.environ["OWN_PLACE"])


# -------------------------------------------------------------------------- measures


def log(sim, inputs, targets):
    """Note every epoch that is done, whoever does it."""
    line = f"{sim.rule.learning_rate} {sim.seed} {sim.step}\n"
    descriptor = os.open(place() / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())  # all at once, so that two processes do not mix
    os.close(descriptor)
    while held(sim.step):
        time.sleep(0.02)
    return {}


def held(step):
    """Whether to wait at this step, so that whoever interrupts does not come late."""
    try:
        return step >= int((place() / "hold").read_text())
    except (FileNotFoundError, ValueError):
        return False


def logged():
    """How often each epoch was done, by rate, seed and step."""
    path = place() / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter((float(a), int(b), int(c)) for a, b, c in map(str.split, lines))


def slow(sim, inputs, targets):
    """Take a while."""
    time.sleep(0.05)
    return {}


def fails(sim, inputs, targets):
    """Raise at the last, until somebody mends it."""
    if sim.seed == UNLUCKY and sim.step and not (place() / "mended").exists():
        raise RuntimeError("out of luck")
    return {}


def dies(sim, inputs, targets):
    """Take the process down, as running out of memory does."""
    if sim.seed == UNLUCKY and not (place() / "mended").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def crashes(sim, inputs, targets):
    """Take the process down, as wrong machine code does."""
    if sim.seed == UNLUCKY:
        os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def dies_every_time(sim, inputs, targets):
    """Take the process down in every epoch, the first time that it is done."""
    path, line = place() / "log", f"{sim.step}\n"
    if sim.step and not (path.exists() and line in path.read_text().splitlines(keepends=True)):
        with path.open("a") as file:
            file.write(line)
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def dies_once(sim, inputs, targets):
    """Take the process down in the middle of the run, the first time only."""
    died = place() / "died"
    if sim.seed == UNLUCKY and sim.step > 200 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def loses_its_gpu_once(sim, inputs, targets):
    """Fail as a GPU does that this process cannot use any more, the first time only."""
    died = place() / "died"
    if sim.seed == UNLUCKY and sim.step and not died.exists():
        died.write_text(str(os.getpid()))
        raise DeviceError("GPU: was lost", lost=True)
    return {}


def leaves(sim, inputs, targets):
    """End the program, as a script without a guard does."""
    if sim.step:
        sys.exit(0)
    return {}


def interrupts(sim, inputs, targets):
    """Raise what is no ordinary error."""
    if sim.step:
        raise KeyboardInterrupt
    return {}


def names_a_file(sim, inputs, targets):
    """Fail at a file whose name is no text."""
    if sim.step:
        raise ValueError(os.fsdecode(b"\xff.csv"))
    return {}


def loses_its_folder(sim, inputs, targets):
    """Remove all runs, as by mistake."""
    if sim.step:
        shutil.rmtree((place() / "gone").read_text(), ignore_errors=True)
    return {}


def loses_ctrl_c(sim, inputs, targets):
    """Meet a Ctrl-C in a callback, where Python cannot raise it."""

    def callback():
        signal.raise_signal(signal.SIGINT)

    if sim.step:
        ctypes.CFUNCTYPE(None)(callback)()
        time.sleep(2)
    return {}


# -------------------------------------------------------------------- rules and tasks


@dataclass(frozen=True)
class Rateless:
    """A rule without learning rates."""

    noise_std: float = 1e-3


@dataclass(frozen=True)
class FromFile(MackeyGlass):
    """Multiplied by the number that a file holds."""

    path: str = ""

    def _times(self, pair):
        factor = float(Path(self.path).read_text())
        return tuple(array * array.dtype.type(factor) for array in pair)

    def train(self, epoch=0):
        return self._times(super().train(epoch))

    def test(self):
        return self._times(super().test())


@dataclass(frozen=True)
class Constant(MackeyGlass):
    """Ask for 1 at every step; what comes in changes its sign from step to step."""

    def _ones(self, pair):
        signs = np.where(np.arange(len(pair[0])) % 2, 1, -1)[:, None, None]
        return tuple(array.astype(np.float32) for array in (pair[0] * signs, pair[1] * 0 + 1))

    def train(self, epoch=0):
        return self._ones(super().train(epoch))

    def test(self):
        return self._ones(super().test())


@dataclass(frozen=True)
class Untested(MackeyGlass):
    """Nobody may look at its test."""

    def test(self):
        raise AssertionError("the test was looked at")
