"""Matplotlib, whichever backend the environment names.

A notebook's kernel tells every program that it starts to draw by a backend of its own
(``MPLBACKEND``). Where that is not installed, importing Matplotlib fails, and no backend is needed
for a file. It takes a second to import: modules that only may draw import this one when they do.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from neurosim.values import require

_log = logging.getLogger("matplotlib")
_level = _log.level
_log.setLevel(logging.ERROR)  # without a home of its own it says so each time, and goes on

try:
    import matplotlib
except ValueError:
    named = os.environ.pop("MPLBACKEND", None)
    if named is None:
        raise
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        del sys.modules[module]  # they know the one that was not imported to its end
    import matplotlib

    os.environ["MPLBACKEND"] = named

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.style import context  # noqa: E402
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter  # noqa: E402

_log.setLevel(_level)

__all__ = [
    "Axes",
    "Figure",
    "FigureCanvasAgg",
    "Line2D",
    "LogLocator",
    "MaxNLocator",
    "NullFormatter",
    "StrMethodFormatter",
    "axes",
    "context",
    "matplotlib",
]


def axes(owner: str, ax: Any) -> Axes:
    """Give axes to draw on: those of `owner`'s argument `ax`, or for None those of a new figure.

    The figure is one of pyplot's, which notebooks show, if its backend can be had.

    Raises
    ------
    InputError
        If `ax` is something else.
    """
    require(ax is None or isinstance(ax, Axes), owner, "ax", ax, "None or Matplotlib's Axes")
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt

        return plt.subplots()[1]
    except ImportError:
        return Figure(layout="constrained").add_subplot()
