"""Train the rows of a table on seeds on which nothing was chosen, and print the table."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neurosim.experiments.config import Config
from neurosim.experiments.folder import Folder
from neurosim.experiments.markdown import table
from neurosim.experiments.sweep.results import POOL
from study.cases import Case, Method
from study.choices import Choices
from study.runs import config, done

REPORTING = (10, 11, 12, 13, 14)
BASELINES = {
    "baseline.ridge readout of the untrained network": "ridge",
    "baseline.ridge on lags": "lags",
}
SCORES = ["status", "test_mse", "test_accuracy", "refitted_test_mse", "untrained_test_mse"]
COSTS = ["seconds", "seconds_per_step"]


def beside(what: list[dict], configs: list[Config], jobs: int, out: Path) -> pd.DataFrame:
    """Do runs, and put what came of each beside what it is."""
    found = done(configs, jobs, out).rename(columns=BASELINES)
    passes = [made.simulator()._plan.passes for made in configs]
    scores = found.reindex(columns=["run", *SCORES, *BASELINES.values(), *COSTS])
    return pd.concat([pd.DataFrame(what).assign(passes=passes), scores], axis=1)


def report(
    cases: list[Case], choices: Choices, jobs: int, out: Path, seeds: Sequence[int] = REPORTING
) -> pd.DataFrame:
    """Train with what was chosen; rows of which nothing was are left out."""
    known = choices.read()
    rows = [
        (case, method, seed)
        for case in cases
        for method in case.methods
        if method.name in known.get(case.name, {})
        for seed in seeds
    ]
    picked = [known[case.name][method.name] for case, method, _ in rows]
    configs = [
        config(case, method, choice["rate"], choice["falls"], seed, held_out=False)
        for (case, method, seed), choice in zip(rows, picked, strict=True)
    ]
    what = [
        choice
        | {"case": case.name, "method": method.name, "seed": seed}
        | {"local": method.local, "goal": case.goal}
        for (case, method, seed), choice in zip(rows, picked, strict=True)
    ]
    frame, counts = beside(what, configs, jobs, out), []
    for (case, method, _), run, ridge in zip(rows, frame["run"], frame["ridge"], strict=True):
        history = Folder(out / POOL / run).epochs()
        of_all = updates(case, method, history["steps"].max())
        there = history.loc[history["test_mse"] < case.goal * ridge, "epoch"]
        updated = of_all * there.min() / case.epochs if len(there) else np.inf
        counts.append({"updates": of_all, "there": updated})
    return frame.join(pd.DataFrame(counts))


def updates(case: Case, method: Method, steps: int) -> int:
    """Count the changes of every weight, of a case with so many steps an epoch."""
    if not steps > 0:  # it diverged at once
        return 0
    sequence = steps // case.task.get("sequences", 1)
    rule = method.rule
    online = sequence if rule.get("schedule") == "sequence" else 1
    return case.epochs * steps // min(rule.get("window", rule.get("chunk", online)), sequence)


def number(value: float, digits: int = 2) -> str:
    """Write an error."""
    return "diverged" if not np.isfinite(value) else f"{value:.{digits}g}"


def count(value: float) -> str:
    """Write a number of updates."""
    return "never" if np.isinf(value) else f"{value:,.0f}"


def median(values: pd.Series) -> str:
    """Write the median of errors; that of a run that diverged is the greatest."""
    return number(values.fillna(np.inf).median())


def spread(values: pd.Series, digits: int = 2, centre: Callable = np.median) -> str:
    """Write the centre of errors, the least and the greatest; of runs that diverged how many."""
    fine = values[np.isfinite(values)]
    if not len(fine):
        return "diverged"
    lost = len(values) - len(fine)
    said, least, most = (number(x, digits) for x in (centre(fine), fine.min(), fine.max()))
    said = f"{said} ({least} to {most})"
    return said + (f"; {lost} of {len(values)} diverged" if lost else "")


LINEAR = {"ridge": "ridge readout, untrained", "lags": "linear regression on 24 lags"}


def overview(frame: pd.DataFrame) -> list[str]:
    """Write the test errors of all cases and methods as one table; rows are what is more."""
    cases, methods = (list(dict.fromkeys(frame[name])) for name in ("case", "method"))
    cells = {
        (case, method): median(some["test_mse"]) + part_of(some)
        for (case, method), some in frame.groupby(["case", "method"])
    }
    errors = pd.Series(cells).unstack().reindex(index=cases, columns=methods).fillna("")
    linear = frame.groupby("case")[list(LINEAR)].median().rename(columns=LINEAR)
    errors = linear.map(number).join(errors).loc[cases]
    errors = errors if len(cases) > len(methods) else errors.T
    return table(["", *errors.columns], errors.reset_index().to_numpy(), len(errors.columns) + 1)


def part_of(rows: pd.DataFrame) -> str:
    """Write on how many seeds a row has learned, where it is some of them."""
    learned = (rows["test_mse"] < rows["goal"] * rows["ridge"]).sum()
    return f", {learned}/{len(rows)}" if 0 < learned < len(rows) else ""


def markdown(frame: pd.DataFrame) -> Iterator[str]:
    """Write a table for every case."""
    for case, rows in frame.groupby("case", sort=False):
        yield f"\n**{case}**\n"
        accurate = bool(rows["test_accuracy"].notna().any())
        head = ["", "test MSE", *["accuracy"] * accurate, "readout refitted"]
        goal = f"{rows['goal'].iloc[0]:g} × ".removeprefix("1 × ")
        head += ["rate", "passes", f"updates: to {goal}ridge readout", "seconds"]
        lines = [
            [words, median(rows[name]), *[""] * (len(head) - 2)] for name, words in LINEAR.items()
        ]
        for method, some in rows.groupby("method", sort=False):
            name = method if some["local"].all() else f"*{method}* (not local)"
            rate = f"{some['rate'].iloc[0]:.2g}{', falling' * bool(some['falls'].iloc[0])}"
            lines.append([
                name,
                spread(some["test_mse"]),
                *[f"{some['test_accuracy'].median():.3f}"] * accurate,
                median(some["refitted_test_mse"]),
                rate,
                some["passes"].iloc[0],
                f"{some['updates'].max():,}: {count(some['there'].median())}",
                f"{some['seconds'].median():.2g}",
            ])  # fmt: skip
        yield from table(head, lines, len(head))
