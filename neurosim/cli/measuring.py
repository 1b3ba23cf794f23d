"""``neurosim align`` and ``neurosim bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from neurosim import screen
from neurosim.cli.app import Config, Set, app, path, print_table, say_config, say_engine


@app.command()
def align(
    config: Config,
    set_: Set = None,
    draws: Annotated[int, typer.Option(help="Updates to draw.")] = 1000,
    steps: Annotated[int, typer.Option(help="Steps of the training series to use.")] = 100,
    series: Annotated[
        int | None, typer.Option(help="Training series to use. [default: the batch]")
    ] = None,
    truncate: Annotated[
        list[int] | None,
        typer.Option(metavar="K", help="Steps of a truncated gradient. [default: 1, 2, 4, ...]"),
    ] = None,
    chunk: Annotated[
        list[int] | None, typer.Option(metavar="K", help="Steps of a gradient's chunks.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(parser=path, help="Take the weights from this run's folder or checkpoint."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights, noise and data.")] = None,
    out: Annotated[
        Path | None, typer.Option(parser=path, help="Folder for the table as files and a figure.")
    ] = None,
) -> None:
    """Compare a rule's updates with gradients: direction, bias, variance."""
    from neurosim.experiments import align as measured
    from neurosim.experiments import load

    loaded = load(config, set_ or (), seed)
    say_config(config, loaded.where)
    say_engine(loaded)
    found = measured.measure(
        loaded,
        draws,
        steps,
        series,
        truncations=truncate,
        chunks=chunk or (),
        weights=checkpoint,
    )
    print_table(measured.table(found))
    print(f"\n{measured.legend(found)}")
    if out is not None:
        measured.write(found, out)
        print(f"table and figure: {out}")
    if found.interrupted:
        print(f"interrupted after {found.draws} of {draws} draws", file=sys.stderr)
        raise typer.Exit(130)


@app.command()
def bench(
    rule: Annotated[
        list[str] | None,
        typer.Option(help="NP, ANP, WP, WP-rademacher; D in front: decorrelated. Repeatable."),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="N,BATCH", help="Neurons, replicas. Repeatable.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the simulator.")] = 1,
    repeats: Annotated[int, typer.Option(help="Timed runs per case; medians are shown.")] = 5,
    against: Annotated[
        str | None, typer.Option(metavar="jax|torch", help="Run a framework's peer by turns.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Of the simulator, from `list engines`.")] = "cpu",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure how fast a learning step is, as a fraction of this core's matrix product."""
    import json

    from rich.progress import Progress

    from neurosim.engines import AUTO, resolve
    from neurosim.experiments import bench as measured
    from neurosim.experiments.bench_cases import cases

    used, reason = resolve(engine)
    if engine == AUTO and not json_:
        print(f"engine auto is {reason}")
    chosen = cases(rule or (), size or (), against)
    shown = screen.console(stderr=True)
    results = []
    with Progress(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        for case in bar.track(chosen, description="measuring"):
            results.append(measured.measure(case, threads, repeats, against, used))
    if json_:
        settings = {"threads": threads, "repeats": repeats, "against": against}
        print(json.dumps(measured.as_json(results, used, **settings), indent=2))
        return
    print_table(measured.table(results))
    print(f"\n{measured.legend(results, threads, repeats, used)}")
