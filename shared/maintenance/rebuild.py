"""Rebuild the state of views from the ledger alone, while the feeds continue.

A piece recounts one month of one shard, or publishes the documents of some people. Its position is committed
in ``fleet_state`` after it: a rebuild can be resumed, and several instances can share it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates import AGGREGATES, person
from shared.aggregates.base import PartialKey
from shared.builds.graph import contents_of
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched, for_each
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.retries import REBUILD_PASSES
from shared.errors import ConflictError, RefusedError, TooLargeError
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.reader import Selection, StateReader, position_after
from shared.ledger.recount import Recount, beginnings, month_in, pages_of_month, partials_of_month
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId, all_shards
from shared.ledger.state import Loaded, Write
from shared.ledger.store import ShardStore
from shared.maintenance.needed_facts import is_outdated, needed_facts
from shared.maintenance.rebuild_walk import Stage, Walk
from shared.publishing.people_rounds import KEYS_PER_PIECE
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import REMEMBERED_SECONDS, ViewReadiness
from shared.settings import Settings
from shared.units import Day, Month, month_after, to_millis
from shared.views import VIEWS, view_named

WRITES_PER_TRANSACTION = 50
MAX_CONCURRENT_SHARDS = 4

LAG_PASSES = 3
"""Readings of a month that are repeated if the replica seems to lag. After them a page counts as lost."""

EARLIEST = Month("197001")
"""Where the count of a shard begins: before every month."""

REPLACED = "Another rebuild has begun in place of this one."

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RebuildReport:
    """The result of a rebuild."""

    views: list[str]
    shards: int = 0
    """Recounted shards."""
    pages: int = 0
    partials: int = 0
    """Those of days, texts and people's months. Records of people are not recounted."""
    corrected: int = 0
    """Partials that differed from the ledger, or were missing."""
    unfinished: list[ShardId] = field(default_factory=list)
    """Shards that the feeds changed faster than the rebuild could read. Run it again at lower load."""
    outdated: list[Day] = field(default_factory=list)
    """Days with facts that lack a field that the views need. Their figures of it are null or of a part of the
    day, until a new generation. A resumed rebuild has only those of the months that it counts."""
    published: int = 0
    poisoned: int = 0
    cost: Cost = field(default_factory=Cost)


Progress = Callable[[RebuildReport, int], None]
"""Called with the report so far and the total number of shards."""

Piece = Callable[[ShardId, str, RebuildReport], Awaitable[str | None]]
"""Does the piece at a position of a shard, and returns the next position, None at the end."""


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
        progress: ContainerProxy,
        readiness: ViewReadiness,
        publisher: Publisher,
        settings: Settings,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
        pause: float = 2 * REMEMBERED_SECONDS,
    ) -> None:
        self._reader = StateReader(state)
        self._store = ShardStore(state, cache_bytes=0)
        self._progress = ControlDocument(progress, Scope.BUILDS, f"rebuild-{settings.generation}")
        self._shards = all_shards(shards=settings.shards, generation=settings.generation)
        self._readiness = readiness
        self._publisher = publisher
        self._settings = settings
        self._retention = retention
        self._clock = clock
        self._pause = pause

    async def rebuild(
        self, views: Sequence[str], on_progress: Progress = lambda *_: None, *, resume: bool = False
    ) -> RebuildReport:
        """Rebuild and publish views. Rebuilds all views if none is named.

        A run may be interrupted, and repeated or resumed. The views are held back until all shards are
        recounted; until then readers have the earlier documents. A run that fails while it publishes leaves
        the views marked as unpublished, until another run ends.

        Parameters
        ----------
        resume
            Continue the rebuild that has begun, of the same views: one that was broken off, or that another
            instance works on. Otherwise a rebuild begins, and ends another that is at work.

        Raises
        ------
        UnknownViewError
            There is no such view. Nothing was done.
        RefusedError
            There is no rebuild to resume, or another one has begun meanwhile.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        for view in views:
            view_named(view)
        report = RebuildReport(list(views) or list(VIEWS))
        with measured_cost() as report.cost:
            walk = await (self._resumed() if resume else self._begun(report.views))
            report.views = list(walk.views)
            walk = await self._through(walk, Stage.COUNT, self._count_next, report, on_progress)
            if not report.unfinished:
                walk = await self._counted(walk, report)
                walk = await self._through(walk, Stage.PUBLISH, self._publish_next, report, on_progress)
                await self._readiness.mark_published(report.views)
                await self._update(lambda known: None if known == walk else known)
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

    async def _begun(self, views: Sequence[str]) -> Walk:
        """Hold views back, and begin to rebuild them in place of a rebuild that has begun."""
        await self._readiness.hold_back(views)
        await asyncio.sleep(self._pause)  # until no instance relies any more on what it read before
        left = dict.fromkeys(self._shards, "")
        number = to_millis(self._clock.now())

        def begin(known: Walk | None) -> Walk:
            return Walk(max(number, known.number + 1 if known else 0), tuple(views), Stage.COUNT, left)

        begun = await self._update(begin)
        assert begun is not None  # noqa: S101  it was stored by this update
        return begun

    async def _resumed(self) -> Walk:
        stored = await self._progress.read()
        walk = _decode(stored)
        if walk is None:
            raise RefusedError("There is no rebuild to resume. Begin one without --resume.")
        if walk.stage is Stage.COUNT:
            await self._readiness.hold_back(walk.views)
            await asyncio.sleep(self._pause)
        return walk

    async def _through(
        self, walk: Walk, stage: Stage, do: Piece, report: RebuildReport, on_progress: Progress
    ) -> Walk:
        """Do the pieces that are left of a stage; return the walk as it is stored then."""
        committing = asyncio.Lock()  # so that the shards of one process do not conflict
        latest = walk

        async def one(shard: ShardId) -> None:
            nonlocal latest
            while latest.stage is stage and shard in latest.left:
                position = await do(shard, latest.left[shard], report)
                if shard in report.unfinished:
                    break
                async with committing:
                    latest = await self._commit_position(walk, shard, position)
            if stage is Stage.COUNT:
                report.shards = len(self._shards) - len(latest.left if latest.stage is stage else ())
                on_progress(report, len(self._shards))

        if walk.stage is stage:
            left = list(walk.left)
            random.shuffle(left)  # so that instances begin with different ones
            await for_each(left, one, max_concurrency=MAX_CONCURRENT_SHARDS)
        return latest

    async def _commit_position(self, walk: Walk, shard: ShardId, position: str | None) -> Walk:
        """Store a shard's position; return the walk as it is stored."""
        stored = await self._update(lambda known: known and known.advanced(walk, shard, position))
        return _same(walk, stored)

    async def _counted(self, walk: Walk, report: RebuildReport) -> Walk:
        """Release the views, publish what all shards share, and list the shards with people."""
        report.shards = len(self._shards)
        if walk.stage is not Stage.COUNT:
            return walk
        await self._readiness.mark_counted(report.views)
        await asyncio.sleep(self._pause)  # until none holds back what changes while this publishes
        await self._publish(report, await self._shared())
        people = Selection.beginning(person.NAME)
        shards = await self._reader.shards_of(self._settings.generation, people)
        left = dict.fromkeys(shards, people.first)
        return _same(walk, await self._update(lambda known: known and known.published_from(walk, left)))

    async def _count_next(self, shard: ShardId, position: str, report: RebuildReport) -> str | None:
        """Recount the next month of a shard; return the month after it, None if there are no more."""
        stretches = beginnings(Month(position) if position else EARLIEST)
        ids = [await self._reader.first_id(shard, *stretch) for stretch in stretches]
        months = [month_in(each) for each in ids if each is not None]
        if not months:
            return None
        month, goes_on = min(months), True
        while goes_on and shard not in report.unfinished:
            goes_on = await self._count_month(shard, month, report)
            month = month_after(month, 1)
        return month

    async def _count_month(self, shard: ShardId, month: Month, report: RebuildReport) -> bool:
        """Recount one month of a shard; return whether its pages count in the next month as well."""
        pending: set[PartialKey] | None = None
        for attempt in range(REBUILD_PASSES):
            recount = await self._recount(shard, month, report)
            if recount.is_behind and attempt < LAG_PASSES:
                await asyncio.sleep(self._pause)
                continue
            if pending is None:
                pending = recount.targets()
                report.partials += sum(target.aggregate != person.NAME for target in pending)
            writes = recount.writes(pending)
            pending = await self._commit(shard, writes)
            report.corrected += len(writes) - len(pending)
            if not pending:
                return recount.reaches_next_month
        report.unfinished.append(shard)
        return False

    async def _recount(self, shard: ShardId, month: Month, report: RebuildReport) -> Recount:
        # Partials are read first, so that the etag of one that changes afterwards stops the commit.
        stored = await self._partials(shard, month)
        recount = Recount(shard, month, stored, to_millis(self._clock.now()), self._retention)
        needed = needed_facts(VIEWS[view] for view in report.views)
        for stretch in pages_of_month(month):
            async for item in self._reader.documents_between(shard, *stretch):
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

    async def _partials(self, shard: ShardId, month: Month) -> dict[PartialKey, Loaded]:
        """Return a shard's partials of a month, and of the people who were active in it.

        Reads ``person`` last, so that no derived state is newer than it.
        """
        found = {}
        for stretch in partials_of_month(month):
            async for item in self._reader.documents_between(shard, *stretch):
                partial = Partial.decode(item)
                found[partial.target] = Loaded(partial, item["_etag"])
        async for item in self._reader.persons_of_shard(shard):
            if month in item["state"].get("parts", ()):
                partial = Partial.decode(item)
                found[partial.target] = Loaded(partial, item["_etag"])
        return found

    async def _shared(self) -> list[PartialKey]:
        """Return all keys of which every shard may have a share."""
        found = []
        for name, aggregate in AGGREGATES.items():
            if aggregate.owner_of("") is None:
                selection = Selection.beginning(f"{name}|")
                keys = await self._reader.keys_of(self._settings.generation, selection)
                found += [PartialKey(name, key) for key in sorted(keys)]
        return found

    async def _publish_next(self, shard: ShardId, position: str, report: RebuildReport) -> str | None:
        """Publish the documents of a shard's next people; return the position after them."""
        selection = replace(Selection.beginning(person.NAME), first=position)
        rows = await self._reader.selected_of_shard(shard, selection, KEYS_PER_PIECE)
        await self._publish(report, [row.target for row in rows])
        return position_after(rows[-1].id) if len(rows) == KEYS_PER_PIECE else None

    async def _publish(self, report: RebuildReport, targets: Sequence[PartialKey]) -> None:
        documents = dict.fromkeys(
            DocumentKey(view, key)
            for target in targets
            for each in (target, *contents_of(target))
            for view in report.views
            for key in VIEWS[view].keys_affected_by(each)
        )
        if documents:
            published = await self._publisher.publish_again(documents)
            report.published += published.published
            report.poisoned += len(published.poisoned)

    async def _update(self, change: Callable[[Walk | None], Walk | None]) -> Walk | None:
        """Change the stored walk; return it. Other instances' changes are not lost."""

        def apply(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            known = _decode(stored)
            changed = change(known)
            if stored is not None and changed == known:
                return None
            return {"walk": None if changed is None else changed.encode()}

        return _decode(await self._progress.update(apply))


def _same(walk: Walk, stored: Walk | None) -> Walk:
    """Return a walk as it is stored now. Once another instance has done what was left, nothing is stored.

    Raises
    ------
    RefusedError
        Another rebuild has taken its place.
    """
    if stored is None:
        return replace(walk, stage=Stage.PUBLISH, left={})
    if stored.number != walk.number:
        raise RefusedError(REPLACED)
    return stored


def _decode(stored: Mapping[str, Any] | None) -> Walk | None:
    return None if stored is None or stored["walk"] is None else Walk.decode(stored["walk"])
