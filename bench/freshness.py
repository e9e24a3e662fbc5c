"""Freshness and memory on the real stack: a host process runs the fleet, questions come one by one.

Freshness is the time from the moment a write is acknowledged until the person's published document of
``user_analytics`` counts it. The document is watched through its container's change feed.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from bench.contenders import BenchError
from bench.feed import FeedReader
from bench.figures import StackFigures, percentile
from bench.traffic import LiveSegments, Scale, store
from local.drain import drain_feeds
from local.processes import StackError
from local.stack import Stack, StackConfig, running_stack
from shared.facts import USER_INTERACTIONS

BACKLOG_CHUNK = 2_000
WATCH_SECONDS = 0.02
"""Pause between two looks at the views: what freshness is rounded up to."""
PATIENCE_SECONDS = 60.0


class Watcher:
    """Knows what has been written of each person, and sees when the views count it."""

    def __init__(self, counted: Mapping[str, int]) -> None:
        self._written: defaultdict[str, int] = defaultdict(int, counted)
        self._waiting: defaultdict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self.delays: list[float] = []

    def wrote(self, user_id: str, now: float) -> None:
        """Note that one more interaction of a person was acknowledged at ``now`` (seconds)."""
        self._written[user_id] += 1
        self._waiting[user_id].append((self._written[user_id], now))

    def saw(self, user_id: str, total: int, now: float) -> None:
        """Note that a person's view shows ``total`` interactions at ``now``."""
        waiting = self._waiting[user_id]
        while waiting and waiting[0][0] <= total:
            self.delays.append(now - waiting.popleft()[1])

    @property
    def pending(self) -> int:
        """Writes that no view shows yet."""
        return sum(map(len, self._waiting.values()))


async def measure_stack(scale: Scale, *, backlog: int, writes: int, per_second: float) -> StackFigures:
    """Let a host drain a backlog, then write questions at a steady rate and watch them appear.

    Returns
    -------
    StackFigures
        With ``unavailable`` set, and nothing measured, where the stack does not start or does not drain.
    """
    try:
        async with _stack() as stack:
            return await stack.alongside(_measure(stack, scale, backlog, writes, per_second))
    except StackError as error:
        return StackFigures(unavailable=str(error).splitlines()[0])


@asynccontextmanager
async def _stack() -> AsyncIterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as directory:
        async with running_stack(StackConfig(Path(directory))) as stack:
            yield stack


async def _measure(stack: Stack, scale: Scale, backlog: int, writes: int, per_second: float) -> StackFigures:
    connection = stack.connection
    live = LiveSegments(scale, ratings=False)
    counted: defaultdict[str, int] = defaultdict(int)
    async with connection.client("bench-stack") as client:
        database = client.get_database_client(connection.database)
        source = database.get_container_client(USER_INTERACTIONS)
        for start in range(0, backlog, BACKLOG_CHUNK):
            documents = live.next(min(BACKLOG_CHUNK, backlog - start))
            await store(source, documents)
            for document in documents:
                counted[document["user_id"]] += 1
        result = await drain_feeds(connection, timeout=PATIENCE_SECONDS)
        if not result.drained:
            raise StackError(f"the host did not drain {backlog:,} changes within {PATIENCE_SECONDS:g} s")
        watcher = Watcher(counted)
        await _write_and_watch(database, source, live, watcher, writes, per_second)
    return StackFigures(
        writes=writes,
        p50_seconds=percentile(watcher.delays, 0.5),
        p99_seconds=percentile(watcher.delays, 0.99),
        peak_rss_bytes=peak_rss(stack.hosts[0]["pid"]),
        changes_processed=backlog + writes,
    )


async def _write_and_watch(
    database: DatabaseProxy,
    source: ContainerProxy,
    live: LiveSegments,
    watcher: Watcher,
    writes: int,
    per_second: float,
) -> None:
    feed = FeedReader(database.get_container_client("user_analytics"))
    while await feed.read(1_000):
        pass  # what the backlog left; from here on only news
    writing = asyncio.create_task(_write(source, live.next(writes), watcher, per_second))
    try:
        deadline = time.monotonic() + writes / per_second + PATIENCE_SECONDS
        while not writing.done() or watcher.pending:
            for document in await feed.read(1_000):
                total = document["interaction_metrics"]["total_interactions"]
                watcher.saw(document["user_id"], total, time.monotonic())
            if time.monotonic() > deadline:
                raise BenchError(f"{watcher.pending} of {writes} writes never showed in user_analytics")
            await asyncio.sleep(WATCH_SECONDS)
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _write(
    source: ContainerProxy, documents: list[dict[str, Any]], watcher: Watcher, per_second: float
) -> None:
    started = time.monotonic()
    for number, document in enumerate(documents):
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
        await source.create_item(document)
        watcher.wrote(document["user_id"], time.monotonic())


def peak_rss(pid: int) -> int | None:
    """Return the peak resident memory of a process in bytes, None if the kernel does not report it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None
