"""Arrays and a description in one file, and what is said of a file that is not whole."""

from __future__ import annotations

import copy
import errno
import functools
import io
import json
import os
import shutil
import zipfile

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
        (lambda path: savez(path, description=np.array("{")), "damaged, no JSON"),
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


# ------------------------------------------------------- what a file claims, and what it holds


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((10**6, 10**6), "<f4"),
        ((2**62, 2**62), "<f4"),
        ((10**12,), "<U1000"),
        ((10**9, 0, 3), "<f4"),  # no bytes, and another shape than is needed
        ((3, 2), "|O"),
    ],
)
@pytest.mark.parametrize("name", ["weights/A", "state/hidden.x", "description"])
def test_no_room_is_made_for_what_a_header_claims(saved, tmp_path, name, shape, dtype):
    path = tmp_path / "c.npz"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            held = old.read(member)
            if member == f"{name}.npy":
                file = io.BytesIO()
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_2_0(file, header)
                held = file.getvalue()
            new.writestr(member, held)
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged"):
        ns.Simulator.load(path)


def test_nor_for_what_unpacks_to_more_than_the_file(saved, tmp_path):
    path = tmp_path / "c.npz"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged"):
        checkpoint.read(path)


def test_nor_for_a_header_that_unpacks_to_more_than_the_file(saved, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(np.lib.format, "read_magic", lambda _: read.append(1))
    path = tmp_path / "c.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(10**6))
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged"):
        checkpoint.look(path)
    assert read == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["weights/A.npy", "weights/A", "description.npy"])
def test_two_arrays_of_one_name(saved, tmp_path, name):
    path = tmp_path / "c.npz"
    shutil.copy(saved, path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name, file.read("weights/A.npy"))
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged.*two arrays of one name"):
        ns.Simulator.load(path)


ODD = [None, True, -5, 10**9, 10**30, 0.5, float("nan"), "", "a\0b", [], [[1]], {}, {"A": 1.0}]


def places(described, above=()):
    """Every place in a description."""
    inside = {dict: lambda: described.items(), list: lambda: enumerate(described)}
    for key, value in inside.get(type(described), list)():
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_whatever_a_description_says_is_loaded_or_refused(saved, tmp_path, value):
    """And quickly: nothing is made of a size that the arrays in the file do not have."""
    path, again = tmp_path / "c.npz", tmp_path / "again.npz"
    arrays, whole = checkpoint.read(saved)
    for place in places(whole):
        described = copy.deepcopy(whole)
        table = functools.reduce(lambda table, key: table[key], place[:-1], described)
        table[place[-1]] = value
        checkpoint.write(path, arrays, described)
        try:
            loaded = ns.Simulator.load(path)
        except ns.CheckpointError:
            continue
        loaded.save(again, described["extra"])
        found = checkpoint.read(again)[1]
        assert json.dumps(found) == json.dumps(described) or place == ("rule", "schedule")


CLAIMS = {
    "batch": 10**9,
    "step": -5,
    "seed": 2**32,
    "rule": {"class": "NP", "learning_rate": 1e-3, "pairs": 10**12},
    "substrate": {"class": "Substrate", "reward_delay": 10**9},
}


@pytest.mark.parametrize("field", CLAIMS)
def test_a_description_that_would_not_fit_into_memory(saved, tmp_path, field):
    arrays, description = checkpoint.read(saved)
    checkpoint.write(tmp_path / "c.npz", arrays, description | {field: CLAIMS[field]})
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged"):
        ns.Simulator.load(tmp_path / "c.npz")


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: np.full_like(values, np.nan),
        lambda values: np.full(values.shape, 1e300),
        lambda values: np.ones(values.shape, dtype=complex),
        lambda values: np.ones(values.shape, dtype=bool),
        lambda values: values[:0],
        lambda values: np.stack([values] * 2),
    ],
)
@pytest.mark.parametrize("engine", ["objects", "cpu"])
def test_whatever_an_array_holds_is_finite_and_fits(tmp_path, damage, engine):
    path = tmp_path / "c.npz"
    chip = ns.Substrate(reward_delay=1, reward_noise=0.1, event_loss=0.1)
    net = ns.rnn(2, 3, 1)
    sim = ns.Simulator(net, ns.ANP(1e-3, optimiser="adam"), None, chip, batch=2, engine=engine)
    sim.run(np.ones((3, 2, 2)), np.ones((3, 2, 1)))
    sim.save(path)
    arrays, description = checkpoint.read(path)
    ns.Simulator.load(path)
    for name, values in arrays.items():
        checkpoint.write(path, {**arrays, name: damage(values)}, description)
        with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged"):
            ns.Simulator.load(path)


@pytest.mark.parametrize("column", [0, 4, 5])
@pytest.mark.parametrize("value", [-1.0, 0.5, 1e30])
def test_what_is_on_its_way_must_have_been_sent(tmp_path, column, value):
    path = tmp_path / "c.npz"
    chip = ns.Substrate(reward_delay=1)
    sim = ns.Simulator(ns.rnn(2, 3, 1), ns.ANP(1e-3), None, chip, engine="objects")
    sim.run(np.ones((3, 1, 2)), np.ones((3, 1, 1)))
    sim.save(path)
    arrays, description = checkpoint.read(path)
    arrays["state/late.about"][0, column] = value
    checkpoint.write(path, arrays, description)
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged .*late\.about"):
        ns.Simulator.load(path)


@pytest.mark.parametrize("engine", ["objects", "cpu", "emulator"])
def test_a_file_that_does_not_say_when_passes_were_set_back_is_read(tmp_path, engine):
    """Rewards that are on their way in it are taken as if passes never had been."""
    path, chip = tmp_path / "c.npz", ns.Substrate(reward_delay=3)
    given, learned = np.random.default_rng(0).normal(size=(5, 1, 3)), []
    rule = ns.ANP(0.1, passes="both", noise_std=0.3, resync_every=2)
    sim = ns.Simulator(ns.rnn(2, 3, 1), rule, None, chip, engine=engine)
    sim.run(given[..., :2], given[..., 2:])
    sim.save(path)
    arrays, description = checkpoint.read(path)
    since = arrays.pop("state/late.since")
    for more in ({}, {"state/late.since": np.full_like(since, 1e6)}):
        checkpoint.write(path, {**arrays, **more}, description)
        sim = ns.Simulator.load(path)
        sim.run(given[:2, :, :2], given[:2, :, 2:])
        learned.append(sim.weights)
    arrays["state/late.since"] = np.full_like(since, 2.0**32)
    checkpoint.write(path, arrays, description)
    with pytest.raises(ns.CheckpointError, match=r"c\.npz: damaged .*late\.since"):
        ns.Simulator.load(path)
    assert all((learned[0][name] == w).all() for name, w in learned[1].items())


@pytest.mark.parametrize("engine", ["objects", "cpu", "emulator"])
def test_what_a_comparison_teaches_nothing_by_is_no_obstacle_to_saving(tmp_path, engine):
    """Where layers are apart, the output's comparisons leave the hidden layer as it was."""
    rule = ns.ANP(
        0.01, reward="return_to_go", schedule="window", window=3, pairs=1, layers="separate"
    )
    chip, arrays = ns.Substrate(reward_delay=3), {}
    for by in {"objects", engine}:
        sim = ns.Simulator(ns.rnn(2, 3, 1), rule, None, chip, engine=by)
        sim.run(np.ones((7, 1, 2)), np.ones((7, 1, 1)))
        sim.save(tmp_path / "c.npz")
        arrays[by] = checkpoint.read(tmp_path / "c.npz")[0]
    for key in ("state/late.forming", "state/late.broadcast"):
        np.testing.assert_allclose(arrays[engine][key], arrays["objects"][key], rtol=1e-2)


def test_a_state_that_is_not_usable_is_not_saved_over_one_that_is(tmp_path):
    path = tmp_path / "c.npz"
    sim = ns.Simulator(ns.rnn(2, 3, 1, neuron=ns.Linear(), input_gain=1e20), engine="objects")
    sim.save(path)
    with pytest.raises(ns.DivergenceError):
        sim.run(np.full((30, 1, 2), 1e30), np.ones((30, 1, 1)), learn=False)
    with pytest.raises(ns.InputError, match=r"not finite.*c\.npz is left"):
        sim.save(path)
    assert ns.Simulator.load(path).step == 0


# ------------------------------------------------------------------------------ names

NAMES = [
    ("A", "A.npy"),
    ("A.npy", "A"),
    ("a/b", "../a"),
    ("/a", "C:\\a"),
    ("weights/A", "\n"),
    ("é" * 400, " "),
    ("description", "file"),
    ("x.s", "state"),
    ("%00", "allow_pickle"),
]


@pytest.mark.parametrize(("one", "other"), NAMES)
@pytest.mark.parametrize("engine", ["objects", "cpu"])
def test_weights_come_back_under_their_own_names(tmp_path, one, other, engine):
    hidden = ns.Population(f"{one}.", 2, ns.Tanh())
    net = ns.Network(
        (ns.Population("u", 2), hidden, ns.Population("y", 2, ns.Linear())),
        (ns.Projection(one, "u", hidden.name), ns.Projection(other, hidden.name, "y")),
    )
    sim = ns.Simulator(net, ns.ANP(1e-3), engine=engine)
    sim.run(np.ones((3, 1, 2)), np.ones((3, 1, 2)))
    sim.save(tmp_path / "c.npz")
    loaded = ns.Simulator.load(tmp_path / "c.npz")
    for name in (one, other):
        np.testing.assert_array_equal(loaded.weights[name], sim.weights[name])


@pytest.mark.parametrize("name", ["", "a\0b", "\0", "\ud800", "a" * 1001, "é" * 501, b"a", None])
def test_a_name_that_no_file_could_hold(name):
    for make in (
        lambda: ns.Population(name, 1),
        lambda: ns.Projection(name, "u", "y"),
        lambda: ns.Population("p", 1, ns.Tanh(), decorrelation=name or ""),
    ):
        with pytest.raises(ns.InputError, match="without NUL"):
            make()


@pytest.mark.parametrize("key", [1, None, True, 0.5])
def test_a_key_that_would_be_read_back_as_text_is_refused(tmp_path, key):
    sim = ns.Simulator(ns.rnn(1, 3, 1), engine="objects")
    path = tmp_path / "c.npz"
    for extra in ({key: 1}, {"a": [{"b": {key: 1}}]}, {"a": ({key: 1},)}):
        with pytest.raises(ns.InputError, match=f"the key {key!r} of a table must be text"):
            sim.save(path, extra)
    assert not path.exists()
