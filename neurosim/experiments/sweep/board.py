"""What a person sees of a sweep that is under way."""

from __future__ import annotations

import math
from typing import Any

from neurosim import screen
from neurosim.experiments.sweep.runs import FINISHED
from neurosim.experiments.sweep.sweep import Outcome


class Board:
    """A live bar over the epochs of all runs, with the best so far; silent unless on a terminal.

    Parameters
    ----------
    title : str
    runs, epochs : int
        How many there are altogether.
    """

    def __init__(self, title: str, runs: int, epochs: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.best: Outcome | None = None
        self.over = self.failed = 0
        self._runs = runs
        self._reached: dict[str, int] = {}
        console = screen.console(stderr=True)
        # A bar does not ask its console whether brackets in a name are markup.
        heading, said = (
            TextColumn(form, markup=False) for form in ("{task.description}", "{task.fields[said]}")
        )
        columns = (heading, BarColumn(), Remaining())
        self._bar = Progress(
            *columns, said, console=console, transient=True, disable=not console.is_terminal
        )
        self._task: Any = self._bar.add_task(
            screen.spelt(title), total=epochs, said=f"0/{runs} runs"
        )

    def __enter__(self) -> Board:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def seen(self, outcome: Outcome) -> None:
        """A run is over."""
        self.over += 1
        self.failed += outcome.status != FINISHED
        least = math.inf if self.best is None else self.best.test_mse
        if outcome.test_mse < least:
            self.best = outcome
        self.reached(outcome.run.name, outcome.run.config.training.epochs)

    def reached(self, run: str, epoch: int) -> None:
        """A run has done so many epochs."""
        self._reached[run] = max(epoch, self._reached.get(run, 0))
        done = sum(list(self._reached.values()))
        self._bar.update(self._task, completed=done, said=self._said())

    def counted(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._bar.update(self._task, completed=done, total=total, said=f"{done}/{total}")

    def _said(self) -> str:
        said = [f"{self.over}/{self._runs} runs"]
        if self.best is not None:
            said.append(f"lowest test MSE {self.best.test_mse:.4g} ({self.best.run.words})")
        if self.failed:
            said.append(f"{self.failed} without result")
        return screen.spelt("; ".join(said))
