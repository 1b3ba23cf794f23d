# %% [markdown]
# # 3. A noisy chip
#
# On analog hardware no two passes are alike: there is noise in every neuron that cannot be switched
# off or measured. `ns.Substrate` says what a chip does to a network; the ideal chip is its default.
# Here we learn on a noisy one, let the rule use the chip's own noise instead of injecting any, and
# sweep the noise from the command line.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import neurosim as ns
from neurosim_tasks import MackeyGlass, Parity

plt.rcParams.update({"figure.figsize": (7, 4), "figure.dpi": 100})

# The command line, run by this notebook's Python. (What is piped shows no live progress bar.)
neurosim = f'"{sys.executable}" -m neurosim'

# %% [markdown]
# ## Chips to start from
#
# The presets take figures from the literature where there are any, and say in their documentation
# where the numbers are a choice. None is a model of its namesake.

# %%
for name, preset in ns.presets.CHIPS.items():
    print(f"{name:14}{preset}")

# %% [markdown]
# Presets are combined with `|`, with each other or with single fields. `explain` says in words what
# is assumed and what it costs whom. Told a rule, it compares the noise that the rule injects with
# the chip's own.

# %%
chip = ns.presets.noisy_node | {"act_noise": 0.02}
_ = (chip | ns.presets.loihi_like | {"stuck_fraction": 0.05}).explain(ns.NP(learning_rate=3e-4))

# %% [markdown]
# ## Two noisy passes
#
# Perturbation rules compare two passes. Usually one is clean and noise is injected into the other.
# On this chip none is clean. ANP does not mind: it credits the *change in activity*, which it can
# see, whatever caused it. So it may as well compare two passes of the same noisy chip and inject
# nothing: `passes="both"`, `noise_std=0`.
#
# NP and WP cannot. They credit the noise that was injected, so it must have been injected, and
# known to them. Asked to do without, they refuse; and so does ANP on a chip whose passes would be
# equal.

# %%
net = ns.rnn(
    1, 60, 1, recurrent="orthogonal", gain=0.99, input_gain=5.0, bias=0.1, seed=1
)  # the start that suits this task


def attempt(make):
    """Print why it is refused."""
    try:
        make()
    except ns.InputError as error:
        print(f"{error}\n")


attempt(lambda: ns.NP(learning_rate=1e-3, noise_std=0))
attempt(lambda: ns.WP(learning_rate=1e-3, noise_std=0))
attempt(lambda: ns.Simulator(net, ns.ANP(learning_rate=1e-3, passes="both", noise_std=0)))

# %% [markdown]
# ## Learning on it
#
# All of these start from the same weights, on a chip with process noise of 0.02, and learn at the
# same rate, but for the readout alone, which takes a higher one. On a noisy chip every test is
# scored twice: with the chip's noise, as it would be used, and without, which says how good the
# weights are.

# %%
task = MackeyGlass(horizon=15, steps=500, batch=10, seed=1)
ways = {
    "ANP, the chip's noise alone": ns.ANP(1e-3, passes="both", noise_std=0),
    "ANP, 0.001 injected": ns.ANP(1e-3),
    "readout alone, the chip's noise alone": ns.ANP({"B": 3e-3}, passes="both", noise_std=0),
    "NP, 0.02 injected": ns.NP(1e-3, noise_std=0.02),
    "NP, 0.001 injected": ns.NP(1e-3),
}
histories, rows = {}, {}
for name, rule in ways.items():
    sim = ns.Simulator(net, rule, substrate=chip, batch=10, seed=1)
    try:
        histories[name] = ns.train(sim, task, epochs=30)
        last = histories[name].last
        rows[name] = {
            "with the chip's noise": f"{last['test_mse']:.4f}",
            "without": f"{last['test_mse_without_noise']:.4f}",
        }
    except ns.DivergenceError as error:
        rows[name] = dict.fromkeys(("with the chip's noise", "without"), "diverged")
        print(f"{name}: {error}")

ridge = task.baselines().loc["ridge on lags", "test_mse"]
rows["ridge regression on 24 lags, off the chip"] = {"without": f"{ridge:.4f}"}
pd.DataFrame.from_dict(rows, orient="index").fillna("")

# %%
fig, ax = plt.subplots()
for colour, (name, history) in zip(("C0", "C1", "0.5", "C3"), histories.items(), strict=False):
    frame = history.frame
    width = 4 if colour == "C0" else 1.5  # two of them lie on each other
    ax.plot(frame["epoch"], frame["test_mse"], color=colour, linewidth=width, label=name)
    ax.plot(frame["epoch"], frame["test_mse_without_noise"], ":", color=colour)
ax.set(
    xlabel="epoch",
    ylabel="test mean squared error",
    yscale="log",
    title="Process noise 0.02; dotted: the same weights tested without noise",
)
ax.legend()
plt.show()

# %% [markdown]
# ANP learns from the chip's own noise as well as with some injected: their curves lie on each
# other. NP with the usual 0.001 does not learn: it credits its own small noise with what the chip's
# twenty times larger noise did to the loss, and blows up; `explain` put a number on it. Injecting
# as much as the chip has saves NP, though its weights stay worse than ANP's.
#
# And the grey line: the readout alone is nearly as good, with the hidden layer as it was drawn.
# Most of what was learned here is the readout, whatever the rule.
#
# The same can be asked of any weights, at any time, without training:

# %%
sim = histories["ANP, the chip's noise alone"].simulator
print(f"with noise    {sim.evaluate(*task.test()).mse:.5f}")
print(f"without noise {sim.evaluate(*task.test(), noise=False).mse:.5f}")

# %% [markdown]
# ## What no readout can do
#
# Parity asks for the product of the last three signs. The hidden layer of ten random neurons does
# not have it, and so no readout of it finds it (`ns.refit_readout` fits the best). Can the chip's
# own noise teach the hidden layer, with two passes and neither of them clean? A sign matters for
# two steps after it came, so that a neuron must be credited with later losses: return to go.

# %%
parity = Parity(bits=3, steps=20, batch=20, sequences=30, seed=1)
ten = ns.rnn(1, 10, 1, recurrent="orthogonal", gain=0.9, bias=0.3, seed=1)
adam = {"schedule": "sequence", "optimiser": "adam"}
own = {"passes": "both", "noise_std": 0.0}
ways = {
    "ANP, return to go, the chip's noise alone": ns.ANP(1e-2, reward="return_to_go", **own, **adam),
    "ANP, reward per step, the chip's noise alone": ns.ANP(1e-2, **own, **adam),
    "NP, return to go, 0.001 injected": ns.NP(1e-2, reward="return_to_go", **adam),
}
rows = {}
for name, rule in ways.items():
    sim = ns.Simulator(ten, rule, substrate=chip, batch=20, seed=1)
    last = ns.train(sim, parity, epochs=50).last
    rows[name] = {"test MSE": last["test_mse"], "accuracy": last["test_accuracy"]}
fitted = ns.refit_readout(ns.Simulator(ten, substrate=chip, batch=20), parity, epochs=5)
rows["best readout of the untrained network"] = {
    "test MSE": fitted["test_mse"],
    "accuracy": fitted["test_accuracy"],
}
pd.DataFrame(rows).T.round(4)

# %% [markdown]
# It can: an accuracy of 1, from one scalar per step and noise that was neither injected nor
# measured. A reward per step gets most signs right too, at forty times the error, for it credits
# nothing that comes later; NP cannot tell its small noise from the chip's. That is one seed and one
# rate for all: `docs/what_is_learned.md`, in the repository, has more of both.

# %% [markdown]
# ## A sweep
#
# How much noise can ANP live with, and NP? One config, two axes, two seeds. Fields that go
# together, such as a rule's name and its options, are one axis: a `[[sweep.zip]]` of whole tables.

# %%
config = """
[task]
name = "mackey_glass"
horizon = 15
steps = 500

[network]
hidden = 60
recurrent = "orthogonal"
gain = 0.99
input_gain = 5.0
bias = 0.1

[rule]
name = "ANP"
learning_rate = 1e-3

[training]
epochs = 20
batch = 10

[baselines]
enabled = false

[sweep]
seeds = [10, 11]

[[sweep.zip]]
rule = [
    { name = "ANP", learning_rate = 1e-3, passes = "both", noise_std = 0.0 },
    { name = "NP", learning_rate = 3e-4, noise_std = 1e-3 },
]
"""
_ = Path("noisy.toml").write_text(config)

# %%
levels = "substrate.act_noise=0.001,0.003,0.01,0.03,0.1"
# !{neurosim} sweep noisy.toml --over {levels} --out sweeps/noisy 2>&1 | cat

# %% [markdown]
# Every run has a folder named by a hash of its config, so that nothing is run twice; one that blows
# up is a row with its reason, not a hole. `ns.load_results` reads all of them into one table, with
# every field of the config as a column.

# %%
found = ns.load_results("sweeps/noisy")
found.groupby(["rule.name", "substrate.act_noise"])[["test_mse", "test_mse_without_noise"]].mean()

# %%
pd.crosstab(found["substrate.act_noise"], [found["rule.name"], found["status"]])

# %%
fig, ax = plt.subplots()
for colour, (name, rows) in zip(("C0", "C3"), found.groupby("rule.name"), strict=True):
    by_noise = rows.groupby("substrate.act_noise")
    for column, style, words in (
        ("test_mse", "o-", "with noise"),
        ("test_mse_without_noise", "o:", "without"),
    ):
        error = by_noise[column].agg(["mean", "min", "max"])
        bars = np.abs(error[["min", "max"]].sub(error["mean"], axis=0)).T
        ax.errorbar(
            error.index,
            error["mean"],
            bars,
            fmt=style,
            color=colour,
            capsize=3,
            label=f"{name}, tested {words}",
        )
mean = task.baselines().loc["mean", "test_mse"]
ax.axhline(mean, color="0.6", linestyle="--", label="guessing the mean")
ax.set(
    xlabel="process noise, standard deviation [units of the pre-activation]",
    ylabel="test mean squared error",
    xscale="log",
    yscale="log",
    ylim=(8e-4, 0.4),
    title="Mackey-Glass on a noisy chip, two seeds (least to greatest)",
)
ax.legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# What to keep from this: the rule that reads activities can use the chip's noise; the rule that has
# to know its noise cannot stand noise that it does not know, and diverges from 0.01 on. Most of
# ANP's error at high noise is made by the noise at the test: at 0.1 the network as it would be used
# is little better than guessing the mean, while the same weights without noise are still good. One
# rate for each rule and two seeds show the order, not the values: with a rate chosen for each level
# NP does better than here.
