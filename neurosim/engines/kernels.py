"""The compiled kernels of a simulation: those of the machine, and those of its rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim import noise
from neurosim.engines import device_kernels, draws, tiles
from neurosim.engines.compile import Kernel, adapted
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.plan import Plan
from neurosim.engines.vectors import widely
from neurosim.local import (
    ACTIVITY,
    DECORRELATION,
    FEEDBACK,
    FIRST,
    NEURON,
    REWARD,
    SECOND,
    SLOPE,
    STEP,
    SYNAPSE,
    TRACE,
    TRACED,
    scalar,
)
from neurosim.optimisers import OPTIMISERS


class Kernels(NamedTuple):
    """Addresses of all kernels that the time loop calls."""

    multiply: int
    send_back: int
    hand_out: int
    fill: int  # with what is injected
    fill_normal: int
    fill_uniform: int
    weight_normals: int
    weight_uniforms: int
    program: int  # devices
    grow_old: int
    arrive: int  # events
    deliver: int
    squares: int
    draw_weights: int
    add_drawn: int
    begin_sums: int
    copy_rows: int
    reward: int
    neuron: int
    absorb: int
    visit: int
    trace: int  # what `absorb` is where synapses keep traces
    absorb_arrived: int  # the same two, where every synapse knows what arrived at it
    trace_arrived: int
    optimise: int
    mend: int  # feedback weights
    absorb_outlets: int
    activity: NDArray[np.int64]  # one for each neuron model
    slope: NDArray[np.int64]  # likewise
    work: int = 0  # of the loops; known when the rest is


ZERO = np.float32(0)


def kernels(plan: Plan) -> Kernels:
    """Compile what a plan needs, or find it on disk; what it never calls is 0."""
    rule: Any = type(plan.rule)
    decorrelation = type(plan.decorrelation)
    network, chip = plan.network, plan.chip
    learns, decorrelates = plan.learns and plan.local, plan.decorrelation is not None
    traces, at_once = learns and plan.traces, learns and not plan.traces
    normal = plan.distribution == noise.NORMAL
    noisy_weights = any(plan.perturbs(p) for p in network.projections)
    noisy_neurons = any(plan.perturbs(p) for p in network.populations)
    optimises = learns and plan.options.optimiser != "sgd"
    slopes = learns and plan.asks("neuron", "slope")
    fill, weights = ("fill_normal", "weight_normals") if normal else ("fill_signs", "weight_signs")
    return Kernels(
        multiply=_entry("multiply"),
        send_back=_entry("send_back", decorrelates),
        hand_out=_entry("hand_out"),
        fill=_entry(fill, noisy_neurons),
        fill_normal=_entry("fill_normal", bool(plan.substrate.assumed)),
        fill_uniform=_entry("fill_uniform", bool(plan.substrate.assumed)),
        weight_normals=_entry("weight_normals", chip.programs or chip.ages),
        weight_uniforms=_entry("weight_uniforms", chip.programs or chip.loses),
        program=_entry("program", chip.programs or chip.ages),
        grow_old=_entry("grow_old", chip.ages),
        arrive=_entry("arrive", chip.loses),
        deliver=_entry("deliver", chip.loses),
        squares=_entry("squares", plan.substrate.w_read_relative > 0),
        draw_weights=_entry(weights, noisy_weights),
        add_drawn=_entry("add_drawn", noisy_weights),
        begin_sums=_entry("begin_sums"),
        copy_rows=_entry("copy_rows"),
        reward=_of(rule, "reward").entry if learns else 0,
        neuron=_of(rule, "neuron").entry if learns else 0,
        absorb=_of(rule, "synapse").entry if at_once else 0,
        visit=_of(rule, "visit").entry if at_once and plan.batch == 1 else 0,
        trace=_traced(rule, fingerprint([rule.trace, rule.synapse])).entry if traces else 0,
        absorb_arrived=_of(rule, "arrived").entry if at_once and chip.loses else 0,
        trace_arrived=(
            _traced(rule, fingerprint([rule.trace, rule.synapse]), True).entry
            if traces and chip.loses
            else 0
        ),
        optimise=_optimiser(plan.options.optimiser).entry if optimises else 0,
        mend=_of(rule, "feedback_synapse").entry if learns and plan.learns_feedback else 0,
        absorb_outlets=_of(decorrelation, "synapse", outlets=True).entry if decorrelates else 0,
        activity=np.array([_of(model, "activity").entry for model in models(plan)]),
        slope=np.array([_of(model, "slope").entry if slopes else 0 for model in models(plan)]),
    )


def models(plan: Plan) -> list[type]:
    """Neuron models of a plan, in the order in which populations refer to them."""
    found: list[type] = []
    for population in plan.network.populations[1:]:
        if type(population.neuron) not in found:
            found.append(type(population.neuron))
    return found


# Kernels that no rule goes into: how each is made, and the kinds of its arguments.
MACHINE: dict[str, tuple[Callable[[], Callable[..., None]], str]] = {
    "multiply": (tiles.multiply, "piiiiipiiiipii"),
    "send_back": (tiles.send_back, "piiiipiiipi"),
    "hand_out": (tiles.hand_out, "pipiii"),
    "fill_normal": (lambda: draws.fill_normal, "piiiiiifwpiiiii"),
    "fill_signs": (lambda: draws.fill_signs, "piiiiiifwpiiiii"),
    "weight_normals": (lambda: draws.weight_normals, "piwfiiiiiiii"),
    "weight_signs": (lambda: draws.weight_signs, "piwfiiiiiiii"),
    "weight_uniforms": (lambda: draws.weight_uniforms, "piwiiiiiiiii"),
    "fill_uniform": (lambda: draws.fill_uniform, "piwiiiiii"),
    "program": (lambda: device_kernels.program, "piipppppppiipfffffffff"),
    "grow_old": (lambda: device_kernels.grow_old, "piipppfffpi"),
    "arrive": (lambda: device_kernels.arrive, "pipipipippppiff"),
    "deliver": (lambda: device_kernels.deliver, "pipiipipip"),
    "squares": (lambda: device_kernels.squares, "piipiip"),
    "add_drawn": (lambda: draws.add_drawn, "pipipii"),
    "begin_sums": (lambda: draws.begin_sums, "ppiiinpii"),
    "copy_rows": (lambda: draws.copy_rows, "ppiiii"),
}


@cache
def _machine(name: str) -> Kernel:
    """Compile a kernel that no rule goes into."""
    make, kinds = MACHINE[name]
    return Kernel(make(), kinds)


def _entry(name: str, needed: bool = True) -> int:
    return int(_machine(name).entry) if needed else 0


def _of(owner: type, name: str, outlets: bool = False) -> Kernel:
    """Kernel around a scalar function of a rule or neuron model, as it is at this moment."""
    function = scalar(owner, "synapse" if name in ("visit", "arrived") else name)
    return _around(owner, name, outlets, function, fingerprint([function]))


@cache
def _around(owner: type, name: str, outlets: bool, function: Any, version: str) -> Kernel:
    known = {
        "reward": REWARD,
        "neuron": NEURON,
        "synapse": SYNAPSE,
        "visit": SYNAPSE,
        "arrived": SYNAPSE,
        "activity": ACTIVITY,
        "slope": SLOPE,
        "feedback_synapse": FEEDBACK,
    }[name]
    inner = adapted(function, DECORRELATION if outlets else known, owner.__name__)
    if outlets:
        return Kernel(tiles.absorb_outlets(inner), "pipiiifiiipiipipiipii", version, apart=False)
    if name == "synapse":
        return Kernel(tiles.absorb(inner), "pipiiifiiipiipipiipi", version, apart=False)
    if name == "visit":
        return Kernel(tiles.visit(inner), "piiifipipiipipip", version, apart=False)
    if name == "arrived":
        return Kernel(tiles.absorb_arrived(inner), "piippipipi", version)
    around = {
        "reward": _reward,
        "neuron": _neuron,
        "activity": _activity,
        "slope": _slope,
        "feedback_synapse": _mend,
    }
    made, kinds = around[name](inner)
    return Kernel(made, kinds, version)


def _reward(reward: Any) -> tuple[Any, str]:
    def rewards(delta, power, n, variance, out, at, count):
        for c in range(count):
            out[at + c] = reward(delta[c], power[c], n, variance)

    return rewards, "ppffpii"


def _neuron(neuron: Any) -> tuple[Any, str]:
    def neurons(
        a, start, rows, n, reference, perturbed, k, batch, noise, gain, forming, c, slope,
        feedback, heard, signal,
    ):  # fmt: skip
        widely()
        for b in range(batch):
            one = start + (reference[k] * batch + b) * rows
            other = start + (perturbed[k] * batch + b) * rows
            own, reward = start + (k * batch + b) * rows, forming[c + b]
            if heard:
                at = start + b * rows
                for i in range(n):
                    signal[own + i] = neuron(
                        a[one + i], a[other + i], gain * noise[own + i], reward, slope[at + i],
                        feedback[at + i],
                    )  # fmt: skip
            else:
                for i in range(n):
                    signal[own + i] = neuron(
                        a[one + i], a[other + i], gain * noise[own + i], reward, ZERO, ZERO
                    )

    return neurons, "piiinniipfpippip"


def _activity(activity: Any) -> tuple[Any, str]:
    def activities(a, x, start, rows, n, lanes, leak, keep):
        widely()
        for lane in range(lanes):
            at = start + lane * rows
            for i in range(n):
                x[at + i] = activity(a[at + i], x[at + i], leak[start + i], keep[start + i])

    return activities, "ppiiiipp"


def _slope(slope: Any) -> tuple[Any, str]:
    def slopes(a, start, rows, n, batch, leak, out):
        widely()
        for b in range(batch):
            at = start + b * rows
            for i in range(n):
                out[at + i] = slope(a[at + i], leak[start + i])

    return slopes, "piiiipp"


def _mend(feedback: Any) -> tuple[Any, str]:
    def mend(x, one, other, n, residual, power, out, at):
        widely()
        for i in range(n):
            out[at + i] += feedback(x[other + i] - x[one + i], residual, power)

    return mend, "piiiffpi"


@cache
def _traced(rule: type, version: str, arrived: bool = False) -> Kernel:
    """Kernel for synapses that keep traces, of one replica at a time."""
    trace = adapted(scalar(rule, "trace"), TRACE, rule.__name__)
    synapse = adapted(scalar(rule, "synapse"), TRACED, rule.__name__)
    kinds = "ppiiip" + ("" if arrived else "ii") + "pipipipipi"
    return Kernel(tiles.traced(trace, synapse, arrived), kinds, version)


@cache
def _optimiser(name: str) -> Kernel:
    """Kernel that changes weights as an optimiser makes of what is called for."""
    owner: Any = OPTIMISERS[name]
    functions = [scalar(owner, place) for place in ("first", "second", "step")]
    first, second, step = (
        adapted(function, known, name)
        for function, known in zip(functions, (FIRST, SECOND, STEP), strict=True)
    )

    def optimised(
        weights, firsts, seconds, change, n, scale, rate, beta1, fresh1, beta2, fresh2, unbias,
        epsilon,
    ):  # fmt: skip
        widely()
        unbias1, unbias2 = unbias[0], unbias[1]
        for i in range(n):
            wanted = scale * change[i]
            m = first(wanted, firsts[i], beta1, fresh1)
            v = second(wanted, seconds[i], beta2, fresh2)
            firsts[i] = m
            seconds[i] = v
            weights[i] -= rate * step(m, v, unbias1, unbias2, epsilon)

    return Kernel(optimised, "ppppiffffffpf", fingerprint(functions))
