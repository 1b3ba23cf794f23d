"""Draw test errors of ten neurons, beside linear baselines and backpropagation through time."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from neurosim.experiments import figures

SHOWN = {  # the rule, one column each, in this order
    "readout alone": "0.65",
    "ANP, reward per step, two passes (the paper's)": "tab:orange",
    "learned feedback": "tab:green",
    "NP, return to go, two passes": "tab:purple",
    "NP, return to go, 16 pairs": "tab:blue",
    "ANP, return to go, 16 pairs": "tab:cyan",
    "NP, global reward, 16 pairs": "tab:brown",
    "BPTT": "0.1",
}
LINES = {"ridge": ("best linear readout, untrained", "-"), "lags": ("regression on 24 lags", ":")}


def save(frame: pd.DataFrame, to: Path) -> None:
    """Draw into a file."""
    with figures.defaults():
        draw(frame).savefig(to, dpi=150)


def draw(frame: pd.DataFrame):
    """Draw errors by task: a dot a seed, a bar for the median."""
    names = list(dict.fromkeys(frame["case"]))
    drawn, ax = plt.subplots(figsize=(8.5, 3.6), layout="constrained")
    part = 0.84 / len(SHOWN)
    for i, case in enumerate(names):
        rows, left = frame[frame["case"] == case], i - 0.42
        for name, (label, style) in LINES.items():
            level = [rows[name].median()] * 2
            given = {"label": label if i == 0 else None, "linestyle": style, "color": "tab:red"}
            ax.plot([left, left + 0.84], level, linewidth=1.2, zorder=3, **given)
        for k, (method, colour) in enumerate(SHOWN.items()):
            errors = rows.loc[rows["method"] == method, "test_mse"]
            at, label = left + (k + 0.5) * part, method if i == 0 else None
            ax.plot([at] * len(errors), errors, "o", color=colour, markersize=2.5, alpha=0.6)
            bar = [at - 0.4 * part, at + 0.4 * part]
            ax.plot(bar, [errors.median()] * 2, color=colour, linewidth=2, label=label)
        if i:
            ax.axvline(i - 0.5, color="0.85", linewidth=0.8)
    ax.set(yscale="log", ylabel="test MSE (lower is better)", xlim=(-0.5, len(names) - 0.5))
    ax.set_xticks(range(len(names)), names)
    ax.legend(ncols=1, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return drawn
