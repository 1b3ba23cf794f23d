"""A process that does runs, one at a time: a Dask worker that ends with its parent process.

`neurosim.experiments.sweep.processes` starts it; its argument is the scheduler's address.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from typing import Any

supervised = False  # whether this is such a process, which another one takes the place of


def main() -> None:
    """Serve a scheduler until it closes."""
    global supervised
    supervised = True
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from distributed import Worker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_serve(Worker, sys.argv[1]))
    os._exit(0)  # at once: it is waited for


async def _serve(Worker: Any, scheduler: str) -> None:
    async with Worker(
        scheduler,
        nthreads=1,
        host="127.0.0.1",
        memory_limit=None,  # the system knows better when memory runs out
        silence_logs=logging.CRITICAL,
    ) as worker:
        await worker.finished()


def _end_with_parent() -> None:
    """Wait for the end of the standard input: the process at its other side is gone."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)
