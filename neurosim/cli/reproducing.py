"""``neurosim reproduce``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from neurosim import screen
from neurosim.cli.app import Set, app, path, quoted, say_config, say_engine
from neurosim.cli.sweeping import Gpus, Jobs, Scheduler, exit_by, interruptible, say_failures


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="A figure, from `list figures`; or all.")],
    scale: Annotated[
        str, typer.Option(metavar="small|paper", help="Minutes, or the published size.")
    ] = "small",
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    jobs: Jobs = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, help="Where runs and reports go. [default: reproduced/<scale>]"),
    ] = None,
    set_: Set = None,
    scheduler: Scheduler = None,
    gpus: Gpus = False,
) -> None:
    """Do a figure of the paper again: table, figure, summary, differences first.

    Exit code 1: as for `neurosim sweep`.
    """
    from neurosim.engines import AUTO
    from neurosim.experiments import reproduce as figures
    from neurosim.experiments import settings
    from neurosim.experiments.reproduce.claims import DIFFERS
    from neurosim.experiments.sweep.board import Board
    from neurosim.experiments.sweep.sweep import Workers

    changes = dict(map(settings.override, set_ or ()))
    wanted = list(figures.names()) if name == "all" else [name]
    processes = Workers(jobs, scheduler, gpus)
    engine = AUTO if gpus else None
    plans = [figures.load(each, scale, seeds, changes, engine) for each in wanted]
    for each in wanted:
        say_config(each, figures.names()[each])
    # Every config is checked before anything is run.
    say_engine(*(run.config for plan in plans for run in plan.runs))
    folder = out or Path("reproduced") / scale
    again = f"what is done is kept in {folder}; to go on, repeat the command"
    reports = []
    with interruptible(again), processes as workers:
        for plan in plans:
            start = time.perf_counter()
            epochs = sum(run.config.training.epochs for run in plan.runs)
            with Board(plan.name, len(plan.runs), epochs) as board:
                done = figures.reproduce(plan, folder, workers, board)
            reports.append(done)
            minutes = (time.perf_counter() - start) / 60
            differ = sum(f.verdict == DIFFERS for f in done.findings)
            screen.console().print(
                f"{plan.name}: {done.folder} ({minutes:.1f} min); {differ} of "
                f"{len(done.findings)} comparisons differ from the paper's claim",
                highlight=False,
                soft_wrap=True,
            )
    if len(reports) == 1:
        print("\n" + reports[0].text.split("\n## Settings")[0])
        folder = reports[0].folder
    else:
        print(f"\nreport: {figures.join(reports, folder)}")
    print(f"a page: neurosim report {quoted(folder)}")
    outcomes = [outcome for done in reports for outcome in done.outcomes]
    say_failures(outcomes)
    exit_by(outcomes)
