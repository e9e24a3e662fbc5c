"""Freshness and memory on the real stack: a host process runs the fleet, questions come one by one.

Freshness is the time from the moment a write is acknowledged until a published document counts it: the
person's month, and the day. The documents are watched through the change feeds of their containers. Views
that a timer publishes are not watched: at worst they show a write after the longest pause of their timer.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from bench.contenders import BenchError
from bench.feed import FeedReader
from bench.registered import feeds, longest_pause, registered_functions, timers
from bench.stack_figures import Freshness, StackFigures
from bench.traffic import LiveSegments, store
from local.drain import drain_feeds
from local.host.bindings import FunctionSpec
from local.processes import StackError
from local.stack import Stack, StackConfig, running_stack
from shared.containers import VIEW_CONTAINERS, VIEW_STATE
from shared.facts import USER_INTERACTIONS
from shared.views import VIEWS, system_health
from shared.views.base import Schedule

BACKLOG_CHUNK = 2_000
WATCH_SECONDS = 0.02
"""Pause between two looks at the views: what freshness is rounded up to."""
PATIENCE_SECONDS = 60.0

REFRESH_TIMER, HEALTH_TIMER = "refresh_views", "refresh_health"
"""The timers that publish what no change feed does."""

HOUR = 3_600.0
EXTRA = {Schedule.HOURLY: HOUR, Schedule.TWICE_A_DAY: 12 * HOUR, Schedule.DAILY: 24 * HOUR}
"""Seconds between two beginnings of a schedule's work. The timer that does it in pieces adds its pause."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LiveView:
    """How a live view shows that it counts a write."""

    container: str
    key_of: Callable[[Document], str]
    """Of an interaction: what its document of the view is about."""
    seen: Callable[[Document], tuple[str, int] | None]
    """Of a published document: what it is about, and the interactions it counts; None if it is another's."""


def _month(document: Document) -> tuple[str, int] | None:
    if document["analysis_period"] != "monthly":
        return None
    return document["user_id"], document["interaction_metrics"]["total_interactions"]


LIVE_VIEWS = {
    "user_analytics": LiveView("user_analytics", lambda written: str(written["user_id"]), _month),
    "daily_metrics": LiveView(
        "daily_metrics",
        lambda written: str(written["timestamp"])[:10],
        lambda day: (day["date"], day["usage_statistics"]["total_interactions"]),
    ),
}


class Watcher:
    """Knows what has been written of each person, or day, and sees when a view counts it."""

    def __init__(self, counted: Mapping[str, int]) -> None:
        self._written: defaultdict[str, int] = defaultdict(int, counted)
        self._waiting: defaultdict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self.delays: list[float] = []

    def wrote(self, key: str, now: float) -> None:
        """Note that one more interaction of a key was acknowledged at ``now`` (seconds)."""
        self._written[key] += 1
        self._waiting[key].append((self._written[key], now))

    def saw(self, key: str, total: int, now: float) -> None:
        """Note that the view of a key shows ``total`` interactions at ``now``."""
        waiting = self._waiting[key]
        while waiting and waiting[0][0] <= total:
            self.delays.append(now - waiting.popleft()[1])

    @property
    def pending(self) -> int:
        """Writes that the view does not show yet."""
        return sum(map(len, self._waiting.values()))


@asynccontextmanager
async def bench_stack() -> AsyncIterator[Stack]:
    """Run a stack with one host on a temporary directory.

    Raises
    ------
    StackError
        It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as directory:
        async with running_stack(StackConfig(Path(directory))) as stack:
            yield stack


async def write_backlog(stack: Stack, live: LiveSegments, changes: int) -> list[Document]:
    """Write live traffic at once and let the host drain it; return what was written.

    Raises
    ------
    StackError
        It does not drain in time.
    """
    connection, written = stack.connection, list[Document]()
    async with connection.client("bench-stack") as client:
        source = client.get_database_client(connection.database).get_container_client(USER_INTERACTIONS)
        for start in range(0, changes, BACKLOG_CHUNK):
            documents = live.next(min(BACKLOG_CHUNK, changes - start))
            await store(source, documents)
            written += documents
    result = await drain_feeds(connection, timeout=PATIENCE_SECONDS)
    if not result.drained:
        raise StackError(f"the host did not drain {changes:,} changes within {PATIENCE_SECONDS:g} s")
    return written


async def measure_freshness(
    stack: Stack, live: LiveSegments, backlog: Sequence[Document], *, writes: int, per_second: float
) -> StackFigures:
    """Write questions at a steady rate and watch them appear.

    Parameters
    ----------
    backlog
        What is counted already.
    """
    watchers = {}
    for name, view in LIVE_VIEWS.items():
        counted: defaultdict[str, int] = defaultdict(int)
        for document in backlog:
            counted[view.key_of(document)] += 1
        watchers[name] = Watcher(counted)
    connection = stack.connection
    async with connection.client("bench-stack") as client:
        database = client.get_database_client(connection.database)
        await _write_and_watch(database, live.next(writes), watchers, per_second)
    functions = registered_functions()
    return StackFigures(
        writes=writes,
        live={name: Freshness.of(watcher.delays) for name, watcher in watchers.items()},
        scheduled=scheduled_worst(functions),
        poll_delays=poll_delays(functions),
        peak_rss_bytes=peak_rss(stack.hosts[0]["pid"]),
        changes_processed=len(backlog) + writes,
    )


def scheduled_worst(functions: Sequence[FunctionSpec]) -> dict[str, float]:
    """Return, by view that a timer publishes, the seconds after which it shows a write at worst."""
    pauses = {name: longest_pause(trigger.schedule) for name, trigger in timers(functions).items()}
    found = {
        name: pauses[REFRESH_TIMER] + EXTRA[view.schedule]
        for name, view in VIEWS.items()
        if view.schedule is not Schedule.LIVE
    }
    apart = set(VIEW_CONTAINERS) - {view.container for view in VIEWS.values()}
    found |= dict.fromkeys(sorted(apart), pauses[REFRESH_TIMER] + HOUR)
    return found | {system_health.NAME: pauses[HEALTH_TIMER]}


def poll_delays(functions: Sequence[FunctionSpec]) -> float:
    """Return the seconds that the triggers between a source and a live view pause together."""
    by_container = {trigger.container: trigger.poll_delay for trigger in feeds(functions).values()}
    return by_container[USER_INTERACTIONS] + by_container[VIEW_STATE]


async def _write_and_watch(
    database: DatabaseProxy, documents: list[Document], watchers: Mapping[str, Watcher], per_second: float
) -> None:
    readers = {
        name: FeedReader(database.get_container_client(view.container)) for name, view in LIVE_VIEWS.items()
    }
    for reader in readers.values():
        while await reader.read(1_000):
            pass  # what the backlog left; from here on only news
    source = database.get_container_client(USER_INTERACTIONS)
    writing = asyncio.create_task(_write(source, documents, watchers, per_second))
    try:
        deadline = time.monotonic() + len(documents) / per_second + PATIENCE_SECONDS
        while not writing.done() or any(watcher.pending for watcher in watchers.values()):
            for name, reader in readers.items():
                for document in await reader.read(1_000):
                    if (seen := LIVE_VIEWS[name].seen(document)) is not None:
                        watchers[name].saw(*seen, time.monotonic())
            if time.monotonic() > deadline:
                missing = {name: watcher.pending for name, watcher in watchers.items() if watcher.pending}
                raise BenchError(f"of {len(documents)} writes never appeared: {missing}")
            await asyncio.sleep(WATCH_SECONDS)
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _write(
    source: ContainerProxy,
    documents: list[Document],
    watchers: Mapping[str, Watcher],
    per_second: float,
) -> None:
    started = time.monotonic()
    for number, document in enumerate(documents):
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
        await source.create_item(document)
        for name, watcher in watchers.items():
            watcher.wrote(LIVE_VIEWS[name].key_of(document), time.monotonic())


def peak_rss(pid: int) -> int | None:
    """Return the peak resident memory of a process in bytes, None if the kernel does not report it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None
