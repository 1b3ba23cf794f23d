"""Presets are what they say, and learn."""

from __future__ import annotations

import re

import numpy as np
import pytest

import neurosim as ns
from neurosim import presets
from neurosim_tasks import Copying, MackeyGlass

EVERY = [value for value in vars(presets).values() if isinstance(value, presets.Preset)]


def test_there_is_one_that_is_best_all_round():
    assert ns.presets.best_local in EVERY


@pytest.mark.parametrize("preset", EVERY)
@pytest.mark.parametrize("task", [MackeyGlass(steps=300), Copying(sequences=2)])
def test_a_preset_learns_any_task_without_being_told_more(preset, task):
    sim = preset.simulator(task, hidden=30, seed=3)
    before = sim.weights
    history = ns.train(sim, task, 5, progress=False)
    assert history.last["test_mse"] < 0.8 * history.rows[0]["test_mse"]
    assert all(not np.array_equal(w, before[name]) for name, w in sim.weights.items())


def test_sizes_seed_and_more_are_ones_own():
    task = MackeyGlass(steps=20, batch=3)
    sim = ns.presets.best_local.simulator(task, hidden=7, batch=3, seed=5, engine="objects")
    assert (sim.batch, sim.seed, sim.engine) == (3, 5, "objects")
    assert sim.weights["R"].shape == (7, 7)
    assert sim.network.seed == 5


def test_a_preset_is_only_for_what_has_sizes():
    with pytest.raises(ns.InputError, match=re.escape("Preset: task = 3 must have n_inputs")):
        ns.presets.best_local.simulator(3)
