"""The learning step in eager PyTorch, as the paper's users run it: a kernel per operation.

Kind to PyTorch: nothing is recorded for gradients, both passes go through one product,
weights change in place, and only the last step is waited for.
"""

from __future__ import annotations

import torch

from .gpu_problem import LEAST

PRODUCTS = ("A", "R", "B")  # what learns from the reward


class Peer:
    """A problem as PyTorch tensors on one device."""

    def __init__(self, problem, device="cuda"):
        # A difference of two losses, a thousandth apart, does not survive TF32's ten bits.
        torch.set_float32_matmul_precision("highest")

        def put(values):
            return torch.tensor(values, device=device)  # a copy: weights change in place

        self._device, self._rule = torch.device(device), problem.rule
        self._weights = {name: put(w) for name, w in problem.weights.items()}
        self._inputs, self._targets = put(problem.inputs), put(problem.targets)
        given = problem.noise
        self._noise = None if given is None else {name: put(z) for name, z in given.items()}
        self._generator = torch.Generator(device=device).manual_seed(problem.seed)
        self._rate, self._sigma = problem.learning_rate, problem.noise_std
        self._decorrelation_rate = problem.decorrelation_rate
        self._loss = torch.empty(self._inputs.shape[:2], device=device)

    @torch.no_grad()
    def run(self):
        """Run all steps from rest, and wait until they are done."""
        step = self._perturb_weights if self._rule == "WP" else self._perturb_neurons
        batch, n = self._inputs.shape[1], len(self._weights["R"])
        s = torch.zeros(2 * batch, n, device=self._device)  # baseline, then perturbed
        for t in range(len(self._inputs)):
            s = step(t, self._inputs[t], s)
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _draw(self, t, name, like):
        """Noise of this step, in the shape of a tensor."""
        if self._noise is not None:
            return self._sigma * self._noise[name][t]
        return torch.empty_like(like).normal_(0, self._sigma, generator=self._generator)

    def _perturb_neurons(self, t, u, s_before):
        w, batch = self._weights, len(u)
        a = s_before @ w["R"].T
        a.view(2, batch, -1).add_(u @ w["A"].T)
        xi = self._draw(t, "hidden", a[batch:])
        a[batch:] += xi
        s = self._send(a)
        y = s @ w["B"].T
        nu = self._draw(t, "output", y[batch:])
        y[batch:] += nu

        delta_loss = self._judge(t, y[:batch], y[batch:])
        if self._rule == "NP":
            reward = delta_loss.div_(self._sigma**2)
            hidden, output = xi.mul_(reward), nu.mul_(reward)
        else:
            hidden = anp(delta_loss, a[batch:] - a[:batch])
            output = anp(delta_loss, y[batch:] - y[:batch])

        pace = -self._rate / batch
        w["A"].addmm_(hidden.T, u, alpha=pace)
        w["R"].addmm_(hidden.T, s_before[:batch], alpha=pace)
        w["B"].addmm_(output.T, s[:batch], alpha=pace)
        self._decorrelate(s[:batch])
        return s

    def _perturb_weights(self, t, u, s_before):
        w, batch = self._weights, len(u)
        noise = {name: self._draw(t, name, w[name]) for name in PRODUCTS}
        noisy = {name: w[name] + noise[name] for name in PRODUCTS}
        a = torch.empty_like(s_before)
        for k, v in ((slice(batch), w), (slice(batch, None), noisy)):
            torch.addmm(u @ v["A"].T, s_before[k], v["R"].T, out=a[k])
        s = self._send(a)
        delta_loss = self._judge(t, s[:batch] @ w["B"].T, s[batch:] @ noisy["B"].T)
        push = delta_loss.mean() * (self._rate / self._sigma**2)
        for name in PRODUCTS:
            w[name].sub_(noise[name].mul_(push))
        self._decorrelate(s[:batch])
        return s

    def _send(self, a):
        s = torch.tanh(a)
        return s @ self._weights["D"].T if "D" in self._weights else s

    def _judge(self, t, y, y_perturbed):
        """Keep the loss; give its change, (batch, 1)."""
        error, dy = y - self._targets[t], y_perturbed - y
        torch.sum(error.square(), 1, out=self._loss[t])
        return (dy * (2 * error + dy)).sum(1, keepdim=True)

    def _decorrelate(self, s):
        """Eq. 6 in O(N^2 batch), in place."""
        if "D" in self._weights:
            d, rate = self._weights["D"], self._decorrelation_rate
            retrograde = s @ d
            d.addcmul_(d, s.square().mean(0)[:, None], value=rate)
            d.addmm_(s.T, retrograde, alpha=-rate / len(s))

    @property
    def loss(self):
        """The baseline pass's loss in the last run, (T, batch)."""
        return self._loss.cpu().numpy().copy()

    @property
    def weights(self):
        """Copies of the weights as they are now."""
        return {name: w.cpu().numpy().copy() for name, w in self._weights.items()}


def anp(delta_loss, change):
    """Eq. 3, in the size of the population itself."""
    power = change.square().sum(1, keepdim=True).add_(LEAST)
    return change * (change.shape[1] * delta_loss / power)
