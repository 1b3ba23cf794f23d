"""A run on one page, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli_w

from neurosim.experiments import environment
from neurosim.experiments.baselines import AFTER, MEANING
from neurosim.experiments.markdown import block, plain
from neurosim.experiments.markdown import table as markdown_table
from neurosim.substrate.words import explanation
from neurosim.training import COUNTS

if TYPE_CHECKING:
    import pandas as pd

    from neurosim.experiments.config import Config
    from neurosim.experiments.run import Result
    from neurosim.experiments.written import Written


def verdict(result: Result) -> str:
    """Say which baselines the network beat on the test, and which beat it."""
    return verdict_of(result.beaten, result.not_beaten)


def verdict_of(beaten: list[str], not_beaten: list[str]) -> str:
    """Say it of baselines by their names."""
    if not beaten and not not_beaten:
        return "No baselines were computed, so nothing is said about how good this is."
    won, lost = (" · ".join(names) for names in (beaten, not_beaten))
    if not won:
        return f"On the test, the trained network beat no baseline. Better than it: {lost}."
    if not lost:
        return f"On the test, the trained network beat every baseline: {won}."
    return f"On the test, the trained network beat: {won}. It did not beat: {lost}."


def score_columns(table: pd.DataFrame) -> list[str]:
    """Columns with numbers: those of the test, then those of training."""
    columns = [name for name in table.columns if name != "note"]
    return sorted(columns, key=lambda name: name.startswith("train"))


def heading(column: str) -> str:
    """Write the name of a column of scores."""
    return column.replace("_", " ").replace("mse", "MSE")


def number(value: Any) -> str:
    """Write a score; nothing where there is none."""
    return "" if value != value else f"{value:.4g}"


def budget(rule: Any) -> str:
    """What a rule has to know; one of your own need not say."""
    tell = getattr(rule, "budget", None)
    return str(tell()) if tell is not None else f"{type(rule).__name__}: does not say"


def markdown(config: Config, result: Result) -> str:
    """Write the page."""
    history = result.history
    lines = [
        f"# {plain(config.name)}",
        "",
        plain(verdict(result)),
        "",
        *scores(config, result.table),
    ]
    if history.epoch:
        online = number(history.last["train_mse"])
        lines.append(f"While it was still learning, in the last epoch: train MSE {online}.")
    lines += [
        *notes(result.table),
        "",
        "## Cost",
        "",
        f"{history.epoch} epochs of {history.last['steps']} steps, "
        f"{result.seconds_per_step * 1e3:.3g} ms a step while learning "
        f"({config.training.batch} replicas side by side, engine {config.training.engine}).",
    ]
    for name in COUNTS:
        lines.append(f"- {name.replace('_', ' ')} a step: {history.last[name]:,.0f}")
    lines.append(f"- memory of the simulator: {result.memory / 1e6:.3g} MB")
    if config.substrate.assumed:
        lines += ["", "## What the chip is assumed to do", "", *chip(config)]
    lines += ["", "## What the rule has to know", "", *budgets(config)]
    lines += ["", "## Settings", "", *settings(config.resolved(), data_source(config.task))]
    lines += ["", "## Versions", "", versions(environment.describe(config.training.engine))]
    return "\n".join(lines) + "\n"


def scores(config: Config | Written, table: pd.DataFrame) -> list[str]:
    """Write the scores of the network and the baselines."""
    columns = score_columns(table)
    heads = [plain(heading(name)) for name in columns]
    rows = []
    for who, row in table.iterrows():
        cells = [plain(who), *(number(row[name]) for name in columns)]
        rows.append([f"**{cell}**" if who == AFTER and cell else cell for cell in cells])
    lines = markdown_table(["", *heads], rows)
    lines += [
        "",
        "MSE: mean squared error over steps, series and outputs, in the task's own units.",
    ]
    if config.training.held_out:
        lines.append("Judged by training data that were held out, not by the test.")
    return lines


def notes(table: pd.DataFrame) -> list[str]:
    """Say what the baselines are, and how they were chosen."""
    said = table["note"].dropna() if "note" in table else {}
    lines = []
    for who in table.index:
        words = [MEANING.get(str(who)), said.get(who)]
        if any(words):
            lines.append(f"- {plain(who)}: {plain('; '.join(filter(None, words)))}")
    return ["", *lines] if lines else []


def chip(config: Config | Written) -> list[str]:
    """Say what the hardware is assumed to do."""
    return [f"- {line}" for line in explanation(config.substrate, config.rule).splitlines()]


def budgets(config: Config) -> list[str]:
    """Say what has to be known, and where."""
    rules = [config.rule, *([config.decorrelation] if config.decorrelation is not None else [])]
    return block("\n\n".join(map(budget, rules)))


def settings(resolved: dict[str, Any], source: str) -> list[str]:
    """Write a config's tables, and where its data are from."""
    lines = [f"Data: {plain(source)}.", ""] if source else []
    return lines + block(tomli_w.dumps(resolved), "toml")


def data_source(task: Any) -> str:
    """Where a task's data are from, if it says so, and they are here."""
    try:
        return str(getattr(task, "source", ""))
    except (ValueError, OSError):  # a task's errors are ValueErrors
        return ""


def versions(used: dict[str, Any]) -> str:
    """Say what it ran on."""
    packages = ", ".join(f"{name} {version}" for name, version in used["packages"].items())
    engine = f", engine {used['engine']}" if "engine" in used else ""
    if "device" in used:
        device = used["device"]
        engine += f" on {device['name']} (driver for CUDA {device['driver']})"
    return (
        f"neurosim {used['neurosim']}, Python {used['python']}, {used['system']} "
        f"{used['machine']}, {used['cores']} cores{engine}; {packages}."
    )
