"""What perturbation rules teach a recurrent network, beside what could embarrass them.

    python benchmarks/what_is_learned.py starts                              # of the weather
    python benchmarks/what_is_learned.py tune   [--table NAME ...] [--case TEXT ...] [--jobs 2]
    python benchmarks/what_is_learned.py report [--table NAME ...] [--case TEXT ...] [--jobs 2]
    python benchmarks/what_is_learned.py figure [--out FOLDER] [--to FILE]

`tune` chooses a rate for every row, and whether it falls: three rates, half a decade apart, each
constant and each falling to 0 along a cosine over all epochs, on seeds 1 and 2 (of tables with many
cases on seed 1), by the error on training data held out; where the best rate is the least or the
greatest tried, one more is tried beyond it, until it is neither. Every row has that search,
backpropagation too. Choices go to what_is_learned.toml beside this file; what is there is left
alone (delete it to tune again).
`report` trains with them on seeds 10 to 14, on which nothing was chosen, and prints the tables of
docs/what_is_learned.md. A seed is that of the network, the noise and, where data are drawn, the
data.

Runs are kept in the folder that --out names (`study` by default) and done once; Ctrl-C loses an
epoch at most. The weather needs the environment variable NEUROSIM_DATA, the folder that holds
WTH.csv.
"""

import argparse
import itertools
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

CHOSEN = Path(__file__).with_name("what_is_learned.toml")
TUNING, REPORTING = (1, 2), (10, 11, 12, 13, 14)
HALF = 10**0.5  # a half decade
FURTHER = 3  # rates tried beyond the first three, at most, on either side

# ------------------------------------------------------------------------------- methods


@dataclass(frozen=True)
class Method:
    """A row of a table: tables of a config, and the rates to try first."""

    name: str
    rule: dict
    rate: float = 1e-2  # in the middle of the first three
    only: tuple[str, ...] = ()  # projections that learn; all, if none is named
    decorrelation: dict | None = None
    local: bool = True


SEQUENCE = {"schedule": "sequence", "optimiser": "adam", "noise_std": 1e-2}
TO_GO = {**SEQUENCE, "reward": "return_to_go"}
APART = {"pairs": 16, "layers": "separate"}
BACK = {**SEQUENCE, **APART, "resync_every": 1}

READOUT = Method("readout alone", {"name": "ANP", **SEQUENCE}, 3e-2, only=("B",))
NP_16 = Method("NP, return to go, 16 pairs", {"name": "NP", **TO_GO, **APART})
NP_2 = Method("NP, return to go, two passes", {"name": "NP", **TO_GO}, 3e-3)
BP = Method("BPTT", {"name": "BPTT", "schedule": "sequence"}, local=False)
SMALL = [
    READOUT,
    NP_16,
    Method("ANP, return to go, 16 pairs", {"name": "ANP", **TO_GO, **APART}),
    NP_2,
    Method("ANP, return to go, two passes", {"name": "ANP", **TO_GO}, 3e-3),
    Method("NP, local, set back, 16 pairs", {"name": "NP", **BACK}),
    Method("ANP, local, set back, 16 pairs", {"name": "ANP", **BACK}),
    Method("NP, global, 16 pairs", {"name": "NP", **SEQUENCE, **APART, "reward": "global"}),
    Method(
        "WP, global, 16 pairs", {"name": "WP", **SEQUENCE, "pairs": 16, "reward": "global"}, 3e-3
    ),
    Method("learned feedback", {"name": "LearnedFeedback", "feedback_rate": 1.0, **SEQUENCE}),
    Method("ANP, local, two passes (the paper's)", {"name": "ANP", **SEQUENCE}, 3e-3),
    BP,
    Method("BPTT, k = 1", {"name": "BPTT", "truncate": 1, "schedule": "sequence"}, local=False),
]
PAIRS = [
    Method(
        f"NP, return to go, {n} pair{'s' * (n > 1)}",
        {"name": "NP", **TO_GO, "layers": "separate", "pairs": n},
    )
    for n in (1, 4, 16)
]
BOTH = Method(
    "ANP, return to go, both passes noisy",
    {"name": "ANP", **TO_GO, "passes": "both", "noise_std": 0.0},
    3e-3,
)
ON_CHIPS = [READOUT, NP_16, NP_2, BOTH]


def windows(steps: int, pairs: int = 16, noise: float = 1e-3) -> list[Method]:
    """Give the rules that learn in windows of some steps, beside what they are compared with."""
    adam = {"optimiser": "adam"}
    window = {"window": steps, "resync_every": steps, "reward": "return_to_go", "noise_std": noise}
    many = {**adam, **window, "pairs": pairs, "layers": "separate"}
    return [
        Method("readout alone", {"name": "ANP", **adam}, 1e-3, only=("B",)),
        Method(f"ANP, window {steps}, {pairs} pairs", {"name": "ANP", **many}, 1e-3),
        Method(f"NP, window {steps}, {pairs} pairs", {"name": "NP", **many}, 1e-3),
        Method("learned feedback", {"name": "LearnedFeedback", "feedback_rate": 1.0}),
        Method("ANP, two passes (the paper's)", {"name": "ANP"}, 1e-3),
        Method(
            "DANP, two passes (the paper's)", {"name": "ANP"}, 3e-3,
            decorrelation={"name": "Decorrelation", "learning_rate": 1e-5},
        ),
        Method("BPTT, chunks of 100", {"name": "BPTT", "chunk": 100}, 1e-3, local=False),
    ]  # fmt: skip


# --------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Case:
    """What the rows of a table, or of a part of it, have in common."""

    name: str
    task: dict
    network: dict
    methods: list[Method]
    epochs: int = 50
    batch: int = 20
    substrate: dict = field(default_factory=dict)
    tuning: tuple[int, ...] = TUNING


TEN = {"hidden": 10, "recurrent": "orthogonal", "gain": 0.9, "bias": 0.3}
TASKS = {  # 30 updates an epoch, of 20 fresh sequences each
    "parity": {"name": "parity", "bits": 3, "steps": 20},
    "flip-flop": {"name": "flip_flop", "steps": 20},
    "sine": {"name": "sine", "steps": 20},
    "delayed xor": {"name": "delayed_xor", "gap": 3, "delay": 5},
    "evidence": {"name": "evidence"},
}
TASKS = {name: {**task, "sequences": 30} for name, task in TASKS.items()}
CHIPS = {
    "ideal": {},
    "8-bit weights": {"w_bits": 8, "w_max": 2.0, "rounding": "stochastic"},
    "reward of 4 bits": {"reward_bits": 4},
    "reward 10 steps late": {"reward_delay": 10},
    "10 % mismatch": {"mismatch_gain": 0.1, "mismatch_offset": 0.1},
    "noise of 0.01": {"act_noise": 0.01},
}
CHIPS["all of it"] = {name: value for chip in CHIPS.values() for name, value in chip.items()}
BOTH_TASKS = ("flip-flop", "parity")
TUNED = {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 5.0, "bias": 0.1}
MACKEY_GLASS = {"name": "mackey_glass", "horizon": 15, "steps": 1000}
COPYING = {"name": "copying", "length": 5, "delay": 5, "sequences": 20}


def reach():
    """How far it goes: neurons, steps, pairs."""
    some = [READOUT, NP_16, NP_2, BP]
    for name in BOTH_TASKS:
        for n in (5, 20, 50, 100):
            network = {**TEN, "hidden": n}
            yield Case(f"{name}, N = {n}", TASKS[name], network, some, tuning=TUNING[:1])
        for steps in (50, 100):
            task = {**TASKS[name], "steps": steps}
            yield Case(f"{name}, T = {steps}", task, TEN, some, tuning=TUNING[:1])
        yield Case(f"{name}, pairs", TASKS[name], TEN, PAIRS, tuning=TUNING[:1])


def weather():
    """Forecasts, from the start that is best by the paper and from one chosen on training data."""
    start = chosen().get("starts", {})
    for hours in (1, 24, 48):
        task = {"name": "weather", "horizon": hours, "centre_inputs": True}
        network = {"hidden": 100, **start.get(f"weather {hours} h", {})}
        # Credit over time takes hours here: once, where memory should be of most use.
        methods = [m for m in windows(10, 4) if "window" not in m.name or hours == 48]
        methods = [m for m in methods if not m.name.startswith("NP")]
        how = {"epochs": 20, "batch": 10, "tuning": TUNING[:1]}
        yield Case(f"weather {hours} h", task, network, methods, **how)


def tables():
    """Give the cases of every table."""
    copying = {"epochs": 100, "batch": 10}
    return {
        "small": [Case(name, task, TEN, SMALL) for name, task in TASKS.items()],
        "reach": list(reach()),
        "chips": [
            Case(f"{name}, {chip}", TASKS[name], TEN, ON_CHIPS, substrate=given, tuning=TUNING[:1])
            for name in BOTH_TASKS
            for chip, given in CHIPS.items()
        ],
        "mackey_glass": [
            Case(
                f"Mackey-Glass, N = {n}",
                MACKEY_GLASS,
                {"hidden": n, **TUNED},
                windows(20),
                batch=10,
            )
            for n in (50, 100)
        ],
        "copying": [
            Case("copying 5 + 5", COPYING, {"hidden": 100}, windows(15), **copying),
        ],
        "weather": list(weather()),
    }


# ---------------------------------------------------------------------------------- runs


def config(case: Case, method: Method, rate: float, falls: bool, seed: int, held_out: bool):
    """Write the config of a row."""
    from neurosim.experiments.config import parse

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


def done(configs, jobs, out):
    """Do runs that are not done, and give their rows, as `neurosim.load_results` has them."""
    from neurosim.experiments.sweep.board import Board
    from neurosim.experiments.sweep.results import row_of
    from neurosim.experiments.sweep.runs import Run
    from neurosim.experiments.sweep.sweep import Sweep, Workers

    runs = list({run.name: run for run in map(Run, configs)}.values())
    epochs = sum(run.config.training.epochs for run in runs)
    sweep = Sweep(runs, out)
    with Workers(jobs) as workers, Board("what is learned", len(runs), epochs) as board:
        sweep.run(workers, board.seen, board.reached)
    rows = {run.name: row_of(run.folder(sweep.pool)) for run in runs}
    return [rows[Run(config).name] for config in configs]


# -------------------------------------------------------------------------------- tuning


def chosen() -> dict:
    """Choices made so far: by case and row, and starts."""
    return tomllib.loads(CHOSEN.read_text()) if CHOSEN.is_file() else {}


def keep(case: str, row: str, choice: dict) -> None:
    """Note a choice."""
    from neurosim.files import whole

    everything = chosen()
    everything.setdefault(case, {})[row] = choice
    with whole(CHOSEN) as temporary:
        temporary.write_text(tomli_w.dumps(everything))


def tune(cases: list[Case], jobs: int, out: Path) -> None:
    """Choose rates of all rows side by side; a row whose best rate is at an edge goes on."""
    known = chosen()
    rows = [(c, m) for c in cases for m in c.methods if m.name not in known.get(c.name, {})]
    grids = {(c.name, m.name): [m.rate / HALF, m.rate, m.rate * HALF] for c, m in rows}
    while rows:
        trials = [
            (case, method, rate, falls, seed)
            for case, method in rows
            for rate in grids[case.name, method.name]
            for falls in (False, True)
            for seed in case.tuning
        ]
        found = done([config(*trial, held_out=True) for trial in trials], jobs, out)
        errors: dict = {}
        for (case, method, rate, falls, _), row in zip(trials, found, strict=True):
            errors.setdefault((case.name, method.name), {}).setdefault((rate, falls), []).append(
                row["test_mse"] if row["status"] == "finished" else np.inf
            )
        rows = [row for row in rows if not settled(*row, grids, errors)]


def settled(case: Case, method: Method, grids: dict, errors: dict) -> bool:
    """Keep the best rate of a row; or, if it is at an edge, have one more tried beyond it."""
    key = case.name, method.name
    grid, means = grids[key], {choice: np.mean(e) for choice, e in errors[key].items()}
    (rate, falls), error = min(means.items(), key=lambda item: item[1])
    edge = rate == min(grid) or rate == max(grid)
    if edge and len(grid) < 3 + FURTHER and np.isfinite(error):
        grids[key] = sorted([*grid, rate / HALF if rate == min(grid) else rate * HALF])
        return False
    choice = {"rate": float(f"{rate:.3g}"), "falls": falls, "held_out_mse": float(f"{error:.3g}")}
    keep(*key, choice | {"tried": len(means)})
    print(f"{case.name}: {method.name}: {choice}", flush=True)
    return True


# ------------------------------------------------------------------------------- starts


def starts(jobs: int) -> None:
    """Choose starts of the weather's networks by ridge readouts, on training data held out."""
    import neurosim as ns
    from neurosim.experiments.config import parse

    grid = itertools.product((0.3, 0.6, 0.9, 0.99), (1.0, 3.0), (0.0, 0.3))
    found: dict = {}
    for gain, input_gain, bias in grid:
        network = {"recurrent": "orthogonal", "gain": gain, "input_gain": input_gain, "bias": bias}
        for case, seed in itertools.product(weather(), TUNING):
            given = {
                "task": case.task,
                "network": {"hidden": 100, **network},
                "rule": {"name": "ANP", "learning_rate": 1e-3},
                "training": {"batch": 10, "seed": seed, "held_out": 0.2},
            }
            made = parse(given, case.name, case.name)
            error = ns.refit_readout(made.simulator(), made.shown)["test_mse"]
            found.setdefault(case.name, {}).setdefault(tuple(network.items()), []).append(error)
    for case, errors in found.items():
        best = min(errors, key=lambda network: np.mean(errors[network]))
        keep("starts", case, dict(best))
        print(case, dict(best), f"{np.mean(errors[best]):.3g}")


# ----------------------------------------------------------------------------- reporting


def report(cases: list[Case], jobs: int, out: Path) -> pd.DataFrame:
    """Train with the choices, on seeds on which none was made."""
    known = chosen()
    rows = [
        (case, method, seed)
        for case in cases
        for method in case.methods
        if method.name in known.get(case.name, {})
        for seed in REPORTING
    ]
    configs = []
    for case, method, seed in rows:
        choice = known[case.name][method.name]
        configs.append(config(case, method, choice["rate"], choice["falls"], seed, False))
    found = done(configs, jobs, out)
    lines = []
    for (case, method, seed), made, row in zip(rows, configs, found, strict=True):
        from neurosim.experiments.folder import Folder
        from neurosim.experiments.sweep.runs import Run

        folder = Run(made).folder(Path(out) / "runs")
        numbers = Folder(folder.path).numbers
        history = folder.read_history() if row["status"] == "finished" else None
        lines.append(
            {
                "case": case.name,
                "method": method.name,
                "seed": seed,
                "local": method.local,
                **known[case.name][method.name],
                "status": row["status"],
                **{name: row.get(name, np.nan) for name in SCORES},
                "ridge": row.get("baseline.ridge readout of the untrained network", np.nan),
                "passes": made.simulator()._plan.passes,
                "seconds": sum(r["seconds"] for r in history.rows) if history else np.nan,
                "updates": updates(case),
                "memory": numbers.get("memory", np.nan),
            }
        )
    return pd.DataFrame(lines)


SCORES = ("test_mse", "test_accuracy", "refitted_test_mse", "untrained_test_mse")


def updates(case: Case) -> int:
    """Changes of weights of a rule that changes them once a sequence."""
    return case.epochs * case.task.get("sequences", 1)


def number(value: float) -> str:
    """Write an error."""
    return "diverged" if not np.isfinite(value) else f"{value:.2g}"


def spread(values: pd.Series) -> str:
    """Write a mean, with the least and the greatest; of runs that diverged how many."""
    fine = values[np.isfinite(values)]
    if not len(fine):
        return "diverged"
    lost = len(values) - len(fine)
    said = f"{number(fine.mean())} ({number(fine.min())} to {number(fine.max())})"
    return said + (f"; {lost} of {len(values)} diverged" if lost else "")


def markdown(frame: pd.DataFrame) -> Iterator[str]:
    """Write a table for every case."""
    for case, rows in frame.groupby("case", sort=False):
        yield f"\n**{case}**\n"
        accurate = bool(rows["test_accuracy"].notna().any())
        head = ["", "test MSE", *["accuracy"] * accurate, "readout refitted"]
        head += ["rate", "passes", "seconds"]
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        ridge = [number(rows["ridge"].mean()), *[""] * accurate, "", "", "1", ""]
        yield f"| ridge readout of the untrained network | {' | '.join(ridge)} |"
        for method, some in rows.groupby("method", sort=False):
            name = method if some["local"].all() else f"*{method}* (not local)"
            rate = f"{some['rate'].iloc[0]:.2g}{', falling' * bool(some['falls'].iloc[0])}"
            cells = [
                spread(some["test_mse"]),
                *[f"{some['test_accuracy'].mean():.3f}"] * accurate,
                number(some["refitted_test_mse"].mean()),
                rate,
                str(some["passes"].iloc[0]),
                f"{some['seconds'].median():.2g}",
            ]
            yield f"| {name} | {' | '.join(cells)} |"


# -------------------------------------------------------------------------------- figure


def figure(out: Path, to: Path) -> None:
    """Draw what ten neurons learn, beside the best readout of the untrained network."""
    from neurosim.experiments import figures

    frame = pd.read_parquet(Path(out) / "small.parquet")
    with figures.defaults():
        drawn = draw(frame)
        drawn.savefig(to, dpi=150)


SHOWN = {
    "readout alone": "0.6",
    "ANP, local, two passes (the paper's)": "tab:orange",
    "learned feedback": "tab:green",
    "NP, return to go, two passes": "tab:cyan",
    "NP, return to go, 16 pairs": "tab:blue",
    "BPTT": "0.15",
}


def draw(frame: pd.DataFrame):
    """Draw errors by task: a dot a seed, a bar for the mean."""
    import matplotlib.pyplot as plt

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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["starts", "tune", "report", "figure"])
    parser.add_argument("--table", action="append", choices=list(tables()))
    parser.add_argument("--case", action="append", help="part of a case's name; repeatable")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("study"))
    parser.add_argument("--to", type=Path, default=Path("docs/what_is_learned.png"))
    given = parser.parse_args()
    if given.what == "starts":
        starts(given.jobs)
    elif given.what == "figure":
        figure(given.out, given.to)
    else:
        for name in given.table or tables():
            parts = given.case or [""]
            cases = [c for c in tables()[name] if any(part in c.name for part in parts)]
            if given.what == "tune":
                tune(cases, given.jobs, given.out)
            else:
                frame = report(cases, given.jobs, given.out)
                frame.to_parquet(given.out / f"{name}.parquet", index=False)
                print(f"\n## {name}")
                print("\n".join(markdown(frame)))


if __name__ == "__main__":
    sys.exit(main())
