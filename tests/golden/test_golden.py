"""Same config and seed, same numbers: today, tomorrow, on another machine."""

import json

import pytest
from make_golden import PLACE, RUNS, STREAMS, UNIFORM, draws, losses

from neurosim import noise

GOLDEN = json.loads(PLACE.read_text())


@pytest.mark.parametrize("name", STREAMS | UNIFORM)
def test_draws_are_what_they_were_bit_for_bit(name):
    assert draws(name) == GOLDEN["draws"][name]


def test_every_stream_is_held_to_its_numbers():
    """Those that a chip adds, that is; each at some place."""
    held = {stream % noise.EVALUATION >> 16 for stream in (STREAMS | UNIFORM).values()}
    everything = [value >> 16 for name, value in vars(noise).items() if _is_use(name, value)]
    assert held == set(everything) == set(range(1, len(everything) + 1))
    assert len({tuple(values) for values in GOLDEN["draws"].values()}) == len(GOLDEN["draws"])


def _is_use(name, value):
    return name.isupper() and isinstance(value, int) and value % 2**16 == 0 < value < 2**30


@pytest.mark.parametrize("name", RUNS)
def test_learning_is_what_it_was_up_to_rounding(name):
    """Machines may sum in another order; over 400 steps of learning that is worth 1e-4."""
    assert losses(*RUNS[name]) == pytest.approx(GOLDEN["losses"][name], rel=1e-4)
