"""``neurosim sweep``, ``neurosim tune`` and ``neurosim compare``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosim import screen
from neurosim.cli.app import Config, Set, app, path, print_table, quoted, say_config, say_engine
from neurosim.errors import InputError
from neurosim.values import shortened

if TYPE_CHECKING:
    import pandas as pd

    from neurosim.experiments.sweep.sweep import Outcome

SHOWN = 20  # lines of a table, unless asked for more

Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Processes on this machine. [default: one a core, or one a GPU]"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="tcp://HOST:PORT", help="Use the Dask cluster whose scheduler this is."),
]
Gpus = Annotated[
    bool,
    typer.Option(
        "--gpus", help="One process for each GPU; engine cuda, where the config names none."
    ),
]
Seeds = Annotated[
    str | None, typer.Option(metavar="N or A,B,...", help="How many seeds, or which.")
]


@app.command()
def sweep(
    config: Config,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE.KEY=V,V,...",
            help="Vary a field; or TABLE.KEY=log(low,high,points). Repeatable: all combinations.",
        ),
    ] = None,
    seeds: Seeds = None,
    set_: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, help="The sweep's folder. [default: sweeps/<config>-<hash>]"),
    ] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    gpus: Gpus = False,
) -> None:
    """Run a config many times: the axes in its table [sweep], and --over.

    Exit code 1: a run failed for another reason than its numbers, or none came to a result.
    """
    from neurosim.engines import AUTO
    from neurosim.experiments import config as configs
    from neurosim.experiments import settings
    from neurosim.experiments.sweep import Axes, Sweep, axes, runs
    from neurosim.experiments.sweep.board import Board
    from neurosim.experiments.sweep.results import TABLE, load_results
    from neurosim.experiments.sweep.sweep import Workers

    given, name, where = configs.read(config, set_ or ())
    workers = Workers(jobs, scheduler, gpus)
    given = settings.preferring(given, AUTO if gpus else None)
    table = axes.parse(given.pop(configs.SWEEP, {}))
    chosen = axes.seeds_option(seeds) if seeds is not None else table.seeds
    varied = Axes((*table.axes, *map(axes.option, over or ())), chosen)
    found = runs(given, name, where, varied)
    folder = out or Path("sweeps") / f"{name}-{_digest([run.name for run in found])}"
    many = Sweep(found, folder)
    say_config(config, where)
    say_engine(*(run.config for run in found))
    again = f"what is done is kept in {folder}; to go on, repeat the command"
    with (
        interruptible(again),
        workers,
        Board(name, len(found), sum(run.config.training.epochs for run in found)) as board,
    ):
        outcomes = many.run(workers, board.seen, board.reached)
    frame = load_results(folder, costs=True)
    _summary(frame[frame["run"].isin([run.name for run in found])], (), "test_mse", SHOWN)
    say_failures(outcomes)
    _reasons(frame[frame["status"] == "finished"])
    print(f"\ntable:  {folder / TABLE}  (ns.load_results({str(folder)!r}))")
    print(f"a page: neurosim report {quoted(folder)}")
    exit_by(outcomes)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(parser=path, help="Folders of sweeps or runs.")],
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE.KEY", help="Tell runs apart by this. [default: what differs]"),
    ] = None,
    metric: Annotated[str, typer.Option(help="The column to compare.")] = "test_mse",
    out: Annotated[
        Path | None,
        typer.Option(parser=path, help="Write the table there (.parquet, .csv or .md)."),
    ] = None,
) -> None:
    """Put runs side by side: mean, least and greatest over seeds, the lowest mean first."""
    from neurosim.experiments.sweep import compare as comparing

    frame = comparing.gather(folders)
    found = _summary(frame, by or (), metric, None)
    _reasons(frame)
    if out is not None:
        _write(found, out)


@app.command()
def tune(
    config: Config,
    budget: Annotated[int, typer.Option(min=1, max=100_000, help="Trials, earlier ones included.")],
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE.KEY=LOW,HIGH",
            help="Search a field between these. [default: every learning rate, /100 to *100]",
        ),
    ] = None,
    seeds: Seeds = None,
    set_: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, help="The search's folder. [default: tunings/<config>-<hash>]"),
    ] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    gpus: Gpus = False,
) -> None:
    """Search for learning rates, by training data that are held out; write the best config."""
    from rich.table import Table

    from neurosim.engines import AUTO
    from neurosim.experiments import config as configs
    from neurosim.experiments import settings
    from neurosim.experiments.sweep import axes
    from neurosim.experiments.sweep.board import Board
    from neurosim.experiments.sweep.sweep import Workers
    from neurosim.experiments.tune import BEST, SEEDS, Tuning

    chosen = axes.seeds_option(seeds) if seeds is not None else SEEDS
    ranges = dict(_range(text) for text in search or ())
    workers = Workers(jobs, scheduler, gpus)
    given, name, where = configs.read(config, set_ or ())
    given = settings.preferring(given, AUTO if gpus else None)
    tuning = Tuning(given, name, where, ranges, chosen)
    say_config(config, where)
    say_engine(tuning.base)
    folder = out or Path("tunings") / f"{tuning.name}-{_digest(tuning.settings())}"
    again = f"what is done is kept in {folder}; to go on, repeat the command"
    total = budget * len(tuning.seeds)
    with (
        interruptible(again),
        workers,
        Board(tuning.name, total, total * tuning.base.training.epochs) as board,
    ):
        trials = tuning.search(budget, folder, workers, board.seen, board.reached)
    table = Table(box=None, pad_edge=False)
    for head in ("trial", *tuning.ranges, "held-out MSE"):
        table.add_column(head, justify="right")
    for trial in trials[:SHOWN]:
        rates = (f"{rate:g}" for rate in trial.rates.values())
        table.add_row(str(trial.number), *rates, f"{trial.error:.4g}")
    print_table(table)
    for name in tuning.at_edge(trials[0]):
        low, high = tuning.ranges[name]
        print(f"\n{name}: the best lies at the edge of what was searched, {low:g} to {high:g}")
    print(f"\nbest: {folder / BEST}  (neurosim run {quoted(folder / BEST)})")


# ------------------------------------------------------------------------------- helpers


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Say how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\ninterrupted; {words}", file=sys.stderr)
        raise typer.Exit(130) from None


def _digest(thing: Any) -> str:
    return hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()[:8]


def _range(text: str) -> tuple[str, tuple[float, float]]:
    name, _, ends = text.partition("=")
    try:
        low, high = map(float, ends.split(","))
    except ValueError:
        raise InputError(f"--search {shortened(text)}: must be table.key=low,high") from None
    return name.strip(), (low, high)


def _summary(frame: pd.DataFrame, by: Any, metric: str, most: int | None) -> pd.DataFrame:
    from rich.table import Table

    from neurosim.experiments.sweep import compare as comparing

    if metric not in frame:  # nothing finished
        frame = frame.assign(**{metric: float("nan")}) if "test_mse" not in frame else frame
    found = comparing.compare(frame, by, metric)
    table = Table(box=None, pad_edge=False)
    for head in found.columns:
        table.add_column({"mean": metric.replace("_", " ")}.get(head, head), justify="right")
    for row in found.head(most or len(found)).itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    print_table(table)
    if most is not None and len(found) > most:
        print(f"... and {len(found) - most} more")
    if metric == "test_mse":
        for name, error in comparing.baselines(frame).items():
            print(screen.spelt(f"baseline: {name} {error:.4g}"))
    return found


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exit_by(outcomes: Sequence[Outcome]) -> None:
    """End with exit code 1 if a run failed, or if there are runs and none came to a result."""
    from neurosim.experiments.sweep.runs import FAILED, FINISHED

    became = {outcome.status for outcome in outcomes}
    if FAILED in became or (became and FINISHED not in became):
        raise typer.Exit(1)


def say_failures(outcomes: Sequence[Outcome]) -> None:
    """Say of the first runs that came to no result why."""
    lost = [outcome for outcome in outcomes if outcome.status != "finished"]
    _say_first([f"{each.status}: {each.run.words}: {each.reason}" for each in lost])


def _reasons(frame: pd.DataFrame) -> None:
    """Say of runs what is wrong with them, as their folders have it."""
    wrong = frame[frame["reason"].fillna("") != ""]
    rows = wrong.to_dict("records")
    _say_first([f"{row['status']}: {row['run']}: {row['reason']}" for row in rows])


def _say_first(lines: Sequence[str]) -> None:
    """Print the first lines, and how many there are more."""
    for line in lines[:SHOWN]:
        print(screen.spelt(line), file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"... and {len(lines) - SHOWN} more; all are in the table", file=sys.stderr)


def _write(found: pd.DataFrame, out: Path) -> None:
    from neurosim.experiments.parquet import write_table
    from neurosim.files import whole

    kinds: dict[str, Any] = {
        ".parquet": lambda path: write_table(found, path),
        ".csv": lambda path: found.to_csv(path, index=False),
        ".md": lambda path: path.write_text(_markdown(found), encoding="utf-8"),
    }
    if out.suffix not in kinds:
        raise InputError(f"--out {out}: must end in one of {', '.join(kinds)}")
    with whole(out) as temporary:
        kinds[out.suffix](temporary)


def _markdown(found: pd.DataFrame) -> str:
    from neurosim.experiments.markdown import plain, table

    def cell(value: Any) -> str:
        return plain(value) if isinstance(value, str) else _cell(value)

    rows = (map(cell, row) for row in found.itertuples(index=False))
    heads = list(map(plain, found.columns))
    return "\n".join([*table(heads, map(list, rows), words=len(heads)), ""])
