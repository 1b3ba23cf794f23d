"""A substrate's assumptions, resolved into the numbers of one network's chip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neurosim.errors import InputError
from neurosim.network import Network
from neurosim.substrate import Substrate
from neurosim.substrate.grid import spacing
from neurosim.substrate.record import FITTED
from neurosim.substrate.reward_line import RANGE
from neurosim.values import is_number, nearest, require, shown

STEP_BY_STEP, EPISODE = 0, 1  # what a broadcast is about: each has its own idea of what is usual
FULL = 4.0  # standard deviations of the initial weights that a fitted full scale has


@dataclass(frozen=True)
class Device:
    """The devices of one matrix, all in units of the weight.

    Attributes
    ----------
    full_scale : float
    limit : float
        Largest weight, perhaps infinite.
    spacing : float
        Of the levels, 0 without.
    smallest : float
        Step, 0 for any.
    write_noise, diffusion, read_noise : float
        Standard deviations.
    stuck_at : float
        NaN stands for the initial weight.
    """

    full_scale: float
    limit: float
    spacing: float
    smallest: float
    write_noise: float
    diffusion: float
    read_noise: float
    stuck_at: float


@dataclass(frozen=True)
class Chip:
    """What a substrate means for a network."""

    substrate: Substrate
    network: Network

    def __post_init__(self) -> None:
        given, known = self.substrate.w_max, self.network.matrices
        for name in given if isinstance(given, Mapping) else ():
            if name not in known:
                raise InputError(
                    f"Substrate: w_max[{shown(name)}] names no matrix; {nearest(name, known)}"
                )
        for name in ("devices", "read_spacing", "event_spacing"):
            getattr(self, name)  # what float32 cannot hold is refused now, not during a run

    # ---------------------------------------------------------------- neurons

    @property
    def mismatches(self) -> bool:
        """Whether neurons have gains or offsets of their own."""
        return self.substrate.mismatch_gain > 0 or self.substrate.mismatch_offset > 0

    @property
    def switches(self) -> float:
        """Chance that a telegraph signal changes its state in a step."""
        return 1.0 / (self.substrate.telegraph_dwell or 10.0)

    @property
    def observes(self) -> bool:
        """Whether rules read something else than the activity there is."""
        s = self.substrate
        return bool(s.act_read_noise > 0 or s.act_bits or s.act_range)

    @property
    def read_limit(self) -> float:
        """Largest activity that a rule can read."""
        given = self.substrate.act_range
        return given or (4.0 if self.substrate.act_bits else math.inf)

    @property
    def read_spacing(self) -> float:
        """Of the levels with which it does, 0 without."""
        bits = self.substrate.act_bits
        return _held("spacing of act_bits", spacing(self.read_limit, bits)) if bits else 0.0

    @property
    def event_limit(self) -> float:
        """Largest number that an event can carry."""
        given = self.substrate.event_range
        return given or (1.0 if self.substrate.event_bits else math.inf)

    @property
    def event_spacing(self) -> float:
        """Of the levels it has for that, 0 without."""
        bits = self.substrate.event_bits
        return _held("spacing of event_bits", spacing(self.event_limit, bits)) if bits else 0.0

    @property
    def coarse(self) -> bool:
        """Whether events cannot carry any number."""
        return self.event_limit < math.inf

    def sends(self, population: str) -> bool:
        """Whether a population sends events over projections."""
        return any(p.pre == population for p in self.network.projections)

    # ---------------------------------------------------------------- synapses

    @cached_property
    def loses(self) -> bool:
        """Whether events may not arrive, or not in time."""
        return self.substrate.event_loss > 0 or self.substrate.event_jitter > 0

    @cached_property
    def programs(self) -> bool:
        """Whether what is stored is something else than what the rule wants."""
        s = self.substrate
        amounts = (s.w_min_step, s.soft_bounds, s.c2c, s.d2d, s.w_write_noise, s.stuck_fraction)
        return bool(s.w_bits or s.w_max or s.asymmetry or any(value > 0 for value in amounts))

    @property
    def drifts(self) -> bool:
        """Whether weights fade with the time since they were written."""
        return max(self.drift) > 0

    @property
    def drift(self) -> tuple[float, float]:
        """Lowest and highest exponent of drift."""
        given = self.substrate.drift_nu
        return given if isinstance(given, tuple) else (given, given)

    @property
    def keep(self) -> float:
        """What is left of a weight after a step of leaking."""
        tau = self.substrate.leak_tau
        return math.exp(-1.0 / tau) if tau else 1.0

    @property
    def ages(self) -> bool:
        """Whether weights change with time."""
        return self.drifts or self.keep < 1 or self.substrate.diffusion > 0

    @property
    def reads_noisily(self) -> bool:
        """Whether weights are read with noise."""
        return self.substrate.w_read_noise > 0 or self.substrate.w_read_relative > 0

    @cached_property
    def devices(self) -> dict[str, Device]:
        """The devices of every matrix, in the network's order."""
        return {name: self._device(name) for name in self.network.matrices}

    def _device(self, name: str) -> Device:
        s, full = self.substrate, self._full_scale(name)
        bounded = bool(s.w_max or s.w_bits or s.soft_bounds)

        def scaled(field: str) -> float:
            return _held(f"{field} of {name!r}", getattr(s, field) * full)

        return Device(
            full_scale=full,
            limit=full if bounded else math.inf,
            spacing=_held("spacing of w_bits", spacing(full, s.w_bits)) if s.w_bits else 0.0,
            smallest=scaled("w_min_step"),
            write_noise=scaled("w_write_noise"),
            diffusion=scaled("diffusion"),
            read_noise=scaled("w_read_noise"),
            stuck_at=math.nan if s.stuck_at is None else s.stuck_at * full,
        )

    def _full_scale(self, name: str) -> float:
        given: Any = self.substrate.w_max
        if isinstance(given, Mapping):
            return float(given.get(name, 1.0))
        if given == FITTED:
            return self._fitted(name)
        return float(given or 1.0)

    def _fitted(self, name: str) -> float:
        for p in self.network.projections:
            if p.name == name:
                n_post, n_pre = self.network.shape(name)
                variance = 2.0 / (n_post + n_pre)
                if p.initial == "orthogonal":
                    variance = 1.0 / max(n_post, n_pre)
                return FULL * p.gain * math.sqrt(variance) or 1.0
        return 2.0

    # ------------------------------------------------------------- reward line

    @property
    def imperfect_line(self) -> bool:
        """Whether what arrives of a reward is not what was sent, or not at once."""
        return self.alters_rewards or self.substrate.reward_delay > 0

    @property
    def alters_rewards(self) -> bool:
        """Whether what arrives of a reward is not what was sent."""
        s = self.substrate
        return bool(s.reward_noise > 0 or s.reward_bits or s.reward_loss > 0)

    @property
    def reward_limit(self) -> float:
        """Largest reward that can be broadcast, in units of the line's power's root."""
        return RANGE if self.substrate.reward_bits else math.inf

    @property
    def reward_spacing(self) -> float:
        """Of the levels that there are for it, 0 without."""
        bits = self.substrate.reward_bits
        return spacing(RANGE, bits) if bits else 0.0


def _held(what: str, value: float) -> float:
    """Refuse a derived number that float32 rounds to 0 or infinity; return it otherwise."""
    allowed = "a number that float32 can hold, in the network's units"
    require(is_number(value), "Substrate", what, value, allowed)
    return value
