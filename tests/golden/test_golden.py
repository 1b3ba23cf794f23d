"""Same config and seed, same numbers: today, tomorrow, on another machine."""

import json

import pytest
from make_golden import PLACE, RUNS, STREAMS, draws, losses

GOLDEN = json.loads(PLACE.read_text())


@pytest.mark.parametrize("name", STREAMS)
def test_draws_are_what_they_were_bit_for_bit(name):
    assert draws(STREAMS[name]) == GOLDEN["draws"][name]


@pytest.mark.parametrize("name", RUNS)
def test_learning_is_what_it_was_up_to_rounding(name):
    """Machines may sum in another order; over 400 steps of learning that is worth 1e-4."""
    assert losses(*RUNS[name]) == pytest.approx(GOLDEN["losses"][name], rel=1e-4)
