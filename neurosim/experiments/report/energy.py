"""What a network's operations would cost elsewhere: a range, for nobody has built the chip."""

from __future__ import annotations

from dataclasses import dataclass

HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014 (45 nm, 0.9 V)"
DAVIES = "Davies et al., Loihi, IEEE Micro 38(1), 2018 (14 nm, 0.75 V)"


@dataclass(frozen=True)
class Cost:
    """What things cost somewhere [J].

    Attributes
    ----------
    where : str
    multiply : float
        A weight times what it meets, added to a sum.
    add : float
        A weight added to a sum: what it meets is 0, 1 or -1.
    write : float
        A weight changed.
    update : float
        A neuron updated. 0: not counted.
    source : str
    """

    where: str
    multiply: float
    add: float
    write: float
    update: float
    source: str

    def of(
        self, multiplied: float = 0, added: float = 0, written: float = 0, updated: float = 0
    ) -> float:
        """Energy of so many of each [J]."""
        work = self.multiply * multiplied + self.add * added
        return work + self.write * written + self.update * updated


PICO = 1e-12

# Arithmetic: an addition of 8 bits 0.03 pJ, a multiplication 0.2; float32 0.9 and 3.7. A word of
# 64 bits from DRAM costs 1.3 to 2.6 nJ: 1.3 nJ for one of 32 bits is its upper end.
COSTS = (
    Cost(
        "8-bit arithmetic alone, nothing fetched",
        multiply=0.23 * PICO,
        add=0.03 * PICO,
        write=0.23 * PICO,
        update=0.0,
        source=HOROWITZ,
    ),
    Cost(
        "float32 arithmetic alone, nothing fetched",
        multiply=4.6 * PICO,
        add=0.9 * PICO,
        write=4.6 * PICO,
        update=0.0,
        source=HOROWITZ,
    ),
    Cost(
        "a digital neuromorphic chip, weights beside the neurons",
        multiply=23.6 * PICO,
        add=23.6 * PICO,
        write=120 * PICO,
        update=81 * PICO,
        source=f"{DAVIES}: a synaptic event, a synaptic update by its own rule, a neuron's update",
    ),
    Cost(
        "float32, every weight fetched from DRAM (and put back, if changed)",
        multiply=(1300 + 4.6) * PICO,
        add=(1300 + 0.9) * PICO,
        write=(2600 + 4.6) * PICO,
        update=0.0,
        source=HOROWITZ,
    ),
)
