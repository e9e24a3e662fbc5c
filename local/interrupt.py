"""Run to the end, or until SIGINT or SIGTERM: then what was started is stopped and cleaned up.

A signal always ends a process. The event loop answers it; a loop that is held, by a function that computes or
waits in it, never gets there. So each signal also sets a deadline outside of Python: when it has passed, the
process ends, and leaves the lines it was at on standard error.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

INTERRUPTED = 130
"""Exit code that shells report for a command that Ctrl-C ended."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)

STACK_SECONDS = 60.0
"""A stack stops its hosts within 30 s and its services within 10 s."""

T = TypeVar("T")


@contextmanager
def stopping_on_signals(*steps: Callable[[], object], within: float) -> Iterator[None]:
    """Answer the first signal with the first of the steps, the second with the second, and so on.

    Each is called on the running event loop. A signal after the last step has its default action: it ends the
    process.

    Parameters
    ----------
    within
        Seconds that the process has after a signal; then it ends with exit code 1, whatever it does.
    """
    loop = asyncio.get_running_loop()
    left = list(steps)

    def answer(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback_later(within, exit=True, file=sys.__stderr__ or 2)
        loop.call_soon_threadsafe(left.pop(0))
        if not left:
            for each in SIGNALS:
                signal.signal(each, signal.SIG_DFL)

    before = {number: signal.signal(number, answer) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of ``work``, on an event loop of its own.

    A second signal ends this process at once, and the kernel ends its children.

    Raises
    ------
    asyncio.CancelledError
        A signal ended it. Its clean-up has run.
    """

    async def guarded() -> T:
        task = asyncio.ensure_future(work)
        with stopping_on_signals(task.cancel, within=STACK_SECONDS):
            return await task

    return asyncio.run(guarded())
