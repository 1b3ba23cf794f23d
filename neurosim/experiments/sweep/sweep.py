"""Many runs side by side: what is done stays done, and one that fails takes no other with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

from neurosim.engines.cuda.device import require_device
from neurosim.errors import InputError, NeurosimError
from neurosim.experiments.folder import data_digest
from neurosim.experiments.sweep import results
from neurosim.experiments.sweep.cluster import LocalWorkers, RemoteWorkers, settings
from neurosim.experiments.sweep.dispatch import Answer, Dispatcher
from neurosim.experiments.sweep.interrupts import Interrupts, aside
from neurosim.experiments.sweep.runs import FINISHED, Run, done
from neurosim.files import make_folder, place

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 5.0  # how long to wait for workers to be left [s]
TICK = 0.5  # how often to look whether there was a Ctrl-C [s]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes
    ----------
    run : Run
    status : str
        ``finished``, ``diverged`` or ``failed``.
    reason : str
        Why, if not finished.
    test_mse : float
        Not a number, if not finished.
    """

    run: Run
    status: str
    reason: str = ""
    test_mse: float = math.nan


Seen = Callable[[Outcome], None]
Reached = Callable[[str, int], None]


@contextmanager
def _heard(client: Client, reached: Reached | None) -> Iterator[str | None]:
    """Give the topic under which workers tell of epochs, if anybody listens."""
    if reached is None:
        yield None
        return
    topic = f"neurosim-{uuid4().hex}"
    client.subscribe_topic(topic, lambda event: reached(event[1]["run"], event[1]["epoch"]))
    try:
        yield topic
    finally:
        client.unsubscribe_topic(topic)


class Workers:
    """Processes that do runs; started when there is something to do, and stopped at the end.

    Within its ``with`` block, Ctrl-C ends the block, even if a library swallows the exception.

    Parameters
    ----------
    jobs : int, optional
        Processes to start on this machine; by default one a core, or one a GPU.
    scheduler : str, optional
        Address of the scheduler of a cluster, ``tcp://host:port``, to use instead.
    gpus : bool
        Each process has a GPU of its own; there are no more of them than GPUs.

    Raises
    ------
    InputError
        For what cannot be combined, or no number of processes.
    DeviceError
        If there are to be GPUs, and there is none to work on.
    """

    def __init__(
        self, jobs: int | None = None, scheduler: str | None = None, gpus: bool = False
    ) -> None:
        if jobs is not None and jobs < 1:
            raise InputError(f"--jobs {jobs}: must be 1 or more")
        if gpus and scheduler is not None:
            raise InputError(
                f"--gpus: cannot be combined with --scheduler {scheduler}, whose workers are there "
                f"already; set training.engine to cuda instead"
            )
        if gpus:
            require_device("--gpus")
        self._given = (jobs, scheduler, gpus)
        self._interrupts = Interrupts()
        self._opening: Future[RemoteWorkers] | None = None
        self._open = ExitStack()
        self._hurry = False

    def client(self, most: int) -> Client:
        """Start them if they are not running, no more than there are runs for them.

        They may still be on their way when this returns.
        """
        return self._started(most).client

    def answers(self, runs: Sequence[Run], pool: Path, reached: Reached | None) -> Iterator[Answer]:
        """Do runs; yield what became of them as they come.

        Raises
        ------
        NeurosimError
            If the workers are lost.
        KeyboardInterrupt
            On Ctrl-C.
        """
        place = self._started(len(runs))
        come: SimpleQueue[Answer] = SimpleQueue()
        with _heard(place.client, reached) as topic:
            dispatcher = Dispatcher(place, pool, topic)
            over = aside(dispatcher.work, runs, come.put)
            try:
                while not (over.done() and come.empty()):
                    self._interrupts.check()
                    with suppress(Empty):
                        yield come.get(timeout=TICK)
                over.result()
            finally:
                dispatcher.close()
                wait([over], PATIENCE)

    def _started(self, most: int) -> RemoteWorkers:
        if self._opening is None:
            self._opening = aside(self._opened)
        place = self._opening.result()
        place.grow(most)
        return place

    def _opened(self) -> RemoteWorkers:
        jobs, scheduler, gpus = self._given
        try:
            self._open.enter_context(settings())
            place = LocalWorkers(jobs, gpus) if scheduler is None else RemoteWorkers(scheduler)
        except NeurosimError:
            raise
        except (ValueError, OSError, RuntimeError) as error:  # by Dask's settings, or the system
            reason = f"the workers of the sweep cannot be started or reached ({error})"
            raise NeurosimError(reason) from error
        self._open.callback(lambda: place.close(self._hurry))
        return place

    def _close(self) -> None:
        if self._opening is not None:
            wait([self._opening])
            self._open.close()

    def __enter__(self) -> Workers:
        self._interrupts.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._hurry = kind is not None or self._interrupts.heard
        try:
            wait([aside(self._close)], PATIENCE)
        finally:
            self._interrupts.__exit__()
        if self._interrupts.heard and kind is not KeyboardInterrupt:
            raise KeyboardInterrupt from None


class Sweep:
    """Runs, and the folder that holds them and the table of what came out.

    Parameters
    ----------
    runs : sequence of Run
        Those of the same config, under whatever names, are done once.
    folder : path-like
        Other sweeps may write there too, at the same time as well: a run that two of them have is
        done once.
    """

    def __init__(self, runs: Sequence[Run], folder: str | Path) -> None:
        # What is carried out is what a worker reads.
        self.runs = [
            run if run.config.read_back is run.config else replace(run, config=run.config.read_back)
            for run in runs
        ]
        self.folder = place(folder)
        self._known: dict[str, str] = {}

    @property
    def pool(self) -> Path:
        """Where the runs' folders are."""
        return self.folder / results.POOL

    def run(
        self, workers: Workers, seen: Seen | None = None, reached: Reached | None = None
    ) -> list[Outcome]:
        """Do all runs that are not done.

        Parameters
        ----------
        workers : Workers
        seen : callable, optional
            Told every outcome as it comes, those of earlier sweeps first.
        reached : callable, optional
            Told now and then, by another thread, how many epochs a run has done: its name, and
            the number.

        Returns
        -------
        list of Outcome
            In the order of the runs.

        Raises
        ------
        InputError
            If a run that is there already was of other data.
        KeyboardInterrupt
            On Ctrl-C. All whole epochs of all runs are kept.
        """
        make_folder(self.pool)
        outcomes: dict[str, Outcome] = {}
        try:
            with closing(self._outcomes(workers, reached)) as coming:
                for outcome in coming:
                    outcomes[outcome.run.name] = outcome
                    if seen is not None:
                        seen(outcome)
        except BaseException:
            with suppress(NeurosimError):  # that is said which came first
                results.write(self.folder)
            raise
        results.write(self.folder)
        return [replace(outcomes[run.name], run=run) for run in self.runs]

    def _outcomes(
        self, workers: Workers, reached: Reached | None
    ) -> Generator[Outcome, None, None]:
        waiting = []
        for run in {run.name: run for run in self.runs}.values():
            status = done(run, self.pool)
            if status is None:
                waiting.append(run)
                continue
            if status == FINISHED:
                self._check_data(run)
            yield self._outcome(run, status, run.folder(self.pool).reason)
        if waiting:
            for run, status, reason in workers.answers(waiting, self.pool, reached):
                yield self._outcome(run, status, reason)

    def _outcome(self, run: Run, status: str, reason: str) -> Outcome:
        error = results.score(run.folder(self.pool)) if status == FINISHED else math.nan
        return Outcome(run, status, reason, error)

    def _check_data(self, run: Run) -> None:
        """A config may find other data today than it did: its results are not mixed."""
        folder = run.folder(self.pool)
        was = folder.numbers.get("data")
        if was is not None and was != self._data(run):
            raise InputError(
                f"{folder.path}: holds this run with other data: what the task loads has changed "
                f"since; choose another folder by --out"
            )

    def _data(self, run: Run) -> str:
        """Hash of a run's data, which many runs share: it is made once."""
        resolved = run.config.resolved()
        training = [resolved["training"][name] for name in ("batch", "held_out")]
        key = json.dumps([resolved["task"], *training], default=repr)
        if key not in self._known:
            self._known[key] = data_digest(run.config)
        return self._known[key]
