"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neurosim.screen import one_line


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]], words: int = 1) -> list[str]:
    """Write a table.

    Parameters
    ----------
    head : sequence
        Of the columns.
    rows : iterable of sequence
        Of cells.
    words : int
        So many first columns hold words; the others hold numbers, and are set to the right.
    """
    line = "|---" * words + "|---:" * (len(head) - words) + "|"
    return [_row(head), line, *map(_row, rows)]


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def plain(text: Any) -> str:
    """Write words from elsewhere so that nothing in them means anything to Markdown.

    A bar, which ends a cell, is left to `table`.
    """
    words = one_line(text)
    words = MEANS.sub(r"\\\g<0>", words)
    return FIRST.sub(r"\1\\\2", words)


MEANS = re.compile(
    r"[\\`*\[\]<>#~$]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is a letter
    r"|&(?=#|[A-Za-z])|!(?=\[)"
)
FIRST = re.compile(r"^(\d*)([-+=.)])")  # of a line: a list, or a heading


def code(text: Any) -> str:
    """Quote a few words as they are, in a cell or a sentence."""
    words = one_line(text).replace("`", "'")
    return f"`{words}`" if words else ""


def block(text: str, language: str = "") -> list[str]:
    """Quote lines as they are."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", *text.strip("\n").split("\n"), fence]


def with_unit(number: float, units: Mapping[str, float]) -> str:
    """Write a number in the largest unit that it has one of, or else in the smallest.

    Parameters
    ----------
    number : float
    units : mapping of str to float
        What one of each is, the largest first.
    """
    fitting = [unit for unit, one in units.items() if number >= one]
    unit = fitting[0] if fitting else list(units)[-1]
    return f"{number / units[unit]:.3g}\u00a0{unit}"  # both stay on a line
