"""Writes a soak's traffic until each write is acknowledged, whatever befalls the database meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from random import Random
from time import monotonic
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.soak.traffic import Book, Change, Kind, SoakTraffic

LANES = 8
WAITING_PER_LANE = 12
"""Writes that wait while the database is away; then the traffic pauses."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
GIVE_UP_SECONDS = 90.0
"""A write that is not acknowledged for so long says that the database does not come back."""

PASSING = frozenset({408, 410, 429, 449, 500, 503})
"""Statuses after which a client tries again. 500 among them: its cause is found in the server's log."""


class RefusedError(Exception):
    """The database refused a write for good. The message has the status and the kind of write."""


class Writer:
    """Writes changes at a rate, several at a time; those of one person in their order."""

    def __init__(self, database: DatabaseProxy, traffic: SoakTraffic, book: Book, seed: int) -> None:
        self._database = database
        self._traffic = traffic
        self._book = book
        self._random = Random(f"{seed}:writer")
        self._lanes: list[asyncio.Queue[Change | None]] = [
            asyncio.Queue(WAITING_PER_LANE) for _ in range(LANES)
        ]

    async def run(self, seconds: float, per_second: float) -> None:
        """Write for ``seconds``, then until the last write is acknowledged.

        Raises
        ------
        RefusedError
            A write was refused for good, or not acknowledged in time.
        """
        await self._write_all(self._feed(seconds, per_second))

    async def write(self, changes: Iterable[Change]) -> None:
        """Write changes as fast as the database takes them, until the last write is acknowledged.

        Raises
        ------
        RefusedError
            As :meth:`run`.
        """

        async def feed() -> None:
            for change in changes:
                await self._lanes[change.lane % LANES].put(change)

        await self._write_all(feed())

    async def _write_all(self, feed: Coroutine[Any, Any, None]) -> None:
        async def feed_and_end() -> None:
            await feed
            for lane in self._lanes:
                await lane.put(None)

        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._work(lane))
                group.create_task(feed_and_end())
        except* RefusedError as refusals:
            raise refusals.exceptions[0] from None

    async def _feed(self, seconds: float, per_second: float) -> None:
        started = monotonic()
        while (elapsed := monotonic() - started) < seconds:
            change = self._traffic.next(elapsed, elapsed / seconds)
            await self._lanes[change.lane % LANES].put(change)
            await asyncio.sleep(self._random.expovariate(per_second))
        for change in self._traffic.left():
            await self._lanes[change.lane % LANES].put(change)

    async def _work(self, lane: asyncio.Queue[Change | None]) -> None:
        while (change := await lane.get()) is not None:
            await self._write(change)
            self._book.enter(change)

    async def _write(self, change: Change) -> None:
        started, pause, first = monotonic(), FIRST_PAUSE, True
        while True:
            try:
                await self._attempt(change, first)
                return
            except AzureError as error:
                status = error.status_code if isinstance(error, CosmosHttpResponseError) else None
                waited = monotonic() - started
                created_before = status == 409 and change.kind is Kind.QUESTION
                if (not created_before and not _is_passing(status)) or waited > GIVE_UP_SECONDS:
                    raise RefusedError(
                        f"a {change.kind} of {change.document['id']} was refused after {waited:.1f} s:"
                        f" {status} {str(error)[:300]}"
                    ) from error
            self._book.repeated += 1
            first = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _attempt(self, change: Change, first: bool) -> None:
        """Write as the web application does; after an error, whose outcome nobody knows, by upsert."""
        container = self._database.get_container_client(change.container)
        if first and change.kind is Kind.QUESTION:
            await container.create_item(change.document)
        elif first and change.kind is Kind.RATING:
            await container.replace_item(change.document["id"], change.document)
        else:
            await container.upsert_item(change.document)


def _is_passing(status: int | None) -> bool:
    return status is None or status in PASSING or not 400 <= status < 600
