"""Whatever stands in a config, or behind an option: taken, or refused in words."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import neurosim as ns
from neurosim.experiments import config as configs
from neurosim.experiments import load, registry, settings, tables
from neurosim.experiments.sweep import axes
from neurosim.substrate import Substrate
from neurosim_tasks import TaskError

TINY = (Path(__file__).parent / "tiny.toml").read_text()

VALUES = (
    *("true", "false", "0", "-1", "0.5", "1.5", "nan", "inf", "-inf", "1e-50", "1e50", "1e400"),
    *("1" + "0" * 30, "1" + "0" * 5000, '""', '"no"', '"none"', '"False"', f'"{"x" * 3000}"'),
    *('"os:"', '".x:Y"', '"os:getpid"', '"os:PathLike"', '"a:b:c"', '"\\u0000"', "1979-05-27"),
    *("07:32:00", "[]", "[1]", "[[1]]", '["a"]', '["os:getpid"]', "{}", "{a = 1}", '{A = "x"}'),
    *("[" * 5000, "[" * 300 + "]" * 300, "{a = " * 40 + "1" + "}" * 40),
)

FIELDS = [
    *((table, key, {}) for table, model in (
        ("network", tables.NetworkTable),
        ("training", tables.TrainingTable),
        ("baselines", tables.BaselinesTable),
    ) for key in model.model_fields),
    *(("rule", f.name, {"rule": {"name": name}})
      for name, cls in registry.RULES.items() for f in fields(cls) if f.init),
    *(("decorrelation", f.name, {"decorrelation": {"name": name}})
      for name, cls in registry.DECORRELATIONS.items() for f in fields(cls)),
    *(("task", f.name, {"task": {"name": name}})
      for name in registry.tasks() for f in fields(registry.task(name))),
    *(("substrate", f.name, {}) for f in fields(Substrate)),
    ("substrate", "preset", {}),
    *((table, "name", {}) for table in ("task", "rule", "decorrelation")),
]  # fmt: skip


@pytest.mark.parametrize(("table", "key", "beside"), FIELDS)
def test_a_field_of_a_config_is_taken_or_refused(table, key, beside, tiny_file):
    faults = []
    for text in VALUES:
        given = configs.read(tiny_file)[0] | {k: dict(v) for k, v in beside.items()}
        if table == "rule" and key != "learning_rate":
            given["rule"]["learning_rate"] = 1e-3
        try:
            _, value = settings.override(f"{table}.{key}={text}")
            given.setdefault(table, {})[key] = value
            made = configs.parse(given, "tiny", "tiny.toml")
            made.wiring()
            assert made.identity
        except (ns.NeurosimError, TaskError):  # a file of data is looked at when it is read
            continue
        except Exception as error:
            faults.append(f"{text[:30]}: {type(error).__name__}: {str(error)[:150]}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task = 5", "task = 5: must be a table"),
        ("[[task]]", "must be a table"),
        ("a = " + "[" * 1000 + "]" * 1000, "nested too deep"),
        ("a = " + "{b = " * 1000 + "1" + "}" * 1000, "nested too deep"),
        ("[a" + ".a" * 2000 + "]\nx = 1", "nested more than 20 deep"),
        ("a = 1" + "0" * 5000, "cannot be read as TOML"),
        ("[task.name]\nx = 1", "must be text"),
        ("[rule]\nlearning_rate = .001", r"line 2, .*: a number must have digits on both sides"),
        ("[rule]\nlearning_rate = 1 .001", r"no?t? .*TOML \([^:]*\)$"),
    ],
)
def test_a_file_that_is_no_config_is_refused(text, says, tmp_path):
    (tmp_path / "given.toml").write_text(text)
    with pytest.raises(ns.InputError, match=says):
        load(tmp_path / "given.toml")


@pytest.mark.parametrize("source", [None, 5, "", b"x", [], "x" * 5000, "a\0b"])
def test_what_is_no_path_is_no_config(source):
    with pytest.raises(ns.InputError, match=r"config: source = .* must be a path"):
        load(source)


def test_an_override_sets_one_field():
    assert settings.override("network.hidden=5\nneuron=1") == ("network.hidden", "5\nneuron=1")
    with pytest.raises(ns.InputError, match="nested more than 20 deep"):
        load("quickstart", ["a." * 30 + "b=1"])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"seeds": 10**11}, "seeds = 100000000000: must be 100,000 at most"),
        ({"seeds": 10**30}, "must be 100,000 at most"),
        ({"product": {"a.b": {"log": [1, 2], "points": 10**9}}}, "of 100,000 points at most"),
        (
            {"product": {"a.b": {"linear": [1, 2], "points": 1000}}, "seeds": 1000},
            "makes 1,000,000 runs; at most 100,000",
        ),
        ({"product": {"a.b": [{"c": [1]}, {"c": [1]}]}}, "is there twice"),
    ],
)
def test_a_sweep_of_too_many_runs_is_refused_before_it_is_written_out(table, says):
    with pytest.raises(ns.InputError, match=re.escape(says)):
        axes.parse(table)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sweep", "--over", "rule.learning_rate=log(1e-4,1e-1,1000000000)"), "100,000 points at"),
        (("sweep", "--over", "rule.learning_rate=" + "[" * 3000), "--over rule.learning_rate=[["),
        (("sweep", "--seeds", "100000000000"), "--seeds 100000000000: must be 100,000 at most"),
        (("sweep", "--seeds", "1" + "0" * 5000), "0 ...: a number of too many digits"),
        (("run", "--set", "network.hidden=1" + "0" * 5000), "0 ...: a number of too many digits"),
        (("sweep", "--jobs", "1000000000"), "less than or equal to 1024"),
        (("tune", "--budget", "1" + "0" * 30), "less than or equal to 100000"),
        (("run", "--set", "network.neuron=os:"), "neuron 'os:' cannot be imported"),
        (("run", "--set", "network.neuron=.x:Y"), "neuron '.x:Y' cannot be imported"),
        (
            ("run", "--set", 'training.measures=["os:getpid"]'),
            "measures: os:getpid = <built-in function getpid> must be a function of (sim,",
        ),
        (("run", "--set", "network.hidden=1" + "0" * 30), "input should be less than 2147483648"),
        (("run", "--set", "network.hidden=1000000"), "weights would take 8 TB of memory"),
        (("run", "--set", "training.batch=2000000000"), "series (batch, for training and"),
        (("run", "--threads", "100000"), "threads = 100000 must be a whole number in [1, 1025)"),
        (("align", "--draws", "1000000000"), "draws = 1000000000 must be at most"),
    ],
)
def test_the_command_line_says_it_in_words(arguments, says, neurosim, tiny_file, monkeypatch):
    monkeypatch.chdir(tiny_file.parent)
    code, _, err = neurosim(arguments[0], tiny_file, *arguments[1:])
    assert (code, "Traceback" in err) == (2, False)
    assert says in err


@pytest.mark.parametrize("command", ["run", "sweep", "tune", "align", "compare", "report"])
def test_an_empty_path_is_not_the_current_folder(command, neurosim, tiny_file, monkeypatch):
    monkeypatch.chdir(tiny_file.parent)
    budget = ["--budget", 1] if command == "tune" else []
    code, _, err = neurosim(command, tiny_file, "--out", "", *budget)
    assert code == 2
    assert "'--out': must be a path, and is empty" in err


def test_bench_and_reproduce_refuse_more_than_ends(neurosim):
    for arguments in (("bench", "--repeats", 10**12), ("bench", "--threads", 10**12)):
        assert "must be a whole number in [1, 1000000)" in neurosim(*arguments)[2]
    assert "100,000 at most" in neurosim("reproduce", "mackey-glass", "--seeds", 10**12)[2]
