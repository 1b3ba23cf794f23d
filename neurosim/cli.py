"""The command line: ``neurosim run | align | list | bench | doctor``."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosim.errors import DivergenceError, NeurosimError

# Whatever is heavy is imported inside the commands, so that --help answers at once.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from neurosim.experiments.run import Experiment, Result

app = typer.Typer(
    help="Train recurrent networks with local perturbation rules on a simulated chip.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class What(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    rules = "rules"
    configs = "configs"
    engines = "engines"
    chips = "chips"


def _version(wanted: bool) -> None:
    if wanted:
        from neurosim import __version__

        print(f"neurosim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A TOML file, or a name from `list configs`.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a setting; repeatable."),
    ] = None,
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
    _print(table)
    print(f"\n{summary.verdict(result)}")
    print(f"{result.seconds_per_step * 1e3:.3g} ms a step while learning")
    print(f"figures: {result.folder / 'figures'}\nrun:     {result.folder}")


@app.command()
def align(
    config: Annotated[str, typer.Argument(help="A TOML file, or a name from `list configs`.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a setting; repeatable."),
    ] = None,
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
        Path | None, typer.Option(help="Take the weights from this run's folder or checkpoint.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights, noise and data.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table as files and a figure.")
    ] = None,
) -> None:
    """Compare a rule's updates with gradients: direction, bias, variance."""
    from neurosim.experiments import align as measured
    from neurosim.experiments import load

    found = measured.measure(
        load(config, set_ or (), seed),
        draws,
        steps,
        series,
        truncations=truncate,
        chunks=chunk or (),
        weights=checkpoint,
    )
    _print(measured.table(found))
    print(f"\n{measured.legend(found)}")
    if out is not None:
        measured.write(found, out)
        print(f"table and figure: {out}")
    if found.interrupted:
        print(f"interrupted after {found.draws} of {draws} draws", file=sys.stderr)
        raise typer.Exit(130)


@app.command(name="list")
def list_(what: Annotated[What, typer.Argument(help="What to list.")]) -> None:
    """List what a config can name."""
    from neurosim.engines import ENGINES
    from neurosim.experiments import registry
    from neurosim.substrate.presets import CHIPS
    from neurosim.substrate.words import explanation

    if what is What.tasks:
        for name, point in registry.tasks().items():
            print(f"{name:<14} {_first_line(registry.task(name))}  [{point.value}]")
    elif what is What.rules:
        for rule in (*registry.RULES.values(), *registry.DECORRELATIONS.values()):
            print(f"{_first_line(rule)}\n{rule.budget()}\n")
    elif what is What.configs:
        for name, path in registry.configs().items():
            print(f"{name:<32} {_first_comment(path)}".rstrip())
    elif what is What.chips:
        for name, chip in CHIPS.items():
            print(f"{name}: {chip!r}\n{textwrap.indent(explanation(chip), '  ')}\n")
    else:
        for name, words in ENGINES.items():
            print(f"{name:<8} {words}")


def _first_line(cls: type) -> str:
    line = (cls.__doc__ or "").strip().split("\n")[0]
    return re.sub(r",? (?:after |and )?\[\d\]_|`", "", line)


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


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
    json_: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure how fast a learning step is, as a fraction of this core's matrix product."""
    import json

    from rich.progress import Progress

    from neurosim.experiments import bench as measured
    from neurosim.experiments.bench_cases import cases

    chosen = cases(rule or (), size or (), against)
    console = _console(stderr=True)
    results = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for case in bar.track(chosen, description="measuring"):
            results.append(measured.measure(case, threads, repeats, against))
    if json_:
        settings = {"threads": threads, "repeats": repeats, "against": against}
        print(json.dumps(measured.as_json(results, **settings), indent=2))
        return
    _print(measured.table(results))
    print(f"\n{measured.legend(results, threads, repeats)}")


@app.command()
def doctor() -> None:
    """Say what neurosim finds on this machine."""
    from rich.table import Table

    from neurosim.experiments import doctor as examined

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, finding in examined.examine():
        table.add_row(name, finding)
    _print(table)


def _print(table: Table) -> None:
    _console().print(table)


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    # Where nobody looks at a terminal, nothing has to fit into one.
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=160)


def main() -> None:
    """Run the command line; say what went wrong in one message, exit code 2."""
    debug = os.environ.get("NEUROSIM_DEBUG", "") not in ("", "0")
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (NeurosimError, ValueError, OSError) as error:  # a task's errors are ValueErrors
        if debug:
            raise
        print("\n".join([f"neurosim: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(2)
