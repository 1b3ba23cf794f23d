"""What `neurosim bench` measures: a rule, neurons, replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim import rules
from neurosim.errors import InputError
from neurosim.network import Network, rnn
from neurosim.simulator import Simulator
from neurosim.values import nearest, require

BASES = {"NP": rules.NP, "ANP": rules.ANP, "WP": rules.WP}
SIGNS = "-rademacher"
RULES = tuple(f"{d}{base}{signs}" for base in BASES for d in ("", "D") for signs in ("", SIGNS))
PEER_RULES = ("NP", "ANP", "DNP", "DANP")
DEFAULT_RULES = (*PEER_RULES, "WP", "WP-rademacher")
DEFAULT_SIZES = ("100,10", "500,1", "1000,1", "1000,10")

INPUTS, OUTPUTS = 9, 1  # the weather task's
NOISE_STD = 1e-3
RATE = 1e-9  # too small to change what is computed, so that every run is alike


@dataclass(frozen=True)
class Case:
    """A rule (with a ``D`` in front: decorrelated), neurons, replicas."""

    rule: str
    hidden: int
    batch: int

    @property
    def decorrelated(self) -> bool:
        """Whether D is learned too."""
        return self.rule.startswith("D")

    @property
    def base(self) -> str:
        """Name of the rule alone."""
        return self.rule.removeprefix("D").removesuffix(SIGNS)

    @property
    def operations(self) -> int:
        """Floating-point operations per step that depend on N^2.

        Two passes and an update are ``6 N^2 batch``. With D, two more products, the
        retrograde sum and an update make it ``14 N^2 batch``. Drawing noise counts
        for nothing.
        """
        return (14 if self.decorrelated else 6) * self.hidden**2 * self.batch

    def network(self) -> Network:
        """The network, with the weather task's inputs and outputs."""
        return rnn(INPUTS, self.hidden, OUTPUTS, decorrelate=self.decorrelated)

    def simulator(self, network: Network, threads: int, engine: str = "cpu") -> Simulator:
        """Build its simulator."""
        distribution = "rademacher" if self.rule.endswith(SIGNS) else "normal"
        rule = BASES[self.base](RATE, NOISE_STD, distribution=distribution)
        decorrelation = rules.Decorrelation(RATE) if self.decorrelated else None
        return Simulator(
            network, rule, decorrelation, batch=self.batch, engine=engine, threads=threads
        )

    def data(self, steps: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw inputs and targets."""
        shape = (steps, self.batch, INPUTS + OUTPUTS)
        drawn = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        return drawn[..., :INPUTS].copy(), drawn[..., INPUTS:].copy()


def cases(
    names: Sequence[str] = (), sizes: Sequence[str] = (), against: str | None = None
) -> list[Case]:
    """Cases by the names of rules and by sizes such as ``1000,10``; the usual ones by default.

    With `against`, only what peers have.

    Raises
    ------
    InputError
        If a name is unknown or a size is none.
    """
    known, usual = (RULES, DEFAULT_RULES) if against is None else (PEER_RULES, PEER_RULES)
    where = "" if against is None else f" against {against}"
    for name in names:
        if name not in known:
            raise InputError(
                f"bench: rule = {name!r} does not exist{where}; {nearest(name, known)}"
            )
    return [Case(name, *_size(size)) for size in sizes or DEFAULT_SIZES for name in names or usual]


def _size(text: str) -> tuple[int, int]:
    numbers = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    fine = len(numbers) == 2 and min(numbers) >= 1
    require(fine, "bench", "size", text, "N,BATCH: two whole numbers >= 1, such as 1000,10")
    return numbers[0], numbers[1]
