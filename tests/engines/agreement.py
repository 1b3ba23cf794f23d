"""Running a simulation on both engines, and comparing all that they report."""

import numpy as np

import neurosim as ns

STEPS, REPLICAS = 9, 2
ROUNDING = 3e-4  # of the largest change: float32 sums against float64, through a recurrent net
STORING = 6e-8 * STEPS  # of the largest weight: a float32 weight is rounded whenever it changes
NEURONS = {
    "tanh": ns.Tanh(),
    "leaky tanh": ns.Tanh(tau=3.0),
    "relu": ns.ReLU(),
    "leaky relu": ns.ReLU(tau=2.5),
    "linear": ns.Linear(),
    "leaky linear": ns.Linear(tau=4.0),
}
CREDITS = [
    {"schedule": "online"},
    {"schedule": "window", "window": 4},
    {"schedule": "sequence"},
    {"schedule": "online", "reward": "return_to_go"},
    {"schedule": "online", "reward": "return_to_go", "window": 3},
    {"schedule": "window", "reward": "return_to_go", "window": 3, "resync_every": 3},
    {"schedule": "sequence", "reward": "return_to_go"},
    {"schedule": "window", "reward": "global", "window": 4},
    {"schedule": "sequence", "reward": "global", "window": 4},
    {"schedule": "sequence", "reward": "global"},
]
STILL = ("D", "F")  # what may have no rule to learn by


def both(rule, neuron, decorrelation, hidden=6, batch=REPLICAS, steps=STEPS, bias=0.0, **more):
    """Run the same simulation on both engines and compare all that they report."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(steps, batch, 3))
    targets = generator.normal(size=(steps, batch, 2))
    decorrelate = decorrelation is not None
    net = ns.rnn(3, hidden, 2, decorrelate=decorrelate, neuron=neuron, bias=bias, seed=2)
    found = []
    for engine in ("objects", "cpu"):
        sim = ns.Simulator(net, rule, decorrelation, batch=batch, engine=engine, seed=11, **more)
        start = sim.weights
        found.append((sim, sim.run(inputs, targets, learn=True, outputs=True)))
    (oracle, expected), (engine, got) = found
    agree(engine, oracle, start)
    report_the_same(got, expected)


def agree(engine, oracle, start):
    """Compare the weights of two simulators, and see that all learning ones have changed."""
    for name, weights in engine.weights.items():
        expected = oracle.weights[name]
        change = np.abs(expected - start[name]).max()
        assert change > 0 or name in STILL
        allowed = ROUNDING * change + STORING * np.abs(weights).max()
        assert np.abs(weights - expected).max() <= allowed, name


def report_the_same(got, expected):
    """Compare two records."""
    close(got.loss, expected.loss)
    close(got.outputs, expected.outputs)
    assert got.reward.keys() == expected.reward.keys()
    for name, reward in got.reward.items():
        close(reward, expected.reward[name])
    for counter in ("events", "synaptic_operations", "weight_writes"):
        np.testing.assert_array_equal(getattr(got, counter), getattr(expected, counter))


def close(got, expected):
    assert np.abs(got - expected).max() <= ROUNDING * np.abs(expected).max()
