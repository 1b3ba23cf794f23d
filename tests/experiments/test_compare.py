"""Runs side by side: what differs is shown, what does not is left out."""

from __future__ import annotations

import json
import math
import shutil

import pandas as pd
import pytest
from sweeps import done_here, many

import neurosim as ns
from neurosim.experiments.baselines import RIDGE
from neurosim.experiments.summary import AFTER
from neurosim.experiments.sweep import load_results, results
from neurosim.experiments.sweep.compare import SEEDS, baselines, compare, gather, varied, words

RATE = "rule.learning_rate"
RULES = [
    {"name": "ANP", "learning_rate": 1e-3},
    {"name": "ANP", "learning_rate": 1e-4},
    {"name": "WP", "learning_rate": 1e-3},
    {"name": "NP", "learning_rate": 1e-3},
]
SHORT = "training.epochs=1"


@pytest.fixture(scope="module")
def swept(tmp_path_factory, installed):
    """Rules over two seeds."""
    folder = tmp_path_factory.mktemp("swept")
    found = many(SHORT, product={"rule": RULES}, seeds=2)
    assert done_here(found, folder) == [("finished", "")] * 8
    results.write(folder)
    return folder


def table(*rows, **columns):
    """Runs that finished, unless said otherwise."""
    frame = pd.DataFrame([*rows]).assign(**columns)
    return frame if "status" in frame else frame.assign(status="finished")


# ------------------------------------------------------------------------ what differs


def test_seeds_do_not_tell_runs_apart():
    frame = table({"a.b": 1, **dict.fromkeys(SEEDS, 1)}, {"a.b": 1, **dict.fromkeys(SEEDS, 2)})
    assert varied(frame) == []
    assert varied(frame.assign(**{"a.b": [1, 2]})) == ["a.b"]


def test_neither_do_scores_and_what_is_no_field():
    frame = table({"test_mse": 1.0, "run": "x", "baseline.ridge": 1}, {"test_mse": 2.0, "run": "y"})
    assert varied(frame) == []


def test_neither_does_what_is_only_looked_at():
    looked = {"baselines.enabled": True, "training.measures": "[]"}
    other = {"baselines.enabled": False, "training.measures": '["covariance"]'}
    assert varied(table(looked, other)) == []


def test_what_a_rule_does_not_have_does_not_differ():
    frame = table(
        {"rule.name": "ANP", "rule.reward": "local", RATE: 1},
        {"rule.name": "WP", RATE: 1},
    )
    assert varied(frame) == ["rule.name"]
    assert varied(frame.assign(**{RATE: [1, 2]})) == ["rule.name", RATE]


def test_what_some_runs_of_the_same_rule_do_not_have_does():
    frame = table(
        {"rule.name": "ANP", "rule.window": None},
        {"rule.name": "ANP", "rule.window": 3.0},
        {"rule.name": "WP"},
    )
    assert varied(frame) == ["rule.name", "rule.window"]


def test_two_values_of_two_rules_differ():
    frame = table({"rule.name": "ANP", RATE: 1}, {"rule.name": "WP", RATE: 2}, {"rule.name": "BP"})
    assert varied(frame) == ["rule.name", RATE]


def test_none_and_some_decorrelation_differ_by_its_name():
    frame = table(
        {
            "rule.name": "ANP",
            "decorrelation.name": "Decorrelation",
            "decorrelation.learning_rate": 1,
        },
        {"rule.name": "ANP"},
    )
    assert varied(frame) == ["decorrelation.name"]


def test_the_fields_of_real_rules(swept):
    assert varied(load_results(swept)) == ["rule.learning_rate", "rule.name"]
    only = load_results(swept)
    assert varied(only[only["rule.name"] == "ANP"]) == [RATE]


# --------------------------------------------------------------------------- the means


def test_groups_are_over_seeds_the_lowest_mean_first(swept):
    frame = load_results(swept)
    found = compare(frame)
    assert list(found.columns) == [RATE, "rule.name", "mean", "min", "max", "finished", "runs"]
    assert len(found) == len(RULES)
    assert found["mean"].is_monotonic_increasing
    for row in found.to_dict("records"):
        chosen = frame[(frame[RATE] == row[RATE]) & (frame["rule.name"] == row["rule.name"])]
        errors = chosen["test_mse"]
        assert (row["mean"], row["min"], row["max"]) == (errors.mean(), errors.min(), errors.max())
        assert (row["finished"], row["runs"]) == (2, 2)


def test_fields_may_be_chosen_and_so_may_the_metric(swept):
    frame = load_results(swept)
    found = compare(frame, ["rule.name"], "train_mse").set_index("rule.name")
    assert found["runs"].to_dict() == {"ANP": 4, "WP": 2, "NP": 2}
    anp = frame[frame["rule.name"] == "ANP"]["train_mse"]
    assert found.loc["ANP", "max"] == anp.max()
    assert found.loc["ANP", "mean"] == pytest.approx(anp.mean(), rel=1e-12)
    by_seed = compare(frame, ["training.seed"])
    assert by_seed["runs"].tolist() == [4, 4]


def test_runs_without_result_count_but_not_in_the_mean():
    frame = table(
        {"a.b": 1, "test_mse": 1.0},
        {"a.b": 1, "test_mse": 3.0},
        {"a.b": 1, "test_mse": 100.0, "status": "unfinished"},
        {"a.b": 2, "test_mse": math.nan, "status": "diverged"},
    ).fillna({"status": "finished"})
    best, worst = compare(frame).to_dict("records")
    assert (best["mean"], best["max"], best["finished"], best["runs"]) == (2.0, 3.0, 2, 3)
    assert math.isnan(worst["mean"])
    assert (worst["finished"], worst["runs"]) == (0, 1)


def test_a_field_that_is_missing_is_a_group_of_its_own():
    frame = table({"a.b": None, "test_mse": 1.0}, {"a.b": 3.0, "test_mse": 2.0})
    found = compare(frame)
    assert found["runs"].tolist() == [1, 1]
    assert found["a.b"].isna().tolist() == [True, False]


def test_runs_that_differ_in_nothing_are_one_line():
    (row,) = compare(table({"a.b": 1, "test_mse": 1.0}, {"a.b": 1, "test_mse": 2.0})).to_dict(
        "records"
    )
    assert row == {"mean": 1.5, "min": 1.0, "max": 2.0, "finished": 2, "runs": 2}


def test_baselines_are_means_the_lowest_first_and_only_what_was_computed():
    frame = table(
        {"baseline.mean": 4.0, "baseline.ridge": 1.0, "baseline.none": math.nan},
        {"baseline.mean": 2.0, "baseline.ridge": math.nan, "baseline.none": math.nan},
    )
    assert baselines(frame).to_dict() == {"ridge": 1.0, "mean": 3.0}
    assert list(baselines(frame).index) == ["ridge", "mean"]
    assert baselines(table({"test_mse": 1.0})).empty


def test_baselines_of_different_tasks_are_not_averaged():
    one = {"task.horizon": 1.0, "network.hidden": 10, "baseline.ridge": 1.0, f"baseline.{RIDGE}": 4}
    two = {"task.horizon": 48.0, "network.hidden": 10, "baseline.ridge": 3.0}
    big = {"task.horizon": 1.0, "network.hidden": 20, "baseline.ridge": 1.0, f"baseline.{RIDGE}": 2}
    found = baselines(table(one, two, big)).to_dict()
    assert found == {
        "ridge (horizon 1)": 1,
        f"{RIDGE} (horizon 1, hidden 20)": 2,
        "ridge (horizon 48)": 3,
        f"{RIDGE} (horizon 1, hidden 10)": 4,
    }


def test_runs_are_named_by_what_differs_names_first():
    row = {"rule.learning_rate": 0.001, "task.horizon": math.nan, "rule.name": "NP", "a.x": 1}
    assert words(row, ["rule.learning_rate", "task.horizon", "rule.name"]) == (
        "NP, learning_rate 0.001"
    )
    assert words({"a.x": 1, "b.x": 2}, ["a.x", "b.x"]) == "a.x 1, b.x 2"
    rates = {"rule.learning_rate.A": 1.0, "decorrelation.learning_rate": 0.5}
    assert words(rates, list(rates)) == "learning_rate.A 1, decorrelation.learning_rate 0.5"
    assert words(row, []) == ""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"metric": "test_mes"}, r"metric 'test_mes' is not in the table; did you mean 'test_mse'"),
        ({"by": ["rule.lerning_rate"]}, r"field 'rule.lerning_rate' is not in .*'rule.learning_r"),
        ({"by": ["rule"]}, r"field 'rule' is not in the table"),
    ],
)
def test_what_is_not_in_the_table_is_named(swept, given, says):
    with pytest.raises(ns.InputError, match=says):
        compare(load_results(swept), **given)


# ------------------------------------------------------------------------ where from


def test_single_runs_and_sweeps_go_together(swept, installed, tmp_path):
    more = many(SHORT, "task.squash=none")
    done_here(more, tmp_path)
    single = more[0].folder(tmp_path / "runs").path
    both = gather([swept, single])
    assert len(both) == 9
    assert "task.squash" in varied(both)
    same = both[both["task.squash"].notna()].dropna(axis=1, how="all").reset_index(drop=True)
    alone = load_results(swept).dropna(axis=1, how="all")
    pd.testing.assert_frame_equal(same[alone.columns], alone, check_dtype=False)
    pd.testing.assert_frame_equal(gather([single, swept]), both)


@pytest.mark.parametrize("kind", ["copied", "linked", "named twice", "looked at otherwise"])
def test_a_run_in_two_folders_is_one_run(swept, installed, neurosim, tmp_path, kind):
    folders = [swept, swept]
    if kind == "copied":
        shutil.copytree(swept / "runs", tmp_path / "again")
        folders = [*(tmp_path / "again").iterdir(), swept]
    elif kind == "linked":
        (tmp_path / "again").symlink_to(swept)
        folders = [tmp_path / "again", swept]
    elif kind == "looked at otherwise":
        quick = [SHORT, "training.measures=['own_parts:slow']"]
        done_here(many(*quick, product={"rule": RULES[:1]}, seeds=2), tmp_path)
        folders = [swept, tmp_path]
    both = gather(folders)
    assert len(both) == 8
    found = compare(both)
    pd.testing.assert_frame_equal(found, compare(load_results(swept)))
    assert set(found["runs"]) == {2}
    out = tmp_path / "report.html"
    assert neurosim("report", *folders, "--out", out)[0] == 0
    assert "8 runs in 4 groups" in out.read_text()


def test_the_folder_that_got_furthest_stands_for_a_run(installed, tmp_path):
    (run,) = many(SHORT)
    done_here([run], tmp_path)
    for name, left in {"begun": ["config.toml"], "failed": ["config.toml", "failure.json"]}.items():
        (tmp_path / "runs" / name).mkdir()
        for file in left:
            whole = run.folder(tmp_path / "runs").path / file
            failure = {"status": "failed", "reason": "x", "digest": run.config.digest, "epochs": 1}
            text = whole.read_text() if whole.exists() else json.dumps(failure)
            (tmp_path / "runs" / name / file).write_text(text)
    statuses = [["begun"], ["begun", "failed"], ["failed", "begun", run.name, run.name]]
    for names, status in zip(statuses, ["unfinished", "failed", "finished"], strict=True):
        assert list(gather([tmp_path / "runs" / name for name in names])["status"]) == [status]


def test_the_same_config_with_other_scores_is_another_run(installed, tmp_path):
    (run,) = many(SHORT)
    done_here([run], tmp_path)
    here, there = run.folder(tmp_path / "runs").path, tmp_path / "there"
    shutil.copytree(here, there)
    text = (there / "result.json").read_text()
    kept = json.loads(text)
    kept["table"][AFTER]["test_mse"] *= 2  # other data
    (there / "result.json").write_text(json.dumps(kept))
    assert len(gather([here, there])) == 2


def test_a_sweep_alone_is_its_table(swept):
    pd.testing.assert_frame_equal(
        gather([swept]).dropna(axis=1, how="all"),
        load_results(swept).dropna(axis=1, how="all"),
        check_dtype=False,
    )


def test_a_folder_with_neither_is_named(swept, tmp_path):
    with pytest.raises(ns.InputError, match="nowhere: holds neither a run nor a sweep"):
        gather([swept, tmp_path / "nowhere"])


# ---------------------------------------------------------------------- command line


def test_the_command_prints_and_writes_the_same(swept, neurosim, tmp_path):
    found = compare(load_results(swept))
    for suffix in (".csv", ".md", ".parquet"):
        out = tmp_path / "new" / f"table{suffix}"
        code, said, err = neurosim("compare", swept, "--out", out)
        assert (code, err) == (0, "")
        lines = [line.split() for line in said.splitlines()]
        assert [line[1] for line in lines[1:5]] == list(found["rule.name"])
        assert [line[2] for line in lines[1:5]] == [f"{mean:.4g}" for mean in found["mean"]]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "table.parquet"), found)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "table.csv"), found)
    head, line, *rows = (tmp_path / "new" / "table.md").read_text().splitlines()
    assert head == "| rule.learning_rate | rule.name | mean | min | max | finished | runs |"
    assert set(line) <= set("| -")
    assert line.count("|") == head.count("|")
    assert [row.split(" | ")[1] for row in rows] == list(found["rule.name"])
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_the_command_shows_every_line_and_the_baselines(installed, neurosim, tmp_path):
    quick = [SHORT, "baselines.enabled=true", "baselines.readout_epochs=1", "task.steps=20"]
    done_here(many(*quick), tmp_path)
    results.write(tmp_path)
    code, said, _ = neurosim("compare", tmp_path)
    assert code == 0
    means = baselines(load_results(tmp_path))
    shown = [line for line in said.splitlines() if line.startswith("baseline: ")]
    assert shown == [f"baseline: {name} {error:.4g}" for name, error in means.items()]
    assert "baseline: " not in neurosim("compare", tmp_path, "--metric", "train_mse")[1]


def test_the_command_takes_fields_and_metric(swept, neurosim):
    code, said, _ = neurosim("compare", swept, "--by", "rule.name", "--metric", "train_mse")
    assert code == 0
    head, *rows = said.splitlines()
    assert head.split() == ["rule.name", "train", "mse", "min", "max", "finished", "runs"]
    assert {row.split()[0] for row in rows} == {"ANP", "WP", "NP"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--metric", "test_mes"],
            "metric 'test_mes' is not in the table; did you mean 'test_mse'",
        ),
        (["--by", "rule.nam"], "field 'rule.nam' is not in the table; did you mean 'rule.name'"),
        (["nowhere"], "nowhere: holds neither a run nor a sweep"),
        (["--out", "table.xlsx"], "--out table.xlsx: must end in one of .parquet, .csv, .md"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(
    swept, neurosim, tmp_path, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    code, _, err = neurosim("compare", swept, *arguments)
    assert code == 2
    assert err.startswith("neurosim: ")
    assert says in err
    assert not list(tmp_path.iterdir())


def test_a_metric_must_be_of_numbers(swept):
    with pytest.raises(ns.InputError, match=r"metric 'rule\.name'"):
        compare(load_results(swept), metric="rule.name")
