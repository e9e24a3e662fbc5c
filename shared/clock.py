"""The one clock. Every part of the fleet that needs the time receives it, so that tests can set the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

REPLICA_LAG_SECONDS = 60
"""Age in seconds up to which a replica may lack a write."""


class Clock:
    """This machine's wall clock and monotonic clock."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the time in seconds since the epoch, as the service stamps documents (``_ts``)."""
        return self.now().timestamp()

    def monotonic(self) -> float:
        """Return seconds that never decrease, for durations and lifetimes. Their origin is arbitrary."""
        return time.monotonic()


SYSTEM_CLOCK = Clock()
"""The clock of every process except tests."""
