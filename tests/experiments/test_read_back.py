"""A run's config.toml describes the run, or nothing is run."""

from __future__ import annotations

import enum
import tomllib
from collections import OrderedDict
from dataclasses import dataclass, field, make_dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from sweeps import done_here

import neurosim as ns
from neurosim.experiments import Experiment, load, registry
from neurosim.experiments.config import parse
from neurosim.experiments.sweep import Axes, Run, Sweep, load_results, results, runs
from neurosim.experiments.sweep.axes import Axis
from neurosim.experiments.sweep.compare import compare
from neurosim.substrate.presets import CHIPS
from neurosim_tasks import MackeyGlass

HERE = __name__


class Mode(enum.Enum):
    FAST = "fast"


class Word(enum.StrEnum):
    FAST = "fast"


def task_of(default, made=None, kind=Any):
    """Make a task whose field `own` has this default, and is passed through `made`."""

    def settle(self):
        MackeyGlass.__post_init__(self)
        if made is not None:
            object.__setattr__(self, "own", made(self.own))

    own = ("own", kind, field(default_factory=lambda: default))
    more = {"__post_init__": settle, "__module__": HERE}
    globals()["Own"] = make_dataclass(
        "Own", [own], bases=(MackeyGlass,), namespace=more, frozen=True
    )
    return globals()["Own"]


@pytest.fixture
def with_own(tiny_file):
    """A function that parses the tiny config with the task `Own`."""

    def make(**more):
        given = tomllib.loads(tiny_file.read_text())
        given["task"] |= {"name": f"{HERE}:Own", **more}
        return parse(given, "tiny", "tiny.toml")

    return make


AHEAD = datetime(2020, 7, 1, tzinfo=timezone(timedelta(hours=2)))
STAMP = datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize(
    ("default", "made", "read"),
    [
        ("text", None, "text"),
        (
            'tab\t, "quotes", \\, é, \x07, a\r\nline',
            None,
            'tab\t, "quotes", \\, é, \x07, a\r\nline',
        ),
        (3, None, 3),
        (2**70, None, 2**70),
        (0.1, None, 0.1),
        (float("inf"), None, float("inf")),
        (True, None, True),
        (date(2020, 1, 2), None, date(2020, 1, 2)),
        (STAMP, None, STAMP),
        (datetime(2020, 1, 2), None, datetime(2020, 1, 2)),
        (time(3, 4), None, time(3, 4)),
        (AHEAD, None, AHEAD),
        ([date(2020, 1, 2), [1, 2.0]], None, [date(2020, 1, 2), [1, 2.0]]),
        ({"b": {"c": [1]}, "a": "x"}, None, {"b": {"c": [1]}, "a": "x"}),
        (np.float32(0.1), None, float(np.float32(0.1))),
        (np.int64(3), None, 3),
        (np.bool_(True), None, True),
        (np.str_("text"), None, "text"),
        (np.datetime64("2020-01-02"), None, date(2020, 1, 2)),
        ([np.float64(0.5), np.int8(1)], None, [0.5, 1]),
        ((1, 2), tuple, (1, 2)),
        (np.arange(3), np.asarray, [0, 1, 2]),
        (Path("there"), Path, Path("there")),
        (Mode.FAST, Mode, Mode.FAST),
        (Word.FAST, Word, Word.FAST),
        (Decimal("0.10"), Decimal, Decimal("0.10")),
        (pd.Timestamp("2020-01-02 03:04"), pd.Timestamp, pd.Timestamp("2020-01-02 03:04")),
    ],
)
def test_what_toml_has_or_a_class_makes_again_is_kept(with_own, default, made, read):
    cls = task_of(default, made)
    config = with_own()
    found = config.task.own
    assert type(config.task) is cls
    if isinstance(read, list) and isinstance(found, np.ndarray):
        found = found.tolist()
    assert found == read
    assert type(found) is type(read)
    again = parse(tomllib.loads(config.toml()), "tiny", "again")
    assert again.toml() == config.toml()
    assert (again.digest, again.identity) == (config.digest, config.identity)
    assert not again.differences(config)


def test_none_and_not_a_number_are_kept(with_own):
    task_of(None, kind="int | None")
    assert with_own().task.own is None
    assert with_own(own=3).task.own == 3
    task_of(float("nan"))
    assert with_own().task.own != with_own().task.own


class Odd:
    """Of no kind that anything knows."""


@pytest.mark.parametrize(
    ("default", "made", "says"),
    [
        ((1, 2), None, r"own = \(1, 2\): would be read back as \[1, 2\]"),
        ([(1, 2)], None, r"own = \[\(1, 2\)\]: would be read back as \[\[1, 2\]\]"),
        ({"a": (1,)}, None, r"would be read back as \{'a': \[1\]\}"),
        ({1: "a"}, None, r"would be read back as \{'1': 'a'\}"),
        (OrderedDict(a=1), None, r"would be read back as \{'a': 1\}"),
        (Path("there"), None, r"own = PosixPath\('there'\): would be read back as 'there'"),
        (Mode.FAST, None, "would be read back as 'fast'"),
        (Word.FAST, None, "would be read back as 'fast'"),
        (Decimal("0.1"), None, "would be read back as '0.1'"),
        (timedelta(1), None, "would be read back as '1 day"),
        ({1, 2}, None, r"own = \{1, 2\}: would be read back as '\{1, 2\}'"),
        (b"a", None, "own = b'a'"),
        (1j, None, "own = 1j"),
        ([None, 1], None, r"would be read back as \['none', 1\]"),
        ("none", None, "own = 'none': would be read back as None"),
        (np.arange(2), None, r"own = array\(\[0, 1\]\): would be read back as \[0, 1\]"),
        (np.arange(2, dtype=np.int8), np.asarray, r"own = array\(\[0, 1\], dtype=int8\)"),
        (np.datetime64("2020-01-02T03:04:05.123456789"), None, "would be read back as '2020"),
        (pd.Timestamp("2020-01-02"), None, "own = Timestamp"),
        (datetime(2020, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")), None, "own = datetime"),
        (Odd(), None, "own = <.*Odd object"),
        (3, lambda value: 2 * value, "own = 6: would be read back as 12"),
        (Path("there"), lambda value: value / "x", r"own = PosixPath\('there/x'\): is written as"),
        (STAMP, lambda value: value.year, r"\[task\] Own cannot be made \(AttributeError: 'int'"),
        ("a \ud800", None, "surrogates"),
    ],
)
def test_what_would_be_read_back_as_something_else_is_refused(with_own, default, made, says):
    task_of(default, made, str | None if isinstance(default, str) else Any)
    with pytest.raises(ns.InputError, match=says) as refused:
        with_own()
    head, *lines = str(refused.value).splitlines()
    assert head == "tiny.toml: a run's config.toml would not describe the run:"
    assert all(line.startswith("  ") for line in lines)
    assert "tiny.toml" not in "".join(lines)


def test_all_fields_that_are_lost_are_told_at_once(with_own):
    @dataclass(frozen=True)
    class Own(MackeyGlass):
        pair: Any = (1, 2)
        place: Any = Path("there")

    globals()["Own"] = Own
    with pytest.raises(ns.InputError) as refused:
        with_own()
    assert [line.split(" = ")[0] for line in str(refused.value).splitlines()[1:]] == [
        "  [task] pair",
        "  [task] place",
    ]


def test_a_rule_is_compared_too(tiny, monkeypatch):
    @dataclass(frozen=True)
    class Adds(ns.ANP):
        def __post_init__(self):
            super().__post_init__()
            object.__setattr__(self, "noise_std", self.noise_std + 1)

    monkeypatch.setitem(globals(), "Adds", Adds)
    with pytest.raises(ns.InputError, match=r"\[rule\] noise_std = 1\.001: would be .* 2\.001"):
        tiny(f"rule.name={HERE}:Adds")


YEARS = {"station": "72503014732", "year": [2012, 2013], "sha256": {"2012": "0" * 64}}


@pytest.mark.parametrize(
    ("table", "given"),
    [
        ("task", {"tau": 20, "squash": "none", "direction": "past"}),
        ("task", {"name": "copying", "length": 3, "fixed_sequence": True}),
        ("task", {"name": "weather", "path": "there", "max_gap": 3}),
        ("task", {"name": "weather", **YEARS}),
        *(
            ("rule", {"name": name, "learning_rate": rates})
            for name in registry.RULES
            for rates in (1e-3, {"A": 1e-3, "R": 1})
        ),
        ("rule", {"scale": "published", "passes": "both", "noise_std": 0}),
        ("rule", {"reward": "return_to_go", "window": 4, "resync_every": 8, "trace_decay": 0.5}),
        *(("decorrelation", {"name": name}) for name in registry.DECORRELATIONS),
        *(("network", {"neuron": name, "tau": 2}) for name in registry.NEURONS),
        *(("substrate", {"preset": name}) for name in CHIPS),
        ("substrate", {"event_bits": 0, "act_range": 0.0, "soft_bounds": True, "w_bits": 4}),
        ("substrate", {"drift_nu": [0.1, 0.2], "w_max": {"A": 0.5, "R": 2}, "stuck_at": 0.0}),
        ("training", {"measures": ["covariance"], "held_out": 0.5}),
    ],
)
def test_everything_of_neurosim_is_read_back(tiny_file, table, given):
    tables = tomllib.loads(tiny_file.read_text())
    if given.get("name") in ("copying", "weather"):
        tables[table] = {}
    config = parse({**tables, table: {**tables.get(table, {}), **given}}, "tiny", "tiny.toml")
    again = parse(tomllib.loads(config.toml()), "tiny", "again")
    assert again == config
    assert again.toml() == config.toml()
    assert again.digest == config.digest


# ------------------------------------------------------------- a field of a table's own name


@dataclass(frozen=True)
class Named(MackeyGlass):
    name: str = "sine"
    start: date = date(2020, 1, 2)
    scale: float = np.float32(0.7)

    def train(self, epoch=0):
        factor = np.float32(self.scale * self.start.day)
        return tuple(array * factor for array in super().train(epoch))


@dataclass(frozen=True)
class Nameless(MackeyGlass):
    name: str = field(kw_only=True)


def test_a_field_called_name_is_not_the_class(with_own):
    globals()["Own"] = Named
    config = with_own()
    assert config.resolved()["task"]["name"] == f"{HERE}:Own"
    assert config.task.name == "sine"
    globals()["Own"] = Nameless
    with pytest.raises(
        ns.InputError, match=r"\[task\] name: says which class it is, so Nameless's"
    ):
        with_own()


# -------------------------------------------------------------------------- whole runs


@pytest.fixture
def named_file(tiny_file):
    text = tiny_file.read_text().replace('name = "mackey_glass"', f'name = "{HERE}:Named"')
    tiny_file.write_text(text + "\n[baselines]\nenabled = false\n")
    return tiny_file


def test_such_a_task_is_run_resumed_reported_and_swept(named_file, tmp_path, neurosim):
    out = tmp_path / "run"
    straight = Experiment(load(named_file), tmp_path / "straight").run(progress=False)
    Experiment(load(named_file, ["training.epochs=1"]), out).run(progress=False)
    assert neurosim("run", named_file, "--out", out, "--resume")[0] == 0
    resumed = Experiment(load(out / "config.toml"), out).run(resume=True, progress=False)
    assert resumed.table["test_mse"].equals(straight.table["test_mse"])
    assert load(out / "config.toml").task == load(named_file).task
    assert neurosim("report", out)[0] == 0
    given = tomllib.loads(named_file.read_text())
    dates = [date(2020, 1, 2), date(2020, 1, 3)]
    axes = Axes((Axis(tuple({"task.start": day} for day in dates)),), seeds=(1, 2))
    many = runs(given, "tiny", "tiny.toml", axes)
    assert done_here(many, tmp_path) == [("finished", "")] * 4
    frame = load_results(tmp_path)
    assert sorted(frame["task.start"]) == sorted(map(str, 2 * dates))
    results.write(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / results.TABLE), frame)
    assert set(compare(frame)["task.start"]) == {"2020-01-02", "2020-01-03"}
    assert set(compare(frame)["runs"]) == {2}


@pytest.mark.parametrize("command", [["run"], ["sweep", "--seeds", "2"], ["tune", "--budget", "1"]])
def test_nothing_is_begun_that_could_not_be_read_back(tiny_file, tmp_path, neurosim, command):
    task_of((1, 2))
    name, *more = command
    override = f"task.name={HERE}:Own"
    out = tmp_path / "out"
    code, _, err = neurosim(name, tiny_file, "--set", override, "--out", out, *more)
    assert code == 2
    assert "[task] own = (1, 2): would be read back as [1, 2]; have Own.__post_init__()" in err
    assert not out.exists()


def test_a_config_put_together_by_hand_is_read_back_too(tiny, tmp_path):
    config = replace(tiny(), rule=ns.NP(1e-3))
    with pytest.raises(ns.InputError, match=r"\[rule\] is NP\(.* would be read back as ANP\("):
        Experiment(config, tmp_path / "run")
    with pytest.raises(ns.InputError, match=r"\[rule\] is NP\("):
        Sweep([Run(config)], tmp_path)
    fine = replace(tiny(), rule=ns.ANP(np.float32(0.5)))
    assert type(Experiment(fine, tmp_path / "run").config.rule.learning_rate) is float


def test_what_was_read_back_is_not_read_again(tiny):
    config = tiny()
    assert config.read_back is config
    assert parse(config.resolved(), "tiny", "again").task == config.task


# ------------------------------------------------------------ tasks that change with use


@dataclass(frozen=True)
class Restless(MackeyGlass):
    changes: str = ""
    calls: list[int] = field(default_factory=list, init=False, compare=False)

    def _next(self, call, pair):
        self.calls.append(1)
        return tuple(a + np.float32(len(self.calls) * (self.changes == call)) for a in pair)

    def train(self, epoch=0):
        return self._next(f"train({epoch})", super().train(epoch))

    def test(self):
        return self._next("test()", super().test())


@pytest.mark.parametrize("call", ["train(0)", "train(1)", "test()"])
def test_a_task_that_gives_other_data_when_it_is_asked_again_is_not_trained_on(
    tiny_file, tmp_path, call
):
    given = [f"task.name={HERE}:Restless", "baselines.enabled=false", "training.epochs=2"]
    config = load(tiny_file, [*given, f"task.changes={call}"])
    with pytest.raises(ns.InputError, match=r"gives other data when it is called again") as refused:
        Experiment(config, tmp_path / "run").run(progress=False)
    assert call in str(refused.value)
    assert not (tmp_path / "run").exists()
    Experiment(load(tiny_file, given), tmp_path / "run").run(progress=False)


class Sizeless:
    """A task with everything but its sizes."""

    def train(self, epoch=0):
        return np.ones((4, 2, 1)), np.ones((4, 2, 1))

    test = train

    def score(self, outputs, targets):
        return {"mse": 1.0}


@pytest.mark.parametrize("held_out", [0.0, 0.5])
def test_a_task_without_sizes_is_refused_in_words(tiny_file, tmp_path, held_out):
    globals()["Own"] = dataclass(frozen=True)(type("Own", (Sizeless,), {"__module__": HERE}))
    given = tomllib.loads(tiny_file.read_text()) | {"task": {"name": f"{HERE}:Own"}}
    given["training"] |= {"batch": 2, "held_out": held_out}
    config = parse(given, "tiny", "tiny.toml")
    with pytest.raises(ns.InputError, match=r"Own': n_inputs = None must be a whole number in"):
        Experiment(config, tmp_path / "run").run(progress=False)
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------- what a config leaves out


@dataclass(frozen=True)
class Slow(ns.Tanh):
    tau: float = 5.0


@pytest.mark.parametrize(("given", "tau"), [([], 5.0), (["network.tau=1"], 1.0)])
def test_a_time_constant_is_the_models_own_or_the_one_given(tiny, given, tau):
    config = tiny(f"network.neuron={HERE}:Slow", *given)
    assert config.resolved()["network"]["tau"] == tau
    assert config.wiring().population("hidden").neuron == Slow(tau)
    assert tiny().resolved()["network"]["tau"] == 1.0


def test_a_date_is_not_the_text_that_looks_like_it(named_file, tmp_path):
    globals()["Own"] = task_of(None)
    given = tomllib.loads(named_file.read_text())
    given["task"]["name"] = f"{HERE}:Own"
    alike = [date(2020, 1, 2), "2020-01-02", 1, True, "true"]
    axes = Axes((Axis(tuple({"task.own": value} for value in alike)),))
    many = runs(given, "tiny", "tiny.toml", axes)
    assert len({run.name for run in many}) == len({run.config.digest for run in many}) == 5
    with pytest.raises(ns.InputError, match="is there twice"):
        Axis(({"task.own": 1}, {"task.own": 1.0}))
