"""``neurosim report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosim.cli.app import app, path


@app.command()
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            parser=path,
            metavar="DIR",
            help="A run's, sweep's or figure's folder; or several, side by side.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(parser=path, help="The file. [default: DIR/report.html]")
    ] = None,
) -> None:
    """Write a page for people: one HTML file that needs nothing else."""
    from neurosim import screen
    from neurosim.experiments import report as pages

    shown = screen.console(stderr=True)  # a large network takes long
    with shown.status("evaluating and drawing", spinner="line"):
        made = pages.write(folders, out)
    print(made)
