"""The page of a figure that was done again, or of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from neurosim.experiments.report.page import Page, Picture
from neurosim.experiments.reproduce.report import HEADS
from neurosim.experiments.reproduce.run import FIGURE, SUMMARY, TABLE
from neurosim.files import read_text

HERE = f"]({FIGURE}.png)"


def is_figure(folder: Path) -> bool:
    """Whether `neurosim reproduce` wrote a figure here."""
    return all((folder / name).is_file() for name in (SUMMARY, TABLE, f"{FIGURE}.svg"))


def of_all(folder: Path) -> list[Path]:
    """Figures that lie beside each other in a folder."""
    return [path for path in sorted(folder.glob("*")) if path.is_dir() and is_figure(path)]


def page(title: str, folders: Sequence[Path]) -> Page:
    """Put the summaries and figures of folders on one page."""
    texts = [read_text(path / SUMMARY) for path in folders]
    names = [f"figure-{k}" for k in range(len(texts))]  # folders may be called anything, or alike
    drawings = [read_text(path / f"{FIGURE}.svg") for path in folders]
    pictures = {name: Picture(svg) for name, svg in zip(names, drawings, strict=True)}
    texts = [text.replace(HERE, f"]({name})") for name, text in zip(names, texts, strict=True)]
    if len(texts) == 1:
        heading, _, text = texts[0].partition("\n")
        return Page(heading.removeprefix("# "), text, pictures)
    # Each becomes a part: its title a heading of the second level, the others one below theirs.
    parts = [re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE) for text in texts]
    return Page(title, "\n".join(parts), pictures, [_count(text) for text in texts])


def _count(text: str) -> str:
    """Count a summary's comparisons by what came of them."""
    counts = dict.fromkeys(HEADS, 0)
    verdict = None
    for line in text.splitlines():
        if line.startswith("#"):
            verdict = next((v for v, head in HEADS.items() if line == f"## {head}"), None)
        elif verdict is not None and line.startswith("  - "):
            counts[verdict] += 1
    total = sum(counts.values())
    if not total:
        return "nothing that numbers could contradict"
    differ, unclear, agree = (counts[verdict] for verdict in HEADS)
    return (
        f"of {total} comparisons with the paper's claims {differ} differ, {unclear} are not "
        f"clear, {agree} agree"
    )
