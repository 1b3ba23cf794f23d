"""What a simulator refuses: rules that cannot work, data of the wrong shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import rates
from neurosim.bptt import BPTT
from neurosim.checkpoint import Header
from neurosim.engines import Plan
from neurosim.engines.plan import NEVER
from neurosim.errors import InputError
from neurosim.local import (
    DECORRELATION,
    ProjectionRule,
    asked,
    check_feedback_numbers,
    check_scalar,
    options,
    scalar,
)
from neurosim.network import Network
from neurosim.substrate import Substrate
from neurosim.values import (
    SEEDS,
    require,
    require_count,
    require_flag,
    require_memory,
    require_one_of,
    shown,
)


def fitting(headers: Mapping[str, Header], plan: Plan) -> None:
    """Refuse arrays of other shapes than a plan needs, before there is room made for the plan.

    These say how large everything is: weights, replicas, passes, steps that are remembered.
    """
    network, rule = plan.network, plan.rule
    shapes: dict[str, tuple[int, ...]] = {
        f"weights/{name}": shape for name, shape in plan.matrices().items()
    }
    if isinstance(rule, BPTT):
        if rule.truncate is not None and rule.schedule == "online":
            shapes["state/past.inputs"] = rule.truncate, plan.batch, network.inputs.size
        heads = {(plan.batch, p.size) for p in network.populations[1:-1]}
        if headers["state/x"].shape not in heads:
            raise ValueError(f"state/x has shape {headers['state/x'].shape}")
    for population in network.populations if not isinstance(rule, BPTT) else ():
        lanes = plan.lanes, population.size
        shapes[f"state/{population.name}.x"] = lanes
        if plan.shows:
            shapes[f"state/{population.name}.readings"] = plan.remembered, *lanes
    for name, shape in shapes.items():
        if headers[name].shape != shape:
            raise ValueError(f"{name} has shape {headers[name].shape}, must be {shape}")


THREADS = 1025  # fewer than so many: each is one of the system's, with memory of its own


def matching(
    arrays: Mapping[str, NDArray[Any]],
    prefix: str,
    wanted: Mapping[str, NDArray[Any]],
    remembered: int = 0,
) -> dict[str, NDArray[Any]]:
    """Take the arrays that are wanted, if they are finite numbers of the right shape.

    Rewards under way must be of one of the last `remembered` steps. Those of a file from before
    it was saved when passes were set back are taken as if they never had been.
    """
    found = {}
    for name, like in wanted.items():
        if name == SINCE and prefix + name not in arrays:
            values = np.full(like.shape, float(NEVER))
        else:
            values = arrays[prefix + name]
        if values.shape != like.shape or values.dtype.kind != "f":
            raise ValueError(
                f"{prefix}{name} is {values.dtype} of shape {values.shape}, must be {like.shape}"
            )
        fine = bounded(values)
        if fine and name in COUNTS:
            fine = bool(((values >= 0) & (values < 2**53) & (values == np.floor(values))).all())
        if fine and name == SINCE:
            fine = bool((values <= NEVER).all())
        if fine and name == LATE:
            fine = bool((values[:, :4] <= 1).all() and (values[:, 5] < remembered).all())
        if not fine:
            raise ValueError(f"{prefix}{name} holds numbers that it cannot have come to")
        found[name] = values
    return found


def bounded(values: NDArray[Any]) -> bool:
    """Whether float32 holds all numbers, and they are finite."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.astype(np.float32)).all())


LATE = "late.about"  # four flags, a step, and how many turns ago it was
SINCE = "late.since"
COUNTS = ("optimiser.updates", "optimiser.count", "line.count", SINCE, LATE)


def check_parts(
    network: Any, rule: Any, decorrelation: Any, substrate: Any, batch: Any, seed: Any
) -> None:
    """Refuse what no simulator can be made of."""
    require(isinstance(network, Network), "Simulator", "network", network, "a Network")
    fine = isinstance(substrate, Substrate)
    require(fine, "Simulator", "substrate", substrate, "a Substrate")
    require_count("Simulator", "batch", batch, 1)
    require_count("Simulator", "seed", seed, 0, SEEDS)
    check_rule(rule)
    check_decorrelation(decorrelation, network)


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
        check_scalar(type(rule), place, known)
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


def _refuse_crooked_reward(rule: Any) -> None:
    """Refuse a reward that later losses cannot be credited by: it must grow as they do."""
    function = scalar(type(rule), "reward")
    if function is None or options(rule).reward == "local":
        return
    owner = type(rule).__name__
    names = asked(type(rule), "reward")

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
    for place in ProjectionRule.knows:
        for name in sorted(names & set(asked(type(rule), place))):
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
    check_scalar(type(decorrelation), "synapse", DECORRELATION)
    rates.checked(
        type(decorrelation).__name__, getattr(decorrelation, "learning_rate", None), each=False
    )
    if all(p.decorrelation is None for p in network.populations):
        raise InputError(
            f"Simulator: decorrelation = {shown(decorrelation)} has nothing to act on; build the "
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
    try:
        given = np.asanyarray(values)  # a mask of what an object makes of itself is kept
        masked = is_masked(values) or is_masked(given)
    except Exception as error:  # an object's own conversion to an array can raise anything
        raise InputError(f"{owner}: {name} must be {allowed} ({error})") from error
    if masked:
        raise InputError(
            f"{owner}: {name} must be {allowed}, and none masked: what stands behind a mask is no "
            f"number (fill them, or leave them out)"
        )
    raw = np.asarray(given)
    require_memory(owner, f"{name} of shape {raw.shape}", 4 * raw.size)
    if raw.dtype.kind not in "fiub":
        raise InputError(f"{owner}: {name} must be {allowed}, not {raw.dtype}")
    fine = raw.ndim == len(shape) and all(
        n == m or (n is None and m > 0) for n, m in zip(shape, raw.shape, strict=True)
    )
    if not fine:
        raise InputError(f"{owner}: {name} has shape {raw.shape}, must be {wanted}")
    with np.errstate(all="ignore"):  # what overflows becomes infinite, and is refused below
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
