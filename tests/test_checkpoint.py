"""Arrays and a description in one file, and what is said of a file that is not whole."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

import neurosim as ns
from neurosim import checkpoint

ARRAYS = {"one/a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1.0, np.nan])}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file of a simulator that has run."""
    path = tmp_path_factory.mktemp("saved") / "saved.npz"
    sim = ns.Simulator(ns.rnn(2, 3, 1), ns.ANP(1e-3), batch=2, engine="objects")
    sim.run(np.ones((2, 2, 2)), np.ones((2, 2, 1)))
    sim.save(path)
    return path


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "c.npz"
    checkpoint.write(path, ARRAYS, {"kind": "test", "list": [1, None, "x"]})
    arrays, description = checkpoint.read(str(path))
    assert description == {"version": checkpoint.VERSION, "kind": "test", "list": [1, None, "x"]}
    assert set(arrays) == set(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].dtype == values.dtype


def test_the_name_is_kept_as_it_is(tmp_path):
    checkpoint.write(tmp_path / "no_ending", ARRAYS, {})
    assert os.listdir(tmp_path) == ["no_ending"]


@pytest.mark.parametrize("arrays", [ARRAYS, {"object": np.array([object()])}])
@pytest.mark.parametrize("description", [{}, {"not json": {1, 2}}])
def test_an_older_file_is_untouched_by_a_failure(tmp_path, monkeypatch, arrays, description):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "c.npz"
    path.write_text("older")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((ns.StorageError, TypeError, ValueError)):
        checkpoint.write(path, arrays, description)
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["c.npz"]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ns.StorageError, match=r"c\.npz: could not be written .*space"):
        checkpoint.write(tmp_path / "c.npz", ARRAYS, {})
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------- files that are no good


@pytest.mark.parametrize("read", [checkpoint.read, ns.Simulator.load])
def test_a_file_that_is_not_there(tmp_path, read):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ns.CheckpointError, match=f"{path.name}: no such checkpoint"):
            read(path)


def savez(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def save(path, values, pickle=False):
    with open(path, "wb") as file:
        np.save(file, values, allow_pickle=pickle)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b""), "damaged, truncated, or not a checkpoint"),
        (lambda path: path.write_text("weights: none"), "damaged, truncated, or not a check"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "damaged, truncated, or not"),
        (lambda path: savez(path, a=np.ones(3)), "damaged, truncated, or not a checkpoint"),
        (lambda path: savez(path, description=np.array("{")), "damaged, truncated, or not a"),
        (lambda path: savez(path, description=np.ones(3)), "damaged|version"),
        (lambda path: savez(path, description=np.array("[1, 2]")), "damaged|version"),
        (lambda path: savez(path, description=np.array("3")), "damaged|version"),
        (lambda path: save(path, np.ones(3)), "damaged, truncated, or not a checkpoint"),
        (lambda path: save(path, np.array([{}]), True), "damaged, truncated, or not a checkpoint"),
        (
            lambda path: savez(path, description=np.array('{"version": 999}')),
            "version = 999 must be 1; it was written by another version",
        ),
        (lambda path: savez(path, description=np.array("{}")), "version = None must be 1"),
    ],
)
@pytest.mark.parametrize("read", [checkpoint.read, ns.Simulator.load])
def test_a_file_of_another_kind(tmp_path, make, said, read):
    path = tmp_path / "c.npz"
    make(path)
    with pytest.raises(ns.CheckpointError, match=rf"c\.npz: ({said})"):
        read(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file(saved, tmp_path, share):
    whole = saved.read_bytes()
    path = tmp_path / "c.npz"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged, truncated, or not"):
        ns.Simulator.load(path)


def test_a_damaged_byte_is_noticed_or_does_no_harm(saved, tmp_path):
    whole, path = saved.read_bytes(), tmp_path / "c.npz"
    arrays, description = checkpoint.read(saved)
    noticed = 0
    positions = range(0, len(whole), 7)
    for at in positions:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            found, told = checkpoint.read(path)
        except ns.CheckpointError:
            noticed += 1
            continue
        assert told == description
        for name, values in found.items():
            np.testing.assert_array_equal(values, arrays[name])
    assert noticed > len(positions) / 4


def change(part, name, value):
    def changed(arrays, description):
        {"arrays": arrays, "description": description}[part][name] = value

    return changed


def drop(part, name):
    def dropped(arrays, description):
        del {"arrays": arrays, "description": description}[part][name]

    return dropped


@pytest.mark.parametrize(
    "damage",
    [
        change("description", "kind", "training"),
        drop("description", "kind"),
        drop("description", "network"),
        drop("description", "seed"),
        change("description", "network", []),
        change("description", "rule", {"class": "ANP"}),
        change("description", "rule", {"class": "ANP", "learning_rate": -1.0}),
        change("description", "rule", {"class": "ANP", "learning_rate": 1.0, "colour": "red"}),
        change("description", "rule", {"class": "Unheard"}),
        change("description", "step", "many"),
        change("description", "batch", -1),
        change("description", "batch", 3),
        change("description", "engine", "steam"),
        drop("arrays", "weights/A"),
        drop("arrays", "state/hidden.x"),
        change("arrays", "weights/A", np.ones((3, 3), dtype=np.float32)),
        change("arrays", "weights/A", np.ones(6, dtype=np.float32)),
        change("arrays", "weights/A", np.full((3, 2), "a")),
        change("arrays", "state/hidden.x", np.ones((2, 2), dtype=np.float32)),
        change("arrays", "state/hidden.s", np.ones(3, dtype=np.float32)),
    ],
)
@pytest.mark.parametrize("engine", ["objects", "cpu"])
def test_a_file_that_contradicts_itself(saved, tmp_path, damage, engine):
    arrays, description = checkpoint.read(saved)
    description["engine"] = engine
    damage(arrays, description)
    checkpoint.write(tmp_path / "c.npz", arrays, description)
    with pytest.raises(ns.CheckpointError):
        ns.Simulator.load(tmp_path / "c.npz")


def test_asking_for_an_engine_that_does_not_exist_is_not_the_files_fault(saved):
    with pytest.raises(ns.InputError, match="engine = 'steam' does not exist"):
        ns.Simulator.load(saved, engine="steam")
