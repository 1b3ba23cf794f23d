"""Whatever happens to the processes of a sweep, it ends with its runs done, or says why not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import own_parts
import psutil
import pytest
from sweeps import TINY, done_here, epochs_kept, many, measured, options, start, statuses

import neurosim as ns
from neurosim.errors import NeurosimError
from neurosim.experiments.sweep import Sweep, dispatch, load_results
from neurosim.experiments.sweep.cluster import RemoteWorkers, settings
from neurosim.experiments.sweep.interrupts import aside
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.sweep import Workers

UNLUCKY = own_parts.UNLUCKY
LONG = 120  # how long a test waits for a process at most [s]


def until(found, process=None):
    """Wait for something; give it."""
    deadline = time.monotonic() + LONG
    while not (thing := found()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return thing


def children(process):
    return psutil.Process(process.pid).children(recursive=True)


def no_library(err):
    """Whether what is said is ours: one sentence, nothing of the library below."""
    return not any(word in err for word in ("Traceback", "Error", "distributed", "assert"))


# ------------------------------------------------------------- one run, one worker


def test_both_processes_killed_at_once_again_and_again(own, tmp_path, monkeypatch):
    """Each time other runs are at work; a death is counted for those alone."""
    monkeypatch.setattr(dispatch, "AGAIN", 1)
    (own / "hold").write_text("40")  # each run waits after its first epoch
    runs = many(measured("log"), seeds=6)
    handed = []

    def under_way():
        return {seed for _, seed, step in own_parts.logged() if step == 40}

    def kill(client):
        for times in (1, 2, 3):
            until(lambda times=times: len(under_way()) == 2 * times)
            handed.append(sorted(map(len, client.processing().values())))
            for pid in client.run(os.getpid).values():
                os.kill(pid, signal.SIGKILL)
        (own / "hold").unlink()

    with Workers(2) as workers:
        killing = aside(kill, workers.client(2))
        assert statuses(Sweep(runs, tmp_path).run(workers)) == ["finished"] * 6
        killing.result(LONG)
    assert handed == [[1, 1]] * 3, "no run waits at a worker that is at another"


def test_a_run_that_kills_every_process_it_meets_fails_with_the_reason(own, tmp_path):
    runs = many(measured("crashes"), seeds=[UNLUCKY, 1, 2])
    with Workers(2) as workers:
        outcomes = Sweep(runs, tmp_path).run(workers)
    assert statuses(outcomes) == ["failed", "finished", "finished"]
    said = f"its process died {dispatch.AGAIN + 1} times in the same epoch (by signal SIGSEGV)"
    assert outcomes[0].reason == said
    assert load_results(tmp_path).set_index("run").loc[runs[0].name, "reason"] == said


def test_a_run_that_gets_on_between_deaths_is_not_given_up(own, tmp_path):
    """As with workers that have a lifetime, or are taken away now and then."""
    (run,) = many(measured("dies_every_time"), "training.epochs=7")
    with Workers(1) as workers:
        assert statuses(Sweep([run], tmp_path).run(workers)) == ["finished"]
    assert len((own / "log").read_text().splitlines()) == 7 > dispatch.AGAIN + 1, "deaths"


def test_a_process_that_is_stopped_gives_its_run_away(own, tmp_path):
    """The scheduler drops a worker that says nothing for long; its lock on the run would stay."""
    (own / "hold").write_text("40")
    runs = many(measured("log"))

    async def drop(dask_scheduler):
        (address,) = dask_scheduler.workers
        await dask_scheduler.remove_worker(address, stimulus_id="silent", close=False)

    def stop(client):
        until(own_parts.logged)
        (pid,) = client.run(os.getpid).values()
        os.kill(pid, signal.SIGSTOP)
        (own / "hold").unlink()
        client.run_on_scheduler(drop)
        return pid

    with Workers(1) as workers:
        stopping = aside(stop, workers.client(1))
        assert statuses(Sweep(runs, tmp_path).run(workers)) == ["finished"]
        assert not psutil.pid_exists(stopping.result(LONG))


# ------------------------------------------------------------------- while they start


@pytest.mark.parametrize("wait", [0, 0.7])
def test_processes_that_die_while_they_start_are_started_again(own, tmp_path, wait):
    process = start("sweep", TINY, *options(), "--seeds", 3, "--out", tmp_path, "--jobs", 2)
    killed = set()
    for _ in range(2):
        new = until(lambda known=frozenset(killed): set(children(process)) - known, process)
        time.sleep(wait)
        for child in new:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        killed |= new
    _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (0, "")
    assert (load_results(tmp_path)["status"] == "finished").all()


def test_processes_that_never_start_are_not_waited_for(own, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'sweep.worker' in ' '.join(sys.orig_argv): os._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    out = tmp_path / "out"
    process = start("sweep", TINY, *options(), "--out", out, "--jobs", 2)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 2
    assert err == (
        "neurosim: the processes that do the runs die while they start (exit codes 3); what is "
        "done is kept\n"
    )


def test_a_script_without_a_guard_starts_them(own, tmp_path):
    """They do not import the script that started them."""
    script = tmp_path / "script.py"
    script.write_text(
        "from sweeps import many\n"
        "from neurosim.experiments.sweep import Sweep\n"
        "from neurosim.experiments.sweep.sweep import Workers\n"
        "with Workers(1) as workers:\n"
        f"    print(Sweep(many(), {str(tmp_path / 'out')!r}).run(workers)[0].status)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=LONG)
    assert (done.stdout, done.stderr) == ("finished\n", "")


# ------------------------------------------------------------------------------ Ctrl-C

COMMANDS = {
    "sweep": ["sweep", TINY, *options("training.epochs=20"), "--seeds", "1,2"],
    "tune": ["tune", TINY, *options("training.epochs=20"), "--budget", 2, "--seeds", "1"],
}
MOMENTS = {
    "one process": (lambda process, out: len(children(process)) >= 1, 0),
    "they start": (lambda process, out: len(children(process)) >= 2, 0.4),
    "a run begins": (lambda process, out: list(out.glob(f"{POOL}/*/config.toml")), 0),
    "an epoch is kept": (lambda process, out: epochs_kept(out), 0),
}


@pytest.mark.parametrize(
    ("command", "moment"),
    [
        *(("sweep", moment) for moment in MOMENTS),
        ("tune", "they start"),
        ("tune", "an epoch is kept"),
    ],
)
def test_ctrl_c_ends_it_at_any_moment_and_it_can_be_gone_on_with(own, tmp_path, command, moment):
    arguments = [*COMMANDS[command], "--out", tmp_path, "--jobs", 2]
    process = start(*arguments)
    reached, wait = MOMENTS[moment]
    until(lambda: reached(process, tmp_path), process)
    time.sleep(wait)
    started = children(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    again = f"interrupted; what is done is kept in {tmp_path}; to go on, repeat the command"
    assert (process.returncode, err.strip()) == (130, again)
    assert not psutil.wait_procs(started, timeout=LONG)[1], "no process is left behind"
    if moment == "an epoch is kept":
        process = start(*arguments)
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 0, err
        assert (load_results(tmp_path)["status"] == "finished").all()


def test_ctrl_c_that_something_swallows_is_heard_all_the_same(own, tmp_path):
    runs = many(seeds=4)
    seen = []

    def swallow(outcome):
        seen.append(outcome)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            pass

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Workers(1) as workers:
        Sweep(runs, tmp_path).run(workers, swallow)
    assert len(seen) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_that_becomes_another_error_stays_ctrl_c(own):
    def library():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            raise AssertionError("of a library") from None

    with pytest.raises(KeyboardInterrupt), Workers(1):
        library()


# --------------------------------------------------------------------------- elsewhere

SCHEDULER = """
import asyncio, sys
from distributed import Scheduler
async def serve():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address=":0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(serve())
"""
WORKER = """
import asyncio, sys
from distributed import Worker
async def serve():
    async with Worker(sys.argv[1], nthreads=2, host="127.0.0.1") as worker:
        print("ready", flush=True)
        await worker.finished()
asyncio.run(serve())
"""


@pytest.fixture
def elsewhere(own):
    """A scheduler of its own and a function that starts a worker there: their processes."""
    found = []

    def begin(program, *arguments):
        command = [sys.executable, "-c", program, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        found.append(subprocess.Popen(command, text=True, **pipes))
        return found[-1], found[-1].stdout.readline().strip()

    scheduler, address = begin(SCHEDULER)
    yield scheduler, address, lambda program=WORKER: begin(program, address)[0]
    for process in found:
        process.kill()
        process.communicate()


def lost(address):
    return (
        f"--scheduler {address}: the scheduler was lost; what is done is kept: to go on, repeat "
        f"the command when it is there again"
    )


def test_a_scheduler_that_is_killed_is_lost_before_the_client_has_noticed(elsewhere):
    """A question meets the closed connection first, more often than not."""
    scheduler, address, _ = elsewhere
    with settings():
        places = [RemoteWorkers(address) for _ in range(8)]
        assert [place.workers() for place in places] == [{}] * 8
        scheduler.kill()
        for place in places:
            with pytest.raises(NeurosimError, match=re.escape(lost(address))):
                until(place.workers)  # none comes: it ends by an error
            place.close(hurry=True)


def test_a_scheduler_that_is_killed_is_said(elsewhere, own, tmp_path):
    scheduler, address, work = elsewhere
    work()
    (own / "hold").write_text("40")
    command = ["sweep", TINY, *options(measured("log")), "--seeds", 2, "--out", tmp_path]
    process = start(*command, "--scheduler", address)
    until(own_parts.logged, process)
    scheduler.kill()
    (own / "hold").unlink()
    _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (2, f"neurosim: {lost(address)}\n")
    assert set(load_results(tmp_path)["status"]) <= {"unfinished", "finished"}
    process = start(*command, "--jobs", 1)
    _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (0, "")


def test_a_scheduler_without_workers_is_waited_for_with_a_word(elsewhere, tmp_path):
    _, address, work = elsewhere
    process = start("sweep", TINY, *options(), "--out", tmp_path, "--scheduler", address)
    word = process.stderr.readline()
    assert word == f"--scheduler {address}: has no workers; waiting for one to come\n"
    work()
    _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (0, "")


def test_ctrl_c_while_no_worker_comes(elsewhere, tmp_path):
    _, address, _ = elsewhere
    process = start("sweep", TINY, *options(), "--out", tmp_path, "--scheduler", address)
    process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert no_library(err)


def test_a_worker_elsewhere_has_one_run_at_a_time_and_may_die(elsewhere, own, tmp_path):
    _, address, work = elsewhere
    (own / "hold").write_text("40")
    first, runs = work(), many(measured("log"), seeds=2)

    def kill():
        until(own_parts.logged)
        time.sleep(0.5)
        assert len({seed for _, seed, _ in own_parts.logged()}) == 1, "it has two threads"
        first.kill()
        (own / "hold").unlink()
        work()

    with Workers(scheduler=address) as workers:
        killing = aside(kill)
        assert statuses(Sweep(runs, tmp_path).run(workers)) == ["finished"] * 2
        killing.result(LONG)


@pytest.mark.parametrize(
    ("scheduler", "config", "said"),
    [
        ("foo", "", "--scheduler foo: no Dask scheduler answers there (missing port number"),
        (
            None,
            "distributed: [",
            "the workers of the sweep cannot be started or reached (A dask config",
        ),
    ],
)
def test_what_cannot_be_begun_is_said_at_once(own, tmp_path, monkeypatch, scheduler, config, said):
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "own.yaml").write_text(config)
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path / "dask"))
    where = ["--scheduler", scheduler] if scheduler else ["--jobs", 1]
    process = start("sweep", TINY, *options(), "--out", tmp_path / "out", *where)
    line = process.stderr.readline()
    assert line.startswith(f"neurosim: {said}")
    _, err = process.communicate(timeout=30)  # a client that was not closed takes 60 s
    assert process.returncode == 2
    assert "Traceback" not in err


# ----------------------------------------------------------------- how else a run ends


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        ("leaves", "SystemExit: 0"),
        ("interrupts", "KeyboardInterrupt: "),
        ("names_a_file", r"ValueError: \udcff.csv"),
    ],
)
def test_whatever_a_run_raises_is_its_own_failure(own, tmp_path, measure, reason):
    """Or its worker, and with it the sweep, would wait for ever."""
    assert done_here(many(measured(measure)), tmp_path) == [("failed", reason)]
    assert list(load_results(tmp_path)["reason"]) == [reason]


def test_a_run_whose_folder_is_removed_is_said(own, tmp_path):
    """What it would keep from then on has no config: it was finished, and in no table."""
    (own / "gone").write_text(str(tmp_path / POOL))
    ((status, reason),) = done_here(many(measured("loses_its_folder")), tmp_path)
    assert status == "failed"
    assert reason.endswith("was removed while the run was under way")
    assert list(load_results(tmp_path)["status"]) == ["failed"]


def test_a_part_of_ones_own_that_ends_the_program_is_said(own, neurosim, tmp_path):
    code, _, err = neurosim("run", TINY, *options(measured("leaves")), "--out", tmp_path / "run")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "ended the command by sys.exit(0)" in err


def test_ctrl_c_is_said_wherever_it_comes(neurosim, monkeypatch):
    def load(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("neurosim.experiments.load", load)
    assert neurosim("run", TINY) == (130, "", "interrupted\n")


def test_ctrl_c_that_a_callback_loses_comes_again(own, neurosim, tmp_path):
    options_ = options(measured("loses_ctrl_c"))
    code, _, err = neurosim("run", TINY, *options_, "--out", tmp_path / "run")
    assert code == 130
    assert err.strip().startswith("interrupted; ")
    assert "Traceback" not in err


# ------------------------------------------------------------------- where they write


@pytest.mark.parametrize(
    "command", [["sweep", TINY], ["tune", TINY, "--budget", 1], ["reproduce", "mackey-glass"]]
)
@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_folder_that_cannot_be_made_is_said(neurosim, tmp_path, command, inside):
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / inside
    code, _, err = neurosim(*command, "--out", out)
    assert code == 2
    assert err.startswith(f"neurosim: {out}")
    assert len(err.splitlines()) == 1
    assert no_library(err)


def test_a_folder_that_must_not_be_written_to_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs the tests may be root
    with pytest.raises(ns.StorageError, match=r"runs: cannot be written to \(Permission denied\)"):
        Sweep(many(), tmp_path).run(Workers(1))


def test_ctrl_c_comes_before_a_table_that_cannot_be_written(own, tmp_path):
    def interrupt(outcome):
        (tmp_path / "results.parquet").unlink(missing_ok=True)
        (tmp_path / "results.parquet").mkdir()
        raise KeyboardInterrupt

    done_here(many(), tmp_path)
    with pytest.raises(KeyboardInterrupt), Workers(1) as workers:
        Sweep(many(), tmp_path).run(workers, interrupt)
