"""A deadline for what a request computes: the server has one thread, and answers nothing else meanwhile.

The kernel's timer interrupts Python code and regular expressions alike, at any place. What is interrupted
must therefore only read: parsing, compiling and evaluating queries, never a transaction.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from local.cosmos.query import QueryError

Result = TypeVar("Result")

COMPUTING_SECONDS = 5.0
"""Processor time that one request may compute. Sorting 300,000 items takes about as long."""

AGAIN_SECONDS = 0.1
"""Pause before the timer strikes again: a cleanup that was running may have swallowed the first time."""


class _Struck(BaseException):
    """The timer's interruption. Nothing that handles errors may take it for one."""


class DeadlineError(QueryError):
    """A query needs more computing than the server allows for one request."""


class _Timer:
    """The process's timer of processor time. One query at a time is timed: the outermost."""

    def __init__(self) -> None:
        self._armed = False
        self._handled = False

    def run(self, work: Callable[[], Result], seconds: float) -> Result:
        if self._armed or threading.current_thread() is not threading.main_thread():
            return work()  # the kernel interrupts the main thread alone; the server runs in no other
        if not self._handled:
            # It stays for good: the default action of a signal that comes too late is to end the process.
            signal.signal(signal.SIGPROF, self._strike)
            self._handled = True
        try:
            try:
                self._armed = True
                signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN_SECONDS)
                return work()
            finally:
                self._disarm()
        except _Struck:
            self._disarm()
            raise DeadlineError(
                f"The query computes for more than {seconds:g} s in one request, which the local server does "
                "not allow: shorten its pattern or its lists, or filter by a path that is indexed."
            ) from None

    def _disarm(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            raise _Struck


_timer = _Timer()


def bounded(work: Callable[[], Result]) -> Result:
    """Return what ``work`` returns, within the deadline.

    Raises
    ------
    DeadlineError
        It computed for longer. It was interrupted anywhere: it must not write.
    """
    return _timer.run(work, COMPUTING_SECONDS)
