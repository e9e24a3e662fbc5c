"""The one clock: every part of the fleet that asks for the time is given it, so that tests can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of day by this machine's clock, and a clock that never goes back."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the time in seconds since the epoch, as the service stamps documents (``_ts``)."""
        return self.now().timestamp()

    def monotonic(self) -> float:
        """Return seconds that only grow, for durations and lifetimes; their origin means nothing."""
        return time.monotonic()


SYSTEM_CLOCK = Clock()
"""The clock of every process outside of tests."""
