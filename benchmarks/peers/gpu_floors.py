"""What a case is, what one of its steps must do at least, and how long that takes.

Operations are counted as `neurosim bench` counts them, but with every matrix at its own size:
two for a multiplication and an addition. Drawing noise counts for nothing, although WP's is
most of its work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INPUTS, OUTPUTS = 9, 1  # the weather task's
NOISE_STD = 1e-3
RATE = 1e-9  # too small to change what is computed, so that every run is alike
PAIRS = WINDOW = 16
RULES = ("NP", "ANP", "WP", "windowed")


@dataclass(frozen=True)
class Case:
    """A rule, neurons, replicas, with or without D.

    The windowed rule is NP with 16 antithetic pairs, each loss credited to all noise of its
    episode of 16 steps.
    """

    rule: str
    hidden: int
    batch: int
    decorrelated: bool

    @property
    def name(self) -> str:
        """What it is called in tables."""
        words = f"NP, {PAIRS} pairs, window {WINDOW}" if self.rule == "windowed" else self.rule
        return f"D{words}" if self.decorrelated else words

    def __str__(self) -> str:
        return f"{self.name}, N = {self.hidden}, B = {self.batch}"

    @property
    def onto_hidden(self) -> int:
        """Weights that hidden neurons receive by: A and R."""
        return self.hidden * (INPUTS + self.hidden)

    @property
    def learned(self) -> int:
        """Weights that the reward changes: A, R and B."""
        return self.onto_hidden + OUTPUTS * self.hidden

    @property
    def passes(self) -> int:
        """Passes per replica."""
        return 1 + 2 * PAIRS if self.rule == "windowed" else 2

    @property
    def flops(self) -> int:
        """Operations of a step."""
        count = 2 * self.passes * self.batch * self.learned
        if self.rule == "WP":
            count += 3 * self.learned  # noise added; noise times a scalar, subtracted
        elif self.rule == "windowed":
            # Eligibilities gather, and are multiplied by a loss; a readout is taught at once.
            count += PAIRS * self.batch * (4 * self.onto_hidden + 2 * OUTPUTS * self.hidden)
        else:
            count += 2 * self.batch * self.learned
        if self.decorrelated:
            count += (2 * self.passes + 4) * self.batch * self.hidden**2
        return count

    @property
    def bytes(self) -> int:
        """Bytes of a step that reads and writes each weight, and each eligibility, once."""
        weights = self.learned + self.hidden**2 * self.decorrelated
        return 8 * weights + 2 * self.eligibility_bytes

    @property
    def eligibility_bytes(self) -> int:
        """A number for each synapse, replica and pair, where rewards come later."""
        return 4 * PAIRS * self.batch * self.onto_hidden if self.rule == "windowed" else 0


def floors(case: Case, rates: Mapping[str, Any]) -> dict[str, float]:
    """Microseconds below which a step cannot be, by what would limit it.

    ``flops`` holds however it is done, ``dram`` if weights are in the card's memory, ``l2`` if
    they are in its L2 cache, neither if they stay on chip. ``barrier``: one for a step without
    D, two with. A rate that was not measured gives none.
    """
    arithmetic = [rates[k] for k in ("fma_flops", "sgemm_flops") if _is_number(rates.get(k))]
    found = {"flops": case.flops / max(arithmetic)} if arithmetic else {}
    for name in ("dram", "l2"):
        rate = rates.get(f"{name}_bytes_per_second")
        if _is_number(rate):
            found[name] = case.bytes / rate
    barrier = rates.get("barrier_seconds")
    if _is_number(barrier):
        found["barrier"] = (1 + case.decorrelated) * barrier
    return {name: 1e6 * seconds for name, seconds in found.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
