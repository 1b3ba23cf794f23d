"""Names are printed unchanged: brackets and colons in them are no markup."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from rich.table import Table

from neurosim import screen
from neurosim.experiments.sweep.board import Board

NAMES = ["[p]", "[/p]", "a [bold]b[/bold]", "x[0]", "[link=http://x]y", ":smile:", "100 % [red]"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_names_as_they_are(name, capsys):
    table = Table(name, title=name)
    table.add_row(name, style="bold")
    screen.console().print(table)
    assert capsys.readouterr().out.count(name) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_bar_has_names_as_they_are(name, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")  # without the codes of colours
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", Terminal())
    run = SimpleNamespace(
        name="1", words=name, config=SimpleNamespace(training=SimpleNamespace(epochs=1))
    )
    with Board(name, 1, 1) as board:
        board.seen(SimpleNamespace(run=run, status="finished", test_mse=0.5))
        columns = board._bar.columns
        said = [str(c.render(board._bar.tasks[0])) for c in (columns[0], columns[-1])]
    assert said == [name, f"1/1 runs; lowest test MSE 0.5 ({name})"]
