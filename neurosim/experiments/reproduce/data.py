"""What the runs of a figure came to: one tidy table, and sums over it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurosim.experiments.folder import data_digest
from neurosim.experiments.reproduce.spec import Reproduction
from neurosim.experiments.sweep.results import row_of
from neurosim.experiments.sweep.runs import FINISHED, Run
from neurosim.experiments.sweep.sweep import Outcome
from neurosim.simulator import Simulator

LAST = 0.1  # part of the epochs that a final error is the mean of: 50 of the paper's 500

METHOD, SEED = "method", "training.seed"


@dataclass(frozen=True)
class Data:
    """The runs of a figure, done.

    Attributes
    ----------
    plan : Reproduction
    outcomes : list of Outcome
        One a run.
    pool : Path
        The folder with the runs' folders.
    epochs : pandas.DataFrame
        One row an epoch of a run: ``method``, ``seed``, what is varied, ``status``, and what was
        measured.
    finals : pandas.DataFrame
        One row a run: the same, and the means over the last tenth of the epochs. Errors of a run
        that came to no result are infinite.
    baselines : pandas.DataFrame
        One row a baseline and seed: ``method``, ``seed``, ``test_mse``.
    """

    plan: Reproduction
    outcomes: list[Outcome]
    pool: Path
    epochs: pd.DataFrame
    finals: pd.DataFrame
    baselines: pd.DataFrame

    @property
    def methods(self) -> list[str]:
        """In the order of the file."""
        there = set(self.finals[METHOD])
        return [method.name for method, _ in self.plan.methods() if method.name in there]

    @property
    def varied(self) -> list[str]:
        """Fields that are varied beside method and seed."""
        fields = [name for run in self.plan.runs for name in run.setting]
        return [name for name in dict.fromkeys(fields) if name not in (METHOD, SEED)]

    def without_varied(self) -> Data:
        """Without what is varied in some methods only; of what is varied in all, the greatest."""
        epochs, finals = self.epochs, self.finals
        for name in self.varied:
            if finals[name].isna().any():
                epochs, finals = epochs[epochs[name].isna()], finals[finals[name].isna()]
            else:
                most = finals[name].max()
                epochs, finals = epochs[epochs[name] == most], finals[finals[name] == most]
        return replace(self, epochs=epochs, finals=finals)

    def tidy(self) -> pd.DataFrame:
        """All of it as one table; ``kind`` is ``method`` or ``baseline``."""
        kinds = {"method": self.epochs, "baseline": self.baselines}
        return pd.concat([f.assign(kind=k) for k, f in kinds.items()], ignore_index=True)

    def run_of(self, method: str, seed: int | None = None) -> Run | None:
        """A finished run of a method: the first one, or that of a seed."""
        for outcome in self.outcomes:
            setting = outcome.run.setting
            fits = setting[METHOD] == method and seed in (None, setting[SEED])
            if fits and outcome.status == FINISHED:
                return outcome.run
        return None

    def trained(self, run: Run) -> Simulator:
        """The simulator as a run left it."""
        return run.folder(self.pool).resume(run.config, data_digest(run.config))[0]


def gather(plan: Reproduction, outcomes: Sequence[Outcome], pool: Path) -> Data:
    """Read what was measured."""
    epochs: list[dict[str, Any]] = []
    finals: list[dict[str, Any]] = []
    rivals: list[dict[str, Any]] = []
    for outcome in outcomes:
        folder = outcome.run.folder(pool)
        what: dict[str, Any] = {METHOD: outcome.run.setting[METHOD]}
        what["seed"] = outcome.run.setting[SEED]
        what |= {k: v for k, v in outcome.run.setting.items() if k not in (METHOD, SEED)}
        what["status"] = outcome.status
        rows = folder.read_history().rows
        epochs += [{**what, **row} for row in rows]
        finals.append({**what, "reason": outcome.reason, **final(rows, outcome.status)})
        rivals += [
            {METHOD: key.removeprefix("baseline."), "seed": what["seed"], "test_mse": value}
            for key, value in row_of(folder).items()
            if key.startswith("baseline.")
        ]
    baselines = pd.DataFrame(rivals, columns=[METHOD, "seed", "test_mse"]).drop_duplicates()
    return Data(plan, list(outcomes), pool, pd.DataFrame(epochs), pd.DataFrame(finals), baselines)


def final(rows: Sequence[dict[str, Any]], status: str) -> dict[str, Any]:
    """Means over the last tenth of the epochs; ``stable``: it ended better than it began.

    A run that came to no result has infinite errors.
    """
    scores = ("train_mse", "test_mse", "test_accuracy", "s_covariance", "s_second_moment")
    learned = [row for row in rows if row["steps"]]
    if status != FINISHED or not learned:
        return {"train_mse": math.inf, "test_mse": math.inf, "stable": False}
    last = learned[-max(1, round(LAST * len(learned))) :]
    found: dict[str, Any] = {
        name: float(np.mean([row[name] for row in last])) for name in scores if name in last[0]
    }
    found["stable"] = found["test_mse"] < rows[0]["test_mse"]
    paces = [row["seconds"] / row["steps"] for row in learned]
    return found | {"seconds_per_step": float(np.median(paces)), "epochs": len(learned)}


def spread(values: Any) -> tuple[float, float, float]:
    """Mean, least and greatest of the finite ones."""
    fine = np.asarray([v for v in values if math.isfinite(v)], dtype=np.float64)
    if not fine.size:
        return math.nan, math.nan, math.nan
    return float(fine.mean()), float(fine.min()), float(fine.max())
