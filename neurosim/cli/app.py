"""The program, its options, and how its commands print."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from neurosim import screen
from neurosim.errors import NeurosimError

# Whatever is heavy is imported inside the commands, so that --help answers at once.
if TYPE_CHECKING:
    from rich.table import Table

    from neurosim.experiments import Config as Loaded


class Commands(TyperGroup):
    """Group of commands that reports what Typer would end without a message."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        except SystemExit as error:  # no command raises it
            raise NeurosimError(
                f"a task, rule or measure of one's own, or its module, ended the command by "
                f"sys.exit({'' if error.code is None else repr(error.code)})"
            ) from error


app = typer.Typer(
    cls=Commands,
    help="Train recurrent networks with local perturbation rules on a simulated chip.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def path(text: str) -> Path:
    """Read a path of the command line; refuse an empty one, to Python the current folder."""
    if not text:
        raise typer.BadParameter("must be a path, and is empty")
    return Path(text)


Config = Annotated[str, typer.Argument(help="A TOML file, or a name from `list configs`.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a setting; repeatable."),
]


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


def print_table(table: Table) -> None:
    """Print a table, whole: in a narrow window its lines are longer, and no number is cut."""
    from rich.measure import Measurement

    shown = screen.console()
    least = Measurement.get(shown, shown.options.update(width=screen.WIDE), table).minimum
    shown.width = max(shown.width, least)
    shown.print(table)


def say_config(given: str, where: object) -> None:
    """Say which file is run, unless it is the one that was given: a name may stand for others."""
    if str(where) != given:
        print(f"config: {where}")


def quoted(path: Path) -> str:
    """Write a path as a command to be repeated needs it."""
    return shlex.quote(str(path))


def say_engine(*configs: Loaded) -> None:
    """Say which engine was chosen where configs left it to "auto", and why."""
    for reason in dict.fromkeys(config.engine_reason for config in configs):
        if reason:
            print(f"engine auto is {reason}")
