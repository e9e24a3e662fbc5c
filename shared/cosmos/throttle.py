"""Keep a piece of work below a rate of request units."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.clock import Clock

BURST_SECONDS = 1.0
"""Seconds of its rate that idle work may save up."""


class Throttle:
    """A token bucket of request units. A request's charge is known after it, so the bucket may go into debt.

    Parameters
    ----------
    rate
        Request units per second. None: no limit.
    """

    def __init__(
        self,
        rate: float | None,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if rate is not None and rate <= 0:
            raise ValueError(f"a rate of {rate} RU/s would never end")
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._paid_at = clock.monotonic() - BURST_SECONDS
        """Time of :meth:`Clock.monotonic` at which everything spent is paid for."""

    async def wait(self) -> None:
        """Wait until what was spent is paid for. Call it before each request."""
        while (left := self._paid_at - self._clock.monotonic()) > 0:
            await self._sleep(left)

    def spend(self, request_units: float) -> None:
        """Add the charge of a request. Call it after each request, also of one that failed."""
        if self._rate is not None:
            earliest = self._clock.monotonic() - BURST_SECONDS
            self._paid_at = max(self._paid_at, earliest) + request_units / self._rate
