"""``neurosim list`` and ``neurosim doctor``."""

from __future__ import annotations

import re
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neurosim.cli.app import app, print_table
from neurosim.files import text_of


class What(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    rules = "rules"
    configs = "configs"
    engines = "engines"
    chips = "chips"
    figures = "figures"


@app.command(name="list")
def list_(what: Annotated[What, typer.Argument(help="What to list.")]) -> None:
    """List what a config can name."""
    from neurosim.engines import AUTO, AUTO_WORDS, ENGINES
    from neurosim.experiments import registry, reproduce
    from neurosim.substrate.presets import CHIPS
    from neurosim.substrate.words import explanation

    if what is What.tasks:
        for name, point in registry.tasks().items():
            print(f"{name:<14} {_first_line(registry.task(name))}  [{point.value}]")
    elif what is What.rules:
        for rule in (*registry.RULES.values(), *registry.DECORRELATIONS.values()):
            print(f"{_first_line(rule)}\n{rule.budget()}\n")
    elif what is What.configs:
        own = registry.own_config_folder()
        for name, path in registry.configs().items():
            where = f"  [{path}]" if own is not None and path.is_relative_to(own) else ""
            print(f"{name:<32} {_first_comment(path)}{where}".rstrip())
    elif what is What.figures:
        for name, path in reproduce.names().items():
            print(f"{name:<20} {_first_comment(path)}".rstrip())
    elif what is What.chips:
        for name, chip in CHIPS.items():
            print(f"{name}: {chip!r}\n{textwrap.indent(explanation(chip), '  ')}\n")
    else:
        for name, words in {**ENGINES, AUTO: AUTO_WORDS}.items():
            print(f"{name:<9} {words}")


def _first_line(cls: type) -> str:
    line = (cls.__doc__ or "").strip().split("\n")[0]
    return re.sub(r",? (?:after |and )?\[\d\]_|`", "", line)


def _first_comment(path: Path) -> str:
    try:
        first = text_of(path).split("\n", 1)[0]
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    return first.removeprefix("#").strip() if first.startswith("#") else ""


@app.command()
def doctor() -> None:
    """Say what neurosim finds on this machine."""
    from rich.table import Table

    from neurosim.experiments import doctor as examined

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, finding in examined.examine():
        table.add_row(name, finding)
    print_table(table)
