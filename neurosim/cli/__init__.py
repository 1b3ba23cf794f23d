"""The command line: ``neurosim run | sweep | tune | compare | reproduce | report | ...``."""

from __future__ import annotations

import os
import sys

from neurosim.cli.app import app

from neurosim.cli import listing, measuring, reporting, reproducing, running, sweeping  # isort: skip
from neurosim import screen
from neurosim.errors import NeurosimError

__all__ = ["app", "listing", "main", "measuring", "reporting", "reproducing", "running", "sweeping"]


def main() -> None:
    """Run the command line; say what went wrong in one message, exit code 2."""
    screen.print_anything()
    debug = os.environ.get("NEUROSIM_DEBUG", "") not in ("", "0")
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (NeurosimError, ValueError, OSError) as error:  # a task's errors are ValueErrors
        if debug:
            raise
        print("\n".join([f"neurosim: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(2)
