# %% [markdown]
# # 1. A first run: ten neurons learn to remember
#
# A network that learns on a simulated chip needs three things: a **task** (series to learn from and
# series to be judged by), a **network**, and a **simulator** that holds the network, a learning
# rule and the chip. Here ten neurons learn to hold a bit, from nothing but one number per time step
# that tells all of them alike how well they did. No gradient is computed anywhere.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import neurosim as ns
from neurosim_tasks import FlipFlop

plt.rcParams.update({"figure.figsize": (7, 3), "figure.dpi": 100})

# %% [markdown]
# ## The task
#
# A flip-flop: now and then comes a pulse, +1 or -1, and the output is to be the sign of the last
# one, however long ago it was. Arrays are `(time, series, features)`. An epoch is 20 batches of 20
# sequences of 20 steps, fresh ones in every epoch; others are kept for the test.

# %%
task = FlipFlop(steps=20, batch=20, sequences=20, seed=1)
inputs, targets = task.train(0)
inputs.shape, targets.shape

# %% [markdown]
# ## The network and the simulator
#
# `ns.rnn` describes the network: inputs reach ten tanh neurons through `A`, these reach each other
# through `R` one step later, a linear readout `B` makes the output, and `b` is a bias.
#
# `ns.NP` is node perturbation. Beside the network run copies of it in which every neuron's sum has
# a little noise of its own. What is broadcast is how the loss changed by it; a neuron that was
# pushed up when things went better is to go up. With `reward="return_to_go"` a neuron is credited
# with the losses of its own step *and of all later ones*, so that noise which spoils the output ten
# steps later is found out. (A flip-flop is learned as well without; of parity the error is hundreds
# of times larger without: see `docs/what_is_learned.md`.) Averaging over 16 pairs of opposite noise
# reduces the variance of what is estimated; the readout and the hidden layer have pairs of their
# own. The rate falls along a cosine.

# %%
net = ns.rnn(task.n_inputs, 10, task.n_targets, recurrent="orthogonal", gain=0.9, bias=0.3, seed=1)
rule = ns.NP(
    ns.rates.Cosine(1e-2, over=40),
    noise_std=1e-2,
    reward="return_to_go",
    schedule="sequence",  # weights change at the end of each sequence
    pairs=16,
    layers="separate",
    optimiser="adam",
)
sim = ns.Simulator(net, rule, batch=20, seed=1)
print(rule.budget())

# %% [markdown]
# What each part must know is said by the rule itself, and checked: a function of a rule that asked
# for more would be refused.
#
# ## Before
#
# How well could *any* readout of the untrained network do? `ns.refit_readout` fits the best one by
# least squares. This is no way to learn on a chip, for it takes all states at once; it is a measure
# of the hidden layer.

# %%
before = ns.refit_readout(sim, task, epochs=5)
print(f"best readout of the untrained network: test MSE {before['test_mse']:.3f}, ", end="")
print(f"accuracy {before['test_accuracy']:.2f}")

# %% [markdown]
# The untrained neurons forget: no readout can make up for it. To do better, the hidden layer has to
# change.
#
# ## Training
#
# `ns.train` shows an epoch's series, `batch` at a time, and tests after each epoch. The first run
# compiles the time loop, which takes half a minute, once; later ones find it on disk.

# %%
history = ns.train(sim, task, epochs=40)
history.frame[["epoch", "train_mse", "test_mse", "test_accuracy"]].iloc[[0, 1, 5, 10, 20, 40]]

# %%
ax = history.plot()
ax.axhline(before["test_mse"], color="0.6", linestyle="--", label="best readout, untrained")
ax.set_title("Flip-flop, ten neurons, node perturbation")
ax.legend()
plt.show()

# %% [markdown]
# The training error is measured while the weights change, the test error with the weights at rest.
# Epoch 0 is the network before training.
#
# ## After
#
# It has learned over sequences of 20 steps. Does it hold a bit for longer than it ever had to?
# `evaluate` runs without learning and leaves the simulator as it is.

# %%
longer = FlipFlop(steps=300, probability=0.02, batch=20, seed=2)
long_inputs, long_targets = longer.test()
judged = sim.evaluate(long_inputs, long_targets)
untrained = ns.Simulator(net, batch=20).evaluate(long_inputs, long_targets)
print(f"over 300 steps: MSE {judged.mse:.2g},", longer.score(judged.outputs, long_targets))

fig, ax = plt.subplots()
ax.vlines(np.flatnonzero(long_inputs[:, 0, 0]), 0, long_inputs[long_inputs[:, 0, 0] != 0, 0, 0])
ax.plot(long_targets[:, 0, 0], color="0.7", linewidth=4, label="target")
ax.plot(judged.outputs[:, 0, 0], label="after training")
ax.plot(untrained.outputs[:, 0, 0], ":", label="before training")
ax.set(
    xlabel="time [steps]", ylabel="output", title="Pulses (bars), and what is remembered of them"
)
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## Baselines
#
# A falling error says that something was learned, not that the rule is any good. What does little
# effort reach? `ns.baselines` has the mean, linear regression on the inputs of this step and of the
# last 24, the best readout of the untrained network, and a readout that learns alone, by its exact
# gradient. Beside them: the trained network with its readout refitted (a better hidden layer makes
# a better one), and backpropagation through time, which is given everything that is not local.

# %%
referee = ns.train(net, task, epochs=40, rule=ns.BPTT(ns.rates.Cosine(1e-2, over=40)))
rows = ns.baselines(task, ns.Simulator(net, batch=20), epochs=10)["test_mse"].to_dict() | {
    "node perturbation": history.last["test_mse"],
    "the same, readout refitted": ns.refit_readout(sim, task, epochs=5)["test_mse"],
    "backpropagation through time": referee.last["test_mse"],
}
pd.Series(rows, name="test MSE").sort_values().to_frame().style.format("{:.2g}")

# %% [markdown]
# One seed is no result: `docs/what_is_learned.md` has five seeds, and rules that do better and
# worse. The variance of what is broadcast grows with the number of neurons that share it.
#
# ## Save and go on
#
# A simulator saves everything that going on needs. One that was stopped after two epochs and loaded
# again ends with the very weights of one that was never stopped, to the last bit, in the middle of
# a falling rate. `train` writes such a file after every epoch if it is told where.

# %%
whole = ns.train(ns.Simulator(net, rule, batch=20, seed=1), task, epochs=4)
ns.train(ns.Simulator(net, rule, batch=20, seed=1), task, epochs=2, checkpoint="first.npz")

loaded = ns.Simulator.load("first.npz")
ns.train(loaded, task, epochs=4, history=ns.History.load("first.npz"))
{name: np.array_equal(w, loaded.weights[name]) for name, w in whole.simulator.weights.items()}

# %% [markdown]
# ## The command line
#
# What you will want to keep is a config: a TOML file that names task, network, rule and chip.
# `neurosim run` trains as it says, computes all of the baselines above, draws figures and leaves a
# folder that says how it was made. `--set` changes a field. In a terminal it is `neurosim run ...`;
# the next lines see to it that the Python of this notebook runs it, whatever the terminal would
# find.

# %%
neurosim = f'"{sys.executable}" -m neurosim'
# !{neurosim} run flip_flop --epochs 5 --out runs/first 2>&1 | grep -v "ms a step\|^config"

# %%
print(*sorted(path.name for path in Path("runs/first").glob("[!.]*")), sep="\n")

# %% [markdown]
# `neurosim report` makes one page of HTML of such a folder, which needs no other file: errors,
# curves, predictions, what the chip is assumed to do, what the rule has to know, costs, settings.

# %%
# !{neurosim} report runs/first | cat

# %% [markdown]
# Open it in a browser. Notebook 3 uses the command line for a sweep, notebook 5 to do
# a figure of the paper again.
