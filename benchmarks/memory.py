"""Peak memory of training against the length of the sequence: local rule and full BPTT.

    python benchmarks/memory.py [--hidden N] [--steps T ...] [--out memory.png]

Each number is the largest resident set of a fresh process that runs one training step on one
sequence. "above baseline" subtracts what the same process takes for a sequence of two steps:
interpreter, imports, compiled code. One replica, one input and one output, so that the data
are small; with a local rule they and the run's `Record` are all that grows, 44 bytes a step,
and nothing does where a sequence is learned from piece by piece as it comes in.
"""

import argparse
import resource
import subprocess
import sys

import numpy as np
from threadpoolctl import threadpool_limits

LENGTHS = (1000, 3000, 10_000, 30_000, 100_000)
BASELINE = 2  # steps
PIECE = 1000  # steps
LEAST = 0.1  # MB; processes that do the same differ by as much


def data(steps, seed=1):
    """Inputs and targets of one replica."""
    return np.random.default_rng(seed).random((2, steps, 1, 1), dtype=np.float32)


def simulator(hidden):
    """A network that learns online by a local rule."""
    import neurosim as ns

    return ns.Simulator(ns.rnn(1, hidden, 1), ns.ANP(learning_rate=1e-9))


def train_neurosim(steps, hidden):
    """Learn from the whole sequence in one run."""
    simulator(hidden).run(*data(steps))


def train_in_pieces(steps, hidden):
    """Learn from a sequence as it comes in: pieces of one give the same weights as the whole."""
    sim = simulator(hidden)
    for start in range(0, steps, PIECE):
        sim.run(*data(min(PIECE, steps - start), seed=start), reset=False)


def train_bptt(steps, hidden):
    """Take one step down the gradient of the whole sequence."""
    generator = np.random.default_rng(0)
    shapes = {"A": (hidden, 1), "R": (hidden, hidden), "B": (1, hidden)}
    weights = {
        name: (generator.standard_normal(shape) * np.sqrt(2 / sum(shape))).astype(np.float32)
        for name, shape in shapes.items()
    }
    _, gradients = bptt(weights, *data(steps))
    for name, gradient in gradients.items():
        weights[name] -= 1e-9 * gradient


def bptt(weights, inputs, targets):
    """Loss, the mean over steps of the summed squared error, and its gradient."""
    A, R, B = weights["A"], weights["R"], weights["B"]
    steps, batch, _ = inputs.shape
    x = np.zeros((steps + 1, batch, len(R)), dtype=R.dtype)  # x[0] is rest
    for t in range(steps):
        x[t + 1] = np.tanh(inputs[t] @ A.T + x[t] @ R.T)
    error = x[1:] @ B.T - targets

    gradients = {name: np.zeros_like(w) for name, w in weights.items()}
    later = np.zeros_like(x[0])  # dloss / dx_t, by way of later steps
    for t in reversed(range(steps)):
        dy = 2 * error[t] / (steps * batch)
        da = (dy @ B + later) * (1 - x[t + 1] ** 2)
        gradients["A"] += da.T @ inputs[t]
        gradients["R"] += da.T @ x[t]
        gradients["B"] += dy.T @ x[t + 1]
        later = da @ R
    return (error**2).sum() / (steps * batch), gradients


METHODS = {
    "neurosim": train_neurosim,
    f"neurosim, {PIECE} at a time": train_in_pieces,
    "full BPTT": train_bptt,
}


def peak_here(method, hidden, steps):
    """Train in this process, and give its peak in bytes."""
    with threadpool_limits(limits=1):
        METHODS[method](steps, hidden)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak(method, hidden, steps):
    """Peak in bytes of a fresh process."""
    command = [sys.executable, __file__, "--only", method, "--hidden", str(hidden)]
    done = subprocess.run(
        [*command, "--steps", str(steps)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout)


def measure(hidden, lengths):
    """Peaks in MB by method, those of the baseline first."""
    found = {}
    for method in METHODS:
        peak(method, hidden, BASELINE)  # what is compiled now is loaded from disk later
        found[method] = [peak(method, hidden, steps) / 1e6 for steps in (BASELINE, *lengths)]
    return found


def show(found, lengths):
    """Print a table."""
    print(f"{'':>8}" + "".join(f"{method:>26}" for method in found))
    print(f"{'steps':>8}" + f"{'peak MB':>10}{'above baseline':>16}" * len(found))
    for k, steps in enumerate((BASELINE, *lengths)):
        cells = [f"{mb[k]:10.1f}{round(mb[k] - mb[0], 1) + 0.0:16.1f}" for mb in found.values()]
        print(f"{steps:8}" + "".join(cells))


def draw(found, lengths, hidden, path):
    """Draw what is above the baseline, on log-log axes."""
    # Only now: a process started by a large one would report the large one's peak as its own.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    for method, mb in found.items():
        axes.loglog(lengths, [max(m - mb[0], LEAST) for m in mb[1:]], "o-", label=method)
    axes.set(xlabel="steps of the sequence", ylabel=f"peak memory above baseline (MB, ≥ {LEAST})")
    axes.set_title(f"ANP online, {hidden} neurons, one replica")
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=100, metavar="N")
    parser.add_argument("--steps", type=int, nargs="+", default=LENGTHS, metavar="T")
    parser.add_argument("--out", metavar="FILE", help="a figure, .png or .svg")
    parser.add_argument("--only", choices=METHODS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(peak_here(given.only, given.hidden, given.steps[0]))
        return
    found = measure(given.hidden, given.steps)
    show(found, given.steps)
    if given.out:
        draw(found, given.steps, given.hidden, given.out)


if __name__ == "__main__":
    main()
