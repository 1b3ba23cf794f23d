"""One call at a time for an object whose state is in the hands of compiled loops."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from neurosim.errors import BusyError, NeurosimError


class Exclusive:
    """Access to an object for one call at a time, from whichever thread.

    Other threads wait for their turn. Within a call (from a progress callback, say) the object can
    be read, but a call that needs it as it is between calls is refused. In a process that was
    forked while another thread was at work on it, it stays as it was then: every call is refused.

    Parameters
    ----------
    owner : str
        What the object is called in errors.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._lock = threading.RLock()
        self._thread: int | None = None  # at work
        self._doing = ""
        self._refusal: tuple[type[NeurosimError], str] | None = None  # of every call from now on
        _ALL.add(self)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait for other threads, then keep them waiting to the end of the block.

        Raises
        ------
        BusyError
            In a process that was forked in the middle of a call.
        NeurosimError
            Any that `close` was told.
        """
        if self._refusal is not None:
            kind, why = self._refusal
            raise kind(why)
        with self._lock:
            before, self._thread = self._thread, threading.get_ident()
            try:
                yield
            finally:
                self._thread = before

    @contextmanager
    def alone(self, doing: str) -> Iterator[None]:
        """Do the same for a call, named `doing`, that no other call may be in the middle of.

        Raises
        ------
        BusyError
            Within another such call; or as from `reading`.
        """
        with self.reading():
            if self._doing:
                raise BusyError(f"{self._owner}: {doing}() cannot be called within {self._doing}()")
            self._doing = doing
            try:
                yield
            finally:
                self._doing = ""

    def close(self, error: NeurosimError) -> None:
        """Refuse every call from now on, with an error of this kind and text."""
        self._refusal = type(error), str(error)

    def forked(self) -> None:
        """Note what another thread was doing, of which a forked process has only the memory."""
        if self._thread == threading.get_ident():
            return
        self._lock = threading.RLock()
        if self._thread is not None:
            doing = self._doing or "evaluate"
            self.close(
                BusyError(
                    f"{self._owner}: another thread was in {doing}() when this process was forked, "
                    f"so its copy here is incomplete; fork between calls, or send it by pickle"
                )
            )


_ALL: weakref.WeakSet[Exclusive] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_ALL):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
