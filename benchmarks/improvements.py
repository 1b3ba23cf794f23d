"""What beats the paper's rule and stays local: every method with its own best learning rates.

    python benchmarks/improvements.py tune   [--task NAME ...] [--method TEXT ...] [--jobs 2]
    python benchmarks/improvements.py report [--task NAME ...] [--method TEXT ...] [--jobs 2]
    python benchmarks/improvements.py ridge  [--task NAME ...]

`tune` picks learning rates on seeds 1 and 2, by the error on data held out of training (of a
series the last fifth of its steps; of copying, fresh sequences), first the readout's with the
hidden layer's smallest, then the hidden layer's; it writes them to improvements.toml beside
this file, one task and method at a time, and leaves alone what is there (delete to tune again).
`report` trains with them on seeds 10 to 14, which no rate was chosen on, and prints the table
of test errors; --out keeps every run's row as a Parquet file. A seed is that of the network,
the noise and, where the data are drawn, the data. `ridge` has no rates: it is the ridge readout of
each start, untrained, on the same seeds: the best that any readout of that network can do.

Everything runs through configs: a method is a few tables of one. The weather needs the
environment variable NEUROSIM_DATA, the folder that holds WTH.csv.
"""

import argparse
import json
import tomllib
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

CHOSEN = Path(__file__).with_name("improvements.toml")
TUNING, REPORTING = (1, 2), (10, 11, 12, 13, 14)

TASKS = {
    "mackey_glass": ({"name": "mackey_glass", "horizon": 15, "steps": 1000}, 50),
    "copying": ({"name": "copying", "length": 5, "delay": 5, "sequences": 20}, 100),
    "weather_1h": ({"name": "weather", "horizon": 1}, 20),
    "weather_24h": ({"name": "weather", "horizon": 24}, 20),  # with the rates chosen for 48 h
    "weather_48h": ({"name": "weather", "horizon": 48}, 20),
}
# Where a network starts: as the paper's, or from what suits a readout of it on this task.
PAPER: dict = {}
CALM = {"recurrent": "orthogonal", "gain": 0.3, "input_gain": 3.0, "bias": 0.3}
SUITED = {
    "mackey_glass": {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 5.0, "bias": 0.1},
    "copying": {"recurrent": "orthogonal", "gain": 0.99, "input_gain": 0.3},
    "weather_1h": CALM,
    "weather_24h": CALM,
    "weather_48h": CALM,
}
CENTRED = ("weather_1h", "weather_24h", "weather_48h")  # inputs, where a start is suited

SGD = (3e-3, 1e-2, 3e-2, 1e-1)  # of a readout
ADAM = (1e-4, 3e-4, 1e-3, 3e-3)
NLMS = (0.03, 0.1, 0.3, 0.8)
NONE = (None,)


@dataclass(frozen=True)
class Method:
    """What is compared: tables of a config, and which learning rates to try.

    `hidden` are rates of A and R (and of b, where there is one), `readout` those of B;
    None: it does not learn. With `joint`, one rate is everyone's.
    """

    name: str
    rule: dict
    readout: tuple = SGD
    hidden: tuple = NONE
    joint: bool = False
    start: str = "paper"
    network: dict = field(default_factory=dict)
    decorrelation: dict | None = None
    decorrelation_rates: tuple = (1e-5, 1e-4, 1e-3)
    broadcast: str = "1 scalar per population"
    local: bool = True
    only: tuple = tuple(TASKS)


ANP, FB = {"name": "ANP"}, "n_out errors and n_out residuals"
WINDOW = {
    "name": "ANP", "reward": "return_to_go", "window": 20, "resync_every": 20, "pairs": 16,
    "optimiser": "adam",
}  # fmt: skip
FRESH = {"name": "ANP", "layers": "separate", "resync_every": 1, "pairs": 1}
FEEDBACK = {"name": "LearnedFeedback", "feedback_rate": 1.0}
EQ6, LOCAL = {"name": "Decorrelation"}, {"name": "LocalDecorrelation"}
SLOW = (1e-6, 1e-5, 1e-4, 1e-3)  # of a hidden layer that learns by noisy estimates
LOW = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
QUICK = (1e-5, 1e-4, 1e-3, 1e-2)
FINE = (3e-3, 1e-2, 2e-2, 3e-2)
MEMORY, WEATHER = ("mackey_glass", "copying"), ("weather_1h", "weather_24h", "weather_48h")
SHORT = {"window": 10, "resync_every": 10, "pairs": 4}

METHODS = [
    # The paper's rules, with the scale that gives a readout of one output its delta rule.
    Method("NP", {"name": "NP"}, LOW, joint=True, broadcast="1 scalar"),
    Method("WP", {"name": "WP"}, LOW, joint=True, broadcast="1 scalar"),
    Method("ANP", ANP, (1e-4, 1e-3, 3e-3, 1e-2), joint=True),
    Method("DANP", ANP, (1e-4, 1e-3, 3e-3, 1e-2), joint=True, decorrelation=EQ6),
    # The readout alone, the hidden layer as it was drawn.
    Method("readout", ANP),
    Method("readout, momentum", {**ANP, "optimiser": "momentum"}, (3e-4, 1e-3, 3e-3, 1e-2)),
    Method("readout, Adam", {**ANP, "optimiser": "adam"}, ADAM),
    Method("readout, normalised", {**ANP, "normalise": 1.0}, NLMS, broadcast="2 scalars"),
    Method("readout, Eq. 6", ANP, decorrelation=EQ6),
    Method("readout, D-free", ANP, decorrelation=LOCAL),
    Method("readout, Adam, D-free", {**ANP, "optimiser": "adam"}, ADAM, decorrelation=LOCAL),
    # The hidden layer too, from the paper's start.
    Method("ANP, two rates", ANP, SGD, QUICK),
    Method("ANP, Adam", {**ANP, "optimiser": "adam"}, ADAM, (1e-6, 1e-5, 1e-4, 1e-3)),
    Method("ANP, momentum", {**ANP, "optimiser": "momentum"}, (3e-4, 1e-3, 3e-3), SLOW),
    Method(
        "ANP, normalised", {**ANP, "normalise": 1.0}, NLMS, (1e-3, 1e-2, 1e-1, 0.5),
        broadcast="2 scalars per projection",
    ),
    Method("fresh noise, layers apart", FRESH, SGD, QUICK),
    Method("the same, 8 pairs", {**FRESH, "pairs": 8}, SGD, QUICK, only=MEMORY),
    Method(
        "the same, 1 pair, normalised", {**FRESH, "normalise": 1.0}, NLMS,
        (1e-3, 1e-2, 1e-1, 0.5), broadcast="2 scalars per projection",
    ),
    Method(
        "window 20, 16 pairs, Adam", WINDOW, (3e-4, 1e-3), (1e-4, 3e-4, 1e-3), only=MEMORY
    ),
    Method(
        "window 10, 4 pairs, Adam", {**WINDOW, **SHORT}, (3e-4, 1e-3), (1e-4, 3e-4),
        only=WEATHER[1:],
    ),
    Method("learned feedback", {"name": "LearnedFeedback"}, SGD, QUICK, broadcast=FB),
    Method(
        "learned feedback, Adam", {"name": "LearnedFeedback", "optimiser": "adam"}, ADAM,
        (1e-6, 1e-5, 1e-4, 1e-3), broadcast=FB,
    ),
    Method(
        "learned feedback, Eq. 6", {"name": "LearnedFeedback"}, SGD, QUICK, broadcast=FB,
        decorrelation=EQ6,
    ),
    Method("RFLO", {"name": "RFLO"}, SGD, QUICK, broadcast="n_out errors"),
    Method(
        "RFLO, tau 10", {"name": "RFLO"}, SGD, QUICK, broadcast="n_out errors",
        network={"tau": 10.0},
    ),
    # From a start that suits the task.
    Method("suited: readout", ANP, start="suited"),
    Method("suited: readout, Adam", {**ANP, "optimiser": "adam"}, ADAM, start="suited"),
    Method(
        "suited: readout, normalised", {**ANP, "normalise": 1.0}, NLMS, start="suited",
        broadcast="2 scalars",
    ),
    Method("suited: readout, Eq. 6", ANP, start="suited", decorrelation=EQ6),
    Method(
        "suited: ANP, normalised", {**ANP, "normalise": 1.0}, NLMS, (1e-3, 1e-2, 1e-1),
        start="suited", broadcast="2 scalars per projection",
    ),
    Method(
        "suited: learned feedback", FEEDBACK, FINE, FINE, start="suited",
        broadcast=FB,
    ),
    Method(
        "suited: learned feedback, one rate", FEEDBACK, FINE, joint=True,
        start="suited", broadcast=FB,
    ),
    Method(
        "suited: learned feedback, normalised", {**FEEDBACK, "normalise": 1.0},
        NLMS, (1e-3, 1e-2, 1e-1), start="suited", broadcast=FB,
    ),
    Method("suited: RFLO", {"name": "RFLO"}, FINE, QUICK, start="suited", broadcast="n_out errors"),
    Method(
        "suited: window 20, 4 pairs, Adam", {**WINDOW, "pairs": 4}, (3e-4, 1e-3), (1e-4, 3e-4),
        start="suited", only=MEMORY,
    ),
    # What is not local, to compare with.
    Method(
        "bptt(k=1), Adam", {"name": "BPTT", "truncate": 1}, (3e-5, 1e-4, 3e-4, 1e-3), joint=True,
        local=False, broadcast="all",
    ),
    Method(
        "bptt(chunk 100), Adam", {"name": "BPTT", "chunk": 100}, (3e-4, 1e-3, 3e-3), joint=True,
        local=False, broadcast="all",
    ),
    Method(
        "suited: bptt(chunk 100), Adam", {"name": "BPTT", "chunk": 100}, (3e-4, 1e-3, 3e-3),
        joint=True, start="suited", local=False, broadcast="all",
    ),
]  # fmt: skip


# ------------------------------------------------------------------------------- a run


class HeldOut:
    """A task whose test is a part of its training data, which training does not see."""

    def __init__(self, task):
        self._task = task
        self.n_inputs, self.n_targets = task.n_inputs, task.n_targets
        pairs = zip(task.train(0), task.train(1), strict=True)
        self._fresh = not all(np.array_equal(a, b) for a, b in pairs)

    def train(self, epoch=0):
        """All of an epoch, if no two are alike; or the first four fifths of the steps."""
        inputs, targets = self._task.train(epoch)
        cut = len(inputs) if self._fresh else len(inputs) - len(inputs) // 5
        return inputs[:cut], targets[:cut]

    def test(self):
        """An epoch nobody gets to; or the last fifth."""
        if self._fresh:
            return self._task.train(1_000_000)
        inputs, targets = self._task.train(0)
        cut = len(inputs) - len(inputs) // 5
        return inputs[cut:], targets[cut:]

    def score(self, outputs, targets):
        """As the task does."""
        return self._task.score(outputs, targets)


def config(task, method, rates, seed):
    """The config of a method with its rates: ``readout``, ``hidden`` and ``decorrelation``."""
    from neurosim.experiments.config import parse

    described, epochs = TASKS[task]
    if method.start == "suited" and task in CENTRED:
        described = {**described, "centre_inputs": True}
    start = SUITED[task] if method.start == "suited" else PAPER
    network = {"hidden": 100, **start, **method.network}
    rate = {"B": rates["readout"]}
    if rates.get("hidden") is not None:
        onto_hidden = ("A", "R", "b") if network.get("bias") else ("A", "R")
        rate |= dict.fromkeys(onto_hidden, rates["hidden"])
    given = {
        "task": described,
        "network": network,
        "rule": {**method.rule, "learning_rate": rates["readout"] if method.joint else rate},
        "training": {"epochs": epochs, "batch": 10, "seed": seed},
    }
    if method.decorrelation is not None:
        given["decorrelation"] = {**method.decorrelation, "learning_rate": rates["decorrelation"]}
    return parse(given, task, f"{task}, {method.name}")


LOADED = {}


def loaded(described, held_out, made):
    """The task; one that reads a file does so once."""
    if (described, held_out) not in LOADED:
        LOADED[described, held_out] = HeldOut(made.task) if held_out else made.task
    return LOADED[described, held_out]


def one(task, name, rates, seed, held_out):
    """Train once; a row of what came out. What blows up has no error, and a note."""
    from threadpoolctl import threadpool_limits

    import neurosim as ns

    method = next(m for m in METHODS if m.name == name)
    made = config(task, method, rates, seed)
    shown = loaded(json.dumps(made.resolved()["task"]), held_out, made)
    row = {"task": task, "method": name, "seed": seed, **rates}
    with threadpool_limits(limits=1):
        try:
            sim = made.simulator()
            history = ns.train(sim, shown, made.training.epochs, progress=False)
        except ns.DivergenceError:
            return {**row, "test_mse": np.inf, "note": "diverged"}
    learned = [r for r in history.rows if r["steps"]]
    last = {key: value for key, value in history.last.items() if key.startswith("t")}
    pace = float(np.median([r["seconds"] / r["steps"] for r in learned]))
    mse = last["test_mse"] if np.isfinite(last["test_mse"]) else np.inf
    passes = sim._plan.passes
    return {**row, **last, "test_mse": mse, "ms_per_step": 1e3 * pace, "passes": passes, "note": ""}


def many(runs, jobs):
    """Do runs in processes of their own, and give their rows as they come."""
    if jobs == 1:
        yield from (one(*run) for run in runs)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(one, *run) for run in runs]):
            yield done.result()


# ------------------------------------------------------------------------------ tuning


def chosen():
    """Rates chosen so far, by task and method."""
    return tomllib.loads(CHOSEN.read_text()) if CHOSEN.is_file() else {}


def keep(task, method, rates):
    """Note a choice."""
    from neurosim.files import whole

    everything = chosen()
    found = {key: rate for key, rate in rates.items() if rate is not None}
    everything.setdefault(task, {})[method.name] = found
    with whole(CHOSEN) as temporary:
        temporary.write_text(tomli_w.dumps(everything))


def tune(task, method, jobs):
    """Choose rates one after the other, each by its mean over the tuning seeds."""
    rates = {"readout": method.readout[0], "hidden": method.hidden[0], "decorrelation": None}
    grids = {"readout": method.readout, "hidden": method.hidden}
    if method.decorrelation is not None:
        rates["decorrelation"] = method.decorrelation_rates[0]
        grids["decorrelation"] = method.decorrelation_rates
    rows = []
    for key, grid in grids.items():
        if len(grid) > 1:
            found = try_all(task, method, rates, key, grid, jobs)
            rows += found
            rates[key] = best(found, key)
    keep(task, method, rates)
    return rows


def try_all(task, method, rates, key, grid, jobs):
    """Run every rate of a grid on every tuning seed."""
    runs = [
        (task, method.name, {**rates, key: rate}, seed, True) for rate in grid for seed in TUNING
    ]
    return list(many(runs, jobs))


def best(rows, key):
    """The rate with the lowest mean error."""
    return float(pd.DataFrame(rows).groupby(key)["test_mse"].mean().idxmin())


# ----------------------------------------------------------------------------- reporting


def table(rows):
    """One line a task and method, best first; the errors are means, with least and greatest."""
    frame = pd.DataFrame(rows)
    lines = []
    for (task, name), runs in frame.groupby(["task", "method"]):
        errors = runs["test_mse"]
        line = {
            "task": task, "method": name, "test MSE": errors.mean(), "least": errors.min(),
            "greatest": errors.max(), "ms/step": runs["ms_per_step"].median(),
            "passes": runs["passes"].median(),
        }  # fmt: skip
        if "test_accuracy" in runs and task == "copying":
            line |= {"recall": runs["test_accuracy"].mean()}
        lines.append(line)
    return pd.DataFrame(lines).sort_values(["task", "test MSE"])


def markdown(found):
    """The table, for a document."""
    methods, rates = {m.name: m for m in METHODS}, chosen()
    rates["weather_24h"] = rates.get("weather_48h", {})
    for task, lines in found.groupby("task"):
        recalls = task == "copying"
        head = ["method", "test MSE (least-greatest)", *["recall"] * recalls, "rates"]
        head += ["broadcast per step", "passes", "ms/step"]
        print(f"\n### {task}\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
        for _, line in lines.iterrows():
            method = methods[line["method"]]
            used = rates.get(task, {}).get(method.name, {})
            cells = [
                method.name if method.local else f"*{method.name}* (not local)",
                f"{line['test MSE']:.3g} ({line['least']:.3g}-{line['greatest']:.3g})",
                *[f"{line['recall']:.3f}" for _ in range(recalls)],
                "; ".join(f"{key} {rate:g}" for key, rate in used.items()),
                method.broadcast,
                f"{line['passes']:.0f}",
                f"{line['ms/step']:.2g}",
            ]
            print(f"| {' | '.join(cells)} |")


def ridge(tasks):
    """Print the ridge readouts of the untrained networks, from either start."""
    import neurosim as ns

    methods = {m.start: m for m in METHODS if m.name in ("readout", "suited: readout")}
    for task in tasks:
        for start, method in methods.items():
            rows = []
            for seed in REPORTING:
                made = config(task, method, {"readout": 1e-2}, seed)
                epochs = 20 if task == "copying" else 1  # elsewhere all epochs show the same
                rows.append(ns.refit_readout(made.simulator(), made.shown, epochs=epochs))
            errors = [row["test_mse"] for row in rows]
            recall = [row["test_accuracy"] for row in rows] if task == "copying" else []
            said = f"{np.mean(errors):.3g} ({min(errors):.3g}-{max(errors):.3g})"
            also = f", recall {np.mean(recall):.3f}" if recall else ""
            print(f"{task}, {start} start: {said}{also}", flush=True)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["tune", "report", "ridge"])
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--method", action="append", help="part of a name; repeatable")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="rows of all runs, as a Parquet file")
    given = parser.parse_args()
    wanted = [
        (task, method)
        for task in given.task or TASKS
        for method in METHODS
        if task in method.only
        and (not given.method or any(part in method.name for part in given.method))
    ]
    rows = []
    if given.what == "ridge":
        ridge(given.task or TASKS)
    elif given.what == "tune":
        for task, method in wanted:
            if task == "weather_24h" or method.name in chosen().get(task, {}):
                continue
            rows += tune(task, method, given.jobs)
            print(task, method.name, json.dumps(chosen()[task][method.name]), flush=True)
    else:
        rates = chosen()
        rates["weather_24h"] = rates.get("weather_48h", {})
        runs = [
            (task, method.name, rates[task][method.name], seed, False)
            for task, method in wanted
            if method.name in rates.get(task, {})
            for seed in REPORTING
        ]
        for row in many(runs, given.jobs):
            rows.append(row)
            if given.out is not None:  # what is done is kept, whatever happens to the rest
                pd.DataFrame(rows).to_parquet(given.out, index=False)
        markdown(table(rows))
    if given.out is not None and rows:
        pd.DataFrame(rows).to_parquet(given.out, index=False)


if __name__ == "__main__":
    main()
