"""What lies around a program: streams, homes, folders, variables, other modules."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import neurosim as ns
from neurosim import screen
from neurosim.errors import InputError
from neurosim.experiments import own
from neurosim.experiments.folder import Folder
from neurosim.experiments.summary import AFTER
from neurosim_tasks import MackeyGlass

TINY = str(Path(__file__).parent / "experiments" / "tiny.toml")
MAIN = "from neurosim.cli import main\nif __name__ == '__main__':\n    main()\n"


def call(folder, *arguments, options=(), **variables):
    """Run the command line as an installed program does, which is not in the current folder."""
    program = folder / "program" / "neurosim"
    if not program.is_file():
        program.parent.mkdir()
        program.write_text(MAIN)
    done = subprocess.run(
        [sys.executable, *options, str(program), *map(str, arguments)],
        cwd=folder,
        env={k: v for k, v in (os.environ | variables).items() if v is not None},
        capture_output=True,
        check=False,
    )
    done.stdout, done.stderr = (x.decode("utf-8", "replace") for x in (done.stdout, done.stderr))
    return done


def fine(folder, *arguments, **variables):
    """Run the command line, which must succeed without a word of complaint: what it prints."""
    done = call(folder, *arguments, **variables)
    assert (done.returncode, done.stderr) == (0, ""), arguments
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("run")
    fine(folder, "run", TINY, "--out", "run")
    return folder / "run"


# ------------------------------------------------------------------------------ streams


class OnlyWrites:
    """What some services put in the place of a stream."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [lambda: None, closed, OnlyWrites, io.StringIO])
def test_training_and_measuring_need_no_stream(monkeypatch, stream):
    task = MackeyGlass(horizon=3, steps=20, batch=2)
    sim = ns.Simulator(ns.rnn(1, 3, 1), ns.ANP(1e-3), batch=2, engine="objects")
    monkeypatch.setattr(sys, "stdout", stream())
    monkeypatch.setattr(sys, "stderr", stream())
    assert len(ns.train(sim, task, 1)) == 2
    assert ns.align(sim, *task.train(0), draws=2).draws == 2
    assert not screen.console().is_terminal


@pytest.mark.parametrize(
    ("which", "words"),
    [
        *((which, "run {tiny} --out {run}") for which in (">&-", "2>&-", "<&-", ">&- 2>&- <&-")),
        *((">&- 2>&- <&-", words) for words in ("list rules", "report {run}")),
    ],
)
def test_the_command_line_needs_no_stream(run, which, words):
    arguments = words.format(tiny=TINY, run=run)
    command = f"exec {sys.executable} -m neurosim {arguments} {which}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", TINY, "--out", "RUN"], "persistence"),
        (["align", TINY, "--draws", "3", "--steps", "9"], "3 draws, "),
        (["compare", "RUN"], "baseline: persistence"),
        (["list", "chips"], "pcm_drift: "),
        (["list", "rules"], "ANP: 2 passes"),
        (["list", "figures"], "decorrelation"),
        (["doctor"], "compiled loops"),
        (["--help"], "reproduce"),
    ],
)
def test_every_command_prints_in_any_alphabet(run, tmp_path, arguments, words):
    arguments = [run if each == "RUN" else each for each in arguments]
    for encoding in ("ascii", "cp932") if arguments[0] in ("run", "list") else ("ascii",):
        printed = fine(tmp_path, *arguments, PYTHONIOENCODING=encoding)
        assert words in printed
        assert "\\" not in printed, "neurosim's own signs have a spelling"


def test_names_that_a_stream_cannot_show_are_spelt(tmp_path):
    objects = ["--engine", "objects", "--epochs", "1", "--set", "baselines.enabled=false"]
    name = "\u30b0r\u00fc\u00dfe"
    printed = fine(tmp_path, "run", TINY, *objects, "--out", name, PYTHONIOENCODING="ascii")
    assert "run:     \\u30b0r\\xfc\\xdfe\n" in printed
    assert (tmp_path / name / "result.json").is_file()
    done = call(tmp_path, "run", b"\xe9".decode("utf-8", "surrogateescape"))
    assert done.returncode == 2
    assert done.stderr.startswith("neurosim: config '\\udce9'")


@pytest.mark.parametrize("sign", [*screen.ASCII, "\u00e9", "\ud800", "\U0001f40d"])
def test_every_sign_can_be_spelt(monkeypatch, sign):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", "strict"))
    screen.print_anything()
    print(f"a{sign}b", flush=True)
    assert raw.getvalue() == f"a{screen.ASCII.get(sign, ascii(sign)[1:-1])}b\n".encode()


# ------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("backend", ["module://not_installed.backend_inline", "TkAgg"])
def test_figures_need_no_backend_of_a_notebook(run, tmp_path, backend):
    variables = {"MPLBACKEND": backend, "DISPLAY": None, "WAYLAND_DISPLAY": None}
    fine(tmp_path, "run", TINY, "--out", run, **variables)
    if backend.startswith("module"):
        fine(tmp_path, "doctor", **variables)
        fine(tmp_path, "report", run, "--out", "page.html", **variables)
        aligned = ["--draws", "3", "--steps", "9", "--out", "aligned"]
        fine(tmp_path, "align", TINY, *aligned, **variables)
        assert (tmp_path / "aligned" / "alignment.png").is_file()
    plot = (
        "import neurosim as ns, os; row = {'epoch': 0, 'train_mse': 1.0, 'test_mse': 1.0}; "
        "ns.History([row]).plot().figure.savefig('plot.png'); print(os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", plot],
        cwd=tmp_path,
        env={k: v for k, v in (os.environ | variables).items() if v is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{backend}\n", "")
    assert (tmp_path / "plot.png").is_file()


def test_figures_are_drawn_by_the_defaults(run, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.bbox: tight\n")
    without = {"PATH": str(Path(sys.executable).parent)}  # of LaTeX
    before = {path: path.read_bytes() for path in (run / "figures").iterdir()}
    fine(tmp_path, "run", TINY, "--out", run, **without)
    assert {path: path.read_bytes() for path in (run / "figures").iterdir()} == before
    fine(tmp_path, "report", run, "--out", "page.html", **without)
    aligned = ["--draws", "3", "--steps", "9", "--out", "aligned"]
    fine(tmp_path, "align", TINY, *aligned, **without)


# ---------------------------------------------------------------------- homes and folders


def test_a_tilde_is_the_home_folder_in_every_command(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    text = Path(TINY).read_text().replace("[training]", '[training]\nengine = "objects"')
    (home / "mine.toml").write_text(text)
    given = ["~/mine.toml", "--checkpoint", "~/run", "--draws", "2", "--steps", "9"]
    for arguments in (
        ["run", "~/mine.toml", "--out", "~/run"],
        ["run", "~/mine.toml", "--out", "~/run", "--resume", "--epochs", "4"],
        ["report", "~/run", "--out", "~/page.html"],
        ["compare", "~/run", "--out", "~/table.md"],
        ["align", *given, "--out", "~/aligned"],
    ):
        fine(tmp_path, *arguments, HOME=str(home))
    made = {path.name for path in home.iterdir()}
    assert made >= {"run", "page.html", "table.md", "aligned"}
    assert not (tmp_path / "~").exists()


def test_a_tilde_is_the_home_folder_in_python(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sim = ns.Simulator(ns.rnn(1, 3, 1), ns.ANP(1e-3), engine="objects")
    sim.save("~/saved.npz")
    assert ns.Simulator.load("~/saved.npz").step == 0
    ns.train(sim, MackeyGlass(horizon=3, steps=20, batch=1), 1, checkpoint="~/trained.npz")
    assert len(ns.History.load("~/trained.npz")) == 2
    with pytest.raises(InputError, match="nothing: holds no sweep"):
        ns.load_results("~/nothing")
    assert {path.name for path in tmp_path.iterdir()} == {"saved.npz", "trained.npz"}


# First as root, so that all is imported: its Python may be its own.
HOMELESS = """
import os, sys
import neurosim.cli
from neurosim.cli import main

def call(*arguments):
    sys.argv = ["neurosim", *arguments]
    try:
        main()
    except SystemExit as done:
        assert not done.code, arguments

tiny, folder = sys.argv[1:]
call("run", tiny, "--out", "first")
call("run", tiny, "--out", "first", "--epochs", "4", "--resume")  # all modules are loaded by now
call("doctor")
os.setgroups([])
os.setuid(12345)
os.environ.clear()
os.chdir(folder)
if not os.access(neurosim.cli.__file__, os.R_OK):
    sys.exit("unreadable")
call("doctor")
call("run", tiny, "--out", "run", "--set", "rule.name=NP")
call("run", tiny, "--out", "run", "--set", "rule.name=NP", "--epochs", "4", "--resume")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who does not exist")
def test_a_user_without_a_home(tmp_path):
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 12345, 12345)
        done = subprocess.run(
            [sys.executable, "-c", HOMELESS, TINY, folder],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stderr == "unreadable\n":
            pytest.skip("neurosim lies in a folder that other users cannot read")
        assert (done.returncode, done.stderr) == (0, "")
        assert os.listdir(folder) == ["run"]
        assert f"neurosim-12345{os.sep}kernels" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("run {tiny} --out {run}", 0, ""),
        ("doctor", 0, ""),
        ("run {tiny}", 2, "could not be made"),
        ("sweep {tiny} --seeds 1 --out {run}s", 2, "the current folder does not exist any more"),
        ("run {tiny} --set rule.name=mine:Rule", 2, "'mine:Rule' cannot be imported"),
    ],
)
def test_a_current_folder_that_was_deleted(run, tmp_path, arguments, code, says):
    (tmp_path / "gone").mkdir()
    program = f"{sys.executable} -P -m neurosim {arguments.format(tiny=TINY, run=run)}"
    done = subprocess.run(
        ["sh", "-c", f"rmdir {tmp_path}/gone; {program}"],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------- variables


def test_a_folder_whose_name_is_no_text(run, tmp_path):
    folder = tmp_path / os.fsdecode(b"a\xff")
    shutil.copytree(run, folder)
    (folder / "history.parquet").write_bytes(b"")
    fine(tmp_path, "report", folder)
    assert "a\\udcff/history.parquet: damaged" in (folder / "report.html").read_text()
    fine(tmp_path, "compare", folder)
    for name in ("history.parquet", "checkpoint.npz"):  # as it is before the first epoch
        (folder / name).unlink()
    fine(tmp_path, "run", folder / "config.toml", "--out", folder, "--resume")
    assert len(Folder(folder).epochs()) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_an_output_that_cannot_be_written(tmp_path):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m neurosim list rules > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("neurosim: the output could not be written (No space left")


@pytest.mark.parametrize("size", [1e-42, 1e-320])
def test_numpy_that_is_told_to_raise(size):
    data = np.full((3, 1, 1), size)
    sim = ns.Simulator(ns.rnn(1, 3, 1), ns.ANP(1e-3), engine="objects")
    with np.errstate(all="raise"):
        assert sim.evaluate(data, data).mse == 0
        sim.run(data, data)


@pytest.mark.parametrize(
    "variables",
    [
        {"TMPDIR": "/no/such/folder", "TERM": "dumb", "COLUMNS": "0", "LINES": "0"},
        {"LC_ALL": "C", "LANG": None, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONOPTIMIZE": "2", "FORCE_COLOR": "1", "NO_COLOR": None, "OMP_NUM_THREADS": "0"},
    ],
)
def test_variables_of_other_programs(run, tmp_path, variables):
    for arguments in (["run", TINY, "--out", run], ["list", "rules"], ["doctor"], ["--help"]):
        printed = fine(tmp_path, *arguments, **variables)
        assert len(printed.splitlines()) > 10
        assert "\x1b" not in printed


PTY = """
import os, pty, sys
pid, seen = pty.fork()
if not pid:
    os.execvp(sys.executable, [sys.executable, "-m", "neurosim", *sys.argv[1:]])
try:
    while text := os.read(seen, 4096):
        os.write(1, text)
except OSError:  # Linux's word for its end
    pass
"""


@pytest.mark.parametrize("columns", ["0", "20"])
def test_a_terminal_without_a_width_or_a_narrow_one_shows_whole_numbers(run, columns):
    done = subprocess.run(
        [sys.executable, "-c", PTY, "compare", str(run)],
        env=os.environ | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    )
    mean = f"{json.loads((run / 'result.json').read_text())['table'][AFTER]['test_mse']:.4g}"
    assert f" {mean} " in done.stdout


def test_an_isolated_python(run, tmp_path):
    done = call(tmp_path, "run", TINY, "--out", run, options=["-I"])
    assert (done.returncode, done.stderr) == (0, "")


def test_data_that_are_not_where_the_variable_says(tmp_path):
    arguments = ["run", "quickstart", "--epochs", "1", "--out", "run"]
    done = call(tmp_path, *arguments, NEUROSIM_DATA=str(tmp_path / "missing"))
    assert done.returncode == 2
    assert "NEUROSIM_DATA = " in done.stderr
    assert not (tmp_path / "run").exists()
    assert "refuses it" in fine(tmp_path, "doctor", NEUROSIM_DATA="~/missing")


# ------------------------------------------------------------------- modules of one's own

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
CONFIG = """
[task]
name = "tasks:MyTask"
sequences = 1
[network]
hidden = 5
[rule]
name = "tasks:MyRule"
learning_rate = 1e-3
[training]
epochs = 1
engine = "objects"
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder where packages are installed, beside the current one."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write_own(module):
    file = Path(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OWN)
    return file


def test_a_module_here_comes_before_an_installed_one(installed):
    for name in ("own_things", "own_helper"):
        (installed / f"{name}.py").write_text("raise ImportError('the installed one')")
    file = write_own("own_things")
    file.write_text(f"import own_helper\n{OWN}")
    Path("own_helper.py").write_text("")
    found = own.find("own_things:MyRule", "rule")
    assert sys.modules[found.__module__].__file__ == str(file.resolve())
    assert sys.path[-1] == str(Path.cwd()), (
        "whatever is imported later is not looked for here first"
    )


@pytest.mark.parametrize("module", ["random", "numpy", "json.decoder", "sys"])
def test_a_module_here_with_the_name_of_one_that_is_loaded(installed, module):
    file = write_own(module)
    with pytest.raises(InputError, match=f"rule .*: {file} in the current folder has the name of"):
        own.find(f"{module}:MyRule", "rule")


def test_a_module_here_with_the_name_of_one_that_is_needed(installed, monkeypatch):
    # By what neurosim needs; not imported yet.
    monkeypatch.delitem(sys.modules, "mdurl", raising=False)
    write_own("mdurl")
    with pytest.raises(
        InputError, match=r"mdurl\.py in the current folder has the name of .*mdurl"
    ):
        own.find("mdurl:MyRule", "rule")


def test_a_module_here_that_means_another_one_of_its_name(installed, monkeypatch):
    monkeypatch.delitem(sys.modules, "mdurl", raising=False)
    Path("mdurl.py").write_text("from mdurl import parse\n")
    said = r"parse.*; mdurl\.py in the current folder has the name of .*mdurl"
    with pytest.raises(InputError, match=said):
        own.find("mdurl:MyRule", "rule")


def test_the_same_name_in_another_folder(installed, tmp_path, monkeypatch):
    write_own("own_things")
    own.find("own_things:MyRule", "rule")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    write_own("own_things")
    with pytest.raises(InputError, match=r"own_things\.py in the current folder has the name of"):
        own.find("own_things:MyRule", "rule")


def test_a_users_tasks_are_found_in_runs_and_sweeps(tmp_path):
    # Celery's and invoke's name for it; the others are Python's, and not asked for.
    for name in ("tasks", "signal", "random"):
        (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / "mine.toml").write_text(CONFIG)
    fine(tmp_path, "run", "mine.toml", "--out", "run")
    fine(tmp_path, "sweep", "mine.toml", "--seeds", "1", "--jobs", "1", "--out", "sweep")
    assert "tasks:MyTask" in (tmp_path / "run" / "config.toml").read_text()
