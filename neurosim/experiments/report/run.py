"""The page of one run."""

from __future__ import annotations

from collections.abc import Iterable

from neurosim.errors import CheckpointError
from neurosim.experiments import figures, summary
from neurosim.experiments.markdown import block, code, plain
from neurosim.experiments.report import costs
from neurosim.experiments.report.kept import Kept
from neurosim.experiments.report.page import Page, Picture
from neurosim.experiments.sweep.runs import FINISHED
from neurosim.experiments.written import Written


def page(run: Kept) -> Page:
    """Write and draw everything there is to say about a run."""
    config, pictures = run.config, {}
    lines = [headline(run), "", *state(run)]
    lines += ["", "## Errors", "", *_errors(run)]
    if run.history.epoch:
        pictures["learning"] = Picture.drawn(
            lambda narrow: figures.learning_curve(run.history, run.baselines, narrow)
        )
        lines += ["", "## Learning", "", "![Error over epochs](learning)"]
    lines += ["", "## Predictions", ""]
    if run.missing:
        lines.append(f"None: {plain(run.missing)}.")
    else:
        pictures["predictions"] = predictions(run)
        lines.append("![What was asked for and what the network answers](predictions)")
    lines += ["", "## What the chip is assumed to do", "", *chip(config)]
    lines += ["", "## What the rule has to know", "", *budgets([run])]
    lines += ["", "## Costs", "", *costs.learning(run.learned), ""]
    if run.missing:
        lines.append(f"The network was not measured: {plain(run.missing)}.")
    else:
        lines += costs.network(run.trained, run.task, run.learned)
    lines += ["", "## Settings", "", *_settings(run), "", *_ran_on(run)]
    return Page(run.name, "\n".join(lines) + "\n", pictures)


def chip(config: Written) -> list[str]:
    """Say what the hardware is assumed to do, and what that it does not."""
    if config.substrate.assumed:
        return summary.chip(config)
    return [
        "Nothing: it is the ideal chip. Activities, weights and rewards are exact, all neurons are "
        "alike, nothing drifts, sticks, gets lost or comes late, and the only noise is what the "
        "rule injects."
    ]


def headline(run: Kept) -> str:
    """Say on one line what was run."""
    config = run.config
    rule = config.names["rule"]
    if "decorrelation" in config.names:
        rule += f" with {config.names['decorrelation']}"
    words = [
        f"**{plain(rule)}** on **{plain(config.names['task'])}**",
        f"{config.network.hidden} hidden neurons",
        f"{run.history.epoch} of {config.training.epochs} epochs",
        f"{config.training.batch} replicas",
        f"seed {config.training.seed}",
    ]
    return ", ".join(words) + "."


def state(run: Kept) -> list[str]:
    """Say what came of it, in a sentence; and which file is damaged, if one is."""
    damage = [f"**A file is damaged**: {code(run.damage)}."] if run.damage else []
    return _state(run) + damage


def _state(run: Kept) -> list[str]:
    if run.status == FINISHED:
        return [plain(summary.verdict_of(run.numbers["beaten"], run.numbers["not_beaten"]))]
    words = {
        "diverged": "**It diverged**: there is no result",
        "failed": "**It failed**: there is no result",
    }.get(run.status, "**It is not finished**: it was interrupted, or is still learning")
    return [f"{words}{': ' + code(run.reason) if run.reason else ''}."]


def budgets(runs: Iterable[Kept]) -> list[str]:
    """Say what rules have to know, each once."""
    rules = {name: rule for run in runs for name, rule in run.config.rules.items()}
    unknown = "not built in, and a report imports no module; the run's summary.md has it"
    said = [summary.budget(rule) if rule else f"{name}: {unknown}" for name, rule in rules.items()]
    return block("\n\n".join(dict.fromkeys(said)))


def _settings(run: Kept) -> list[str]:
    source = "" if run.missing else summary.data_source(run.task)
    return summary.settings(run.config.given, source)


def predictions(run: Kept) -> Picture:
    """Draw what was asked for on the test, and the answers."""
    before, after = run.answers()
    return Picture.drawn(lambda narrow: figures.predictions(run.task, before, after, narrow))


def _errors(run: Kept) -> list[str]:
    table = run.table
    if table.empty:
        return ["Nothing was measured yet."]
    lines = summary.scores(run.config, table)
    if run.numbers:
        lines.append("The lowest test error first.")
        if len(run.history):
            said = f"{run.history.last['train_mse']:.4g}"
            lines.append(f"In the last epoch, while learning: train MSE {said}.")
        return lines + summary.notes(table)
    return [*lines, f"After {run.history.epoch} epochs; train: while learning. No baselines yet."]


def _ran_on(run: Kept) -> list[str]:
    """Say on what, and how to do it again."""
    try:
        told = [f"- {summary.versions(each)}" for each in run.folder.ran_on]
    except CheckpointError as error:
        told = [f"Not known: {plain(error)}."] if run.folder.environment.exists() else []
    again = "To run it again, save these settings as `config.toml`: `neurosim run config.toml`."
    return [again, *(["", "## What it ran on", "", *told] if told else [])]
