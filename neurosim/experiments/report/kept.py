"""A run, as its folder has it: finished, interrupted or blown up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurosim.engines import find
from neurosim.errors import CheckpointError, DeviceError, InputError
from neurosim.experiments.baselines import AFTER, BEFORE, REFITTED
from neurosim.experiments.config import Config
from neurosim.experiments.folder import Folder, data_digest
from neurosim.experiments.run import pace
from neurosim.experiments.written import Written
from neurosim.simulator import Simulator
from neurosim.training import COUNTS, History


@dataclass(frozen=True)
class Kept:
    """What there is of a run. Nothing is changed by looking at it.

    Attributes
    ----------
    folder : Folder
    config : Written
        As tables: nothing that it names is imported.
    history : History
    numbers : dict
        The result; nothing of a run without one.
    status : str
        ``finished``, ``diverged``, ``failed`` or ``unfinished``.
    reason : str
        Why there is no result, if that is known.
    damage : str
        Which file, beside the result, cannot be read, and why; nothing if all can.
    """

    folder: Folder
    config: Written
    history: History
    numbers: dict[str, Any]
    status: str
    reason: str
    damage: str = ""

    @classmethod
    def read(cls, folder: Folder) -> Kept:
        """Read a run's folder.

        Raises
        ------
        InputError
            If there is no run.
        CheckpointError
            If its config is damaged.
        """
        folder.refuse_empty()
        config = Written.read(folder.config)
        numbers, status, reason = folder.came_to(config)
        history, damage = History(), ""
        try:
            history = folder.read_history()
        except CheckpointError as error:
            damage = str(error)
        return cls(folder, config, history, numbers, status, reason, damage)

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
        table = self.table.drop([BEFORE, AFTER, REFITTED], errors="ignore")
        found: pd.Series = table["test_mse"] if len(table) else pd.Series(dtype=float)
        return found

    @property
    def learned(self) -> dict[str, Any]:
        """The rule and its cost.

        ``rule``, ``batch`` and ``engine``; ``steps``, ``seconds``, ``memory``, counts of a step.
        """
        rows = [row for row in self.history.rows if row["steps"]]
        found: dict[str, Any] = {
            "steps": int(sum(row["steps"] for row in rows)),
            "seconds": float(sum(row["seconds"] for row in rows)),
            "seconds_per_step": pace(self.history),
            "memory": self.numbers.get("memory"),
            "engine": self.config.training.engine,
            "batch": self.config.training.batch,
            "rule": self.config.names["rule"],
        }
        return found | {name: rows[-1][name] for name in COUNTS if rows}

    @cached_property
    def missing(self) -> str:
        """Why nothing can be shown of the trained network; nothing if it can."""
        try:
            trained_on = self.folder.reached["data"]
        except CheckpointError as error:
            said = str(error).replace(f"{self.folder.checkpoint}", self.folder.checkpoint.name)
            return said if self.folder.checkpoint.exists() else "no epoch was kept"
        try:
            built = self.config.built
        except InputError as error:
            return str(error)
        try:
            here = data_digest(built)
        except InputError as error:
            return f"the data it was trained on are not here ({error})"
        if trained_on != here:
            return "the data it was trained on are not here"
        try:
            assert self.trained
        except CheckpointError as error:
            return str(error)
        return ""

    @cached_property
    def trained(self) -> Simulator:
        """The simulator after the last whole epoch."""
        return self.folder.simulator(self._runnable)

    @cached_property
    def _runnable(self) -> Config:
        """The config, on another engine if there is no GPU here like the one it ran on."""
        built = self.config.built
        try:
            find(built.training.engine, built.rule)
        except DeviceError:
            return built.on("cpu")
        return built

    @property
    def task(self) -> Any:
        """The task, without the part that is held out, if one is."""
        return self._runnable.shown

    def answers(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Outputs on the test, before and after training."""
        inputs, targets = self.task.test()
        after = self.trained.evaluate(inputs, targets).outputs
        before = self._runnable.simulator().evaluate(inputs, targets).outputs
        return np.asarray(before), np.asarray(after)
