"""A sweep's table is a function of its configs: whatever happened to the processes on the way."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import own_parts
import pandas as pd
import psutil
import pytest
from sweeps import TINY, done_here, epochs_kept, many, measured, options, start, statuses

import neurosim as ns
from neurosim.engines.cuda import device
from neurosim.errors import BusyError
from neurosim.experiments.folder import Folder
from neurosim.experiments.sweep import Sweep, cluster, load_results, results
from neurosim.experiments.sweep.compare import compare
from neurosim.experiments.sweep.results import POOL, TABLE
from neurosim.experiments.sweep.runs import carry_out
from neurosim.experiments.sweep.sweep import Workers
from neurosim.files import whole

RATE = "rule.learning_rate"
UNLUCKY = own_parts.UNLUCKY
LOG = 'training.measures=["own_parts:log"]'
EPOCHS = 120
LONG = (LOG, f"training.epochs={EPOCHS}")  # some seconds
GRID = {"product": {RATE: [1e-3, 1e-4]}, "seeds": [4, 3]}


def kept(found, folder):
    """All that a run may not change once it is done: when its files were written."""
    paths = [path for run in found for path in run.folder(folder / POOL).path.glob("*.*")]
    return {path: path.stat().st_mtime_ns for path in paths if not path.name.startswith(".")}


def steps_of(run):
    """All that is logged of a run: before training, and every epoch, once each."""
    config = run.config
    steps = [config.task.steps * epoch for epoch in range(config.training.epochs + 1)]
    return {(config.rule.learning_rate, config.training.seed, step): 1 for step in steps}


@pytest.fixture(scope="module")
def grid():
    return many(*LONG, **GRID)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, workers, grid):
    """A sweep that nothing happened to."""
    folder = tmp_path_factory.mktemp("straight")
    assert statuses(Sweep(grid, folder).run(workers)) == ["finished"] * 4
    return folder


# ------------------------------------------------------------------------- the table


def test_a_row_a_run_with_every_field_of_its_config_and_its_scores(straight, grid):
    frame = load_results(straight).set_index("run")
    assert sorted(frame.index) == sorted(run.name for run in grid)
    for run in grid:
        row = frame.loc[run.name]
        for field, value in run.config.flat().items():
            if value == "none":
                assert pd.isna(row[field])
            else:
                assert row[field] == (json.dumps(value) if isinstance(value, list) else value)
        assert (row["status"], row["reason"], row["epochs_done"]) == ("finished", "", EPOCHS)
        scores = json.loads(run.folder(straight / POOL).result.read_text())["table"]
        for name in ("test_mse", "train_mse"):
            assert row[name] == scores["network, after training"][name]
            assert row[f"untrained_{name}"] == scores["network, before training"][name]
    assert frame["test_mse"].nunique() == len(grid), "each has learned something else"


def test_rows_are_sorted_by_what_differs(straight):
    frame = load_results(straight)
    differ = [name for name in frame if "." in name and frame[name].nunique(dropna=False) > 1]
    assert differ == ["task.seed", "network.seed", RATE, "training.seed"]
    rows = list(frame[differ].itertuples(index=False, name=None))
    assert rows == sorted(rows)
    assert [row[2:] for row in rows] == [(1e-4, 3), (1e-3, 3), (1e-4, 4), (1e-3, 4)]


def test_the_outcomes_come_in_the_order_of_the_runs(straight, workers, grid):
    backwards = list(reversed(grid))
    outcomes = Sweep(backwards, straight).run(workers)
    assert [outcome.run for outcome in outcomes] == backwards
    errors = load_results(straight).set_index("run")["test_mse"]
    assert [o.test_mse for o in outcomes] == [errors[run.name] for run in backwards]


def test_epochs_are_told_of_while_a_run_is_under_way(workers, own, tmp_path):
    told = []
    (run,) = many(measured("slow"), "training.epochs=50")  # at least 2.5 seconds
    Sweep([run], tmp_path).run(workers, reached=lambda *what: told.append(what))
    names, epochs = zip(*told, strict=True)
    assert set(names) == {run.name}
    assert list(epochs) == sorted(set(epochs))
    assert 0 < epochs[0] < 50


def test_the_table_does_not_depend_on_the_order_or_the_process(own, tmp_path):
    found = many(product={RATE: [1e-3, 1e-4], "rule.window": ["none", 3]})
    for folder, order in (("one", 1), ("other", -1)):
        done_here(found[::order], tmp_path / folder)
        results.write(tmp_path / folder)
    one, other = (load_results(tmp_path / folder) for folder in ("one", "other"))
    pd.testing.assert_frame_equal(one, other, rtol=0, atol=0)
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "other" / TABLE).read_bytes()


def test_costs_are_asked_for(straight):
    frame, more = load_results(straight), load_results(straight, costs=True)
    assert list(more.columns) == [*frame.columns, "seconds", "seconds_per_step"]
    pd.testing.assert_frame_equal(more[frame.columns], frame)
    assert (more["seconds"] > 0).all()
    steps = EPOCHS * 40
    assert (more["seconds_per_step"] < 3 * more["seconds"] / steps).all()
    assert (more["seconds_per_step"] > 0).all()


def test_columns_have_one_type_each(own, tmp_path):
    found = many(
        "training.epochs=1",
        product={
            "rule": [
                {"name": "ANP", "learning_rate": 1e-3, "window": 3},
                {"name": "NP", "learning_rate": {"A": 1e-3, "B": 1}},
            ],
            "task.squash": ["tanh", "none"],
        },
    )
    assert done_here(found, tmp_path) == [("finished", "")] * 4
    results.write(tmp_path)
    frame = load_results(tmp_path)
    kinds = frame.dtypes.map(str)
    assert kinds["network.hidden"] == kinds["training.seed"] == kinds["epochs_done"] == "int64"
    assert kinds["network.decorrelate"] == "bool"
    assert kinds["test_mse"] == kinds["network.gain"] == "float64"
    by_rule = dict(list(frame.groupby("rule.name")))
    assert by_rule["ANP"][RATE].tolist() == [1e-3] * 2
    assert by_rule["NP"][RATE].isna().all()
    assert by_rule["NP"][f"{RATE}.B"].tolist() == [1.0] * 2
    assert kinds["rule.window"] == kinds[f"{RATE}.B"] == "float64"
    assert sorted(frame["task.squash"].dropna()) == ["tanh"] * 2
    pd.testing.assert_frame_equal(frame, results.collect(tmp_path), check_dtype=False)


def test_what_is_mixed_becomes_text():
    rows = [{"run": str(k), "a.b": value} for k, value in enumerate(["all", 3, True, [1, 2]])]
    frame = results.table([{**row, "status": "", "reason": "", "epochs_done": 0} for row in rows])
    assert sorted(frame["a.b"]) == ["3", "[1, 2]", "all", "true"]


def test_a_number_and_its_text_are_two_groups(tmp_path):
    day = date(2020, 1, 2)
    given = [1, "1", 2**70, [1], "[1]", day, str(day), "x", '"1"']
    row = {"status": "finished", "reason": "", "epochs_done": 0, "test_mse": 1.0}
    frame = results.table([{"run": str(k), "a.b": v, **row} for k, v in enumerate(given)])
    assert frame["a.b"].nunique() == len(given)
    assert len(compare(frame)) == len(given)
    assert {"1", '"1"', str(day), f'"{day}"', "x", str(2**70)} <= set(frame["a.b"])
    whole = results.table([{"run": str(k), "a.b": 2**k, **row} for k in (0, 70)])
    assert whole["a.b"].tolist() == ["1", str(2**70)]


def test_baselines_have_columns_of_their_own(own, tmp_path):
    quick = ["training.epochs=1", "baselines.readout_epochs=1", "task.steps=20"]
    (run,) = many("baselines.enabled=true", *quick)
    assert done_here([run], tmp_path) == [("finished", "")]
    results.write(tmp_path)
    (row,) = load_results(tmp_path).to_dict("records")
    table = json.loads(run.folder(tmp_path / POOL).result.read_text())["table"]
    names = [name for name in table if not name.startswith("network, ")]
    assert len(names) > 3
    for name in names:
        assert row[f"baseline.{name}"] == table[name]["test_mse"]


def test_a_sweep_that_has_no_table_yet_is_looked_at(own, tmp_path):
    (run,) = many("training.epochs=1")
    done_here([run], tmp_path)
    assert not (tmp_path / TABLE).exists()
    assert load_results(tmp_path)["run"].tolist() == [run.name]


def test_a_run_under_way_is_unfinished(own, tmp_path):
    (run,) = many()
    done_here([run], tmp_path)
    run.folder(tmp_path / POOL).result.unlink()
    (row,) = load_results(tmp_path).to_dict("records")
    assert (row["status"], row["epochs_done"]) == ("unfinished", 3)
    assert "test_mse" not in row


def test_what_holds_no_sweep_is_refused(tmp_path):
    with pytest.raises(ns.InputError, match=r"holds no sweep \(neither results.parquet nor runs/"):
        load_results(tmp_path)
    with pytest.raises(ns.InputError, match="nowhere: holds no sweep"):
        ns.load_results(tmp_path / "nowhere")


# ------------------------------------------------------------------------ the configs


def test_all_configs_are_checked_before_anything_is_run(neurosim, own, tmp_path):
    out = tmp_path / "out"
    code, said, err = neurosim(
        "sweep", TINY, "--over", "rule.noise_std=1e-3,1e-2,-1", "--seeds", 2, "--out", out
    )
    assert (code, said) == (2, "")
    assert "[rule] ANP: noise_std = -1" in err
    assert "in the run with rule.noise_std = -1" in err
    assert "tiny.toml" in err
    assert "Traceback" not in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--over", "rule.learnin_rate=1,2"], "in the run with rule.learnin_rate = 1"),
        (["--over", "rule.noise_std"], "--over rule.noise_std: must be table.key=value"),
        (["--seeds", "0"], "--seeds 0"),
        (["--over", "training.batch=2", "--over", "training.batch=1"], "varied by two axes"),
        (["--over", "rule.name.first=1"], "'name' is not a table"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(neurosim, tmp_path, arguments, says):
    code, said, err = neurosim("sweep", TINY, *arguments, "--out", tmp_path / "out")
    assert (code, said) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_config_of_many_runs_is_not_for_run(neurosim, tmp_path):
    path = tmp_path / "swept.toml"
    path.write_text(TINY.read_text() + "\n[sweep]\nseeds = 2\n")
    code, _, err = neurosim("run", path, "--out", tmp_path / "out")
    assert code == 2
    assert "neurosim sweep" in err


def test_the_same_config_is_one_run():
    found = many(product={"training.batch": [2]}, zip=[{"task.squash": ["tanh"]}], seeds=[5])
    assert [run.name for run in found] == [run.name for run in many()]
    assert len(many(seeds=[5, 6])) == 2
    alike = many(zip=[{"training.seed": [5, 6], "network.seed": [5, 6], "task.seed": [5, 6]}])
    assert [run.name for run in alike] == [run.name for run in many(seeds=[5, 6])]


def test_a_run_is_named_after_its_whole_config():
    names = [many(text)[0].name for text in ("training.epochs=3", "training.epochs=4", LOG)]
    assert len(set(names)) == 3
    assert many("training.epochs=3")[0].name == many()[0].name


# ------------------------------------------------------------------ done is done


def test_finished_runs_are_never_repeated(straight, workers, grid, own):
    before = kept(grid, straight)
    assert len(before) >= 4 * 6
    told = []
    Sweep(grid, straight).run(workers, told.append)
    assert statuses(told) == ["finished"] * 4
    assert kept(grid, straight) == before
    assert not own_parts.logged()


def test_a_larger_sweep_does_only_what_is_new(straight, workers, grid, own, tmp_path):
    shutil.copytree(straight, tmp_path / "more")
    more = many(*LONG, **{**GRID, "seeds": [4, 3, 9]})
    Sweep(more, tmp_path / "more").run(workers)
    new = [run for run in more if run.config.training.seed == 9]
    assert own_parts.logged() == steps_of(new[0]) | steps_of(new[1])
    frame = load_results(tmp_path / "more")
    old = frame[frame["training.seed"] != 9].reset_index(drop=True)
    assert old.equals(load_results(straight))


def test_nobody_is_started_if_there_is_nothing_to_do(straight, grid):
    with Workers(2) as idle:
        Sweep(grid, straight).run(idle)
        assert idle._opening is None


def test_what_blew_up_is_said_and_not_repeated(workers, own, tmp_path):
    found = many(LOG, product={RATE: [1e-3, 1e9]})
    outcomes = Sweep(found, tmp_path).run(workers)
    assert statuses(outcomes) == ["finished", "diverged"]
    assert "blew up" in outcomes[1].reason
    assert math.isnan(outcomes[1].test_mse)
    frame = load_results(tmp_path).set_index("run")
    row = frame.loc[found[1].name]
    assert (row["status"], row["reason"]) == ("diverged", outcomes[1].reason)
    assert row["epochs_done"] == 0
    assert math.isnan(row["test_mse"])

    before, logged = kept(found, tmp_path), own_parts.logged()
    again = Sweep(found, tmp_path).run(workers)
    assert [(o.status, o.reason) for o in again] == [(o.status, o.reason) for o in outcomes]
    assert (kept(found, tmp_path), own_parts.logged()) == (before, logged)


def test_what_fails_is_said_takes_no_other_with_it_and_is_tried_again(workers, own, tmp_path):
    found = many(measured("log", "fails"), seeds=[1, UNLUCKY, 2])
    outcomes = Sweep(found, tmp_path).run(workers)
    assert statuses(outcomes) == ["finished", "failed", "finished"]
    assert outcomes[1].reason == "RuntimeError: out of luck"
    frame = load_results(tmp_path).set_index("run")
    assert frame.loc[found[1].name, ["status", "reason"]].tolist() == [
        "failed",
        "RuntimeError: out of luck",
    ]
    good, before = [found[0], found[2]], own_parts.logged()

    (own / "mended").touch()
    files = kept(good, tmp_path)
    assert statuses(Sweep(found, tmp_path).run(workers)) == ["finished"] * 3
    assert kept(good, tmp_path) == files
    again = own_parts.logged() - before
    assert {seed for _, seed, _ in again} == {UNLUCKY}
    assert (1e-3, UNLUCKY, 0) not in again, "it went on from the epoch that was kept"
    frame = load_results(tmp_path)
    assert frame["status"].tolist() == ["finished"] * 3
    assert frame["reason"].tolist() == [""] * 3


def test_where_nothing_can_be_written_only_that_run_fails(workers, own, tmp_path):
    found = many(seeds=[1, 2])
    (tmp_path / POOL).mkdir()
    (tmp_path / POOL / found[0].name).write_text("in the way")
    outcomes = Sweep(found, tmp_path).run(workers)
    assert statuses(outcomes) == ["failed", "finished"]
    assert "could not be made" in outcomes[0].reason
    assert found[0].name in outcomes[0].reason


def test_what_fails_before_its_first_epoch_is_said_and_tried_again(workers, own, tmp_path):
    factor, out = tmp_path / "factor", tmp_path / "out"
    (run,) = many("task.name=from_file", f"task.path={factor}")
    (outcome,) = Sweep([run], out).run(workers)
    assert outcome.status == "failed"
    assert "No such file" in outcome.reason
    assert load_results(out)["reason"].tolist() == [outcome.reason]
    factor.write_text("1")
    assert statuses(Sweep([run], out).run(workers)) == ["finished"]


@pytest.mark.parametrize("rate", [1e-3, 1e9], ids=["finished", "diverged"])
def test_what_another_sweep_did_meanwhile_is_left_alone(own, tmp_path, rate):
    (run,) = many(f"rule.learning_rate={rate}")
    done_here([run], tmp_path)
    before = kept([run], tmp_path)
    done_here([run], tmp_path)
    assert kept([run], tmp_path) == before


def test_the_data_of_a_finished_run_may_not_change(workers, own, tmp_path):
    factor, out = tmp_path / "factor", tmp_path / "out"
    factor.write_text("1")
    found = many("task.name=from_file", f"task.path={factor}", seeds=2)
    assert statuses(Sweep(found, out).run(workers)) == ["finished"] * 2
    before = kept(found, out)
    Sweep(found, out).run(workers)
    factor.write_text("2")
    with pytest.raises(ns.InputError, match=r"holds this run with other data.*by --out") as caught:
        Sweep(found, out).run(workers)
    assert found[0].name in str(caught.value)
    assert kept(found, out) == before


def test_the_data_of_an_unfinished_run_may_not_change_either(workers, own, tmp_path):
    factor, out = tmp_path / "factor", tmp_path / "out"
    factor.write_text("1")
    (run,) = many("task.name=from_file", f"task.path={factor}", measured("fails"), seeds=[UNLUCKY])
    assert statuses(Sweep([run], out).run(workers)) == ["failed"]
    factor.write_text("2")
    (own / "mended").touch()
    (outcome,) = Sweep([run], out).run(workers)
    assert outcome.status == "failed"
    assert "other data" in outcome.reason


# ------------------------------------------------------------------ processes that die


def test_a_run_whose_process_is_killed_goes_on_in_another(workers, own, tmp_path):
    found = many(measured("log", "dies_once"), "training.epochs=9", seeds=[UNLUCKY, 1])
    done_here(many(measured("log"), "training.epochs=9", seeds=[UNLUCKY, 1]), tmp_path / "straight")
    (own / "log").unlink()
    assert statuses(Sweep(found, tmp_path / "out").run(workers)) == ["finished"] * 2
    assert (own / "died").exists()
    results.write(tmp_path / "straight")
    same = ["training.seed", "test_mse", "train_mse", "untrained_test_mse", "epochs_done"]
    got, expected = (load_results(tmp_path / name)[same] for name in ("out", "straight"))
    assert got.equals(expected)
    repeated = {key: times for key, times in own_parts.logged().items() if times > 1}
    assert repeated == {(1e-3, UNLUCKY, 240): 2}, "the epoch that was under way, no other"


def test_all_processes_killed_in_the_middle_change_nothing(straight, workers, grid, own, tmp_path):
    before = []

    def kill(outcome):
        if before:
            return
        before.extend(workers.client(2).run(os.getpid).values())
        deadline, done = time.monotonic() + 60, grid
        while not len(done) < len(epochs_kept(tmp_path)):  # until some run is under way
            done = [run for run in grid if run.folder(tmp_path / POOL).result.exists()]
            assert len(done) < len(grid)
            assert time.monotonic() < deadline
        for pid in before:
            os.kill(pid, signal.SIGKILL)

    assert statuses(Sweep(grid, tmp_path).run(workers, kill)) == ["finished"] * 4
    assert len(before) == 2
    assert load_results(tmp_path).equals(load_results(straight))


@pytest.fixture(scope="module")
def deadly(installed, tmp_path_factory):
    """A sweep of which one run always kills its process, in one process: they wait behind it."""
    (installed / "mended").unlink(missing_ok=True)
    sweep = Sweep(many(measured("dies"), seeds=[UNLUCKY, 1, 2]), tmp_path_factory.mktemp("deadly"))
    with Workers(1) as one:
        yield sweep, one, sweep.run(one)


def test_a_run_that_always_kills_its_process_fails_alone(deadly):
    sweep, _, outcomes = deadly
    assert statuses(outcomes) == ["failed", "finished", "finished"]
    assert outcomes[0].reason.startswith("its process died")
    row = load_results(sweep.folder).set_index("run").loc[sweep.runs[0].name]
    assert (row["status"], row["reason"]) == ("failed", outcomes[0].reason)


def test_a_run_whose_process_died_is_tried_again_by_the_same_workers(deadly, own):
    sweep, one, _ = deadly
    (own / "mended").touch()
    assert statuses(sweep.run(one)) == ["finished"] * 3


# ---------------------------------------------------------------- stopped from outside


def test_a_sweep_stopped_and_repeated_equals_one_that_was_not(straight, own, tmp_path):
    command = ["sweep", TINY, *options(*LONG), "--over", f"{RATE}=1e-3,1e-4", "--seeds", "4,3"]
    command += ["--out", tmp_path, "--jobs", 2]
    for epoch, how in ((10, signal.SIGKILL), (20, signal.SIGINT)):
        (own / "hold").write_text(str(epoch * 40))
        process = start(*command)
        deadline = time.monotonic() + 120
        while max(epochs_kept(tmp_path), default=0) < epoch - 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does: its workers hear it as well
        else:
            process.send_signal(how)
            (own / "hold").unlink()
        _, err = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert process.returncode == 130, err
            assert f"what is done is kept in {tmp_path}; to go on, repeat the command" in err
            assert "Traceback" not in err
            assert "unfinished" in set(load_results(tmp_path)["status"])
        (own / "hold").unlink(missing_ok=True)
        assert sum(epochs_kept(tmp_path)) < 4 * EPOCHS
        assert len(children) >= 2
        assert not psutil.wait_procs(children, timeout=30)[1], "no process is left behind"

    again = start(*command)
    said, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, ""), err
    assert str(tmp_path / TABLE) in said
    assert load_results(tmp_path).equals(load_results(straight))


def test_sweeps_that_share_a_folder_at_once_do_each_run_once(straight, own, grid, tmp_path):
    def command(rates):
        found = ["sweep", TINY, *options(*LONG), "--over", f"{RATE}={rates}", "--seeds", "4,3"]
        return start(*found, "--out", tmp_path, "--jobs", 1)

    # The same twice, and one that overlaps with them.
    processes = [command(rates) for rates in ("1e-3,1e-4", "1e-3,1e-4", "1e-4,1e-5")]
    for process in processes:
        said, err = process.communicate(timeout=200)
        assert (process.returncode, err) == (0, ""), err
        assert "1e-05" not in said or process is processes[2]
    union = many(*LONG, product={RATE: [1e-3, 1e-4, 1e-5]}, seeds=[4, 3])
    frame = load_results(tmp_path)
    assert sorted(frame["run"]) == sorted(run.name for run in union)
    assert (frame["status"] == "finished").all()
    assert own_parts.logged() == {key: 1 for run in union for key in steps_of(run)}
    mine = frame[frame[RATE] > 1e-5].reset_index(drop=True)
    assert mine.equals(load_results(straight))


def whole_table(folder):
    """The table at one moment: read from one opened file, whoever replaces it meanwhile."""
    return pd.read_parquet(io.BytesIO((Path(folder) / TABLE).read_bytes()))


def add_and_write(folder, template, name):
    """Finish a run and write the table; say whether it is in there, with all that was before."""
    before = set(whole_table(folder)["run"])
    shutil.copytree(template, Path(folder) / POOL / name)
    results.write(Path(folder))
    return before | {name} <= set(whole_table(folder)["run"])


def test_a_table_that_many_write_is_always_whole_and_never_shrinks(
    straight, workers, grid, tmp_path
):
    template = grid[0].folder(straight / POOL).path
    shutil.copytree(template, tmp_path / POOL / "first")
    results.write(tmp_path)
    client = workers.client(2)
    names = [f"more-{k}" for k in range(24)]
    each = [(str(tmp_path), str(template), name) for name in names]
    futures = client.map(add_and_write, *zip(*each, strict=True), pure=False)
    longest = 1
    while not all(future.done() for future in futures):
        length = len(whole_table(tmp_path))
        assert length >= longest
        longest = length
    assert all(client.gather(futures))
    assert set(load_results(tmp_path)["run"]) == {"first", *names}
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("which", [TABLE, "history.parquet"])
def test_results_are_read_while_others_write_them(straight, grid, tmp_path, which):
    shutil.copytree(straight, tmp_path / "out")
    folder, files = tmp_path / "out", []
    path = folder / TABLE if which == TABLE else grid[0].folder(folder / POOL).history
    for rows in (1, 4):  # two tables of which neither can be read by what the other says of itself
        frame = pd.read_parquet(path).head(rows)
        frame.to_parquet(tmp_path / "other", index=False)
        files.append((tmp_path / "other").read_bytes())
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            for file in files:
                with whole(path) as temporary:
                    temporary.write_bytes(file)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(150):
            assert len(load_results(folder, costs=True)) in (1, 4)
    finally:
        stop.set()
        writer.join()


def test_a_run_that_another_process_is_at_is_waited_for(workers, own, tmp_path, monkeypatch):
    found = many(LOG, seeds=[1, 2, 3])
    told = []

    def leave(outcome):
        told.append(outcome.run)
        if len(told) == 2:
            holder.__exit__(None, None, None)

    holder = found[0].folder(tmp_path / POOL).locked()
    holder.__enter__()
    outcomes = Sweep(found, tmp_path).run(workers, leave)
    assert statuses(outcomes) == ["finished"] * 3
    assert told[-1] is found[0]
    assert own_parts.logged() == {key: 1 for run in found for key in steps_of(run)}


# --------------------------------------------------------------------- a run's lock

HOLD = """
import sys, time
from pathlib import Path
from neurosim.experiments.folder import Folder
with Folder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process at work on a run; the folder."""
    folder = tmp_path / "held"
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process, folder
    process.kill()
    process.communicate()


def test_one_process_at_a_time_is_at_work_on_a_run(holder):
    process, folder = holder
    for wait in (0.0, 0.2):
        with (
            pytest.raises(BusyError, match="held: another process is at work on this run"),
            Folder(folder).locked(wait),
        ):
            pytest.fail("it has the lock as well")
    process.kill()
    process.wait()
    with Folder(folder).locked():
        assert folder.is_dir()


def test_run_says_that_another_process_is_at_work(holder, neurosim):
    _, folder = holder
    before = sorted(folder.iterdir())
    code, said, err = neurosim("run", TINY, "--out", folder)
    assert (code, said) == (2, "")
    assert err == f"neurosim: {folder}: another process is at work on this run\n"
    assert sorted(folder.iterdir()) == before


# -------------------------------------------------------------------------- elsewhere


def test_no_scheduler_at_that_address(neurosim, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    address = "tcp://127.0.0.1:1"
    code, said, err = neurosim("sweep", TINY, "--scheduler", address, "--out", tmp_path / "out")
    assert (code, said) == (2, "")
    assert f"--scheduler {address}: no Dask scheduler answers there" in err
    assert "looks like tcp://host:8786" in err
    assert "Traceback" not in err


def test_what_is_no_address(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with (
        Workers(scheduler="nonsense://x") as nobody,
        pytest.raises(ns.InputError, match="--scheduler nonsense://x: no Dask scheduler"),
    ):
        nobody.client(1)


def test_a_cluster_elsewhere_does_the_runs(straight, own, grid, tmp_path):
    from distributed import LocalCluster

    some = grid[:2]
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as elsewhere,
        Workers(scheduler=elsewhere.scheduler_address) as found,
    ):
        assert statuses(Sweep(some, tmp_path).run(found)) == ["finished"] * 2
    frame = load_results(straight)
    same = frame[frame["run"].isin([run.name for run in some])].reset_index(drop=True)
    assert load_results(tmp_path).equals(same)
    assert own_parts.logged() == {key: 1 for run in some for key in steps_of(run)}


def test_a_worker_that_does_not_see_the_folder_says_so(grid, tmp_path):
    config = grid[0].config
    folder = tmp_path / "elsewhere" / POOL / "x"
    status, reason = carry_out(config.resolved(), config.name, str(folder))
    assert status == "failed"
    assert reason == f"{folder.parent}: this worker does not see the folder of the runs"
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    "command", [["sweep", TINY], ["tune", TINY, "--budget", 1], ["reproduce", "mackey-glass"]]
)
def test_gpus_are_refused_where_there_is_none(neurosim, tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "cupy", None)
    code, said, err = neurosim(*command, "--gpus", "--out", tmp_path / "out")
    assert (code, said) == (2, "")
    assert err.startswith("neurosim: --gpus cannot work on this machine: CuPy is not installed; ")
    assert 'pip install "neurosim-plasticity[cuda13]"' in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def two_gpus(monkeypatch):
    """As if there were two, and nothing else of CUDA."""
    monkeypatch.setattr(device, "missing", lambda: None)
    monkeypatch.setattr(device, "name", lambda: "a GPU")
    monkeypatch.setattr(device, "visible", lambda: ["3", "GPU-5f"])


def test_gpus_are_one_process_each(own, two_gpus, tmp_path):
    def seen():
        return os.environ["CUDA_VISIBLE_DEVICES"]

    with Workers(gpus=True) as found:
        client = found.client(1)
        client.wait_for_workers(2, timeout=60)
        assert sorted(client.run(seen).values()) == ["3", "GPU-5f"]
        assert set(client.nthreads().values()) == {1}
        assert statuses(Sweep(many(), tmp_path).run(found)) == ["finished"]


def test_fewer_gpus_than_there_are(own, two_gpus):
    with Workers(1, gpus=True) as found:
        found.client(8).wait_for_workers(1, timeout=60)
        assert len(found.client(8).nthreads()) == 1


def test_gpus_elsewhere_are_not_started_here(two_gpus):
    with pytest.raises(ns.InputError, match=r"--gpus: cannot be combined with --scheduler tcp://x"):
        Workers(scheduler="tcp://x", gpus=True)


@pytest.mark.parametrize(
    ("more", "engines"),
    [
        ([], {"cuda"}),
        (["--set", "training.engine=cpu"], {"cpu"}),
        (["--over", "training.engine=cpu,objects"], {"cpu", "objects"}),
        (["--set", "rule.name=BPTT"], {"cpu"}),
    ],
)
def test_runs_on_gpus_use_them_unless_they_say_otherwise(
    neurosim, two_gpus, tmp_path, monkeypatch, more, engines
):
    done = []

    def run(self, workers, *watchers):  # there are no GPUs, really
        done.extend(run.config.training.engine for run in self.runs)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sweep, "run", run)
    code, said, _ = neurosim("sweep", TINY, "--gpus", *more, "--out", tmp_path / "out")
    assert code == 130
    assert set(done) == engines
    assert ("engine auto is cuda: a GPU" in said) == (engines == {"cuda"})


def test_a_process_that_lost_its_gpu_leaves_and_another_goes_on(own, tmp_path):
    runs = many(measured("loses_its_gpu_once", "log"), seeds=[UNLUCKY, 1])
    with Workers(1) as found:
        assert statuses(Sweep(runs, tmp_path).run(found)) == ["finished"] * 2
        (pid,) = found.client(1).run(os.getpid).values()
    assert (own / "died").read_text() != str(pid)
    assert max(own_parts.logged().values()) == 1


def test_whoever_is_no_worker_stays(own, tmp_path):
    ((status, reason),) = done_here(many(measured("loses_its_gpu_once"), seeds=[UNLUCKY]), tmp_path)
    assert (status, reason) == ("failed", "DeviceError: GPU: was lost")


def test_more_processes_are_started_when_there_is_more_to_do(installed):
    with Workers(2) as found:
        for runs, processes in ((1, 1), (8, 2), (1, 2)):
            found.client(runs).wait_for_workers(processes, timeout=60)
            assert len(found.client(runs).nthreads()) == processes


@pytest.mark.parametrize("jobs", [0, -1])
def test_there_must_be_somebody_to_do_the_runs(jobs):
    with pytest.raises(ns.InputError, match=f"--jobs {jobs}: must be 1 or more"):
        Workers(jobs)


# ------------------------------------------------------------------ the command line


def test_the_command_sums_up_over_seeds(straight, neurosim, own):
    command = ["sweep", TINY, *options(*LONG), "--over", f"{RATE}=1e-3,1e-4", "--seeds", "4,3"]
    code, said, err = neurosim(*command, "--out", straight)
    assert (code, err) == (0, "")
    means = load_results(straight).groupby(RATE)["test_mse"].mean()
    head, first, second, *_ = said.splitlines()
    assert head.split() == [RATE, "test", "mse", "min", "max", "finished", "runs"]
    expected = sorted((mean, rate) for rate, mean in means.items())
    for line, (mean, rate) in zip((first, second), expected, strict=True):
        assert line.split()[0] == f"{rate:.4g}"
        assert line.split()[1] == f"{mean:.4g}"
        assert line.split()[-2:] == ["2", "2"]
    assert f"table:  {straight / TABLE}" in said


def test_the_command_says_what_came_to_nothing(own, neurosim, tmp_path):
    done_here(many("training.epochs=1", product={RATE: [1e9, 1e10]}), tmp_path)
    options_ = options("training.epochs=1")
    code, said, err = neurosim(
        "sweep", TINY, *options_, "--over", f"{RATE}=1e9,1e10", "--out", tmp_path
    )
    assert code == 1, "no run came to a result"
    assert "Traceback" not in err
    lines = err.splitlines()
    assert [line.partition(" Simulator")[0] for line in lines] == [
        "diverged: learning_rate 1000000000.0:",
        "diverged: learning_rate 10000000000.0:",
    ]
    assert "0     1" in said


@pytest.mark.parametrize(
    ("seeds", "expected"), [((1, UNLUCKY), 1), ((UNLUCKY,), 1), ((1,), 0)], ids=str
)
def test_the_exit_code_says_whether_runs_failed(own, neurosim, tmp_path, seeds, expected):
    overrides = ("training.epochs=1", measured("fails"))
    found = many(*overrides, seeds=list(seeds))
    done_here([run for run in found if run.config.training.seed != UNLUCKY], tmp_path)
    listed = "".join(f"{seed}," for seed in seeds)  # one number alone is how many
    said = ["--seeds", listed, "--jobs", 1, "--out", tmp_path]
    code, _, err = neurosim("sweep", TINY, *options(*overrides), *said)
    assert code == expected
    assert ("failed: seed 13: RuntimeError: out of luck" in err) == (UNLUCKY in seeds)


def test_folders_are_named_after_config_and_runs(neurosim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    names = []
    for more in (["--seeds", 1], ["--seeds", 2], ["--seeds", "1,0"]):
        neurosim("sweep", TINY, *more, "--scheduler", "tcp://127.0.0.1:1")
        names.append({path.name for path in Path("sweeps").iterdir()})
    assert list(map(len, names)) == [1, 2, 3]
    assert all(re.fullmatch(r"tiny-[0-9a-f]{8}", name) for name in names[-1])
    neurosim("sweep", TINY, "--seeds", "0,1", "--scheduler", "tcp://127.0.0.1:1")
    assert {path.name for path in Path("sweeps").iterdir()} == names[-1]
