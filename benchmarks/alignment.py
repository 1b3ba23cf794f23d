"""Which gradient each rule estimates, with how much bias and variance.

    python benchmarks/alignment.py [--quick] [--only TABLE ...] [--networks N] [--out FOLDER]

Prints the tables that docs/alignment.md is made of, as Markdown; with --out, also writes every
number with its standard error to FOLDER/alignment.csv and draws the figures. One process, some
twenty minutes of one idle core; --quick: two.
"""

import argparse
import sys
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import neurosim as ns

SIGMA = 1e-2
NETWORKS, DRAWS = 8, 20_000
FEWER = 4_000  # draws, where many sizes or settings are compared
COPIES = 40  # of the batch, side by side: see `align`
COLUMNS = {
    "cos k=1": ("hidden", "k=1", "cosine"),
    "cos full": ("hidden", "full", "cosine"),
    "scale k=1": ("hidden", "k=1", "scale"),
    "bias² k=1": ("hidden", "k=1", "bias2"),
    "variance": ("hidden", "k=1", "variance"),
    "variance B": ("B", "k=1", "variance"),
}

NP, ANP, WP = (partial(rule, 1.0, SIGMA) for rule in (ns.NP, ns.ANP, ns.WP))


# --------------------------------------------------------------------- measuring


def problem(
    number, hidden=16, steps=20, series=4, gain=1.0, tau=1.0, error=None, data="white", drive=1.0
):
    """One of the networks, and something to hear and to answer.

    "white": normal numbers for both. "sine": a slow sine wave and, to answer, the same five
    steps later. `drive` is what inputs are multiplied by. With an `error`, targets are what
    the network says anyway plus normal numbers of this size.
    """
    net = ns.rnn(1, hidden, 1, gain=gain, neuron=ns.Tanh(tau=tau), seed=number)
    generator = np.random.default_rng(100 + number)
    if data == "white":
        inputs, targets = generator.normal(size=(2, steps, series, 1))
    else:
        angle = 0.3 * np.arange(steps)[:, None, None] + generator.uniform(0, 2 * np.pi, (series, 1))
        inputs, targets = np.sin(angle), np.sin(angle + 1.5)
    inputs = drive * inputs
    if error is not None:
        outputs = ns.Simulator(net).evaluate(inputs, targets).outputs
        targets = outputs + error * targets
    return net, inputs, targets


def align(rule, number, draws, substrate=None, learn=0, chunks=(), truncations=(1,), **how):
    """Measure; give the frame by projection and reference.

    Where every replica has noise of its own, copies of the batch side by side are as many
    draws at once, and their mean has that much less variance.
    """
    net, inputs, targets = problem(number, **how)
    alone = rule.passes == 1 or rule.perturbs == "weights" or rule.reward_scope == "batch"
    copies = 1 if alone or learn else COPIES
    sim = ns.Simulator(net, rule, substrate=substrate, batch=inputs.shape[1], seed=200 + number)
    for _ in range(learn):  # what it feeds back, with weights all but standing still
        sim.run(inputs, targets)
    batch = (np.tile(values, (1, copies, 1)) for values in (inputs, targets))
    options = {"truncations": truncations, "chunks": chunks, "progress": False}
    frame = ns.align(sim, *batch, draws=max(2, draws // copies), **options).frame
    for name, factor in (("variance", copies), ("snr", 1 / copies)):
        frame[[name, f"{name}_se"]] *= factor
    return frame.set_index(["projection", "reference"])


@cache
def cosine_of_gradients(number, references, **how):
    """Cosine, in A and R, of the gradients that two (truncate, chunk) stand for."""
    net, inputs, targets = problem(number, **how)
    weights = {name: w.astype(float) for name, w in net.initial_weights().items()}
    tau = how.get("tau", 1.0)
    a, b = (ns.bptt.gradients(weights, inputs, targets, *reach, tau=tau)[1] for reach in references)
    a, b = (np.concatenate([g["A"].ravel(), g["R"].ravel()]) for g in (a, b))
    return a @ b / np.sqrt(a @ a * (b @ b))


class Table:
    """Numbers of one table, by case, network and column."""

    def __init__(self, name, case="rule"):
        self.name, self.case, self.rows = name, case, []

    def add(self, case, number, found, columns=COLUMNS):
        """Take what `align` found for a network."""
        for column, (part, reference, measure) in columns.items():
            row = found.loc[(part, reference)]
            self.put(case, number, column, row[measure], row[f"{measure}_se"])

    def put(self, case, number, column, value, error=0.0):
        """Take one number."""
        keys = {"table": self.name, "case": case, "network": number, "column": column}
        self.rows.append({**keys, "value": float(value), "error": float(error)})

    @property
    def frame(self):
        """All of them."""
        return pd.DataFrame(self.rows)

    def ratio(self, column, case):
        """Each network's numbers over those of one case, as columns ``column / case``."""
        frame = self.frame[self.frame["column"] == column]
        below = frame[frame["case"] == case].set_index("network")["value"]
        for row in frame.to_dict("records"):
            value = row["value"] / below[row["network"]]
            self.put(row["case"], row["network"], f"{column} / {case}", value)

    def show(self, columns=None):
        """Print medians over networks, and the least and the largest, as Markdown."""
        frame = self.frame
        columns = columns or list(frame["column"].unique())
        networks = frame["network"].nunique()
        print(f"\n**{self.name}** (median over {networks} networks; least, largest)\n")
        print(f"| {self.case} | " + " | ".join(columns) + " |")
        print("|---|" + "---|" * len(columns))
        for case in frame["case"].unique():
            cells = []
            for column in columns:
                chosen = frame[(frame["case"] == case) & (frame["column"] == column)]["value"]
                cells.append(_cell(chosen))
            print(f"| {case} | " + " | ".join(cells) + " |")
        largest = frame[frame["column"].isin(columns)].groupby(["column"], sort=False)["error"]
        words = ", ".join(f"{name} {value:.2g}" for name, value in largest.median().items())
        print(f"\nMedian standard error of one network's numbers: {words}.", flush=True)


def _cell(values):
    if values.isna().all():
        return ""
    median, low, high = (_short(f(values.dropna())) for f in (np.median, np.min, np.max))
    return median if low == median == high else f"{median} ({low}, {high})"


def _short(value):
    if abs(value) < 0.005:
        return "0"
    return (
        f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.3g}"
        if abs(value) < 1e4
        else f"{value:.1e}"
    )


# ------------------------------------------------------------------------ tables


def rules(networks, draws):
    """All rules and options, at the reference size."""
    noisy = ns.Substrate(act_noise=SIGMA)
    apart = {"pairs": 1, "layers": "separate"}
    cases = {
        "NP local": (NP(), {}),
        "NP local, batch-wide reward": (NP(reward_scope="batch"), {}),
        "NP local, Rademacher noise": (NP(distribution="rademacher"), {}),
        "NP global": (NP(reward="global"), {}),
        "NP return to go": (NP(reward="return_to_go"), {}),
        "NP return to go, trace decay .8": (NP(reward="return_to_go", trace_decay=0.8), {}),
        "ANP local": (ANP(), {}),
        "ANP return to go": (ANP(reward="return_to_go"), {}),
        "NP local, one pair": (NP(pairs=1), {}),
        "ANP local, one pair": (ANP(pairs=1), {}),
        "NP local, two pairs": (NP(pairs=2), {}),
        "ANP local, unmeasured noise in both passes only": (
            ns.ANP(1.0, 1e-6),
            {"substrate": noisy},
        ),
        "NP local, as much unmeasured noise in both passes": (NP(), {"substrate": noisy}),
        "NP, set back every step": (NP(resync_every=1), {}),
        "ANP, set back every step": (ANP(resync_every=1), {}),
        "ANP local, layers separate": (ANP(layers="separate"), {}),
        "NP, set back, one pair, layers separate": (NP(resync_every=1, **apart), {}),
        "ANP, set back, one pair, layers separate": (ANP(resync_every=1, **apart), {}),
        "WP local": (WP(), {}),
        "WP return to go": (WP(reward="return_to_go"), {}),
        "WP global": (WP(reward="global"), {}),
        "learned feedback": (ns.LearnedFeedback(1e-12, SIGMA), {"learn": 2000}),
        "RFLO": (ns.RFLO(1.0), {}),
    }
    table = Table("Rules, N = 16, T = 20, batch 4")
    for case, (rule, options) in cases.items():
        most = {"WP": 8000, "LearnedFeedback": 200}.get(type(rule).__name__, draws)
        for number in range(networks):
            table.add(case, number, align(rule, number, min(draws, most), **options))
    for number in range(networks):
        both = ((1, None), (None, None))
        table.put("the k=1 gradient itself", number, "cos k=1", 1.0)
        table.put("the k=1 gradient itself", number, "cos full", cosine_of_gradients(number, both))
    for column in ("variance", "variance B"):
        table.ratio(column, "NP local")
    table.show([*COLUMNS])
    table.show([name for name in table.frame["column"].unique() if "/" in name])
    return table.frame


def reach(networks, draws):
    """Which gradient: rewards, windows, setting back."""
    references = ["k=1", "k=2", "k=5", "k=10", "chunk=5", "full"]
    columns = {f"cos {name}": ("hidden", name, "cosine") for name in references}
    columns["variance"] = ("hidden", "full", "variance")
    table = Table("Which gradient, N = 16, T = 20, batch 4")
    cases = {"NP local": NP(), "NP local, set back every step": NP(resync_every=1)}
    for reward, words in (("return_to_go", "NP return to go"), ("global", "NP global")):
        cases[words] = NP(reward=reward)
        cases[f"{words}, window 5"] = NP(reward=reward, window=5)
        cases[f"{words}, window 5, set back every 5"] = NP(reward=reward, window=5, resync_every=5)
    for decay in (0.9, 0.8, 0.5):
        words = f"NP return to go, trace decay {decay}"
        cases[words] = NP(reward="return_to_go", trace_decay=decay)
    cases |= {
        "ANP local": ANP(),
        "ANP local, set back every step": ANP(resync_every=1),
        "ANP return to go": ANP(reward="return_to_go"),
        "ANP return to go, window 5, set back every 5": ANP(
            reward="return_to_go", window=5, resync_every=5
        ),
    }
    reaches = {"truncations": (1, 2, 5, 10), "chunks": (5,)}
    for case, rule in cases.items():
        for number in range(networks):
            table.add(case, number, align(rule, number, draws, **reaches), columns)
    table.show()
    return table.frame


def leaky(networks, draws):
    """Neurons that remember: what a truncated gradient and RFLO then miss."""
    table = Table("Leaky neurons, tau = 5, N = 16, T = 20, batch 4")
    cases = {
        "NP local": (NP(), 0),
        "NP return to go": (NP(reward="return_to_go"), 0),
        "ANP local": (ANP(), 0),
        "ANP, set back every step": (ANP(resync_every=1), 0),
        "ANP, set back, layers separate": (ANP(resync_every=1, layers="separate"), 0),
        "ANP return to go": (ANP(reward="return_to_go"), 0),
        "learned feedback": (ns.LearnedFeedback(1e-12, SIGMA), 2000),
        "RFLO": (ns.RFLO(1.0), 0),
    }
    for case, (rule, learn) in cases.items():
        few = 200 if learn else draws
        for number in range(networks):
            table.add(case, number, align(rule, number, few, learn=learn, tau=5.0))
    for number in range(networks):
        cosine = cosine_of_gradients(number, ((1, None), (None, None)), tau=5.0)
        table.put("the k=1 gradient itself", number, "cos k=1", 1.0)
        table.put("the k=1 gradient itself", number, "cos full", cosine)
    table.show()
    return table.frame


def both_noisy(networks, draws):
    """Noise that nobody measures, in all passes, beside the noise that is injected."""
    table = Table(
        f"Unmeasured noise in every pass, in units of the injected noise ({SIGMA})", "case"
    )
    for words, rule in (
        ("NP", NP()),
        ("NP, one pair", NP(pairs=1)),
        ("NP, set back every step", NP(resync_every=1)),
        ("ANP", ANP()),
        ("ANP, one pair", ANP(pairs=1)),
        ("ANP, set back every step", ANP(resync_every=1)),
    ):
        for level in (0, 0.3, 1, 3):
            substrate = ns.Substrate(act_noise=level * SIGMA)
            for number in range(networks):
                found = align(rule, number, draws, substrate)
                table.add(f"{words}, {level:g}", number, found)
    table.show()
    return table.frame


def sigmas(networks, draws):
    """Bias and variance by the size of the noise, with a large error and a small one."""
    table = Table("Size of the noise and of the error", "case")
    columns = {name: COLUMNS[name] for name in ("cos k=1", "bias² k=1", "variance", "variance B")}
    for error in (None, 0.05):
        for words, options in (
            ("NP", {}),
            ("NP, one pair", {"pairs": 1}),
            ("NP, set back every step, one pair", {"pairs": 1, "resync_every": 1}),
            ("ANP", {}),
        ):
            for sigma in (0.3, 0.1, 0.03, 0.01, 0.001):
                rule = (ns.ANP if words == "ANP" else ns.NP)(1.0, sigma, **options)
                case = f"{words}, sigma {sigma:g}, error {error or 1:g}"
                for number in range(networks):
                    table.add(case, number, align(rule, number, draws, error=error), columns)
    table.show()
    return table.frame


def batches(networks, draws):
    """Variance by the batch, rewards for each replica and for all."""
    table = Table("Batch, variance of A and R", "batch")
    for series in (1, 2, 4, 8, 16):
        for number in range(networks):
            own, shared = (
                align(NP(reward_scope=scope), number, draws, series=series).loc[("hidden", "k=1")]
                for scope in ("replica", "batch")
            )
            for words, row in (("one per replica", own), ("one per batch", shared)):
                table.put(series, number, words, row["variance"], row["variance_se"])
            table.put(series, number, "ratio", shared["variance"] / own["variance"])
            table.put(
                series, number, "ratio / batch", shared["variance"] / own["variance"] / series
            )
    table.show()
    return table.frame


def gains(networks, draws):
    """Recurrent gain, at N = 30 and T = 40."""
    table = Table("Recurrent gain, N = 30, T = 40, batch 4", "gain")
    for gain in (0.0, 0.5, 0.8, 1.0, 1.2, 1.5):
        _many(table, gain, networks, draws, gain=gain, hidden=30, steps=40)
    table.show()
    return table.frame


def sizes(networks, draws):
    """Number of neurons."""
    table = Table("Neurons, T = 20, batch 4", "N")
    for hidden in (8, 16, 32, 64):
        _many(table, hidden, networks, draws, hidden=hidden)
    table.show()
    return table.frame


def lengths(networks, draws):
    """Length of the sequence."""
    table = Table("Length of the sequence, N = 16, batch 4", "T")
    for steps in (5, 10, 20, 40, 80, 160):
        _many(table, steps, networks, draws, steps=steps)
    table.show()
    return table.frame


def signals(networks, draws):
    """What is heard and answered, at N = 30 and T = 40."""
    table = Table("Data, N = 30, T = 40, batch 4, gain 1", "inputs, targets")
    for drive in (0.2, 0.5, 1.0, 3.0):
        case = f"white noise times {drive:g}, white noise"
        _many(table, case, networks, draws, hidden=30, steps=40, drive=drive)
    case = "slow sine wave, itself 5 steps later"
    _many(table, case, networks, draws, hidden=30, steps=40, data="sine")
    table.show()
    return table.frame


def _many(table, case, networks, draws, **how):
    """What depends on the network's size and gain: cosines and variances of five rules."""
    later = {"reward": "return_to_go"}
    for number in range(networks):
        found = {
            name: align(rule, number, draws, **how)
            for name, rule in {
                "NP": NP(),
                "ANP": ANP(),
                "NP set back": NP(resync_every=1),
                "NP to go": NP(**later),
                "ANP to go": ANP(**later),
            }.items()
        }
        both = ((1, None), (None, None))
        table.put(case, number, "cos(k=1, full)", cosine_of_gradients(number, both, **how))
        for rule, reference, measure, words in (
            ("ANP", "k=1", "cosine", "ANP cos k=1"),
            ("ANP", "k=1", "scale", "ANP scale k=1"),
            ("ANP to go", "full", "cosine", "ANP to go cos full"),
            ("NP to go", "full", "cosine", "NP to go cos full"),
            ("NP", "k=1", "variance", "NP variance"),
            ("NP set back", "k=1", "variance", "NP set back variance"),
            ("ANP", "k=1", "variance", "ANP variance"),
            ("NP to go", "full", "variance", "NP to go variance"),
            ("ANP to go", "full", "variance", "ANP to go variance"),
        ):
            row = found[rule].loc[("hidden", reference)]
            table.put(case, number, words, row[measure], row[f"{measure}_se"])


# ------------------------------------------------------------------------ figures


def draw(found, folder):
    """Draw which gradient rules estimate, and what the recurrent gain does."""
    from matplotlib.figure import Figure

    tables = {key.split(",")[0]: frame for key, frame in found.groupby("table")}
    if "Which gradient" in tables:
        frame = tables["Which gradient"]
        figure = Figure(figsize=(7, 4.6), layout="constrained")
        ax = figure.subplots()
        shown = [f"cos {name}" for name in ("k=1", "k=2", "k=5", "k=10", "full")]
        for case in (
            "NP local",
            "NP return to go, trace decay 0.8",
            "NP return to go, window 5, set back every 5",
            "NP return to go",
            "ANP local",
            "ANP return to go",
        ):
            _lines(ax, frame[frame["case"] == case], "column", shown, case, band=False)
        ax.set_xticks(range(len(shown)), [name.removeprefix("cos ") for name in shown])
        ax.set(xlabel="gradient, truncated to k steps", ylabel="cosine to the mean update, A and R")
        figure.legend(fontsize=8, loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(folder / "alignment_reach.png", dpi=110)
    if "Recurrent gain" in tables:
        frame = tables["Recurrent gain"]
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        for ax, columns, label in zip(
            figure.subplots(1, 2),
            (
                ("ANP cos k=1", "ANP to go cos full", "NP to go cos full", "cos(k=1, full)"),
                ("NP variance", "NP set back variance", "ANP variance", "NP to go variance"),
            ),
            ("cosine", "variance / squared length of the gradient"),
            strict=True,
        ):
            values = sorted(frame["case"].unique())
            for column in columns:
                _lines(ax, frame[frame["column"] == column], "case", values, column)
            ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
            ax.set(xlabel="recurrent gain", ylabel=label)
            ax.legend(fontsize=8)
        ax.set_yscale("log")
        figure.savefig(folder / "alignment_gain.png", dpi=110)


def _lines(ax, frame, by, values, label, band=True):
    """Medians over networks, and a band from the least to the largest."""
    grouped = frame.groupby(by)["value"]
    low, middle, high = (getattr(grouped, f)().reindex(values) for f in ("min", "median", "max"))
    (line,) = ax.plot(range(len(values)), middle, "o-", label=label, markersize=4)
    if band:
        shade = {"color": line.get_color(), "alpha": 0.12, "linewidth": 0}
        ax.fill_between(range(len(values)), low, high, **shade)


TABLES = {
    table.__name__: table
    for table in (rules, reach, leaky, both_noisy, sigmas, batches, gains, sizes, lengths, signals)
}


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=NETWORKS, metavar="N")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="WP: at most 8000")
    parser.add_argument("--quick", action="store_true", help="2 networks, 2000 draws")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    networks, draws = (2, 2000) if given.quick else (given.networks, given.draws)
    found = []
    with threadpool_limits(limits=1):
        for name in given.only:
            start = time.perf_counter()
            few = draws if name in ("rules", "reach", "leaky") else min(draws, FEWER)
            found.append(TABLES[name](networks, few))
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        frame = pd.concat(found)
        frame.to_csv(given.out / "alignment.csv", index=False)
        draw(frame, given.out)


if __name__ == "__main__":
    main()
