"""Compare methods that stay local with the paper's rule, each with its own best learning rates.

    python benchmarks/improvements.py tune   [--task NAME ...] [--method TEXT ...] [--jobs 2]
    python benchmarks/improvements.py report [--task NAME ...] [--method TEXT ...] [--jobs 2]
    python benchmarks/improvements.py ridge  [--task NAME ...]

`tune` picks learning rates on seeds 1 and 2, by the error on data held out of training: first the
readout's with the hidden layer's smallest, then the hidden layer's, then decorrelation's. It writes
them to improvements.toml beside this file, and leaves those alone that are there (delete one to
tune it again).
Held out is a fifth in the middle of the weather, and elsewhere data drawn apart; the rates that are
there now were chosen by the last fifth of a series, of Mackey-Glass too.
`report` trains with them on seeds 10 to 14, which no rate was chosen on, and prints the table
of test errors. A seed is that of the network, the noise and, where the data are drawn, the data.
`ridge` has no rates: it is the ridge readout of each start, untrained, on the same seeds: the best
that any linear readout of that network can do.

Runs are kept in the folder that --out names (`study` by default) and done once; Ctrl-C loses an
epoch at most. The rows of the last report are there too, as improvements.parquet. A method is a few
tables of a config (study/methods.py). The weather needs the environment variable NEUROSIM_DATA,
the folder that holds WTH.csv.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from study.cases import TUNING
from study.choices import Choices, errors_of
from study.methods import METHODS, RATES_OF, STAGES, STARTS, TASKS, WEATHER, Method
from study.results import REPORTING, beside, spread

import neurosim as ns
from neurosim.experiments.config import Config, parse
from neurosim.experiments.markdown import table

CHOSEN = Choices(Path(__file__).with_suffix(".toml"))


def config(task: str, method: Method, rates: dict, seed: int, held_out: bool) -> Config:
    """Write the config of a method with its rates, by stage."""
    shown, epochs = TASKS[task]
    if method.start == "suited" and task in WEATHER:
        shown = {**shown, "centre_inputs": True}
    network = {"hidden": 100, **STARTS[method.start][task], **method.network}
    rate = {"B": rates["readout"]}
    if "hidden" in rates:
        onto_hidden = ("A", "R", "b") if "bias" in network else ("A", "R")
        rate |= dict.fromkeys(onto_hidden, rates["hidden"])
    given = {
        "task": shown,
        "network": network,
        "rule": {**method.rule, "learning_rate": rates["readout"] if method.joint else rate},
        "training": {"epochs": epochs, "batch": 10, "seed": seed},
        "baselines": {"enabled": False},
    }
    if held_out:
        given["training"]["held_out"] = 0.2
    if method.decorrelation is not None:
        given["decorrelation"] = {**method.decorrelation, "learning_rate": rates["decorrelation"]}
    return parse(given, task, f"{task}, {method.name}")


def tune(rows: list[tuple[str, Method]], jobs: int, out: Path) -> None:
    """Choose rates one after the other, each by its mean error; those of all rows side by side."""
    rates = {(t, m.name): {s: grid[0] for s, grid in m.grids.items() if grid} for t, m in rows}
    for stage in STAGES:
        trials = [
            (key, rate, config(task, method, {**rates[key], stage: rate}, seed, held_out=True))
            for task, method in rows
            for key in [(task, method.name)]
            for rate in method.grids[stage]
            for seed in TUNING
        ]
        for key, found in errors_of(trials, jobs, out).items():
            rates[key][stage] = min(found, key=lambda rate: np.mean(found[rate]))
    for (task, name), found in rates.items():
        CHOSEN.keep(task, name, found)
        print(f"{task}: {name}: {found}", flush=True)


def report(rows: list[tuple[str, Method]], jobs: int, out: Path) -> pd.DataFrame:
    """Train with what was chosen."""
    known = chosen()
    runs = [(task, m, known[task][m.name], seed) for task, m in rows for seed in REPORTING]
    configs = [config(*run, held_out=False) for run in runs]
    what = [{"task": task, "method": m.name, "seed": seed} | rates for task, m, rates, seed in runs]
    return beside(what, configs, jobs, out)


def chosen() -> dict:
    """Give the rates chosen so far, by task and method."""
    known = CHOSEN.read()
    return {task: known.get(RATES_OF.get(task, task), {}) for task in TASKS}


def markdown(frame: pd.DataFrame) -> Iterator[str]:
    """Write a table for every task, the best method first."""
    methods = {method.name: method for method in METHODS}
    for task, rows in frame.groupby("task", sort=False):
        recalls = task == "copying"
        head = ["method", "test MSE (least to greatest)", *["recall"] * recalls, "rates"]
        head += ["broadcast per step", "passes", "ms/step"]
        cells = []
        means = rows["test_mse"].fillna(np.inf).groupby(rows["method"]).mean()
        for name in means.sort_values().index:
            some, method = rows[rows["method"] == name], methods[name]
            used = some.iloc[0].reindex(STAGES).dropna()
            cells.append([
                name if method.local else f"*{name}* (not local)",
                spread(some["test_mse"], digits=3, centre=np.mean),
                *[f"{some['test_accuracy'].mean():.3f}"] * recalls,
                "; ".join(f"{stage} {rate:g}" for stage, rate in used.items()),
                method.broadcast,
                some["passes"].iloc[0],
                f"{1e3 * some['seconds_per_step'].median():.2g}",
            ])  # fmt: skip
        yield from (f"\n### {task}\n", *table(head, cells, len(head)))


def ridge(tasks: list[str]) -> None:
    """Print the ridge readouts of the untrained networks, from either start."""
    for task in tasks:
        for start in STARTS:
            method = next(m for m in METHODS if m.start == start)
            made = [config(task, method, {"readout": 1e-2}, seed, False) for seed in REPORTING]
            epochs = 20 if task == "copying" else 1  # elsewhere all epochs show the same
            rows = [ns.refit_readout(m.simulator(), m.shown, epochs=epochs) for m in made]
            found = pd.DataFrame(rows)
            said = spread(found["test_mse"], digits=3, centre=np.mean)
            recall = f", recall {found['test_accuracy'].mean():.3f}" if task == "copying" else ""
            print(f"{task}, {start} start: {said}{recall}", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["tune", "report", "ridge"])
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--method", action="append", help="part of a name; repeatable")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("study"), help="the folder of all runs")
    given = parser.parse_args()
    tasks, parts, known = given.task or list(TASKS), given.method or [""], chosen()
    rows = [(task, m) for task in tasks for m in METHODS if task in m.only]
    rows = [(task, m) for task, m in rows if any(part in m.name for part in parts)]
    if given.what == "ridge":
        ridge(tasks)
    elif given.what == "tune":
        new = [(task, m) for task, m in rows if task not in RATES_OF and m.name not in known[task]]
        tune(new, given.jobs, given.out)
    elif rows := [(task, m) for task, m in rows if m.name in known[task]]:
        frame = report(rows, given.jobs, given.out)
        frame.to_parquet(given.out / "improvements.parquet", index=False)
        print(*markdown(frame), sep="\n")
    else:
        parser.error("no rates are chosen for any of these methods yet: see tune")


if __name__ == "__main__":
    main()
