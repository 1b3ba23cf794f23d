"""What all tests have in common."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def listening() -> None:
    """Hear Ctrl-C as on a terminal: a shell starts its background jobs deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
