"""Where runs are carried out: processes of this machine, or a Dask cluster elsewhere.

A process for each GPU is one whose environment names that GPU alone: that is all of it, and
dask-cuda, which does more, would bring a good part of RAPIDS with it.
"""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neurosim.errors import InputError
from neurosim.experiments.environment import cores
from neurosim.files import current_folder

if TYPE_CHECKING:
    from distributed import Client

AGAIN = 3  # times that a run is started again whose process died
SAFE = "PYTHONSAFEPATH"
PATIENCE = 30  # how long to wait for a scheduler elsewhere [s]


@contextmanager
def workers(
    jobs: int | None = None, scheduler: str | None = None, gpus: bool = False, most: int = 1_000_000
) -> Iterator[Client]:
    """Give a client of workers that do one run at a time each.

    Parameters
    ----------
    jobs : int, optional
        Processes to start on this machine; by default one a core, or one a GPU.
    scheduler : str, optional
        Address of the scheduler of a cluster, ``tcp://host:port``, to use instead.
    gpus : bool
        Each process has a GPU of its own; there are no more of them than GPUs.
    most : int
        There is nothing for more processes to do.

    Raises
    ------
    InputError
        If nothing answers at that address.
    DeviceError
        If there is no GPU to work on.
    """
    if current_folder() is None:  # processes start in it
        raise InputError("the current folder does not exist any more: go to another one")
    # Bokeh draws Dask's own pages; nobody misses them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dask
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with dask.config.set(
            {
                # A worker that dies takes down what it has: as little as can be waits there.
                "distributed.scheduler.worker-saturation": 1.0,
                "distributed.scheduler.allowed-failures": AGAIN,
                "distributed.comm.timeouts.connect": f"{PATIENCE}s",
                # One that died is being started again, however long that takes on a busy machine.
                "distributed.deploy.lost-worker-timeout": "1 hour",
                # Compiling holds a worker's attention for a while: that is no reason to drop it.
                "distributed.scheduler.worker-ttl": "15 minutes",
                "distributed.admin.tick.limit": "1 hour",
            }
        ):
            if scheduler is not None:
                with _elsewhere(scheduler) as client:
                    yield client
                return
            with (
                _own_modules_apart(),
                _gpus(jobs) if gpus else _processes(min(jobs or cores(), most)) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                client.register_plugin(_deaf())
                yield client


@contextmanager
def _own_modules_apart() -> Iterator[None]:
    """Let the processes that are started find Python's own modules.

    They look into the current folder first unless told not to, and a file called ``signal.py``
    there is a user's. What a config names is found all the same.
    """
    before = os.environ.get(SAFE)
    os.environ[SAFE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE]
        else:
            os.environ[SAFE] = before


@contextmanager
def _elsewhere(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"--scheduler {address}: no Dask scheduler answers there ({error}); the address looks "
            f"like tcp://host:8786"
        ) from error
    with client:
        yield client


def _processes(jobs: int):  # type: ignore[no-untyped-def]
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=jobs,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=None,  # the system knows better when memory runs out
        silence_logs=logging.CRITICAL,
    )


def _gpus(jobs: int | None):  # type: ignore[no-untyped-def]
    from distributed import Nanny, Scheduler, SpecCluster

    from neurosim.engines.cuda import device

    device.require_device("--gpus")
    # The environment is set before anything of CUDA is loaded, and again where one that died is
    # started anew: whatever such a process finds is its own GPU.
    one = {
        "nthreads": 1,
        "host": "127.0.0.1",
        "memory_limit": None,
        "silence_logs": logging.CRITICAL,
    }
    return SpecCluster(
        workers={
            name: {"cls": Nanny, "options": {**one, "env": {"CUDA_VISIBLE_DEVICES": name}}}
            for name in device.visible()[:jobs]
        },
        scheduler={
            "cls": Scheduler,
            "options": {"host": "127.0.0.1", "port": 0, "dashboard": False},
        },
        silence_logs=logging.CRITICAL,
    )


def _deaf():  # type: ignore[no-untyped-def]
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):
        """Ctrl-C is for whoever started the workers, who then ends them."""

        name = "deaf to Ctrl-C"

        def setup(self, worker: object) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()
