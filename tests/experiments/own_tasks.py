"""Tasks of one's own, with what is unusual about them; a config names ``own_tasks:Odd``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

NAME = r"[p]a|b[/p] $x$ <i> *c* :d: \e"  # means something to rich, Markdown, TeX, HTML
SCORE = "top.1 [p]|*"  # and a dot to tables of results


@dataclass(frozen=True)
class Odd:
    """Half of what is shown, in `kind` of ways."""

    kind: str = ""
    steps: int = 12
    series: int = 2
    n_inputs = n_targets = 1

    def train(self, epoch=0):
        inputs = np.random.default_rng(1).normal(size=(self.steps, self.series, 1))
        if self.kind == "lists":
            return inputs.tolist(), (inputs / 2).tolist()
        return inputs, inputs / 2

    def test(self):
        return self.train()

    def score(self, outputs, targets):
        mse = float(np.mean((np.asarray(outputs) - np.asarray(targets)) ** 2))
        if self.kind == "no mse":
            return {"error": mse}
        return {"mse": mse, "recall": np.nan, SCORE: mse}

    def baselines(self):
        name = "network, after training" if self.kind == "a row" else NAME
        error = np.nan if self.kind == "NaN" else 0.5
        return pd.DataFrame({"train_mse": [0.5], "test_mse": [error]}, index=[name])
