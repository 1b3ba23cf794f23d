"""Whether what is timed computes the right numbers, on the device that it is timed on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import gpu_graph
from .gpu_device import Host
from .gpu_problem import RULES, Problem, find

N_IN, N_OUT, BATCH = 3, 2, 3
# As tests/engines/agreement.py: of the largest change, and of the largest weight at every step.
ROUNDING, STORING = 3e-4, 6e-8
PEER_ROUNDING, PEER_STORING = 1e-4, 3e-7  # as tests/test_peers.py
ROOT = Path(__file__).parents[2]
Result = dict[str, Any]


def plans() -> dict[str, tuple[Any, bool]]:
    """Rules by name, and whether D learns as well; those that tell most come first."""
    import neurosim as ns

    later = {"reward": "return_to_go", "window": 4, "pairs": 2}
    rules = {
        "NP": ns.NP(1e-3, 1e-2),
        "ANP": ns.ANP(1e-3, 1e-2),
        "WP": ns.WP(1e-4, 1e-2),
        "NP, 2 pairs, window 4": ns.NP(1e-3, 1e-2, **later),
        "ANP, both noisy": ns.ANP(1e-3, 1e-2, passes="both"),
        "NP, signs, Adam": ns.NP(1e-3, 1e-2, distribution="rademacher", optimiser="adam"),
    }
    first = ["NP", "DANP", "WP", "NP, 2 pairs, window 4"]
    found = {("D" * d) + name: (rule, bool(d)) for name, rule in rules.items() for d in (0, 1)}
    return {name: found[name] for name in sorted(found, key=lambda name: name not in first)}


def engines(
    one: str, other: str, hidden: int, steps: int, most: int | None = None
) -> Iterator[tuple[str, Result]]:
    """Run plans on two engines, and compare all that they report.

    Parameters
    ----------
    one, other : str
    hidden : int
        Neurons; a number that no warp or tile divides finds the most.
    steps : int
    most : int, optional
        So many plans only.

    Yields
    ------
    name : str
        Of a plan.
    result : dict
        Whether all is ``identical``; the ``largest_difference`` of anything; ``of_allowed``,
        the largest difference by what the engines' tests allow between float32 and float64
        over nine steps, so at most 1 is fine; or the ``reason`` of a failure.
    """
    for name, (rule, decorrelated) in list(plans().items())[:most]:
        try:
            yield name, _compare((one, other), rule, decorrelated, hidden, steps)
        except Exception as error:  # the others still say something
            yield name, {"reason": f"{type(error).__name__}: {error}"}


def _compare(
    engines: tuple[str, str], rule: Any, decorrelated: bool, hidden: int, steps: int
) -> Result:
    import neurosim as ns

    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(steps, BATCH, N_IN))
    targets = generator.normal(size=(steps, BATCH, N_OUT))
    net = ns.rnn(N_IN, hidden, N_OUT, decorrelate=decorrelated, seed=2)
    decorrelation = ns.Decorrelation(1e-3) if decorrelated else None
    sides = []
    for engine in engines:
        sim = ns.Simulator(net, rule, decorrelation, batch=BATCH, engine=engine, seed=11)
        start = sim.weights
        record = sim.run(inputs, targets, outputs=True)
        sides.append((sim.weights, record))
    (weights, record), (expected, reference) = sides
    pairs = [(record.loss, reference.loss), (record.outputs, reference.outputs)]
    pairs += [(values, reference.reward[name]) for name, values in record.reward.items()]
    worst = Worst()
    for got, wanted in pairs:
        worst.look(got, wanted, ROUNDING * np.abs(wanted).max())
    for name, wanted in expected.items():
        change = np.abs(wanted.astype(float) - start[name]).max()
        allowed = ROUNDING * change + STORING * steps * np.abs(wanted).max()
        worst.look(weights[name], wanted, allowed)
    return worst.result()


class Worst:
    """The largest differences met so far."""

    def __init__(self) -> None:
        self.identical, self.difference, self.share = True, 0.0, 0.0

    def look(self, got: Any, wanted: Any, allowed: float) -> None:
        """Compare two arrays. What is not finite is as far away as can be."""
        self.identical &= np.array_equal(got, wanted)
        difference = float(np.abs(np.asarray(got, dtype=float) - wanted).max())
        difference = difference if np.isfinite(difference) else float("inf")  # NaN is not close
        self.difference = max(self.difference, difference)
        if difference:
            self.share = max(self.share, float(np.divide(difference, allowed)))

    def result(self) -> Result:
        """All of it as plain numbers."""
        return {
            "identical": bool(self.identical),
            "largest_difference": self.difference,
            "of_allowed": self.share,
        }


def peers(names: Sequence[str], where: Mapping[str, Any] = {}, steps: int = 5) -> dict[str, Result]:
    """Run peers on the noise they are given, and compare with the same steps in NumPy.

    What NumPy makes of them equals neurosim's oracle: ``tests/test_gpu_benchmark.py``.
    """
    found: dict[str, Result] = {}
    for name in names:
        try:
            find(name, name not in where)
        except ImportError as error:
            found[name] = {"reason": str(error)}
            continue
        for key in [d + rule for rule in RULES for d in ("", "D")]:
            given = problem(key.removeprefix("D"), key.startswith("D"), steps)
            try:
                found[f"{name}, {key}"] = _peer(name, given, where)
            except Exception as error:  # the others still say something
                found[f"{name}, {key}"] = {"reason": f"{type(error).__name__}: {error}"}
    return found


def _peer(name: str, given: Problem, where: Mapping[str, Any]) -> Result:
    exact = gpu_graph.Peer(given, Host())
    place = [where[name]] if name in where else []
    peer = find(name, not place).Peer(given, *place)
    for each in (exact, peer):
        each.run()
    worst = Worst()
    worst.look(peer.loss, exact.loss, 1e-3 * np.abs(exact.loss).max())
    for key, wanted in exact.weights.items():
        change = np.abs(wanted - given.weights[key]).max()
        allowed = PEER_ROUNDING * change + PEER_STORING * len(given.inputs)
        worst.look(peer.weights[key], wanted, allowed)
    return worst.result()


def problem(rule: str, decorrelated: bool, steps: int, n_out: int = 1) -> Problem:
    """A problem in which weights change a lot, with its noise."""
    generator = np.random.default_rng(5)
    n, batch, n_in = 24, 3, 3
    shapes = {"A": (n, n_in), "R": (n, n), "B": (n_out, n)}
    weights = {k: generator.normal(size=v) / np.sqrt(v[1]) for k, v in shapes.items()}
    if decorrelated:
        weights["D"] = np.eye(n) + 0.1 * generator.normal(size=(n, n))
    noise = {"hidden": (steps, batch, n), "output": (steps, batch, n_out)}
    if rule == "WP":
        noise = {name: (steps, *shape) for name, shape in shapes.items()}
    return Problem(
        weights=weights,
        rule=rule,
        learning_rate=0.01,
        noise_std=0.1,
        decorrelation_rate=0.01,
        inputs=generator.normal(size=(steps, batch, n_in)),
        targets=generator.normal(size=(steps, batch, n_out)),
        noise={name: generator.normal(size=shape) for name, shape in noise.items()},
    )


def tests(say: Callable[[str], None]) -> Result:
    """Run the tests of the cuda engine, of which those that need a GPU skip elsewhere."""
    folder = ROOT / "tests" / "engines"
    files = sorted(str(path) for path in folder.glob("test_*.py") if "cuda" in path.name)
    if not files:
        return {"reason": f"no test of the cuda engine in {folder}"}
    say(f"{len(files)} files of tests")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-o", "addopts=", *files]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired:
        return {"reason": "took longer than 15 minutes"}
    lines = (done.stdout or done.stderr).strip().splitlines() or ["no output"]
    return {"passed": done.returncode == 0, "summary": lines[-1], "tail": lines[-30:]}
