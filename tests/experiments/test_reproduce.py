"""The paper's figures: their files, how claims are judged, and a small one of each kind done."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurosim import cli
from neurosim.errors import InputError
from neurosim.experiments import registry, reproduce
from neurosim.experiments.reproduce import claims, costs, data, spec
from neurosim.experiments.reproduce.claims import DIFFERS, HOLDS, UNCLEAR
from neurosim.experiments.reproduce.run import REPORT, SUMMARY, TABLE
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.runs import DIVERGED, FINISHED

BASELINES = {"mean", "persistence", "ridge", "ridge on lags"}
EVERY = {
    "copying",
    "costs",
    "decorrelation",
    "mackey-glass",
    "reward-local-global",
    "rflo",
    "scaling",
    "weather-1h",
    "weather-24h",
    "weather-48h",
}


# ------------------------------------------------------------------------------- the files


def test_every_figure_has_a_file():
    assert set(reproduce.names()) == EVERY


@pytest.mark.parametrize("scale", spec.SCALES)
@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_figure_s_runs_are_configs_and_its_claims_are_about_them(name, scale):
    plan = reproduce.load(name, scale, 2)
    assert plan.runs  # each checked
    here = {method.name for method, _ in plan.methods()}
    everywhere = {method.name for method in plan.file.method}
    for claim in plan.file.claim:
        named = {*claim.worse, *claim.than, *claim.level, *claim.to}
        assert named <= everywhere | BASELINES, f"{claim.says}: about nobody"
        assert bool(claim.worse) == bool(claim.than)
        assert bool(claim.level) == bool(claim.to)
        assert claim.worse or claim.level
    assert set(plan.file.shown) <= here


@pytest.mark.parametrize(
    ("name", "size"), [("mackey-glass", 1000), ("copying", 500), ("weather-48h", 1000)]
)
def test_the_paper_s_scale_is_the_paper_s_configs(name, size):
    plan = reproduce.load(name, "paper", 1)
    runs = {run.setting["method"]: run.config for run in plan.runs}
    assert {config.network.hidden for config in runs.values()} == {size}
    assert {config.training.epochs for config in runs.values()} == {500}
    for method, other in (("NP", "np"), ("DANP", "danp"), ("BP (k = 1)", "bp")):
        published = registry.configs()[f"paper/{name.replace('-', '_')}_{other}"]
        from neurosim.experiments import load

        differ = load(published, seed=10).differences(runs[method])
        assert set(differ) <= {"baselines.enabled"}


def test_baselines_are_beside_every_learned_figure():
    for name in EVERY - {"costs"}:
        plan = reproduce.load(name, "small", 1)
        assert any(run.config.baselines.enabled for run in plan.runs), name
        if plan.file.panels == "learning":
            methods = {method.name for method, _ in plan.methods()}
            assert {"full BPTT, tuned", "readout only", "best local"} <= methods


def test_reported_seeds_are_not_those_that_rates_were_chosen_on():
    plan = reproduce.load("mackey-glass", "small", 5)
    assert plan.seeds == (10, 11, 12, 13, 14)
    assert {run.config.training.seed for run in plan.runs} == set(plan.seeds)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mackey-glas", "small", 1), "did you mean 'mackey-glass'"),
        (("mackey-glass", "large", 1), "--scale large"),
        (("mackey-glass", "small", 0), "--seeds 0"),
    ],
)
def test_mistakes_are_named(arguments, says):
    with pytest.raises(InputError, match=re.escape(says)):
        reproduce.load(*arguments)


def test_a_setting_that_does_not_exist_is_refused_before_anything_is_run(tmp_path):
    plan = reproduce.load("copying", "small", 1, {"training.epoch": 2})
    with pytest.raises(InputError, match=r"copying, NP.*\n.*epoch = 2"):
        _ = plan.runs


def test_tables_are_laid_over_each_other():
    below = {"rule": {"name": "NP", "noise_std": 0.1}, "training": {"epochs": 5, "batch": 2}}
    above = {"rule": {"name": "ANP"}, "training": {"epochs": 7}}
    assert spec._laid_over(below, above) == {
        "rule": {"name": "ANP"},  # another rule: nothing of the first one's is left
        "training": {"epochs": 7, "batch": 2},
    }
    same = spec._laid_over(below, {"rule": {"learning_rate": 1.0}})
    assert same["rule"] == {"name": "NP", "noise_std": 0.1, "learning_rate": 1.0}


# -------------------------------------------------------------------------------- claims


def judged(claim, **scores):
    by_seed = {name: dict(enumerate(values)) for name, values in scores.items()}
    return [f.verdict for f in claims.judge([spec.Claim(**claim)], {"test_mse": by_seed})]


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([3, 4, 5], [1, 2, 3], HOLDS),
        ([1, 2, 3], [3, 4, 5], DIFFERS),
        ([3, 1, 5], [1, 2, 3], UNCLEAR),
        ([math.inf, 4, 5], [1, 2, 3], HOLDS),  # what blew up is worse
        ([1, 2, 3], [math.inf] * 3, DIFFERS),
        ([math.inf] * 3, [math.inf] * 3, UNCLEAR),
        ([1, 1, 1], [1, 1, 1], UNCLEAR),
    ],
)
def test_worse_is_worse_on_every_seed(a, b, verdict):
    claim = {"says": "a is worse than b", "worse": ["a"], "than": ["b"]}
    assert judged(claim, a=a, b=b) == [verdict]


@pytest.mark.parametrize(
    ("a", "within", "verdict"),
    [
        ([1.2, 1.2], 1.25, HOLDS),
        ([0.81, 0.81], 1.25, HOLDS),
        ([1.3, 1.3], 1.25, DIFFERS),
        ([0.7, 0.7], 1.25, DIFFERS),
        ([1.3, 1.3], 1.5, HOLDS),
        ([1.0, math.inf], 1.25, DIFFERS),
    ],
)
def test_level_is_within_a_factor(a, within, verdict):
    claim = {"says": "a is level with b", "level": ["a"], "to": ["b"], "within": within}
    assert judged(claim, a=a, b=[1.0, 1.0]) == [verdict]


def test_worse_by_less_than_is_claimed_is_not_what_is_claimed():
    claim = {"says": "a is twice as bad as b", "worse": ["a"], "than": ["b"], "by": 2.0}
    assert judged(claim, a=[3.0, 3.0], b=[1.0, 1.0]) == [HOLDS]
    assert judged(claim, a=[1.9, 1.9], b=[1.0, 1.0]) == [DIFFERS]
    assert judged(claim, a=[math.inf, math.inf], b=[1.0, 1.0]) == [HOLDS]


def test_a_claim_is_about_every_pair_that_was_run():
    claim = {"says": "", "worse": ["a", "b"], "than": ["c", "d", "not run"]}
    scores = {name: [value, value] for name, value in zip("abcd", (4, 3, 2, 1), strict=True)}
    assert judged(claim, **scores) == [HOLDS] * 4
    assert judged({**claim, "score": "train_mse"}, **scores) == []


# --------------------------------------------------------------------------- final scores


def rows(errors, seconds=2.0):
    first = {"epoch": 0, "steps": 0, "seconds": 0.0, "train_mse": 9.0, "test_mse": 9.0}
    return [first] + [
        {"epoch": k + 1, "steps": 10, "seconds": seconds, "train_mse": 2 * e, "test_mse": e}
        for k, e in enumerate(errors)
    ]


def test_a_final_error_is_the_mean_over_the_last_tenth():
    found = data.final(rows([float(k) for k in range(100, 0, -1)]), FINISHED)
    assert found["test_mse"] == pytest.approx(np.mean(range(1, 11)))  # as 50 of the paper's 500
    assert found["train_mse"] == pytest.approx(2 * found["test_mse"])
    assert found["seconds_per_step"] == pytest.approx(0.2)
    assert data.final(rows([3.0, 2.0]), FINISHED)["test_mse"] == 2.0  # one epoch at least


def test_what_blew_up_has_infinite_errors_and_is_not_stable():
    found = data.final(rows([1.0, 1.0]), DIVERGED)
    assert (found["test_mse"], found["train_mse"]) == (math.inf, math.inf)
    assert not found["stable"]


def test_stable_is_better_than_it_began():
    assert data.final(rows([8.9]), FINISHED)["stable"]
    assert not data.final(rows([9.1]), FINISHED)["stable"]


# ------------------------------------------------------------------------- one of each kind

TINY = """
title = "Tiny"
figure = "Figure 0"
panels = "{panels}"
shown = {shown}

[small]
words = "tiny"

[small.tables]
task = {task}
network = {{ hidden = 8 }}
training = {{ epochs = 10, batch = 2{measures} }}
baselines = {{ enabled = false }}
{vary}
[paper]
words = "not run"

[[method]]
name = "ANP"
small.rule = {{ name = "ANP", learning_rate = 0.03 }}
small.baselines = {{ enabled = true, readout_epochs = 2 }}

[[method]]
name = "NP"  # does not learn
small.rule = {{ name = "NP", learning_rate = 1e-12 }}

[[method]]
name = "WP"
small.rule = {{ name = "WP", learning_rate = 1e7 }}

{more}
[[claim]]
says = "NP is worse than ANP."
worse = ["NP"]
than = ["ANP"]

[[claim]]
says = "ANP is worse than NP."
worse = ["ANP"]
than = ["NP"]
"""
SERIES = '{ name = "mackey_glass", steps = 60, horizon = 3 }'
COPYING = '{ name = "copying", length = 2, delay = 1, sequences = 2, test_sequences = 1 }'
KINDS = {
    "learning": {"task": SERIES, "shown": '["ANP"]'},
    "learning-copying": {"task": COPYING, "shown": '["ANP"]'},
    "scaling": {"task": SERIES, "vary": "[small.vary.product]\nnetwork.hidden = [4, 8]"},
    "decorrelation": {
        "task": SERIES,
        "measures": ', measures = ["covariance"]',
        "more": '[[method]]\nname = "DANP, ε varied"\n'
        'small.rule = { name = "ANP", learning_rate = 0.03 }\n'
        'small.decorrelation = { name = "Decorrelation" }\n'
        'small.vary.product = { "decorrelation.learning_rate" = [1e-4, 1e-2] }\n',
    },
    "reward": {
        "task": COPYING,
        "more": '[[method]]\nname = "global"\n'
        'small.rule = { name = "NP", reward = "global" }\nsmall.seeds = 1\n'
        "[method.small.vary.product]\ntask.length = [1, 2]\nrule.noise_std = [1e-3, 1e-2]\n"
        "rule.learning_rate = [1e-4, 1e-2]\n",
    },
}


@pytest.fixture
def tiny_figure(monkeypatch, tmp_path):
    """A function that writes a figure's file and loads it."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setattr(registry, "reproductions", lambda: folder)

    def make(kind, scale="small", changes=None):
        given = {"shown": "[]", "vary": "", "more": "", "measures": "", **KINDS[kind]}
        text = TINY.format(panels=kind.partition("-")[0], **given)
        (folder / f"{kind}.toml").write_text(text)
        return reproduce.load(kind, scale, 2, changes)

    return make


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where runs are kept: what two kinds need is run once."""
    return tmp_path_factory.mktemp("reproduced")


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_done(kind, tiny_figure, kept, workers):
    plan = tiny_figure(kind)
    done = reproduce.reproduce(plan, kept, workers)
    folder = kept / kind
    names = {"figure.png", "figure.svg", SUMMARY, TABLE}
    assert {path.name for path in folder.iterdir()} == names
    assert all((folder / name).stat().st_size > 1000 for name in names - {SUMMARY})
    assert (folder / SUMMARY).read_text() == done.text
    # What differs comes first: one claim is true here, and its opposite cannot be.
    verdicts = {f.claim.says: f.verdict for f in done.findings}
    assert verdicts == {"NP is worse than ANP.": HOLDS, "ANP is worse than NP.": DIFFERS}
    heads = re.findall(r"^## (.*)$", done.text, re.MULTILINE)
    assert heads[:3] == [
        "Where this differs from the paper",
        "What agrees with the paper",
        "Numbers",
    ]
    assert re.search(r"1000000", done.text)  # settings of each method


def test_the_table_is_tidy_and_the_numbers_are_its_own(tiny_figure, kept, workers):
    plan = tiny_figure("learning")
    done = reproduce.reproduce(plan, kept, workers)
    table = pd.read_parquet(done.folder / TABLE)
    own = table[table["kind"] == "method"]
    assert set(own["method"]) == {"ANP", "NP", "WP"}
    fine = own[own["status"] == "finished"]
    assert (fine.groupby(["method", "seed"]).size() == 11).all()  # epochs 0 to 10, one row each
    assert set(own[own["method"] == "WP"]["status"]) == {"diverged"}
    last = fine[(fine["method"] == "ANP") & (fine["epoch"] == 10)]["test_mse"]
    told = next(line for line in done.text.splitlines() if line.startswith("| **ANP**"))
    assert f"{last.mean():.3g} ({last.min():.3g}-{last.max():.3g})" in told
    assert "| **WP** | diverged | diverged | 2 |" in done.text
    rivals = table[table["kind"] == "baseline"]
    assert rivals.groupby("method").size().eq(2).all()  # one a seed
    assert {"persistence", "ridge", "readout-only delta rule"} <= set(rivals["method"])
    ridge = rivals[rivals["method"] == "ridge"]["test_mse"].mean()
    assert f"| ridge | {ridge:.3g}" in done.text


def test_what_is_done_is_not_done_again(tiny_figure, kept, workers):
    plan = tiny_figure("learning")
    first = reproduce.reproduce(plan, kept, workers)
    when = {p: p.stat().st_mtime_ns for p in (kept / POOL).rglob("*.*") if p.suffix != ".lock"}
    again = reproduce.reproduce(plan, kept, workers)
    assert {p: p.stat().st_mtime_ns for p in when} == when
    pace = re.compile(r" [\d.e-]+ \|$", re.MULTILINE)  # what a step took is kept, too
    assert pace.sub("", again.text) == pace.sub("", first.text)


def test_changed_settings_are_said(tiny_figure, kept, workers):
    plan = tiny_figure("learning", changes={"training.epochs": 2})
    text = reproduce.reproduce(plan, kept, workers).text
    assert text.split("\n\n")[1] == (  # before any verdict
        "**Settings were changed for this run: training.epochs = 2. 2 seeds: too few to say much. "
        "This is a look, and no evidence about the paper.**"
    )
    assert "--set training.epochs=2" in text
    assert plan.title.endswith("\nchanged for this run: training.epochs = 2")
    assert "changed" not in tiny_figure("learning").title


def test_reports_are_joined_into_one(tiny_figure, kept, workers):
    done = [reproduce.reproduce(tiny_figure(kind), kept, workers) for kind in list(KINDS)[:2]]
    path = reproduce.join(done, kept)
    text = path.read_text()
    assert path == kept / REPORT
    assert text.count("1 differ from the paper's claim, 0 are not clear, 1 agree") == 2
    for link in re.findall(r"\]\((.*?\.png)\)", text):
        assert (kept / link).is_file()


def test_unstable_runs_are_shown_as_such(tiny_figure, kept, workers):
    text = reproduce.reproduce(tiny_figure("scaling"), kept, workers).text
    assert "| WP | none stable | none stable |" in text
    assert re.search(r"\| ANP \| [\d.e-]+ \| [\d.e-]+ \|", text)


# ---------------------------------------------------------------------------------- costs


COSTS = """
title = "Costs"
figure = "Figure 0"
panels = "costs"

[small]
words = "tiny"

[small.tables]
task = { name = "copying", length = 5, sequences = 1, test_sequences = 1 }
network = { hidden = 200 }
training = { epochs = 1, batch = 1 }

[paper]
words = "not run"

[[method]]
name = "ANP"
small.rule = { name = "ANP", learning_rate = 1e-6 }

[[method]]
name = "ANP, over T"
small.rule = { name = "ANP", learning_rate = 1e-6 }
small.vary.product = { task.length = [10, 2000] }

[[method]]
name = "full BPTT, over T"
small.rule = { name = "BPTT", learning_rate = 1e-6 }
small.vary.product = { task.length = [10, 2000] }
"""


def test_costs_are_measured_and_bptt_keeps_the_past(monkeypatch, tmp_path, workers):
    (tmp_path / "costs.toml").write_text(COSTS)
    monkeypatch.setattr(registry, "reproductions", lambda: tmp_path)
    plan = reproduce.load("costs", "small", 1)
    done = reproduce.reproduce(plan, tmp_path / "out", workers)
    table = pd.read_parquet(done.folder / TABLE).set_index(["method", "steps"])["mb"]
    # 4005 steps of 200 neurons: more than 4 bytes each, of an activity and of its derivative.
    grown = {name: table[name, 4005.0] - table[name, 25.0] for name in ("full BPTT, over T",)}
    assert grown["full BPTT, over T"] > 4005 * 200 * 4 / 1e6
    # The local rule's own state does not grow: the sequence does, 10 channels in and out.
    assert table["ANP, over T", 4005.0] - table["ANP, over T", 25.0] < 2.0
    measured = (done.folder / costs.KEPT).read_bytes()
    reproduce.reproduce(plan, tmp_path / "out", workers)
    assert (done.folder / costs.KEPT).read_bytes() == measured  # not measured again


# -------------------------------------------------------------------------- command line


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["neurosim", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    said = capsys.readouterr()
    return done.value.code or 0, said.out, said.err


def test_the_command_line_does_a_figure(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    small = ("--set", "training.epochs=1", "--set", "network.hidden=6", "--seeds", 1)
    code, out, err = run(monkeypatch, capsys, "reproduce", "copying", *small, "--jobs", 1)
    assert (code, err) == (0, "")
    assert "## Where this differs from the paper" in out
    assert (Path("reproduced") / "small" / "copying" / "figure.svg").is_file()


def test_the_command_line_lists_figures_and_names_mistakes(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "list", "figures")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} == EVERY
    assert all(len(line.split()) > 3 for line in out.splitlines())
    code, out, err = run(monkeypatch, capsys, "reproduce", "copyng")
    assert (code, out) == (2, "")
    assert "did you mean 'copying'" in err


def test_figures_are_no_configs():
    assert not [name for name in registry.configs() if "reproduce" in name]
