"""The mean update of each rule is the gradient that it is said to estimate.

Weights change once, at the end of a sequence, with learning rate 1, so one run's
change is one draw of the update. Means over many draws are compared with
gradients by finite differences, in units of their own standard error.
"""

import numpy as np
import pytest
from laws_reference import cosine, gradient
from mean_updates import draws, estimates

import neurosim as ns

STEPS, HIDDEN = 6, 5


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(8)
    return generator.normal(size=(STEPS, 1, 2)), generator.normal(size=(STEPS, 1, 2))


def network(neuron=None, decorrelate=True, gain=1.0):
    net = ns.rnn(2, HIDDEN, 2, neuron=neuron, decorrelate=decorrelate, gain=gain, seed=3)
    weights = net.initial_weights()
    if decorrelate:
        generator = np.random.default_rng(5)
        weights["D"] = weights["D"] + 0.2 * generator.normal(size=weights["D"].shape)
    return net, weights


NODE = {
    "normal": {},
    "rademacher": {"distribution": "rademacher"},
    "antithetic": {"pairs": 1},
    "batch scope": {"reward_scope": "batch", "replicas": 4, "groups": 3000},
    "set back every step": {"resync_every": 1},
}


@pytest.mark.parametrize("options", NODE.values(), ids=NODE)
def test_np_with_a_local_reward_estimates_the_one_step_gradient(data, options):
    options = dict(options)
    sampling = {key: options.pop(key) for key in ("replicas", "groups") if key in options}
    net, weights = network()
    rule = ns.NP(1.0, schedule="sequence", **options)
    updates = draws(rule, data, net, weights, **sampling)
    assert estimates(updates, gradient(weights, *data, chunk=1))
    assert not estimates(updates, gradient(weights, *data))  # the test can tell them apart


@pytest.mark.parametrize("reward", ["return_to_go", "global"])
@pytest.mark.parametrize("pairs", [0, 1])
def test_np_with_a_later_reward_estimates_the_full_gradient(data, reward, pairs):
    net, weights = network()
    updates = draws(ns.NP(1.0, reward=reward, pairs=pairs), data, net, weights, replicas=2000)
    assert estimates(updates, gradient(weights, *data))
    assert not estimates(updates, gradient(weights, *data, chunk=1))


@pytest.mark.parametrize("reward", ["return_to_go", "global"])
@pytest.mark.parametrize("rule", [ns.NP, ns.WP])
def test_windows_with_resynchronised_passes_estimate_the_chunked_gradient(data, reward, rule):
    net, weights = network()
    learning = rule(1.0, reward=reward, window=3, resync_every=3, schedule="sequence", pairs=60)
    updates = draws(learning, data, net, weights, replicas=20 if rule is ns.NP else 1, groups=250)
    assert estimates(updates, gradient(weights, *data, chunk=3))
    assert not estimates(updates, gradient(weights, *data, chunk=1))


def test_wp_with_a_local_reward_estimates_the_one_step_gradient(data):
    net, weights = network()
    updates = draws(ns.WP(1.0, schedule="sequence", pairs=60), data, net, weights, 1, 1000)
    assert estimates(updates, gradient(weights, *data, chunk=1))
    assert not estimates(updates, gradient(weights, *data))


@pytest.mark.parametrize("reward", ["return_to_go", "global"])
def test_wp_with_a_later_reward_estimates_the_full_gradient(data, reward):
    net, weights = network()
    updates = draws(ns.WP(1.0, reward=reward, pairs=60), data, net, weights, 1, 1000)
    assert estimates(updates, gradient(weights, *data))
    assert not estimates(updates, gradient(weights, *data, chunk=1))


@pytest.mark.parametrize(
    ("neuron", "how"),
    [
        (ns.Tanh(tau=3.0), {"neuron": "tanh", "tau": 3.0}),
        (ns.ReLU(tau=2.0), {"neuron": "relu", "tau": 2.0}),
        (ns.Linear(), {"neuron": "linear"}),
    ],
)
def test_gradients_of_other_neuron_models(data, neuron, how):
    net, weights = network(neuron=neuron, gain=0.7)
    updates = draws(ns.NP(1.0, reward="return_to_go"), data, net, weights, replicas=2000)
    assert estimates(updates, gradient(weights, *data, **how))


@pytest.mark.parametrize("steps", [1, STEPS])
def test_anp_is_unbiased_where_its_changes_in_activity_are_fresh_noise(data, steps):
    """In the hidden population, if set back every step. Outputs inherit hidden noise."""
    net, weights = network()
    short = [values[:steps] for values in data]
    updates = draws(ns.ANP(1.0, schedule="sequence", resync_every=1), short, net, weights)
    expected = gradient(weights, *short, chunk=1)
    assert estimates({name: updates[name] for name in ("A", "R")}, expected)


def test_anp_is_biased_once_noise_accumulates():
    """A perturbed pass that is never set back bends the update: the price the paper pays."""
    generator = np.random.default_rng(2)
    data = generator.normal(size=(25, 1, 2)), generator.normal(size=(25, 1, 2))
    net, weights = network(gain=1.5, decorrelate=False)
    expected = gradient(weights, *data, chunk=1)
    cosines = {}
    for every in (None, 1):
        rule = ns.ANP(1.0, schedule="sequence", resync_every=every)
        updates = draws(rule, data, net, weights, replicas=1000)
        mean = {name: updates[name].mean(axis=0) for name in ("A", "R")}
        cosines[every] = cosine(mean, {name: expected[name] for name in mean})
    assert cosines[1] > 0.999
    assert 0.3 < cosines[None] < 0.97


def test_a_batch_wide_reward_costs_a_factor_of_the_batch_in_variance(data):
    net, weights = network()
    spread = {}
    for scope in ("replica", "batch"):
        rule = ns.NP(1.0, schedule="sequence", reward_scope=scope)
        updates = draws(rule, data, net, weights, replicas=4, groups=2000)
        spread[scope] = updates["R"].var(axis=0).sum()
    assert 3 < spread["batch"] / spread["replica"] < 5  # 4 replicas


def test_returns_to_go_have_less_variance_than_global_rewards(data):
    net, weights = network()
    spread = {}
    for reward in ("return_to_go", "global"):
        updates = draws(ns.NP(1.0, reward=reward), data, net, weights, replicas=4, groups=2000)
        spread[reward] = updates["R"].var(axis=0).sum()
    assert 1.3 < spread["global"] / spread["return_to_go"] < 3


def test_the_statistics_notice_a_wrong_scale(data):
    """Negative control: an update that is 10 % too large must fail."""
    net, weights = network()
    updates = draws(ns.NP(1.1, schedule="sequence"), data, net, weights, replicas=2000)
    assert not estimates(updates, gradient(weights, *data, chunk=1))


def test_random_rewards_teach_nothing(data):
    """Negative control: rewards of other targets give another gradient."""
    net, weights = network()
    updates = draws(ns.NP(1.0, schedule="sequence"), (data[0], -data[1]), net, weights)
    assert not estimates(updates, gradient(weights, *data, chunk=1))
