"""Run an experiment: train, compare with the baselines, draw, sum up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from neurosim.engines import find
from neurosim.errors import DivergenceError
from neurosim.experiments import baselines, figures, measures, summary
from neurosim.experiments.baselines import AFTER, BEFORE, REFITTED
from neurosim.experiments.config import Config
from neurosim.experiments.folder import Folder, data_digest, steady_digest, write_text
from neurosim.experiments.readout import refit_readout
from neurosim.files import place
from neurosim.simulator import Simulator
from neurosim.training import History, judged, train


@dataclass(frozen=True)
class Result:
    """What came out of an experiment.

    Attributes
    ----------
    table : pandas.DataFrame
        ``train_mse``, ``test_mse``, other scores likewise and ``note``; the rows are
        the network before and after training, with its readout refitted (see
        `neurosim.refit_readout`), and the baselines.
    history : History
    seconds_per_step : float
        Of learning.
    memory : int
        That the simulator took [bytes]; see `Simulator.nbytes`.
    folder : Path
    """

    table: pd.DataFrame
    history: History
    seconds_per_step: float
    memory: int
    folder: Path

    @property
    def beaten(self) -> list[str]:
        """Baselines whose test error is higher than the trained network's."""
        return self._compared(lambda error, own: error > own)

    @property
    def not_beaten(self) -> list[str]:
        """Baselines whose test error is as low or lower."""
        return self._compared(lambda error, own: error <= own)

    def _compared(self, keep: Any) -> list[str]:
        errors = self.table["test_mse"].drop([BEFORE, REFITTED], errors="ignore")
        own = errors.pop(AFTER)
        return [str(name) for name, error in errors.items() if keep(error, own)]


class Experiment:
    """One config and the folder that its run is kept in.

    Parameters
    ----------
    config : Config
    out : path-like, optional
        The folder; ``runs/<config's name>-<hash>`` below the current one by default.
    threads : int
        Of the simulator. It changes no number, so it is not part of the config.
    draw : bool
        Whether to draw figures; of a finished run they can be drawn later.
    """

    def __init__(
        self,
        config: Config,
        out: str | Path | None = None,
        threads: int = 1,
        draw: bool = True,
    ) -> None:
        self.config, self.threads, self.draw = config.read_back, threads, draw
        name = f"{config.name}-{config.digest[:8]}"
        self.folder = Folder(Path("runs") / name if out is None else place(out))

    def run(
        self,
        resume: bool | None = False,
        progress: bool = True,
        on_epoch: Callable[[History], None] | None = None,
    ) -> Result:
        """Train, or go on training, and write everything to the folder.

        Parameters
        ----------
        resume : bool or None
            Go on with the run that the folder holds: the numbers at the end equal
            those of a run that was never interrupted. A finished run of the same
            config is not repeated either way, only summed up again. None: go on if
            there is a run, and begin one if not.
        progress : bool
            Whether to show a progress bar.
        on_epoch : callable, optional
            Called with the history after every epoch, once that is kept.

        Raises
        ------
        InputError
            If the folder holds something else; or, to resume, no run of this config. Only the
            engine may be another one, and the epochs more.
        DeviceError
            If there is no GPU where one is needed, or it fails. The last whole epoch is kept.
        BusyError
            If another process is at work on the run.
        CheckpointError
            If what is to be resumed is damaged.
        StorageError
            If a file cannot be written.
        DivergenceError
            If the numbers blow up. The last whole epoch is kept.
        KeyboardInterrupt
            On Ctrl-C. The last whole epoch is kept.
        """
        # One thread: the matrices are small, and two threads that wait for each other are slower.
        with threadpool_limits(limits=1):
            if resume is not None:
                # A run that is here already is not repeated: there is nothing left to train.
                resume = resume or self.folder.finished(self.config)
                self._refuse(resume)
            # Without the engine, data or sizes, no folder is made.
            find(self.config.training.engine, self.config.rule)
            data = steady_digest(self.config)
            self.config.wiring()
            with self.config.asking():
                enabled = self.config.baselines.enabled
                own = baselines.of_task(self.config.shown) if enabled else None
            with self.folder.locked():  # only now it is certain what is there
                resume = self.folder.config.is_file() if resume is None else resume
                self._refuse(resume)
                return self._run(resume, data, own, progress, on_epoch)

    def _refuse(self, resume: bool) -> None:
        if resume:
            self.folder.refuse_empty()
        else:
            self.folder.refuse_used()

    def _run(
        self,
        resume: bool,
        data: str,
        own: pd.DataFrame | None,
        progress: bool,
        on_epoch: Callable[[History], None] | None,
    ) -> Result:
        config, folder = self.config, self.folder
        if resume:
            sim, history = folder.resume(config, data, self.threads)
        else:
            sim, history = config.simulator(self.threads), History()
        folder.begin(config)

        def keep(done: History) -> None:
            folder.keep(done, sim, config, data)
            if on_epoch is not None:
                on_epoch(done)

        try:
            history = train(
                sim,
                config.shown,
                config.training.epochs,
                history=history,
                on_epoch=keep,
                measure=measures.find(config.training.measures),
                progress=progress,
            )
        except DivergenceError as error:
            folder.give_up(config, "diverged", str(error))
            raise
        if history.interrupted:
            raise KeyboardInterrupt
        return self._finish(sim, history, own)

    def _finish(self, sim: Simulator, history: History, own: pd.DataFrame | None) -> Result:
        config, folder, task = self.config, self.folder, self.config.shown
        untrained = config.simulator()
        rows: dict[str, dict[str, float]] = {}
        answers: dict[str, Any] = {}
        for name, network in ((BEFORE, untrained), (AFTER, sim)):
            rows[name] = {}
            for part, (inputs, targets) in (("train", task.train(0)), ("test", task.test())):
                scores, outputs = judged(network, task, inputs, targets)
                rows[name] |= {f"{part}_{key}": value for key, value in scores.items()}
            answers[name] = outputs
        table = pd.DataFrame.from_dict(rows, orient="index")
        if own is not None:
            epochs = min(config.training.epochs, config.baselines.readout_epochs)
            refitted = {REFITTED: refit_readout(sim, task, epochs=epochs)}
            table = pd.concat([table, pd.DataFrame.from_dict(refitted, orient="index")])
            table = pd.concat([table, baselines.beside(own, task, untrained, epochs)])
        table = table.rename_axis("who")
        result = Result(table, history, pace(history), sim.nbytes, folder.path)
        write_text(folder.summary, summary.markdown(config, result))
        write_text(folder.result, json.dumps(_numbers(config, result), indent=2) + "\n")
        if self.draw:  # last: a figure that cannot be drawn is not worth what was learned
            rivals = table.drop([BEFORE, AFTER, REFITTED], errors="ignore")["test_mse"]
            with figures.defaults():
                curve = figures.learning_curve(history, rivals)
                shown = figures.predictions(task, answers[BEFORE], answers[AFTER])
                figures.save(curve, folder.figure("learning_curve"))
                figures.save(shown, folder.figure("predictions"))
        return result


def pace(history: History) -> float:
    """Seconds a learning step took: the median over epochs, which a busy moment leaves alone."""
    rows = [row for row in history.rows if row["steps"]]
    return float(np.median([row["seconds"] / row["steps"] for row in rows])) if rows else math.nan


def _numbers(config: Config, result: Result) -> dict[str, Any]:
    last = {key: value for key, value in result.history.last.items() if key != "seconds"}
    rows = result.table.to_dict("index")
    return {
        "config": config.name,
        "digest": config.digest,
        "engine": config.training.engine,
        "epochs": result.history.epoch,
        "data": data_digest(config),
        "last_epoch": _known(last),
        "seconds_per_step": result.seconds_per_step,
        "memory": result.memory,
        "table": {str(who): _known(row) for who, row in rows.items()},
        "beaten": result.beaten,
        "not_beaten": result.not_beaten,
    }


def _known(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """Leave out what has no value: JSON knows no "not a number", nor an infinite one."""
    return {k: v for k, v in row.items() if not isinstance(v, float) or math.isfinite(v)}
