# %% [markdown]
# # 6. The referee
#
# How close do local rules come to the gradient, and how much of what the gradient can learn do they
# learn? `ns.bptt` is backpropagation through time in plain NumPy. It shares no code with what it
# judges. First we judge the referee; then what the rules' updates estimate; then who learns more.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import neurosim as ns
from neurosim_tasks import MackeyGlass

plt.rcParams.update({"figure.figsize": (7, 4), "figure.dpi": 100})

# %% [markdown]
# ## Is the referee right?
#
# A gradient can be checked by moving one weight a little each way and looking at the loss. In
# double precision the two should agree to many digits.

# %%
task = MackeyGlass(horizon=15, steps=500, batch=10, seed=1)
start = {"recurrent": "orthogonal", "gain": 0.9, "input_gain": 3.0, "bias": 0.1}
net = ns.rnn(1, 60, 1, seed=1, **start)

inputs, targets = (array[:100].astype(np.float64) for array in task.train())
weights = {name: w.astype(np.float64) for name, w in net.initial_weights().items()}
loss, gradient = ns.bptt.gradients(weights, inputs, targets)


def by_differences(name, post, pre, step=1e-5):
    """Slope of the loss along one weight, by central differences."""
    losses = []
    for sign in (1, -1):
        moved = {key: w.copy() for key, w in weights.items()}
        moved[name][post, pre] += sign * step
        losses.append(ns.bptt.gradients(moved, inputs, targets)[0])
    return (losses[0] - losses[1]) / (2 * step)


chosen = [("A", 3, 0), ("R", 7, 12), ("R", 40, 2), ("b", 5, 0), ("B", 0, 9)]
rows = [
    {
        "weight": f"{name}[{post}, {pre}]",
        "by ns.bptt": gradient[name][post, pre],
        "by differences": by_differences(name, post, pre),
    }
    for name, post, pre in chosen
]
checked = pd.DataFrame(rows).set_index("weight")
checked["relative difference"] = (
    checked["by ns.bptt"] - checked["by differences"]
).abs() / checked["by differences"].abs()
checked.map("{:.6g}".format)

# %% [markdown]
# ## How far back must it look?
#
# `truncate=k` follows each step's loss back through k steps. What the paper calls BP has k = 1: no
# loss reaches back in time at all. How much of the full gradient is left?


# %%
def flat(gradients):
    """The hidden layer's part, A, R and b, as one vector."""
    return np.concatenate([gradients[name].ravel() for name in ("A", "R", "b")])


def cosine(a, b):
    """Of the angle between two vectors."""
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


reach = [1, 2, 5, 10, 20, 50, 100]
cut = [
    cosine(flat(ns.bptt.gradients(weights, inputs, targets, truncate=k)[1]), flat(gradient))
    for k in reach
]
fig, ax = plt.subplots()
ax.plot(reach, cut, "o-")
ax.set(
    xlabel="steps k that a loss reaches back",
    ylabel="cosine to the full gradient",
    xscale="log",
    title="Hidden layer (A, R, b), Mackey-Glass, before training",
)
ax.set_xticks(reach, [str(k) for k in reach])
plt.show()

# %% [markdown]
# At k = 1 a part of it is left, and it takes some ten steps to have nearly all. Whatever a rule
# does that is rewarded for the present step alone, it has no better direction to find than this.
#
# ## What the rules estimate
#
# `ns.align` draws updates of a rule with fresh noise and compares their mean with these gradients.
# Besides the direction it tells the variance of a single update, relative to the squared length of
# the gradient: how many updates must be averaged until the noise is no larger than the signal.

# %%
rules = {
    "NP": ns.NP(1e-3),
    "ANP": ns.ANP(1e-3),
    "ANP, set back every step": ns.ANP(1e-3, resync_every=1),
    "ANP, return to go": ns.ANP(1e-3, reward="return_to_go"),
    "NP, return to go": ns.NP(1e-3, reward="return_to_go"),
}
data = [array[:40, :4] for array in task.train()]
found = {
    name: ns.align(ns.Simulator(net, rule, batch=4, seed=1), *data, draws=1000, truncations=[1])
    for name, rule in rules.items()
}
frames = pd.concat({name: measured.frame for name, measured in found.items()}, names=["rule"])
hidden = frames[frames["projection"] == "hidden"].droplevel(1).set_index("reference", append=True)
columns = ["cosine", "variance"]
wide = hidden[columns].unstack().loc[list(rules)]
wide.round(2)

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
places = np.arange(len(rules))[::-1]
for reference, colour in (("k=1", "C0"), ("full", "C1")):
    rows = hidden.xs(reference, level="reference").loc[list(rules)]
    axes[0].errorbar(
        rows["cosine"], places, xerr=rows["cosine_se"], fmt="o", color=colour, label=reference
    )
    axes[1].plot(rows["variance"], places, "o", color=colour, label=reference)
axes[0].set(yticks=places, yticklabels=list(rules), xlabel="cosine of mean update and gradient")
axes[1].set(xscale="log", xlabel="variance of one update / |gradient|²")
axes[0].legend(title="gradient")
fig.suptitle("Hidden layer, Mackey-Glass, 40 steps, 4 series, before training")
fig.tight_layout()
plt.show()

# %% [markdown]
# - **NP** with a reward for the present step is the one-step gradient: cosine 1 to `k=1`.
# - **ANP** has less variance, and here hardly any bias (with stronger recurrence it has more: see
#   notebook 2). Set back at every step it has none.
# - **Return to go**, where what was done is credited with all that comes later, gives NP the full
#   gradient: it can be had by perturbation. The price is in the right panel: more than ten times
#   the variance.
#
# ## Who learns more?
#
# `ns.BPTT` is a rule like any other for the simulator, so it starts from the same weights, sees the
# same series and is tested the same way. Beside it: ANP, the readout alone by ANP (with one output,
# its exact delta rule), at two rates. The rates come from a look at other seeds than those here, by
# the test error.

# %%
seeds = (21, 22, 23, 24, 25)
ways = {
    "BPTT, chunks of 100 steps, Adam": ns.BPTT(1e-3, chunk=100),
    "ANP, rate 0.003": ns.ANP(0.003),
    "readout alone, rate 0.03": ns.ANP({"B": 0.03}),
    "readout alone, rate 0.1": ns.ANP({"B": 0.1}),
}
histories = {
    (name, seed): ns.train(ns.rnn(1, 60, 1, seed=seed, **start), task, epochs=40, rule=rule)
    for name, rule in ways.items()
    for seed in seeds
}

fig, ax = plt.subplots()
for colour, name in zip(("C1", "C0", "0.4", "0.7"), ways, strict=True):
    for seed in seeds:
        curve = histories[name, seed].frame["test_mse"]
        ax.plot(curve, color=colour, label=name if seed == seeds[0] else None)
ax.set(
    xlabel="epoch",
    ylabel="test mean squared error",
    yscale="log",
    title="Mackey-Glass, 15 steps ahead, N = 60, five seeds",
)
ax.legend(fontsize=8)
plt.show()

# %%
final = pd.Series({key: history.last["test_mse"] for key, history in histories.items()}).unstack()
final["mean"] = final.mean(axis=1)
final.loc["ridge regression on 24 lags"] = task.baselines().loc["ridge on lags", "test_mse"]
final.sort_values("mean").rename_axis("seed", axis=1).round(5)

# %% [markdown]
# ## Whose hidden layer is better?
#
# An error has two parts in it: what the hidden layer holds, and how far its readout has come.
# `ns.refit_readout` takes the second away: it fits the best readout of the hidden layer as it is,
# by least squares. (No chip does that; it is a measure.) The first row is the untrained network.

# %%
untrained = {
    seed: ns.refit_readout(ns.Simulator(ns.rnn(1, 60, 1, seed=seed, **start), batch=10), task)
    for seed in seeds
}
refitted = {("untrained", seed): found["test_mse"] for seed, found in untrained.items()}
refitted |= {
    key: ns.refit_readout(history.simulator, task)["test_mse"] for key, history in histories.items()
}
refitted = pd.Series(refitted).unstack().loc[["untrained", *ways]]
refitted["mean"] = refitted.mean(axis=1)
refitted.rename_axis("seed", axis=1).map("{:.1e}".format)

# %% [markdown]
# ## What to make of it
#
# - **By their errors** backpropagation through time wins on every seed, some four times ahead in
#   the mean, and ANP is level with a readout alone: between its two rates in the mean.
# - **By their hidden layers** backpropagation's is better than the one that was drawn, on four
#   seeds of five and by half in the mean; ANP's is not: better on two seeds, worse on three.
# - **The best linear readout of the untrained network is below everything that was learned**, by a
#   factor of four in the mean and of two at the least. Sixty random neurons with this start hold
#   what Mackey-Glass needs, and the curves show mostly how far forty epochs of steps get a readout
#   whose inputs are alike.
# - All are far ahead of linear regression on the inputs, because this start remembers. That is the
#   start's merit, not the rule's.
#
# So a test error alone does not say whether a rule teaches a hidden layer: ask it of a task that no
# readout of the untrained network can do. In notebook 1 ten neurons learn one from a scalar, in
# notebook 3 on a noisy chip. `docs/what_is_learned.md`, in the repository, asks it of more tasks,
# with rates tuned by one procedure for every row; `docs/alignment.md` asks which gradient rules
# follow.
