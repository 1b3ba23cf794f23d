"""The table of what a chip does, for the compiled loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosim import noise
from neurosim.engines.arrays import Floats, Ints, floats, ints
from neurosim.engines.plan import Plan
from neurosim.substrate.record import ROUNDINGS


class Assumptions(NamedTuple):
    """What the chip does; per population where it says so, else per matrix, or one for all."""

    act_noise: np.float32
    telegraph: np.float32
    switches: np.float32
    flicker: np.float32
    mismatches: bool
    observes: bool
    read_noise: np.float32
    read_limit: np.float32
    read_spacing: np.float32
    coarse: Ints  # by population
    event_limit: np.float32
    event_spacing: np.float32
    loses: bool
    event_loss: np.float32
    event_jitter: np.float32
    w_read_noise: Floats
    w_read_relative: np.float32
    programs: bool
    rounding: int  # its place in ROUNDINGS
    smallest: Floats
    asymmetry: np.float32
    d2d: np.float32
    c2c: np.float32
    softness: np.float32
    full_scale: Floats
    write_noise: Floats
    limit: Floats
    spacing: Floats
    ages: bool
    drifts: bool
    keep: np.float32
    diffusion: Floats
    alters_rewards: bool
    reward_noise: np.float32
    reward_limit: np.float32
    reward_spacing: np.float32
    reward_loss: np.float32
    delay: int
    shows: bool
    both: bool
    mean_lane: int  # where ``Memory.seen`` has the mean of both passes, or 0
    act_noise_stream: Ints  # by population
    telegraph_stream: Ints  # by population
    flicker_stream: Ints  # by population
    act_read_stream: Ints  # by population
    fired_read_stream: Ints  # by population
    sent_read_stream: Ints  # by population
    w_read_stream: Ints
    w_relative_stream: Ints
    pulses_stream: Ints
    c2c_stream: Ints
    w_write_stream: Ints
    rounding_stream: Ints
    diffusion_stream: Ints
    event_loss_stream: Ints
    event_jitter_stream: Ints


def assumptions_of(plan: Plan) -> Assumptions:
    """Tabulate what the chip does."""
    chip, given, network = plan.chip, plan.substrate, plan.network
    devices = list(chip.devices.values())
    places = [p.name for p in network.populations]

    def streams(use: int) -> Ints:
        names = network.matrices if use in noise.OF_MATRICES else places
        return ints([plan.stream(use, name) for name in names])

    return Assumptions(
        act_noise=np.float32(given.act_noise),
        telegraph=np.float32(given.act_telegraph),
        switches=np.float32(chip.switches),
        flicker=np.float32(given.act_flicker),
        mismatches=chip.mismatches,
        observes=chip.observes,
        read_noise=np.float32(given.act_read_noise),
        read_limit=np.float32(chip.read_limit),
        read_spacing=np.float32(chip.read_spacing),
        coarse=ints([chip.coarse and chip.sends(name) for name in places]),
        event_limit=np.float32(chip.event_limit),
        event_spacing=np.float32(chip.event_spacing),
        loses=chip.loses,
        event_loss=np.float32(given.event_loss),
        event_jitter=np.float32(given.event_jitter),
        w_read_noise=floats([device.read_noise for device in devices]),
        w_read_relative=np.float32(given.w_read_relative),
        programs=chip.programs,
        rounding=ROUNDINGS.index(given.rounding),
        smallest=floats([device.smallest for device in devices]),
        asymmetry=np.float32(given.asymmetry),
        d2d=np.float32(given.d2d),
        c2c=np.float32(given.c2c),
        softness=np.float32(given.soft_bounds),
        full_scale=floats([device.full_scale for device in devices]),
        write_noise=floats([device.write_noise for device in devices]),
        limit=floats([device.limit for device in devices]),
        spacing=floats([device.spacing for device in devices]),
        ages=chip.ages,
        drifts=chip.drifts,
        keep=np.float32(chip.keep),
        diffusion=floats([device.diffusion for device in devices]),
        alters_rewards=chip.alters_rewards,
        reward_noise=np.float32(given.reward_noise),
        reward_limit=np.float32(chip.reward_limit),
        reward_spacing=np.float32(chip.reward_spacing),
        reward_loss=np.float32(given.reward_loss),
        delay=given.reward_delay if plan.compares else 0,
        shows=plan.shows,
        both=plan.both and plan.compares,
        mean_lane=plan.lanes if plan.averages else 0,
        act_noise_stream=streams(noise.ACT_NOISE),
        telegraph_stream=streams(noise.TELEGRAPH),
        flicker_stream=streams(noise.FLICKER),
        act_read_stream=streams(noise.ACT_READ),
        fired_read_stream=streams(noise.FIRED_READ),
        sent_read_stream=streams(noise.SENT_READ),
        w_read_stream=streams(noise.W_READ),
        w_relative_stream=streams(noise.W_READ_RELATIVE),
        pulses_stream=streams(noise.PULSES),
        c2c_stream=streams(noise.C2C),
        w_write_stream=streams(noise.W_WRITE),
        rounding_stream=streams(noise.ROUNDING),
        diffusion_stream=streams(noise.DIFFUSION),
        event_loss_stream=streams(noise.EVENT_LOSS),
        event_jitter_stream=streams(noise.EVENT_JITTER),
    )
