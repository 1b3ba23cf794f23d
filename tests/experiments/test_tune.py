"""A search finds the same however it is done, and never looks at the test."""

from __future__ import annotations

import json
import math
import shutil
import tomllib

import optuna
import pytest
from sweeps import QUICK, TINY

import neurosim as ns
from neurosim.errors import BusyError
from neurosim.experiments import config as configs
from neurosim.experiments import load
from neurosim.experiments.sweep import load_results
from neurosim.experiments.sweep.results import POOL
from neurosim.experiments.sweep.sweep import Workers
from neurosim.experiments.tune import BEST, BLOCK, HELD_OUT, SEEDS, STARTUP, Trial, Tuning
from neurosim.files import lock

RATE, DECORRELATION = "rule.learning_rate", "decorrelation.learning_rate"
RATES = {RATE: 1e-3, DECORRELATION: 1e-4}
SHORT = (*QUICK, "training.epochs=1")
BUDGET = STARTUP + BLOCK  # the last ones are chosen by what was found before


def tuning(*overrides, ranges=(), seeds=(1,)):
    return Tuning(*configs.read(TINY, [*SHORT, *overrides]), dict(ranges), seeds)


class Nobody(Workers):
    """There is nothing to do: every run that is asked for has been done."""

    def client(self, most):
        raise AssertionError(f"{most} runs are not those of the other search")


@pytest.fixture(scope="module")
def straight(tmp_path_factory, workers):
    """A search that nothing happened to: its folder, and what it found."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, tuning().search(BUDGET, folder, workers)


@pytest.fixture
def runs_only(straight, tmp_path):
    """A folder with the runs of that search, and nothing of the search itself."""
    folder = tmp_path / "search"
    shutil.copytree(straight[0] / POOL, folder / POOL)
    return folder


# -------------------------------------------------------------------------- what is found


def test_there_are_as_many_trials_as_asked_the_best_first(straight):
    _, trials = straight
    assert sorted(trial.number for trial in trials) == list(range(BUDGET))
    assert [trial.error for trial in trials] == sorted(trial.error for trial in trials)
    assert len({tuple(trial.rates.values()) for trial in trials}) == BUDGET


def test_the_first_trial_is_the_config_itself(straight):
    assert next(trial for trial in straight[1] if trial.number == 0).rates == RATES


def test_rates_are_within_their_ranges_and_of_few_digits(straight):
    for trial in straight[1]:
        for name, rate in trial.rates.items():
            assert RATES[name] / 100 <= rate <= RATES[name] * 100
            assert float(f"{rate:.4g}") == rate


def test_a_rounded_rate_stays_in_its_range():
    low, high = 0.00123456, 0.00123458  # of more digits than rates have
    search = tuning(ranges={RATE: (low, high)})
    for rate in (low, high):
        assert low <= search._rounded({RATE: rate})[RATE] <= high


def test_an_error_is_the_mean_over_seeds_of_what_is_held_out(workers, tmp_path):
    search = tuning(seeds=(7, 8))
    trials = search.search(3, tmp_path, workers)
    frame = load_results(tmp_path)
    assert len(frame) == 3 * 2
    assert (frame["training.held_out"] == HELD_OUT).all()
    for trial in trials:
        mine = frame[(frame[RATE] == trial.rates[RATE])]
        assert sorted(mine["training.seed"]) == [7, 8]
        assert trial.error == pytest.approx(mine["test_mse"].mean(), rel=1e-12)
    assert not any(name.startswith("baseline.") for name in frame)


def test_it_is_not_of_the_seeds_that_results_are_reported_for():
    assert load(TINY).training.seed not in SEEDS
    assert [run.config.training.seed for run in tuning(seeds=SEEDS).runs(RATES)] == list(SEEDS)


def test_a_part_that_the_config_holds_out_is_kept(tmp_path):
    assert tuning("training.held_out=0.4").held_out == 0.4
    (run,) = tuning("training.held_out=0.4").runs(RATES)
    assert run.config.training.held_out == 0.4


# ----------------------------------------------------------------- found again, always


def test_the_number_of_processes_does_not_matter(straight, installed, tmp_path):
    with Workers(1) as one:
        assert tuning().search(BUDGET, tmp_path, one) == straight[1]
    assert load_results(tmp_path).equals(load_results(straight[0]))
    assert (tmp_path / BEST).read_bytes() == (straight[0] / BEST).read_bytes()


def test_interrupted_after_every_run_it_finds_the_same(straight, workers, tmp_path):
    known, interrupted = set(), 0

    def stop(outcome):
        if outcome.run.name not in known:
            known.add(outcome.run.name)
            raise KeyboardInterrupt

    while True:
        try:
            trials = tuning().search(BUDGET, tmp_path, workers, stop)
            break
        except KeyboardInterrupt:
            interrupted += 1
            assert not (tmp_path / BEST).exists()
    assert interrupted == BUDGET
    assert trials == straight[1]
    assert load_results(tmp_path).equals(load_results(straight[0]))


@pytest.mark.parametrize("calls", [1, 3])
def test_interrupted_while_trials_are_noted_it_finds_the_same(
    straight, runs_only, monkeypatch, calls
):
    """Every search notes only so many trials, whether or not a block is over."""
    left, add = [0], optuna.study.Study.add_trial

    def few(study, trial):
        if study.study_name == tuning().name:  # not one that is only in memory
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
        add(study, trial)

    monkeypatch.setattr(optuna.study.Study, "add_trial", few)
    trials, interrupted = None, 0
    while trials is None:
        left[0] = calls
        try:
            trials = tuning().search(BUDGET, runs_only, Nobody())
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted >= (BUDGET - 1) // calls
    assert trials == straight[1]


def test_a_larger_budget_goes_on(straight, runs_only):
    for budget in (1, BLOCK, BLOCK + 2, STARTUP, BUDGET):  # in the middle of a block, too
        trials = tuning().search(budget, runs_only, Nobody())
        assert len(trials) == budget
    assert trials == straight[1]
    assert (runs_only / BEST).read_bytes() == (straight[0] / BEST).read_bytes()


def test_a_budget_that_was_spent_changes_nothing(straight, tmp_path):
    folder = shutil.copytree(straight[0], tmp_path / "copy")
    for budget in (BUDGET, 1):
        assert tuning().search(budget, folder, Nobody()) == straight[1]
    assert (folder / BEST).read_bytes() == (straight[0] / BEST).read_bytes()


# ---------------------------------------------------------------------- the best config


def test_the_best_is_a_config_like_the_one_searched_with_other_rates(straight):
    folder, (best, *_) = straight
    found, base = load(folder / BEST), load(TINY, SHORT)
    assert {name: found.flat()[name] for name in RATES} == best.rates
    assert set(base.differences(found)) <= set(RATES)
    assert found.training.held_out == 0
    assert (found.training.seed, found.baselines) == (5, base.baselines)


def test_the_best_says_what_was_searched(straight):
    text = (straight[0] / BEST).read_text()
    for words in (
        f"tiny: the best of {BUDGET} trials",
        f"{RATE}, 1e-05 to 0.1",
        f"{DECORRELATION}, 1e-06 to 0.01",
        "held out",
        f"{straight[1][0].error:.4g}",
        "The test was not looked at",
    ):
        assert words in text
    assert tomllib.loads(text)["rule"]["name"] == "ANP"


def test_the_test_is_never_looked_at(workers, tmp_path):
    trials = tuning("task.name=untested").search(2, tmp_path, workers)
    assert all(math.isfinite(trial.error) for trial in trials)
    assert set(load_results(tmp_path)["status"]) == {"finished"}
    assert load(tmp_path / BEST).names["task"] == "untested"


def test_where_the_best_lies_at_an_edge_it_is_said():
    search = tuning(ranges={RATE: (1e-4, 1e-2), DECORRELATION: (1e-6, 1e-2)})
    for rate, edge in ((1e-4, True), (1.2e-4, True), (1e-3, False), (9e-3, True), (1e-2, True)):
        found = search.at_edge(Trial(0, {RATE: rate, DECORRELATION: 1e-4}, 1.0))
        assert found == [RATE] * edge
    both = Trial(0, {RATE: 1e-2, DECORRELATION: 1e-6}, 1.0)
    assert search.at_edge(both) == [RATE, DECORRELATION]


# ----------------------------------------------------------------------------- ranges


def test_every_rate_above_0_is_searched_unless_said_otherwise():
    assert tuning().ranges == {RATE: (1e-5, 1e-1), DECORRELATION: (1e-6, 1e-2)}
    by_name = tuning("rule.learning_rate={A = 1e-3, B = 1e-2}")
    assert set(by_name.ranges) == {f"{RATE}.A", f"{RATE}.B", DECORRELATION}
    assert set(tuning(ranges={RATE: (1, 2)}).ranges) == {RATE}


def test_other_fields_may_be_searched(workers, tmp_path):
    search = tuning(ranges={"rule.noise_std": (1e-4, 1e-2)})
    trials = search.search(2, tmp_path, workers)
    assert len({trial.rates["rule.noise_std"] for trial in trials}) == 2
    frame = load_results(tmp_path)
    assert (frame[RATE] == 1e-3).all()
    assert set(frame["rule.noise_std"]) == {trial.rates["rule.noise_std"] for trial in trials}


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (0, 1), (-1, 1), (1, math.inf), (math.nan, 1)])
def test_a_range_that_is_none_is_named(ends):
    with pytest.raises(ns.InputError, match=r"--search rule.learning_rate=.*must be two numbers"):
        tuning(ranges={RATE: ends})


def test_what_cannot_be_searched_is_named():
    with pytest.raises(ns.InputError, match=r"\[rule\] learnin_rate = .*did you mean 'learning_r"):
        tuning(ranges={"rule.learnin_rate": (1, 2)})
    given, name, where = configs.read(TINY)
    given |= {"rule": {"name": "own_parts:Rateless"}}
    del given["decorrelation"]
    with pytest.raises(ns.InputError, match=r"tiny.toml: has no learning rate above 0"):
        Tuning(given, name, where)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_is_one_trial_at_least(tmp_path, budget):
    with pytest.raises(ns.InputError, match=f"--budget {budget}: must be 1 or more"):
        tuning().search(budget, tmp_path / "out", Nobody())
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "other",
    [
        lambda: tuning("rule.noise_std=1e-2"),
        lambda: tuning(seeds=(2,)),
        lambda: tuning(ranges={RATE: (1e-4, 1e-2)}),
        lambda: tuning("training.held_out=0.3"),
    ],
    ids=["config", "seeds", "ranges", "held out"],
)
def test_another_search_in_its_folder_is_refused(straight, tmp_path, other):
    folder = shutil.copytree(straight[0], tmp_path / "copy")
    with pytest.raises(ns.InputError, match=r"copy: holds another search .*by --out"):
        other().search(BUDGET, folder, Nobody())
    assert tuning().search(BUDGET, folder, Nobody()) == straight[1]


def test_one_process_searches_at_a_time(straight, tmp_path):
    folder = shutil.copytree(straight[0], tmp_path / "copy")
    with (
        lock(folder / ".tune.lock", 0.0, ""),
        pytest.raises(BusyError, match="copy: another process is searching there"),
    ):
        tuning().search(BUDGET, folder, Nobody())
    tuning().search(BUDGET, folder, Nobody())


@pytest.mark.parametrize("name", ["s?x", "a#b", "50%20", "{x}", "a&b=c", "q'u\"o", "s@h:1"])
def test_what_a_folder_is_called_means_nothing_to_a_database(straight, runs_only, tmp_path, name):
    folder = runs_only.rename(tmp_path / name)
    assert tuning().search(BUDGET, folder, Nobody()) == straight[1]
    assert (folder / "study.db").is_file()
    assert list(tmp_path.iterdir()) == [folder]


def test_where_all_blow_up_there_is_no_best(workers, tmp_path):
    search = tuning(ranges={RATE: (1e8, 1e9)})
    with pytest.raises(
        ns.InputError, match=r"no trial came to a result; search lower than rule.learning_rate=1e"
    ):
        search.search(2, tmp_path, workers)
    assert not (tmp_path / BEST).exists()
    assert load_results(tmp_path)["status"].tolist() == ["diverged"] * 2


def test_what_blew_up_is_the_worst(workers, tmp_path):
    trials = tuning(ranges={RATE: (1e-3, 1e12)}).search(BLOCK, tmp_path, workers)
    statuses = load_results(tmp_path).set_index(RATE)["status"]
    assert set(statuses) == {"finished", "diverged"}
    for trial in trials:
        finished = statuses[trial.rates[RATE]] == "finished"
        assert math.isfinite(trial.error) == finished
    assert math.isfinite(trials[0].error)
    assert trials[-1].error == math.inf


# ------------------------------------------------------------------- the command line


def command(folder, *more):
    sets = [part for text in SHORT for part in ("--set", text)]
    return ["tune", TINY, "--budget", BUDGET, "--seeds", "1,", *sets, "--out", folder, *more]


def test_the_command_shows_the_trials_and_where_the_best_is(straight, neurosim, tmp_path):
    folder = shutil.copytree(straight[0], tmp_path / "copy")
    code, said, err = neurosim(*command(folder))
    assert (code, err) == (0, "")
    head, *rows = said.splitlines()
    assert head.split() == ["trial", RATE, DECORRELATION, "held-out", "MSE"]
    for row, trial in zip(rows, straight[1], strict=False):
        rates = [f"{rate:g}" for rate in trial.rates.values()]
        assert row.split() == [str(trial.number), *rates, f"{trial.error:.4g}"]
    assert f"best: {folder / BEST}  (neurosim run {folder / BEST})" in said
    edges = tuning().at_edge(straight[1][0])
    assert said.count("lies at the edge") == len(edges)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--search", "rule.learning_rate"], "--search rule.learning_rate: must be table.key=low"),
        (["--search", "rule.learning_rate=1,a"], "--search rule.learning_rate=1,a: must be table"),
        (["--search", "rule.learning_rate=2,1"], "must be two numbers above 0, the lower first"),
        (["--search", "rule.learnin_rate=1,2"], "did you mean 'learning_rate'"),
        (["--seeds", "0"], "--seeds 0"),
        (["--set", "rule.name=NPP"], "rule 'NPP' does not exist"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(neurosim, tmp_path, more, says):
    code, said, err = neurosim(*command(tmp_path / "out", *more))
    assert (code, said) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_the_command_says_that_another_is_searching(straight, neurosim):
    folder, _ = straight
    with lock(folder / ".tune.lock", 0.0, ""):
        code, said, err = neurosim(*command(folder))
    assert (code, said) == (2, "")
    assert err == f"neurosim: {folder}: another process is searching there\n"


def test_what_is_searched_is_noted(straight):
    note = json.loads((straight[0] / "tuning.json").read_text())
    assert note["ranges"] == {RATE: [1e-5, 0.1], DECORRELATION: [1e-6, 0.01]}
    assert (note["seeds"], note["held_out"]) == ([1], HELD_OUT)
    assert note["config"] == tuning().base.identity


def test_the_config_that_is_searched_is_the_searchs_own():
    given, name, where = configs.read(TINY, SHORT)
    found = Tuning(given, name, where, {}, (1,))
    names = [run.name for run in found.runs({})]
    given["network"]["hidden"] = 50
    given["rule"].clear()
    assert [run.name for run in found.runs({})] == names
