"""Choices of a study, made on data held out of training: rates, and starts."""

import itertools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

import neurosim as ns
from neurosim.experiments.config import Config, parse
from neurosim.files import whole
from study.cases import TUNING, Case, Method
from study.runs import config, done

HALF = 10**0.5  # a half decade
FURTHER = 3  # no more rates are tried once there are so many beyond the first three
WORTH = 4.0  # constant or falling rates are left alone if their best is so many times the best


@dataclass(frozen=True)
class Choices:
    """A TOML file of what was chosen, by case and row."""

    path: Path

    def read(self) -> dict:
        """Give all choices made so far."""
        return tomllib.loads(self.path.read_text()) if self.path.is_file() else {}

    def keep(self, case: str, row: str, choice: dict) -> None:
        """Note a choice."""
        everything = self.read()
        everything.setdefault(case, {})[row] = choice
        with whole(self.path) as temporary:
            temporary.write_text(tomli_w.dumps(everything))


def errors_of(trials: list[tuple[tuple, Any, Config]], jobs: int, out: Path) -> dict:
    """Do runs of rows and choices; give errors by row and choice, infinite where one diverged."""
    found = done([made for *_, made in trials], jobs, out).reindex(columns=["test_mse"])
    of_rows: dict = {}
    for (row, choice, _), error in zip(trials, found["test_mse"].fillna(np.inf), strict=True):
        of_rows.setdefault(row, {}).setdefault(choice, []).append(error)
    return of_rows


def tune(cases: list[Case], choices: Choices, jobs: int, out: Path) -> None:
    """Choose rates of all rows side by side; a row whose best rate is at an edge goes on."""
    known = choices.read()
    rows = [(c, m) for c in cases for m in c.methods if m.name not in known.get(c.name, {})]
    grids = {(c.name, m.name): [m.rate / HALF, m.rate, m.rate * HALF] for c, m in rows}
    while rows:
        trials = [
            ((case.name, method.name), (rate, falls), config(case, method, rate, falls, seed, True))
            for case, method in rows
            for rate in grids[case.name, method.name]
            for falls in (False, True)
            for seed in case.tuning
        ]
        errors = errors_of(trials, jobs, out)
        rows = [row for row in rows if not settled(*row, grids, errors, choices)]


def settled(case: Case, method: Method, grids: dict, errors: dict, choices: Choices) -> bool:
    """Keep the best rate of a row; or have more tried, if the best is at an edge.

    That of the constant rates, and that of the falling ones.
    """
    key = case.name, method.name
    grid, means = grids[key], {choice: np.mean(e) for choice, e in errors[key].items()}
    (rate, falls), error = min(means.items(), key=lambda item: item[1])
    beyond = {min(grid): min(grid) / HALF, max(grid): max(grid) * HALF}
    best = {f: min(grid, key=lambda rate, f=f: means[rate, f]) for f in (False, True)}
    worth = [rate for f, rate in best.items() if means[rate, f] <= WORTH * error]
    further = {beyond[rate] for rate in worth if rate in beyond}
    if further and len(grid) < 3 + FURTHER and np.isfinite(error):
        grids[key] = sorted({*grid, *further})
        return False
    lower = {choice: mean for choice, mean in means.items() if rate / 4 < choice[0] < rate}
    if lower and min(lower.values()) <= case.close * error:
        (rate, falls), error = min(lower.items(), key=lambda item: item[1])
    choice = {"rate": float(f"{rate:.3g}"), "falls": falls, "held_out_mse": float(f"{error:.3g}")}
    choices.keep(*key, choice | {"tried": len(means)})
    print(f"{case.name}: {method.name}: {choice}", flush=True)
    return True


def starts(cases: list[Case], choices: Choices) -> None:
    """Choose starts of networks by ridge readouts, on training data held out.

    Readouts are without an intercept, which a network could not learn: without a bias its output is
    an odd function of the input.
    """
    grid = itertools.product((0.3, 0.6, 0.9, 0.99), (1.0, 3.0), (0.0, 0.3))
    found: dict = {}
    for gain, input_gain, bias in grid:
        network = {"recurrent": "orthogonal", "gain": gain, "input_gain": input_gain, "bias": bias}
        for case, seed in itertools.product(cases, TUNING):
            given = {
                "task": case.task,
                "network": {"hidden": 100, **network},
                "rule": {"name": "ANP", "learning_rate": 1e-3},
                "training": {"batch": 10, "seed": seed, "held_out": 0.2},
            }
            made = parse(given, case.name, case.name)
            error = ns.refit_readout(made.simulator(), made.shown, write=True)["test_mse"]
            found.setdefault(case.name, {}).setdefault(tuple(network.items()), []).append(error)
    for case, errors in found.items():
        best = min(errors, key=lambda network: np.mean(errors[network]))
        choices.keep("starts", case, dict(best))
        print(case, dict(best), f"{np.mean(errors[best]):.3g}")
