"""From a config to a table of how its rule's updates align with gradients."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from neurosim import checkpoint
from neurosim.alignment import Alignment, align
from neurosim.errors import InputError
from neurosim.experiments import figures
from neurosim.experiments.config import Config
from neurosim.experiments.parquet import write_table
from neurosim.files import place, whole
from neurosim.moments import MEASURES
from neurosim.task import checked
from neurosim.values import is_count, require, require_count

if TYPE_CHECKING:
    from rich.table import Table

PREFIX = "weights/"  # of the arrays in a checkpoint that are weights


def measure(
    config: Config,
    draws: int = 1000,
    steps: int = 100,
    series: int | None = None,
    truncations: Iterable[int] | None = None,
    chunks: Iterable[int] = (),
    weights: Path | None = None,
) -> Alignment:
    """Compare the updates of a config's rule with gradients, on its training data.

    Parameters
    ----------
    config : Config
    draws, truncations, chunks
        As for `neurosim.alignment.align`.
    steps : int
        How much of the first epoch's training series to use, from their start.
    series : int, optional
        How many of them: the update is a mean over as many. The config's batch by default.
    weights : path-like, optional
        A checkpoint, or a run's folder, to take the weights from. None: before training.

    Raises
    ------
    InputError
        For a value outside what is allowed.
    CheckpointError
        If there is no such checkpoint, or it is damaged.
    """
    with config.asking():
        inputs, targets = checked(config.task, "align").train(0)
    most = inputs.shape[1]
    series = min(config.training.batch, most) if series is None else series
    require_count("align", "steps", steps, 1)
    fine = is_count(series) and 1 <= series <= most
    require(fine, "align", "series", series, f"a whole number in [1, {most}], as the task has")
    part = slice(steps), slice(series)
    sim = config.simulator()
    if weights is not None:
        path = place(weights)
        path = path / "checkpoint.npz" if path.is_dir() else path
        arrays = checkpoint.read(path)[0]
        found = {n.removeprefix(PREFIX): w for n, w in arrays.items() if n.startswith(PREFIX)}
        try:
            sim.weights = found
        except InputError as error:
            raise InputError(f"{path}: is of another network ({error})") from error
    with threadpool_limits(limits=1):  # the matrices are small
        return align(
            sim,
            inputs[part],
            targets[part],
            draws=draws,
            truncations=truncations,
            chunks=chunks,
        )


def table(measured: Alignment) -> Table:
    """Results for people: each number with its standard error."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False)
    for name in ("projection", "gradient"):
        drawn.add_column(name)
    for name in MEASURES:
        drawn.add_column({"bias2": "bias²", "snr": "SNR"}.get(name, name), justify="right")
    before = None
    for row in measured.frame.to_dict("records"):
        cells = [_number(row[name], row[f"{name}_se"]) for name in MEASURES]
        name = row["projection"]
        drawn.add_row("" if name == before else name, row["reference"], *cells)
        before = name
    return drawn


def _number(value: float, error: float) -> str:
    if abs(value) < 10 and error < 10:
        return f"{value:.3f} ± {error:.3f}"
    return f"{value:.3g} ± {error:.1g}"


def legend(measured: Alignment) -> str:
    """Say what the columns mean."""
    return (
        f"{measured.draws} draws, ± one standard error; hidden: A and R as one vector\n"
        "cosine, scale: of the mean update to and along the gradient; bias²: squared distance "
        "of the two;\nvariance: of one update over noise; both over the gradient's squared length; "
        "SNR: the mean's\nsquared length over the variance. Noise left in the mean is taken off, "
        "so a cosine may exceed 1."
    )


def write(measured: Alignment, folder: Path) -> None:
    """Write ``alignment.csv``, ``alignment.parquet`` and ``alignment.png``.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    with whole(folder / "alignment.csv") as temporary:
        measured.frame.to_csv(temporary, index=False)
    write_table(measured.frame, folder / "alignment.parquet")
    with figures.defaults():
        figure = figures.new(7.0, 4.5)
        ax = measured.plot(figure.add_subplot())
        ax.set_title(f"Mean update and gradients, {measured.draws} draws", loc="left")
        figures.save(figure, folder / "alignment.png")
