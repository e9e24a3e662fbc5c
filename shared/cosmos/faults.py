"""Faults of the service: counted for the work in progress, and logged within seconds, but not one by one."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

import structlog

from shared.cosmos.charges import record_fault
from shared.cosmos.retries import FAULT_SUMMARY_SECONDS

THROTTLED = "429"
"""The fault of a request that the service refused because there is not enough throughput."""

_log = structlog.get_logger(__name__)


class Operation(NamedTuple):
    """What a request does, and where. Says nothing of documents and their owners."""

    container: str
    """Name of the container; empty for the account and its databases."""
    name: str
    """``read``, ``query``, ``batch``, …"""

    def __str__(self) -> str:
        return f"{self.container} {self.name}".strip()


class FaultLog:
    """Logs the first fault at once, and then what came after it, every :data:`FAULT_SUMMARY_SECONDS`.

    The counts are those of this process.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[Operation, str]] = Counter()
        self._summary: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._last: Counter[str] = Counter()

    def record(self, operation: Operation, fault: str) -> None:
        """Count one attempt that the service refused or did not answer.

        Parameters
        ----------
        fault
            The status of the answer, or why there is none.
        """
        record_fault(throttled=fault == THROTTLED)
        self._counts[operation, fault] += 1
        loop = asyncio.get_running_loop()
        if self._summary is None or self._summary[0] is not loop:
            self._report(loop, 0.0)

    def recent(self) -> dict[str, int]:
        """Return the faults that were logged last, by container, operation and fault; none in quiet times."""
        return dict(self._last) if self._summary is not None else {}

    def _report(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Log what was counted, and look again later. Without further faults, the log falls silent."""
        if not self._counts:
            self._summary = None
            return
        faults: Counter[str] = Counter()
        throttled = 0
        for (operation, fault), count in self._counts.items():
            faults[f"{operation} {fault}"] += count
            throttled += count if fault == THROTTLED else 0
        self._counts.clear()
        self._last = faults
        _log.warning(
            "database_faults", seconds=seconds, throttled=throttled, faults=dict(sorted(faults.items()))
        )
        handle = loop.call_later(FAULT_SUMMARY_SECONDS, self._report, loop, FAULT_SUMMARY_SECONDS)
        self._summary = (loop, handle)


FAULTS = FaultLog()
"""The faults that this process met."""
