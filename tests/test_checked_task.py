"""Data and scores of a task are checked before anything is learned."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import neurosim as ns

RNG = np.random.default_rng(1)
INPUTS = RNG.normal(size=(8, 2, 1)).astype(np.float32)
TARGETS = 0.5 * INPUTS


class Own:
    """A task that gives what it is told to give."""

    n_inputs = n_targets = 1

    def __init__(self, train=(INPUTS, TARGETS), test=(INPUTS, TARGETS), scores=None, own=None):
        self._train, self._test, self._scores, self.own = train, test, scores, own

    def train(self, epoch=0):
        return self._train

    def test(self):
        return self._test

    def score(self, outputs, targets):
        mse = float(np.mean((np.asarray(outputs) - np.asarray(targets)) ** 2))
        return {"mse": mse} if self._scores is None else self._scores

    def baselines(self):
        return pd.DataFrame(columns=["train_mse", "test_mse"]) if self.own is None else self.own


class Refuses:
    """As another library's array that cannot be one of NumPy's."""

    def __init__(self, shape=(8, 2, 1)):
        self.shape, self.ndim = shape, len(shape)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def simulator():
    return ns.Simulator(ns.rnn(1, 5, 1, seed=1), ns.ANP(1e-3), batch=2, engine="objects", seed=1)


class Masked:
    """As a variable of netCDF, which turns into an array with a mask."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return masked(self.array)


def masked(array):
    return np.ma.masked_array(array, mask=np.arange(array.size).reshape(array.shape) == 3)


def holed(array, value=np.nan):
    return np.where(np.arange(array.size).reshape(array.shape) == 3, value, array)


PAIRS = {
    "no pair": (INPUTS[0, 0, 0], r"what it returns is float32, must be two arrays"),
    "None": (None, r"what it returns is NoneType, must be two arrays"),
    "one array": (INPUTS, r"what it returns is ndarray, must be two arrays"),
    "two axes": ((INPUTS[:, :, 0], TARGETS), r"inputs has shape \(8, 2\), must be \(T, series, 1"),
    "features": ((np.zeros((8, 2, 3)), TARGETS), r"inputs has shape .* must be \(T, series, 1\)"),
    "steps": ((INPUTS, TARGETS[:-1]), r"targets has shape \(7, 2, 1\), must be \(8, 2, 1\)"),
    "series": ((INPUTS, TARGETS[:, :1]), r"targets has shape \(8, 1, 1\), must be \(8, 2, 1\)"),
    "nothing": ((INPUTS[:0], TARGETS[:0]), r"inputs has shape \(0, 2, 1\)"),
    "NaN": ((INPUTS, holed(TARGETS)), r"targets\[1, 1, 0\] = nan must be finite"),
    "inf": ((holed(INPUTS, -np.inf), TARGETS), r"inputs\[1, 1, 0\] = -inf must be finite"),
    "too large": (
        (holed(INPUTS.astype(float), 1e300), TARGETS),
        r"inputs\[1, 1, 0\] = inf must be finite \(as float32\)",
    ),
    "masked": ((masked(INPUTS), TARGETS), r"inputs must be numbers .* none masked"),
    "masked targets": ((INPUTS, list(masked(TARGETS))), r"targets must be .* none masked"),
    "masked by itself": ((Masked(INPUTS), TARGETS), r"inputs must be numbers .* none masked"),
    "text": (
        (INPUTS, TARGETS.astype(str)),
        r"targets must be numbers of shape \(8, 2, 1\), not <U",
    ),
    "a tensor": ((Refuses(), TARGETS), r"inputs must be numbers .*requires grad"),
}
SCORES = {
    "a number": (0.5, r"what it returns = 0\.5 must be numbers by name, 'mse' among them"),
    "no mse": ({"recall": 0.5}, r"what it returns = \{'recall': 0\.5\} must be .*'mse' among"),
    "NaN": ({"mse": np.nan}, r"mse = nan must be a finite number >= 0"),
    "inf": ({"mse": np.inf}, r"mse = inf must be a finite number >= 0"),
    "negative": ({"mse": -1}, r"mse = -1\.0 must be a finite number >= 0"),
    "text": ({"mse": "0.5"}, r"mse = '0\.5' must be a number"),
    "None": ({"mse": 0.5, "recall": None}, r"recall = None must be a number"),
    "complex": ({"mse": 0.5 + 0j}, r"mse = \(0\.5\+0j\) must be a number"),
    "an array": ({"mse": np.ones(2)}, r"mse = array\(\[1\., 1\.\]\) must be a number"),
    "a tensor": ({"mse": Refuses(())}, r"mse = <.*> must be a number"),
    "no name": ({"mse": 0.5, 3: 0.5}, r"a name = 3 must be text"),
    "half a sign": ({"mse": 0.5, "\ud800": 0.5}, r"a name = '\\ud800' must be text, without lone"),
}


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("given", "said"), PAIRS.values(), ids=PAIRS)
def test_data_that_are_none_are_refused_before_anything_is_learned(part, given, said):
    sim, task = simulator(), Own(**{part: given})
    with pytest.raises(ns.InputError, match=rf"Own\.{part}\(.*\): {said}"):
        ns.train(sim, task, 2, progress=False)
    assert sim.step == 0
    with pytest.raises(ns.InputError, match=rf"Own\.{part}\(.*\): {said}"):
        ns.baselines(task, simulator(), epochs=1)


@pytest.mark.parametrize(("scores", "said"), SCORES.values(), ids=SCORES)
def test_scores_that_are_none_are_refused_before_anything_is_learned(scores, said):
    sim = simulator()
    with pytest.raises(ns.InputError, match=rf"Own\.score\(\): {said}"):
        ns.train(sim, Own(scores=scores), 2, progress=False)
    assert sim.step == 0
    with pytest.raises(ns.InputError, match=rf"Own\.score\(\): {said}"):
        ns.baselines(Own(scores=scores), simulator(), epochs=1)


@pytest.mark.parametrize("size", [0, 1.0, "1", None])
def test_a_size_that_is_none_is_refused(size):
    task = Own()
    task.n_targets = size
    with pytest.raises(ns.InputError, match=rf"Own: n_targets = {size!r} must be a whole number"):
        ns.train(simulator(), task, 1, progress=False)


@pytest.mark.parametrize(
    "kind",
    [lambda a: a.tolist(), lambda a: list(a), np.float64, np.ma.asarray],
    ids=["lists", "list of arrays", "float64", "nothing masked"],
)
def test_numbers_of_any_kind_are_learned_from_alike(kind):
    pair = kind(INPUTS), kind(TARGETS)
    sims = simulator(), simulator()
    histories = [
        ns.train(sim, task, 2, progress=False)
        for sim, task in zip(sims, (Own(), Own(pair, pair)), strict=True)
    ]
    errors = [history.last["test_mse"] for history in histories]
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)  # the score has them as they came
    for name, w in sims[0].weights.items():
        np.testing.assert_array_equal(w, sims[1].weights[name])


def test_a_score_beside_the_error_may_have_no_value():
    scores = {"mse": np.float32(0.5), "recall": np.nan, "hits": np.array(3)}
    row = ns.train(simulator(), Own(scores=scores), 1, progress=False).last
    assert (row["test_mse"], row["test_hits"]) == (0.5, 3.0)
    assert np.isnan(row["test_recall"])


def test_of_a_network_that_is_lost_no_score_is_asked_for():
    class Lost(Own):
        def score(self, outputs, targets):
            fine = np.abs(outputs).max() < 1e7
            return {"mse": 0.1 if fine else np.nan}

    targets = TARGETS + np.float32(1e9)
    sim = simulator()
    sim.weights = {"B": np.full((1, 5), 1e9)}
    with pytest.raises(ns.DivergenceError):
        ns.train(sim, Lost((INPUTS, targets), (INPUTS, targets)), 3, progress=False)


def test_a_score_that_a_noisy_chip_adds_is_not_overwritten():
    chip = ns.Substrate(act_noise=0.1)
    sim = ns.Simulator(ns.rnn(1, 5, 1), ns.ANP(1e-3), None, chip, 2, "objects")
    scores = {"mse": 0.5, "mse_without_noise": 0.25}
    with pytest.raises(ns.InputError, match=r"names = \['mse_without_noise'\] must be none of"):
        ns.train(sim, Own(scores=scores), 1, progress=False)


# ---------------------------------------------------------------------- own baselines


def rows(**errors):
    return pd.DataFrame.from_dict(errors, orient="index", columns=["train_mse", "test_mse"])


HALF = pd.Index(["\ud800"], dtype=object)
TWICE = pd.concat([rows(guess=(1, 1)), rows(guess=(2, 2))])
RIDGE = "ridge readout of the untrained network"
TABLES = {
    "a list": (
        [1],
        r"columns = <class 'list'> must be those of a pandas\.DataFrame, test_mse",
    ),
    "a column": (rows(a=(1, 2))[["train_mse"]], r"columns = \['train_mse'\] must be those of"),
    "NaN": (rows(a=(1, 2), b=(1, np.nan)), r"test_mse of 'b' = nan must be a finite number >= 0"),
    "inf": (rows(a=(np.inf, 2)), r"train_mse of 'a' = inf must be a finite number"),
    "text": (rows(a=("x", 2)), r"train_mse of 'a' = 'x' must be a finite number"),
    "a row's": (rows(**{RIDGE: (1, 2)}), rf"baseline = '{RIDGE}' must be a name that no other"),
    "the network's": (
        rows(**{"network, after training": (1, 2)}),
        r"baseline = 'network, after training' must be a name that no other row has",
    ),
    "a column of words": (
        rows(a=(1, 2)).assign(words="b"),
        r"words of 'a' = 'b' must be a number, or missing",
    ),
    "a column of flags": (rows(a=(1, 2)).assign(ok=True), r"ok of 'a' = True must be a number"),
    "a note that is none": (rows(a=(1, 2)).assign(note=3), r"note of 'a' = 3 must be text"),
    "a column without a name": (
        rows(a=(1, 2)).assign(x=1).rename(columns={"x": 0}),
        "a column = 0",
    ),
    "a column twice": (
        pd.concat([rows(a=(1, 2)), rows(a=(1, 2))], axis=1),
        r"columns = \['train_mse', .*\] must be different from each other",
    ),
    "columns in two levels": (
        pd.concat({"b": rows(a=(1, 2))}, axis=1),
        r"columns = \[\('b', 'train_mse'\)",
    ),
    "half a sign": (
        rows(guess=(1, 2)).set_axis(HALF),
        r"baseline = '\\ud800' must be text, without lone",
    ),
    "twice": (TWICE, r"baseline = 'guess' must be a name that no other row has"),
}


@pytest.mark.parametrize(("own", "said"), TABLES.values(), ids=TABLES)
def test_own_baselines_that_cannot_be_compared_with_are_refused(own, said):
    with pytest.raises(ns.InputError, match=rf"Own\.baselines\(\): {said}"):
        ns.baselines(Own(own=own), simulator(), epochs=1)


def test_own_baselines_may_have_notes_and_scores_that_are_missing():
    own = rows(a=(1, 2), b=(3, 1e-60)).astype("Float64").assign(note=["x", None])
    own["test_hits"] = pd.array([None, 5], dtype="Int64")
    own.index = pd.CategoricalIndex(own.index)
    table = ns.baselines(Own(own=own), simulator(), epochs=1)
    assert table["test_mse"].tolist()[:2] == [2, 1e-60]
    assert table["test_hits"].tolist()[1] == 5
    assert table["test_hits"].isna().tolist()[0]
    assert table["note"].tolist()[0] == "x"
    assert table["note"].isna().tolist()[1]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("series", [1, 2, 4])
def test_baselines_do_with_few_steps_and_series(steps, series):
    inputs = RNG.normal(size=(steps, series, 1))
    pair = inputs, inputs / 2
    sim = ns.Simulator(ns.rnn(1, 5, 1, seed=1), engine="objects")
    table = ns.baselines(Own(pair, pair), sim, epochs=2)
    assert np.isfinite(table[["train_mse", "test_mse"]].to_numpy(float)).all()


def test_baselines_do_with_a_network_that_says_nothing():
    pair = np.zeros((8, 2, 1)), np.ones((8, 2, 1))
    table = ns.baselines(Own(pair, pair), simulator(), epochs=2)
    assert table.loc[RIDGE, "test_mse"] == pytest.approx(0, abs=1e-12)  # by its intercept
    assert table.loc["readout-only delta rule", "test_mse"] == 1


def test_a_checked_task_is_copied_as_the_task_is():
    from neurosim.task import checked, task_name

    task = checked(Own(), "test")
    for again in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert task_name(again) == "Own"
        np.testing.assert_array_equal(again.test()[0], INPUTS)
