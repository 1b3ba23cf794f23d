"""Training: epochs, what is measured in each, and going on after an interruption."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosim import checkpoint as checkpoints
from neurosim import display, screen
from neurosim.checks import is_masked
from neurosim.engines.overflow import divergence
from neurosim.errors import CheckpointError, InputError
from neurosim.network import Network
from neurosim.simulator import Simulator
from neurosim.task import CheckedTask, TaskLike, checked, task_name
from neurosim.values import (
    EPOCHS,
    is_count,
    is_number,
    require,
    require_count,
    require_flag,
    require_function,
    require_name,
    require_path,
    shown,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Measure = Callable[[Simulator, NDArray[Any], NDArray[Any]], Mapping[str, float]]

LOST = 1e6  # times the untrained network's error, or 1: nothing comes back from there

COUNTS = ("events", "synaptic_operations", "weight_writes")
# In every row of a history, whatever else a task's scores and measures of one's own add.
MEASURED = ("epoch", "train_mse", "test_mse", "seconds", "steps", *COUNTS)


@dataclass
class History:
    """What was measured, one row an epoch; row 0 is before training.

    Attributes
    ----------
    rows : list of dict
        ``epoch``; ``train_mse``, measured while learning (before training: without
        learning); ``test_mse`` and the task's other scores as ``test_...``, without
        learning, and on a noisy chip ``test_..._without_noise`` as well; ``seconds`` of
        learning; ``steps`` learned from; per step the ``events``, ``synaptic_operations``
        and ``weight_writes`` of all replicas together.
    interrupted : bool
        Whether Ctrl-C ended the training. The simulator has then learned from a
        part of an epoch that is not in here.
    simulator : Simulator or None
        What was trained; None if the history was read from a file.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False
    simulator: Simulator | None = field(default=None, repr=False, compare=False)

    def __setattr__(self, name: str, value: Any) -> None:
        """Check a value and set it: `train` and plots rely on it."""
        if name == "rows":
            fine = isinstance(value, list) and all(map(_has_epoch, value))
            allowed = f"a list of mappings, an epoch in each; numbers: {', '.join(MEASURED)}"
            require(fine, "History", name, value, allowed)
        elif name == "interrupted":
            require_flag("History", name, value)
            value = bool(value)
        elif name == "simulator":
            fine = value is None or isinstance(value, Simulator)
            require(fine, "History", name, value, "None or a Simulator")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        last = self.rows[-1] if self.rows else {}
        scores = (f"{name}={last[name]:.4g}" for name in ("train_mse", "test_mse") if name in last)
        told = ", ".join([f"{len(self)} rows", *scores, *["interrupted"] * self.interrupted])
        return f"History({told})"

    def _repr_html_(self) -> str:
        html: str = self.frame.to_html(max_rows=display.MOST, index=False, float_format="%.4g")
        return html

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0

    @property
    def last(self) -> dict[str, Any]:
        """The latest row."""
        require(len(self.rows) > 0, "History", "rows", self.rows, "at least one")
        return self.rows[-1]

    @property
    def best(self) -> dict[str, Any]:
        """The row with the lowest test error: picked on the test, hence optimistic."""
        require(len(self.rows) > 0, "History", "rows", self.rows, "at least one")
        # Not a number is the worst of all, not the best.
        errors = np.nan_to_num(self._column("test_mse"), nan=np.inf)
        return self.rows[int(np.argmin(errors))]

    @property
    def frame(self) -> pd.DataFrame:
        """All rows as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw train and test error over epochs, on a logarithmic scale."""
        from neurosim.drawing import axes

        ax = axes("History", ax)
        epochs = self._column("epoch")
        for name, words in (("train_mse", "train, while learning"), ("test_mse", "test")):
            ax.plot(epochs, self._column(name), label=words)
        ax.set(xlabel="epoch", ylabel="mean squared error", yscale="log")
        ax.legend()
        return ax

    def _column(self, name: str) -> list[float]:
        """Collect a number of all rows."""
        fine = all(name in row for row in self.rows)
        require(fine, "History", "rows", self.rows, f"mappings with {name!r} each")
        return [float(row[name]) for row in self.rows]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read the history that `train` wrote into its checkpoint.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged, or `train` did not write it.
        """
        extra = checkpoints.look(path)[1].get("extra") or {}
        if "history" not in extra:
            raise CheckpointError(f"{path}: holds no history; train(checkpoint=...) writes one")
        rows = extra["history"]
        if not isinstance(rows, list) or not all(map(_is_row, rows, range(len(rows)))):
            raise CheckpointError(f"{path}: damaged (history: must be rows of what was measured)")
        return cls(rows)


def train(
    sim: Simulator | Network,
    task: TaskLike,
    epochs: int = 50,
    *,
    rule: Any = None,
    decorrelation: Any = None,
    history: History | None = None,
    on_epoch: Callable[[History], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    measure: Measure | None = None,
    progress: bool = True,
) -> History:
    """Train a simulator on a task, and test it after every epoch.

    In an epoch every training series is shown once: consecutive groups of as many
    series as the simulator has replicas, each group from rest. Then all test series
    are run without learning.

    Parameters
    ----------
    sim : Simulator or Network
    task : task
        For example from the package `neurosim_tasks`.
    epochs : int
        Epochs altogether, those in `history` included.
    rule, decorrelation : optional
        Learn by these, in a simulator made for it: ``history.simulator``. Of a network it
        has as many replicas as the task's `batch` (or one) and the network's seed. Of a
        simulator, which stays as it is, it has everything else, the weights as they are
        now included. Without: the simulator that is given is trained.
    history : History, optional
        What was trained before: numbering goes on from there. With the simulator of
        the same moment, the outcome equals never having stopped, bit for bit. Without it
        epochs are counted from the start, and learning rates by epochs with them.
    on_epoch : callable, optional
        Called with the history after every row, before the checkpoint is written.
    checkpoint : path-like, optional
        Where to keep the simulator and the history, after every epoch.
    measure : callable, optional
        Called after every epoch with the simulator and the epoch's inputs and targets; what
        it returns, numbers by name, is added to the row.
    progress : bool
        Whether to show a progress bar; it is silent unless on a terminal.

    Returns
    -------
    History

    Raises
    ------
    InputError
        If the task does not fit the simulator.
    DivergenceError
        If the numbers blow up; the checkpoint stays that of the last whole epoch.

    Notes
    -----
    To go on after an interruption, load ``sim = Simulator.load(path)`` and give
    ``history=History.load(path)``.
    """
    fine = history is None or isinstance(history, History)
    rows = history.rows if fine and history is not None else []
    fine = fine and all(map(_is_row, rows, range(len(rows))))
    require(fine, "train", "history", history, "None or a History that train() made")
    require_function("train", "on_epoch", on_epoch, "history")
    require_function("train", "measure", measure, "sim", "inputs", "targets")
    require_flag("train", "progress", progress)
    if checkpoint is not None:
        require_path("train", "checkpoint", checkpoint)
    if rule is not None or decorrelation is not None:
        sim = _made_for(sim, task, rule, decorrelation)
    require(isinstance(sim, Simulator), "train", "sim", sim, "a Simulator; with rule, or a Network")
    assert isinstance(sim, Simulator)
    given = checked(task, "train")
    epochs = _check(sim, given, epochs)
    history = History(list(history.rows) if history is not None else [], simulator=sim)
    with _Bar(progress, epochs, history.epoch) as bar:
        try:
            for epoch in range(len(history), epochs + 1):
                history.rows.append(_epoch(sim, given, epoch, measure, bar))
                _refuse_lost(sim, history)
                bar.measured(history.last)
                if on_epoch is not None:
                    on_epoch(history)
                if checkpoint is not None:
                    sim.save(checkpoint, {"epoch": epoch, "history": history.rows})
        except KeyboardInterrupt:
            history.interrupted = True
    return history


def _made_for(sim: Any, task: Any, rule: Any, decorrelation: Any) -> Simulator:
    """Make the simulator in which a network, or that of another simulator, learns by a rule."""
    if isinstance(sim, Network):
        batch = getattr(task, "batch", 1)
        return Simulator(sim, rule, decorrelation, batch=batch, seed=sim.seed)
    require(isinstance(sim, Simulator), "train", "sim", sim, "a Simulator or a Network")
    made = Simulator(
        sim.network,
        sim.rule if rule is None else rule,
        sim.decorrelation if decorrelation is None else decorrelation,
        sim.substrate,
        sim.batch,
        sim.engine,
        sim.seed,
        sim.threads,
    )
    made.weights = {name: w for name, w in sim.weights.items() if name in made.weights}
    return made


def _epoch(
    sim: Simulator, task: CheckedTask, epoch: int, measure: Measure | None, bar: _Bar
) -> dict[str, Any]:
    """Learn for one epoch (epoch 0: look, without learning) and test."""
    inputs, targets = task.train(max(0, epoch - 1))
    if inputs.shape[1] % sim.batch:
        raise InputError(
            f"{task_name(task)}: train() returned inputs of shape {inputs.shape}; they must be "
            f"(T, series, features), series a multiple of the Simulator's batch = {sim.batch}"
        )
    row: dict[str, Any] = {"epoch": epoch}
    if epoch == 0:
        row["train_mse"] = sim.evaluate(inputs, targets).mse
        costs = {"seconds": 0.0, "steps": 0} | dict.fromkeys(COUNTS, 0.0)
    else:
        sim.epoch = epoch - 1
        row["train_mse"], costs = _learn(sim, inputs, targets, bar)
        sim.epoch = epoch
    scores, _ = judged(sim, task, *task.test())
    row |= {f"test_{name}": value for name, value in scores.items()} | costs
    more = {}
    if measure is not None:
        more = numbers("train", "what measure returns", measure(sim, inputs, targets))
    for name in more:
        allowed = f"none of a row's own: {', '.join(row)}"
        require(name not in row, "train", "a name that measure returns", name, allowed)
    return row | more


def numbers(owner: str, field: str, given: Any) -> dict[str, float]:
    """Numbers by name, as a function of a user's own returned them; refuse all else."""
    require(isinstance(given, Mapping), owner, field, given, "a mapping of numbers by name")
    found = {}
    for name, value in given.items():
        require_name(owner, f"a name in {field}", name)
        try:
            # Float reads text, and leaves out what is masked and half of a complex number.
            kind = getattr(getattr(value, "dtype", None), "kind", "f")
            fine = not (isinstance(value, str | bytes) or kind in "cmMSU" or is_masked(value))
            found[name] = float(value) if fine else math.nan
        except Exception:  # an object's own conversion to a number can raise anything
            fine = False
        require(fine, owner, f"{field}[{name!r}]", value, "a number")
    return found


def judged(
    sim: Simulator, task: Any, inputs: Any, targets: Any
) -> tuple[dict[str, float], NDArray[np.float32] | None]:
    """Scores of a network that does not learn, and its outputs.

    On a chip with noise that such a network meets, scores without it come too, as
    ``..._without_noise``.
    """
    outputs = sim.evaluate(inputs, targets).outputs
    scores: dict[str, float] = task.score(outputs, targets)
    if sim.substrate.noisy:
        quiet = task.score(sim.evaluate(inputs, targets, noise=False).outputs, targets)
        quiet = {f"{name}_without_noise": value for name, value in quiet.items()}
        double = sorted(scores.keys() & quiet.keys())
        allowed = "none of those that a noisy chip adds"
        require(not double, f"{task_name(task)}.score()", "names", double, allowed)
        scores |= quiet
    return scores, outputs


def _learn(
    sim: Simulator, inputs: NDArray[Any], targets: NDArray[Any], bar: _Bar
) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    groups = range(0, inputs.shape[1], sim.batch)
    bar.begin(len(inputs) * len(groups))
    errors, counts = [], np.zeros(len(COUNTS))
    for first in groups:
        group = slice(first, first + sim.batch)
        record = sim.run(inputs[:, group], targets[:, group], learn=True, progress=bar.step)
        bar.group(len(inputs))
        if not np.isfinite(record.mse):
            raise divergence(sim._engine, sim.step)
        errors.append(record.mse)
        counts += [getattr(record, name).sum() for name in COUNTS]
    seconds, steps = time.perf_counter() - started, len(inputs) * len(groups)
    per_step = dict(zip(COUNTS, (counts / steps).tolist(), strict=True))
    return float(np.mean(errors)), {"seconds": seconds, "steps": steps, **per_step}


def _refuse_lost(sim: Simulator, history: History) -> None:
    """Raise `DivergenceError` if errors have become absurd, though still finite."""
    first, last = history.rows[0], history.last
    for name in ("train_mse", "test_mse") if last["epoch"] else ():
        if not last[name] <= LOST * max(1.0, first[name]):
            history.rows.pop()
            said = f"{name} grew from {first[name]:.3g} to {last[name]:.3g}"
            raise divergence(sim._engine, sim.step, lost=said)


def _is_row(row: Any, epoch: int) -> bool:
    """Whether something is the row of an epoch, as `train` makes it."""
    return _has_epoch(row) and all(name in row for name in MEASURED) and row["epoch"] == epoch


def _has_epoch(row: Any) -> bool:
    """Whether something is a mapping with an epoch, and numbers as far as it has them."""
    if not (isinstance(row, Mapping) and "epoch" in row):
        return False
    given = (row[name] for name in MEASURED if name in row)
    return all(is_number(n) or isinstance(n, float | np.floating) for n in given)


def _check(sim: Simulator, task: CheckedTask, epochs: Any) -> int:
    """Refuse a task that does not fit; give the number of epochs as Python's own."""
    wanted: int = require_count("train", "epochs", epochs, 0, EPOCHS)
    for name, population in (
        ("n_inputs", sim.network.inputs),
        ("n_targets", sim.network.outputs),
    ):
        size = getattr(task, name, None)
        if size is not None and not (is_count(size) and size == population.size):
            raise InputError(
                f"train: task {task_name(task)} has {name} = {shown(size)}, but population "
                f"{population.name!r} of the Simulator's network has size = {population.size}"
            )
    return wanted


class _Bar:
    """A live bar over all steps, with the latest errors; silent unless on a terminal."""

    def __init__(self, wanted: bool, epochs: int, done: int) -> None:
        self._epochs, self._done = epochs, done
        self._length = self._before = 0
        self._bar: Any = None
        if wanted:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            console = screen.console()
            if console.is_terminal:
                words, errors = (TextColumn(f"{{task.{f}}}") for f in ("description", "fields[e]"))
                columns = (words, BarColumn(), TimeRemainingColumn(), errors)
                self._bar = Progress(*columns, console=console, transient=True)
                self._id = self._bar.add_task("before training", total=None, e="")

    def __enter__(self) -> _Bar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, steps: int) -> None:
        """An epoch of so many steps begins."""
        self._length, self._before = steps, 0

    def group(self, steps: int) -> None:
        """A group of series is over, after so many steps."""
        self._before += steps

    def step(self, done: int) -> None:
        """So many steps of the current group are done."""
        if self._bar is not None:
            self._bar.update(
                self._id,
                description=f"epoch {self._done + 1}/{self._epochs}",
                total=self._length * self._epochs,
                completed=self._length * self._done + self._before + done,
            )

    def measured(self, row: Mapping[str, Any]) -> None:
        """An epoch is over."""
        self._done = row["epoch"]
        if self._bar is not None:
            self._bar.update(
                self._id, e=f"mse: train {row['train_mse']:.3g}, test {row['test_mse']:.3g}"
            )
