"""``neurosim run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosim.cli.app import Config, Set, app, print_table
from neurosim.errors import DivergenceError

if TYPE_CHECKING:
    from neurosim.experiments.run import Experiment, Result


@app.command()
def run(
    config: Config,
    set_: Set = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. [default: runs/<config>-<hash>]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    engine: Annotated[str | None, typer.Option(help="As training.engine.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights, noise and data.")] = None,
    epochs: Annotated[int | None, typer.Option(help="As training.epochs.")] = None,
    threads: Annotated[int, typer.Option(help="Threads; they change no number.")] = 1,
) -> None:
    """Train as a config says, compare with baselines, draw figures, sum up."""
    from neurosim.experiments import Experiment, load

    settings = list(set_ or [])
    settings += [f'training.engine="{engine}"'] * (engine is not None)
    settings += [f"training.epochs={epochs}"] * (epochs is not None)
    experiment = Experiment(load(config, settings, seed), out, threads)
    _follow(experiment, resume)


def _follow(experiment: Experiment, resume: bool) -> None:
    folder = experiment.folder
    if folder.finished(experiment.config):
        print(f"{folder.path} holds this run, finished: nothing to train (--out for a new one)")
    try:
        result = experiment.run(resume)
    except KeyboardInterrupt:
        words = "interrupted; nothing was kept yet"
        if folder.checkpoint.is_file():
            words = (
                f"interrupted; every whole epoch is kept in {folder.path}; to go on, repeat "
                f"the command with --resume"
            )
        print(f"\n{words}", file=sys.stderr)
        raise typer.Exit(130) from None
    except DivergenceError as error:
        if folder.checkpoint.is_file():
            error.add_note(f"last checkpoint: {folder.checkpoint}")
        raise
    _report(result)


def _report(result: Result) -> None:
    from rich.table import Table

    from neurosim.experiments import summary

    columns = summary.score_columns(result.table)
    table = Table(title=None, box=None, pad_edge=False)
    table.add_column("")
    for name in columns:
        table.add_column(name.replace("_", " ").replace("mse", "MSE"), justify="right")
    for who, row in result.table.iterrows():
        style = "bold" if str(who).startswith("network, after") else None
        table.add_row(str(who), *(summary.number(row[name]) for name in columns), style=style)
    print_table(table)
    print(f"\n{summary.verdict(result)}")
    print(f"{result.seconds_per_step * 1e3:.3g} ms a step while learning")
    print(f"figures: {result.folder / 'figures'}\nrun:     {result.folder}")
    print(f"a page:  neurosim report {result.folder}")
