"""A run on one page, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli_w

from neurosim.experiments import environment
from neurosim.substrate.words import explanation

if TYPE_CHECKING:
    import pandas as pd

    from neurosim.experiments.config import Config
    from neurosim.experiments.run import Result


def verdict(result: Result) -> str:
    """Say which baselines the network beat on the test, and which beat it."""
    if not result.beaten and not result.not_beaten:
        return "No baselines were computed, so nothing is said about how good this is."
    beaten, others = (" · ".join(names) for names in (result.beaten, result.not_beaten))
    if not beaten:
        return f"On the test, the trained network beat no baseline. Better than it: {others}."
    if not others:
        return f"On the test, the trained network beat every baseline: {beaten}."
    return f"On the test, the trained network beat: {beaten}. It did not beat: {others}."


def score_columns(table: pd.DataFrame) -> list[str]:
    """Columns with numbers, the errors first."""
    return [name for name in table.columns if name != "note"]


def number(value: Any) -> str:
    """Write a score; nothing where there is none."""
    return "" if value != value else f"{value:.4g}"


def budget(rule: Any) -> str:
    """What a rule has to know; one of your own need not say."""
    tell = getattr(type(rule), "budget", None)
    return str(tell()) if tell is not None else f"{type(rule).__name__}: does not say"


def markdown(config: Config, result: Result) -> str:
    """Write the page."""
    table, history = result.table, result.history
    columns = score_columns(table)
    notes = table.get("note")
    lines = [f"# {config.name}", "", verdict(result), ""]
    heads = [name.replace("_", " ").replace("mse", "MSE") for name in columns]
    lines += ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(columns)]
    for who, row in table.iterrows():
        cells = " | ".join(number(row[name]) for name in columns)
        lines.append(f"| {who} | {cells} |")
    lines += [
        "",
        "MSE: mean squared error over steps, series and outputs, in the task's own units.",
    ]
    if config.training.held_out:
        lines.append("Judged by training data that were held out, not by the test.")
    if history.epoch:
        online = number(history.last["train_mse"])
        lines.append(f"While it was still learning, in the last epoch: train MSE {online}.")
    if notes is not None:
        lines += ["", *(f"- {who}: {note}" for who, note in notes.dropna().items())]
    lines += [
        "",
        "## Cost",
        "",
        f"{history.epoch} epochs of {history.last['steps']} steps, "
        f"{result.seconds_per_step * 1e3:.3g} ms a step while learning "
        f"({config.training.batch} replicas side by side, engine {config.training.engine}).",
    ]
    for name in ("events", "synaptic_operations", "weight_writes"):
        lines.append(f"- {name.replace('_', ' ')} a step: {history.last[name]:,.0f}")
    if config.substrate.assumed:
        words = explanation(config.substrate, config.rule).splitlines()
        lines += ["", "## What the chip is assumed to do", "", *(f"- {line}" for line in words)]
    lines += ["", "## What the rule has to know", "", "```", budget(config.rule)]
    if config.decorrelation is not None:
        lines.append(budget(config.decorrelation))
    lines += ["```", "", "## Settings", ""]
    source = getattr(config.task, "source", None)
    if source:
        lines += [f"Data: {source}.", ""]
    lines += ["```toml", tomli_w.dumps(config.resolved()).strip(), "```", "", "## Versions", ""]
    used = environment.describe()
    packages = ", ".join(f"{name} {version}" for name, version in used["packages"].items())
    lines.append(
        f"neurosim {used['neurosim']}, Python {used['python']}, {used['system']} "
        f"{used['machine']}, {used['cores']} cores; {packages}."
    )
    return "\n".join(lines) + "\n"
