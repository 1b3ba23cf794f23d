"""What is held out is never learned from, and the test is never looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import own_parts
import pandas as pd
import pytest
from sweeps import done_here, many

import neurosim as ns
from neurosim.experiments import Experiment, load
from neurosim.experiments.held_out import UNSEEN, HeldOut
from neurosim_tasks import Copying, MackeyGlass

PARTS = [0.001, 0.2, 0.25, 0.5, 0.75, 0.999]
DRAWN = MackeyGlass(horizon=3, steps=40, batch=2)
FRESH = Copying(length=3, delay=2, batch=4)


class Measured:
    """The same data whenever one asks, as a table of observations has."""

    n_inputs = n_targets = 1
    target_names = ("x",)
    train, test = staticmethod(lambda epoch=0: DRAWN.train()), staticmethod(DRAWN.test)
    score = staticmethod(DRAWN.score)


@dataclass(frozen=True)
class Seeded(Measured):
    """Has a seed, but its data do not depend on it."""

    seed: int = 0


FIXED = {"plain": Measured(), "seeded": Seeded()}
fixed = pytest.mark.parametrize("task", FIXED.values(), ids=FIXED)
drawn = pytest.mark.parametrize("task", [DRAWN, FRESH], ids=["by seed", "by epoch"])


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@fixed
@pytest.mark.parametrize("part", PARTS)
def test_of_data_that_are_there_once_the_middle_is_held_out(task, part):
    shown = HeldOut(task, part)
    for whole, learned, held in zip(task.train(), shown.train(), shown.test(), strict=True):
        before = (len(learned) + 1) // 2
        again = np.concatenate([learned[:before], held, learned[before:]])
        assert np.array_equal(again, whole), "every step is in one of the two, once"
    assert len(shown.test()[0]) == max(1, min(39, round(40 * part)))


@fixed
def test_every_epoch_is_without_it(task):
    shown = HeldOut(task, 0.2)
    assert all(same(shown.train(epoch), shown.train(0)) for epoch in (1, 7))
    assert same(shown.test(), shown.test())


@drawn
@pytest.mark.parametrize("part", PARTS)
def test_of_data_that_are_drawn_others_are(task, part):
    shown = HeldOut(task, part)
    for epoch in range(5):
        assert same(shown.train(epoch), task.train(epoch)), "nothing is held back"
        assert not same(shown.test(), task.train(epoch))
    assert not same(shown.test(), task.test())


def test_they_are_drawn_by_another_seed_or_of_an_epoch_that_nobody_gets_to():
    assert same(HeldOut(FRESH, 0.2).test(), FRESH.train(UNSEEN))
    assert same(HeldOut(DRAWN, 0.2).test(), replace(DRAWN, seed=UNSEEN).train())
    seeds = [HeldOut(replace(DRAWN, seed=seed), 0.2).test() for seed in (0, 1, 2**32 - 1)]
    assert not any(same(*pair) for pair in (seeds[:2], seeds[1:], seeds[::2]))


@pytest.mark.parametrize("task", [FIXED["plain"], DRAWN, FRESH], ids=["fixed", "seed", "epoch"])
def test_for_the_rest_it_is_the_task(task):
    shown = HeldOut(task, 0.2)
    assert (shown.n_inputs, shown.n_targets) == (task.n_inputs, task.n_targets)
    assert shown.target_names == task.target_names
    _, targets = shown.test()
    answer = np.zeros_like(targets)
    assert shown.score(answer, targets) == task.score(answer, targets)


def test_the_test_is_not_looked_at():
    task = own_parts.Untested(horizon=3, steps=40, batch=2)
    with pytest.raises(AssertionError, match="looked at"):
        task.test()
    shown = HeldOut(task, 0.2)
    assert same(shown.test(), HeldOut(DRAWN, 0.2).test())


# ----------------------------------------------------------------------- in a config


def test_a_config_shows_the_task_itself_unless_asked(tiny):
    config = tiny()
    assert same(config.shown.test(), config.task.test())
    assert not isinstance(config.shown, HeldOut)
    assert isinstance(tiny("training.held_out=0.2").shown, HeldOut)


@pytest.mark.parametrize("part", ["-0.1", "1.0", "1", "nan", "true", '"a"'])
def test_a_part_is_below_one(tiny, part):
    with pytest.raises(ns.InputError, match=r"\[training\] held_out = "):
        tiny(f"training.held_out={part}")


def test_it_is_part_of_the_config_that_is_written(tiny, tmp_path):
    config = tiny("training.held_out=0.25", "baselines.enabled=false")
    assert config.digest != tiny("baselines.enabled=false").digest
    Experiment(config, tmp_path / "run", draw=False).run(progress=False)
    again = load(tmp_path / "run" / "config.toml")
    assert again.training.held_out == 0.25
    assert again.resolved() == config.resolved()


def test_a_run_is_judged_by_what_is_held_out_and_learns_from_the_rest(tiny, tmp_path):
    config = tiny("training.held_out=0.25", "baselines.enabled=false")
    result = Experiment(config, tmp_path / "run", draw=False).run(progress=False)
    inputs, targets = HeldOut(config.task, 0.25).test()
    for row, sim in ((0, config.simulator()), (-1, result.history.simulator)):
        error = config.task.score(sim.evaluate(inputs, targets).outputs, targets)["mse"]
        assert result.history.rows[row]["test_mse"] == error
    by_hand = config.simulator()
    for _ in range(3):
        by_hand.run(*HeldOut(config.task, 0.25).train(), learn=True)
    trained = result.history.simulator.weights
    assert all(np.array_equal(w, trained[name]) for name, w in by_hand.weights.items())


def test_a_whole_run_never_looks_at_the_test(installed, tmp_path):
    for part, expected in ((0.2, ("finished", "")), (0.0, None)):
        found = many("task.name=untested", f"training.held_out={part}")
        (outcome,) = done_here(found, tmp_path / str(part))
        if expected:
            assert outcome == expected
        else:
            assert outcome == ("failed", "AssertionError: the test was looked at")


def test_with_baselines_it_runs_as_well(tiny, tmp_path):
    config = tiny("training.held_out=0.5", "baselines.readout_epochs=1", "training.epochs=1")
    result = Experiment(config, tmp_path / "run").run(progress=False)
    assert "ridge readout of the untrained network" in result.table.index
    assert isinstance(result.table, pd.DataFrame)
