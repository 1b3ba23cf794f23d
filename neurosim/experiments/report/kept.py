"""A run, as its folder has it: finished, interrupted or blown up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosim import checkpoint
from neurosim.engines import find
from neurosim.errors import CheckpointError, DeviceError
from neurosim.experiments.baselines import AFTER, BEFORE
from neurosim.experiments.config import Config, load
from neurosim.experiments.folder import Folder, data_digest
from neurosim.experiments.run import pace
from neurosim.experiments.sweep.runs import FINISHED
from neurosim.simulator import Simulator
from neurosim.training import COUNTS, History


@dataclass(frozen=True)
class Kept:
    """What there is of a run. Nothing is changed by looking at it.

    Attributes
    ----------
    folder : Folder
    config : Config
    history : History
    numbers : dict
        The result; nothing of a run without one.
    status : str
        ``finished``, ``diverged``, ``failed`` or ``unfinished``.
    reason : str
        Why there is no result, if that is known.
    """

    folder: Folder
    config: Config
    history: History
    numbers: dict[str, Any]
    status: str
    reason: str

    @classmethod
    def read(cls, folder: Folder) -> Kept:
        """Read a run's folder.

        Raises
        ------
        InputError
            If there is no run, or its config cannot be used here.
        CheckpointError
            If its history is damaged.
        """
        folder.refuse_empty()
        config, failure = load(folder.config), folder.given_up
        numbers = folder.numbers if folder.finished(config) else {}
        status = FINISHED if numbers else str(failure.get("status", "unfinished"))
        history = folder.read_history()
        return cls(folder, config, history, numbers, status, str(failure.get("reason", "")))

    @property
    def name(self) -> str:
        """Of the config it is a run of; of a run without a result that of its folder."""
        return str(self.numbers.get("config") or self.folder.path.resolve().name)

    @property
    def table(self) -> pd.DataFrame:
        """Scores of the network and the baselines, the lowest test error first.

        Of a run without a result the network's alone, as its history has them.
        """
        if self.numbers:
            rows = self.numbers["table"]
        else:
            rows = {BEFORE: self._scores(0), AFTER: self._scores(-1)} if len(self.history) else {}
        table = pd.DataFrame.from_dict(rows, orient="index")
        return table if table.empty else table.sort_values("test_mse", kind="stable")

    def _scores(self, at: int) -> dict[str, Any]:
        row = self.history.rows[at]
        return {key: row[key] for key in row if key.startswith(("train_", "test_"))}

    @property
    def baselines(self) -> pd.Series:
        """Their test errors, by name."""
        table = self.table.drop([BEFORE, AFTER], errors="ignore")
        found: pd.Series = table["test_mse"] if len(table) else pd.Series(dtype=float)
        return found

    @property
    def learned(self) -> dict[str, Any]:
        """What learning took: ``steps``, ``seconds``, ``memory``, ``engine``, counts of a step."""
        rows = [row for row in self.history.rows if row["steps"]]
        found: dict[str, Any] = {
            "steps": int(sum(row["steps"] for row in rows)),
            "seconds": float(sum(row["seconds"] for row in rows)),
            "seconds_per_step": pace(self.history),
            "memory": self.numbers.get("memory"),
            "engine": self.config.training.engine,
        }
        return found | {name: rows[-1][name] for name in COUNTS if rows}

    @cached_property
    def missing(self) -> str:
        """Why nothing can be shown of the trained network; nothing if it can."""
        try:
            extra = checkpoint.read(self.folder.checkpoint)[1].get("extra") or {}
        except CheckpointError as error:
            said = str(error).replace(f"{self.folder.checkpoint}", self.folder.checkpoint.name)
            return said if self.folder.checkpoint.exists() else "no epoch was kept"
        try:
            here = data_digest(self.config.shown)
        except (ValueError, OSError) as error:  # a task's errors are ValueErrors
            return f"the data it was trained on are not here ({error})"
        return "" if extra.get("data") == here else "the data it was trained on are not here"

    @cached_property
    def trained(self) -> Simulator:
        """The simulator after the last whole epoch."""
        return self.folder.simulator(self._runnable)

    @cached_property
    def _runnable(self) -> Config:
        """The config, on another engine if there is no GPU here like the one it ran on."""
        try:
            find(self.config.training.engine, self.config.rule)
        except DeviceError:
            return self.config.on("cpu")
        return self.config

    def answers(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Outputs on the test, before and after training."""
        inputs, targets = self.config.shown.test()
        found = [
            sim.evaluate(inputs, targets).outputs
            for sim in (self._runnable.simulator(), self.trained)
        ]
        return np.asarray(found[0]), np.asarray(found[1])
