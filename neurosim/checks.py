"""What a simulator refuses: rules that cannot work, data of the wrong shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.bptt import BPTT
from neurosim.errors import InputError, is_count, require
from neurosim.local import DECORRELATION, ProjectionRule, arguments, options, scalar
from neurosim.network import Network


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
    """Refuse a number of threads that is none."""
    fine = is_count(threads) and threads >= 1
    require(fine, "Simulator", "threads", threads, "a whole number >= 1")


def check_rule(rule: Any) -> None:
    """Refuse what is no rule, or asks for something that is not local."""
    if rule is None or isinstance(rule, BPTT):
        return
    owner = type(rule).__name__
    if isinstance(rule, type) or scalar(type(rule), "synapse") is None:
        raise InputError(
            f"Simulator: rule = {rule!r} must be an instance of a rule, with a function "
            f"synapse(): for example ANP(learning_rate=1e-4)"
        )
    for place, known in ProjectionRule.knows.items():
        function = scalar(type(rule), place)
        if function is not None:
            _refuse_no_number(function, len(arguments(function, known, owner)), owner)
    _refuse_crooked_reward(rule)
    passes = getattr(rule, "passes", 2)
    allowed = "1; or 2, a baseline and a perturbed pass; or 'both', two noisy passes"
    require(passes in (1, 2, "both"), owner, "passes", passes, allowed)
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
    fine = perturbs in ("neurons", "weights")
    require(fine, owner, "perturbs", perturbs, "'neurons' or 'weights'")


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
            f"Simulator: decorrelation = {decorrelation!r} must be an instance such as "
            f"Decorrelation(learning_rate=1e-5)"
        )
    owner = type(decorrelation).__name__
    _refuse_no_number(synapse, len(arguments(synapse, DECORRELATION, owner)), owner)
    if all(p.decorrelation is None for p in network.populations):
        raise InputError(
            f"Simulator: decorrelation = {decorrelation!r} has nothing to act on; build the "
            f"network with decorrelate=True"
        )


def finite_array(
    values: ArrayLike, name: str, shape: tuple[int | None, ...]
) -> NDArray[np.float32]:
    """Float32 copy or view of finite data of a given shape (None: any length but 0)."""
    array = np.ascontiguousarray(_finite(values, name, shape, "Simulator")[1])
    return array if array.flags.writeable else array.copy()


def numbers(values: Any, name: str, shape: tuple[int | None, ...], owner: str) -> NDArray[Any]:
    """Give an array, of its own type, of data that are finite as float32."""
    return _finite(values, name, shape, owner)[0]


def _finite(
    values: Any, name: str, shape: tuple[int | None, ...], owner: str
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Check data, and give them as an array and as one of float32."""
    names = ("T", "series", "features")
    wanted = str(tuple(names[i] if n is None else n for i, n in enumerate(shape))).replace("'", "")
    allowed = f"numbers of shape {wanted}"
    if is_masked(values):
        raise InputError(
            f"{owner}: {name} must be {allowed}, and none masked: what stands behind a mask is no "
            f"number (fill them, or leave them out)"
        )
    try:
        raw = np.asarray(values)
    except Exception as error:  # other libraries' arrays have errors of their own
        raise InputError(f"{owner}: {name} must be {allowed} ({error})") from error
    if raw.dtype.kind not in "fiub":
        raise InputError(f"{owner}: {name} must be {allowed}, not {raw.dtype}")
    fine = raw.ndim == len(shape) and all(
        n == m or (n is None and m > 0) for n, m in zip(shape, raw.shape, strict=True)
    )
    if not fine:
        raise InputError(f"{owner}: {name} has shape {raw.shape}, must be {wanted}")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused below
        array = raw.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"{owner}: {name}{list(where)} = {array[where]} must be finite (as float32)"
        )
    return raw, array


def is_masked(values: Any) -> bool:
    """Whether an array, or one in a list of them, has masked values."""
    if isinstance(values, list | tuple):
        inner = (v for v in values if isinstance(v, list | tuple | np.ma.MaskedArray))
        return any(map(is_masked, inner))
    return bool(np.ma.is_masked(values))
