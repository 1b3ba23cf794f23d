"""``neurosim run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosim import screen
from neurosim.cli.app import Config, Set, app, path, print_table, quoted, say_config, say_engine
from neurosim.errors import DeviceError, DivergenceError

if TYPE_CHECKING:
    from neurosim.experiments import Config as Loaded
    from neurosim.experiments.run import Experiment, Result


@app.command()
def run(
    config: Config,
    set_: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, help="The run's folder. [default: runs/<config>-<hash>]"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="As training.engine: a name from `list engines`.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights, noise and data.")] = None,
    epochs: Annotated[int | None, typer.Option(help="As training.epochs.")] = None,
    threads: Annotated[int, typer.Option(help="Threads; they change no number.")] = 1,
) -> None:
    """Train as a config says, compare with baselines, draw figures, sum up."""
    from neurosim.experiments import Experiment, load

    settings = list(set_ or [])
    settings += [f'training.engine="{engine}"'] * (engine is not None)
    settings += [f"training.epochs={epochs}"] * (epochs is not None)
    loaded = load(config, settings, seed)
    say_config(config, loaded.where)
    say_engine(loaded)
    if resume and out is None:
        out = _begun(loaded)
    _follow(Experiment(loaded, out, threads), resume)


def _begun(config: Loaded) -> Path | None:
    """Find the folder of a run that stopped on another engine, if there is none on this one."""
    from neurosim.engines import ENGINES
    from neurosim.experiments import Experiment

    if Experiment(config).folder.config.is_file():
        return None
    for engine in ENGINES:
        folder = Experiment(config.on(engine)).folder
        if folder.config.is_file() and not folder.result.is_file():
            print(f"going on with {folder.path}, which began on engine {engine}")
            return folder.path
    return None


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
    except (DivergenceError, DeviceError) as error:
        if folder.checkpoint.is_file():
            error.add_note(f"last checkpoint: {folder.checkpoint}")
            if isinstance(error, DeviceError):
                error.add_note("to go on, repeat the command with --resume --engine cpu")
        raise
    _report(result)


def _report(result: Result) -> None:
    from rich.table import Table

    from neurosim.experiments import summary

    columns = summary.score_columns(result.table)
    table = Table(title=None, box=None, pad_edge=False)
    table.add_column("")
    for name in columns:
        table.add_column(summary.heading(name), justify="right")
    for who, row in result.table.iterrows():
        style = "bold" if str(who).startswith("network, after") else None
        table.add_row(str(who), *(summary.number(row[name]) for name in columns), style=style)
    print_table(table)
    print(screen.spelt(f"\n{summary.verdict(result)}"))
    print(f"{result.seconds_per_step * 1e3:.3g} ms a step while learning")
    print(f"figures: {result.folder / 'figures'}\nrun:     {result.folder}")
    print(f"a page:  neurosim report {quoted(result.folder)}")
