"""Rebuild the state of views from the ledger alone, shard by shard, while the feeds continue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.builds.graph import contents_of
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched, for_each
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import REBUILD_PASSES
from shared.errors import ConflictError, TooLargeError, UnknownViewError
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.reader import StateReader
from shared.ledger.recount import Recount
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId, all_shards
from shared.ledger.state import Loaded, Write
from shared.ledger.store import ShardStore
from shared.maintenance.needed_facts import is_outdated, needed_facts
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import REMEMBERED_SECONDS, ViewReadiness
from shared.settings import Settings
from shared.units import Day, to_millis
from shared.views import VIEWS

WRITES_PER_TRANSACTION = 50
MAX_CONCURRENT_SHARDS = 4

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RebuildReport:
    """The result of a rebuild."""

    views: list[str]
    shards: int = 0
    """Recounted shards."""
    pages: int = 0
    partials: int = 0
    corrected: int = 0
    """Partials that differed from the ledger, or were missing."""
    unfinished: list[ShardId] = field(default_factory=list)
    """Shards that the feeds changed faster than the rebuild could read. Run it again at lower load."""
    outdated: list[Day] = field(default_factory=list)
    """Days with facts that lack a field that the views need. Their figures of it are null or of a part of the
    day, until a new generation."""
    published: int = 0
    poisoned: int = 0
    cost: Cost = field(default_factory=Cost)


Progress = Callable[[RebuildReport, int], None]
"""Called with the report so far and the total number of shards."""


class Rebuilder:
    """Recomputes partials, and holds the views back until it is done.

    Correct under concurrent changes: a partial is written only if it has not changed since before the ledger
    was read, and before the people that it is derived from were read. The days on which people were active
    (``person``) are not recounted, because they outlive the ledger.
    """

    def __init__(
        self,
        *,
        state: ContainerProxy,
        readiness: ViewReadiness,
        publisher: Publisher,
        settings: Settings,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
        pause: float = 2 * REMEMBERED_SECONDS,
    ) -> None:
        self._reader = StateReader(state)
        self._store = ShardStore(state, cache_bytes=0)
        self._readiness = readiness
        self._publisher = publisher
        self._settings = settings
        self._retention = retention
        self._clock = clock
        self._pause = pause

    async def rebuild(self, views: Sequence[str], on_progress: Progress = lambda *_: None) -> RebuildReport:
        """Rebuild and publish views. Rebuilds all views if none is named.

        A run may be interrupted and repeated at any time. The views are held back until all shards are
        recounted; until then readers have the earlier documents. A run that fails while it publishes leaves
        the views marked as unpublished, until another run ends.

        Raises
        ------
        UnknownViewError
            There is no such view. Nothing was done.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        for view in views:
            if view not in VIEWS:
                raise UnknownViewError(f"{view!r} is not a view: {', '.join(VIEWS)}")
        report = RebuildReport(list(views) or list(VIEWS))
        shards = all_shards(shards=self._settings.shards, generation=self._settings.generation)

        async def one(shard: ShardId) -> None:
            await self._rebuild_shard(shard, report)
            on_progress(report, len(shards))

        with measured_cost() as report.cost:
            await self._readiness.hold_back(report.views)
            await asyncio.sleep(self._pause)  # until no instance relies any more on what it read before
            await for_each(shards, one, max_concurrency=MAX_CONCURRENT_SHARDS)
            if not report.unfinished:
                await self._readiness.mark_counted(report.views)
                await asyncio.sleep(self._pause)  # until none holds back what changes while this publishes
                await self._publish(report)
                await self._readiness.mark_published(report.views)
        _log.info(
            "views_rebuilt",
            views=report.views,
            shards=report.shards,
            unfinished=len(report.unfinished),
            outdated_days=len(report.outdated),
            corrected=report.corrected,
            published=report.published,
            **report.cost.log_fields(),
        )
        return report

    async def _rebuild_shard(self, shard: ShardId, report: RebuildReport) -> None:
        pending: set[PartialKey] | None = None
        for _ in range(REBUILD_PASSES):
            recount = await self._recount(shard, report)
            if pending is None:
                pending = recount.targets()
                report.partials += len(pending)
            writes = recount.writes(pending)
            pending = await self._commit(shard, writes)
            report.corrected += len(writes) - len(pending)
            if not pending:
                report.shards += 1
                return
        report.unfinished.append(shard)

    async def _recount(self, shard: ShardId, report: RebuildReport) -> Recount:
        # Partials are read first, so that the etag of one that changes afterwards stops the commit.
        stored = await self._partials(shard)
        recount = Recount(shard, stored, to_millis(self._clock.now()), self._retention)
        needed = needed_facts(VIEWS[view] for view in report.views)
        async for item in self._reader.pages_of_shard(shard):
            report.pages += 1
            page = Page.decode(item)
            if is_outdated(page, needed) and (day := Day(page.hour[:10])) not in report.outdated:
                report.outdated.append(day)
            recount.add(page)
            await asyncio.sleep(0)
        recount.derive()
        return recount

    async def _commit(self, shard: ShardId, writes: Sequence[Write]) -> set[PartialKey]:
        """Write partials; return those that another writer changed in the meantime."""
        failed: set[PartialKey] = set()
        for batch in batched(writes, WRITES_PER_TRANSACTION):
            failed |= await self._commit_batch(shard, batch)
        return failed

    async def _commit_batch(self, shard: ShardId, writes: Sequence[Write]) -> set[PartialKey]:
        try:
            await self._store.commit(shard, writes)
        except (ConflictError, TooLargeError) as error:
            if len(writes) == 1:
                if isinstance(error, TooLargeError):
                    raise
                return {write.document.target for write in writes if isinstance(write.document, Partial)}
            middle = len(writes) // 2
            return {
                target
                for half in (writes[:middle], writes[middle:])
                for target in await self._commit_batch(shard, half)
            }
        return set()

    async def _partials(self, shard: ShardId) -> dict[PartialKey, Loaded]:
        """Return a shard's partials. Reads ``person`` last, so that no derived state is newer than it."""
        found = {}
        for rows in (self._reader.partials_of_shard(shard), self._reader.persons_of_shard(shard)):
            async for item in rows:
                if item["aggregate"] in AGGREGATES:
                    partial = Partial.decode(item)
                    found[partial.target] = Loaded(partial, item["_etag"])
        return found

    async def _publish(self, report: RebuildReport) -> None:
        documents: dict[DocumentKey, None] = {}
        async for target in self._reader.all_keys(self._settings.generation):
            for view in report.views:
                for each in (target, *contents_of(target)):
                    documents |= dict.fromkeys(
                        DocumentKey(view, key) for key in VIEWS[view].keys_affected_by(each)
                    )
        published = await self._publisher.publish_again(documents)
        report.published += published.published
        report.poisoned += len(published.poisoned)
