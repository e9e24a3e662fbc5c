"""A clock that a test sets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shared.clock import Clock


class FakeClock(Clock):
    """Tells the time that a test says; both may change between two calls.

    Parameters
    ----------
    now
        Returns the time of day, as a moment or in seconds since the epoch.
    monotonic
        Returns the clock that never goes back, in seconds; the time of day unless given.
    """

    def __init__(
        self, now: Callable[[], datetime | float] = lambda: 0.0, monotonic: Callable[[], float] | None = None
    ) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> datetime:
        now = self._now()
        return now if isinstance(now, datetime) else datetime.fromtimestamp(now, UTC)

    def monotonic(self) -> float:
        return self.timestamp() if self._monotonic is None else self._monotonic()
