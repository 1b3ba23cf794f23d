"""Training is the loop one would write by hand, with a history and a way to go on."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

import neurosim as ns
from neurosim import checkpoint

STEPS, SERIES, BATCH = 6, 4, 2


class Sines:
    """Fresh series in every epoch: say the input times two."""

    n_inputs = n_targets = 1

    def __init__(self, series: int = SERIES) -> None:
        self.series = series
        self.asked: list[int] = []

    def _draw(self, seed):
        inputs = np.random.default_rng(seed).normal(size=(STEPS, self.series, 1))
        return inputs.astype(np.float32), (2 * inputs).astype(np.float32)

    def train(self, epoch=0):
        self.asked.append(epoch)
        return self._draw(epoch)

    def test(self):
        return self._draw(99)

    def score(self, outputs, targets):
        mse = float(np.mean((np.asarray(outputs, dtype=float) - targets) ** 2))
        return {"mse": mse, "sign": float(np.mean(np.sign(outputs) == np.sign(targets)))}


def simulator(**changes):
    options = {"rule": ns.ANP(learning_rate=1e-2), "decorrelation": ns.Decorrelation(1e-3)}
    options |= {"batch": BATCH, "engine": "cpu", "seed": 3} | changes
    return ns.Simulator(ns.rnn(1, 5, 1, decorrelate=True, seed=1), **options)


def same_weights(a, b):
    return same_weights_as(a, b.weights)


def same_weights_as(sim, weights):
    return all(np.array_equal(w, weights[name]) for name, w in sim.weights.items())


def without_seconds(history):
    return history.frame.drop(columns="seconds")


def test_equals_a_loop_written_by_hand():
    sim, task = simulator(), Sines()
    history = ns.train(sim, task, 2, progress=False)

    by_hand, rows = simulator(), []
    for epoch in range(2):
        inputs, targets = task.train(epoch)
        records = [
            by_hand.run(inputs[:, k : k + BATCH], targets[:, k : k + BATCH], learn=True)
            for k in range(0, SERIES, BATCH)
        ]
        test = task.score(by_hand.evaluate(*task.test()).outputs, task.test()[1])
        rows.append((np.mean([r.mse for r in records]), test["mse"], test["sign"]))

    assert same_weights(sim, by_hand)
    assert sim.step == by_hand.step == 2 * 2 * STEPS
    columns = ["train_mse", "test_mse", "test_sign"]
    np.testing.assert_array_equal(history.frame[columns].to_numpy()[1:], rows)
    assert history.last["steps"] == 2 * STEPS
    assert history.last["events"] == sum(r.events.sum() for r in records) / (2 * STEPS)
    writes = sum(r.weight_writes.sum() for r in records) / (2 * STEPS)
    assert history.last["weight_writes"] == writes > 0


def test_epoch_0_is_before_training():
    sim, task = simulator(), Sines()
    history = ns.train(sim, task, 0)
    assert same_weights(sim, simulator())
    assert sim.step == 0
    assert history.epoch == 0
    assert len(history) == 1
    assert history.last["train_mse"] == simulator().evaluate(*task.train(0)).mse


def test_the_task_is_asked_for_every_epoch_once_counted_from_0():
    task = Sines()
    ns.train(simulator(), task, 3, progress=False)
    assert task.asked == [0, 0, 1, 2]  # the first time before training


def test_learning_lowers_the_error():
    history = ns.train(simulator(), Sines(), 20, progress=False)
    assert history.last["test_mse"] < 0.5 * history.rows[0]["test_mse"]


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_going_on_equals_never_having_stopped(tmp_path, stop):
    path = tmp_path / "run.npz"
    straight = simulator()
    whole = ns.train(straight, Sines(), 3, progress=False)

    ns.train(simulator(), Sines(), stop, checkpoint=path, progress=False)
    sim, history = ns.Simulator.load(path), ns.History.load(path)
    resumed = ns.train(sim, Sines(), 3, history=history, checkpoint=path, progress=False)

    assert same_weights(sim, straight)
    pd.testing.assert_frame_equal(without_seconds(resumed), without_seconds(whole), rtol=0, atol=0)
    assert len(history) == stop + 1, "the given history is left alone"
    assert ns.History.load(path).epoch == 3


def test_ctrl_c_ends_with_what_is_done(tmp_path):
    def stop(history):
        if history.epoch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.npz"
    history = ns.train(simulator(), Sines(), 9, on_epoch=stop, checkpoint=path, progress=False)
    assert history.interrupted
    assert history.epoch == 2
    assert ns.History.load(path).epoch == 1, "on_epoch comes before the checkpoint"


def test_divergence_leaves_the_last_good_checkpoint(tmp_path):
    class Explodes(Sines):
        def train(self, epoch=0):
            inputs, targets = super().train(epoch)
            return (inputs, targets) if epoch < 2 else (inputs, targets + np.float32(1e30))

    path = tmp_path / "run.npz"
    with pytest.raises(ns.DivergenceError, match=r"loss overflowed .* \|target\| = 1e\+30"):
        ns.train(simulator(), Explodes(), 9, checkpoint=path, progress=False)
    assert ns.History.load(path).epoch == 2
    good = simulator()
    ns.train(good, Explodes(), 2, progress=False)
    assert same_weights(ns.Simulator.load(path), good)


class Jumps(Sines):
    """Targets that are suddenly so many times as large, in one part or the other."""

    def __init__(self, times, part="train"):
        super().__init__()
        self.times, self.part = np.float32(times), part

    def train(self, epoch=0):
        inputs, targets = super().train(epoch)
        return inputs, targets * (self.times if self.part == "train" and epoch > 1 else 1)

    def test(self):
        inputs, targets = super().test()
        late = len(self.asked) > 3  # before training, and epochs 0, 1 and 2
        return inputs, targets * (self.times if self.part == "test" and late else 1)


def dull():
    """One that learns next to nothing, whatever the targets."""
    return simulator(rule=ns.ANP(1e-30), decorrelation=ns.Decorrelation(1e-30))


@pytest.mark.parametrize("part", ["train", "test"])
def test_errors_that_have_become_absurd_are_divergence_though_finite(tmp_path, part):
    path, seen = tmp_path / "run.npz", []
    with pytest.raises(ns.DivergenceError, match=f"{part}_mse grew .* targets") as lost:
        ns.train(dull(), Jumps(1e6, part), 9, checkpoint=path, on_epoch=seen.append, progress=False)
    assert (lost.value.projection, lost.value.population) == (None, None), "nothing overflowed"
    assert [row["epoch"] for row in seen[-1].rows] == [0, 1, 2], "only whole, good epochs"
    assert ns.History.load(path).epoch == 2
    whole = ns.train(dull(), Sines(), 2, progress=False)
    kept = ns.History.load(path)
    pd.testing.assert_frame_equal(without_seconds(kept), without_seconds(whole))


@pytest.mark.parametrize("part", ["train", "test"])
def test_errors_that_are_only_large_are_not(part):
    history = ns.train(dull(), Jumps(300, part), 4, progress=False)
    assert history.epoch == 4
    assert history.last[f"{part}_mse"] > 1e4 * history.rows[0][f"{part}_mse"]


def test_an_error_below_one_is_never_absurd():
    class Silent(Jumps):
        def _draw(self, seed):
            return tuple(1e-6 * array for array in super()._draw(seed))

    history = ns.train(dull(), Silent(1e6), 4, progress=False)
    assert history.last["train_mse"] > 1e9 * history.rows[0]["train_mse"]


def test_errors_are_compared_with_those_before_all_training(tmp_path):
    first = ns.train(dull(), Sines(), 2, checkpoint=tmp_path / "run.npz", progress=False)
    sim, history = ns.Simulator.load(tmp_path / "run.npz"), ns.History(list(first.rows))
    history.rows[0] = history.rows[0] | {"train_mse": 1e9}  # it began so badly
    assert ns.train(sim, Jumps(1e6), 4, history=history, progress=False).epoch == 4


def test_a_measure_adds_to_every_row():
    def measure(sim, inputs, targets):
        return {
            "steps_so_far": sim.step,
            "first": inputs[0, 0, 0],
            "mse": sim.evaluate(inputs, targets).mse,
        }

    sim, task = simulator(), Sines()
    history = ns.train(sim, task, 3, measure=measure, progress=False)
    frame = history.frame
    assert frame["steps_so_far"].tolist() == [0, 12, 24, 36]
    shown = [task.train(epoch) for epoch in (0, 0, 1, 2)]
    assert frame["first"].tolist() == [inputs[0, 0, 0] for inputs, _ in shown]
    assert frame["mse"][0] == frame["train_mse"][0]
    assert frame["mse"][3] == sim.evaluate(*shown[-1]).mse
    plain = ns.train(simulator(), Sines(), 3, progress=False)
    assert list(frame) == [*plain.frame, "steps_so_far", "first", "mse"]
    pd.testing.assert_frame_equal(
        without_seconds(history)[list(without_seconds(plain))], without_seconds(plain)
    )


def test_best_is_the_lowest_test_error_and_never_not_a_number():
    rows = [{"epoch": k, "test_mse": v} for k, v in enumerate([3.0, float("nan"), 1.0, 2.0])]
    history = ns.History(rows)
    assert history.best["epoch"] == 2
    assert history.last["epoch"] == 3


def test_an_empty_history_says_so():
    with pytest.raises(ns.InputError, match="History: rows"):
        _ = ns.History().last


def test_plot_is_logarithmic():
    from matplotlib.figure import Figure

    ax = ns.train(simulator(), Sines(), 1, progress=False).plot(Figure().add_subplot())
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "epoch"
    assert len(ax.lines) == 2


# --------------------------------------------------------- by a rule that is given


LEARNERS = {"bptt": ns.BPTT(1e-2, chunk=3), "np": ns.NP(1e-2)}


@pytest.mark.parametrize("rule", LEARNERS.values(), ids=LEARNERS)
def test_a_network_learns_by_a_rule(rule):
    net, task = ns.rnn(1, 5, 1, decorrelate=True, seed=7), Sines()
    task.batch = BATCH
    history = ns.train(
        net, task, 2, rule=rule, decorrelation=ns.Decorrelation(1e-3), progress=False
    )
    by_hand = ns.Simulator(net, rule, ns.Decorrelation(1e-3), batch=BATCH, seed=7)
    expected = ns.train(by_hand, Sines(), 2, progress=False)
    assert repr(history.simulator) == repr(by_hand)
    assert same_weights(history.simulator, by_hand)
    pd.testing.assert_frame_equal(without_seconds(history), without_seconds(expected))


def test_a_task_without_a_batch_gets_one_replica():
    history = ns.train(ns.rnn(1, 5, 1), Sines(), 0, rule=ns.BPTT(1e-2), progress=False)
    assert history.simulator.batch == 1


@pytest.mark.parametrize("rule", LEARNERS.values(), ids=LEARNERS)
def test_the_network_of_a_simulator_learns_by_another_rule(rule):
    sim, task = simulator(), Sines()
    sim.run(*(values[:, :BATCH] for values in task.train()))
    before, step = sim.weights, sim.step
    history = ns.train(sim, task, 2, rule=rule, progress=False)
    trained = history.simulator
    assert (trained.rule, trained.decorrelation) == (rule, sim.decorrelation)
    assert (trained.batch, trained.seed, trained.network) == (BATCH, 3, sim.network)
    assert same_weights_as(sim, before), "the one that was given stays as it is"
    assert sim.step == step
    by_hand = simulator(rule=rule)
    by_hand.weights = before
    ns.train(by_hand, Sines(), 2, progress=False)
    assert same_weights(trained, by_hand)


def test_only_another_decorrelation_may_be_given_too():
    sim = simulator()
    history = ns.train(sim, Sines(), 0, decorrelation=ns.LocalDecorrelation(1e-4), progress=False)
    assert (history.simulator.rule, history.simulator.decorrelation) == (
        sim.rule,
        ns.LocalDecorrelation(1e-4),
    )


def test_without_a_rule_the_simulator_itself_is_trained():
    sim = simulator()
    assert ns.train(sim, Sines(), 1, progress=False).simulator is sim


def test_learning_by_a_rule_goes_on_from_a_checkpoint(tmp_path):
    path, rule = tmp_path / "run.npz", ns.BPTT(1e-2, truncate=2)
    whole = ns.train(simulator(), Sines(), 3, rule=rule, progress=False)
    ns.train(simulator(), Sines(), 1, rule=rule, checkpoint=path, progress=False)
    sim, history = ns.Simulator.load(path), ns.History.load(path)
    assert history.simulator is None
    resumed = ns.train(sim, Sines(), 3, history=history, progress=False)
    assert same_weights(resumed.simulator, whole.simulator)


@pytest.mark.parametrize("given", [{}, {"rule": ns.BPTT(1e-2)}])
@pytest.mark.parametrize("sim", [None, Sines(), ns.Simulator])
def test_what_cannot_be_trained_is_refused(sim, given):
    with pytest.raises(ns.InputError, match=r"train: sim = .* must be a Simulator"):
        ns.train(sim, Sines(), 1, **given)


def test_a_network_needs_a_rule():
    with pytest.raises(ns.InputError, match="a Simulator; with rule, or a Network"):
        ns.train(ns.rnn(1, 5, 1), Sines(), 1)


def test_silent_away_from_a_terminal(capsys):
    ns.train(simulator(), Sines(), 1)
    assert capsys.readouterr() == ("", "")


def test_silent_in_a_notebooks_pipe(monkeypatch, capsys):
    """Notebooks tell programs that they can show colours, not that anybody looks."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    ns.train(simulator(), Sines(), 1)
    assert capsys.readouterr() == ("", "")


def test_shows_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    ns.train(simulator(), Sines(), 2)
    assert "epoch 2/2" in capsys.readouterr().out


def test_series_must_come_in_whole_batches():
    with pytest.raises(ns.InputError, match=r"Sines.*\(6, 3, 1\).*batch = 2"):
        ns.train(simulator(), Sines(series=3), 1, progress=False)


def test_a_task_must_fit_the_network():
    task = Sines()
    task.n_inputs = 2
    with pytest.raises(ns.InputError, match=r"n_inputs = 2.*'input'.*size = 1"):
        ns.train(simulator(), task, 1)


@pytest.mark.parametrize("task", [None, Sines, (np.zeros(3), np.zeros(3))])
def test_what_is_no_task_is_refused(task):
    with pytest.raises(ns.InputError, match="train: task"):
        ns.train(simulator(), task, 1)


@pytest.mark.parametrize("epochs", [-1, 1.5, True, "3"])
def test_epochs_must_be_a_count(epochs):
    with pytest.raises(ns.InputError, match="train: epochs"):
        ns.train(simulator(), Sines(), epochs)


def test_what_holds_no_history_is_refused(tmp_path):
    simulator().save(tmp_path / "plain.npz")
    with pytest.raises(ns.CheckpointError, match="no history"):
        ns.History.load(tmp_path / "plain.npz")


def test_importing_neurosim_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, neurosim; heavy = {'pandas', 'matplotlib', 'numba', 'pydantic', 'typer', "
        "'rich'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rows", [None, 3, {}, "rows", [3], [{}], [{"epoch": 0}], [[]]])
def test_a_history_that_is_none(tmp_path, rows):
    path = tmp_path / "run.npz"
    ns.train(simulator(), Sines(), 1, checkpoint=path, progress=False)
    arrays, described = checkpoint.read(path)
    good = described["extra"]["history"]
    for wrong in (rows, [good[0], good[0]], [good[0] | {"test_mse": "low"}]):
        checkpoint.write(path, arrays, described | {"extra": {"history": wrong}})
        with pytest.raises(ns.CheckpointError, match=r"run\.npz: damaged"):
            ns.History.load(path)
