"""Elementwise kernels and reductions that run on a GPU through CuPy, and in NumPy.

Their texts are statements that C and Python read alike, so that what a test checks without a
GPU is what the GPU computes. Where a text needs a loop there are two of them, and the test
compiles the one in C.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Elementwise:
    """One statement after the other for every element, of arguments that are broadcast.

    Attributes
    ----------
    ins, outs : str
        Arguments as CuPy declares them: ``raw`` ones are indexed. Outputs are read as well.
    text : str
    python : str, optional
        The same in NumPy, where it must be said differently.
    """

    name: str
    ins: str
    outs: str
    text: str
    python: str = ""

    def names(self, what):
        """Names of the arguments in a declaration."""
        return [part.split()[-1] for part in what.split(",")]

    def on_host(self):
        """Give a function of NumPy arrays."""
        code = compile(self.python or self.text, self.name, "exec")
        names, outs = self.names(f"{self.ins}, {self.outs}"), self.names(self.outs)

        def call(*given):
            held = dict(zip(names, given, strict=True))
            scope = {"tanh": np.tanh, **held}
            exec(code, scope)
            for name in outs:
                held[name][...] = scope[name]

        return call

    def on_device(self):
        """Give a function of CuPy arrays; it is compiled when it is first called."""
        import cupy

        return cupy.ElementwiseKernel(self.ins, self.outs, self.text, f"peer_{self.name}")


@dataclass(frozen=True)
class Sum:
    """The sum of an expression along one axis."""

    name: str
    ins: str
    expression: str
    axis: int

    def on_host(self):
        """Give a function of NumPy arrays, the last of which is for the sums."""
        code = compile(self.expression, self.name, "eval")
        names = [part.split()[-1] for part in self.ins.split(",")]

        def call(*given):
            *values, out = given
            scope = dict(zip(names, values, strict=True))
            np.sum(eval(code, scope), axis=self.axis, out=out)

        return call

    def on_device(self):
        """Give a function of CuPy arrays, the last of which is for the sums."""
        import cupy

        kernel = cupy.ReductionKernel(
            self.ins,
            "float32 total",
            self.expression,
            "a + b",
            "total = a",
            "0",
            f"peer_{self.name}",
        )
        return lambda *given: kernel(*given, axis=self.axis)


KERNELS = (
    # ------------------------------------------------------------ activity
    Elementwise(
        "fire_noisily",
        "float32 a, float32 xi",
        "float32 noisy, float32 x, float32 x_noisy",
        "noisy += xi; x = tanh(a); x_noisy = tanh(noisy)",
    ),
    Elementwise("fire", "float32 a", "float32 x", "x = tanh(a)"),
    # -------------------------------------------- what one output is told, per replica
    Elementwise(
        "judge_np",
        "float32 y, float32 noisy, float32 nu, float32 target, float32 variance",
        "float32 loss, float32 reward, float32 told",
        "told = noisy + nu - y; loss = (y - target) * (y - target); "
        "reward = told * (2 * (y - target) + told) / variance; told = reward * nu",
    ),
    Elementwise(
        "judge_anp",
        "float32 y, float32 noisy, float32 nu, float32 target, float32 least",
        "float32 loss, float32 reward, float32 told",
        "told = noisy + nu - y; loss = (y - target) * (y - target); "
        "reward = told * (2 * (y - target) + told); told = reward * told / (told * told + least)",
    ),
    Elementwise(
        "judge_wp",
        "float32 y, float32 noisy, float32 target, float32 variance",
        "float32 loss, float32 reward",
        "loss = (y - target) * (y - target); "
        "reward = (noisy - y) * (2 * (y - target) + noisy - y) / variance",
    ),
    # ------------------------------------------------- what hidden neurons make of it
    Elementwise(
        "credit_noise", "float32 reward, float32 xi", "float32 signal", "signal = reward * xi"
    ),
    Sum("power", "float32 clean, float32 noisy", "(noisy - clean) * (noisy - clean)", 1),
    Elementwise(
        "credit_activity",
        "float32 reward, float32 power, float32 size, float32 least, float32 a, float32 noisy",
        "float32 signal",
        "signal = size * reward / (power + least) * (noisy - a)",
    ),
    # -------------------------------------------------------------- weights
    Elementwise("perturb", "float32 w, float32 xi", "float32 noisy", "noisy = w + xi"),
    Sum("push", "float32 reward", "reward", 0),
    Elementwise(
        "learn", "float32 pace, float32 push, float32 xi", "float32 w", "w -= pace * push * xi"
    ),
    # Eq. 6 in one visit of each weight; cuBLAS would take two.
    Elementwise(
        "decorrelate",
        "raw float32 s, raw float32 v, int32 batch, int32 size, int32 stride, float32 pace",
        "float32 d",
        "int at = (int)i; int row = at / size; int column = at - row * size; float sum = 0; "
        "for (int b = 0; b < batch; ++b) { float here = s[b * stride + row]; "
        "sum += here * (v[b * size + column] - here * d); } d -= pace * sum",
        "sent = s.reshape(-1, stride)[:batch, :size]; heard = v.reshape(batch, size); "
        "d -= pace * (sent.T @ heard - (sent * sent).sum(0)[:, None] * d)",
    ),
)


@cache
def kernels(on_device):
    """All of them by name, for one side."""
    return {k.name: k.on_device() if on_device else k.on_host() for k in KERNELS}
