"""The learning step in JAX: one jitted scan over time.

On one CPU thread, like what it is compared with. The environment variables below say so;
JAX reads them when it first runs something.
"""

from __future__ import annotations

import os
from functools import partial

# XLA sizes its thread pools by NPROC; its own flag alone leaves matrix products on all cores.
os.environ["NPROC"] = "1"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np


class Peer:
    """A problem as a compiled JAX program; weights stay on the device between runs."""

    def __init__(self, problem):
        self._weights = {name: jnp.array(w) for name, w in problem.weights.items()}
        self._inputs, self._targets = jnp.array(problem.inputs), jnp.array(problem.targets)
        self._noise = None if problem.noise is None else tuple(map(jnp.array, problem.noise))
        self._key = jax.random.key(problem.seed)
        self._learn = jax.jit(
            partial(
                learn,
                rule=problem.rule,
                rate=problem.learning_rate,
                sigma=problem.noise_std,
                decorrelation_rate=problem.decorrelation_rate,
                cubic=problem.decorrelation == "cubic",
            ),
            donate_argnums=0,
        )

    def run(self):
        """Run all steps from rest."""
        self._key, key = jax.random.split(self._key)
        noise = jax.random.split(key, len(self._inputs)) if self._noise is None else self._noise
        self._weights, loss = self._learn(self._weights, self._inputs, self._targets, noise)
        jax.block_until_ready(self._weights)
        return np.asarray(loss)

    @property
    def weights(self):
        """Copies of the weights."""
        return {name: np.array(w) for name, w in self._weights.items()}


def learn(weights, inputs, targets, noise, *, rule, rate, sigma, decorrelation_rate, cubic):
    """Learn from one sequence; `noise` is a key per step, or the two populations' noise."""
    batch, n = inputs.shape[1], weights["R"].shape[0]

    def step(carry, now):
        w, s_before = carry  # s_before: (2, batch, n), the baseline pass and the perturbed one
        u, target, drawn = now
        if isinstance(drawn, tuple):
            xi, nu = drawn
        else:
            both = jax.random.normal(drawn, (batch, n + target.shape[1]))
            xi, nu = both[:, :n], both[:, n:]
        xi, nu = sigma * xi, sigma * nu

        recurrent = (s_before.reshape(2 * batch, n) @ w["R"].T).reshape(2, batch, n)
        a = (recurrent + u @ w["A"].T).at[1].add(xi)
        s = jnp.tanh(a)
        if "D" in w:
            s = (s.reshape(2 * batch, n) @ w["D"].T).reshape(2, batch, n)
        y = (s @ w["B"].T).at[1].add(nu)

        error, dy = y[0] - target, y[1] - y[0]
        delta_loss = (dy * (2 * error + dy)).sum(1, keepdims=True)
        if rule == "NP":
            hidden, output = delta_loss / sigma**2 * xi, delta_loss / sigma**2 * nu
        else:
            hidden, output = anp(delta_loss, a[1] - a[0]), anp(delta_loss, dy)

        pace = rate / batch
        changed = {
            "A": w["A"] - pace * (hidden.T @ u),
            "R": w["R"] - pace * (hidden.T @ s_before[0]),
            "B": w["B"] - pace * (output.T @ s[0]),
        }
        if "D" in w:
            form = cubic_decorrelation if cubic else quadratic_decorrelation
            changed["D"] = w["D"] - decorrelation_rate * form(s[0], w["D"])
        return (changed, s), (error**2).sum(1)

    rest = jnp.zeros((2, batch, n))
    (weights, _), loss = jax.lax.scan(step, (weights, rest), (inputs, targets, noise))
    return weights, loss


def anp(delta_loss, change):
    """Eq. 3, in the size of the population itself."""
    return change.shape[1] * delta_loss / (change**2).sum(1, keepdims=True) * change


def quadratic_decorrelation(s, d):
    """Eq. 6 in O(N^2 batch)."""
    return s.T @ (s @ d) / len(s) - (s**2).mean(0)[:, None] * d


def cubic_decorrelation(s, d):
    """Eq. 6 as it is printed, in O(N^3)."""
    return (s.T @ s / len(s) - jnp.diag((s**2).mean(0))) @ d
