"""The figure: what ten neurons learn, beside the best readout of the untrained network."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from neurosim.experiments import figures

SHOWN = {
    "readout alone": "0.6",
    "ANP, local, two passes (the paper's)": "tab:orange",
    "learned feedback": "tab:green",
    "NP, return to go, two passes": "tab:cyan",
    "NP, return to go, 16 pairs": "tab:blue",
    "BPTT": "0.15",
}


def save(frame: pd.DataFrame, to: Path) -> None:
    """Draw into a file."""
    with figures.defaults():
        draw(frame).savefig(to, dpi=150)


def draw(frame: pd.DataFrame):
    """Draw errors by task: a dot a seed, a bar for the mean."""
    names = list(dict.fromkeys(frame["case"]))
    drawn, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
    width = 0.8 / (len(SHOWN) + 1)
    for i, case in enumerate(names):
        rows = frame[frame["case"] == case]
        left = i - 0.4
        ridge = rows["ridge"].mean()
        ax.plot([left, left + 0.8], [ridge] * 2, color="tab:red", linewidth=1.2, zorder=3)
        for k, (method, colour) in enumerate(SHOWN.items()):
            errors = rows.loc[rows["method"] == method, "test_mse"]
            at = left + (k + 0.5) * 0.8 / len(SHOWN)
            ax.plot([at] * len(errors), errors, "o", color=colour, markersize=3, alpha=0.7)
            label = method if i == 0 else None
            mean = errors.mean()
            ax.plot([at - width / 2, at + width / 2], [mean] * 2, color=colour, label=label)
    ax.set(yscale="log", ylabel="test MSE", xticks=range(len(names)), xticklabels=names)
    ax.plot([], [], color="tab:red", label="ridge readout, untrained")
    ax.legend(ncols=1, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return drawn
