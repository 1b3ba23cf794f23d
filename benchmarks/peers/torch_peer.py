"""The learning step in PyTorch: eager, in place, both passes in one product."""

from __future__ import annotations

import torch


class Peer:
    """A problem as PyTorch tensors, on one CPU thread."""

    def __init__(self, problem):
        torch.set_num_threads(1)
        # Copies: changing weights in place must not reach the caller's.
        self._weights = {name: torch.tensor(w) for name, w in problem.weights.items()}
        self._inputs, self._targets = torch.tensor(problem.inputs), torch.tensor(problem.targets)
        self._noise = None if problem.noise is None else tuple(map(torch.tensor, problem.noise))
        self._generator = torch.Generator().manual_seed(problem.seed)
        self._rule, self._sigma = problem.rule, problem.noise_std
        self._rate, self._decorrelation_rate = problem.learning_rate, problem.decorrelation_rate
        self._cubic = problem.decorrelation == "cubic"

    @torch.no_grad()
    def run(self):
        """Run all steps from rest."""
        (steps, batch, _), n = self._inputs.shape, len(self._weights["R"])
        loss = torch.empty(steps, batch)
        s = torch.zeros(2 * batch, n)  # the baseline pass, then the perturbed one
        for t in range(steps):
            s = self._step(t, s, loss)
        return loss.numpy()

    def _draw(self, t):
        if self._noise is not None:
            return (self._sigma * drawn[t] for drawn in self._noise)
        shapes = (self._inputs.shape[1], len(self._weights["R"])), self._targets.shape[1:]
        return (torch.empty(s).normal_(0, self._sigma, generator=self._generator) for s in shapes)

    def _step(self, t, s_before, loss):
        w, sigma = self._weights, self._sigma
        u, target, (xi, nu) = self._inputs[t], self._targets[t], self._draw(t)
        batch = len(u)

        a = s_before @ w["R"].T
        a.view(2, batch, -1).add_(u @ w["A"].T)
        a[batch:] += xi
        s = torch.tanh(a)
        if "D" in w:
            s = s @ w["D"].T
        y = s @ w["B"].T
        y[batch:] += nu

        error, dy = y[:batch] - target, y[batch:] - y[:batch]
        torch.sum(error.square(), 1, out=loss[t])
        delta_loss = (dy * (2 * error + dy)).sum(1, keepdim=True)
        if self._rule == "NP":
            reward = delta_loss.div_(sigma**2)
            hidden, output = xi.mul_(reward), nu.mul_(reward)
        else:
            hidden, output = anp(delta_loss, a[batch:] - a[:batch]), anp(delta_loss, dy)

        pace = -self._rate / batch
        w["A"].addmm_(hidden.T, u, alpha=pace)
        w["R"].addmm_(hidden.T, s_before[:batch], alpha=pace)
        w["B"].addmm_(output.T, s[:batch], alpha=pace)
        if "D" in w:
            form = cubic_decorrelation if self._cubic else quadratic_decorrelation
            form(w["D"], s[:batch], self._decorrelation_rate)
        return s

    @property
    def weights(self):
        """Copies of the weights."""
        return {name: w.numpy().copy() for name, w in self._weights.items()}


def anp(delta_loss, change):
    """Eq. 3, in the size of the population itself."""
    return change * (change.shape[1] * delta_loss / change.square().sum(1, keepdim=True))


def quadratic_decorrelation(d, s, rate):
    """Eq. 6 in O(N^2 batch), in place."""
    retrograde = s @ d
    d.addcmul_(d, s.square().mean(0)[:, None], value=rate)
    d.addmm_(s.T, retrograde, alpha=-rate / len(s))


def cubic_decorrelation(d, s, rate):
    """Eq. 6 as it is printed, in O(N^3)."""
    correlation = (s.T @ s).div_(len(s)).fill_diagonal_(0)
    d.sub_(correlation @ d, alpha=rate)
