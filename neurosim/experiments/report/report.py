"""Make a page of whatever folders hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from neurosim.errors import CheckpointError, InputError, StorageError
from neurosim.experiments import own
from neurosim.experiments.folder import Folder, write_text
from neurosim.experiments.report import figure, many, run
from neurosim.experiments.report.kept import Kept
from neurosim.experiments.report.page import Page, as_html
from neurosim.experiments.sweep.results import POOL
from neurosim.files import place

NAME = "report.html"


@own.elsewhere()
def write(folders: Sequence[str | os.PathLike[str]], out: Path | None = None) -> Path:
    """Write a report of a run, a sweep, a figure done again, or several of these.

    Parameters
    ----------
    folders : sequence of path-like
        One folder that `neurosim run`, `sweep`, `tune` or `reproduce` wrote; or runs and sweeps,
        to be put side by side; or figures.
    out : Path, optional
        The file. ``report.html`` in the folder by default; of several, in the current one.

    Returns
    -------
    Path
        Where it is: one file of HTML, which needs no other, no script and no network.

    Raises
    ------
    InputError
        If a folder holds none of these.
    CheckpointError
        If the config of the one run that there is, or its checkpoint, is damaged.
    StorageError
        If the file cannot be written; or is a link, unless it is chosen.

    Notes
    -----
    No module that a config names is imported, and no package that lies in the current folder. Of a
    run whose task or rules are of one's own there are therefore no predictions, and no costs of
    its network.
    """
    paths = [place(folder) for folder in folders]
    if out is None:
        out = paths[0] / NAME if len(paths) == 1 else Path(NAME)
        if os.path.islink(out):  # it may be a stranger's, to any file of one's own
            raise StorageError(f"{out}: is a link to {os.readlink(out)}; choose a file by --out")
    page = _page(paths)
    write_text(out, as_html(page))
    return out


def _page(paths: Sequence[Path]) -> Page:
    first, alone = paths[0], len(paths) == 1
    if all(map(figure.is_figure, paths)):
        return figure.page("The paper's figures", paths)
    if alone and (figures := figure.of_all(first)):
        return figure.page(f"The paper's figures: {first.resolve().name}", figures)
    if alone and Folder(first).config.is_file():
        return run.page(Kept.read(Folder(first.resolve())))
    runs, lost = [], []
    for path in dict.fromkeys(p for each in paths for p in _runs(each)):
        try:
            runs.append(Kept.read(Folder(path)))
        except CheckpointError as error:  # the others have something to show
            lost.append(error)
    if not runs:
        raise lost[0]
    title = first.resolve().name if alone else "Runs side by side"
    return many.page(title, runs, [str(error) for error in lost])


def _runs(path: Path) -> list[Path]:
    """Runs' folders that a folder is or holds, resolved."""
    if Folder(path).config.is_file():
        return [path.resolve()]
    pool = path / POOL
    begun = [p for p in sorted(pool.glob("*")) if Folder(p).config.is_file()]
    if not begun:
        raise InputError(
            f"{path}: holds no run, no sweep and no figure (no config.toml, no {POOL}/ with runs, "
            f"no {figure.SUMMARY})"
        )
    return [p.resolve() for p in begun]
