"""A run can be stopped anywhere and gone on with; what is damaged or foreign is refused."""

from __future__ import annotations

import html
import json
import os
import platform
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from own_tasks import NAME, SCORE

import neurosim as ns
from neurosim import checkpoint
from neurosim.experiments import Experiment, figures, load
from neurosim.experiments.baselines import DELTA, REFITTED, RIDGE
from neurosim.experiments.folder import Folder
from neurosim.experiments.sweep import compare, results

OWN = "own_tasks:Odd"
TINY = (Path(__file__).parent / "tiny.toml").read_text()
FILES = {
    ".lock",
    "config.toml",
    "environment.json",
    "history.parquet",
    "checkpoint.npz",
    "result.json",
    "summary.md",
    "figures",
}


def numbers(folder):
    """All that a run measured, but for seconds."""
    folder = Folder(folder)
    result = json.loads(folder.result.read_text())
    del result["seconds_per_step"]
    weights = ns.Simulator.load(folder.checkpoint).weights
    weights = {name: w.tolist() for name, w in weights.items()}
    history = pd.read_parquet(folder.history).drop(columns="seconds").to_dict("records")
    return result, weights, history


def stopped_at(experiment, epoch):
    """Run until `epoch` is being kept, as by Ctrl-C."""

    def keep(self, history, *rest, keep=Folder.keep):
        if history.epoch == epoch:
            raise KeyboardInterrupt
        keep(self, history, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "keep", keep)
        with pytest.raises(KeyboardInterrupt):
            experiment.run(progress=False)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that was never interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    (folder / "tiny.toml").write_text(TINY)
    return folder / "run", Experiment(load(folder / "tiny.toml"), folder / "run").run()


@pytest.fixture
def finished(straight, tmp_path):
    """A copy of it, to be played with."""
    out, result = straight
    return shutil.copytree(out, tmp_path / "straight"), result


def test_everything_is_written(finished):
    out, result = finished
    assert {p.name for p in out.iterdir()} == FILES
    assert {p.name for p in (out / "figures").iterdir()} == {
        "learning_curve.png",
        "predictions.png",
    }
    assert {p.name for p in out.rglob(".*")} == {".lock"}, "no temporary files are left"
    assert result.history.epoch == 3
    assert list(result.table.index[:2]) == ["network, before training", "network, after training"]
    environment = (out / "environment.json").read_text()
    assert json.loads(environment)[0]["packages"]["numpy"] == np.__version__
    assert f'"{platform.node()}"' not in environment


def test_the_config_written_gives_the_same_run(finished, tmp_path):
    out, _ = finished
    Experiment(load(out / "config.toml"), tmp_path / "again").run(progress=False)
    (first, *rest), (again, *others) = numbers(out), numbers(tmp_path / "again")
    assert first["table"] == again["table"]
    assert rest == others


def test_the_summary_names_settings_baselines_and_versions(finished):
    text = (finished[0] / "summary.md").read_text()
    for words in (
        "ridge readout of the untrained network",
        "readout-only delta rule",
        "persistence",
        "own noise  need not be known",
        "learning_rate = 0.001",
        f"numpy {np.__version__}",
        "seed = 5",
        "On the test, the trained network beat",
    ):
        assert words in text


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_interrupted_and_resumed_equals_straight(tiny, tmp_path, finished, epoch):
    out = tmp_path / "stopped"
    stopped_at(Experiment(tiny(), out), epoch)
    assert not (out / "result.json").exists()
    Experiment(tiny(), out).run(resume=True, progress=False)
    assert numbers(out) == numbers(finished[0])


@pytest.mark.parametrize("reach", ["truncate=2", "chunk=7"])
def test_the_referee_runs_is_resumed_and_says_that_it_is_not_local(tiny, tmp_path, reach):
    config = tiny("rule.name=BPTT", f"rule.{reach}")
    Experiment(config, tmp_path / "straight").run(progress=False)
    stopped_at(Experiment(config, tmp_path / "stopped"), 2)
    Experiment(config, tmp_path / "stopped").run(resume=True, progress=False)
    assert numbers(tmp_path / "stopped") == numbers(tmp_path / "straight")
    assert "BPTT: 1 pass; not local" in (tmp_path / "straight" / "summary.md").read_text()


def test_a_history_ahead_of_the_checkpoint_is_cut(tiny, tmp_path, finished):
    out = tmp_path / "stopped"
    stopped_at(Experiment(tiny(), out), 2)
    rows = pd.read_parquet(out / "history.parquet")
    ahead = pd.concat([rows, rows.tail(1).assign(epoch=2, test_mse=-1.0)])
    ahead.to_parquet(out / "history.parquet", index=False)
    (out / ".history.parquet.1234.part").write_bytes(b"left by a killed process")
    Experiment(tiny(), out).run(resume=True, progress=False)
    assert numbers(out) == numbers(finished[0])
    assert not list(out.rglob(".*.part"))


def test_more_epochs_may_be_asked_for(tiny, tmp_path, finished):
    out = tmp_path / "short"
    Experiment(tiny("training.epochs=2"), out).run(progress=False)
    Experiment(tiny(), out).run(resume=True, progress=False)
    assert numbers(out) == numbers(finished[0])
    assert tomllib.loads((out / "config.toml").read_text())["training"]["epochs"] == 3


def test_fewer_epochs_are_refused(tiny, finished):
    with pytest.raises(ns.InputError, match=r"training\.epochs: 3 there, 2 now"):
        Experiment(tiny("training.epochs=2"), finished[0]).run(resume=True)


def test_a_finished_run_is_not_overwritten(tiny, finished):
    before = numbers(finished[0])
    for resume in (False, True):
        Experiment(tiny(), finished[0]).run(resume=resume)
        assert numbers(finished[0]) == before
    longer = tiny("training.epochs=4")
    with pytest.raises(ns.InputError, match=r"a finished run, 3 epochs long.*--resume.*--out"):
        Experiment(longer, finished[0]).run()


def test_a_folder_with_something_else_is_refused(tiny, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ns.InputError, match="not empty"):
        Experiment(tiny(), tmp_path).run()


def test_nothing_to_resume(tiny, tmp_path):
    with pytest.raises(ns.InputError, match="no run to resume"):
        Experiment(tiny(), tmp_path / "empty").run(resume=True)
    assert not (tmp_path / "empty").exists()


def test_another_config_is_refused_and_the_differences_named(tiny, finished):
    other = tiny("rule.noise_std=1e-2", "task.horizon=4")
    with pytest.raises(ns.InputError) as caught:
        Experiment(other, finished[0]).run(resume=True)
    assert "rule.noise_std: 0.001 there, 0.01 now" in str(caught.value)
    assert "task.horizon: 3 there, 4 now" in str(caught.value)


def test_other_data_are_refused(tiny, finished, monkeypatch):
    monkeypatch.setattr("neurosim.experiments.run.steady_digest", lambda task: "other")
    with pytest.raises(ns.CheckpointError, match="other data"):
        Experiment(tiny(), finished[0]).run(resume=True)


@pytest.mark.parametrize("name", ["checkpoint.npz", "history.parquet", "config.toml"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_damaged_files_are_refused(tiny, finished, name, damage):
    path = finished[0] / name
    whole = path.read_bytes()
    path.write_bytes(
        {"truncated": whole[: len(whole) // 2], "garbage": b"\x07" * 99, "empty": b""}[damage]
    )
    with pytest.raises((ns.CheckpointError, ns.InputError), match=name):
        Experiment(tiny(), finished[0]).run(resume=True)


@pytest.mark.parametrize("name", ["checkpoint.npz", "history.parquet"])
def test_missing_files_are_refused(tiny, finished, name):
    (finished[0] / name).unlink()
    with pytest.raises(ns.CheckpointError, match=name):
        Experiment(tiny(), finished[0]).run(resume=True)


def test_a_checkpoint_of_another_version_is_refused(tiny, finished):
    path = finished[0] / "checkpoint.npz"
    arrays, description = checkpoint.read(path)
    checkpoint.write(path, arrays, description | {"version": 99})
    with pytest.raises(ns.CheckpointError, match="version = 99"):
        Experiment(tiny(), finished[0]).run(resume=True)


def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path, finished):
    other = tmp_path / "other"
    Experiment(tiny("rule.noise_std=1e-2"), other).run(progress=False)
    (finished[0] / "checkpoint.npz").write_bytes((other / "checkpoint.npz").read_bytes())
    with pytest.raises(ns.CheckpointError, match="belongs to another config"):
        Experiment(tiny(), finished[0]).run(resume=True)


def test_where_nothing_can_be_written_nothing_is_run(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ns.StorageError, match=r"file.run.*could not be made"):
        Experiment(tiny(), tmp_path / "file" / "run").run()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "tiny.toml"]


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5, 10, 12, 14])
def test_a_full_disk_leaves_only_whole_files(tiny, tmp_path, finished, calls, monkeypatch):
    """Whichever file the disk is full at, going on later gives the same numbers."""
    out, left = tmp_path / "full", [calls]

    def fsync(descriptor, fsync=os.fsync):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(ns.StorageError, match="No space left"):
            Experiment(tiny(), out).run(progress=False)
    assert {p.name for p in out.rglob(".*")} == {".lock"}
    Experiment(tiny(), out).run(resume=calls > 1, progress=False)  # 1: there is not even a config
    assert numbers(out) == numbers(finished[0])


def test_divergence_keeps_the_last_whole_epoch(tiny, tmp_path):
    out = tmp_path / "wild"
    config = tiny("rule.learning_rate=1e9", "decorrelation.learning_rate=1e9")
    with pytest.raises(ns.DivergenceError):
        Experiment(config, out).run(progress=False)
    assert checkpoint.read(out / "checkpoint.npz")[1]["extra"]["epoch"] == 0
    unfinished = FILES - {"result.json", "summary.md", "figures"}
    assert {p.name for p in out.iterdir()} == unfinished | {"failure.json"}
    failure = json.loads((out / "failure.json").read_text())
    assert failure["status"] == "diverged"
    assert "blew up" in failure["reason"]
    with pytest.raises(ns.DivergenceError):  # as it would in a folder of its own
        Experiment(config, out).run(resume=True, progress=False)
    assert {p.name for p in out.iterdir()} == unfinished | {"failure.json"}


def test_a_figure_that_cannot_be_drawn_loses_no_result(tiny, tmp_path, monkeypatch):
    def fails(*_):
        raise ValueError("no glyph")

    config = tiny("training.epochs=1", "baselines.enabled=false")
    with monkeypatch.context() as patch:
        patch.setattr(figures, "predictions", fails)
        with pytest.raises(ValueError, match="no glyph"):
            Experiment(config, tmp_path / "run").run(progress=False)
    assert Folder(tmp_path / "run").finished(config)
    assert (tmp_path / "run" / "summary.md").is_file()
    Experiment(config, tmp_path / "run").run(resume=True, progress=False)
    assert len(list((tmp_path / "run" / "figures").iterdir())) == 2


def test_a_run_that_comes_to_a_result_has_not_failed_any_more(tiny, tmp_path, finished):
    out, config = tmp_path / "out", tiny()
    stopped_at(Experiment(config, out), 2)
    Folder(out).give_up(config, "failed", "for a while")
    Experiment(config, out).run(resume=True, progress=False)
    assert {p.name for p in out.iterdir()} == FILES
    assert numbers(out) == numbers(finished[0])


def test_a_plain_rule_of_ones_own_runs_and_resumes(tiny, tmp_path, monkeypatch):
    (tmp_path / "plain_rules.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Plain:\n"
        "    learning_rate: float\n"
        "    noise_std: float = 1e-3\n"
        "    @staticmethod\n"
        "    def reward(delta_loss, variance):\n"
        "        return delta_loss / variance\n"
        "    @staticmethod\n"
        "    def neuron(noise, reward):\n"
        "        return reward * noise\n"
        "    @staticmethod\n"
        "    def synapse(pre, signal):\n"
        "        return signal * pre\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = ["rule.name=plain_rules:Plain", "training.engine=objects", "task.steps=8"]
    out = tmp_path / "plain"
    Experiment(tiny(*options, "training.epochs=1"), out).run(progress=False)
    Experiment(tiny(*options, "training.epochs=2"), out).run(resume=True, progress=False)
    assert "Plain: does not say" in (out / "summary.md").read_text()
    assert len(pd.read_parquet(out / "history.parquet")) == 3


@pytest.fixture
def odd(tmp_path):
    """A function that writes a config of a task of one's own."""

    def make(**task):
        table = "".join(f"{name} = {value!r}\n" for name, value in task.items())
        path = tmp_path / "odd.toml"
        path.write_text(re.sub(r"(?s)\[task\].*?\n\n", f"[task]\nname = {OWN!r}\n{table}\n", TINY))
        return load(path)

    return make


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ({"kind": "NaN"}, r"Odd\.baselines\(\): test_mse of '.*' = nan must be a finite number"),
        (
            {"kind": "a row"},
            r"Odd\.baselines\(\): baseline = 'network, after training' must be a n",
        ),
        ({"steps": 0}, r"Odd\.train\(0\): inputs has shape \(0, 2, 1\)"),
    ],
    ids=str,
)
def test_what_a_task_cannot_mean_is_refused_before_there_is_a_folder(odd, tmp_path, task, says):
    with pytest.raises(ns.InputError, match=says):
        Experiment(odd(**task), tmp_path / "run").run(progress=False)
    assert not (tmp_path / "run").exists()


def test_a_task_that_gives_no_error_is_refused_before_the_first_epoch(odd, tmp_path):
    with pytest.raises(ns.InputError, match=r"Odd\.score\(\): what it returns = .* 'mse' among"):
        Experiment(odd(kind="no mse"), tmp_path / "run").run(progress=False)
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


@pytest.mark.parametrize("task", [{"kind": "lists"}, {"steps": 1}, {"steps": 3}], ids=str)
def test_tasks_with_few_steps_and_with_lists_come_to_a_result(odd, tmp_path, task):
    config = odd(**task)
    table = Experiment(config, tmp_path / "run").run(progress=False).table
    assert list(table.index)[2:] == [REFITTED, NAME, RIDGE, DELTA]
    assert table["test_mse"].notna().all()
    result = json.loads((tmp_path / "run" / "result.json").read_text(), parse_constant=pytest.fail)
    assert result["table"][NAME] == {"train_mse": 0.5, "test_mse": 0.5}
    assert "test_recall" not in result["last_epoch"]
    assert Experiment(config, tmp_path / "run").run(progress=False).table.equals(table)


def test_names_of_ones_own_are_shown_as_they_are(odd, tmp_path, neurosim):
    odd()
    out = tmp_path / "run"
    code, said, err = neurosim("run", tmp_path / "odd.toml", "--out", out)
    assert (code, err) == (0, "")
    assert said.count(NAME) == 2, "a row, and the verdict"
    assert f"test {SCORE}" in said
    pages = [MarkdownIt("commonmark").enable("table").render((out / "summary.md").read_text())]
    assert neurosim("report", out)[0] == 0
    pages.append((out / "report.html").read_text())
    for page in pages:
        cells = [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page)]
        assert NAME in cells
        assert f"test {SCORE}" in cells
    row = results.row_of(Folder(out))
    assert compare.varied(results.table([row, {**row, f"test_{SCORE}": 7.0}])) == []


def test_the_folder_is_named_after_config_and_hash(tiny):
    config = tiny()
    assert str(Experiment(config).folder.path) == os.path.join("runs", f"tiny-{config.digest[:8]}")
