"""One run of many: what is run, where it is kept, and how it is carried out by a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurosim.errors import (
    BusyError,
    DeviceError,
    DivergenceError,
    InputError,
    StorageError,
)
from neurosim.experiments import config as configs
from neurosim.experiments import settings
from neurosim.experiments.config import Config
from neurosim.experiments.folder import Folder
from neurosim.experiments.run import Experiment
from neurosim.experiments.sweep import worker
from neurosim.experiments.sweep.axes import Axes, Setting
from neurosim.training import History

LETTERS = 16  # of a hash, in a folder's name

FINISHED, DIVERGED, FAILED, BUSY = "finished", "diverged", "failed", "busy"
UNFINISHED = "unfinished"
OFTEN = 1.0  # how long a worker is silent about epochs [s]
PATIENCE = 2.0  # how long a worker waits for another process to leave a run [s]


@dataclass(frozen=True)
class Run:
    """One config of many.

    Attributes
    ----------
    config : Config
    setting : dict
        What was varied, by field; for people.
    """

    config: Config
    setting: Setting = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Hash of the resolved config: the same config is the same run, wherever it is from."""
        return self.config.identity[:LETTERS]

    @property
    def words(self) -> str:
        """Describe the varied settings on one line."""
        parts = []
        for key, value in self.setting.items():
            if isinstance(value, Mapping):  # a whole table: its name, and what is set in it
                parts += [v if k == "name" else f"{k} {v}" for k, v in value.items()]
            else:
                parts.append(f"{key.rpartition('.')[2]} {value}")
        return ", ".join(parts) or f"seed {self.config.training.seed}"

    def folder(self, pool: Path) -> Folder:
        """Where it is kept, among others."""
        return Folder(pool / self.name)


def runs(given: Mapping[str, Any], name: str, where: str, axes: Axes) -> list[Run]:
    """Write out all runs of a sweep, every config checked; each once.

    Raises
    ------
    InputError
        If some config cannot be used: nothing is run then.
    """
    found: dict[str, Run] = {}
    for setting, seed in axes.settings():
        said = ", ".join(f"{key} = {value!r}" for key, value in setting.items())
        try:
            made = settings.changed(given, setting, seed)
            config = configs.parse(made, name, where)
        except InputError as error:
            raise InputError(f"{error}\n  in the run with {said}" if said else str(error)) from None
        seeds = {} if seed is None else {"training.seed": seed}
        run = Run(config, {**setting, **seeds})
        found.setdefault(run.name, run)
    return list(found.values())


# ------------------------------------------------------------------------- in a worker


def carry_out(
    resolved: Mapping[str, Any], name: str, folder: str, topic: str | None = None
) -> tuple[str, str]:
    """Do a run, or go on with it, in this process; say what came of it, and why.

    Parameters
    ----------
    resolved : mapping
        The config.
    name : str
        What it is called.
    folder : str
        Where the run is kept.
    topic : str, optional
        Under which a Dask worker tells how many epochs are done.

    Returns
    -------
    status, reason : str
        ``finished``; ``diverged``; ``failed``; or ``busy``, if another process has the run.
    """
    kept = Folder(Path(folder))
    if not kept.path.parent.is_dir():
        return FAILED, f"{kept.path.parent}: this worker does not see the folder of the runs"
    try:
        config = configs.parse(resolved, name, name)
        with kept.locked(PATIENCE):  # another process may have finished the run meanwhile
            status = _done(kept, config)
        if status is not None:
            return status, kept.reason
        experiment = Experiment(config, folder, draw=False)
        tell = None if topic is None else _teller(topic, kept.path.name)
        experiment.run(resume=None, progress=False, on_epoch=tell)
    except BusyError as error:
        return BUSY, str(error)
    except DivergenceError as error:
        return DIVERGED, str(error)
    except BaseException as error:  # even SystemExit: it is one run's, and said in the table
        reason = reason_of(error)
        with suppress(StorageError, NameError):
            kept.give_up(config, FAILED, reason)
        if isinstance(error, DeviceError) and error.lost:
            _leave()
        return FAILED, reason
    return FINISHED, ""


def reason_of(error: BaseException) -> str:
    """Write an error as text that any file can hold: a file's name in it may be no text."""
    return f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()


def _leave() -> None:
    """End a worker that lost its GPU: another process can use it, and goes on with the run."""
    from distributed import get_worker

    with suppress(ValueError):  # this is no worker
        if worker.supervised or get_worker().nanny is not None:  # another one is started
            os._exit(1)


def _teller(topic: str, run: str) -> Callable[[History], None]:
    """Give what tells of epochs, now and then."""
    from distributed import get_worker

    here, told = get_worker(), [time.monotonic()]

    def tell(history: History) -> None:
        if time.monotonic() - told[0] > OFTEN:
            told[0] = time.monotonic()
            here.log_event(topic, {"run": run, "epoch": history.epoch})

    return tell


def done(run: Run, pool: Path) -> str | None:
    """What became of a run that needs no doing any more; None if it does."""
    return _done(run.folder(pool), run.config)


def _done(folder: Folder, config: Config) -> str | None:
    if folder.finished(config):
        return FINISHED
    if folder.diverged(config):
        return DIVERGED
    return None
