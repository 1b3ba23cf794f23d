"""What a person sees of a sweep that is under way."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any

from neurosim.experiments.sweep.runs import FINISHED
from neurosim.experiments.sweep.sweep import Outcome


class Board:
    """A live bar over runs, with the best so far; silent unless on a terminal.

    Parameters
    ----------
    total : int
        Runs altogether.
    title : str
    """

    def __init__(self, total: int, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.best: Outcome | None = None
        self.failed = 0
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        more = (Remaining(), TextColumn("{task.fields[said]}"))
        self._bar = Progress(
            *columns, *more, console=console, transient=True, disable=not console.is_terminal
        )
        self._task: Any = self._bar.add_task(title, total=total, said="")

    def __enter__(self) -> Board:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def seen(self, outcome: Outcome) -> None:
        """A run is over."""
        self.failed += outcome.status != FINISHED
        least = math.inf if self.best is None else self.best.test_mse
        if outcome.test_mse < least:
            self.best = outcome
        self._bar.update(self._task, advance=1, said=self._said())

    def counted(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._bar.update(self._task, completed=done, total=total)

    def _said(self) -> str:
        said = []
        if self.best is not None:
            said.append(f"best test MSE {self.best.test_mse:.4g} ({self.best.run.words})")
        if self.failed:
            said.append(f"{self.failed} without result")
        return "; ".join(said)
