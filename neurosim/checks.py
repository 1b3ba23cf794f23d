"""What a simulator refuses: rules that cannot work, data of the wrong shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.bptt import BPTT
from neurosim.errors import (
    InputError,
    require,
    require_count,
    require_flag,
    require_memory,
    require_number,
    require_one_of,
    shown,
)
from neurosim.local import (
    DECORRELATION,
    ProjectionRule,
    arguments,
    check_feedback_numbers,
    options,
    scalar,
)
from neurosim.network import Network

THREADS = 1025  # fewer than so many: each is one of the system's, with memory of its own


def matching(
    arrays: Mapping[str, NDArray[Any]], prefix: str, wanted: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Take the arrays that are wanted, if they are numbers of the right shape."""
    found = {}
    for name, like in wanted.items():
        values = arrays[prefix + name]
        if values.shape != like.shape or values.dtype.kind != "f":
            raise ValueError(
                f"{prefix}{name} is {values.dtype} of shape {values.shape}, must be {like.shape}"
            )
        found[name] = values
    return found


def check_threads(threads: Any) -> None:
    """Refuse a number of threads that is none, or more than help any machine."""
    require_count("Simulator", "threads", threads, 1, THREADS)


def check_learn(learn: Any, rule: Any, decorrelation: Any) -> None:
    """Refuse to learn by nothing."""
    require_flag("Simulator", "learn", learn)
    if learn and rule is None and decorrelation is None:
        raise InputError(
            "Simulator: learn = True needs a rule or a decorrelation; neither was given"
        )


def check_rule(rule: Any) -> None:
    """Refuse what is no rule, or asks for something that is not local."""
    if rule is None or isinstance(rule, BPTT):
        return
    owner = type(rule).__name__
    if isinstance(rule, type) or scalar(type(rule), "synapse") is None:
        raise InputError(
            f"Simulator: rule = {shown(rule)} must be an instance of a rule, with a function "
            f"synapse(): for example ANP(learning_rate=1e-4)"
        )
    for place, known in ProjectionRule.knows.items():
        function = scalar(type(rule), place)
        if function is not None:
            _refuse_no_number(function, len(arguments(function, known, owner)), owner)
    _refuse_crooked_reward(rule)
    passes = getattr(rule, "passes", 2)
    allowed = "1; or 2, a baseline and a perturbed pass; or 'both', two noisy passes"
    require_one_of(owner, "passes", passes, (1, 2, "both"), allowed)
    if passes == "both":
        _refuse_asking(
            rule,
            {"noise", "variance"},
            "with passes = 'both' the noise of either pass may be the chip's own, which nobody "
            "knows",
        )
    if passes == 1:
        compared = {"delta_loss", "power", "variance", "a_perturbed", "noise"}
        _refuse_asking(
            rule,
            compared,
            "with passes = 1 there is no perturbed pass to compare the baseline with",
        )
    perturbs = getattr(rule, "perturbs", "neurons")
    choices = ("neurons", "weights")
    require_one_of(owner, "perturbs", perturbs, choices, "'neurons' or 'weights'")
    require_flag(owner, "outputs_may_wait", getattr(rule, "outputs_may_wait", True))
    check_feedback_numbers(rule)


def _refuse_no_number(function: Any, arguments: int, owner: str) -> None:
    """Refuse a scalar function that does not make a number of numbers."""
    try:
        made = function(*[0.5] * arguments)
    except (ArithmeticError, ValueError):  # these numbers may not be among those that it is for
        return
    except Exception as error:
        raise InputError(f"{owner}: {function.__name__}() cannot be called ({error})") from error
    fine = isinstance(made, Number) and not isinstance(made, complex)
    allowed = "a number, made of numbers"
    require(fine, owner, f"{function.__name__}()", made, allowed)


def _refuse_crooked_reward(rule: Any) -> None:
    """Refuse a reward that later losses cannot be credited by: it must grow as they do."""
    function = scalar(type(rule), "reward")
    if function is None or options(rule).reward == "local":
        return
    owner = type(rule).__name__
    names = arguments(function, ProjectionRule.knows["reward"], owner)

    def reward(delta_loss: float) -> float:
        given = [delta_loss if name == "delta_loss" else 0.5 for name in names]
        return float(function(*given))

    try:
        once = reward(1.0)
        fine = all(math.isclose(reward(d), d * once, rel_tol=1e-6) for d in (2.0, -1.0, -3.0))
    except (ArithmeticError, ValueError):
        return
    how = "'local', or the function proportional to delta_loss: later losses are credited to an "
    how += "eligibility that was formed for a delta_loss of 1"
    require(fine, owner, "reward", options(rule).reward, how)


def _refuse_asking(rule: Any, names: set[str], why: str) -> None:
    """Refuse a rule whose functions ask for something that there is not."""
    owner = type(rule).__name__
    for place, known in ProjectionRule.knows.items():
        function = scalar(type(rule), place)
        asked = [] if function is None else arguments(function, known, owner)
        for name in sorted(names & set(asked)):
            raise InputError(f"{owner}: {place}() asks for {name!r}, but {why}")


def check_decorrelation(decorrelation: Any, network: Network) -> None:
    """Refuse what is no decorrelation rule, or has nothing to act on."""
    if decorrelation is None:
        return
    synapse = scalar(type(decorrelation), "synapse")
    if isinstance(decorrelation, type) or synapse is None:
        raise InputError(
            f"Simulator: decorrelation = {shown(decorrelation)} must be an instance such as "
            f"Decorrelation(learning_rate=1e-5)"
        )
    owner = type(decorrelation).__name__
    _refuse_no_number(synapse, len(arguments(synapse, DECORRELATION, owner)), owner)
    rate = getattr(decorrelation, "learning_rate", None)
    require_number(owner, "learning_rate", rate, "(0, inf)")
    if all(p.decorrelation is None for p in network.populations):
        raise InputError(
            f"Simulator: decorrelation = {decorrelation!r} has nothing to act on; build the "
            f"network with decorrelate=True"
        )


def array_of(values: ArrayLike, name: str, wanted: str) -> NDArray[Any]:
    """Array of whatever can be one; `wanted` is its shape, for the message."""
    try:
        return np.asarray(values)
    except Exception as error:  # an object's own conversion to an array can raise anything
        text = f"Simulator: {name} must be numbers of shape {wanted} ({error})"
        raise InputError(text) from error


def finite_array(
    values: ArrayLike, name: str, shape: tuple[int | None, ...]
) -> NDArray[np.float32]:
    """Float32 copy or view of finite data of a given shape (None: any length but 0)."""
    names = ("T", "series")
    wanted = str(tuple(names[i] if n is None else n for i, n in enumerate(shape))).replace("'", "")
    raw = array_of(values, name, wanted)
    require_memory("Simulator", f"{name} of shape {raw.shape}", 4 * raw.size)
    if raw.dtype.kind not in "fiub":
        raise InputError(f"Simulator: {name} must be numbers of shape {wanted}, not {raw.dtype}")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused below
        array = np.ascontiguousarray(raw, dtype=np.float32)
    fine = array.ndim == len(shape) and all(
        n == m or (n is None and m > 0) for n, m in zip(shape, array.shape, strict=True)
    )
    if not fine:
        raise InputError(f"Simulator: {name} has shape {array.shape}, must be {wanted}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"Simulator: {name}{list(where)} = {array[where]} must be finite (as float32)"
        )
    return array if array.flags.writeable else array.copy()
