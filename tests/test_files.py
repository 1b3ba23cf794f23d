"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from neurosim.errors import BusyError, InputError, StorageError
from neurosim.files import current_folder, lock, place, whole


def write(path, text, error=None):
    with whole(path) as temporary:
        temporary.write_text(text)
        if error is not None:
            raise error


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with whole(path) as temporary:
        temporary.write_text("all of it")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


def test_it_takes_a_string_and_replaces_an_older_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("older")
    with whole(str(path)) as temporary:
        temporary.write_text("newer")
        assert path.read_text() == "older"
    assert path.read_text() == "newer"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whoever_fails_while_writing_leaves_nothing_behind(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("older")
    with pytest.raises(error):
        write(path, "half of", error)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("older", [True, False])
def test_a_full_disk_leaves_nothing_new_and_an_older_file_untouched(
    tmp_path, monkeypatch, function, older
):
    path = tmp_path / "file.txt"
    if older:
        path.write_text("older")
    monkeypatch.setattr(os, function, full)
    with pytest.raises(StorageError, match=r"file\.txt: could not be written .*[Ss]pace"):
        write(path, "newer")
    assert list(tmp_path.iterdir()) == ([path] if older else [])
    assert not older or path.read_text() == "older"


def test_a_disk_that_is_full_while_writing(tmp_path):
    with pytest.raises(StorageError, match="could not be written"), whole(tmp_path / "f"):
        full()
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("replace") or replace(*names))
    with whole(tmp_path / "f") as temporary:
        temporary.write_text("text")
    assert calls == ["fsync", "replace"]


def test_a_place_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "f.txt"
    with pytest.raises(StorageError, match=r"f\.txt: could not be written"), whole(path):
        pytest.fail("there is nowhere to write to")


def test_two_writers_do_not_share_a_temporary_name(tmp_path):
    with whole(tmp_path / "f") as one, whole(tmp_path / "f") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "f").read_text() == "one"


# ---------------------------------------------------------------- links, homes, folders


@pytest.mark.parametrize("links", [["real"], ["link", "real"], ["elsewhere/real"]])
def test_a_link_is_written_through(tmp_path, links):
    (tmp_path / "elsewhere").mkdir()
    real, first = tmp_path / links[-1], tmp_path / "first"
    real.write_text("older")
    for name, target in zip([first.name, *links], links, strict=False):
        (tmp_path / name).symlink_to(tmp_path / target)
    write(first, "newer")
    assert real.read_text() == "newer"
    assert first.is_symlink()
    assert [p.name for p in real.parent.iterdir() if p.suffix == ".part"] == []


def test_a_link_that_leads_nowhere_makes_what_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("new/real")
    (tmp_path / "folder").symlink_to("other")
    write(tmp_path / "link", "text")
    write(tmp_path / "folder" / "file", "text")
    with lock(tmp_path / "folder" / ".lock", 0.0, "busy"):
        assert (tmp_path / "other" / ".lock").exists()
    assert (tmp_path / "new" / "real").read_text() == "text"
    assert (tmp_path / "other" / "file").read_text() == "text"


def test_links_in_a_circle(tmp_path):
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(StorageError, match=r"one \(a link to .*\): could not be written"):
        write(tmp_path / "one", "text")
    assert (tmp_path / "one").is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(os.devnull)])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    path = tmp_path / "thing"
    make(path)
    kind = path.lstat().st_mode
    with pytest.raises(StorageError, match=r"thing.*: could not be written \(it is no file\)"):
        write(path, "text")
    assert path.lstat().st_mode == kind


def test_permissions_of_an_older_file_stay(tmp_path):
    path = tmp_path / "file"
    path.write_text("older")
    for mode in (0o600, 0o664):
        path.chmod(mode)
        write(path, "newer")
        assert path.stat().st_mode & 0o777 == mode


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write("~/file", "text")
    with lock("~/.lock", 0.0, "busy"):
        assert {path.name for path in tmp_path.iterdir()} == {"file", ".lock"}
    assert place("~") == tmp_path
    assert place(tmp_path / "~") == tmp_path / "~"
    for path in ("~no-such-user/file", "~no-such-user"):
        with pytest.raises(InputError, match="there is no home folder ~no-such-user here"):
            write(path, "text")


def test_a_current_folder_that_was_deleted(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    assert current_folder() == os.getcwd()
    (tmp_path / "gone").rmdir()
    assert current_folder() is None
    with pytest.raises(StorageError, match="file: could not be written"):
        write("file", "text")
    with (
        pytest.raises(StorageError, match=r"\.lock: could not be made"),
        lock(".lock", 0.0, "busy"),
    ):
        pytest.fail("there is nowhere to make it")
    write(tmp_path / "file", "text")


AS_ANOTHER = """
import os, sys
from neurosim.errors import StorageError
from neurosim.files import whole
os.setgroups([])
os.setuid(12345)
try:
    with whole(sys.argv[1]) as temporary:
        temporary.write_text("newer")
except StorageError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def open_to_all():
    """A folder that others may look into; pytest's are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o555, 0o700])
def test_a_link_into_a_folder_that_cannot_be_written(open_to_all, mode):
    hidden = open_to_all / "hidden"
    hidden.mkdir()
    (hidden / "real").write_text("older")
    hidden.chmod(mode)
    link = open_to_all / "link"
    link.symlink_to("hidden/real")
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, link], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{link} (a link to {hidden / 'real'}): could not be written (Permission" in done.stderr
    assert "Traceback" not in done.stderr
    assert (hidden / "real").read_text() == "older"


# ----------------------------------------------------------------------------- locks

HOLD = """
import sys, time
from neurosim.files import lock
with lock(sys.argv[1], 0.0, "busy"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def held(tmp_path):
    """A lock that another process has, and that process."""
    path = tmp_path / "new" / ".lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield path, process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("wait", [0.0, 0.2])
def test_a_lock_is_had_by_one_process_at_a_time(held, wait):
    with (
        pytest.raises(BusyError, match="somebody is at it"),
        lock(held[0], wait, "somebody is at it"),
    ):
        pytest.fail("both have it")


def test_a_process_that_is_killed_leaves_its_lock(held):
    path, process = held
    process.kill()
    process.wait()
    with lock(path, 0.0, "busy"):
        pass


def test_a_lock_is_waited_for(held):
    path, process = held
    threading.Timer(0.3, process.kill).start()
    with lock(path, 60.0, "busy"):
        assert process.wait() != 0, "it had the lock until it ended"


def test_a_lock_is_left_whatever_happens(tmp_path):
    path = tmp_path / ".lock"
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), lock(path, 0.0, "busy"):
            raise error
    with (
        lock(path, 0.0, "busy"),
        pytest.raises(BusyError, match="busy"),
        lock(path, 0.0, "busy"),
    ):
        pytest.fail("it is had twice")


def test_two_locks_have_nothing_to_do_with_each_other(tmp_path):
    with lock(tmp_path / "one", 0.0, "busy"), lock(str(tmp_path / "other"), 0.0, "busy"):
        assert {path.name for path in tmp_path.iterdir()} == {"one", "other"}


def test_a_lock_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / ".lock"
    with pytest.raises(StorageError, match=r"\.lock: could not be made"), lock(path, 0.0, "busy"):
        pytest.fail("there is nowhere to make it")


def test_a_disk_without_locks_is_said(tmp_path, monkeypatch):
    """As older versions of filelock do of some parallel file systems."""

    def refuse(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("neurosim.files.FileLock.acquire", refuse)
    with pytest.raises(StorageError, match="support flock"), lock(tmp_path / ".lock", 0.0, "busy"):
        pytest.fail("it has none")
