"""Folders of results that are another's, or damaged: nothing of them is run, nothing is hidden."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys

import pandas as pd
import pytest
from sweeps import TINY, done_here, many

import neurosim as ns
from neurosim import checkpoint
from neurosim.experiments import Experiment, load
from neurosim.experiments.folder import Folder
from neurosim.experiments.sweep import compare, load_results, results
from neurosim.experiments.sweep.results import POOL, TABLE

SHORT = "training.epochs=1"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A sweep of three runs, with its table."""
    folder = tmp_path_factory.mktemp("done") / "sweep"
    assert done_here(many(SHORT, seeds=3), folder) == [("finished", "")] * 3
    results.write(folder)
    return folder


@pytest.fixture
def sweep(done, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(done, tmp_path / "sweep")


def first(sweep):
    return sorted((sweep / POOL).iterdir())[0]


# ----------------------------------------------------------------------- nothing is imported

OWN = {
    "task": ('name = "mackey_glass"', 'name = "evil:Task"'),
    "rule": ('name = "ANP"', 'name = "evil:Rule"'),
    "decorrelation": ('name = "Decorrelation"', 'name = "evil:Decorrelation"'),
    "neuron": ('neuron = "Tanh"', 'neuron = "evil:Neuron"'),
    "measure": ("measures = []", 'measures = ["evil:measure"]'),
}


@pytest.fixture(params=OWN)
def strangers(request, sweep, monkeypatch):
    """A sweep whose configs name a module that lies in the current folder."""
    was, now = OWN[request.param]
    for path in (sweep / POOL).glob("*/config.toml"):
        text = path.read_text()
        assert was in text
        path.write_text(text.replace(was, now))
    (sweep / TABLE).unlink()
    (sweep / "evil.py").write_text("open('was_run', 'w').close()\n")
    monkeypatch.chdir(sweep)
    monkeypatch.syspath_prepend(sweep)
    yield sweep
    assert not (sweep / "was_run").exists()
    assert "evil" not in sys.modules


def test_load_results_runs_nothing(strangers):
    frame = load_results(".", costs=True)
    assert list(frame["status"]) == ["finished"] * 3
    assert frame["seconds"].notna().all()
    assert frame["test_mse"].notna().all()


def test_neither_do_compare_and_the_report_of_a_sweep(strangers, neurosim):
    code, out, err = neurosim("compare", ".")
    assert (code, err) == (0, "")
    assert "3" in out
    assert neurosim("report", ".")[0] == 0
    assert (strangers / "report.html").is_file()


def test_nor_the_report_of_a_run(strangers, neurosim, monkeypatch):
    monkeypatch.chdir(first(strangers))
    assert neurosim("report", ".")[0] == 0
    assert "evil:" in (first(strangers) / "report.html").read_text()


def test_whoever_trains_finds_what_is_in_the_current_folder(tmp_path, monkeypatch, neurosim):
    """A config is a program, its measures as well as its tasks and rules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    (tmp_path / "mine_here.py").write_text("def f(sim, inputs, targets):\n    return {'f': 7.0}\n")
    chosen = ["--set", 'training.measures=["mine_here:f"]', "--set", SHORT]
    code, _, err = neurosim("run", TINY, *chosen, "--out", "run")
    assert (code, err) == (0, "")
    assert set(pd.read_parquet("run/history.parquet")["f"]) == {7.0}
    sys.modules.pop("mine_here")


# ------------------------------------------------------------------------- files of a run


def parquet(path, frame):
    frame.to_parquet(path, index=False)


BAD_JSON = [
    *("", "{", "null", "[]", "3", '"text"', "{}", "[null]", "[" * 10**5, "\ud800"),
    *('{"status": 3}', '{"table": [], "digest": 1}', '[{"packages": []}]', '{"epochs": NaN}'),
]
BAD_TABLES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("epoch,test_mse\n"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "no columns": lambda path: parquet(path, pd.DataFrame()),
    "other columns": lambda path: parquet(path, pd.DataFrame({"a": [1]})),
    "words": lambda path: parquet(path, pd.read_parquet(path).astype(str)),
    "rows twice": lambda path: parquet(path, pd.concat([pd.read_parquet(path)] * 2)),
}


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:12])
def test_a_result_that_is_none_is_named_and_made_again(sweep, text):
    run = first(sweep)
    write(run / "result.json", text)
    row = load_results(sweep).set_index("run").loc[run.name]
    assert row["status"] == "unfinished"
    assert str(run / "result.json") in row["reason"]
    assert (load_results(sweep)["status"] == "finished").sum() == 2
    config = load(run / "config.toml")
    Experiment(config, run, draw=False).run(resume=None, progress=False)
    assert (load_results(sweep)["status"] == "finished").all()


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:12])
def test_so_is_a_failure(sweep, text):
    run = first(sweep)
    (run / "result.json").unlink()
    write(run / "failure.json", text)
    row = results.row_of(Folder(run))
    assert (row["status"], row["epochs_done"]) == ("unfinished", 1)
    assert str(run / "failure.json") in row["reason"]
    assert not Folder(run).diverged(load(run / "config.toml"))


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:12])
def test_what_a_run_ran_on_is_no_reason_to_end_it(sweep, text, neurosim):
    run = first(sweep)
    write(run / "environment.json", text)
    assert neurosim("report", run)[0] == 0
    page = (run / "report.html").read_text()
    assert ("environment.json: " in page) == (text != "[]")  # no machine: nothing to tell
    code, _, err = neurosim("run", run / "config.toml", "--resume", "--out", run)
    assert (code, err) == (0, "")
    assert json.loads((run / "environment.json").read_text())[0]["neurosim"] == ns.__version__


@pytest.mark.parametrize("damage", BAD_TABLES)
def test_one_bad_history_hides_no_run(sweep, damage, neurosim):
    run = first(sweep)
    BAD_TABLES[damage](run / "history.parquet")
    frame = load_results(sweep, costs=True).set_index("run")
    assert list(frame["status"]) == ["finished"] * 3
    assert str(run / "history.parquet") in frame.loc[run.name, "reason"]
    assert frame["seconds"].notna().sum() == 2
    for folder in (sweep, run):
        code, _, err = neurosim("report", folder)
        assert (code, err) == (0, "")
        assert "history.parquet: damaged" in (folder / "report.html").read_text()
    with pytest.raises(ns.CheckpointError, match=r"history\.parquet: damaged"):
        Folder(run).read_history()


@pytest.mark.parametrize("text", ["", "x", "task = 3", "[task]\nname = 'a'", "[sweep]", "a = []"])
def test_one_bad_config_hides_no_run(sweep, text, neurosim):
    run = first(sweep)
    (run / "config.toml").write_text(text)
    (sweep / TABLE).unlink()
    frame = load_results(sweep).set_index("run")
    assert sorted(frame["status"]) == ["finished", "finished", "unfinished"]
    assert str(run / "config.toml") in frame.loc[run.name, "reason"]
    assert neurosim("report", sweep)[0] == 0
    assert "config.toml: damaged" in (sweep / "report.html").read_text()
    code, _, err = neurosim("report", run)
    assert code == 2
    assert str(run / "config.toml") in err


@pytest.mark.parametrize("damage", BAD_TABLES)
def test_a_bad_table_is_made_again_of_the_runs_or_named(sweep, damage):
    good = load_results(sweep)
    BAD_TABLES[damage](sweep / TABLE)
    if damage != "words" and damage != "rows twice":  # all of that is possible
        pd.testing.assert_frame_equal(load_results(sweep), good)
        shutil.rmtree(sweep / POOL)
        with pytest.raises(ns.CheckpointError, match=r"results\.parquet: damaged"):
            load_results(sweep)


def test_a_table_names_no_folders_elsewhere(sweep):
    parquet(sweep / TABLE, load_results(sweep).assign(run="../../elsewhere"))
    shutil.rmtree(sweep / POOL)
    with pytest.raises(ns.CheckpointError, match=r"results\.parquet: damaged \(run:"):
        load_results(sweep, costs=True)


@pytest.mark.parametrize("extra", [None, [], 3, {}, {"epoch": -1}, {"epoch": "1"}, {"epoch": True}])
def test_a_checkpoint_that_does_not_say_of_what(sweep, extra):
    run = first(sweep)
    arrays, described = checkpoint.read(run / "checkpoint.npz")
    checkpoint.write(run / "checkpoint.npz", arrays, described | {"extra": extra})
    (run / "result.json").unlink()
    assert results.row_of(Folder(run))["epochs_done"] == 0
    with pytest.raises(ns.CheckpointError, match=r"checkpoint\.npz: damaged"):
        Experiment(load(run / "config.toml"), run).run(resume=True, progress=False)


@pytest.mark.parametrize("name", ["weights/A", "state/hidden.x"])
def test_a_checkpoint_of_no_use_hides_no_run(sweep, neurosim, name):
    for run in (sweep / POOL).iterdir():
        arrays, described = checkpoint.read(run / "checkpoint.npz")
        checkpoint.write(
            run / "checkpoint.npz", arrays | {name: arrays[name] * float("nan")}, described
        )
    for folder in (sweep, run):
        code, _, err = neurosim("report", folder)
        assert (code, err) == (0, "")
        assert "checkpoint.npz: damaged" in (folder / "report.html").read_text()


def test_nor_does_a_rule_that_this_version_does_not_know(sweep, neurosim):
    path = first(sweep) / "config.toml"
    path.write_text(path.read_text().replace("[rule]", "[rule]\nof_another_version = 3"))
    assert list(load_results(sweep)["status"]) == ["finished"] * 3
    for folder in (sweep, path.parent):
        assert neurosim("report", folder)[0] == 0


def test_a_figure_that_is_no_text_is_named(tmp_path, neurosim):
    for name in ("summary.md", "table.parquet", "figure.svg"):
        (tmp_path / name).write_bytes(b"\xff")
    code, _, err = neurosim("report", tmp_path)
    assert code == 2
    assert "summary.md: cannot be read" in err


def test_compare_lists_what_is_damaged(sweep, neurosim):
    write(first(sweep) / "result.json", "null")
    code, out, err = neurosim("compare", sweep)
    assert code == 0
    assert "2" in out
    assert str(first(sweep) / "result.json") in err
    assert len(compare.gather([sweep])) == 3


# ---------------------------------------------------------------------- files of a search

TUNE = ["tune", TINY, "--budget", "1", "--out", "found", "--set", SHORT]


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:12])
def test_a_bad_note_of_a_search_is_named(tmp_path, monkeypatch, neurosim, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found").mkdir()
    write(tmp_path / "found" / "tuning.json", text)
    code, _, err = neurosim(*TUNE)
    assert code == 2
    assert "tuning.json: " in err or "found: holds another search" in err


def foreign(path):
    with sqlite3.connect(path) as base:
        base.execute("create table trials (a)")
        base.execute("insert into trials values (1)")


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(b"\x07" * 5000), lambda p: p.mkdir(), foreign]
)
def test_a_bad_study_is_named(tmp_path, monkeypatch, neurosim, damage):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "found").mkdir()
    damage(tmp_path / "found" / "study.db")
    code, _, err = neurosim(*TUNE)
    assert code == 2
    said = ("study.db: damaged, or not of this search", "study.db: could not be written")
    assert any(words in err for words in said)
    assert "Traceback" not in err
