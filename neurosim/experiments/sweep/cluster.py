"""Where runs are carried out: processes of this machine, or a Dask cluster elsewhere.

A process for each GPU is one whose environment names that GPU alone: that is all of it, and
dask-cuda, which does more, would bring a good part of RAPIDS with it.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from neurosim.errors import InputError, NeurosimError
from neurosim.experiments.environment import cores
from neurosim.experiments.sweep.processes import Processes
from neurosim.files import current_folder

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

PATIENCE = 30  # how long to wait for a scheduler elsewhere [s]
SILENCE = 3.0  # how long no worker may be there until that is said [s]
STARTS = 5  # times that each process may die while it starts, if none of them comes to work
UNKNOWN = "killed, or out of memory"


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out Dask's warnings: of pages that nothing shows, and of ports for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def settings() -> Iterator[None]:
    """Set Dask up for runs that take long; import it."""
    with quiet():
        import dask
        import distributed  # noqa: F401  # its defaults come first, or leave with what is set here
    for name in ("distributed", "distributed.client"):  # which has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(
        {
            "distributed.comm.timeouts.connect": f"{PATIENCE}s",
            # Compiling holds a worker's attention for a while: that is no reason to drop it.
            "distributed.scheduler.worker-ttl": "15 minutes",
            "distributed.admin.tick.limit": "1 hour",
        }
    ):
        yield


def connect(where: Any) -> Client:
    """Make a client; one that cannot be made is closed, or it would be when the program ends.

    Parameters
    ----------
    where : str or LocalCluster
        The scheduler's address, or its cluster.
    """
    from distributed import Client

    class Ours(Client):
        def start(self, **given: Any) -> None:
            try:
                super().start(**given)
            except BaseException:
                with suppress(Exception):
                    self.close(timeout=2)
                raise

    return Ours(where, timeout=PATIENCE, set_as_default=False)


class RemoteWorkers:
    """Workers of a cluster that is there already.

    Parameters
    ----------
    address : str
        Of its scheduler, ``tcp://host:port``.

    Raises
    ------
    InputError
        If no scheduler answers at that address.
    """

    def __init__(self, address: str) -> None:
        self._named = f"--scheduler {address}"
        self._seen = time.monotonic()  # when there was a worker last; infinite once it was said
        try:
            self.client: Client = connect(address)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"{self._named}: no Dask scheduler answers there ({error}); the address looks "
                f"like tcp://host:8786"
            ) from error

    def grow(self, most: int) -> None:
        """Start processes, as far as that can be done, until there are `most`."""

    def check(self) -> None:
        """Raise `NeurosimError` if the scheduler does not answer any more."""
        self._processing()

    def workers(self) -> dict[str, bool]:
        """Look up which workers there are, by address, and whether each is free.

        Raises
        ------
        NeurosimError
            If there is no hope of any.
        """
        found = {address: not keys for address, keys in self._processing().items()}
        self._missed(bool(found))
        return found

    def _processing(self) -> dict[str, Any]:
        """Ask the scheduler which tasks each worker has; raise `NeurosimError` if it is lost."""
        with suppress(OSError):  # a question can find the connection closed before the status does
            if self.client.status == "running":
                return self.client.processing()
        raise NeurosimError(
            f"{self._named}: the scheduler was lost; what is done is kept: to go on, repeat "
            f"the command when it is there again"
        )

    def end(self, address: str) -> None:
        """Do nothing: the cluster ends its workers itself."""

    def fate(self, address: str) -> str:
        """Describe how a worker ended, as far as that is known."""
        return UNKNOWN

    def close(self, hurry: bool) -> None:
        """Leave the scheduler."""
        with suppress(Exception):  # the scheduler may be gone
            self.client.close(timeout=2)

    def _missed(self, some: bool) -> None:
        """Say so once if no worker has been there for a while."""
        now = time.monotonic()
        if some:
            self._seen = now
        elif now - self._seen > SILENCE:
            self._seen = float("inf")
            print(f"{self._named}: has no workers; waiting for one to come", file=sys.stderr)


class LocalWorkers(RemoteWorkers):
    """Workers that are processes of this machine, started and ended here.

    Parameters
    ----------
    jobs : int, optional
        How many at most; by default one a core, or one a GPU.
    gpus : bool
        Each process has a GPU of its own; there are no more of them than GPUs.

    Raises
    ------
    DeviceError
        If there are to be GPUs, and there is none to work on.
    """

    def __init__(self, jobs: int | None, gpus: bool) -> None:
        from distributed import LocalCluster

        if current_folder() is None:  # processes start in it
            raise InputError("the current folder does not exist any more: go to another one")
        self._alone: list[dict[str, str]] = []
        if gpus:
            from neurosim.engines.cuda import device

            device.require_device("--gpus")
            # Set before anything of CUDA is loaded: such a process finds its own GPU only.
            self._alone = [{"CUDA_VISIBLE_DEVICES": name} for name in device.visible()[:jobs]]
        self._most = len(self._alone) or jobs or cores()
        self._pids: dict[str, int] = {}
        self._named = "the scheduler of this process"
        with quiet():
            self._cluster: LocalCluster = LocalCluster(
                n_workers=0, dashboard_address=None, silence_logs=logging.CRITICAL
            )
        self.client = connect(self._cluster)
        self._processes = Processes(self._cluster.scheduler_address)

    def grow(self, most: int) -> None:
        """Start processes until there are `most`; for GPUs all, at once."""
        if self._alone:
            most = self._most
        for number in range(len(self._processes), min(most, self._most)):
            self._processes.add(self._alone[number] if self._alone else None)

    def end(self, address: str) -> None:
        """End its process: one that was stopped holds on to its run, and another cannot have it."""
        self._processes.end(self._pids.get(address, 0))

    def fate(self, address: str) -> str:
        """Describe how a worker ended, by the exit code of its process."""
        code = self._processes.ends.get(self._pids.get(address, 0))
        if code is None or code == -signal.SIGKILL:
            return UNKNOWN
        if code < 0:
            return f"by signal {signal.Signals(-code).name}"
        return f"with exit code {code}"

    def close(self, hurry: bool) -> None:
        """End the processes: in a hurry at once, otherwise when they are ready."""
        self._known()
        if hurry:
            self._processes.close()
        super().close(hurry)
        with suppress(Exception):
            self._cluster.close(timeout=2)  # which ends its workers
        self._processes.close(self._pids.values())

    def _missed(self, some: bool) -> None:
        self._known()
        if some:
            self._processes.died = 0
        elif self._processes.died >= STARTS * len(self._processes):
            codes = sorted(set(self._processes.ends.values()))
            raise NeurosimError(
                f"the processes that do the runs die while they start (exit codes "
                f"{', '.join(map(str, codes))}); what is done is kept"
            )

    def _known(self) -> None:
        scheduler: Any = self._cluster.scheduler
        self._pids |= {w.address: w.pid for w in list(scheduler.workers.values())}
