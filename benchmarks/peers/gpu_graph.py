"""The learning step as one CUDA graph: cuBLAS products and fused elementwise kernels, by CuPy.

The best that can be had of a library without a kernel of one's own for the whole step. Kind
to it: up to `BLOCK` steps are captured in one graph, so that a launch costs next to nothing;
the noise of a block is drawn by one call of cuRAND (Philox, its own normals) between graphs;
A and R lie side by side, padded, so that ``[s, u] @ [R, A]^T`` is one product and one update;
Eq. 6 visits each weight once. Data lie on the device, losses stay there.
"""

from __future__ import annotations

import numpy as np

from .gpu_device import Cuda
from .gpu_problem import LEAST

BLOCK = 50  # steps captured in one graph, at most
NOISE = 64 << 20  # numbers drawn at once, at most
ALIGN = 4  # numbers that cuBLAS loads at once


class Peer:
    """A problem with one output. `device` is where: a `Cuda` or a `Host`."""

    def __init__(self, problem, device=None):
        steps, batch, n_in = problem.inputs.shape
        if problem.targets.shape[2] != 1:
            raise ValueError("the graph peer has one output")
        self._device = device = Cuda(problem.seed) if device is None else device
        self._rule, n = problem.rule, problem.n
        self._steps, self._batch, self._n, self._n_in = steps, batch, n, n_in
        self._sigma, self._pace = problem.noise_std, problem.learning_rate / batch
        self._decorrelation_pace = problem.decorrelation_rate / batch

        # Rows are [R, A, zeros]; the last one is [B, zeros].
        width = n + -(-n_in // ALIGN) * ALIGN
        w = np.zeros((n + 1, width), dtype=np.float32)
        w[:n, :n], w[:n, n : n + n_in] = problem.weights["R"], problem.weights["A"]
        w[n, :n] = problem.weights["B"][0]
        self._w = device.put(w)
        self._d = device.put(problem.weights["D"]) if "D" in problem.weights else None
        self._inputs = device.put(problem.inputs[:, None])
        self._targets = device.put(problem.targets[..., 0])
        self._losses = device.zeros(steps, batch)

        drawn = (n + 1) * width if self._rule == "WP" else batch * (n + 1)
        self._block = block = divisor(steps, min(BLOCK, max(1, NOISE // drawn)))
        # What every step of a block starts from: [s, u, zeros] of both passes.
        self._start = device.zeros(block + 1, 2, batch, width)
        self._target, self._loss = device.zeros(block, batch), device.zeros(block, batch)
        self._drawn = device.zeros(block * drawn + block * drawn % 2)
        self._lay_noise(problem.noise)
        self._noisy = device.zeros(n + 1, width) if self._rule == "WP" else None
        self._a, self._x = device.zeros(2 * batch, n), device.zeros(2 * batch, n)
        self._signal, self._heard = device.zeros(batch, n), device.zeros(batch, n)
        self._y, self._push = device.zeros(2 * batch), device.zeros()
        self._reward, self._told, self._power = (device.zeros(batch) for _ in range(3))
        self._learn = None

    def _lay_noise(self, given):
        """Views of what is drawn for a block; of given noise, where it lies."""
        block, batch, n, device = self._block, self._batch, self._n, self._device
        hidden = block * batch * n
        if self._rule == "WP":
            self._xi = self._drawn[: block * self._w.size].reshape(block, *self._w.shape)
        else:
            self._xi = self._drawn[:hidden].reshape(block, batch, n)
            self._nu = self._drawn[hidden : hidden + block * batch].reshape(block, batch)
        self._given = None
        if given is not None and self._rule == "WP":
            laid = np.zeros((self._steps, *self._w.shape), dtype=np.float32)
            laid[:, :n, :n], laid[:, :n, n : n + self._n_in] = given["R"], given["A"]
            laid[:, n, :n] = given["B"][:, 0]
            self._given = [device.put(self._sigma * laid)]
        elif given is not None:
            laid = given["hidden"], given["output"][..., 0]
            self._given = [device.put(self._sigma * z) for z in laid]

    def run(self):
        """Run all steps from rest, and wait until they are done."""
        device, block = self._device, self._block
        if self._learn is None:
            self._lay(slice(block))
            kept = [(w, device.get(w)) for w in (self._w, self._d) if w is not None]
            self._learn = device.graph(self._steps_of_a_block)
            for w, before in kept:  # a graph is tried before it is captured
                device.copy(w, device.put(before))
        device.copy(self._start[block, :, :, : self._n], 0.0)
        for first in range(0, self._steps, block):
            now = slice(first, first + block)
            self._lay(now)
            self._learn()
            device.copy(self._losses[now], self._loss)
        device.wait()

    def _lay(self, now):
        """Put data and noise where the graph looks for them."""
        device, inputs = self._device, slice(self._n, self._n + self._n_in)
        device.copy(self._start[: self._block, :, :, inputs], self._inputs[now])
        device.copy(self._target, self._targets[now])
        if self._given is None:
            device.normal(self._drawn, self._sigma)
            return
        laid = [self._xi] if self._rule == "WP" else [self._xi, self._nu]
        for to, values in zip(laid, self._given, strict=True):
            device.copy(to, values[now])

    def _steps_of_a_block(self):
        n, block = self._n, self._block
        self._device.copy(self._start[0, :, :, :n], self._start[block, :, :, :n])
        for k in range(block):
            self._step(k)

    def _step(self, k):
        device, call, batch, n = self._device, self._device.kernels, self._batch, self._n
        flat = self._start.reshape(self._block + 1, 2 * batch, -1)
        before, after = flat[k], flat[k + 1][:, :n]
        a, x, y = self._a, after if self._d is None else self._x, self._y
        clean, noisy = slice(batch), slice(batch, None)
        learning, readout, xi = self._w[:n], self._w[n, :n], self._xi[k]
        variance = self._sigma**2

        if self._rule == "WP":
            call["perturb"](self._w, xi, self._noisy)
            device.product(a[clean], before[clean], learning, turn_b=True)
            device.product(a[noisy], before[noisy], self._noisy[:n], turn_b=True)
            call["fire"](a, x)
        else:
            device.product(a, before, learning, turn_b=True)
            call["fire_noisily"](a[clean], xi, a[noisy], x[clean], x[noisy])
        if self._d is not None:
            device.product(after, x, self._d, turn_b=True)

        if self._rule == "WP":
            device.times_vector(y[clean], after[clean], readout)
            device.times_vector(y[noisy], after[noisy], self._noisy[n, :n])
            told = y[clean], y[noisy], self._target[k], variance
            call["judge_wp"](*told, self._loss[k], self._reward)
            call["push"](self._reward, self._push)
            call["learn"](self._pace, self._push, xi, self._w)
        else:
            device.times_vector(y, after, readout)
            told = y[clean], y[noisy], self._nu[k], self._target[k]
            judge, by = ("judge_np", variance) if self._rule == "NP" else ("judge_anp", LEAST)
            call[judge](*told, by, self._loss[k], self._reward, self._told)
            self._form_signals(a[clean], a[noisy], xi)
            change = {"factor": -self._pace, "keep": 1.0}
            device.product(learning, self._signal, before[clean], turn_a=True, **change)
            device.times_vector(readout, after[clean], self._told, turn=True, **change)

        if self._d is not None:
            device.product(self._heard, after[clean], self._d)
            sizes = batch, n, flat.shape[2], self._decorrelation_pace
            call["decorrelate"](flat[k + 1], self._heard, *sizes, self._d)

    def _form_signals(self, a, noisy, xi):
        call, reward = self._device.kernels, self._reward[:, None]
        if self._rule == "NP":
            call["credit_noise"](reward, xi, self._signal)
        else:
            call["power"](a, noisy, self._power)
            told = reward, self._power[:, None], float(self._n), LEAST
            call["credit_activity"](*told, a, noisy, self._signal)

    @property
    def loss(self):
        """The baseline pass's loss in the last run, (T, batch)."""
        return self._device.get(self._losses)

    @property
    def weights(self):
        """Copies of the weights as they are now."""
        n, w = self._n, self._device.get(self._w)
        inputs = slice(n, n + self._n_in)
        found = {"A": w[:n, inputs], "R": w[:n, :n], "B": w[n:, :n]}
        return found if self._d is None else found | {"D": self._device.get(self._d)}


def divisor(whole, most):
    """Greatest divisor of a number that is not above another."""
    return next(k for k in range(min(whole, most), 0, -1) if whole % k == 0)
