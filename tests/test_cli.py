"""The command line, as a user meets it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import neurosim as ns
from neurosim import checkpoint, cli
from neurosim.experiments import registry

CODE = "from neurosim.cli import main; main()"
TINY = [
    "quickstart",
    "--set",
    "network.hidden=8",
    "--set",
    "baselines.readout_epochs=1",
    "--epochs",
    "1",
]


@pytest.fixture
def neurosim(monkeypatch, capsys, tmp_path):
    """A function that runs the command line here, in an empty folder: exit code and output."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.delenv("NEUROSIM_DATA", raising=False)
    monkeypatch.delenv("NEUROSIM_DEBUG", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["neurosim", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return done.value.code or 0, said.out, said.err

    return call


def start(folder, *arguments, **environment):
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_quickstart_runs_in_an_empty_folder(neurosim):
    code, out, err = neurosim("run", *TINY)
    assert (code, err) == (0, "")
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("quickstart-")
    for words in ("network, after training", "ridge on lags", "test MSE", "On the test"):
        assert words in out
    assert f"{folder}\n" in out
    assert f"{folder / 'figures'}\n" in out
    assert (folder / "figures" / "learning_curve.png").stat().st_size > 10_000
    result = json.loads((folder / "result.json").read_text())
    assert result["table"]["mean"]["test_mse"] > result["table"]["ridge"]["test_mse"] > 0


def said_before(out):
    """All but the line that names the file, which comes before anything is tried."""
    return out.removeprefix(f"config: {registry.configs()['quickstart']}\n")


def test_a_finished_run_is_shown_again_and_resume_goes_on(neurosim):
    assert neurosim("run", *TINY)[0] == 0
    code, out, err = neurosim("run", *TINY)
    assert (code, err) == (0, "")
    assert "nothing to train" in out
    assert "network, after training" in out
    code, out, err = neurosim("run", *TINY[:-1], "2")
    assert (code, said_before(out)) == (2, "")
    assert "--resume" in err
    assert "Traceback" not in err
    assert neurosim("run", *TINY[:-1], "2", "--resume")[0] == 0
    (folder,) = Path("runs").iterdir()
    assert len(pd.read_parquet(folder / "history.parquet")) == 3


def test_options_reach_the_config(neurosim):
    assert neurosim("run", *TINY, "--seed", 7, "--engine", "cpu", "--out", "here")[0] == 0
    text = Path("here/config.toml").read_text()
    assert text.count("seed = 7") == 2
    assert "hidden = 8" in text


OWN = """
from dataclasses import dataclass
from neurosim import ANP
from neurosim_tasks import Copying

@dataclass(frozen=True)
class MyTask(Copying):
    batch: int = 1

@dataclass(frozen=True)
class MyRule(ANP):
    pass
"""


def test_tasks_and_rules_of_ones_own_are_found_in_the_current_folder(tmp_path):
    (tmp_path / "my_things.py").write_text(OWN)
    (tmp_path / "mine.toml").write_text(
        '[task]\nname = "my_things:MyTask"\nsequences = 1\n[network]\nhidden = 5\n'
        '[rule]\nname = "my_things:MyRule"\nlearning_rate = 1e-3\n[training]\nepochs = 1\n'
    )
    # -P: not the current folder at the head of the path, as with the installed program.
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE, "run", "mine.toml", "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "my_things:MyTask" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "quickstrat"], "did you mean 'quickstart'"),
        (["run", "quickstart", "--set", "rule.lerning_rate=1"], "learning_rate"),
        (["run", "quickstart", "--set", "nonsense"], "--set nonsense"),
        (["run", "quickstart", "--engine", "quantum"], "engine = 'quantum'"),
        (["run", "quickstart", "--epochs", "0"], "epochs = 0"),
        (["run", "quickstart", "--seed", "-1"], "seed = -1"),
        (["run", "quickstart", "--resume", "--out", "nowhere"], "no run to resume"),
        (["run", "quickstart", "--set", "task.path=missing.csv"], "missing.csv"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(neurosim, arguments, says):
    code, out, err = neurosim(*arguments)
    assert (code, said_before(out)) == (2, "")
    assert err.startswith("neurosim: ")
    assert says in err
    assert "Traceback" not in err
    assert not any(Path().iterdir()), "nothing is left behind"


def test_where_nothing_can_be_written(neurosim):
    Path("file").write_text("")
    code, _, err = neurosim("run", *TINY, "--out", "file/run")
    assert code == 2
    assert "could not be made" in err


def test_debug_shows_the_traceback(neurosim, monkeypatch):
    monkeypatch.setenv("NEUROSIM_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["neurosim", "run", "quickstrat"])
    with pytest.raises(ns.InputError):
        cli.main()


def test_divergence_names_the_last_checkpoint(neurosim):
    code, _, err = neurosim(
        "run", *TINY, "--set", "decorrelation.learning_rate=1e9", "--out", "wild"
    )
    assert code == 2
    assert "blew up" in err
    assert f"last checkpoint: {Path('wild/checkpoint.npz')}" in err


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("tasks", ["copying", "mackey_glass", "weather", "neurosim_tasks:Weather"]),
        (
            "rules",
            [
                "ANP: 2 passes",
                "NP",
                "WP",
                "own noise  must be known",
                "LocalDecorrelation",
                "BPTT: 1 pass; not local",
            ],
        ),
        ("configs", ["quickstart", "paper/copying_dnp"]),
        ("engines", ["cpu ", "objects ", "cuda ", "emulator ", "auto "]),
    ],
)
def test_list(neurosim, what, words):
    code, out, _ = neurosim("list", what)
    assert code == 0
    for word in words:
        assert word in out


def test_list_of_something_else(neurosim):
    code, _, err = neurosim("list", "bugs")
    assert code == 2
    assert "tasks" in err


def test_doctor(neurosim, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "nowhere"))
    code, out, _ = neurosim("doctor")
    assert code == 0
    words = ["numpy", "numba", "BLAS", "cores", "compiled loops", "no such file or folder", "GPU"]
    for word in [*words, "engine auto"]:
        assert word in out


def test_version(neurosim):
    assert neurosim("--version")[:2] == (0, f"neurosim {ns.__version__}\n")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; import neurosim.cli; "
        "heavy = {'pandas', 'matplotlib', 'numba', 'pydantic', 'scipy', 'cupy'} & {*sys.modules}; "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ----------------------------------------------------------- stopped from outside

LONG = [
    "quickstart",
    "--set",
    "network.hidden=8",
    "--set",
    "baselines.enabled=false",
    "--out",
    "run",
    "--epochs",
]


def epochs_kept(folder):
    """Epochs in a run's checkpoint, whose file is always whole or absent."""
    path = folder / "run" / "checkpoint.npz"
    return checkpoint.read(path)[1]["extra"]["epoch"] if path.is_file() else -1


def wait_until(process, folder, epoch):
    deadline = time.monotonic() + 90
    while epochs_kept(folder) < epoch:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def final(folder):
    result = json.loads((folder / "run" / "result.json").read_text())
    del result["seconds_per_step"]
    return result, pd.read_parquet(folder / "run" / "history.parquet").drop(columns="seconds")


def finish(folder, epochs, *more):
    process = start(folder, "run", *LONG, epochs, *more)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


@pytest.mark.parametrize(
    ("how", "wait"), [(signal.SIGKILL, 0.027), (signal.SIGINT, 0.013)], ids=["kill -9", "Ctrl-C"]
)
def test_killed_and_resumed_equals_straight(tmp_path, how, wait):
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    stopped.mkdir()
    straight.mkdir()
    process = start(stopped, "run", *LONG, 2000)
    wait_until(process, stopped, 2)
    time.sleep(wait)  # to be somewhere within an epoch or a file
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130, err
        assert "--resume" in err
        assert "Traceback" not in err
    else:
        assert process.returncode == -signal.SIGKILL
    assert not (stopped / "run" / "result.json").exists()

    epochs = epochs_kept(stopped) + 2
    config = stopped / "run" / "config.toml"  # fewer epochs than it was started for
    config.write_text(config.read_text().replace("epochs = 2000", f"epochs = {epochs}"))
    finish(stopped, epochs, "--resume")
    finish(straight, epochs)
    (result, history), (other, whole) = final(stopped), final(straight)
    assert result == other
    pd.testing.assert_frame_equal(history, whole, rtol=0, atol=0)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_disk_that_is_really_full(tmp_path):
    """A limit on file sizes stops a write halfway, as a full disk does."""
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200)); "
        "import sys; sys.dont_write_bytecode = True; "
    )
    done = subprocess.run(
        [sys.executable, "-c", limited + CODE, "run", *LONG, "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in (tmp_path / "run").rglob("*")}
    assert left <= {".lock", "config.toml", "environment.json"}


# ------------------------------------------------------- whose fault it is

FAULTS = [ValueError("boom"), OSError("boom"), KeyError("boom"), FileNotFoundError(2, "boom")]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_is_not_taken_for_the_users_mistake(monkeypatch, fault):
    def broken(*_, **__):
        raise fault

    monkeypatch.setattr("neurosim.experiments.load", broken)
    monkeypatch.setattr(sys, "argv", ["neurosim", "run", "quickstart"])
    with pytest.raises(type(fault)):  # Python shows it whole, exit code 1
        cli.main()


CONFIG = '[task]\nname = "{}"\n[rule]\nname = "ANP"\nlearning_rate = 1e-3\n'


def test_a_fault_is_shown_whole(tmp_path):
    (tmp_path / "tiny.toml").write_text(CONFIG.format("mine_broken:Task"))
    (tmp_path / "mine_broken.py").write_text(
        "from dataclasses import dataclass\n"
        "from neurosim_tasks import MackeyGlass\n"
        "@dataclass(frozen=True)\n"
        "class Task(MackeyGlass):\n"
        "    def train(self, epoch=0):\n"
        "        return [][epoch]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "neurosim", "run", "tiny.toml"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "return [][epoch]" in done.stderr


@pytest.mark.parametrize("said", [ValueError("no such station"), OSError("no such station")])
@pytest.mark.parametrize("command", ["run", "align"])
def test_data_that_are_not_there_are_no_fault(neurosim, monkeypatch, tmp_path, said, command):
    def nothing(self, epoch=0):
        raise said

    monkeypatch.setattr("neurosim_tasks.MackeyGlass.train", nothing)
    (tmp_path / "tiny.toml").write_text(CONFIG.format("mackey_glass"))
    code, _, err = neurosim(command, tmp_path / "tiny.toml")
    assert (code, err) == (2, "neurosim: task 'mackey_glass': no such station\n")


@pytest.mark.parametrize("number", ["EACCES", "EROFS", "ENOSPC", "ENAMETOOLONG"])
def test_neither_is_what_the_disk_refuses(neurosim, monkeypatch, number):
    def refused(*_, **__):
        raise OSError(getattr(errno, number), "refused", "somewhere")

    monkeypatch.setattr("neurosim.experiments.load", refused)
    code, _, err = neurosim("run", "quickstart")
    assert code == 2
    assert "somewhere" in err
    assert neurosim("run", "a" * 5000)[0] == 2
