"""The record of hardware assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from neurosim.errors import InputError
from neurosim.frozen import Frozen, freeze
from neurosim.local import scalar
from neurosim.values import (
    SEEDS,
    is_count,
    is_flag,
    is_number,
    nearest,
    require,
    require_count,
    require_number,
    require_one_of,
    shown,
)

ROUNDINGS = ("nearest", "stochastic", "stochastic_shared")
FITTED = "fitted"
LATEST = 100_001  # steps that a reward may be late, and one


@dataclass(frozen=True, repr=False)
class Substrate:
    """What the chip is assumed to do to the network. Every field's default is the ideal chip.

    A field that is 0 or None assumes nothing and changes no bit of any number. All passes and
    replicas run on one chip: what is *frozen* is drawn once from `seed` and is the same in all
    of them; what is *dynamic* is drawn anew in every pass, replica and step from the
    simulator's seed. Each has a noise stream of its own. All matrices of the network are made
    of devices, D included (not the feedback weights that some rules have).

    Within a step a neuron's input is summed and gets the injected noise, then its gain and
    offset, then process noise. A weight is written (a step of so many pulses, unequal, softly
    bounded, with noise left on it, put on its level), then ages by a step, then is read.

    Parameters
    ----------
    act_noise : float
        Process noise: standard deviation, in units of the pre-activation, of the white
        noise that is added to every pre-activation in every pass, at every step, and that
        nobody can measure.
    act_telegraph : float
        Random telegraph noise: a two-state fluctuator adds plus or minus this to every
        pre-activation, in units of the pre-activation; each neuron has its own in every lane.
    telegraph_dwell : float, optional
        Mean steps it stays in a state, >= 1; the correlation over one step is
        ``1 - 2 / telegraph_dwell``. None: 10.
    act_flicker : float
        1/f noise: standard deviation, in units of the pre-activation, of the sum of 12
        octaves that is added to every pre-activation (Voss's algorithm [1]_).
    mismatch_gain, mismatch_offset : float
        Frozen, per neuron: standard deviation of its gain (mean 1) and of its offset (mean 0,
        in units of the pre-activation): ``a <- gain a + offset``, a the summed input with the
        injected noise; process noise comes after it.
    mismatch_tau : float
        Frozen, per neuron: standard deviation of its time constant, relative to the
        population's `tau`; never below 1. A neuron model without memory has none.
    act_read_noise : float
        Observation noise: standard deviation, in units of the activity, of what is added to
        an activity whenever a learning rule reads it: a pre-activation by its neuron and for
        the power that a reward may be divided by, what was sent by a synapse. Dynamics and
        loss do not notice.
    act_bits : int, optional
        Bits, >= 2, with which a rule reads activities: ``2**act_bits - 1`` levels over
        ``[-act_range, act_range]``, where it saturates.
    act_range : float, optional
        In units of the activity. None: 4 if there are `act_bits`, or else no limit.
    w_read_noise : float
        Noise of every weight whenever it is read: its standard deviation, in units of the
        full scale. Drawn for each dot product: ``w_read_noise ||x||`` on the sum.
    w_read_relative : float
        Likewise, in units of the weight itself: ``w_read_relative sqrt(sum_j w_j^2 x_j^2)``.
    w_max : float, mapping of str to float, or "fitted", optional
        Full scale: the largest weight that a device can store, in units of the weight. One
        for all matrices, one for each by name, or "fitted": 4 standard deviations of a
        matrix's initial weights (2 for decorrelation, which starts as the identity). None: 1
        where something is measured by it, and weights are limited only by `w_bits` and
        `soft_bounds`.
    w_bits : int, optional
        Bits of a stored weight, >= 2: ``2**w_bits - 1`` levels over ``[-w_max, w_max]``, onto
        which every wanted change, however small, writes the weight anew. What `drift_nu`,
        `leak_tau` and `diffusion` do in between is not rounded.
    rounding : {"nearest", "stochastic", "stochastic_shared"}
        How a weight gets onto the levels of `w_bits`, and a step onto those of `w_min_step`:
        to the nearest; up or down by chance, keeping the mean, with a draw for each
        synapse; or with one draw for all synapses of a matrix.
    w_min_step : float
        Smallest step of a device, in units of the full scale: steps are whole multiples.
    asymmetry : float
        In [-1, 1]: steps up are larger, steps down are smaller, by this part of them.
    soft_bounds : float
        In [0, 1]; 1 (or True): steps up shrink as ``1 - w / w_max``, steps down as
        ``1 + w / w_max``. In between it does so partly.
    c2c, d2d : float
        Standard deviation of a step, relative to its mean: from one cycle to the next
        (dynamic), and from device to device (frozen).
    w_write_noise : float
        Noise that is left on a weight by every write that changes it: its standard deviation,
        in units of the full scale.
    stuck_fraction : float
        Frozen: part of the synapses that never change.
    stuck_at : float, optional
        The weight they have, in units of the full scale. None: their initial one.
    drift_nu : float or (float, float)
        A weight fades as ``t**-drift_nu``, t the steps since a write last changed it (which
        a rule that learns online does at nearly every step); of two numbers each device has
        its own, frozen, uniform between them.
    leak_tau : float, optional
        Steps in which a weight leaks to 1/e of itself.
    diffusion : float
        A weight wanders: standard deviation of what is added at each step, in units of the
        full scale.
    event_loss : float
        Chance that an event is lost on the way from one neuron to one other, at one step.
    event_jitter : float
        Chance that it arrives one step late.
    event_bits : int, optional
        Bits, >= 2, of what neurons and inputs send over projections:
        ``2**event_bits - 1`` levels over ``[-event_range, event_range]``.
    event_range : float, optional
        In units of the activity. None: 1.
    reward_noise : float
        Noise on the broadcast line: its standard deviation, in units of the root mean square
        of the loss differences that went over the line (over 1000 steps, running).
    reward_bits : int, optional
        Bits, >= 2, of the broadcast: ``2**reward_bits - 1`` levels over 4 of these units.
    reward_delay : int
        Steps until a broadcast arrives. It meets the activities of the step it is about,
        which neurons and synapses keep as long.
    reward_loss : float
        Chance that a step's broadcast is lost.
    seed : int
        Of everything frozen, in [0, 2**32): the chip's own identity.

    Raises
    ------
    InputError
        For a value outside what is allowed.

    References
    ----------
    .. [1] Gardner (1978), White and brown music, fractal curves and one-over-f fluctuations,
       Scientific American 238(4).

    Examples
    --------
    >>> import neurosim as ns
    >>> ns.presets.noisy_node | {"w_bits": 8, "rounding": "stochastic"}
    Substrate(act_noise=0.04, w_bits=8, rounding='stochastic')
    """

    act_noise: float = 0.0
    act_telegraph: float = 0.0
    telegraph_dwell: float | None = None
    act_flicker: float = 0.0
    mismatch_gain: float = 0.0
    mismatch_offset: float = 0.0
    mismatch_tau: float = 0.0
    act_read_noise: float = 0.0
    act_bits: int | None = None
    act_range: float | None = None
    w_read_noise: float = 0.0
    w_read_relative: float = 0.0
    w_max: float | Mapping[str, float] | str | None = None
    w_bits: int | None = None
    rounding: str = "nearest"
    w_min_step: float = 0.0
    asymmetry: float = 0.0
    soft_bounds: float | bool = 0.0
    c2c: float = 0.0
    d2d: float = 0.0
    w_write_noise: float = 0.0
    stuck_fraction: float = 0.0
    stuck_at: float | None = None
    drift_nu: float | tuple[float, float] = 0.0
    leak_tau: float | None = None
    diffusion: float = 0.0
    event_loss: float = 0.0
    event_jitter: float = 0.0
    event_bits: int | None = None
    event_range: float | None = None
    reward_noise: float = 0.0
    reward_bits: int | None = None
    reward_delay: int = 0
    reward_loss: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in AMOUNTS:
            self._number(name, "[0, inf)")
        for name in CHANCES:
            self._number(name, "[0, 1]")
        for name in BITS:
            bits, allowed = getattr(self, name), "None or a whole number of bits in [2, 24]"
            fine = bits is None or (is_count(bits) and (bits == 0 or 2 <= bits <= 24))
            require(fine, "Substrate", name, bits, allowed)
        for name in SIZES:
            self._number(name, "[0, inf)", "a finite number > 0", optional=True)
        self._number("asymmetry", "[-1, 1]")
        if not self._is_zero("telegraph_dwell"):
            self._number("telegraph_dwell", "[1, inf)", "a number of steps >= 1", optional=True)
        allowed = "a number in [-1, 1], in units of the full scale"
        self._number("stuck_at", "[-1, 1]", allowed, optional=True)
        if not is_flag(self.soft_bounds):
            self._number("soft_bounds", "[0, 1]", "True or a number in [0, 1]")
        require_one_of("Substrate", "rounding", self.rounding, ROUNDINGS)
        require_count("Substrate", "reward_delay", self.reward_delay, 0, LATEST, of="steps")
        require_count("Substrate", "seed", self.seed, 0, SEEDS)
        self._check_full_scale()
        self._check_drift()
        freeze(self)

    def _number(
        self, name: str, within: str, allowed: str | None = None, optional: bool = False
    ) -> None:
        require_number("Substrate", name, getattr(self, name), within, allowed, optional)

    def _is_zero(self, name: str) -> bool:
        """Whether a field that may be None is 0, which assumes nothing either."""
        value = getattr(self, name)
        return is_number(value) and value == 0

    def _check_full_scale(self) -> None:
        if isinstance(self.w_max, Mapping):
            for name, value in self.w_max.items():
                require_number("Substrate", f"w_max[{shown(name)}]", value, "(0, inf)")
        elif isinstance(self.w_max, str):
            allowed = "None, a number > 0, one for each matrix by name, or 'fitted'"
            require(self.w_max == FITTED, "Substrate", "w_max", self.w_max, allowed)
        elif self.w_max is not None and not self._is_zero("w_max"):
            allowed = "None, a finite number > 0, one for each matrix by name, or 'fitted'"
            require_number("Substrate", "w_max", self.w_max, "(0, inf)", allowed)

    def _check_drift(self) -> None:
        given, allowed = self.drift_nu, "a finite number >= 0, or two of them, low and high"
        if isinstance(given, list | tuple):
            fine = len(given) == 2 and all(is_number(v) and v >= 0 for v in given)
            fine = fine and given[0] <= given[1]
            require(fine, "Substrate", "drift_nu", given, allowed)
            found = given[0] if given[0] == given[1] else (given[0], given[1])
            object.__setattr__(self, "drift_nu", found)
        else:
            require_number("Substrate", "drift_nu", given, "[0, inf)", allowed)

    def __or__(self, other: Substrate | Mapping[str, Any]) -> Substrate:
        """Put together: a chip with what another one assumes, or with some fields replaced.

        Raises
        ------
        InputError
            For a field that does not exist, or a value that is not allowed.
        """
        if isinstance(other, Substrate):
            return replace(self, **other.assumed)
        allowed = "a Substrate or a mapping of its fields"
        require(isinstance(other, Mapping), "Substrate", "the right side of |", other, allowed)
        names = [f.name for f in fields(self)]
        for name in other:
            if name not in names:
                raise InputError(f"Substrate: no field {shown(name)}; {nearest(name, names)}")
        return replace(self, **other)

    @property
    def assumed(self) -> dict[str, Any]:
        """The fields that are not ideal, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        usual = {f.name: f.default for f in fields(self)}
        return Frozen(
            (name, value)
            for name, value in given.items()
            if value != usual[name] and (value or (name == "stuck_at" and value is not None))
        )

    def without_noise(self) -> Substrate:
        """The same chip with all that is dynamic and meets a network that does not learn off.

        What is frozen stays: mismatch, levels, stuck synapses; and drift and leak.
        """
        return self | dict.fromkeys(DYNAMIC, 0.0)

    @property
    def noisy(self) -> bool:
        """Whether two runs of a network that does not learn would differ."""
        return any(getattr(self, name) > 0 for name in DYNAMIC)

    def explain(self, rule: Any = None) -> str:
        """Print what is assumed, in words and numbers, and what it costs whom.

        Parameters
        ----------
        rule : learning rule, optional
            Whose injected noise to compare the chip's own with.

        Returns
        -------
        str
            What was printed.
        """
        from neurosim.substrate.words import explanation

        fine = rule is None or hasattr(rule, "budget") or scalar(type(rule), "synapse") is not None
        fine = fine and not isinstance(rule, type)
        require(fine, "Substrate", "rule", rule, "None or a learning rule")
        text = explanation(self, rule)
        print(text)
        return text

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.assumed.items())
        return f"Substrate({given})"


AMOUNTS = (
    *("act_noise", "act_telegraph", "act_flicker"),
    *("mismatch_gain", "mismatch_offset", "mismatch_tau", "act_read_noise"),
    *("w_read_noise", "w_read_relative", "w_min_step", "c2c", "d2d", "w_write_noise"),
    *("diffusion", "reward_noise"),
)
CHANCES = ("stuck_fraction", "event_loss", "event_jitter", "reward_loss")
BITS = ("act_bits", "w_bits", "event_bits", "reward_bits")
SIZES = ("act_range", "leak_tau", "event_range")
# Dynamic, and met by a network that does not learn.
DYNAMIC = (
    *("act_noise", "act_telegraph", "act_flicker", "w_read_noise", "w_read_relative"),
    *("diffusion", "event_loss", "event_jitter"),
)
