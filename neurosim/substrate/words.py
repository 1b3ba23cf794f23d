"""A substrate in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosim.substrate.record import FITTED, Substrate
from neurosim.substrate.reward_line import MEMORY, RANGE

MEASURED = {"w_read_noise", "w_max", "w_bits", "w_min_step", "w_write_noise", "diffusion"}
PASSES = ("act_noise", "act_telegraph", "act_flicker", "w_read_noise", "w_read_relative")


def explanation(chip: Substrate, rule: Any = None) -> str:
    """Say what is assumed, one line each, and what it costs rules that must know their noise."""
    active = set(chip.assumed)
    for bits, size in (("act_bits", "act_range"), ("event_bits", "event_range")):
        if bits in active:
            active.discard(size)  # said there
    if active & MEASURED:
        active.add("w_max")
    lines = [words for name, words in _lines(chip).items() if name in active]
    if not lines:
        return "the ideal chip: nothing is assumed"
    return "\n".join([*lines, *_costs(chip, rule)])


def _lines(chip: Substrate) -> dict[str, str]:
    scale, drift = "full scale", chip.drift_nu
    if isinstance(drift, tuple):
        drift_words = f"t^-nu, nu of each device between {drift[0]:g} and {drift[1]:g}"
    else:
        drift_words = f"t^-{drift:g}"
    rounded = {
        "nearest": "to the nearest level",
        "stochastic": "up or down by chance, a draw for each synapse",
        "stochastic_shared": "up or down by chance, one draw for a whole matrix",
    }[chip.rounding]
    read = f"{chip.act_range or 4.0:g}"
    return {
        "act_noise": f"process noise: white, standard deviation {chip.act_noise:g} on every "
        "pre-activation, in every pass",
        "act_telegraph": f"process noise: telegraph, +-{chip.act_telegraph:g} on every "
        f"pre-activation, {chip.telegraph_dwell or 10.0:g} steps in a state on average",
        "act_flicker": f"process noise: 1/f, standard deviation {chip.act_flicker:g} on every "
        "pre-activation",
        "mismatch_gain": f"neurons' gains differ: 1 +- {chip.mismatch_gain:g}, frozen",
        "mismatch_offset": f"neurons' offsets differ: 0 +- {chip.mismatch_offset:g}, frozen",
        "mismatch_tau": f"neurons' time constants differ by {_percent(chip.mismatch_tau)}, frozen",
        "act_read_noise": f"rules read activities with noise of standard deviation "
        f"{chip.act_read_noise:g}",
        "act_bits": f"rules read activities with {chip.act_bits} bits: "
        f"{_levels(chip.act_bits)} levels from -{read} to {read}",
        "act_range": f"rules read activities from -{read} to {read}",
        "w_max": _full_scale(chip),
        "w_read_noise": f"weights are read with noise of standard deviation "
        f"{chip.w_read_noise:g} of {scale}",
        "w_read_relative": f"weights are read with noise of {_percent(chip.w_read_relative)} of "
        "themselves",
        "w_bits": f"weights are stored with {chip.w_bits} bits: {_levels(chip.w_bits)} levels, "
        f"{rounded}",
        "w_min_step": f"weights change in whole steps of {chip.w_min_step:g} of {scale}, {rounded}",
        "asymmetry": f"steps up are {_percent(chip.asymmetry)} larger, steps down smaller",
        "soft_bounds": "soft bounds: steps up shrink as 1 - w / w_max, steps down as 1 + w / w_max"
        + ("" if chip.soft_bounds == 1 else f", to {_percent(chip.soft_bounds)}"),
        "c2c": f"steps vary by {_percent(chip.c2c)} from cycle to cycle",
        "d2d": f"steps vary by {_percent(chip.d2d)} from device to device, frozen",
        "w_write_noise": f"a write leaves noise of standard deviation {chip.w_write_noise:g} of "
        f"{scale}",
        "stuck_fraction": f"{_percent(chip.stuck_fraction)} of the synapses are stuck, "
        + (
            "at their initial weight"
            if chip.stuck_at is None
            else f"at {chip.stuck_at:g} of {scale}"
        ),
        "drift_nu": f"weights drift as {drift_words}, t the steps since they were written",
        "leak_tau": f"weights leak to 1/e in {chip.leak_tau or 0:g} steps",
        "diffusion": f"weights wander by {chip.diffusion:g} of {scale} per root of a step",
        "event_loss": f"{_percent(chip.event_loss)} of the events are lost on the way",
        "event_jitter": f"{_percent(chip.event_jitter)} of the events arrive one step late",
        "event_bits": f"events carry {chip.event_bits} bits: {_levels(chip.event_bits)} levels "
        f"from -{chip.event_range or 1.0:g} to {chip.event_range or 1.0:g}",
        "event_range": f"events carry numbers from -{chip.event_range or 1.0:g} to "
        f"{chip.event_range or 1.0:g}",
        "reward_noise": f"the reward is broadcast with noise of {chip.reward_noise:g} times the "
        f"usual loss difference (root mean square over {MEMORY} steps)",
        "reward_bits": f"the reward is broadcast with {chip.reward_bits} bits: "
        f"{_levels(chip.reward_bits)} levels within {RANGE:g} usual loss differences",
        "reward_delay": f"the reward arrives {chip.reward_delay} steps late; neurons and synapses "
        "keep their factors as long",
        "reward_loss": f"{_percent(chip.reward_loss)} of the rewards are lost",
    }


def _full_scale(chip: Substrate) -> str:
    if chip.w_max == FITTED:
        scale = "4 standard deviations of a matrix's initial weights"
    elif isinstance(chip.w_max, Mapping):
        scale = ", ".join(f"{name} {value:g}" for name, value in chip.w_max.items()) + ", others 1"
    else:
        scale = f"{chip.w_max or 1.0:g}"
    bounded = chip.w_max or chip.w_bits or chip.soft_bounds
    return f"full scale of the weights: {scale}" + ("; none is larger" if bounded else "")


def _levels(bits: int | None) -> int:
    return 2 ** (bits or 2) - 1


def _percent(part: float) -> str:
    return f"{100 * part:g} %"


def _costs(chip: Substrate, rule: Any) -> list[str]:
    """What noise that a rule cannot know costs it."""
    some = [name for name in PASSES if name in chip.assumed]
    lines = []
    if chip.reward_noise or chip.act_read_noise:
        lines.append(
            "what this costs: ANP divides by a measured power, for a population of few neurons a "
            "number often near 0, which such noise does not share: its credit has no finite "
            "variance with one output. distribution='rademacher' with layers='separate' helps "
            "against a noisy reward"
        )
    if not some:
        return lines
    lines += [
        "what this costs: passes differ by noise that nobody knows. ANP measures it with the rest "
        "(passes='both' needs no other). NP and WP credit only what they injected: all else in "
        "the loss difference is variance"
    ]
    sigma = getattr(rule, "noise_std", 0.0)
    asks = getattr(rule, "budget", None)
    if asks is not None and rule.budget().own_noise and sigma > 0:
        own = getattr(rule, "perturbs", "neurons") == "neurons"
        power = chip.act_noise**2 + chip.act_telegraph**2 + chip.act_flicker**2
        if own and power > 0:
            lines.append(
                f"for {type(rule).__name__} with noise_std = {sigma:g}: about "
                f"{1 + 2 * power / sigma**2:.3g} times the variance, so that many times the "
                "steps for the same certainty"
            )
        else:
            lines.append(
                f"for {type(rule).__name__} with noise_std = {sigma:g}: raise noise_std to the "
                "size of the chip's noise, or average over more steps"
            )
    return lines
