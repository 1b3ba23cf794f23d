"""What is printed, and on what: a terminal, a file, a stream of another alphabet, or nothing."""

from __future__ import annotations

import codecs
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDE = 160  # columns, where nothing has to fit into a window
USUAL = 80  # columns of a window of unknown width

# What neurosim prints beyond ASCII, for streams that cannot show it.
ASCII = {"·": "|", "±": "+-", "²": "2", "µ": "u", "ε": "epsilon", "σ": "sigma", "…": "..."}
READABLE = "neurosim.readable"


def console(stderr: bool = False) -> Console:
    """Give where to print. ``console.is_terminal`` tells whether it is a terminal.

    Not the environment's word for it: notebooks tell all programs that they print in colour, and
    a live bar would leave every one of its frames in the file.

    Names and values are printed as they are: brackets and colons in them are no markup, and what
    would steer the terminal is `spelt`.
    """
    from rich.console import Console as Plain

    class Console(Plain):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(spelt(text), **options)

    plain: Any = {"markup": False, "emoji": False}
    if _is_terminal(sys.stderr if stderr else sys.stdout):
        shown = Console(stderr=stderr, **plain)
        shown.width = shown.width or USUAL  # $COLUMNS may be 0, and tables would vanish
        return shown
    return Console(stderr=stderr, force_terminal=False, width=WIDE, **plain)


_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def spelt(text: Any) -> str:
    """Write characters as escapes that would steer a terminal, or reverse the rest of a line."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: Any) -> str:
    """Write text on one line, `spelt`."""
    return spelt(" ".join(str(text).split()))


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; it may be absent, closed, or an object that only writes."""
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


def print_anything() -> None:
    """Let standard output and error take any text: what they cannot show is spelt in ASCII."""
    codecs.register_error(READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # no stream, one of another kind, a closed one
            stream.reconfigure(errors=READABLE)  # type: ignore[union-attr]


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Spell what a stream cannot show: neurosim's own signs by letters, others by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    spelt = [ASCII.get(x, x).encode("ascii", "backslashreplace").decode() for x in signs]
    return "".join(spelt), error.end
