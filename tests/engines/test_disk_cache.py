"""Compiled loops on disk: found again, and never stale."""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import pickle
import pwd
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from numba import njit
from numba.core import config
from numba.core.errors import TypingError

import neurosim
from neurosim.engines import disk_cache, private_folder
from neurosim.engines.compile import OUTER, adapted
from neurosim.engines.disk_cache import DiskCache, folder
from neurosim.engines.fingerprint import fingerprint
from neurosim.errors import InputError
from neurosim.local import SYNAPSE

# Edits below keep the number of lines and of characters.
RULES = """
import math
from dataclasses import dataclass

import settings
from numba import njit

GAIN = 2.0
TABLE = (1.0, 1.0)


@njit
def innermost(value):
    return value * 1.0


def helper(value):
    def inner(number):
        return innermost(number) * 1.5
    return inner(value)


@dataclass(frozen=True)
class Mine:
    learning_rate: float
    noise_std: float = 0.1

    @staticmethod
    def reward(delta_loss, power, n):
        return n * delta_loss / power

    @staticmethod
    def neuron(a, a_perturbed, reward):
        return reward * (a_perturbed - a)

    @staticmethod
    def synapse(pre, signal):
        return 1.25 * GAIN * helper(signal) * pre * TABLE[0]
"""
SETTINGS = "SCALE = 1.0"
UNEDITED = 1.25 * 2.0 * 1.5
EDITS = {
    "constant": ("1.25", "4.25", 4.25 * 2.0 * 1.5),
    "function inside a helper": ("(number) * 1.5", "(number) * 3.5", 1.25 * 2.0 * 3.5),
    "compiled helper": ("value * 1.0", "value * 3.0", UNEDITED * 3.0),
    "module's constant": ("GAIN = 2.0", "GAIN = 3.0", 1.25 * 3.0 * 1.5),
    "module's table": ("(1.0, 1.0)", "(2.0, 1.0)", UNEDITED * 2.0),
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that writes the rule, edited or not, and imports it afresh."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(*edits):
        for name, text in (("settings", SETTINGS), ("rules_of_mine", RULES)):
            for old, new in edits:
                text = text.replace(old, new)
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
            importlib.invalidate_caches()
        return importlib.import_module("rules_of_mine").Mine

    return load


def answer(synapse):
    """What a compiled synapse() makes of a signal of 1 and a presynaptic activity of 1."""
    function = adapted(synapse, SYNAPSE, "Mine")

    @njit(**OUTER)
    def call(pre, signal, noise, reward):
        return function(pre, signal, noise, reward)

    return call(1.0, 1.0, 0.0, 0.0)


# ---------------------------------------------------------------- fingerprints


def test_the_fingerprint_of_the_same_code_is_the_same(load):
    first, again = (fingerprint([load().synapse]) for _ in range(2))
    assert first == again
    assert first != fingerprint([load().neuron])
    assert first != fingerprint([load().synapse, None])
    functions = [load().synapse, load().neuron]
    assert fingerprint(functions) != fingerprint(functions[::-1])


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_an_edit_changes_changes_the_fingerprint(load, edit):
    old, new, expected = EDITS[edit]
    before = load()
    key = fingerprint([before.synapse])
    assert answer(before.synapse) == pytest.approx(UNEDITED)
    after = load((old, new))
    assert answer(after.synapse) == pytest.approx(expected)
    assert fingerprint([after.synapse]) != key


def test_a_constant_of_another_module_is_part_of_the_fingerprint(load):
    uses = ("1.25 * GAIN", "settings.SCALE * GAIN")
    keys = {fingerprint([load(uses, ("SCALE = 1.0", f"SCALE = {n}.0")).synapse]) for n in (1, 2)}
    assert len(keys) == 2


def test_a_large_table_is_part_of_the_fingerprint(load):
    # As an array its repr() leaves out its middle, and digits.
    numbers = "import numpy\nTABLE = numpy.arange(5000.0); TABLE[2500] = {}"
    keys = {fingerprint([load(("TABLE = (1.0, 1.0)", numbers.format(n))).synapse]) for n in (0, 1)}
    assert len(keys) == 2


def test_what_a_function_closes_over_is_part_of_the_fingerprint():
    def make(gain):
        def synapse(pre, signal):
            return gain * pre * signal

        return synapse

    assert fingerprint([make(1.0)]) == fingerprint([make(1.0)]) != fingerprint([make(2.0)])


def test_the_fingerprint_of_a_function_inside_has_no_address_in_it():
    kept = []  # so that the second has code at other addresses
    for _ in range(2):
        scope = {}
        exec("def outer(value):\n    return (lambda number: 2.0 * number)(value)", scope)
        kept.append(scope["outer"])
    assert fingerprint(kept[:1]) == fingerprint(kept[1:])


@pytest.mark.parametrize("name", ["GAIN", "helper", "innermost"])
def test_what_is_redefined_in_a_running_session_is_compiled_anew(load, name):
    # As when a notebook's cell is edited and run again.
    rule = load()
    module = sys.modules["rules_of_mine"]
    key = fingerprint([rule.synapse])
    assert answer(rule.synapse) == pytest.approx(UNEDITED)
    new = {"GAIN": 4.0, "helper": lambda value: value * 3.0, "innermost": lambda value: value * 2}
    setattr(module, name, new[name])
    assert answer(rule.synapse) == pytest.approx(UNEDITED * 2)
    assert fingerprint([rule.synapse]) != key


# ------------------------------------------------------- one function on disk


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "chosen"))
    assert folder() == tmp_path / "chosen" / "kernels"
    monkeypatch.delenv("NEUROSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "neurosim" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder() == tmp_path / "home" / ".cache" / "neurosim" / "kernels"


def test_the_folder_may_begin_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NEUROSIM_CACHE", "~/chosen")
    assert folder() == tmp_path / "chosen" / "kernels"
    monkeypatch.delenv("NEUROSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/xdg")
    assert folder() == tmp_path / "xdg" / "neurosim" / "kernels"
    monkeypatch.setenv("NEUROSIM_CACHE", "~no-such-user/chosen")
    with pytest.raises(InputError, match="no home folder ~no-such-user"):
        folder()


@pytest.fixture
def homeless(monkeypatch):
    """Neither a variable nor the system knows a home."""

    def unknown(_):
        raise KeyError("no such user")

    for name in ("NEUROSIM_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_without_a_home_it_is_a_temporary_folder_of_the_users(homeless, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert folder() == tmp_path / f"neurosim-{os.getuid()}" / "kernels"
    small()(1)
    assert len(list(folder().iterdir())) == 1


def test_without_any_folder_nothing_is_kept(homeless, monkeypatch):
    def none_usable():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    assert small()(1) == 2
    assert not folder().exists()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache folder."""
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def small(key="key", name="small"):
    """A function with a cache, not compiled yet, as a new process has it."""

    @njit(**OUTER)
    def add_one(x):
        return x + 1

    add_one._cache = DiskCache(name, key)
    return add_one


def hits(function):
    return sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())


def test_a_compiled_function_is_found_again(cache):
    first, again = small(), small()
    assert (first(1), hits(first)) == (2, (0, 1))
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["small"]
    assert (again(1), hits(again)) == (2, (1, 0))
    assert len(list(cache.iterdir())) == 1
    assert again.stats.cache_path == str(cache)


@pytest.mark.parametrize("given", [{"key": "other"}, {"name": "other"}])
def test_another_key_or_name_is_another_file(cache, given):
    small()(1)
    other = small(**given)
    assert (other(1), hits(other)) == (2, (0, 1))
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("option", ["OPT", "BOUNDSCHECK", "SLP_VECTORIZE"])
def test_code_that_numbas_variables_changed_is_another_file(cache, monkeypatch, option):
    small()(1)
    monkeypatch.setattr(config, option, 1)
    other = small()
    assert (other(1), hits(other)) == (2, (0, 1))
    assert len(list(cache.iterdir())) == 2


def test_other_types_are_another_file(cache):
    small()(1)
    other = small()
    assert (other(0.5), hits(other)) == (1.5, (0, 1))
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"nothing that was ever compiled"),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(pickle.dumps(("something", "else"))),
        lambda file: file.write_bytes(pickle.dumps(None)),
    ],
)
def test_a_damaged_file_is_compiled_anew(cache, damage):
    small()(1)
    (file,) = cache.iterdir()
    damage(file)
    function, again = small(), small()
    assert (function(1), hits(function)) == (2, (0, 1))
    assert (again(1), hits(again)) == (2, (1, 0))
    assert list(cache.iterdir()) == [file]


def test_where_nothing_can_be_written_it_does_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        function = small()
        assert (function(1), hits(function)) == (2, (0, 1))
        assert function(0.5) == 1.5


def test_it_can_be_switched_off_and_emptied(cache):
    function = small()
    function._cache.disable()
    assert function(1) == 2
    assert not cache.exists()
    function._cache.enable()
    assert function(0.5) == 1.5
    small(name="other")(1)
    function._cache.flush()
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["other"]


# ------------------------------------------------------------------- whose code is run


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return open, ("was_run", "w")


@pytest.fixture
def planted(cache, monkeypatch, tmp_path):
    """A cache with a file in it, another's in place of what was compiled."""
    monkeypatch.chdir(tmp_path)
    small()(1)
    (file,) = cache.iterdir()
    file.write_bytes(pickle.dumps(Evil()))
    yield file
    assert not (tmp_path / "was_run").exists()


def test_what_is_kept_is_for_this_user_alone(cache):
    was = os.umask(0)
    try:
        small()(1)
    finally:
        os.umask(was)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in cache.iterdir()] == [0o600]


def test_a_folder_that_was_readable_is_made_private(cache):
    small()(1)
    cache.chmod(0o755)
    again = small()
    assert (again(1), hits(again)) == (2, (1, 0))
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_what_others_may_have_put_there_is_not_run(planted, mode, caplog):
    planted.parent.chmod(mode)
    for met in ((0, 1), (1, 0)):  # begun anew, and from then on as ever
        function = small()
        assert (function(1), hits(function)) == (2, met)
    assert planted.parent.stat().st_mode & 0o7777 == 0o700
    assert f"{planted.parent}: could be written by other users" in caplog.text


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_nor_is_a_file_that_others_may_write(planted, mode):
    planted.chmod(mode)
    function = small()
    assert (function(1), hits(function)) == (2, (0, 1))


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_nor_is_what_belongs_to_another_user(planted, what, caplog):
    os.chown(planted.parent if what == "folder" else planted, 12345, -1)
    before = planted.read_bytes()
    function = small()
    assert (function(1), hits(function)) == (2, (0, 1))
    if what == "folder":
        assert planted.read_bytes() == before, "nothing is kept there either"
        assert "belongs to another user" in caplog.text


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
def test_nor_is_a_link_of_another_user_followed(cache, tmp_path, caplog):
    """To a folder of one's own, whose files it would have cleared."""
    mine = tmp_path / "mine"
    mine.mkdir()
    mine.chmod(0o775)
    (mine / "firmware.bin").write_text("mine")
    cache.symlink_to(mine)
    os.lchown(cache, 12345, -1)
    assert small()(1) == 2
    assert [path.name for path in mine.iterdir()] == ["firmware.bin"]
    assert mine.stat().st_mode & 0o777 == 0o775
    assert f"{cache}: belongs to another user" in caplog.text


def test_what_nothing_has_used_for_long_is_cleared(cache):
    small()(1)
    (kept,) = cache.iterdir()
    month = time.time() - private_folder.UNUSED
    for name, age in (("old-1.bin", -9), ("recent-1.bin", 9999), (".left.part", -9), ("mine", -9)):
        (cache / name).touch()
        os.utime(cache / name, (month + age, month + age))
    private_folder.clear.cache_clear()  # as a new process
    small(key="other")(1)
    left = {path.name for path in cache.iterdir()}
    assert {kept.name, "recent-1.bin", "mine"} < left
    assert len(left) == 4


def test_what_is_in_use_is_not_old(cache):
    small()(1)
    (file,) = cache.iterdir()
    os.utime(file, (0, 0))
    again = small()
    assert (again(1), hits(again)) == (2, (1, 0))
    assert file.stat().st_atime > time.time() - 999


def test_there_is_an_end_to_how_much_is_kept(cache, monkeypatch):
    small()(1)
    (file,) = cache.iterdir()
    os.utime(file, (time.time() - 99,) * 2)
    monkeypatch.setattr(private_folder, "MOST", file.stat().st_size - 1)
    private_folder.clear.cache_clear()
    small(key="other")(1)
    assert [path == file for path in cache.iterdir()] == [False]


# ------------------------------------------------------- several processes at once

COMPILE = """
import sys
from numba import njit
from neurosim.engines.compile import OUTER
from neurosim.engines.disk_cache import DiskCache
exec("def slow(x):\\n" + "    x = 1.5 * x + 1\\n" * 100 + "    return x")  # some tenths of a second
function = njit(**OUTER)(slow)
function._cache = DiskCache("slow", "key")
print("ready", flush=True)
sys.stdin.readline()
function(1.0)
print(sum(function.stats.cache_misses.values()))
"""
HOLD = """
import sys, time
from neurosim.engines.disk_cache import alone
from pathlib import Path
with alone(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def processes():
    """A function that starts one that prints "ready"; all are ended at the end."""
    found = []

    def start(program, *arguments):
        command = [sys.executable, "-c", program, *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        found.append(subprocess.Popen(command, text=True, **pipes))
        return found[-1]

    yield start
    for process in found:
        process.kill()
        process.communicate()


def misses(compiling):
    """How many of these processes compiled, which begin at the same time."""
    for process in compiling:
        assert process.stdout.readline() == "ready\n"
    for process in compiling:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(process.communicate(timeout=120)[0]) for process in compiling)


def test_of_several_processes_one_compiles(cache, processes):
    assert misses([processes(COMPILE) for _ in range(4)]) == 1
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["slow"], "no lock is left"


def test_without_a_folder_each_process_compiles(monkeypatch, tmp_path, processes):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "file"))
    assert misses([processes(COMPILE) for _ in range(2)]) == 2


def test_a_process_that_was_killed_while_it_compiled_holds_up_no_other(cache, processes):
    small()(1)
    (file,) = cache.iterdir()
    file.unlink()
    holder = processes(HOLD, file)
    assert holder.stdout.readline() == "ready\n"
    function, done = small(), []
    waiting = threading.Thread(target=lambda: done.append(function(1)))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive(), "it waits for the other process"
    holder.kill()
    waiting.join(60)
    assert (done, hits(function)) == ([2], (0, 1))
    assert list(cache.iterdir()) == [file]


def test_a_process_that_stands_still_is_not_waited_for_for_ever(cache, processes, monkeypatch):
    monkeypatch.setattr(disk_cache, "WAIT", 0.2)
    small()(1)
    (file,) = cache.iterdir()
    file.unlink()
    holder = processes(HOLD, file)
    assert holder.stdout.readline() == "ready\n"
    function = small()
    assert (function(1), hits(function)) == (2, (0, 1))
    assert file.exists()


def test_what_could_not_be_compiled_holds_up_no_other(cache):
    @njit(**OUTER)
    def broken(x):
        return x.nothing

    broken._cache = DiskCache("broken", "key")
    for _ in range(2):
        with pytest.raises(TypingError):
            broken(1)
    del broken
    gc.collect()
    assert not list(cache.iterdir())


# --------------------------------------------------------- whole loops on disk

PROGRAM = """
import json, numpy as np, neurosim as ns
from rules_of_mine import Mine
sim = ns.Simulator(ns.rnn(1, 2, 1, seed=1), Mine(1.0), seed=1)
sim.run(np.ones((1, 1, 1)), np.zeros((1, 1, 1)))
change = sim.weights["B"] - sim.network.initial_weights()["B"]
print(json.dumps(change[0].tolist()))
"""


def test_an_edited_rule_never_runs_as_it_was(load, tmp_path):
    """What it goes into is compiled anew, and nothing else."""
    cache = tmp_path / "cache"
    # A loop is compiled several times here: with little optimising, as it is not about speed.
    environment = {
        **os.environ,
        "NEUROSIM_CACHE": str(cache),
        "NUMBA_OPT": "1",
        "NUMBA_LOOP_VECTORIZE": "0",
        "NUMBA_SLP_VECTORIZE": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(neurosim.__file__).parents[1])]),
    }
    known = {}

    def run():
        """The change of weights, and names of what was compiled, which each time writes a file."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        files = {path: path.stat().st_mtime_ns for path in (cache / "kernels").iterdir()}
        compiled = [path.name.split("-")[0] for path in files if files[path] != known.get(path)]
        known.update(files)
        return json.loads(done.stdout), sorted(compiled)

    load()
    unedited, compiled = run()
    assert {"absorb", "visit", "advance", "work", "multiply", "activities"} <= set(compiled)
    assert run() == (unedited, [])
    # Each edit on its own changes the fingerprint: see above.
    for edits in (["constant"], ["function inside a helper", "module's constant"]):
        load(*(EDITS[edit][:2] for edit in edits))
        factor = math.prod(EDITS[edit][2] / UNEDITED for edit in edits)
        change, compiled = run()
        assert change == pytest.approx([c * factor for c in unedited], rel=1e-4), edits
        assert compiled == ["absorb", "visit"]
    load()
    assert run() == (unedited, [])


def test_ctrl_c_that_the_compiler_loses_is_raised_after_it(cache, monkeypatch):
    """LLVM hands code over in a callback: what is raised there vanishes, and the code with it."""

    def lost(self):
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr("numba.core.codegen.CodeLibrary._get_compiled_object", lost)
    with pytest.raises(KeyboardInterrupt):
        small()(1)
    assert not list(cache.iterdir()), "neither a file nor a lock is left"
