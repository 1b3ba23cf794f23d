"""Names are printed unchanged: brackets and colons in them are no markup."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.table import Table

from neurosim import screen
from neurosim.cli import sweeping
from neurosim.experiments import figures, markdown
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


STEERING = "\x1b[31ma\x1b[0m\r\0\x9b2J\u202eb\u2066"
SPELT = r"\x1b[31ma\x1b[0m\r\x00\x9b2J\u202eb\u2066"


def test_what_would_steer_a_terminal_is_spelt(capsys, monkeypatch):
    table = Table(STEERING, title=STEERING)
    table.add_row(STEERING, style="bold")
    screen.console().print(table)
    assert capsys.readouterr().out.count(SPELT) == 3
    monkeypatch.setattr(sys, "stderr", Terminal())
    board = Board(STEERING, 1, 1)
    columns = board._bar.columns
    assert str(columns[0].render(board._bar.tasks[0])) == SPELT
    assert screen.spelt("図 é\n\tאב 👨\u200d👩 \ud800") == "図 é\n\tאב 👨\u200d👩 \\ud800"


@pytest.mark.parametrize("write", [markdown.plain, markdown.code, figures.as_it_is])
def test_so_it_is_on_a_page_and_in_a_figure(write):
    written = write(STEERING)
    assert screen.spelt(written) == written
    assert "x1b" in written


def test_a_comparison_of_a_strangers_runs_does_not_steer_the_terminal(capsys):
    rows = [{"run": str(k), "status": "finished", "test_mse": k, "task.a": k} for k in range(2)]
    frame = pd.DataFrame(rows).assign(reason=STEERING, **{f"baseline.{STEERING}": 0.5})
    frame["task.a"] = [STEERING, "b"]
    sweeping._summary(frame, (), "test_mse", None)
    sweeping._reasons(frame)
    said = capsys.readouterr()
    assert said.out.count(SPELT) == 4  # in the table, and thrice in the names of baselines
    assert said.err.count(SPELT) == 2
    assert "\x1b" not in said.out + said.err
