"""Runs are handed to workers, one at a time each, and come back done, or are handed out again.

All of it is decided here: a scheduler that is given more than it has workers for lets runs wait in
line behind others, and counts the death of a worker for those that waited as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

from neurosim.errors import StorageError
from neurosim.experiments.sweep.results import epochs_kept
from neurosim.experiments.sweep.runs import BUSY, FAILED, Run, carry_out, done, reason_of

if TYPE_CHECKING:
    from distributed import Future

    from neurosim.experiments.sweep.cluster import RemoteWorkers

AGAIN = 3  # times that a run is started again whose process died in the same epoch
TICK = 0.25  # how often to look which workers there are [s]
FETCH = 20.0  # how long an answer may be under way [s]

Answer = tuple[Run, str, str]  # the run, what became of it, and why


class Dispatcher:
    """Hands out runs.

    Parameters
    ----------
    place : RemoteWorkers
        Where the workers are.
    pool : Path
        The runs' folders.
    topic : str, optional
        Under which workers tell of epochs.
    """

    def __init__(self, place: RemoteWorkers, pool: Path, topic: str | None) -> None:
        self._place, self._pool, self._topic = place, pool, topic
        self._waiting: deque[Run] = deque()
        self._handed: dict[str, tuple[Run, Future]] = {}  # by the worker's address
        self._deaths: dict[str, tuple[int, int]] = {}  # after which epoch, and how often there
        self._over: SimpleQueue[tuple[str, Future]] = SimpleQueue()
        self._closed = Event()

    def work(self, runs: Sequence[Run], tell: Callable[[Answer], None]) -> None:
        """Do runs, until all are done or the dispatcher is closed.

        Parameters
        ----------
        runs : sequence of Run
        tell : callable
            Told what became of them, as they come.

        Raises
        ------
        NeurosimError
            If the workers are lost.
        """
        self._waiting.extend(runs)
        try:
            while (self._waiting or self._handed) and not self._closed.is_set():
                for answer in (*self._look(), self._next()):
                    if answer is not None:
                        tell(answer)
        except Exception:
            self._place.check()  # if the scheduler is gone, that is why
            raise
        finally:
            with suppress(Exception):  # the workers may be gone
                futures = [future for _, future in self._handed.values()]
                self._place.client.cancel(futures, force=True)

    def close(self) -> None:
        """Hand out no more."""
        self._closed.set()

    def _look(self) -> Iterator[Answer | None]:
        """Hand runs to workers that are free, and take back those of workers that died."""
        workers = self._place.workers()
        for address in self._handed.keys() - workers.keys():
            self._place.end(address)
            yield self._missed(address)
        for address, free in workers.items():
            if free and self._waiting and address not in self._handed:
                run = self._waiting.popleft()
                self._handed[address] = run, self._start(run, address)

    def _start(self, run: Run, address: str) -> Future:
        future = self._place.client.submit(
            carry_out,
            run.config.resolved(),
            run.config.name,
            str(run.folder(self._pool).path.resolve()),
            self._topic,
            key=f"run-{run.name}-{uuid4().hex}",  # no earlier answer is taken for this one
            pure=False,
            workers=[address],
        )
        future.add_done_callback(lambda over: self._over.put((address, over)))
        return future

    def _next(self) -> Answer | None:
        """Wait a moment for a run to end."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            address, future = self._over.get(timeout=TICK)
        except Empty:
            return None
        run, current = self._handed.get(address, (None, None))
        if run is None or current is not future:  # it was taken back
            return None
        try:
            status, reason = future.result(timeout=FETCH)
        except (KilledWorker, FutureCancelledError, TimeoutError):
            return self._missed(address)
        except Exception as error:  # it did not even begin: the worker lacks what it needs
            self._place.check()
            status, reason = FAILED, reason_of(error)
            self._give_up(run, reason)
        del self._handed[address]
        if status == BUSY:  # another sweep is at it: look again when the rest is under way
            self._waiting.append(run)
            return None
        return run, status, reason

    def _missed(self, address: str) -> Answer | None:
        """Take back a run whose worker died: it goes on with another, unless it is to blame."""
        self._place.check()
        run, future = self._handed.pop(address)
        future.cancel()
        folder = run.folder(self._pool)
        status = done(run, self._pool)
        if status is not None:  # its worker died when it was done
            return run, status, folder.reason
        epoch = epochs_kept(folder)
        before, deaths = self._deaths.get(run.name, (0, 0))
        deaths = deaths + 1 if epoch == before else 1
        self._deaths[run.name] = epoch, deaths
        if deaths <= AGAIN:
            self._waiting.append(run)
            return None
        how = folder.reason or self._place.fate(address)
        reason = f"its process died {deaths} times in the same epoch ({how})"
        self._give_up(run, reason)
        return run, FAILED, reason

    def _give_up(self, run: Run, reason: str) -> None:
        with suppress(StorageError):  # then it is said, and not kept
            run.folder(self._pool).give_up(run.config, FAILED, reason)
