"""How far the triggers are behind their feeds, measured from outside any host."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from local.host.bindings import CosmosTrigger
from local.host.connections import Connections
from local.host.cosmos_source import CosmosSource, start_of
from local.host.feed import RangeSplitError
from local.host.lease_store import utc_now
from local.host.leases import FeedRange, Lease, covers
from local.host.loading import load_functions
from local.host.settings import export_settings, load_app_settings, load_host_json

PARALLEL_READS = 8
"""Feeds read at the same time by one measurement."""


@dataclass(frozen=True, slots=True)
class LeaseLag:
    """One lease's distance to the end of its feed."""

    token: str
    owner: str | None
    continuation: str | None
    pending: int
    """Estimate of the changes that wait, from log sequence numbers; at least 1 if any waits."""
    drained: bool
    """Whether nothing waits: exact at the time of the measurement."""


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
        """Whether every feed range has a lease and nothing waits in any.

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

    async def measure(self) -> list[FeedLag]:
        """Measure all triggers now; it writes nothing.

        Raises
        ------
        azure.core.exceptions.AzureError
            The database does not answer.
        """
        return list(await asyncio.gather(*(self._measure(source) for source in self._sources)))

    async def _measure(self, source: CosmosSource) -> FeedLag:
        ranges = await source.feed.ranges()
        leases = await source.store.list()
        covered = [lease.feed_range for lease in leases]
        lags = await asyncio.gather(*(self._measure_lease(source, lease) for lease in leases))
        return FeedLag(
            function=source.function,
            database=source.trigger.database,
            container=source.trigger.container,
            leases=tuple(lags),
            uncovered=tuple(found for found in ranges if not covers(covered, found)),
        )

    async def _measure_lease(self, source: CosmosSource, lease: Lease) -> LeaseLag:
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
                if page.documents:
                    pending, drained = page.pending_after + len(page.documents), False
            except RangeSplitError:
                drained = False
        return LeaseLag(
            token=lease.token,
            owner=lease.owner,
            continuation=lease.continuation,
            pending=pending,
            drained=drained,
        )


async def measure_lag(app_dir: Path) -> list[FeedLag]:
    """Measure the lag of all Cosmos DB triggers of an app once.

    Raises
    ------
    HostStartError
        What would keep a host from starting.
    """
    async with LagMeter(app_dir) as meter:
        return await meter.measure()
