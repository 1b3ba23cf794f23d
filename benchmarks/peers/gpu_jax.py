"""The learning step in JAX: one jitted scan over time, compiled for the whole run.

Kind to JAX: noise comes from its fastest generator (``rbg``, XLA's own), for NP and ANP all
of a run's in one go before the scan, for WP step by step because it would not fit; weights
are donated, so that they change in place.
"""

from __future__ import annotations

import os
from functools import partial

# Else JAX takes three quarters of the memory, and whoever runs by turns with it has none.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from .gpu_problem import LEAST


class Peer:
    """A problem as a compiled JAX program; weights stay on the device between runs."""

    def __init__(self, problem, platform="cuda"):
        put = partial(jax.device_put, device=jax.devices(platform)[0])
        self._weights = put(problem.weights)
        self._data = put((problem.inputs, problem.targets))
        self._noise = None if problem.noise is None else put(problem.noise)
        self._key = put(jax.random.key(problem.seed, impl="rbg"))
        self._loss = None
        self._learn = jax.jit(
            partial(
                learn,
                rule=problem.rule,
                rate=problem.learning_rate,
                sigma=problem.noise_std,
                decorrelation_rate=problem.decorrelation_rate,
            ),
            donate_argnums=0,
        )

    def run(self):
        """Run all steps from rest, and wait until they are done."""
        self._key, key = jax.random.split(self._key)
        # A difference of two losses, a thousandth apart, does not survive TF32's ten bits.
        with jax.default_matmul_precision("float32"):
            found = self._learn(self._weights, *self._data, key, self._noise)
        self._weights, self._loss = jax.block_until_ready(found)

    @property
    def loss(self):
        """The baseline pass's loss in the last run, (T, batch)."""
        return np.asarray(self._loss)

    @property
    def weights(self):
        """Copies of the weights as they are now."""
        return {name: np.array(w) for name, w in self._weights.items()}


def learn(weights, inputs, targets, key, noise, *, rule, rate, sigma, decorrelation_rate):
    """Learn from one sequence; without noise, from what the key gives."""
    (steps, batch, _), n_out, n = inputs.shape, targets.shape[2], len(weights["R"])
    if noise is not None:
        drawn = noise
    elif rule == "WP":
        drawn = jax.random.split(key, steps)
    else:
        both = jax.random.normal(key, (steps, batch, n + n_out))
        drawn = {"hidden": both[..., :n], "output": both[..., n:]}
    perturb = perturb_weights if rule == "WP" else partial(perturb_neurons, anp=rule == "ANP")

    def step(carry, now):
        w, s_before = carry  # s_before: (2, batch, n), the baseline pass and the perturbed one
        u, target, z = now
        z = scaled(z, sigma, w)
        changed, s, loss = perturb(w, s_before, u, target, z, rate, sigma**2)
        if "D" in w:
            changed["D"] = w["D"] - decorrelation_rate * decorrelation(s[0], w["D"])
        return (changed, s), loss

    rest = jnp.zeros((2, batch, n))
    (weights, _), loss = jax.lax.scan(step, (weights, rest), (inputs, targets, drawn))
    return weights, loss


def scaled(z, sigma, w):
    """Noise of one step: what was drawn before, or what a key gives for all weights at once."""
    if not isinstance(z, dict):
        shapes = {name: w[name].shape for name in "ARB"}
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        parts = jnp.split(jax.random.normal(z, (int(ends[-1]),)), ends[:-1])
        z = {
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }
    return {name: sigma * values for name, values in z.items()}


def perturb_neurons(w, s_before, u, target, z, rate, variance, *, anp):
    """NP or ANP: Eq. 2 or 3."""
    batch, n = u.shape[0], len(w["R"])
    xi, nu = z["hidden"], z["output"]
    recurrent = (s_before.reshape(2 * batch, n) @ w["R"].T).reshape(2, batch, n)
    a = (recurrent + u @ w["A"].T).at[1].add(xi)
    s = send(w, jnp.tanh(a))
    y = (s @ w["B"].T).at[1].add(nu)
    loss, delta_loss = judge(y[0], y[1], target)
    if anp:
        hidden, output = by_activity(delta_loss, a[1] - a[0]), by_activity(delta_loss, y[1] - y[0])
    else:
        hidden, output = delta_loss / variance * xi, delta_loss / variance * nu
    pace = rate / batch
    changed = {
        "A": w["A"] - pace * (hidden.T @ u),
        "R": w["R"] - pace * (hidden.T @ s_before[0]),
        "B": w["B"] - pace * (output.T @ s[0]),
    }
    return changed, s, loss


def perturb_weights(w, s_before, u, target, z, rate, variance):
    """WP: Eq. 5. All replicas share the noise."""
    noisy = {name: w[name] + z[name] for name in "ARB"}
    passes = [(s_before[0], w), (s_before[1], noisy)]
    a = jnp.stack([s @ v["R"].T + u @ v["A"].T for s, v in passes])
    s = send(w, jnp.tanh(a))
    loss, delta_loss = judge(s[0] @ w["B"].T, s[1] @ noisy["B"].T, target)
    push = rate / variance * delta_loss.mean()
    return {name: w[name] - push * z[name] for name in "ARB"}, s, loss


def send(w, x):
    """What both passes send, (2, batch, n)."""
    return (x.reshape(-1, x.shape[2]) @ w["D"].T).reshape(x.shape) if "D" in w else x


def judge(y, y_perturbed, target):
    """Loss of the baseline, and its change, (batch, 1)."""
    error, dy = y - target, y_perturbed - y
    return (error**2).sum(1), (dy * (2 * error + dy)).sum(1, keepdims=True)


def by_activity(delta_loss, change):
    """Eq. 3, in the size of the population itself."""
    power = (change**2).sum(1, keepdims=True) + LEAST
    return change.shape[1] * delta_loss / power * change


def decorrelation(s, d):
    """Eq. 6 in O(N^2 batch)."""
    return s.T @ (s @ d) / len(s) - (s**2).mean(0)[:, None] * d
