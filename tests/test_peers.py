"""Peers compute what neurosim computes, so that timing them against each other is fair."""

import numpy as np
import pytest

import neurosim as ns
from neurosim import noise
from neurosim.engines.plan import Plan
from neurosim.experiments import registry

STEPS, BATCH, SIZES, SEED = 40, 3, (2, 12, 2), 7
LEARNING_RATE, NOISE_STD, DECORRELATION_RATE = 0.01, 0.1, 0.01
RULES = {"NP": ns.NP, "ANP": ns.ANP}

peers = registry.peers()


@pytest.fixture(params=["jax", "torch"])
def peer(request):
    """The peer of a framework; skips where the framework is not installed."""
    try:
        return peers.find(request.param)
    except peers.MissingFramework as error:
        pytest.skip(str(error))


def draws(sim):
    """All noise of a run, by the names that neurosim gives it."""
    plan = Plan(sim.network, sim.rule, None, sim.substrate, BATCH, SEED)
    found = []
    for population in sim.network.populations[1:]:
        stream = plan.stream(noise.PERTURBATION, population.name)
        index = np.ndindex(STEPS, BATCH, population.size)
        values = [noise.normal(SEED, stream, t, 0, b, i) for t, b, i in index]
        found.append(np.reshape(values, (STEPS, BATCH, population.size)))
    return tuple(found)


def setting(rule, decorrelate):
    """The oracle, and the same problem for a peer."""
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(STEPS, BATCH, SIZES[0]))
    targets = generator.normal(size=(STEPS, BATCH, SIZES[2]))
    sim = ns.Simulator(
        ns.rnn(*SIZES, decorrelate=decorrelate, seed=3),
        RULES[rule](LEARNING_RATE, NOISE_STD),
        ns.Decorrelation(DECORRELATION_RATE) if decorrelate else None,
        batch=BATCH,
        engine="objects",
        seed=SEED,
    )
    problem = {
        "weights": sim.weights,
        "rule": rule,
        "learning_rate": LEARNING_RATE,
        "noise_std": NOISE_STD,
        "decorrelation_rate": DECORRELATION_RATE,
        "inputs": inputs,
        "targets": targets,
    }
    return sim, problem


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", [None, "quadratic", "cubic"])
def test_equals_the_oracle(peer, rule, form):
    sim, problem = setting(rule, form is not None)
    start = sim.weights
    expected = sim.run(problem["inputs"], problem["targets"]).loss
    given = peer(peers.Problem(**problem, noise=draws(sim), decorrelation=form or "quadratic"))
    np.testing.assert_allclose(given.run(), expected, rtol=1e-3, atol=1e-5)
    assert given.weights.keys() == sim.weights.keys()
    for name, weights in sim.weights.items():
        change = np.abs(weights - start[name]).max()
        assert change > 0.01
        assert np.abs(given.weights[name] - weights).max() <= 1e-4 * change + 3e-7 * STEPS, name


@pytest.mark.parametrize("rule", RULES)
def test_draws_its_own_noise_and_goes_on(peer, rule):
    _, problem = setting(rule, True)
    one, other = (peer(peers.Problem(**problem, seed=seed)) for seed in (1, 1))
    first, second = one.run(), one.run()
    assert first.shape == (STEPS, BATCH)
    assert np.isfinite(second).all()
    assert second.mean() != first.mean()
    np.testing.assert_array_equal(other.run(), first)
    different = peer(peers.Problem(**problem, seed=2))
    assert not np.array_equal(different.run(), first)
    np.testing.assert_array_equal(problem["weights"]["R"], setting(rule, True)[0].weights["R"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rule": "WP"}, "rule = 'WP'"),
        ({"decorrelation": "linear"}, "decorrelation = 'linear'"),
        ({"targets": np.zeros((STEPS, BATCH, 5))}, r"weights\['B'\]"),
        ({"noise": (np.zeros(3), np.zeros(3))}, "noise"),
    ],
)
def test_a_wrong_problem_is_refused(change, says):
    _, problem = setting("NP", False)
    with pytest.raises(ValueError, match=says):
        peers.Problem(**problem | change)


def test_a_missing_framework_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(peers.INSTALL, "no_such_framework", "pip install it")
    with pytest.raises(peers.MissingFramework, match="install it with: pip install it"):
        peers.find("no_such_framework")
