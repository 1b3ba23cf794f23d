"""Learning rates: one number, one per projection, or a schedule by which a rate changes.

A schedule is a frozen record of numbers, in code ``rates.Cosine(0.01, over=50)`` and in a config
``learning_rate = { name = "Cosine", start = 0.01, over = 50 }``. Its clock is a simulator's, and is
saved with it, so that training which goes on has the rates of training that never stopped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, fields
from typing import Any

from neurosim.errors import InputError
from neurosim.frozen import freeze
from neurosim.values import (
    STEPS,
    is_one_of,
    nearest,
    require,
    require_count,
    require_list,
    require_number,
    require_one_of,
    shown,
)

__all__ = ["Constant", "Cosine", "Schedule", "Steps"]

UNITS = ("epochs", "steps")
FIELD = "learning_rate"  # of a rule
NAME = "name"  # of a table: which schedule it is


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning rate that changes.

    Parameters
    ----------
    unit : {"epochs", "steps"}
        What it counts: epochs trained (``Simulator.epoch``, which `train` counts), in each of
        which the rate stays the same; or time steps run, learning or not (``Simulator.step``). A
        change of weights has the rate of the step in which it is made.
    warm_up : int
        Linear warm-up [unit]: in the first so many, counted from t = 0, the rate is multiplied
        by ``(t + 1) / warm_up``.

    Raises
    ------
    InputError
        For a value outside what is allowed.
    """

    _: KW_ONLY
    unit: str = "epochs"
    warm_up: int = 0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        require_one_of(owner, "unit", self.unit, UNITS)
        require_count(owner, "warm_up", self.warm_up, 0, STEPS, of=self.unit)
        freeze(self)

    @abstractmethod
    def _after(self, t: int) -> float:
        """Compute the rate after so many epochs or steps, warm-up aside."""

    def rate(self, epoch: int, step: int) -> float:
        """Compute the rate of a time step.

        Parameters
        ----------
        epoch, step : int
            Epochs trained and time steps run before it.

        Returns
        -------
        float

        Examples
        --------
        >>> from neurosim import rates
        >>> [round(rates.Cosine(0.1, over=4).rate(epoch, 0), 3) for epoch in range(5)]
        [0.1, 0.085, 0.05, 0.015, 0.0]
        """
        owner = type(self).__name__
        for name, count in (("epoch", epoch), ("step", step)):
            require_count(owner, name, count, 0, STEPS)
        return self._at(epoch if self.unit == "epochs" else step)

    def _at(self, t: int) -> float:
        return self._after(t) * (min(1.0, (t + 1) / self.warm_up) if self.warm_up else 1.0)

    def table(self) -> dict[str, Any]:
        """Write the schedule as a table of plain values, of which `checked` makes it again."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
        return {NAME: type(self).__name__, **plain}


@dataclass(frozen=True)
class Constant(Schedule):
    """A rate that stays as it is, after warm-up.

    Parameters
    ----------
    start : float
        The rate, > 0.
    unit, warm_up
        See `Schedule`.
    """

    start: float

    def __post_init__(self) -> None:
        require_number(type(self).__name__, "start", self.start, "(0, inf)")
        super().__post_init__()

    def _after(self, t: int) -> float:
        return self.start


@dataclass(frozen=True)
class Cosine(Schedule):
    """A rate that falls along half a cosine, ``end + (start - end) (1 + cos(pi t / over)) / 2``.

    Parameters
    ----------
    start : float
        Rate at t = 0, > 0.
    over : int
        Epochs or steps in which it falls; then it stays at `end`.
    end : float
        Rate from then on, >= 0.
    unit, warm_up
        See `Schedule`. Warm-up does not delay the fall.

    References
    ----------
    .. [1] Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts,
       Eq. 5, without restarts.
    """

    start: float
    over: int
    end: float = 0.0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        require_number(owner, "start", self.start, "(0, inf)")
        require_count(owner, "over", self.over, 1, STEPS)
        require_number(owner, "end", self.end, "[0, inf)")
        super().__post_init__()

    def _after(self, t: int) -> float:
        if t >= self.over:
            return self.end
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * t / self.over)) / 2


@dataclass(frozen=True)
class Steps(Schedule):
    """Rates one after the other.

    Parameters
    ----------
    rates : sequence of float
        Each >= 0, one of them > 0.
    at : sequence of int
        Epochs or steps after which the second and every further rate begins, in ascending order.
    unit, warm_up
        See `Schedule`.

    Examples
    --------
    >>> from neurosim import rates
    >>> rates.Steps([1e-3, 3e-4, 1e-4], at=[38, 44]).rate(epoch=40, step=0)
    0.0003
    """

    rates: Sequence[float]
    at: Sequence[int]

    def __post_init__(self) -> None:
        owner = type(self).__name__
        rates = require_list(owner, "rates", self.rates, "numbers")
        begins = require_list(owner, "at", self.at, "whole numbers")
        for i, rate in enumerate(rates):
            require_number(owner, f"rates[{i}]", rate, "[0, inf)")
        require(any(rate > 0 for rate in rates), owner, "rates", self.rates, "not all 0")
        for i, (t, before) in enumerate(zip(begins, [0, *begins], strict=False)):
            require_count(owner, f"at[{i}]", t, 1 if i == 0 else before + 1, STEPS)
        fine, count = len(begins) == len(rates) - 1, len(rates) - 1
        require(
            fine, owner, "at", self.at, f"of length {count}: where each rate but the first begins"
        )
        for name, values in (("rates", rates), ("at", begins)):  # an array can change
            object.__setattr__(self, name, tuple(values))
        super().__post_init__()

    def _after(self, t: int) -> float:
        return self.rates[bisect_right(self.at, t)]


SCHEDULES: dict[str, type[Schedule]] = {kind.__name__: kind for kind in (Constant, Cosine, Steps)}


def checked(owner: str, given: Any, each: bool = True) -> Any:
    """Check a learning rate, and make schedules of the tables that describe one.

    Parameters
    ----------
    owner : str
        Class whose field `learning_rate` it is.
    given : float, Schedule or mapping
    each : bool
        Whether there may be one per projection.

    Returns
    -------
    float, Schedule or dict of these

    Raises
    ------
    InputError
        For what is no rate, or one that is never above 0.
    """
    allowed = f"a finite number > 0, or a schedule{', or one per projection' if each else ''}"
    if not isinstance(given, Mapping) or isinstance(given.get(NAME), str):
        return _one(owner, FIELD, given, allowed)
    require(each, owner, FIELD, given, allowed)
    require(len(given) > 0, owner, FIELD, given, "a rate for at least one projection")
    allowed = "a finite number > 0, or a schedule (leave a projection out to freeze it)"
    return {
        name: _one(owner, f"{FIELD}[{shown(name)}]", rate, allowed) for name, rate in given.items()
    }


def _one(owner: str, field: str, given: Any, allowed: str) -> Any:
    if isinstance(given, Schedule):
        return given
    if not isinstance(given, Mapping):
        require_number(owner, field, given, "(0, inf)", allowed)
        return given
    return _made(f"{owner}: {field}", given)


def _made(where: str, table: Mapping[str, Any]) -> Schedule:
    """Make the schedule that a table describes; `where` the table is begins every message."""
    given = dict(table)
    name = given.pop(NAME, None)
    if not is_one_of(name, SCHEDULES):
        known = nearest(str(name), SCHEDULES)
        raise InputError(f"{where}: schedule {shown(name)} does not exist; {known}")
    kind = SCHEDULES[name]
    own = {f.name: f.default is MISSING for f in fields(kind)}
    for key in given:
        if key not in own:
            raise InputError(f"{where}: {name} has no {shown(key)}; {nearest(str(key), own)}")
    missing = [key for key, needed in own.items() if needed and key not in given]
    if missing:
        raise InputError(f"{where}: {name}: missing {' and '.join(missing)}")
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def read(field: str, value: Any) -> Any:
    """Make schedules of the tables that describe them in a rule's field, as a file has it."""
    return _read(FIELD, value) if field == FIELD else value


def _read(where: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if is_one_of(value.get(NAME), SCHEDULES):
        return _made(where, value)
    return {name: _read(f"{where}[{shown(name)}]", item) for name, item in value.items()}


def of(given: Any, name: str) -> Any:
    """Look up the rate of a projection in what `checked` gave; 0 where it has none."""
    return given.get(name, 0.0) if isinstance(given, Mapping) else given


def in_steps(given: Any, epoch: int, clock: int, steps: int) -> list[float]:
    """Compute the rates of some time steps; of steps that have the same rate, one.

    Parameters
    ----------
    given : float or Schedule
    epoch, clock : int
        Epochs trained and time steps run before the first of them.
    steps : int
    """
    if not isinstance(given, Schedule):
        return [float(given)]
    if given.unit == "epochs":
        return [given._at(epoch)]
    return [given._at(t) for t in range(clock, clock + steps)]
