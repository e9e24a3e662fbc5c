"""Notice a function that blocks the event loop, and name it: everything else in the host waits for it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from local.host.logs import log

LIMIT = 2.0
"""Seconds without a turn of the event loop that are reported. Lease renewals allow for several times that."""


def _report(event: str, fields: Mapping[str, Any]) -> None:
    log.error(event, **fields)


class LoopWatchdog:
    """A thread that asks the event loop for a sign of life, and says who runs when none comes."""

    def __init__(
        self,
        running: Callable[[], list[str]],
        *,
        limit: float = LIMIT,
        report: Callable[[str, Mapping[str, Any]], None] = _report,
    ) -> None:
        self._running = running
        self._limit = limit
        self._report = report
        self._beat = time.monotonic()
        self._end = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        """Begin watching the running event loop of the calling thread."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _alive(self) -> None:
        self._beat = time.monotonic()

    def _watch(self) -> None:
        reported = 0.0
        while not self._end.wait(self._limit / 4):
            blocked = time.monotonic() - self._beat
            if blocked < self._limit:
                if reported:
                    self._report("event_loop_free", {"blocked_ms": round(reported * 1_000)})
                reported = 0.0
                if self._loop is not None and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self._alive)
                continue
            if not reported:
                self._report(
                    "event_loop_blocked",
                    {
                        "functions": self._running(),
                        "blocked_ms": round(blocked * 1_000),
                        "where": self._where(),
                    },
                )
            reported = blocked

    def _where(self) -> list[str]:
        """Return the innermost frames of the thread that runs the loop."""
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.extract_stack(frame)[-4:] if frame else []
        return [f"{entry.filename}:{entry.lineno} {entry.name}" for entry in stack]
