"""Where a person may be looking."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160  # columns, where nothing has to fit into a window


def console(stderr: bool = False) -> Console:
    """Give where to print. ``console.is_terminal`` tells whether somebody is looking.

    Not the environment's word for it: notebooks tell all programs that they print in colour, and
    a live bar would leave every one of its frames in the file.

    Names and values are printed as they are: brackets and colons in them are no markup.
    """
    from rich.console import Console

    plain: Any = {"markup": False, "emoji": False}
    if (sys.stderr if stderr else sys.stdout).isatty():
        return Console(stderr=stderr, **plain)
    return Console(stderr=stderr, force_terminal=False, width=WIDE, **plain)
