"""Search for learning rates, by the error on training data that are held out."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosim.errors import CheckpointError, InputError, NeurosimError, StorageError
from neurosim.experiments import config as configs
from neurosim.experiments import settings
from neurosim.experiments.config import Config
from neurosim.experiments.folder import write_text
from neurosim.experiments.sweep.axes import RUNS
from neurosim.experiments.sweep.runs import FAILED, Run
from neurosim.experiments.sweep.sweep import Reached, Seen, Sweep, Workers
from neurosim.files import lock, place, read_json
from neurosim.values import is_number

if TYPE_CHECKING:
    import optuna

HELD_OUT = 0.2
SEEDS = (1, 2)  # not those that results are reported for
REACH = 100.0  # the default range, either way from where the config is
BLOCK = 4  # trials that are chosen without knowing of each other; see Tuning
STARTUP = 8  # trials at random, before they are chosen by the model
DIGITS = 4  # of a rate
EDGE = 0.05  # of a range, on its logarithmic scale

STUDY = "study.db"
SETTINGS = "tuning.json"
BEST = "best.toml"


@dataclass(frozen=True)
class Trial:
    """One choice of rates.

    Attributes
    ----------
    number : int
    rates : dict of str to float
        By field.
    error : float
        Mean test MSE over the seeds, on the data held out; infinite if a run diverged.
    """

    number: int
    rates: dict[str, float]
    error: float


@dataclass(frozen=True)
class Tuning:
    """A search for learning rates: its ranges, its budget and its folder.

    Trials are chosen in blocks, by a tree-structured Parzen estimator that knows of all trials of
    earlier blocks, from seeds of their own: the result depends neither on the number of
    processes, nor on the order in which they finish, nor on interruptions.

    Parameters
    ----------
    given : mapping
        The config's tables.
    name, where : str
        Of the config; see `neurosim.experiments.config.read`.
    ranges : mapping of str to (low, high), optional
        Fields to search, on a logarithmic scale. By default every learning rate that is above 0,
        from a hundredth to a hundred times what the config says, which is the first trial.
    seeds : sequence of int
        A trial's error is the mean over them.

    Raises
    ------
    InputError
        If the config cannot be used, or a range is none.
    """

    given: Mapping[str, Any]
    name: str
    where: str
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    seeds: Sequence[int] = SEEDS
    base: Config = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the config and the ranges."""
        object.__setattr__(self, "given", settings.changed(self.given, {}))
        base = configs.parse(self.given, self.name, self.where)
        object.__setattr__(self, "base", base)
        ranges = dict(self.ranges) or {
            name: (rate / REACH, rate * REACH) for name, rate in _rates(base).items()
        }
        if not ranges:
            raise InputError(f"{self.where}: has no learning rate above 0 to search for")
        for name, (low, high) in ranges.items():
            if not (is_number(low) and is_number(high) and 0 < low < high):
                raise InputError(
                    f"--search {name}={low},{high}: must be two numbers above 0, the lower first"
                )
        object.__setattr__(self, "ranges", ranges)
        self.runs({name: low for name, (low, _) in ranges.items()})  # fields that exist

    @property
    def held_out(self) -> float:
        """Part of the training data that trials are judged by."""
        return self.base.training.held_out or HELD_OUT

    def runs(self, rates: Mapping[str, float]) -> list[Run]:
        """The runs of a trial, one a seed."""
        fixed = {"training.held_out": self.held_out, "baselines.enabled": False}
        found = []
        for seed in self.seeds:
            made = settings.changed(self.given, {**rates, **fixed}, seed)
            setting = {**rates, "training.seed": seed}
            found.append(Run(configs.parse(made, self.name, self.where), setting))
        return found

    def settings(self) -> dict[str, Any]:
        """All that decides which trials are made."""
        return {
            "config": self.base.identity,
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "seeds": list(self.seeds),
            "held_out": self.held_out,
        }

    # --------------------------------------------------------------------- search

    def search(
        self,
        budget: int,
        folder: str | os.PathLike[str],
        workers: Workers,
        seen: Seen | None = None,
        reached: Reached | None = None,
    ) -> list[Trial]:
        """Make trials until there are `budget`, those of earlier calls included.

        Parameters
        ----------
        budget : int
        folder : path-like
            Holds the study (SQLite), the runs, their table, and the best config.
        workers : Workers
        seen, reached : callable, optional
            See `Sweep.run`.

        Returns
        -------
        list of Trial
            The best first.

        Raises
        ------
        InputError
            If the folder holds another search, or no trial came to a result.
        CheckpointError
            If the search's files are damaged, or of something else.
        NeurosimError
            If a run failed for another reason than its rates.
        BusyError
            If another process searches there.
        """
        if not 1 <= budget <= RUNS:
            raise InputError(f"--budget {budget}: must be 1 or more, and {RUNS:,} at most")
        path = place(folder)
        with lock(path / ".tune.lock", 0.0, f"{path}: another process is searching there"):
            self._claim(path)
            with _readable(path / STUDY):
                study = self._study(path)
                found = self._trials(study)
            while len(study.trials) < budget:
                self._block(study, budget, path, workers, seen, reached)
            found = self._trials(study)
            if not math.isfinite(found[0].error):
                ranges = ", ".join(f"{k}={a:g},{b:g}" for k, (a, b) in self.ranges.items())
                raise InputError(f"{path}: no trial came to a result; search lower than {ranges}")
            write_text(path / BEST, self._toml(found[0], len(found)))
        return found

    def _claim(self, path: Path) -> None:
        note = path / SETTINGS
        if note.exists():
            if read_json(note, dict[str, Any]) != json.loads(json.dumps(self.settings())):
                raise InputError(
                    f"{path}: holds another search (config, ranges or seeds differ); choose "
                    f"another folder by --out"
                )
            return
        write_text(note, json.dumps(self.settings(), indent=2) + "\n")

    def _study(self, path: Path) -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            # The file is opened by its path: in a URL some of a path's characters mean something.
            opened = {"creator": lambda: sqlite3.connect(path / STUDY, check_same_thread=False)}
            with _stored(path / STUDY):
                storage = optuna.storages.RDBStorage(f"sqlite:///{STUDY}", opened)
                study = optuna.create_study(
                    study_name=self.name, storage=storage, load_if_exists=True
                )
        return study

    def _block(
        self,
        study: optuna.Study,
        budget: int,
        path: Path,
        workers: Workers,
        seen: Seen | None,
        reached: Reached | None,
    ) -> None:
        """Make the trials of a block, or the rest of one that was interrupted.

        A trial is noted when it is done, all at once. Which rates it has follows from the trials of
        earlier blocks and its number: if it was interrupted, it has the same again.
        """
        done = len(study.trials)
        first = done // BLOCK * BLOCK
        rates: list[dict[str, float]] = []
        for number in range(first, min(first + BLOCK, budget)):
            rates.append(self._choose(study.trials[:first], rates, number))
        runs = {first + k: self.runs(self._rounded(chosen)) for k, chosen in enumerate(rates)}
        runs = {number: of for number, of in runs.items() if number >= done}
        every = {run.name: run for of in runs.values() for run in of}
        outcomes = Sweep(list(every.values()), path).run(workers, seen, reached)
        for outcome in outcomes:
            if outcome.status == FAILED:  # not for its rates: it is to be tried again
                raise NeurosimError(f"{path}: {outcome.run.words}: {outcome.reason}")
        errors = {outcome.run.name: outcome.test_mse for outcome in outcomes}
        for number, of in sorted(runs.items()):
            total = sum(errors[run.name] for run in of) / len(of)
            with _stored(path / STUDY):
                study.add_trial(self._trial(rates[number - first], total))

    def _choose(
        self, known: Sequence[Any], beside: Sequence[dict[str, float]], number: int
    ) -> dict[str, float]:
        """Choose a trial's rates, from the trials of earlier blocks and the rates beside it."""
        import optuna

        start = {name: value for name, value in _rates(self.base).items() if name in self.ranges}
        inside = all(self.ranges[k][0] <= value <= self.ranges[k][1] for k, value in start.items())
        if number == 0 and inside and set(start) == set(self.ranges):
            return start
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # options of Optuna that are marked experimental
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP, constant_liar=True, multivariate=True, seed=number
            )
            study = optuna.create_study(sampler=sampler)
            study.add_trials([*known, *(self._trial(rates) for rates in beside)])
            chosen: dict[str, float] = study.ask(self._distributions()).params
        return chosen

    def _trial(self, rates: Mapping[str, float], error: float | None = None) -> Any:
        """A trial as Optuna keeps it; without an error it is under way."""
        import optuna

        state = optuna.trial.TrialState
        value = error if error is None or math.isfinite(error) else math.inf
        return optuna.trial.create_trial(
            params=dict(rates),
            distributions=self._distributions(),
            value=value,
            state=state.RUNNING if error is None else state.COMPLETE,
        )

    def _distributions(self) -> dict[str, Any]:
        from optuna.distributions import FloatDistribution

        return {k: FloatDistribution(low, high, log=True) for k, (low, high) in self.ranges.items()}

    def _rounded(self, params: Mapping[str, float]) -> dict[str, float]:
        """Round rates to `DIGITS` digits, within their ranges."""
        return {
            name: min(max(float(f"{params[name]:.{DIGITS}g}"), low), high)
            for name, (low, high) in self.ranges.items()
        }

    def _trials(self, study: optuna.Study) -> list[Trial]:
        trials = []
        for number, t in enumerate(study.trials):
            if t.number != number or t.value is None or set(t.params) != set(self.ranges):
                raise CheckpointError(f"trial {t.number} is none of this search")
            trials.append(Trial(number, self._rounded(t.params), float(t.value)))
        return sorted(trials, key=lambda trial: (trial.error, trial.number))

    # ----------------------------------------------------------------------- best

    def at_edge(self, trial: Trial) -> list[str]:
        """Fields whose rate lies at an end of its range: the best may lie beyond."""
        found = []
        for name, (low, high) in self.ranges.items():
            place = math.log(trial.rates[name] / low) / math.log(high / low)
            if not EDGE < place < 1 - EDGE:
                found.append(name)
        return found

    def _toml(self, best: Trial, trials: int) -> str:
        seeds = " and ".join(map(str, self.seeds))
        head = [f"{self.name}: the best of {trials} trials.", "", "Searched:"]
        head += [f"- {name}, {a:g} to {b:g}" for name, (a, b) in self.ranges.items()]
        head += [
            f"on seeds {seeds}, by the error on {self.held_out:g} of the training data, held out:",
            f"{best.error:.4g} on average. The test was not looked at.",
        ]
        made = configs.parse(settings.changed(self.given, best.rates), self.name, self.where)
        return (
            "\n".join(f"# {' '.join(line.split())}".rstrip() for line in head)
            + "\n\n"
            + made.toml()
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Blame the study's file for what is missing or wrong in it."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # SQLite, SQLAlchemy and Optuna raise whatever they stumble upon
        says = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: damaged, or not of this search ({says})") from error


@contextmanager
def _stored(file: Path) -> Iterator[None]:
    """Raise `StorageError` where Optuna's database cannot be written: no permission, disk full."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import OperationalError

    try:
        yield
    except (StorageInternalError, OperationalError) as error:
        said = error.__cause__ if isinstance(error, StorageInternalError) else error
        cause = getattr(said, "orig", said)  # SQLite's own words
        raise StorageError(f"{file}: could not be written ({cause})") from error


def _rates(config: Config) -> dict[str, float]:
    """Learning rates of a config that are above 0, by field."""
    return {
        name: float(value)
        for name, value in config.flat().items()
        if name.startswith(("rule.learning_rate", "decorrelation.learning_rate"))
        and not name.endswith((".over", ".warm_up"))
        and is_number(value)
        and value > 0
    }
