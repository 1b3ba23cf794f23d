"""Workers on this machine: processes of their own, each started again when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping

PAUSE = 0.1  # before a process that died is started again [s]
PATIENCE = 5.0  # how long a process may take to end by itself [s]

# Modules are found where this process finds them, whatever was added to its path; until that is
# set, Python's own come before those of the current folder (-P).
BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from neurosim.experiments.sweep.worker import main; main()"
)


class Processes:
    """Processes of one scheduler.

    Each has a thread that starts it, waits for its end and starts the next one, so that one that
    dies is missed at any time, while it starts as well.

    Parameters
    ----------
    scheduler : str
        Its address.

    Attributes
    ----------
    died : int
        How many have died since this number was last set to 0.
    ends : dict of int to int
        How those that died did: exit codes, or signals below 0, by process number.
    """

    def __init__(self, scheduler: str) -> None:
        self.died = 0
        self.ends: dict[int, int] = {}
        self._scheduler = scheduler
        self._threads: list[threading.Thread] = []
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._threads)

    def add(self, environment: Mapping[str, str] | None = None) -> None:
        """Start one more.

        Parameters
        ----------
        environment : mapping of str to str, optional
            Variables to add to those of this process.
        """
        thread = threading.Thread(target=self._keep, args=(environment or {},), daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self, number: int) -> None:
        """Kill the process of this number, if it is still there; another one is started."""
        with self._lock:
            process = self._running.get(number)
        if process is not None:
            process.kill()

    def close(self, ending: Collection[int] = ()) -> None:
        """End all of them.

        Parameters
        ----------
        ending : collection of int
            Numbers of processes that end by themselves, if they are given a moment.
        """
        with self._lock:
            self._closing.set()
            running = dict(self._running)
        deadline = time.monotonic() + PATIENCE
        for number, process in running.items():
            if number not in ending:
                process.kill()
        for process in running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _keep(self, environment: Mapping[str, str]) -> None:
        # Ctrl-C is for the process that started them, which then ends them. What a thread blocks
        # is blocked in the processes that it starts, from their first moment on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while not self._closing.is_set():
            process = self._start(environment)
            if process is not None:
                code = process.wait()
                with self._lock:
                    self._running.pop(process.pid, None)
                    self.ends[process.pid] = code
                process.stdin.close()  # type: ignore[union-attr]
            with self._lock:
                self.died += 1
            self._closing.wait(PAUSE)

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._closing.is_set():
                return None
            try:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-c", BEGIN, json.dumps(list(map(str, sys.path))),
                     self._scheduler],
                    stdin=subprocess.PIPE,  # closed by the system when this process ends
                    env={**os.environ, **environment},
                )  # fmt: skip
            except OSError:  # no memory, or too many processes: it may be better in a moment
                return None
            self._running[process.pid] = process
        return process
