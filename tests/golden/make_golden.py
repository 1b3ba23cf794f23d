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
CHIP = ns.Substrate(  # everything at once
    act_noise=0.02, act_telegraph=0.02, act_flicker=0.02, mismatch_gain=0.1, mismatch_offset=0.1,
    mismatch_tau=0.1, act_read_noise=0.01, act_bits=10, w_read_noise=0.01, w_read_relative=0.01,
    w_max=3.0, asymmetry=0.1, soft_bounds=1.0, c2c=0.1, d2d=0.1, w_write_noise=1e-5,
    stuck_fraction=0.1, drift_nu=(0.01, 0.02), leak_tau=1000.0, diffusion=1e-4, event_loss=0.05,
    event_jitter=0.05, event_bits=12, reward_noise=0.1, reward_bits=8, reward_delay=2,
    reward_loss=0.1, seed=7,
)  # fmt: skip
ON_CHIPS = {
    "ANP on a chip with everything": (ns.ANP(1e-3), None, CHIP),
    "two noisy passes": (
        ns.ANP(1e-3, noise_std=0, passes="both"),
        None,
        ns.Substrate(act_noise=1e-3),
    ),
}
RUNS |= ON_CHIPS
STREAMS = {
    "perturbation of population 1": noise.PERTURBATION + 1,
    "weight perturbation of projection 0": noise.WEIGHT_PERTURBATION,
    "act_noise of population 2": noise.ACT_NOISE + 2,
    "flicker of population 1": noise.FLICKER + 1,
    "reading a of population 1": noise.ACT_READ + 1,
    "reading x of population 1": noise.FIRED_READ + 1,
    "reading s of population 0": noise.SENT_READ,
    "mismatch_gain of population 1": noise.MISMATCH_GAIN + 1,
    "mismatch_offset of population 1": noise.MISMATCH_OFFSET + 1,
    "mismatch_tau of population 1": noise.MISMATCH_TAU + 1,
    "w_read_noise of matrix 2": noise.W_READ + 2,
    "w_read_relative of matrix 2": noise.W_READ_RELATIVE + 2,
    "c2c of matrix 1": noise.C2C + 1,
    "d2d of matrix 1": noise.D2D + 1,
    "w_write_noise of matrix 1": noise.W_WRITE + 1,
    "diffusion of matrix 3": noise.DIFFUSION + 3,
    "reward_noise, step by step": noise.REWARD_NOISE,
    "reward_noise, of episodes": noise.REWARD_NOISE + 1,
    "act_noise of population 2, looked at": noise.EVALUATION + noise.ACT_NOISE + 2,
}
UNIFORM = {
    "telegraph of population 1": noise.TELEGRAPH + 1,
    "telegraph's start of population 1": noise.TELEGRAPH_START + 1,
    "pulses of matrix 1": noise.PULSES + 1,
    "rounding of matrix 1": noise.ROUNDING + 1,
    "stuck of matrix 1": noise.STUCK + 1,
    "drift of matrix 1": noise.DRIFT + 1,
    "event_loss of matrix 0": noise.EVENT_LOSS,
    "event_jitter of matrix 0": noise.EVENT_JITTER,
    "reward_loss, step by step": noise.REWARD_LOSS,
    "reward_loss, of episodes": noise.REWARD_LOSS + 1,
}


def draws(name):
    """Draw the first eight numbers of a stream at one step."""
    function = noise.normal if name in STREAMS else noise.uniform
    stream = (STREAMS | UNIFORM)[name]
    return [float(function(42, stream, 1000, 1, 3, i)) for i in range(8)]


def losses(rule, decorrelation, substrate=None):
    """Learn from two runs of 200 steps; give the mean loss of each 50 steps."""
    t = np.arange(200)[:, None, None]
    inputs = np.sin(0.1 * t + np.arange(3)[None, :, None])
    net = ns.rnn(1, 24, 1, decorrelate=decorrelation is not None, seed=42)
    sim = ns.Simulator(net, rule, decorrelation, substrate, batch=3, seed=42)
    found = [sim.run(inputs, np.cos(3 * inputs)).loss for _ in range(2)]
    return [float(part.mean(dtype=float)) for loss in found for part in np.split(loss, 4)]


def everything():
    """All golden numbers."""
    return {
        "draws": {name: draws(name) for name in STREAMS | UNIFORM},
        "losses": {name: losses(*run) for name, run in RUNS.items()},
    }


if __name__ == "__main__":
    PLACE.write_text(json.dumps(everything(), indent=1) + "\n")
