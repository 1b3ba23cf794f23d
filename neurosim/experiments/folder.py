"""A run's folder: what lies where, and whether it can be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from neurosim import checkpoint, describe
from neurosim.errors import CheckpointError, InputError, StorageError
from neurosim.experiments import environment, notes
from neurosim.experiments.config import Config, load
from neurosim.experiments.parquet import read_columns, write_table
from neurosim.files import lock, parse_json, read_json, whole
from neurosim.network import Network
from neurosim.simulator import Simulator
from neurosim.training import MEASURED, History
from neurosim.values import EPOCHS

if TYPE_CHECKING:
    from neurosim.experiments.written import Written


@dataclass(frozen=True)
class Folder:
    """The files of one run. Each is whole or absent."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config; the first file to be written."""
        return self.path / "config.toml"

    @property
    def environment(self) -> Path:
        """Versions and platform, of every process that worked on the run."""
        return self.path / "environment.json"

    @property
    def history(self) -> Path:
        """One row an epoch; never behind the checkpoint, at most one row ahead."""
        return self.path / "history.parquet"

    @property
    def checkpoint(self) -> Path:
        """The simulator after the last whole epoch."""
        return self.path / "checkpoint.npz"

    @property
    def summary(self) -> Path:
        """One page for people."""
        return self.path / "summary.md"

    @property
    def result(self) -> Path:
        """The numbers, for programs; there is nothing more to be learned once it is written."""
        return self.path / "result.json"

    @property
    def failure(self) -> Path:
        """Why there is no result; instead of one."""
        return self.path / "failure.json"

    def figure(self, name: str) -> Path:
        """A figure."""
        return self.path / "figures" / f"{name}.png"

    # --------------------------------------------------------------------- write

    def begin(self, config: Config) -> None:
        """Note what is run, and on what."""
        write_text(self.config, config.toml())
        used = [environment.describe(config.training.engine)]
        if self.environment.is_file():
            with suppress(CheckpointError):  # what cannot be read is no loss for the run
                earlier = self.ran_on
                used = earlier if used[0] in earlier else earlier + used
        write_text(self.environment, json.dumps(used, indent=2) + "\n")
        for path in (self.result, self.summary, self.failure):  # of an earlier try
            path.unlink(missing_ok=True)

    def keep(self, history: History, sim: Simulator, config: Config, data: str) -> None:
        """Keep an epoch. The history goes first: `resume` drops a row without checkpoint.

        Raises
        ------
        StorageError
            If it cannot be written, or the folder was removed since the run began.
        """
        if not self.config.is_file():  # no checkpoint goes on without it
            raise StorageError(f"{self.path}: was removed while the run was under way")
        write_table(history.frame, self.history)
        extra = {"epoch": history.epoch, "config": config.digest, "data": data}
        sim.save(self.checkpoint, extra)

    def give_up(self, config: Config, status: str, reason: str) -> None:
        """Note why a run came to no result: ``diverged``, or ``failed`` for any other reason."""
        if not self.config.is_file():  # it did not even begin
            write_text(self.config, config.toml())
        said: dict[str, Any] = {"status": status, "reason": reason}
        said |= {"digest": config.digest, "epochs": config.training.epochs}
        write_text(self.failure, json.dumps(said, indent=2) + "\n")

    @contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[None]:
        """Keep every other process out; the system lets go of the lock when this one ends.

        Parameters
        ----------
        wait : float
            How long to wait for another process to leave [s].

        Raises
        ------
        BusyError
            If it does not.
        StorageError
            If the folder cannot be made.
        """
        with lock(
            self.path / ".lock", wait, f"{self.path}: another process is at work on this run"
        ):
            yield

    # ---------------------------------------------------------------------- read

    def refuse_used(self) -> None:
        """Raise `InputError` unless the folder is free for a new run."""
        if not self.path.is_dir():
            return
        if self.config.is_file():
            state = "a finished run" if self.result.is_file() else "an unfinished run"
            with suppress(CheckpointError):
                state += f", {self.reached['epoch']} epochs long"
            raise InputError(
                f"{self.path}: holds {state}; go on with it by --resume, or choose another "
                f"folder by --out"
            )
        names = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
        if names:
            raise InputError(
                f"{self.path}: is not empty ({', '.join(names[:3])}) and holds no run; choose "
                f"another folder by --out"
            )

    @property
    def numbers(self) -> dict[str, Any]:
        """The result as a dict; empty if there is none, or it is damaged."""
        return self._noted(self.result, notes.Result)[0]

    @property
    def given_up(self) -> dict[str, Any]:
        """The failure, with ``status`` and ``reason``; empty if there is none, or it is damaged."""
        return self._noted(self.failure, notes.Failure)[0]

    @property
    def reason(self) -> str:
        """The reason alone."""
        return str(self.given_up.get("reason", ""))

    def came_to(self, config: Config | Written) -> tuple[dict[str, Any], str, str]:
        """Give the result, the status, and the reason why there is no result.

        A run whose result is damaged, or of another config than the folder's, is unfinished, and
        that is the reason.
        """
        numbers, damage = self._noted(self.result, notes.Result, config)
        if numbers:
            return numbers, "finished", ""
        failure, more = self._noted(self.failure, notes.Failure, config)
        if failure:
            return {}, failure["status"], failure["reason"]
        return {}, "unfinished", damage or more

    @staticmethod
    def _noted(
        path: Path, kind: Any, config: Config | Written | None = None
    ) -> tuple[dict[str, Any], str]:
        """Give the content of a file, and the damage that keeps it from being read."""
        if not os.path.lexists(path):
            return {}, ""
        try:
            found = notes.read(path, kind)
        except CheckpointError as error:
            return {}, str(error)
        if config is not None and not _is_of(found, config):
            return {}, f"{path.name}: belongs to another config, or to other epochs"
        return found, ""

    @property
    def ran_on(self) -> list[dict[str, Any]]:
        """Versions and platforms of the processes that worked on the run.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged.
        """
        machines = read_json(self.environment, list[notes.Machine])
        return [machine.model_dump(exclude_unset=True) for machine in machines]

    @property
    def reached(self) -> dict[str, Any]:
        """Read ``epoch``, and the hashes ``config`` and ``data``, of the checkpoint.

        Raises
        ------
        CheckpointError
            If it is missing or damaged.
        """
        extra = checkpoint.look(self.checkpoint)[1].get("extra")
        found: dict[str, Any] = parse_json(json.dumps(extra), notes.Epoch, self.checkpoint)
        return dict(found)

    def refuse_empty(self) -> None:
        """Raise `InputError` unless there is a run to go on with."""
        if not self.config.is_file():
            raise InputError(f"{self.path}: no run to resume (no {self.config.name})")

    def finished(self, config: Config) -> bool:
        """Whether this very run is here already, all its epochs done."""
        return _is_of(self.numbers, config)

    def diverged(self, config: Config) -> bool:
        """Whether this very run was here already and blew up, as it would again."""
        kept = self.given_up
        return _is_of(kept, config) and kept["status"] == "diverged"

    def resume(self, config: Config, data: str, threads: int = 1) -> tuple[Simulator, History]:
        """Read where a run stopped.

        Raises
        ------
        InputError
            If there is no run, or it is one of another config.
        CheckpointError
            If its files are damaged, or do not belong together.
        """
        self.refuse_empty()
        for left in self.path.rglob(".*.part"):  # by a process that was killed
            left.unlink(missing_ok=True)
        self._compare(config)
        history = self.read_history()
        if not self.checkpoint.is_file():
            if len(history) > 1:
                raise CheckpointError(
                    f"{self.checkpoint}: missing, but {self.history.name} has {len(history)} rows"
                )
            return config.simulator(threads), History()
        extra = self.reached
        for key, now, what in (
            ("config", config.digests, "another config"),
            ("data", {data}, "other data: what the task loads has changed since"),
        ):
            if extra[key] not in now:
                raise CheckpointError(f"{self.checkpoint}: belongs to {what}")
        epoch = extra["epoch"]
        if epoch > config.training.epochs:
            raise InputError(
                f"{self.path}: training.epochs = {config.training.epochs} must be at least "
                f"{epoch}, the epochs already trained"
            )
        if [row["epoch"] for row in history.rows[: epoch + 1]] != list(range(epoch + 1)):
            raise CheckpointError(
                f"{self.history}: must have rows for epochs 0 to {epoch}, which the checkpoint "
                f"is of; it has {len(history)} rows"
            )
        return self.simulator(config, threads), History(history.rows[: epoch + 1])

    def simulator(self, config: Config, threads: int = 1) -> Simulator:
        """Read the simulator as it was after the last whole epoch.

        Raises
        ------
        CheckpointError
            If the checkpoint is missing or damaged.
        """
        known = [type(config.rule), type(config.decorrelation)]
        known += [type(p.neuron) for p in config.wiring().populations]
        engine = config.training.engine
        try:
            found = Simulator.load(self.checkpoint, engine, threads, known)
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{self.checkpoint}: damaged ({error})") from error
        wanted = config.wiring(), config.rule, config.decorrelation, config.substrate
        numbers = config.training.batch, config.training.seed
        held = found.network, found.rule, found.decorrelation, found.substrate
        if _told(*held, found.batch, found.seed) != _told(*wanted, *numbers):
            raise CheckpointError(f"{self.checkpoint}: belongs to another config")
        return found

    def _compare(self, config: Config) -> None:
        try:
            earlier = load(self.config)
        except InputError as error:
            raise CheckpointError(f"{self.config}: damaged ({error})") from error
        differ = earlier.differences(config)
        before, now = differ.pop("training.epochs", (0, 0))
        if now < before:
            differ["training.epochs"] = (before, now)
        differ.pop("training.engine", None)  # a checkpoint moves between engines
        if differ:
            lines = [f"  {key}: {was!r} there, {now!r} now" for key, (was, now) in differ.items()]
            raise InputError(
                f"{self.path}: holds a run of another config (only training.engine and "
                f"training.epochs may differ, and epochs only grow):\n" + "\n".join(lines)
            )

    def read_history(self) -> History:
        """Read what was measured so far; nothing if nothing was.

        Raises
        ------
        CheckpointError
            If the file is damaged.
        """
        if not os.path.lexists(self.history):
            return History()
        rows = self.epochs().to_dict("records")
        return History([{str(key): value for key, value in row.items()} for row in rows])

    def epochs(self) -> pd.DataFrame:
        """Read what was measured as a table, one row an epoch.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged, or its columns are others.
        """
        frame = read_columns(self.history, MEASURED)
        wrong = [name for name in MEASURED if not _numbers(frame[name])]
        if wrong or len(frame) > EPOCHS + 1 or list(frame["epoch"]) != list(range(len(frame))):
            said = f"{', '.join(wrong) or 'epoch'} cannot be what was measured"
            raise CheckpointError(f"{self.history}: damaged ({said})")
        return frame


def _told(network: Network, *parts: Any) -> str:
    """Write what tells a simulator from others, as a checkpoint has it."""
    things = [part if isinstance(part, int) else describe.thing(part) for part in parts]
    return checkpoint.text([describe.network(network), *things])


def _numbers(column: pd.Series) -> bool:
    """Whether a column is of numbers: of errors any, of what is counted finite ones."""
    numeric = is_numeric_dtype(column) and not is_bool_dtype(column)
    return numeric and (str(column.name).endswith("_mse") or bool(np.isfinite(column).all()))


def _is_of(kept: dict[str, Any], config: Config | Written) -> bool:
    return (kept.get("digest"), kept.get("epochs")) == (config.digest, config.training.epochs)


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all; characters that no file holds are written as escapes."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def data_digest(config: Config) -> str:
    """Hash of what a config's task shows first and tests with: it may find other data later.

    Raises
    ------
    InputError
        If the task has no data to show.
    """
    with config.asking():
        return _hashed((*config.shown.train(0), *config.shown.test()))


def steady_digest(config: Config) -> str:
    """As `data_digest`, of a task that gives the same data each time it is asked.

    Raises
    ------
    InputError
        If it does not: it could not be gone on with, nor done again.
    """
    later = min(1, config.training.epochs - 1)
    found: list[tuple[str, str]] = []
    for _ in range(2):
        digest = data_digest(config)
        with config.asking():
            found.append((digest, _hashed(config.shown.train(later))))
    same = (one == other for one, other in zip(*found, strict=True))
    for call, fine in zip(("train(0) or test()", f"train({later})"), same, strict=True):
        if not fine:
            raise InputError(
                f"task {config.names['task']!r}: {call} gives other data when it is called again; "
                f"they must follow from the task's fields and the epoch alone, or the run could "
                f"not be gone on with"
            )
    return found[0][0]


def _hashed(arrays: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(np.shape(array)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
