"""Many runs side by side: what is done stays done, and one that fails takes no other with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from neurosim.engines.cuda.device import require_device
from neurosim.errors import InputError
from neurosim.experiments.environment import cores
from neurosim.experiments.folder import data_digest
from neurosim.experiments.sweep import results
from neurosim.experiments.sweep.cluster import AGAIN, workers
from neurosim.experiments.sweep.runs import BUSY, FAILED, FINISHED, Run, carry_out, done
from neurosim.files import place

if TYPE_CHECKING:
    from distributed import Client, Future


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

    Parameters
    ----------
    jobs, scheduler, gpus
        See `neurosim.experiments.sweep.cluster.workers`.

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
        self._open: Any = None
        self._client: Client | None = None

    def client(self, most: int) -> Client:
        """Start them if they are not running, no more than there are runs for them."""
        if self._client is None:
            self._open = workers(*self._given, most)
            self._client = self._open.__enter__()
        elif self._given[1] is None and not self._given[2]:
            here: Any = self._client.cluster
            wanted = max(len(here.worker_spec), min(self._given[0] or cores(), most))
            here.scale(wanted)
            self._client.wait_for_workers(wanted)
        return self._client

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._open is not None:
            self._open.__exit__(*error)


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
        self.pool.mkdir(parents=True, exist_ok=True)
        outcomes: dict[str, Outcome] = {}
        try:
            for outcome in self._outcomes(workers, reached):
                outcomes[outcome.run.name] = outcome
                if seen is not None:
                    seen(outcome)
        finally:
            results.write(self.folder)
        return [replace(outcomes[run.name], run=run) for run in self.runs]

    def _outcomes(self, workers: Workers, reached: Reached | None) -> Iterator[Outcome]:
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
            client = workers.client(len(waiting))
            with _heard(client, reached) as topic:
                yield from self._do(waiting, client, topic)

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
        key = json.dumps([resolved["task"], *training], default=str)
        if key not in self._known:
            self._known[key] = data_digest(run.config)
        return self._known[key]

    def _do(self, runs: Sequence[Run], client: Client, topic: str | None) -> Iterator[Outcome]:
        from distributed import as_completed

        def start(run: Run, order: int) -> Future:
            return client.submit(
                carry_out,
                run.config.resolved(),
                run.config.name,
                str(run.folder(self.pool).path.resolve()),
                topic,
                key=f"run-{run.name}-{uuid4().hex}",  # whatever was answered before is not meant
                pure=False,
                priority=-order,
            )

        futures = {start(run, k): (run, k) for k, run in enumerate(runs)}
        coming = as_completed(futures, loop=client.loop)
        try:
            for future in coming:
                run, order = futures.pop(future)
                status, reason = self._read(run, future)
                if status == BUSY:  # somebody else is at it: look again when the rest is under way
                    again = start(run, order + len(self.runs))
                    futures[again] = (run, order + len(self.runs))
                    coming.add(again)
                    continue
                yield self._outcome(run, status, reason)
        finally:
            client.cancel(list(futures), force=True)

    def _read(self, run: Run, future: Future) -> tuple[str, str]:
        from distributed import KilledWorker

        try:
            status, reason = future.result()
        except KilledWorker:
            said = run.folder(self.pool).reason or "killed, or out of memory"
            reason = f"its process died {AGAIN + 1} times ({said})"
            run.folder(self.pool).give_up(run.config, FAILED, reason)
            return FAILED, reason
        return status, reason
