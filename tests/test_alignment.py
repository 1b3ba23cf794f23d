"""Alignment: its statistics are right, and it tells rules apart that estimate different gradients.

Seeds are fixed. Tolerances are in standard errors, of the measurement itself where it says so.
"""

from __future__ import annotations

import doctest
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neurosim as ns
from neurosim import alignment, bptt
from neurosim.local import Perturbation
from neurosim.moments import MEASURES, Moments, compare

STEPS, SERIES, HIDDEN = 12, 2, 8


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(3)
    return generator.normal(size=(2, STEPS, SERIES, 1))


def simulator(rule, decorrelate=False, **options):
    net = ns.rnn(1, HIDDEN, 1, decorrelate=decorrelate, neuron=options.pop("neuron", None), seed=4)
    return ns.Simulator(net, rule, seed=5, **options)


def measure(rule, data, draws=2000, substrate=None, **options):
    sim = simulator(rule, substrate=substrate)
    return ns.align(sim, *data, draws=draws, **options)


def row(measured, projection="hidden", reference="full"):
    frame = getattr(measured, "frame", measured)
    return frame.set_index(["projection", "reference"]).loc[(projection, reference)]


def near(found, measure, expected, floor=1e-3, within=3):
    """Whether a measure is within 3 of its standard errors; the floor is for float32."""
    return abs(found[measure] - expected) <= within * found[f"{measure}_se"] + floor


def part(gradient, members="AR"):
    return np.concatenate([gradient[name].ravel() for name in members])


def cosine(a, b, members="AR"):
    left, right = part(a, members), part(b, members)
    return left @ right / np.linalg.norm(left) / np.linalg.norm(right)


# ------------------------------------------------------------------- statistics


def synthetic(generator, mean, spread, draws):
    """Draws of independent normal numbers with these means and standard deviations."""
    moments = Moments({name: values.size for name, values in mean.items()})
    for _ in range(draws):
        moments.add({n: mean[n] + spread[n] * generator.normal(size=mean[n].size) for n in mean})
    return moments


@pytest.fixture(scope="module")
def known():
    """A gradient, a mean that is a mixture of it and of something else, and a spread."""
    generator = np.random.default_rng(1)
    gradient = {"A": generator.normal(size=(3, 4)), "R": generator.normal(size=5)}
    mean = {n: 0.7 * g.ravel() + 0.5 * generator.normal(size=g.size) for n, g in gradient.items()}
    spread = {n: 1.0 + np.arange(g.size) / 5 for n, g in gradient.items()}
    m, g, s = (part(values) for values in (mean, gradient, spread))
    trace, length = np.sum(s**2), g @ g
    truth = {
        "cosine": m @ g / np.sqrt(m @ m * length),
        "scale": m @ g / length,
        "bias2": np.sum((m - g) ** 2) / length,
        "variance": trace / length,
        "snr": m @ m / trace,
    }
    return gradient, mean, spread, truth


def test_statistics_of_known_draws(known):
    gradient, mean, spread, truth = known
    moments = synthetic(np.random.default_rng(2), mean, spread, draws=20_000)
    found = row(compare(moments, {"g": gradient}), reference="g")
    for measure in MEASURES:
        assert near(found, measure, truth[measure], floor=0), measure
        assert 0 < found[f"{measure}_se"] < 0.05 * abs(truth[measure]), measure


def test_few_draws_are_right_on_average_and_say_how_uncertain_they_are(known):
    """Without taking the noise off, the cosine would come out as 0.72 and not 0.93."""
    gradient, mean, spread, truth = known
    generator = np.random.default_rng(3)
    found = pd.DataFrame(
        row(compare(synthetic(generator, mean, spread, 200), {"g": gradient}), reference="g")
        for _ in range(200)
    )
    for measure in MEASURES:
        values = found[measure].astype(float)
        assert abs(values.mean() - truth[measure]) < 4 * values.std() / np.sqrt(200), measure
        # The jackknife is a little too careful where noise enters squared.
        assert 0.8 < found[f"{measure}_se"].mean() / values.std() < 1.6, measure


def test_equal_draws_have_no_variance():
    moments = Moments({"A": 3})
    for _ in range(50):
        moments.add({"A": np.array([1.0, 2.0, -0.5])})
    found = row(compare(moments, {"g": {"A": np.array([2.0, 4.0, -1.0])}}), "A", "g")
    assert found["variance"] < 1e-14
    assert found["cosine"] == pytest.approx(1)
    assert found["scale"] == pytest.approx(0.5)
    assert found["bias2"] == pytest.approx(0.25)


def test_parts_are_those_that_learn():
    moments = Moments({"A": 2, "B": 3})
    for values in np.random.default_rng(0).normal(size=(50, 5)):
        moments.add({"A": values[:2], "B": values[2:]})
    frame = compare(moments, {"g": {"A": np.ones(2), "R": np.ones(4), "B": np.ones(3)}})
    assert list(frame["projection"]) == ["A", "B"]


# ------------------------------------------------------- which gradient, which rule


def test_np_with_a_local_reward_estimates_the_one_step_gradient(data):
    measured = measure(ns.NP(1e-4, 1e-2), data, draws=4000)
    for projection in ("A", "R", "B", "hidden", "all"):
        found = row(measured, projection, "k=1")
        for name, expected in (("cosine", 1), ("scale", 1), ("bias2", 0)):
            assert near(found, name, expected), (projection, name)
    found = row(measured)
    assert found["cosine"] + 3 * found["cosine_se"] < 0.95
    weights = simulator(None).weights
    one, full = (bptt.gradients(weights, *data, truncate=k)[1] for k in (1, None))
    assert near(found, "cosine", cosine(one, full))


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        (bptt.BPTT({"A": 1e-3, "R": 0.1, "B": 1.0}, truncate=3), "k=3"),
        (bptt.BPTT(1e-3, chunk=5), "chunk=5"),
        (bptt.BPTT(1e-3, optimiser="momentum"), "full"),
    ],
)
def test_the_referee_takes_its_own_gradient(data, rule, reference):
    sim = simulator(rule, neuron=ns.Tanh(tau=2.0))
    measured = ns.align(sim, *data, truncations=[1, 3], chunks=[5])
    assert measured.draws == 1
    found = row(measured, "all", reference)
    assert found["cosine"] == pytest.approx(1, abs=1e-9)
    assert found["scale"] == pytest.approx(1, abs=1e-5)
    assert (found["variance"], found["snr"], found["cosine_se"]) == (0, np.inf, 0)
    others = {"k=1", "k=3", "chunk=5", "full"} - {reference}
    assert all(row(measured, "hidden", other)["cosine"] < 0.999 for other in others)


def test_feedback_by_the_readout_gives_the_one_step_gradient(data):
    """RFLO without a leak, its feedback not random: half, as its loss is half the square."""
    sim = simulator(ns.RFLO(1e-3))
    assert abs(row(ns.align(sim, *data), reference="k=1")["cosine"]) < 0.9
    sim.weights = {next(n for n in sim.weights if n not in "ARB"): sim.weights["B"].T}
    measured = ns.align(sim, *data)
    assert measured.draws == 1
    for projection in ("A", "R", "B"):
        found = row(measured, projection, "k=1")
        assert found["cosine"] == pytest.approx(1, abs=1e-6)
        assert found["scale"] == pytest.approx(0.5, abs=1e-5)


def test_feedback_that_was_learned_is_measured_as_it_is(data):
    sim = simulator(ns.LearnedFeedback(1e-12, 1e-2), batch=SERIES)
    assert row(ns.align(sim, *data, draws=20), reference="k=1")["scale"] < 0.7
    for _ in range(500):
        sim.run(*data)
    found = row(ns.align(sim, *data, draws=20), reference="k=1")
    assert found["cosine"] > 0.999
    assert found["scale"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("reward", ["return_to_go", "global"])
def test_np_with_a_later_reward_estimates_the_full_gradient(data, reward):
    measured = measure(ns.NP(1e-4, 1e-2, reward=reward), data, draws=4000)
    assert near(row(measured), "cosine", 1)
    assert near(row(measured), "scale", 1)
    found = row(measured, reference="k=1")
    assert found["cosine"] + 3 * found["cosine_se"] < 0.95


def test_windows_estimate_the_gradient_of_chunks(data):
    rule = ns.NP(1e-4, 1e-2, reward="return_to_go", window=3, resync_every=3)
    measured = measure(rule, data, draws=4000, truncations=[1], chunks=[3])
    assert list(measured.frame["reference"].unique()) == ["k=1", "chunk=3", "full"]
    assert near(row(measured, reference="chunk=3"), "cosine", 1)
    assert row(measured)["cosine"] < 0.97
    assert row(measured, reference="k=1")["cosine"] < 0.97


def test_wp_estimates_the_one_step_gradient(data):
    found = row(measure(ns.WP(1e-4, 1e-2), data, draws=4000), reference="k=1")
    assert near(found, "cosine", 1)
    assert found["variance"] > 5


def test_anps_readout_is_exact_and_its_hidden_layer_biased(data):
    measured = measure(ns.ANP(1e-4, 1e-3), data, draws=1000)
    assert row(measured, "B", "k=1")["bias2"] < 1e-4
    found = row(measured, reference="k=1")
    assert found["bias2"] > 3 * found["bias2_se"] + 0.01


def test_unmeasured_noise_in_all_passes_is_enough_for_anp(data):
    rule = ns.ANP(1e-4, noise_std=1e-6, resync_every=1)
    measured = measure(rule, data, substrate=ns.Substrate(act_noise=1e-3))
    found = row(measured, reference="k=1")
    assert near(found, "cosine", 1, floor=0.01)


def test_the_variance_is_that_of_the_batch_that_was_given(data):
    found = [
        row(measure(ns.NP(1e-4, 1e-2), np.tile(data, (1, 1, copies, 1)), draws=1000))
        for copies in (1, 4)
    ]
    ratio = found[0]["variance"] / found[1]["variance"]
    assert 3.5 < ratio < 4.5
    assert near(found[0], "scale", found[1]["scale"], floor=3 * found[1]["scale_se"])


def test_schedule_rate_and_optimiser_change_nothing(data):
    expected = measure(ns.NP(1e-4, 1e-2, schedule="sequence"), data, draws=30).frame
    for rule in (ns.NP(10.0, 1e-2), ns.NP(1.0, 1e-2, schedule="window", window=5)):
        pd.testing.assert_frame_equal(measure(rule, data, draws=30).frame, expected)


def test_frozen_projections_are_left_out(data):
    measured = measure(ns.NP({"A": 1.0, "R": 1e-3}, 1e-2), data, draws=40)
    assert list(measured.frame["projection"].unique()) == ["A", "R", "hidden"]


def test_decorrelated_and_leaky_networks(data):
    sim = simulator(
        ns.NP(1e-4, 1e-2, reward="return_to_go"),
        decorrelate=True,
        neuron=ns.Tanh(tau=2.0),
        decorrelation=ns.Decorrelation(1e-2),
    )
    sim.weights = {"D": np.eye(HIDDEN) + 0.2 * np.random.default_rng(6).normal(size=(HIDDEN,) * 2)}
    before = sim.weights
    measured = ns.align(sim, *data, draws=4000)
    assert near(row(measured), "cosine", 1)
    assert near(row(measured), "scale", 1)
    for name, values in sim.weights.items():
        np.testing.assert_array_equal(values, before[name])
    assert sim.step == 0


# ------------------------------------------------------------ controls that must fail


@dataclass(frozen=True)
class Unsigned(Perturbation):
    """Node perturbation by a teacher who has lost the sign of what it says."""

    @staticmethod
    def reward(delta_loss, variance):
        return abs(delta_loss) / variance

    @staticmethod
    def neuron(noise, reward):
        return reward * noise

    @staticmethod
    def synapse(pre, signal):
        return signal * pre


def test_a_reward_without_its_sign_teaches_nothing(data):
    measured = measure(Unsigned(1e-4, 1e-3), np.tile(data, (1, 1, 10, 1)), draws=2000)
    for reference in ("k=1", "full"):
        found = row(measured, reference=reference)
        assert near(found, "scale", 0, within=4)
        assert near(found, "bias2", 1, within=4)
        assert abs(found["snr"]) < 0.01
        assert not near(found, "scale", 1, within=4)


def test_rewards_for_other_targets_give_another_gradient(data):
    """The cosine that is found is that of the two gradients, here almost none."""
    inputs, targets = data
    other = np.random.default_rng(12).normal(size=targets.shape)
    weights = simulator(None).weights
    asked, taught = (bptt.gradients(weights, inputs, y, truncate=1)[1] for y in (targets, other))
    moments = Moments({name: weights[name].size for name in "ARB"})
    sim = simulator(ns.NP(1.0, 1e-2, schedule="sequence"), batch=SERIES)
    for _ in range(3000):
        sim.weights = weights
        sim.run(inputs, other)
        after = sim.weights
        moments.add({n: ((weights[n] - after[n]) / STEPS).ravel() for n in "ARB"})
    frame = compare(moments, {"asked": asked, "taught": taught})
    assert near(row(frame, reference="taught"), "cosine", 1)
    assert abs(cosine(asked, taught)) < 0.5
    assert near(row(frame, reference="asked"), "cosine", cosine(asked, taught))


# ------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"draws": 1}, "align: draws = 1 must be a whole number >= 2"),
        ({"draws": 2**30}, "at most 357913941 with 12 steps"),
        ({"truncations": [0]}, "align: truncations = [0] must be whole numbers of steps"),
        ({"truncations": "1"}, "align: truncations = '1'"),
        ({"chunks": 2.5}, "align: chunks = 2.5"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_wrong_options(data, options, says):
    with pytest.raises(ns.InputError) as error:
        measure(ns.NP(1.0), data, **{"draws": 2, **options})
    assert says in str(error.value)


def test_what_cannot_be_measured(data):
    with pytest.raises(ns.InputError, match=r"align: sim = 3 must be a Simulator"):
        ns.align(3, *data)
    with pytest.raises(ns.InputError, match=r"align: sim.rule = None must be a rule with"):
        ns.align(simulator(None), *data)
    net = ns.rnn(1, 3, 1)
    tangled = ns.Network(net.populations, (*net.projections, ns.Projection("E", "input", "output")))
    with pytest.raises(ns.InputError, match=r"align: sim.network = .* as from rnn\(\)"):
        ns.align(ns.Simulator(tangled, ns.NP(1.0)), *data)
    with pytest.raises(
        ns.InputError, match=r"targets has shape \(11, 2, 1\), must be \(12, 2, 1\)"
    ):
        ns.align(simulator(ns.NP(1.0)), data[0], data[1][1:])


# --------------------------------------------------------- what one does with the result


def test_ctrl_c_returns_what_is_there(data, monkeypatch):
    run, done = ns.Simulator.run, []

    def stopped(*arguments):
        if len(done) == 57:
            raise KeyboardInterrupt
        done.append(1)
        return run(*arguments)

    monkeypatch.setattr(ns.Simulator, "run", stopped)
    measured = measure(ns.NP(1.0), data, draws=500)
    assert measured.interrupted
    assert measured.draws == 57
    assert measured.frame["scale_se"].notna().all()
    monkeypatch.setattr(ns.Simulator, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        measure(ns.NP(1.0), data)


def test_the_frame_and_the_plot(data):
    from matplotlib.figure import Figure

    measured = measure(ns.NP(1.0), data, draws=40)
    assert not measured.interrupted
    frame = measured.frame
    assert list(frame["projection"].unique()) == ["A", "R", "B", "hidden", "all"]
    assert list(frame["reference"].unique()) == ["k=1", "k=2", "k=4", "k=8", "full"]
    assert list(frame.columns[2:]) == [n for m in MEASURES for n in (m, f"{m}_se")]
    ax = measured.plot(Figure().add_subplot())
    assert [line.get_text() for line in ax.get_legend().get_texts()] == [
        "A",
        "R",
        "B",
        "hidden",
        "all",
    ]


def test_the_example():
    tried = doctest.testmod(alignment)
    assert tried.attempted >= 5
    assert tried.failed == 0


# -------------------------------------------------------------------- command line


TINY = str(Path(__file__).parent / "experiments" / "tiny.toml")


@pytest.fixture
def neurosim(monkeypatch, capsys, tmp_path):
    """A function that runs the command line here, in an empty folder: exit code and output."""
    from neurosim import cli

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["neurosim", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        said = capsys.readouterr()
        return done.value.code or 0, said.out, said.err

    return call


def test_the_command_prints_a_table_and_writes_files(neurosim):
    command = ["align", TINY, "--draws", 30, "--steps", 20, "--truncate", 1, "--chunk", 5]
    code, out, err = neurosim(*command, "--set", "rule.name=NP", "--out", "here")
    assert (code, err) == (0, "")
    for words in ("cosine", "hidden", "k=1", "chunk=5", "full", "30 draws", "here"):
        assert words in out
    assert "k=2" not in out
    frame = pd.read_parquet("here/alignment.parquet")
    assert len(frame) == 15
    pd.testing.assert_frame_equal(pd.read_csv("here/alignment.csv"), frame)
    assert Path("here/alignment.png").stat().st_size > 10_000


def test_the_command_takes_weights_from_a_run(neurosim):
    options = ("--set", "training.epochs=1", "--set", "baselines.enabled=false", "--out", "run")
    assert neurosim("run", TINY, *options)[0] == 0
    command = ["align", TINY, "--draws", 30, "--steps", 20, "--series", 1]
    code, trained, err = neurosim(*command, "--checkpoint", "run")
    assert (code, err) == (0, "")
    assert neurosim(*command, "--checkpoint", "run/checkpoint.npz")[1] == trained
    assert neurosim(*command)[1] != trained


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps", 0], "align: steps = 0 must be a whole number >= 1"),
        (["--series", 9], "align: series = 9 must be a whole number in [1, 2]"),
        (["--draws", 0], "align: draws = 0"),
        (["--truncate", 0], "align: truncations = [0]"),
        (["--checkpoint", "nowhere"], "nowhere: no such checkpoint"),
    ],
)
def test_mistakes_get_one_message(neurosim, arguments, says):
    code, out, err = neurosim("align", TINY, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("neurosim: ")
    assert says in err
