"""Ctrl-C, beside a library that is not made for it.

Python raises KeyboardInterrupt in the main thread, wherever that is: in the middle of a library as
well, which may be left half-way, or swallow it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def aside(function: Callable[..., T], *given: Any) -> Future[T]:
    """Call a function in a thread of its own: Ctrl-C ends the waiting for it, not the call."""
    answer: Future[T] = Future()

    def call() -> None:
        try:
            answer.set_result(function(*given))
        except BaseException as error:  # for the thread that waits
            answer.set_exception(error)

    threading.Thread(target=call, daemon=True, name="neurosim-aside").start()
    return answer


class Interrupts:
    """Notes every Ctrl-C within a ``with`` block, besides what it does otherwise.

    Attributes
    ----------
    heard : bool
        Whether there was one.
    """

    def __init__(self) -> None:
        self.heard = False
        self._before: Any = None

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if there was one."""
        if self.heard:
            raise KeyboardInterrupt

    def __enter__(self) -> Interrupts:
        self.heard = False
        self._before = signal.getsignal(signal.SIGINT)
        if not callable(self._before) or threading.current_thread() is not threading.main_thread():
            self._before = None  # it is ignored, or heard elsewhere
        else:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True
        self._before(number, frame)
