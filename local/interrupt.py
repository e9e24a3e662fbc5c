"""Run to the end, or until SIGINT or SIGTERM: then what was started is stopped and cleaned up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

INTERRUPTED = 130
"""Exit code that shells report for a command that Ctrl-C ended."""

T = TypeVar("T")


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of ``work``, on an event loop of its own.

    A second signal is not handled: it ends this process at once, and the kernel ends its children.

    Raises
    ------
    asyncio.CancelledError
        A signal ended it. Its clean-up has run.
    """

    async def guarded() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        return await task

    return asyncio.run(guarded())
