"""Where a person may be looking."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from neurosim.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console

WIDE = 160  # columns, where nothing has to fit into a window


def console(stderr: bool = False) -> Console:
    """Give where to print. ``console.is_terminal`` tells whether somebody is looking.

    Not the environment's word for it: notebooks tell all programs that they print in colour, and
    a live bar would leave every one of its frames in the file.
    """
    from rich.console import Console

    if (sys.stderr if stderr else sys.stdout).isatty():
        return Console(stderr=stderr)
    return Console(stderr=stderr, force_terminal=False, width=WIDE)


def axes(owner: str, ax: Any) -> Axes:
    """Give Matplotlib's axes to draw on: those of `owner`'s argument `ax`, or new ones for None."""
    from matplotlib.axes import Axes

    require(ax is None or isinstance(ax, Axes), owner, "ax", ax, "None or Matplotlib's Axes")
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots()[1]
    return ax
