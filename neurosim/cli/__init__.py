"""The command line: ``neurosim run | sweep | tune | compare | reproduce | report | ...``."""

from __future__ import annotations

import _thread
import errno
import os
import sys
import threading
from typing import Any

from neurosim.cli.app import app

from neurosim.cli import listing, measuring, reporting, reproducing, running, sweeping  # isort: skip
from neurosim import screen
from neurosim.errors import NeurosimError

__all__ = ["app", "listing", "main", "measuring", "reporting", "reproducing", "running", "sweeping"]

# Refusals of the disk: no permission, read-only, full, a name too long.
SURROUNDINGS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG),
)
SOON = 0.05  # [s]; by then the callback has returned


def main() -> None:
    """Run the command line; say what went wrong in one message, exit code 2.

    So are errors of the disk, wherever it is met. Anything else is a fault, in neurosim or in a
    task or rule of one's own: Python shows it whole, exit code 1.
    """
    screen.print_anything()
    sys.unraisablehook = _again
    debug = os.environ.get("NEUROSIM_DEBUG", "") not in ("", "0")
    try:
        app()
    except (NeurosimError, OSError) as error:
        mistake = isinstance(error, NeurosimError) or error.errno in SURROUNDINGS
        if debug or not mistake:
            raise
        said = str(error)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            said = f"the output could not be written ({error.strerror})"  # files have names
        said = "\n".join([f"neurosim: {said}", *getattr(error, "__notes__", [])])
        print(screen.spelt(said), file=sys.stderr)
        sys.exit(2)
    finally:
        sys.unraisablehook = sys.__unraisablehook__


def _again(lost: Any) -> None:
    """Raise a Ctrl-C again that was lost in a library's callback, where Python cannot raise it."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        timer = threading.Timer(SOON, _thread.interrupt_main)
        timer.daemon = True  # a command that has ended by then is not waited for
        timer.start()
    else:
        sys.__unraisablehook__(lost)
