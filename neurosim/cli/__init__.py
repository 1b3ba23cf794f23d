"""The command line: ``neurosim run | sweep | tune | compare | reproduce | report | ...``."""

from __future__ import annotations

import errno
import os
import sys

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


def main() -> None:
    """Run the command line; say what went wrong in one message, exit code 2.

    So are errors of the disk, wherever it is met. Anything else is a fault, in neurosim or in a
    task or rule of one's own: Python shows it whole, exit code 1.
    """
    screen.print_anything()
    debug = os.environ.get("NEUROSIM_DEBUG", "") not in ("", "0")
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (NeurosimError, OSError) as error:
        mistake = isinstance(error, NeurosimError) or error.errno in SURROUNDINGS
        if debug or not mistake:
            raise
        said = "\n".join([f"neurosim: {error}", *getattr(error, "__notes__", [])])
        print(screen.spelt(said), file=sys.stderr)
        sys.exit(2)
