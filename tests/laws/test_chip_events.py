"""Events that are lost, late or coarse."""

import numpy as np
import pytest
from chips import (
    CODE,
    LIMIT,
    SOURCES,
    TARGETS,
    Shown,
    arrivals,
    by_chance,
    devices,
    simulate,
    uncorrelated,
)

import neurosim as ns

REPLICAS = 3


def everywhere(hits, p):
    """Assert that each event of each synapse, replica, step and pass has a chance of its own."""
    flat = hits.reshape(*hits.shape[:3], -1)
    for pass_ in flat:
        by_chance(pass_, p)
    one, other = (flat - p) / np.sqrt(p * (1 - p))
    assert uncorrelated(one, other) < LIMIT
    # Of different targets of one source, and of different sources to one target.
    z = (hits - p) / np.sqrt(p * (1 - p))
    assert uncorrelated(z[..., 1:, :], z[..., :-1, :]) < LIMIT
    assert uncorrelated(z[..., 1:], z[..., :-1]) < LIMIT


@pytest.mark.parametrize("loss", [0.05, 0.5])
def test_events_are_lost_one_by_one(loss):
    inputs = np.ones((40, REPLICAS, SOURCES))
    found = arrivals(ns.Substrate(event_loss=loss), inputs)
    assert set(found.flat) == {0, 1}
    everywhere(found == 0, loss)


def test_the_statistics_of_events_notice_another_chance_and_what_is_lost_together():
    """Negative controls: 20 % more, and as seen when a source's events are lost for all."""
    found = arrivals(ns.Substrate(event_loss=0.12), np.ones((40, REPLICAS, SOURCES)))
    lost = (found == 0).reshape(*found.shape[:3], -1)
    with pytest.raises(AssertionError, match="mean"):
        by_chance(lost[0], 0.1)
    together = np.broadcast_to((found == 0)[..., :1, :], found.shape)
    with pytest.raises(AssertionError):
        everywhere(together, 0.12)


@pytest.mark.parametrize("jitter", [0.1, 0.6])
def test_late_events_arrive_one_step_later_and_none_is_lost(jitter):
    inputs = np.zeros((60, REPLICAS, SOURCES))
    inputs[::3] = 1
    found = arrivals(ns.Substrate(event_jitter=jitter), inputs)
    now, later, after = (found[:, k::3] for k in range(3))
    assert not after.any()
    np.testing.assert_array_equal(now + later, 1)
    everywhere(later == 1, jitter)
    # The same where events follow each other: what is not in time comes next.
    inputs = np.ones((40, REPLICAS, SOURCES))
    found = arrivals(ns.Substrate(event_jitter=jitter), inputs)
    assert set(found.flat) == {0, 1, 2}
    total = found.cumsum(axis=1)
    sent = np.arange(1, 41)[:, None, None, None]
    assert set((sent - total).flat) == {0, 1}  # all but, perhaps, the last
    everywhere(sent - total == 1, jitter)


@pytest.mark.parametrize(("loss", "jitter"), [(0.3, 0.2), (0.05, 0.7)])
def test_what_is_late_may_also_be_lost(loss, jitter):
    inputs = np.zeros((60, REPLICAS, SOURCES))
    inputs[::2] = 1
    found = arrivals(ns.Substrate(event_loss=loss, event_jitter=jitter), inputs)
    now, later = found[:, ::2], found[:, 1::2]
    assert (now + later).max() == 1
    everywhere(now + later == 0, loss)
    everywhere(now == 1, (1 - loss) * (1 - jitter))
    everywhere(later == 1, (1 - loss) * jitter)


def test_recurrent_and_outgoing_events_are_lost_too_and_with_draws_of_their_own():
    net = ns.rnn(1, 30, 30, gain=0.0, seed=1)
    ones = {"A": np.full((30, 1), 30.0), "R": np.zeros((30, 30)), "B": np.zeros((30, 30))}
    ones["R"][:, 0] = 1
    ones["B"][:, 0] = 1
    chip, loss = ns.Substrate(event_loss=0.3), 0.3
    probes = [ns.Probe("hidden", "a", pass_=0), ns.Probe("output", "a")]
    inputs = np.ones((60, REPLICAS, 1))
    record = simulate(net, chip, inputs, weights=ones, probes=probes)[1]
    a = record.probes["hidden.a"].astype(float)
    # The input's event is worth 30; the recurrent one 1, 0 or -1, as neuron 0 is up or not.
    arrived = np.abs(a - 30 * np.round(a / 30)) > 0.5
    sent = np.abs(np.tanh(a[:-1, :, :1])) > 0.5
    recurrent = arrived[1:][np.broadcast_to(sent, arrived[1:].shape)]
    by_chance(~recurrent[:, None, None], loss)
    outgoing = np.abs(record.probes["output.a"]) > 0.5
    sent = np.abs(np.tanh(a[..., :1])) > 0.5
    both = outgoing[1:] & arrived[1:]
    here = np.broadcast_to(sent[1:] & sent[:-1], both.shape)
    by_chance(both[here][:, None, None], (1 - loss) ** 2)


@pytest.mark.parametrize("given", [{"event_loss": 0.4}, {"event_jitter": 0.4}], ids=str)
def test_a_synapse_learns_from_what_arrived_at_it(given):
    """Late events count in the step in which they come."""
    payload = 0.01
    wanted = np.full((30, SOURCES), -payload)
    wanted[::3] = 0
    chip = ns.Substrate(**given)
    sim, first, seen = devices(chip, wanted, CODE, post=TARGETS, rule=Shown({"A": 1.0}))
    change = -np.diff(np.concatenate([first[None], seen]), axis=0)
    net, probes = sim.network, [ns.Probe("hidden", "a")]
    frozen = ns.Simulator(net, Shown({"B": 1e-12}), None, chip, seed=5)
    frozen.weights = {"A": np.broadcast_to(CODE, (TARGETS, SOURCES))}
    a = frozen.run(-wanted[:, None], np.ones((30, 1, 1)), probes=probes).probes["hidden.a"]
    arrived = np.round(a[:, 0].astype(float) / payload).astype(int)
    arrived = arrived[..., None] // CODE.astype(int) % 4
    # Weights of up to 1000 are stored to 1e-4, too coarse for the largest; the others tell.
    np.testing.assert_allclose(change[..., :4], arrived[..., :4] * payload, atol=1e-4)
    assert len(np.unique(arrived)) == 2 + ("event_jitter" in given)


# ---------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("bits", "limit"), [(2, None), (3, None), (5, 0.5), (4, 2.0), (None, 0.4), (None, 1.5)]
)
def test_events_carry_levels(bits, limit):
    """Of inputs and of neurons, in every pass; outputs send none and stay as they are."""
    chip = ns.Substrate(event_bits=bits, event_range=limit)
    generator, most = np.random.default_rng(0), limit or 1.0
    inputs = generator.normal(size=(40, REPLICAS, 5))
    net = ns.rnn(5, 60, 20, gain=2.0, input_gain=3.0, seed=1)
    probes = [ns.Probe("hidden", v, pass_=k) for v in "axs" for k in (0, 1)]
    probes += [ns.Probe("hidden", "noise", pass_=1), ns.Probe("input", "s")]
    probes += [ns.Probe("output", v) for v in "as"]
    sim, record = simulate(net, chip, inputs, probes=probes)
    seen = {name: values.astype(float) for name, values in record.probes.items()}
    w = {name: values.astype(float) for name, values in sim.weights.items()}

    def sent(value):
        value = np.clip(value, -most, most)
        spacing = most / (2 ** (bits - 1) - 1) if bits else 1.0
        return np.floor(value / spacing + 0.5) * spacing if bits else value

    u = sent(inputs.astype(np.float32).astype(float))
    np.testing.assert_allclose(seen["input.s"], u, atol=1e-6)
    for k, noise in (("", 0.0), ("@1", seen["hidden.noise@1"])):
        x, s = seen[f"hidden.x{k}"], seen[f"hidden.s{k}"]
        np.testing.assert_allclose(s, sent(x), atol=1e-6)
        before = np.concatenate([np.zeros_like(s[:1]), s[:-1]])
        a = u @ w["A"].T + before @ w["R"].T + noise
        np.testing.assert_allclose(seen[f"hidden.a{k}"], a, atol=1e-4)
    if bits is not None:
        levels = np.unique(np.round(seen["input.s"] / most * (2 ** (bits - 1) - 1)))
        assert len(levels) == 2**bits - 1
    y = seen["hidden.s"] @ w["B"].T
    np.testing.assert_allclose(seen["output.s"], y, atol=1e-5)
    np.testing.assert_allclose(seen["output.s"], seen["output.a"], atol=1e-7)
    assert np.abs(y).max() > most


def test_synapses_learn_from_the_levels_that_arrive():
    wanted = np.linspace(-1.2, 1.2, 80)[None]
    _, first, seen = devices(ns.Substrate(event_bits=3), wanted, 0.0, post=2)
    expected = np.floor(np.clip(wanted, -1, 1) * -3 + 0.5) / -3
    np.testing.assert_allclose(seen[0] - first, expected.repeat(2, axis=0), atol=1e-6)
