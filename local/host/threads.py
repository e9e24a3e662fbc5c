"""Threads for sync functions: bounded, and never in the way of the process's end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class DaemonThreads:
    """Runs calls in daemon threads, so many at a time.

    ``ThreadPoolExecutor`` would do, but the interpreter joins its threads at exit: a function that hangs
    would keep a host alive that has given everything else back.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)

    async def run(self, name: str, call: Callable[[], Any]) -> Any:
        """Return what ``call`` returns, or raise what it raises.

        If the wait is cancelled, the thread goes on and keeps its slot until it ends.
        """
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def finish(result: Any, error: BaseException | None) -> None:
            self._slots.release()
            if future.done():
                return
            if error is None:
                future.set_result(result)
            elif isinstance(error, StopIteration):  # a future cannot carry it
                future.set_exception(RuntimeError(f"{name} raised StopIteration"))
            else:
                future.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = context.run(call)
            except BaseException as raised:  # noqa: BLE001 - it is raised again in the event loop
                error = raised
            with suppress(RuntimeError):  # the loop is closed: the host has ended without this call
                loop.call_soon_threadsafe(finish, result, error)

        threading.Thread(target=work, name=f"function {name}", daemon=True).start()
        return await future
