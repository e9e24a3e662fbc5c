"""How far the triggers are behind their feeds, measured from outside any host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from local.host.bindings import CosmosTrigger
from local.host.connections import Connections
from local.host.cosmos_source import CosmosSource, start_of
from local.host.feed import FeedPage, RangeSplitError, gather_all
from local.host.lease_store import utc_now
from local.host.leases import FeedRange, Lease, covers
from local.host.loading import load_functions
from local.host.settings import export_settings, load_app_settings, load_host_json

PARALLEL_READS = 8
"""Feeds read at the same time by one measurement."""

RangeEnd = tuple[FeedRange, int]
"""The feed range of a physical partition and the log sequence number that it had reached."""

FeedEnds = Mapping[str, tuple[RangeEnd, ...]]
"""Where the feeds ended at some moment, by function."""


@dataclass(frozen=True, slots=True)
class LeaseLag:
    """One lease's distance to the end of its feed."""

    token: str
    owner: str | None
    continuation: str | None
    pending: int
    """Estimate of the transactions that wait, from log sequence numbers; at least 1 if any waits."""
    drained: bool
    """Whether nothing waits, or nothing up to the given ends: exact at the time of the measurement."""


@dataclass(frozen=True, slots=True)
class FeedLag:
    """One function's distance to the end of the feed it is triggered by."""

    function: str
    database: str
    container: str
    leases: tuple[LeaseLag, ...]
    uncovered: tuple[FeedRange, ...]
    """Feed ranges for which there is no lease: no host has started this trigger yet, or a split is new."""

    @property
    def pending(self) -> int:
        """Estimate of the changes that wait in all leases."""
        return sum(lease.pending for lease in self.leases)

    @property
    def drained(self) -> bool:
        """Whether every feed range has a lease and nothing waits in any (up to the given ends).

        A lease advances only after its invocation has ended, so drained means processed.
        """
        return not self.uncovered and all(lease.drained for lease in self.leases)


class LagMeter:
    """Measures the lag of an app's triggers, as often as wanted, over one set of connections."""

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir.resolve()
        self._exit = AsyncExitStack()
        self._sources: list[CosmosSource] = []
        self._reading = asyncio.Semaphore(PARALLEL_READS)

    async def __aenter__(self) -> LagMeter:
        """Load the app as a host does and find its containers.

        Raises
        ------
        HostStartError
            What would keep a host from starting.
        """
        settings = load_app_settings(self._app_dir, os.environ)
        host_json = load_host_json(self._app_dir)
        export_settings(settings)
        functions = load_functions(self._app_dir, settings)
        async with AsyncExitStack() as opened:
            connections = await opened.enter_async_context(Connections(settings, host_json.user_agent_suffix))
            for spec in functions:
                if isinstance(spec.trigger, CosmosTrigger):
                    self._sources.append(
                        await CosmosSource.open(spec, connections, owner="", process="", create=False)
                    )
            self._exit = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    async def ends(self) -> FeedEnds:
        """Return where all feeds end now, for :meth:`measure`; it writes nothing.

        Raises
        ------
        azure.core.exceptions.AzureError
            The database does not answer.
        RangeSplitError
            A physical partition was split at this moment; ask again.
        """
        found = await gather_all(self._ends(source) for source in self._sources)
        return dict(zip((source.function for source in self._sources), found, strict=True))

    async def _ends(self, source: CosmosSource) -> tuple[RangeEnd, ...]:
        async def end(feed_range: FeedRange) -> RangeEnd:
            async with self._reading:
                return feed_range, await source.feed.end(feed_range)

        return tuple(await gather_all(end(found) for found in await source.feed.ranges()))

    async def measure(self, up_to: FeedEnds | None = None) -> list[FeedLag]:
        """Measure all triggers now; it writes nothing.

        Parameters
        ----------
        up_to
            Count as drained what has handled everything up to there, whatever was written since.

        Raises
        ------
        azure.core.exceptions.AzureError
            The database does not answer.
        """
        return await gather_all(self._measure(source, up_to) for source in self._sources)

    async def _measure(self, source: CosmosSource, up_to: FeedEnds | None) -> FeedLag:
        ranges = await source.feed.ranges()
        leases = await source.store.list()
        covered = [lease.feed_range for lease in leases]
        ends = None if up_to is None else up_to[source.function]
        lags = await gather_all(self._measure_lease(source, lease, ends) for lease in leases)
        return FeedLag(
            function=source.function,
            database=source.trigger.database,
            container=source.trigger.container,
            leases=tuple(lags),
            uncovered=tuple(found for found in ranges if not covers(covered, found)),
        )

    async def _measure_lease(
        self, source: CosmosSource, lease: Lease, ends: tuple[RangeEnd, ...] | None
    ) -> LeaseLag:
        trigger = source.trigger
        pending, drained = 0, True
        if lease.continuation is None and not trigger.start_from_beginning and not trigger.start_from_time:
            # It starts "now", and when that was is only known once a host has read it for the first time.
            drained = False
        else:
            start = start_of(trigger, utc_now())
            try:
                async with self._reading:
                    page = await source.feed.read(lease.feed_range, lease.continuation, start, 1)
                pending = pending_transactions(page)
                drained = not page.documents or _starts_behind(page, lease.feed_range, ends)
            except RangeSplitError:
                drained = False
        return LeaseLag(
            token=lease.token,
            owner=lease.owner,
            continuation=lease.continuation,
            pending=pending,
            drained=drained,
        )


def pending_transactions(page: FeedPage) -> int:
    """Estimate what waits from the first page behind a lease's position, as the .NET estimator does.

    It counts the physical partition's log sequence numbers from the first document that waits. Deletions and
    versions that were written over have numbers too; the items of a transactional batch share one.
    """
    last = page.documents[-1].get("_lsn") if page.documents else None
    if not isinstance(last, int) or page.first_lsn is None:
        return len(page.documents)
    return page.pending_after + last - page.first_lsn + 1


def _starts_behind(page: FeedPage, feed_range: FeedRange, ends: tuple[RangeEnd, ...] | None) -> bool:
    """Say whether all of a page was written after the given ends.

    The parts of a split partition go on counting where it stopped, so that its end holds for each of them.
    """
    if ends is None or page.first_lsn is None:
        return False
    numbers = [lsn for found, lsn in ends if found.intersection(feed_range) is not None]
    return bool(numbers) and page.first_lsn > max(numbers)


async def measure_lag(app_dir: Path) -> list[FeedLag]:
    """Measure the lag of all Cosmos DB triggers of an app once.

    Raises
    ------
    HostStartError
        What would keep a host from starting.
    """
    async with LagMeter(app_dir) as meter:
        return await meter.measure()
