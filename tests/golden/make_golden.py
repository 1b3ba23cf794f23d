"""Write golden.json anew. Run it on purpose only: these numbers are what "reproducible" means."""

import json
from pathlib import Path

import numpy as np

import neurosim as ns
from neurosim import noise

PLACE = Path(__file__).with_name("golden.json")
RUNS = {
    "ANP": (ns.ANP(1e-3), None),
    "DANP": (ns.ANP(1e-3), ns.Decorrelation(1e-4)),
    "NP": (ns.NP(1e-4), None),
    "WP": (ns.WP(1e-5), None),
    "RFLO": (ns.RFLO(1e-2), None),
    "LearnedFeedback": (ns.LearnedFeedback(1e-3, feedback_rate=0.2), ns.Decorrelation(1e-4)),
    "NP with all options": (
        ns.NP(
            1e-3,
            reward="return_to_go",
            window=10,
            resync_every=10,
            trace_decay=0.8,
            layers="separate",
            normalise=1.0,
            optimiser="adam",
            epsilon=1e-3,
        ),
        None,
    ),
}
STREAMS = {
    "perturbation of population 1": noise.PERTURBATION + 1,
    "weight perturbation of projection 0": noise.WEIGHT_PERTURBATION,
    "act_noise of population 2": noise.ACT_NOISE + 2,
}


def draws(stream):
    """Draw the first eight numbers of a stream at one step."""
    return [float(noise.normal(42, stream, 1000, 1, 3, i)) for i in range(8)]


def losses(rule, decorrelation):
    """Learn from two runs of 200 steps; give the mean loss of each 50 steps."""
    t = np.arange(200)[:, None, None]
    inputs = np.sin(0.1 * t + np.arange(3)[None, :, None])
    net = ns.rnn(1, 24, 1, decorrelate=decorrelation is not None, seed=42)
    sim = ns.Simulator(net, rule, decorrelation, batch=3, seed=42)
    found = [sim.run(inputs, np.cos(3 * inputs)).loss for _ in range(2)]
    return [float(part.mean(dtype=float)) for loss in found for part in np.split(loss, 4)]


def everything():
    """All golden numbers."""
    return {
        "draws": {name: draws(stream) for name, stream in STREAMS.items()},
        "losses": {name: losses(*run) for name, run in RUNS.items()},
    }


if __name__ == "__main__":
    PLACE.write_text(json.dumps(everything(), indent=1) + "\n")
