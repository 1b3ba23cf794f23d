"""Folders of results that are another's, or damaged: nothing of them is run, nothing is hidden."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys

import pandas as pd
import pytest
from sweeps import TINY, done_here, many

import neurosim as ns
from neurosim import checkpoint
from neurosim.experiments import Experiment, load, notes, registry
from neurosim.experiments import parquet as tables
from neurosim.experiments.baselines import AFTER
from neurosim.experiments.folder import Folder, data_digest
from neurosim.experiments.sweep import compare, load_results, results
from neurosim.experiments.sweep.results import POOL, TABLE
from neurosim.experiments.written import Written
from neurosim.files import read_json

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


def rewrite(run, was, now):
    """Change a run's config; its result goes on being that of its config."""
    path = run / "config.toml"
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, now))
    change(run / "result.json", digest=Written.read(path).digest)


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


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
    for run in (sweep / POOL).iterdir():
        rewrite(run, *OWN[request.param])
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


def test_a_report_takes_no_task_that_a_folder_offers(sweep, neurosim, monkeypatch):
    """As an installed package does; Python looks there too, in a session for example."""
    run = first(sweep)
    rewrite(run, 'name = "mackey_glass"', 'name = "offered"')
    about = run / "evil-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[neurosim.tasks]\noffered = evil_offer:Task\n")
    (run / "evil_offer.py").write_text("open('was_run', 'w').close()\n")
    monkeypatch.chdir(run)
    monkeypatch.syspath_prepend("")
    assert "offered" in registry.tasks()
    assert neurosim("report", ".")[0] == 0
    assert "does not exist; " in (run / "report.html").read_text()
    assert not (run / "was_run").exists()


def test_a_report_is_not_written_through_a_link(sweep, neurosim):
    mine, run = sweep / "mine.txt", first(sweep)
    mine.write_text("mine")
    (run / "report.html").symlink_to(mine)
    code, _, err = neurosim("report", run)
    assert code == 2
    assert f"report.html: is a link to {mine}; choose a file by --out" in err
    assert mine.read_text() == "mine"


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
    "flags": lambda path: parquet(path, pd.read_parquet(path).assign(test_mse=True)),
    "no steps": lambda path: parquet(path, pd.read_parquet(path).assign(steps=float("nan"))),
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


@pytest.mark.parametrize("text", BAD_JSON[1::3], ids=lambda text: text[:12])
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


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def far_too_long(path):
    with path.open("r+b") as file:
        file.truncate(2**40)


def circle(path):
    path.unlink()
    path.symlink_to(path.name)


NO_FILES = [pipe, device, far_too_long, circle]
NAMES = ["config.toml", "environment.json", "history.parquet", "checkpoint.npz", "result.json"]


@pytest.mark.parametrize("damage", NO_FILES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_or_has_no_end_is_not_waited_for(sweep, name, damage):
    run = Folder(first(sweep))
    config = load(run.config)
    readers = {
        "config.toml": lambda: load(run.config),
        "environment.json": lambda: run.ran_on,
        "history.parquet": run.epochs,
        "checkpoint.npz": lambda: run.simulator(config),
        "result.json": lambda: notes.read(run.result, notes.Result),
    }
    damage(run.path / name)
    with pytest.raises((ns.CheckpointError, ns.InputError), match=name.replace(".", r"\.")):
        readers[name]()
    frame = results.collect(sweep)
    assert (frame["status"] == "finished").sum() >= 2


def test_a_list_of_configs_names_what_is_none(tmp_path, monkeypatch, neurosim):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "folder.toml").mkdir(parents=True)
    os.mkfifo(tmp_path / "configs" / "pipe.toml")
    code, out, err = neurosim("list", "configs")
    assert (code, err) == (0, "")
    assert out.count("cannot be read (it is no file)") == 2


ELSEWHERE = {"digest": "0" * 64, "epochs": 7}


@pytest.mark.parametrize("field", ELSEWHERE)
@pytest.mark.parametrize("name", ["result.json", "failure.json"])
def test_a_result_of_another_run_is_not_this_ones(sweep, neurosim, name, field):
    run = first(sweep)
    if name == "failure.json":
        digest = json.loads((run / "result.json").read_text())["digest"]
        (run / "result.json").unlink()
        said = {"status": "diverged", "reason": "numbers", "digest": digest, "epochs": 1}
        (run / name).write_text(json.dumps(said))
        assert results.row_of(Folder(run))["status"] == "diverged"
    change(run / name, **{field: ELSEWHERE[field]})
    row = results.row_of(Folder(run))
    assert row["status"] == "unfinished"
    assert f"{name}: belongs to another config" in row["reason"]
    assert "test_mse" not in row
    assert neurosim("report", run)[0] == 0
    assert f"{name}: belongs to another config" in (run / "report.html").read_text()


@pytest.mark.parametrize("score", ["0.1", float("nan"), float("inf"), True, [], 10**400])
@pytest.mark.parametrize("who", ["mean", AFTER])
def test_a_score_is_a_number(sweep, neurosim, who, score):
    run = first(sweep)
    table = {"mean": {"test_mse": 1.0}, **json.loads((run / "result.json").read_text())["table"]}
    table[who]["test_mse"] = score
    change(run / "result.json", table=table)
    code, _, err = neurosim("compare", sweep)
    assert code == 0
    assert f"result.json: damaged (table.{who}.test_mse: " in err


def test_no_key_stands_in_a_file_twice(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "b": {"c": 1, "c": 2}}')
    with pytest.raises(
        ns.CheckpointError, match=r"a\.json: damaged, no JSON \('c' stands there tw"
    ):
        read_json(path, dict)


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


WRONG_TABLES = {
    "fewer runs": lambda frame: frame[:2],
    "no runs": lambda frame: frame[:0],
    "a run twice": lambda frame: frame.assign(run=frame["run"].iloc[0]),
    "another sweep": lambda frame: frame.assign(run=["a", "b", "c"]),
    "words": lambda frame: frame.assign(test_mse="0.1"),
    "flags": lambda frame: frame.assign(test_mse=True),
    "a baseline of words": lambda frame: frame.assign(**{"baseline.mean": "a"}),
    "epochs of words": lambda frame: frame.assign(epochs_done="1"),
    "lists": lambda frame: frame.assign(**{"rule.learning_rate": [[1.0]] * len(frame)}),
}


@pytest.mark.parametrize("wrong", WRONG_TABLES)
def test_a_table_that_is_not_of_the_runs_is_made_again(sweep, wrong):
    good = load_results(sweep)
    parquet(sweep / TABLE, WRONG_TABLES[wrong](good))
    pd.testing.assert_frame_equal(load_results(sweep), good)


def test_a_table_whose_rows_take_no_room_in_the_file(sweep, monkeypatch):
    monkeypatch.setattr(tables, "memory", lambda: 10**6)
    good, path = load_results(sweep), sweep / TABLE
    parquet(path, pd.DataFrame({"run": [0] * 130_000}))
    assert path.stat().st_size < 10_000
    with pytest.raises(
        ns.CheckpointError, match=r"results\.parquet: .*rows do not fit into memory"
    ):
        tables.read_columns(path, ["run"])
    pd.testing.assert_frame_equal(load_results(sweep), good)


@pytest.mark.parametrize("damage", BAD_TABLES)
def test_a_bad_table_is_made_again_of_the_runs_or_named(sweep, damage):
    good = load_results(sweep)
    BAD_TABLES[damage](sweep / TABLE)
    pd.testing.assert_frame_equal(load_results(sweep)[[*good]], good)
    if damage != "no steps":  # which the table has no column of
        shutil.rmtree(sweep / POOL)
        with pytest.raises(ns.CheckpointError, match=r"results\.parquet: damaged"):
            load_results(sweep)


def test_a_table_names_no_folders_elsewhere(sweep):
    parquet(sweep / TABLE, load_results(sweep).assign(run="../../elsewhere"))
    shutil.rmtree(sweep / POOL)
    with pytest.raises(ns.CheckpointError, match=r"results\.parquet: damaged \(run:"):
        load_results(sweep, costs=True)


@pytest.mark.parametrize(
    "extra", [None, [], 3, {}, {"epoch": -1}, {"epoch": 10**30}, {"epoch": "1"}, {"epoch": True}]
)
def test_a_checkpoint_that_does_not_say_of_what(sweep, extra):
    run = first(sweep)
    arrays, described = checkpoint.read(run / "checkpoint.npz")
    checkpoint.write(run / "checkpoint.npz", arrays, described | {"extra": extra})
    (run / "result.json").unlink()
    assert results.row_of(Folder(run))["epochs_done"] == 0
    with pytest.raises(ns.CheckpointError, match=r"checkpoint\.npz: damaged"):
        Experiment(load(run / "config.toml"), run).run(resume=True, progress=False)


OTHERS = {
    "rule": {"class": "neurosim:ANP", "learning_rate": 0.5},
    "seed": 7,
    "batch": 3,
    "substrate": {"class": "neurosim:Substrate", "act_noise": 0.5},
}


@pytest.mark.parametrize("part", OTHERS)
def test_a_checkpoint_of_another_simulator(sweep, part):
    run = Folder(first(sweep))
    config = load(run.config)
    arrays, described = checkpoint.read(run.checkpoint)
    checkpoint.write(run.checkpoint, arrays, described | {part: OTHERS[part]})
    with pytest.raises(ns.CheckpointError, match=r"checkpoint\.npz: (belongs to ano|damaged)"):
        run.resume(config, data_digest(config))


@pytest.mark.parametrize("what", ["rule", "decorrelation", "substrate"])
def test_a_checkpoint_of_a_class_that_is_not_known(sweep, what):
    run = Folder(first(sweep))
    arrays, described = checkpoint.read(run.checkpoint)
    described[what]["class"] = "evil:Rule"
    checkpoint.write(run.checkpoint, arrays, described)
    with pytest.raises(ns.CheckpointError, match=r"checkpoint\.npz: 'Rule' is not built in"):
        run.simulator(load(run.config))


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
    run = first(sweep)
    rewrite(run, "[rule]", "[rule]\nof_another_version = 3")
    assert list(load_results(sweep)["status"]) == ["finished"] * 3
    for folder in (sweep, run):
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
