"""What came of the rows of a table, on seeds on which nothing was chosen; as a table."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from neurosim.experiments.folder import Folder
from neurosim.experiments.sweep.results import POOL
from study.cases import Case, Method
from study.choices import Choices
from study.runs import config, done

REPORTING = (10, 11, 12, 13, 14)
SCORES = ["status", "test_mse", "test_accuracy", "refitted_test_mse", "untrained_test_mse"]
PART = 0.1  # of the error of the ridge readout: how many updates until there
RIDGE = "baseline.ridge readout of the untrained network"


def report(cases: list[Case], choices: Choices, jobs: int, out: Path) -> pd.DataFrame:
    """Train with what was chosen; rows of which nothing was are left out."""
    known = choices.read()
    rows = [
        (case, method, seed)
        for case in cases
        for method in case.methods
        if method.name in known.get(case.name, {})
        for seed in REPORTING
    ]
    picked = [known[case.name][method.name] for case, method, _ in rows]
    configs = [
        config(case, method, choice["rate"], choice["falls"], seed, held_out=False)
        for (case, method, seed), choice in zip(rows, picked, strict=True)
    ]
    found = done(configs, jobs, out).rename(columns={RIDGE: "ridge"})
    found = found.reindex(columns=["run", *SCORES, "ridge", "seconds"])
    what = []
    for k, (case, method, seed) in enumerate(rows):
        history = Folder(out / POOL / found["run"][k]).epochs()
        of_all = updates(case, method, history["steps"].max())
        there = history.loc[history["test_mse"] < PART * found["ridge"][k], "epoch"]
        what.append(
            {"case": case.name, "method": method.name, "seed": seed, "local": method.local}
            | picked[k]
            | {
                "passes": configs[k].simulator()._plan.passes,
                "updates": of_all,
                "there": of_all * there.min() / case.epochs if len(there) else np.inf,
            }
        )
    return pd.concat([pd.DataFrame(what), found.drop(columns="run")], axis=1)


def updates(case: Case, method: Method, steps: int) -> int:
    """Count the changes of every weight, of a case with so many steps an epoch."""
    if not steps > 0:  # it diverged at once
        return 0
    sequence = steps // case.task.get("sequences", 1)
    rule = method.rule
    online = sequence if rule.get("schedule") == "sequence" else 1
    return case.epochs * steps // min(rule.get("window", rule.get("chunk", online)), sequence)


def number(value: float) -> str:
    """Write an error."""
    return "diverged" if not np.isfinite(value) else f"{value:.2g}"


def count(value: float) -> str:
    """Write a number of updates."""
    return "never" if np.isinf(value) else f"{value:,.0f}"


def spread(values: pd.Series) -> str:
    """Write a mean, with the least and the greatest; of runs that diverged how many."""
    fine = values[np.isfinite(values)]
    if not len(fine):
        return "diverged"
    lost = len(values) - len(fine)
    said = f"{number(fine.mean())} ({number(fine.min())} to {number(fine.max())})"
    return said + (f"; {lost} of {len(values)} diverged" if lost else "")


def markdown(frame: pd.DataFrame) -> Iterator[str]:
    """Write a table for every case."""
    for case, rows in frame.groupby("case", sort=False):
        yield f"\n**{case}**\n"
        accurate = bool(rows["test_accuracy"].notna().any())
        head = ["", "test MSE", *["accuracy"] * accurate, "readout refitted"]
        head += ["rate", "passes", "updates: to a tenth of ridge's", "seconds"]
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        ridge = [number(rows["ridge"].mean()), *[""] * accurate, "", "", "1", "", ""]
        yield f"| ridge readout of the untrained network | {' | '.join(ridge)} |"
        for method, some in rows.groupby("method", sort=False):
            name = method if some["local"].all() else f"*{method}* (not local)"
            rate = f"{some['rate'].iloc[0]:.2g}{', falling' * bool(some['falls'].iloc[0])}"
            cells = [
                spread(some["test_mse"]),
                *[f"{some['test_accuracy'].mean():.3f}"] * accurate,
                number(some["refitted_test_mse"].mean()),
                rate,
                str(some["passes"].iloc[0]),
                f"{some['updates'].max():,}: {count(some['there'].median())}",
                f"{some['seconds'].median():.2g}",
            ]
            yield f"| {name} | {' | '.join(cells)} |"
