"""Milliseconds per learning step, as a fraction of this core's matrix multiplication.

    python benchmarks/step.py [N,BATCH ...]

Whole steps as ``Simulator.run`` executes them, on one thread, against one-thread sgemm
measured in the same process, before and after each case: only the ratio is worth quoting.
Arithmetic per step is 6 N^2 batch (two passes and an update), 14 N^2 batch with D learned.
"""

import statistics
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

import neurosim as ns

REPEATS = 5
CASES = {
    "NP": (ns.NP(1e-9), None),
    "ANP": (ns.ANP(1e-9), None),
    "DANP": (ns.ANP(1e-9), ns.Decorrelation(1e-9)),
    "WP": (ns.WP(1e-9), None),
    "WP, signs": (ns.WP(1e-9, distribution="rademacher"), None),
}


def seconds(call):
    """Run a call and give its duration."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def sgemm_rate():
    """Operations per second of a 1000 x 1000 single-precision product."""
    a = np.ones((1000, 1000), dtype=np.float32)
    return 2e9 / statistics.median(seconds(lambda: a @ a) for _ in range(REPEATS))


def step_time(rule, decorrelation, n, batch):
    """Median seconds per step, compiling and starting left out."""
    steps = max(3, int(2e8 / (20 * n * n * batch)))
    net = ns.rnn(9, n, 1, decorrelate=decorrelation is not None)
    sim = ns.Simulator(net, rule, decorrelation, batch=batch)
    data = np.random.default_rng(0).random((steps, batch, 10), dtype=np.float32)
    inputs, targets = data[..., :9], data[..., 9:]
    sim.run(inputs[:2], targets[:2])
    return (
        statistics.median(seconds(lambda: sim.run(inputs, targets)) for _ in range(REPEATS)) / steps
    )


def main(sizes):
    """Print one line per size and rule."""
    print(f"{'N':>5} {'batch':>5}  {'rule':<10} {'ms/step':>9} {'GFLOP/s':>8} {'of sgemm':>8}")
    for n, batch in sizes:
        for name, (rule, decorrelation) in CASES.items():
            before = sgemm_rate()
            took = step_time(rule, decorrelation, n, batch)
            peak = (before + sgemm_rate()) / 2
            rate = (14 if decorrelation else 6) * n * n * batch / took
            numbers = f"{took * 1e3:9.3f} {rate / 1e9:8.1f} {rate / peak:8.2f}"
            print(f"{n:5} {batch:5}  {name:<10} {numbers}", flush=True)


if __name__ == "__main__":
    given = [tuple(map(int, size.split(","))) for size in sys.argv[1:]]
    with threadpool_limits(limits=1):
        main(given or [(100, 10), (500, 1), (1000, 10)])
