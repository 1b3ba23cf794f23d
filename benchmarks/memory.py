"""Peak memory and time of training against the length of the sequence: local rule and full BPTT.

    python benchmarks/memory.py [--hidden N] [--steps T ...] [--out memory.png]

Each row is a fresh process that trains once on one sequence. "above baseline" subtracts the
peak that the same process has with a sequence of two steps: interpreter, imports, compiled
code. One replica, one input and one output, so that the data are small; with a local rule
they and the run's `Record` are all that grows, 44 bytes a step, and nothing does where a
sequence is learned from piece by piece as it comes in. Times are of learning alone, on one
thread, the shortest of some processes.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

LENGTHS = (1000, 3000, 10_000, 30_000, 100_000)
BASELINE = 2  # steps
PIECE = 1000  # steps
LEAST = 0.1  # MB; processes that do the same differ by as much
REPEATS = 3
RATE = 1e-3


def data(steps, seed=1):
    """Inputs and targets of one replica."""
    return np.random.default_rng(seed).random((2, steps, 1, 1), dtype=np.float32)


def simulator(hidden):
    """A network that learns online by a local rule, everything compiled."""
    import neurosim as ns

    sim = ns.Simulator(ns.rnn(1, hidden, 1), ns.ANP(learning_rate=1e-9))
    sim.run(*data(BASELINE))
    return sim


def train_neurosim(steps, hidden):
    """Learn from the whole sequence in one run; return the seconds it took."""
    sim, given = simulator(hidden), data(steps)
    start = time.perf_counter()
    sim.run(*given)
    return time.perf_counter() - start


def train_in_pieces(steps, hidden):
    """Learn from a sequence as it comes in: pieces of one give the same weights as the whole."""
    sim, seconds = simulator(hidden), 0.0
    for first in range(0, steps, PIECE):
        given = data(min(PIECE, steps - first), seed=first)
        start = time.perf_counter()
        sim.run(*given, reset=False)
        seconds += time.perf_counter() - start
    return seconds


def train_bptt(steps, hidden):
    """Take one step down the gradient of the whole sequence."""
    from neurosim import bptt, rnn

    weights, given = rnn(1, hidden, 1).initial_weights(), data(steps)
    start = time.perf_counter()
    _, gradients = bptt.gradients(weights, *given)
    bptt.SGD(weights, dict.fromkeys(gradients, RATE)).step(weights, gradients)
    return time.perf_counter() - start


METHODS = {
    "neurosim": train_neurosim,
    f"neurosim, {PIECE} at a time": train_in_pieces,
    "full BPTT": train_bptt,
}


def train_here(method, hidden, steps):
    """Train in this process; give its peak in bytes, and seconds per step."""
    with threadpool_limits(limits=1):
        seconds = METHODS[method](steps, hidden)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, seconds / steps


def train(method, hidden, steps, repeats):
    """The same of fresh processes: the median peak in MB, the least microseconds."""
    command = [sys.executable, __file__, "--only", method, "--hidden", str(hidden)]
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [*command, "--steps", str(steps)], check=True, stdout=subprocess.PIPE, text=True
        )
        found.append([float(word) for word in done.stdout.split()])
    peaks, seconds = zip(*found, strict=True)
    return float(np.median(peaks)) / 1e6, min(seconds) * 1e6


def measure(hidden, lengths, repeats):
    """Peaks in MB and microseconds per step by method, those of the baseline first."""
    found = {}
    for method in METHODS:
        train(method, hidden, BASELINE, 1)  # what is compiled now is loaded from disk later
        rows = [train(method, hidden, steps, repeats) for steps in (BASELINE, *lengths)]
        found[method] = tuple(zip(*rows, strict=True))
    return found


def show(found, lengths):
    """Print a table. What two steps take says nothing about a step."""
    print(f"{'':>8}" + "".join(f"{method:>38}" for method in found))
    print(f"{'steps':>8}" + f"{'peak MB':>10}{'above baseline':>16}{'us a step':>12}" * len(found))
    for k, steps in enumerate((BASELINE, *lengths)):
        line = f"{steps:8}"
        for mb, us in found.values():
            above = round(mb[k] - mb[0], 1) + 0.0
            line += f"{mb[k]:10.1f}{above:16.1f}" + (f"{us[k]:12.1f}" if k else f"{'-':>12}")
        print(line)


def draw(found, lengths, hidden, path):
    """Draw what is above the baseline, on log-log axes, and the time a step."""
    # Only now: a process started by a large one would report the large one's peak as its own.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    memory, pace = figure.subplots(1, 2)
    for method, (mb, us) in found.items():
        memory.loglog(lengths, [max(m - mb[0], LEAST) for m in mb[1:]], "o-", label=method)
        pace.semilogx(lengths, us[1:], "o-", label=method)
    memory.set_ylabel(f"peak memory above baseline (MB, ≥ {LEAST})")
    pace.set_ylabel("time a step while learning (µs)")
    pace.set_ylim(bottom=0)
    for axes in (memory, pace):
        axes.set_xlabel("steps of the sequence")
    memory.legend()
    figure.suptitle(f"ANP online and full BPTT, {hidden} neurons, one replica")
    figure.savefig(path, dpi=150)


def main():
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=100, metavar="N")
    parser.add_argument("--steps", type=int, nargs="+", default=LENGTHS, metavar="T")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="processes per row")
    parser.add_argument("--out", metavar="FILE", help="a figure, .png or .svg")
    parser.add_argument("--only", choices=METHODS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(*train_here(given.only, given.hidden, given.steps[0]))
        return
    found = measure(given.hidden, given.steps, given.repeats)
    show(found, given.steps)
    if given.out:
        draw(found, given.steps, given.hidden, given.out)


if __name__ == "__main__":
    main()
