"""How objects are shown: on one line, and as a small table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

MOST = 8  # items of a list on one line


def brief(thing: Any) -> str:
    """Write a dataclass on one line: its class, and the fields that are not as by default."""
    if not is_dataclass(thing) or isinstance(thing, type):
        return repr(thing)
    given = {f.name: (getattr(thing, f.name), f.default) for f in fields(thing) if f.repr}
    told = (f"{k}={v!r}" for k, (v, usual) in given.items() if repr(v) != repr(usual))
    return f"{type(thing).__name__}({', '.join(told)})"


def few(items: Iterable[Any], between: str) -> str:
    """Join items, the first and the last of many."""
    words = list(map(str, items))
    if len(words) > MOST:
        words[MOST - 2 : -1] = ["..."]
    return between.join(words)


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Write a table of two columns in HTML, in which nothing that is given is markup."""
    lines = (
        f"<tr><th style='text-align:left'>{escape(str(name))}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<b>{escape(title)}</b><table>{''.join(lines)}</table>"
