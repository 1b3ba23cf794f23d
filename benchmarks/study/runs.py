"""Configs of the rows of a table, and their runs, each done once and kept."""

from pathlib import Path

import pandas as pd

import neurosim as ns
from neurosim.errors import NeurosimError
from neurosim.experiments.config import Config, parse
from neurosim.experiments.sweep.board import Board
from neurosim.experiments.sweep.runs import FAILED, Run
from neurosim.experiments.sweep.sweep import Sweep, Workers
from study.cases import Case, Method


def config(case: Case, method: Method, rate: float, falls: bool, seed: int, held_out: bool):
    """Write the config of a row."""
    learns = {"name": "Cosine", "start": rate, "over": case.epochs} if falls else rate
    given = {
        "task": case.task,
        "network": case.network,
        "rule": {
            **method.rule,
            "learning_rate": dict.fromkeys(method.only, learns) if method.only else learns,
        },
        "training": {"epochs": case.epochs, "batch": case.batch, "seed": seed},
        "baselines": {"enabled": not held_out},
        "substrate": case.substrate,
    }
    if held_out:
        given["training"]["held_out"] = 0.2
    if method.decorrelation is not None:
        given["decorrelation"] = method.decorrelation
    return parse(given, case.name, f"{case.name}, {method.name}")


def done(configs: list[Config], jobs: int, out: Path) -> pd.DataFrame:
    """Do runs that are not done, and give a row for every config, as `ns.load_results` has it.

    Raises
    ------
    NeurosimError
        If one failed, for another reason than that its numbers blew up; all others are done then.
    """
    runs = [Run(config) for config in configs]
    unlike = list({run.name: run for run in runs}.values())
    epochs = sum(run.config.training.epochs for run in unlike)
    with Workers(jobs) as workers, Board("study", len(unlike), epochs) as board:
        outcomes = Sweep(unlike, out).run(workers, board.seen, board.reached)
    for outcome in outcomes:
        if outcome.status == FAILED:
            raise NeurosimError(f"{outcome.run.config.where}: {outcome.reason}")
    rows = ns.load_results(out, costs=True).set_index("run")
    return rows.loc[[run.name for run in runs]].reset_index()
