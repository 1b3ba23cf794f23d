"""Figures and words about a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neurosim as ns
from neurosim.experiments import figures, summary
from neurosim.experiments.run import AFTER, BEFORE, Result

HISTORY = ns.History(
    [
        {"epoch": k, "train_mse": 1 / (k + 1), "test_mse": 2 / (k + 1), "seconds": 1.0, "steps": 9}
        for k in range(5)
    ]
)


def result(**errors):
    errors = {BEFORE: 9.0, AFTER: 2.0} | errors
    table = pd.DataFrame({"test_mse": errors})
    return Result(table, HISTORY, 0.1, 1000, Path("somewhere"))


def test_names_of_close_lines_do_not_overlap():
    heights = np.array([0.1, 0.5, 0.5, 0.501, 0.502, 0.9])
    places = figures._apart(heights, room=0.05)
    assert (np.diff(places) >= 0.05 - 1e-6).all()
    np.testing.assert_allclose(places[[0, 5]], [0.1, 0.9])
    assert abs(places[1:5].mean() - heights[1:5].mean()) < 0.01


def test_every_baseline_is_drawn_and_named():
    drawn = figures.learning_curve(HISTORY, pd.Series({"mean": 1.0, "ridge": 0.5}))
    ax = drawn.axes[0]
    assert ax.get_yscale() == "log"
    assert {text.get_text() for text in ax.texts} == {"mean", "ridge"}
    assert {line.get_ydata()[0] for line in ax.lines[2:]} == {1.0, 0.5}


def test_a_baseline_far_away_is_named_but_does_not_flatten_the_curves():
    ax = figures.learning_curve(HISTORY, pd.Series({"exact": 1e-14, "ridge": 0.1})).axes[0]
    low, high = ax.get_ylim()
    assert 0.01 < low < 0.1
    assert 2 < high < 10
    assert {text.get_text() for text in ax.texts} == {"exact (1e-14, outside)", "ridge"}


def test_without_baselines_there_is_still_a_curve(tmp_path):
    drawn = figures.learning_curve(HISTORY, pd.Series(dtype=float))
    figures.save(drawn, tmp_path / "a" / "curve.png")
    assert (tmp_path / "a" / "curve.png").read_bytes().startswith(b"\x89PNG")


class Line:
    n_targets = 1
    target_names = ("x(t + 3)",)

    def __init__(self, outputs=1):
        self.targets = np.random.default_rng(0).random((20, 3, outputs))

    def test(self):
        return self.targets, self.targets


class Fahrenheit(Line):
    horizon = 48

    def to_fahrenheit(self, values):
        return np.asarray(values) * 100


def test_one_output_is_drawn_as_lines_in_its_unit():
    task = Line()
    ax = figures.predictions(task, task.targets + 1, task.targets).axes[0]
    assert ax.get_ylabel() == "x(t + 3)"
    task = Fahrenheit()
    ax = figures.predictions(task, task.targets + 1, task.targets).axes[0]
    assert "48 hours later [°F]" in ax.get_ylabel()
    target = next(line for line in ax.lines if line.get_label() == "target")
    np.testing.assert_array_equal(target.get_ydata(), task.targets[:, 0, 0] * 100)


def test_names_mean_nothing_to_a_figure(tmp_path):
    names = ["$a$", "_b", r"\frac{", "$x", "a|b", "[p]", "^2_3$"]
    drawn = figures.learning_curve(HISTORY, pd.Series(np.geomspace(0.3, 1, 7), names))
    figures.save(drawn, tmp_path / "curve.png")
    task = Line()
    task.target_names = ("$x_{",)
    figures.save(figures.predictions(task, task.targets, task.targets), tmp_path / "lines.png")


def test_names_in_any_letters_and_of_any_length_are_drawn(tmp_path, recwarn):
    names = ["図 דוגמה 🐟", "x" * 300, "a\0\x1b[31m\nb"]
    errors = pd.Series(np.geomspace(0.3, 1, len(names)), names)
    for narrow in (False, True):
        with figures.defaults():
            figures.save(figures.learning_curve(HISTORY, errors, narrow), tmp_path / "curve.png")
    assert not recwarn
    assert figures.as_it_is(names[0]) == names[0]
    assert figures.as_it_is(names[1]) == "x" * 79 + "…"
    assert figures.as_it_is("\ud800") == r"\ud800"
    assert figures.as_it_is(names[2]) == r"a\x00\x1b[31m b"


def test_a_task_need_not_name_its_targets():
    class Unnamed:
        test = Line().test

    targets = Unnamed.test()[1]
    drawn = figures.predictions(Unnamed(), targets, targets)
    assert drawn.axes[0].get_ylabel() == "output"


@pytest.mark.filterwarnings("error")
def test_a_single_step_is_drawn(tmp_path):
    task = Line()
    task.targets = task.targets[:1]
    figures.save(figures.predictions(task, task.targets, task.targets), tmp_path / "lines.png")


@pytest.mark.parametrize("narrow", [False, True])
def test_a_baseline_without_an_error_is_not_drawn(narrow, tmp_path):
    errors = pd.Series({"blown": np.nan, "mean": 1.0, "up": np.inf})
    drawn = figures.learning_curve(HISTORY, errors, narrow)
    figures.save(drawn, tmp_path / "curve.png")
    assert len(drawn.axes[0].lines) == 2 + 1
    assert len(drawn.axes[0].texts) == 1


def test_several_outputs_are_drawn_as_images():
    task = Line(outputs=4)
    drawn = figures.predictions(task, task.targets, task.targets)
    images = [ax.images[0] for ax in drawn.axes if ax.images and ax.get_ylabel() == "channel"]
    assert [image.get_array().shape for image in images] == [(4, 60)] * 3


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ({"mean": 3.0}, "beat every baseline: mean"),
        ({"mean": 1.0}, "beat no baseline. Better than it: mean"),
        ({"mean": 3.0, "ridge": 2.0}, "beat: mean. It did not beat: ridge"),
        ({}, "No baselines"),
    ],
)
def test_the_verdict_is_plain(errors, says):
    assert says in summary.verdict(result(**errors))


def test_a_network_that_is_not_a_number_beats_nothing():
    broken = result(**{AFTER: float("nan"), "mean": 3.0})
    assert broken.beaten == []
