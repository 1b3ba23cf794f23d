"""Measure what a chip's faults do to each rule, with its own best rate on every chip.

    python benchmarks/hardware.py tune   [--question NAME ...] [--rows FILE]
    python benchmarks/hardware.py run    [--question NAME ...] [--rows FILE]
    python benchmarks/hardware.py report [--question NAME ...] [--rows FILE] [--figures FOLDER]

Mackey-Glass, 15 steps ahead; N = 100; one process, one thread. `tune` walks each rate by factors
of 3 from where the ideal chip has it, on seeds 1 and 2 (chips, large: 1), by the
test error with the chip's noise on; choices go to hardware.toml beside this file. `run` trains
with them on seeds 10 to 14 (10 to 12: bits, reward, chips, large), which no rate was chosen on.
A seed is the network's, the noise's, the data's and the chip's. Every run's row is kept in
--rows as it comes and never made twice: stop with Ctrl-C, and start again. `report` prints all.
"""

import argparse
import json
import math
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

CHOSEN = Path(__file__).with_name("hardware.toml")
TUNING, REPORTING, FEW = (1, 2), (10, 11, 12, 13, 14), (10, 11, 12)
LOST = 10.0  # an error above it counts as diverged (untrained: 0.2)
TASK = {"name": "mackey_glass", "horizon": 15, "steps": 1000}
START = {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 5.0, "bias": 0.1}

RULES = {  # rule, the rate the walk starts from
    "ANP": ({"name": "ANP"}, 3e-3),
    "ANP both": ({"name": "ANP", "passes": "both"}, 3e-3),
    "NP": ({"name": "NP"}, 1e-3),
    "WP": ({"name": "WP"}, 3e-5),
    "DANP": ({"name": "ANP"}, 1e-3),
    "readout": ({"name": "ANP"}, 3e-2),  # B alone, by ANP: the delta rule, with one output
}
SIGNS = {"distribution": "rademacher"}  # perturbations of one size: none is near 0
SIGNED = [("ANP, signs", "ANP", SIGNS), ("readout, signs", "readout", SIGNS)]
SIGNED += [("ANP, signs, layers apart", "ANP", {**SIGNS, "layers": "separate"})]
ANYWHERE = ("mean", "persistence", "ridge on lags")  # the same on any chip
BASELINES = ("untrained", "ridge readout", *ANYWHERE)


@dataclass(frozen=True)
class Cell:
    """One rule on one chip; `judged` is the chip it is tested on, if that is another."""

    question: str
    panel: str
    condition: str
    method: str
    chip: dict = field(default_factory=dict)
    rule: str = ""
    options: dict = field(default_factory=dict)
    judged: dict | None = None
    hidden: int = 100
    seeds: tuple = REPORTING

    @property
    def name(self):
        return f"{self.panel} / {self.condition} / {self.method}"

    @property
    def epochs(self):
        return 20 if self.question == "noise" else 10

    def config(self, rates, seed):
        """The tables of its config."""
        table, rate = RULES.get(self.rule, RULES["NP"])[0], rates.get("rate", 1e-3)
        rate = {"B": rate} if self.rule == "readout" else rate
        given = {
            "task": TASK,
            "network": {"hidden": self.hidden, **START},
            "rule": {**table, **self.options, "learning_rate": rate},
            "substrate": {**self.chip, "seed": seed},
            "training": {"epochs": self.epochs, "batch": 10, "seed": seed},
        }
        if self.rule == "DANP":
            given["decorrelation"] = {"name": "Decorrelation", "learning_rate": rates["D"]}
        return given


def block(question, panel, condition, chip, rules, **more):
    """One chip: rules (a name, or a name, a rule and its options) and the baselines."""
    for rule in [*rules, *BASELINES]:
        base = "" if rule in BASELINES else rule
        name, base, options = rule if isinstance(rule, tuple) else (rule, base, {})
        here = {} if rule in ANYWHERE else chip
        yield Cell(question, panel, condition, name, here, base, options, **more)


def noise():
    """Q1: clean plus noisy against both noisy."""
    alone = ("ANP both, chip's noise alone", "ANP both", {"noise_std": 0.0})
    read = ("readout both, chip's noise alone", "readout", {"passes": "both", "noise_std": 0.0})
    for s in (0.0, 0.001, 0.01, 0.1):
        chip, own = ({"act_noise": s}, {"noise_std": s}) if s else ({}, {})
        rules = ["ANP", "ANP both", "NP", "readout"]
        rules += [alone, read] if s else []
        if s > 1e-3:
            rules += [(f"{r}, σ as the chip's", r, own) for r in ("ANP", "NP")]
        yield from block("noise", "process noise", f"{s:g}", chip, rules)
        for rule in ("ANP", "NP") if s else ():
            name = f"reference: ideal chip, {rule}, σ as the chip's"
            where = ("noise", "process noise", f"{s:g}", name)
            yield Cell(*where, rule=rule, options=own, judged=chip)
    for times in (0, 0.5, 1, 3):
        chip = {"act_read_noise": times * 1e-3} if times else {}
        rules = ["ANP", "ANP both", "NP", "readout", *SIGNED]
        yield from block("noise", "read noise / σ", f"{times:g}", chip, rules)


def bits():
    """Q2: bits of a weight, and how it is rounded."""
    rules = ["WP", "ANP", "NP", "readout"]
    for rounding in ("nearest", "stochastic", "stochastic_shared"):
        kind = {"w_max": "fitted", "rounding": rounding}
        shared = rounding == "stochastic_shared"
        chips = {f"{b}": {**kind, "w_bits": b} for b in ((6, 8, 10) if shared else range(4, 13, 2))}
        for name, chip in {**chips, "float": {"w_max": "fitted"}, "no limit": {}}.items():
            yield from block("bits", rounding, name, chip, rules[shared:], seeds=FEW)


def stuck():
    """Q3: synapses that never change."""
    for at, words in ((None, "where they began"), (0.0, "at 0")):
        for part in (0.0, 0.01, 0.05, 0.1):
            chip = {"stuck_fraction": part} if part else {}
            chip |= {"stuck_at": at} if part and at is not None else {}
            rules = ["ANP", "DANP", "readout"]
            yield from block("stuck", f"stuck {words}", f"{100 * part:g} %", chip, rules)


def reward():
    """Q4: a poor broadcast line."""
    rules = ["ANP", "NP", "WP", "DANP", "readout"]
    for name, values, more in (
        ("reward_delay", (0, 1, 10, 100), []), ("reward_noise", (0, 0.3, 1.0, 3.0), SIGNED),
        ("reward_bits", (0, 8, 4, 2), []), ("reward_loss", (0, 0.01, 0.3), []),
    ):  # fmt: skip
        for value in values:
            chip, words = ({name: value}, f"{value:g}") if value else ({}, "ideal")
            yield from block("reward", name, words, chip, [*rules, *more], seeds=FEW)


def mismatch():
    """Q5: neurons that are not alike, from the start or only after learning."""
    rules = ["ANP", "NP", "readout"]
    for name in ("mismatch_gain", "mismatch_offset"):
        for size in (0, 0.1, 0.3, 0.5):
            chip = {name: size} if size else {}
            yield from block("mismatch", name, f"{size:g}", chip, rules)
            for rule in rules if size else ():
                where = ("mismatch", name, f"{size:g}", f"{rule}, after")
                yield Cell(*where, rule=rule, judged=chip)


def chips():
    """Q6: the presets."""
    from neurosim.presets import CHIPS

    for name, preset in CHIPS.items():
        rules = ["ANP", "ANP both", "NP", "WP", "DANP", "readout"]
        some = ("ANP", "NP") if name in ("noisy_node", "loihi_like", "bss2_like") else ()
        rules += [(f"{r}, σ = 0.1", r, {"noise_std": 0.1}) for r in some]
        yield from block("chips", "preset", name, preset.assumed, rules, seeds=FEW)


def large():
    """A row of checks with twice the neurons."""
    more = {"hidden": 200, "seeds": FEW}
    for name, chip in {"ideal": {}, "act_noise 0.01": {"act_noise": 0.01}}.items():
        yield from block("large", "N = 200", name, chip, ["ANP", "NP", "readout"], **more)


QUESTIONS = {f.__name__: f for f in (noise, bits, stuck, reward, mismatch, chips, large)}


def train(cell, rates, seed):
    """Train once; give the errors, infinite where the run diverged."""
    import neurosim as ns
    from neurosim.experiments import baselines
    from neurosim.experiments.config import parse

    made = parse(cell.config(rates, seed), cell.condition, cell.name)
    sim, task = made.simulator(), made.task
    shown, asked = task.train(), task.test()
    if cell.method in ANYWHERE:
        return dict.fromkeys(("test", "quiet"), float(task.baselines()["test_mse"][cell.method]))
    if cell.method == "ridge readout":
        found = baselines.ridge_readout(task, baselines.States(task, sim, 1))
        return dict.fromkeys(("test", "quiet"), found["test_mse"])
    row = {}
    try:
        for epoch in range(cell.epochs if cell.rule else 0):
            row["train"] = float(sim.run(*shown).mse)
            if not row["train"] < LOST:
                raise ns.DivergenceError("", epoch, np.inf)
        if cell.judged is not None:
            there = parse({**made.resolved(), "substrate": {**cell.judged, "seed": seed}}, "", "")
            weights, sim = sim.weights, there.simulator()
            sim.weights = weights
        row |= {"test": sim.evaluate(*asked).mse, "quiet": sim.evaluate(*asked, noise=False).mse}
    except ns.DivergenceError:
        row |= {"test": math.inf, "quiet": math.inf}
    return {k: float(v) if v < LOST else math.inf for k, v in row.items()}


class Rows:
    """Every run so far, by all that decides what comes out; kept in a file, line by line."""

    def __init__(self, path):
        self.path, self.known = path, {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            with suppress(ValueError):  # the last one before a crash
                row = json.loads(line)
                row |= {"test": math.inf, "quiet": math.inf} if row["test"] > LOST else {}
                self.known[row["key"]] = row
        path.parent.mkdir(parents=True, exist_ok=True)

    def get(self, cell, rates, seed, make=True):
        """A run's row, made if there is none."""
        what = cell.method if cell.method in BASELINES else cell.rule
        key = json.dumps([what, cell.config(rates, seed), cell.judged], sort_keys=True)
        if make and key not in self.known:
            self.known[key] = {"key": key, **train(cell, rates, seed)}
            with self.path.open("a") as file:
                file.write("\n" + json.dumps(self.known[key]))
        return self.known.get(key, {})


def chosen():
    """Rates chosen so far, by question and cell."""
    return tomllib.loads(CHOSEN.read_text()) if CHOSEN.is_file() else {}


def walk(score, start, factor=3.0, reach=4):
    """Go up and down from `start` while it does not get clearly worse.

    Of the rates that are less than half as bad again as the best, the lowest: seeds differ by
    more than that, and the highest rate that went well is near one that does not.
    """
    tried = {0: score(start, math.inf)}
    for way in (1, -1):
        k = 0
        while abs(k) < reach + 3 * (way < 0 and min(tried.values()) == math.inf):
            k += way
            tried[k] = score(float(f"{start * factor**k:.2g}"), min(tried.values()))
            if tried[k] > 1.1 * min(tried.values()) or (way > 0 and tried[k] == math.inf):
                break
    best = min(k for k in tried if tried[k] <= 1.5 * min(tried.values()))
    return float(f"{start * factor**best:.2g}")


def tune(cell, rows):
    """Choose a cell's rates, by the mean over the tuning seeds."""
    seeds = TUNING[:1] if cell.question in ("chips", "large") else TUNING

    def score(rates, least):
        total = 0.0
        for seed in seeds:
            total += rows.get(cell, rates, seed)["test"] / len(seeds)
            if total > 1.5 * least:
                break  # clearly worse, whatever the other seeds say
        return total

    rates = {"D": 1e-5} if cell.rule == "DANP" else {}
    grids = {"rate": (RULES[cell.rule][1],), "D": (1e-5, 10.0, 2)}
    for name in ("rate", *["D"] * (cell.rule == "DANP" and cell.question == "stuck")):
        rates[name] = walk(lambda r, least, n=name: score({**rates, n: r}, least), *grids[name])
    return rates


def frame(question, rows):
    """Collect the measurements, one line a run."""
    rates, lines = chosen().get(question, {}), []
    for cell in QUESTIONS[question]():
        used = rates.get(cell.name, {})
        for seed in cell.seeds if used or not cell.rule else ():
            row = rows.get(cell, used, seed, make=False)
            what = {k: getattr(cell, k) for k in ("panel", "condition", "method")}
            lines += [{**what, **row}] if row else []
    return pd.DataFrame(lines)


def words(errors):
    """Mean, least and greatest; how many diverged."""
    fine = errors[np.isfinite(errors)]
    if not len(fine):
        return "diverged"
    note = f"; {sum(errors == math.inf)} of {len(errors)} diverged" * (len(fine) < len(errors))
    return f"{fine.mean():.2g} ({fine.min():.2g}-{fine.max():.2g}){note}"


def table(found, column, title):
    """Conditions across, methods down, as Markdown."""
    conditions, methods = found["condition"].unique(), found["method"].unique()
    print(f"\n{title}\n\n| | {' | '.join(conditions)} |\n{'|---' * (len(conditions) + 1)}|")
    for method in methods[~np.isin(methods, ANYWHERE)]:
        of = found[found["method"] == method].groupby("condition")[column]
        cells = {name: words(errors.to_numpy()) for name, errors in of}
        print(f"| {method} | {' | '.join(cells.get(c, '') for c in conditions)} |")


COLOURS = dict(zip(RULES, ("C0", "C9", "C1", "C2", "C4", "black"), strict=True))
GREY = dict(zip(BASELINES, (":", "--", (0, (1, 4)), "-.", (0, (8, 2))), strict=True))


def draw(ax, found, column):
    """One panel: error over conditions, least to greatest as bars; none where some diverged."""
    conditions, methods = found["condition"].unique().tolist(), found["method"].unique()
    for i, method in enumerate(methods):
        of = found[found["method"] == method].groupby("condition")[column]
        of = of.agg(["mean", "min", "max"]).replace(math.inf, math.nan).dropna()
        of = of.reindex([c for c in conditions if c in of.index])
        x = np.array([conditions.index(c) for c in of.index], dtype=float)
        if method in GREY:
            ax.plot(x, of["mean"], linestyle=GREY[method], color="0.6", label=method, zorder=0)
            continue
        base = max((b for b in COLOURS if b in method), key=len)
        style = "-" if base == method else "--" if "after" in method else ":"
        style = "none" if len(conditions) > 7 else style  # presets come in no order
        mark = "osD^vP"[list(COLOURS).index(base)] if base == method else "xph*d<>"[i % 7]
        bars, x = [of["mean"] - of["min"], of["max"] - of["mean"]], x + 0.04 * (i - 5)
        ax.errorbar(x, of["mean"], bars, label=method, color=COLOURS[base], linestyle=style,
                    marker=mark, markersize=4, capsize=2, linewidth=1)  # fmt: skip
    ax.set_xticks(range(len(conditions)), conditions, rotation=30 * (len(conditions) > 7))
    ax.set(yscale="log", ylabel="test MSE")


def report(questions, rows, figures):
    """Print the tables; draw a figure for each question."""
    from matplotlib.figure import Figure

    from neurosim.experiments.figures import save

    for question in questions:
        found = frame(question, rows)
        panels = [(p, "test") for p in found["panel"].unique()]
        if question in ("noise", "chips"):
            panels.insert(1, (panels[0][0], "quiet"))
        print(f"\n## {question}: {QUESTIONS[question].__doc__}")
        across, down = (2, 2) if len(panels) == 4 else (len(panels), 1)
        figure = Figure((max(5.2 * across, 8), 4.2 * down + 1.2), layout="constrained")
        for i, (panel, column) in enumerate(panels):
            of = found[found["panel"] == panel]
            title = panel + ", tested without the chip's noise" * (column == "quiet")
            table(of, column, title)
            ax = figure.add_subplot(down, across, i + 1)
            draw(ax, of, column)
            ax.set_title(title, loc="left", fontsize=10)
        both = [axes.get_legend_handles_labels() for axes in figure.axes]
        named = {
            word: line for lines, known in both for line, word in zip(lines, known, strict=True)
        }
        figure.legend(named.values(), named, loc="outside lower left", ncols=4, fontsize=8)
        save(figure, figures / f"hardware_{question}.png")


def main():
    """Read the command line."""
    from rich.console import Console
    from rich.progress import track
    from threadpoolctl import threadpool_limits

    from neurosim.files import whole

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["tune", "run", "report"])
    parser.add_argument("--question", action="append", choices=list(QUESTIONS))
    parser.add_argument("--rows", type=Path, default=Path("runs/hardware.jsonl"))
    parser.add_argument("--figures", type=Path, default=Path("docs"), help="folder")
    given = parser.parse_args()
    rows, rates, questions = Rows(given.rows), chosen(), given.question or list(QUESTIONS)
    if given.what == "report":
        return report(questions, rows, given.figures)
    cells = [c for q in questions for c in QUESTIONS[q]()]
    try:
        with threadpool_limits(limits=1):
            for cell in track(cells, given.what, disable=not Console().is_terminal):
                known = rates.setdefault(cell.question, {})
                if given.what == "tune" and cell.rule and cell.name not in known:
                    known[cell.name] = tune(cell, rows)
                    with whole(CHOSEN) as temporary:
                        temporary.write_text(tomli_w.dumps(rates))
                if given.what == "run" and (not cell.rule or cell.name in known):
                    for seed in cell.seeds:
                        rows.get(cell, known.get(cell.name, {}), seed)
    except KeyboardInterrupt:
        raise SystemExit("interrupted: what is done is kept; start again to go on") from None


if __name__ == "__main__":
    main()
