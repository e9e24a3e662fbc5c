"""A cache of persona configurations. Concurrent requests for one configuration share one read."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from copy import deepcopy
from functools import partial
from typing import Generic, TypeVar

from shared.clock import SYSTEM_CLOCK, Clock
from shared.queries.reading import Document

LIFETIME_SECONDS = 300.0
"""Seconds for which a configuration is cached. Personas change about weekly."""

ABSENT_SECONDS = 15.0
"""Seconds for which the absence of a configuration is cached. Short, because an operator who activates a
persona tests it immediately. Not zero, because a front end that requests a removed persona would otherwise
cause a query per request."""

MAX_ENTRIES = 256
"""Maximum number of entries. The specification expects 50 personas and more, of a few KB each."""

Value = TypeVar("Value")


class _ExpiringLru(Generic[Value]):
    """Up to ``most`` entries, each with an expiry. Drops the least recently used entry first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def put(self, key: str, value: Value, until: float) -> None:
        self._entries[key] = (until, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def get(self, key: str, now: float) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        until, value = entry
        if now >= until:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def drop(self, key: str) -> None:
        self._entries.pop(key, None)


class PersonaCache:
    """Configurations by persona id, for the tasks of one event loop.

    Concurrent requests for one configuration share one read and its error. Errors are not cached. Absence is
    cached separately and briefly, so that guessed names displace no configuration.

    Parameters
    ----------
    load
        Reads one configuration; None if there is none.
    lifetime, absent_lifetime
        Seconds, counted from the beginning of the read.
    most
        Maximum number of configurations, and of cached absences.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[Document | None]],
        *,
        lifetime: float = LIFETIME_SECONDS,
        absent_lifetime: float = ABSENT_SECONDS,
        most: int = MAX_ENTRIES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._load = load
        self._lifetime = lifetime
        self._absent_lifetime = absent_lifetime
        self._clock = clock
        self._found = _ExpiringLru[Document](most)
        self._absent = _ExpiringLru[bool](most)
        self._flights: dict[str, asyncio.Task[Document | None]] = {}

    async def get(self, personality_id: str) -> Document | None:
        """Return a separate copy of the configuration for each caller, None if there is none."""
        now = self._clock.monotonic()
        found = self._found.get(personality_id, now)
        if found is not None:
            return deepcopy(found)
        if self._absent.get(personality_id, now):
            return None
        flight = self._flights.get(personality_id)
        if flight is None:
            flight = asyncio.create_task(self._read(personality_id))
            self._flights[personality_id] = flight
            flight.add_done_callback(partial(self._store_result, personality_id, now))
        # Shielded, so that the cancellation of one caller does not cancel the read for the others.
        return deepcopy(await asyncio.shield(flight))

    def forget(self, personality_id: str) -> None:
        """Drop a configuration. The next call reads it again, and a read in progress is not cached."""
        self._found.drop(personality_id)
        self._absent.drop(personality_id)
        self._flights.pop(personality_id, None)

    async def _read(self, personality_id: str) -> Document | None:
        return await self._load(personality_id)

    def _store_result(self, key: str, asked: float, flight: asyncio.Task[Document | None]) -> None:
        current = self._flights.get(key) is flight
        if current:
            del self._flights[key]
        if flight.cancelled() or flight.exception() is not None or not current:
            return
        found = flight.result()
        if found is None:
            self._absent.put(key, True, asked + self._absent_lifetime)
        else:
            self._found.put(key, found, asked + self._lifetime)
