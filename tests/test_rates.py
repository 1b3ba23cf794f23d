"""Learning rates that change: their values, and that every engine uses those of the right step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import rates
from neurosim.experiments import load

STEPS, BATCH = 6, 2
ENGINES = ("objects", "cpu", "emulator")
SCHEDULES = {
    "constant": rates.Constant(0.1, unit="steps", warm_up=8),
    "cosine": rates.Cosine(0.1, over=10, end=0.01, unit="steps"),
    "to nothing": rates.Cosine(0.1, over=9, unit="steps", warm_up=3),
    "steps": rates.Steps([0.1, 0.0, 0.03], at=[4, 9], unit="steps"),
    "by epoch": rates.Cosine(0.1, over=3),
    "steps by epoch": rates.Steps([0.1, 0.02], at=[1], warm_up=2),
}


def by_hand(schedule, epoch, step):
    """The rate, from the equations."""
    t = step if schedule.unit == "steps" else epoch
    if isinstance(schedule, rates.Cosine):
        fall = (1 + math.cos(math.pi * min(t, schedule.over) / schedule.over)) / 2
        value = schedule.end + (schedule.start - schedule.end) * fall
    elif isinstance(schedule, rates.Steps):
        value = schedule.rates[sum(t >= begin for begin in schedule.at)]
    else:
        value = schedule.start
    return value * min(1, (t + 1) / schedule.warm_up) if schedule.warm_up else value


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_what_their_equations_say(name):
    schedule = SCHEDULES[name]
    for epoch, step in [(0, 0), (1, 3), (2, 4), (2, 9), (3, 10), (50, 1000)]:
        assert schedule.rate(epoch, step) == pytest.approx(
            by_hand(schedule, epoch, step), abs=1e-17
        )


def test_warm_up_ends_at_the_rate_itself():
    warm = rates.Constant(0.4, unit="steps", warm_up=4)
    assert [warm.rate(9, step) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, *[0.4] * 3])


@dataclass(frozen=True)
class Transmitted:
    """Changes a weight by what it transmits, whatever the weight is."""

    learning_rate: Any
    noise_std: float = 0.1
    passes: int = 2
    optimiser: str = "sgd"

    @staticmethod
    def reward(delta_loss):
        return delta_loss

    @staticmethod
    def synapse(pre):
        return pre


@dataclass(frozen=True)
class Constant:
    """Changes every weight of D by 1."""

    learning_rate: Any

    @staticmethod
    def synapse(different):
        return 1.0 + 0.0 * different


def learned(rule, decorrelation=None, engine="cpu", chip=None, epochs=3):
    """Weights of A and D after every step of some epochs; the inputs."""
    net = ns.rnn(2, 3, 1, seed=3, decorrelate=decorrelation is not None)
    sim = ns.Simulator(net, rule, decorrelation, chip, batch=BATCH, engine=engine)
    generator, names = np.random.default_rng(0), ["A"] + ["D"] * (decorrelation is not None)
    found = {name: [sim.weights[name]] for name in names}
    shown = []
    for epoch in range(epochs):
        sim.epoch = epoch
        inputs = generator.normal(size=(STEPS, BATCH, 2))
        probes = [ns.Probe(name, "w") for name in names]
        record = sim.run(inputs, np.ones((STEPS, BATCH, 1)), probes=probes)
        shown.append(inputs)
        for name in names:
            found[name] += list(record.probes[f"{name}.w"])
    return {name: np.array(w, dtype=float) for name, w in found.items()}, np.concatenate(shown)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_change_has_the_rate_of_its_step(name, engine):
    """Of a projection and of D, at every step of several epochs."""
    schedule = SCHEDULES[name]
    w, inputs = learned(Transmitted({"A": schedule}), Constant(schedule), engine)
    for t in range(len(inputs)):
        rate = by_hand(schedule, t // STEPS, t)
        change = np.broadcast_to(inputs[t].mean(axis=0), w["A"][t].shape)
        np.testing.assert_allclose(w["A"][t + 1] - w["A"][t], -rate * change, atol=3e-7)
        np.testing.assert_allclose(w["D"][t + 1] - w["D"][t], -rate, atol=3e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_changes_that_arrive_late_have_the_rate_of_the_step_in_which_they_are_made(engine):
    schedule = rates.Steps([0.1, 0.01], at=[4], unit="steps")
    rule = Transmitted({"A": schedule})
    w, inputs = learned(rule, None, engine, ns.Substrate(reward_delay=2), epochs=1)
    for t in range(2, STEPS):
        change = np.broadcast_to(inputs[t - 2].mean(axis=0), w["A"][t].shape)
        rate = by_hand(schedule, 0, t)
        np.testing.assert_allclose(w["A"][t + 1] - w["A"][t], -rate * change, atol=3e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_gathered_changes_have_the_rate_of_the_step_that_makes_them(engine):
    """At the end of a run; Adam's step is its rate in size, at first."""
    schedule = rates.Cosine(0.1, over=20, unit="steps")
    for optimiser in ("sgd", "adam"):
        net = ns.rnn(2, 3, 1, seed=3)
        rule = ns.ANP({"A": schedule}, schedule="sequence", optimiser=optimiser, epsilon=1e-30)
        fixed = ns.ANP({"A": 1.0}, schedule="sequence", optimiser=optimiser, epsilon=1e-30)
        sims = [ns.Simulator(net, r, batch=BATCH, engine=engine, seed=4) for r in (rule, fixed)]
        data = np.random.default_rng(0).normal(size=(STEPS, BATCH, 3))
        changes = []
        for sim in sims:
            start = sim.weights["A"].astype(float)
            sim.run(data[..., :2], data[..., 2:])
            changes.append(sim.weights["A"] - start)
        rate = by_hand(schedule, 0, STEPS - 1)
        np.testing.assert_allclose(changes[0], rate * changes[1], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("given", [0.1, {"A": 0.1, "R": 0.1, "B": 0.1}])
def test_a_constant_schedule_is_the_number_to_the_bit(given):
    data = np.random.default_rng(0).normal(size=(STEPS, BATCH, 3))
    found = []
    for rate in (given, rates.Constant(0.1)):
        sim = ns.Simulator(ns.rnn(2, 3, 1, seed=3), ns.ANP(rate), batch=BATCH)
        sim.run(data[..., :2], data[..., 2:])
        found.append(sim.weights)
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


@pytest.mark.parametrize("kind", [np.array, iter])
def test_rates_of_any_sequence_are_those_of_a_list(kind):
    given, expected = rates.Steps(kind([0.1, 0.2]), at=kind([3])), rates.Steps([0.1, 0.2], at=[3])
    assert given == expected
    assert hash(given) == hash(expected)
    assert ns.Simulator(ns.rnn(2, 3, 1), ns.ANP(given), engine="objects").rule == ns.ANP(expected)


def test_projections_that_share_a_schedule_have_its_rates_computed_once(monkeypatch):
    asked = []
    at = rates.Cosine._at
    monkeypatch.setattr(rates.Cosine, "_at", lambda self, t: asked.append(t) or at(self, t))
    rule = ns.ANP(rates.Cosine(0.1, over=9, unit="steps"))
    sim = ns.Simulator(ns.rnn(2, 3, 1), rule, engine="objects")
    sim.run(np.ones((STEPS, 1, 2)), np.ones((STEPS, 1, 1)))
    assert asked == list(range(STEPS))


# ------------------------------------------------------------------ backpropagation


@pytest.mark.parametrize("unit", rates.UNITS)
def test_backpropagation_has_the_rate_of_its_step(unit):
    """With Adam's first steps of a rate's size, by chunks."""
    schedule = rates.Cosine(0.1, over=12 if unit == "steps" else 3, unit=unit)
    rule = ns.BPTT({"B": schedule}, chunk=3, optimiser="sgd")
    fixed = ns.BPTT({"B": 1.0}, chunk=3, optimiser="sgd")
    data = np.random.default_rng(0).normal(size=(3, BATCH, 3))
    for epoch, step in ((0, 0), (1, 6), (2, 9)):
        changes = []
        for r in (rule, fixed):
            sim = ns.Simulator(ns.rnn(2, 3, 1, seed=3), r, batch=BATCH)
            for _ in range(step // 3):
                sim.run(data[..., :2], data[..., 2:], learn=False)
            sim.epoch, start = epoch, sim.weights["B"].astype(float)
            sim.run(data[..., :2], data[..., 2:])
            changes.append(sim.weights["B"] - start)
        rate = by_hand(schedule, epoch, step + 2)
        np.testing.assert_allclose(changes[0], rate * changes[1], rtol=1e-5, atol=1e-7)


def test_the_referee_decorrelates_at_the_rate_of_its_step():
    schedule = rates.Steps([0.1, 0.03], at=[3], unit="steps")
    data, found = np.random.default_rng(0).normal(size=(3, BATCH, 3)), []
    for rate in (schedule, 0.1, 0.03):
        net = ns.rnn(2, 3, 1, seed=3, decorrelate=True)
        rule = ns.BPTT({"B": 1e-12}, chunk=3)
        sim = ns.Simulator(net, rule, ns.Decorrelation(rate), batch=BATCH)
        w = [sim.weights["D"]]
        for _ in range(2):
            sim.run(data[..., :2], data[..., 2:])
            w.append(sim.weights["D"])
        found.append(w)
    falling, high, low = found
    np.testing.assert_array_equal(falling[1], high[1])
    assert np.abs(falling[2] - falling[1]).max() < 0.5 * np.abs(high[2] - high[1]).max()
    assert np.abs(low[1] - low[0]).max() > 0


# ---------------------------------------------------------------------- going on


class Task:
    """Two series of noise, of another kind in every epoch."""

    n_inputs, n_targets = 2, 1

    def train(self, epoch=0):
        data = np.random.default_rng(epoch).normal(size=(STEPS, 2 * BATCH, 3))
        return data[..., :2], data[..., 2:]

    def test(self):
        return self.train(1000)

    def score(self, outputs, targets):
        return {"mse": float(np.mean((outputs - targets) ** 2))}


FALLING = {
    "by step": (ns.ANP(rates.Cosine(0.1, over=100, unit="steps", warm_up=10)), None),
    "by epoch": (ns.NP({"A": rates.Steps([0.01, 1e-3], at=[3]), "B": 0.01}, noise_std=0.1), None),
    "adam": (ns.ANP(rates.Cosine(0.1, over=6), schedule="sequence", optimiser="adam"), None),
    "D": (ns.ANP(1e-3), ns.Decorrelation(rates.Cosine(0.1, over=100, unit="steps"))),
    "referee": (ns.BPTT(rates.Cosine(0.1, over=6), chunk=4), None),
}


@pytest.mark.parametrize("name", FALLING)
def test_training_goes_on_in_the_middle_of_a_falling_rate(name, tmp_path):
    rule, decorrelation = FALLING[name]

    def simulator():
        net = ns.rnn(2, 4, 1, seed=3, decorrelate=decorrelation is not None)
        return ns.Simulator(net, rule, decorrelation, batch=BATCH, seed=1)

    whole = ns.train(simulator(), Task(), epochs=6, progress=False).simulator
    path = tmp_path / "c.npz"
    ns.train(simulator(), Task(), epochs=3, checkpoint=path, progress=False)
    sim = ns.Simulator.load(path)
    assert sim.epoch == 3
    assert sim.rule == rule
    ns.train(sim, Task(), epochs=6, history=ns.History.load(path), progress=False)
    other = ns.train(simulator(), Task(), epochs=3, progress=False).simulator
    again = ns.train(
        other, Task(), epochs=3, progress=False
    ).simulator  # by no history: from the start
    for key, w in whole.weights.items():
        np.testing.assert_array_equal(sim.weights[key], w)
    assert sim.epoch == whole.epoch == 6
    assert any((again.weights[key] != w).any() for key, w in whole.weights.items())


def test_a_file_without_epochs_is_read(tmp_path):
    from neurosim import checkpoint

    path = tmp_path / "c.npz"
    ns.Simulator(ns.rnn(2, 4, 1), ns.ANP(1e-3)).save(path)
    arrays, description = checkpoint.read(path)
    del description["epoch"]
    checkpoint.write(path, arrays, description)
    assert ns.Simulator.load(path).epoch == 0


# ------------------------------------------------------------------------ configs

CONFIG = """
[task]
name = "mackey_glass"
steps = 40
[network]
hidden = 5
[rule]
name = "ANP"
{rate}
[decorrelation]
learning_rate = {{ name = "Steps", rates = [1e-3, 1e-4], at = [2] }}
[training]
epochs = 4
batch = 2
"""
GIVEN = {
    "one": ('learning_rate = { name = "Cosine", start = 0.01, over = 4 }', rates.Cosine(0.01, 4)),
    "each": (
        'learning_rate = { B = 0.1, R = { name = "Constant", start = 0.01, warm_up = 2 } }',
        {"B": 0.1, "R": rates.Constant(0.01, warm_up=2)},
    ),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_config_says_schedules_and_is_read_back(name, tmp_path):
    text, expected = GIVEN[name]
    path = tmp_path / "c.toml"
    path.write_text(CONFIG.format(rate=text))
    config = load(path)
    assert config.rule.learning_rate == expected
    assert config.decorrelation.learning_rate == rates.Steps([1e-3, 1e-4], at=[2])
    again = tmp_path / "again.toml"
    again.write_text(config.toml())
    assert load(again).identity == config.identity
    other = load(path, ["decorrelation.learning_rate.at=[3]"])
    assert other.decorrelation.learning_rate.at == (3,)
    assert other.digest != config.digest


def test_a_config_with_a_wrong_schedule_is_told_where(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(CONFIG.format(rate='learning_rate = { B = { name = "Cosine", strat = 1.0 } }'))
    words = r"\[rule\] learning_rate\['B'\]: Cosine has no 'strat'"
    with pytest.raises(ns.InputError, match=words):
        load(path)


# ------------------------------------------------------------------------- errors

WRONG = [
    (lambda: rates.Cosine(0.0, 5), r"Cosine: start = 0\.0 must be a finite number > 0"),
    (lambda: rates.Cosine(0.1, 0), r"Cosine: over = 0 must be a whole number in \[1"),
    (lambda: rates.Cosine(0.1, 5, -1.0), r"Cosine: end = -1\.0 must be a finite number >= 0"),
    (lambda: rates.Cosine(0.1, 5, unit="days"), r"Cosine: unit = 'days' must be one of epochs"),
    (lambda: rates.Constant(0.1, warm_up=-1), r"Constant: warm_up = -1 must be .* epochs in \[0"),
    (lambda: rates.Steps([0.1, 0.2], []), r"Steps: at = \[\] must be of length 1: where"),
    (
        lambda: rates.Steps([0.1, 0.2, 0.1], [5, 5]),
        r"Steps: at\[1\] = 5 must be a whole number in \[6",
    ),
    (lambda: rates.Steps([0.0], []), r"Steps: rates = \[0\.0\] must be not all 0"),
    (lambda: rates.Steps([0.1, "x"], [1]), r"Steps: rates\[1\] = 'x' must be"),
    (
        lambda: ns.ANP({"name": "Cosin", "start": 1.0}),
        r"ANP: learning_rate: schedule 'Cosin' .*did you",
    ),
    (lambda: ns.ANP({"name": "Cosine"}), r"ANP: learning_rate: Cosine: missing start and over$"),
    (
        lambda: ns.ANP({"A": {"name": "Cosine", "strat": 0.1, "over": 3}}),
        r"ANP: learning_rate\['A'\]: Cosine has no 'strat'; did you mean 'start'",
    ),
    (lambda: ns.ANP({"A": {"start": 1.0}}), r"ANP: learning_rate\['A'\]: schedule None does not"),
    (
        lambda: ns.ANP(rates.Cosine),
        r"ANP: learning_rate = .* must be a finite number > 0, or a sch",
    ),
    (
        lambda: ns.Decorrelation({"D": 0.1}),
        r"Decorrelation: learning_rate = .* must be a fin",
    ),
    (lambda: ns.BPTT({"A": 0.0}), r"BPTT: learning_rate\['A'\] = 0\.0 must be"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_is_no_rate_is_refused(make, message):
    with pytest.raises(ns.InputError, match=message):
        make()


def test_a_simulators_epoch_is_a_count():
    sim = ns.Simulator(ns.rnn(2, 3, 1))
    with pytest.raises(ns.InputError, match=r"Simulator: epoch = 1\.5 must be a whole number"):
        sim.epoch = 1.5
