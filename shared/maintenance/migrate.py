"""Rewrite the documents of a container in a newer schema version.

A migration reads the change feed of the container, page by page of each feed range, and commits the position
after each page. So it can be interrupted anywhere and run again, and several instances may share it. What it
writes comes at the end of the same feed, and is current there. Every document is replaced under its etag.

The fleet's own triggers receive the rewritten documents as changes. Their facts are the same, so no figure
changes (:mod:`shared.maintenance.migrate_document`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog
from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosHttpResponseError,
)

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.containers import FLEET_STATE
from shared.containers import container as catalogued
from shared.cosmos.change_feed import RangeSplitError, physical_ranges, read_page
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.items import (
    create_in_partition,
    delete_under_etag,
    find_item,
    partition_of,
    replace_under_etag,
)
from shared.cosmos.retries import retrying
from shared.cosmos.throttle import Throttle
from shared.errors import ConflictError, MigrationError
from shared.ingest.sources import SOURCES
from shared.maintenance.cursors import CLOCK_SKEW_SECONDS, Cursor, Cursors
from shared.maintenance.migrate_document import (
    SYSTEM_FIELDS,
    Ageing,
    Current,
    Ending,
    Figures,
    Left,
    Rewrite,
    decide,
    reference_figures,
    require_version,
)
from shared.maintenance.migrate_walk import MigrationWalk, Tally
from shared.pricing.price_book import PriceBook

PAGE_SIZE = 100
"""Documents of one piece at most. A piece that is cut off is read again, and its rewritten documents are
current then."""

MAX_CONCURRENT_WRITES = 8

MAX_EXAMPLES = 20
"""Documents that stay as they are, and that a report names."""

REFUSED_STATUSES = (400, 413)
"""The service's answers to a document that it does not store."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class MigrationReport:
    """How far a migration has come, from its beginning on, also if it was interrupted."""

    container: str
    to: str
    dry_run: bool = False
    finished: bool = False
    """False if the time was up. The next run continues."""
    tally: Tally = field(default_factory=Tally)
    ranges: int = 0
    """Feed ranges of the container."""
    ranges_left: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Field and id of some documents that this run left as they are: for an operator's terminal, not for
    logs."""
    cost: Cost = field(default_factory=Cost)


Progress = Callable[[MigrationReport], None]
"""Called after each page, with the report so far."""


@dataclass(slots=True)
class _Run:
    """One process at work on a migration."""

    name: str
    report: MigrationReport
    walk: MigrationWalk
    throttle: Throttle
    figures: Figures
    beyond: dict[str, int] = field(default_factory=dict)
    """By the lower bound of a range, when this run met the first document that was written after the walk
    began. What was edited before, and moved in the feed, stands before what is written after this time."""


class Migrator:
    """Brings the documents of a container to a newer schema version.

    Parameters
    ----------
    reader
        The database, through a client that no trigger uses: each run makes it read the physical partitions.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        reader: DatabaseProxy,
        prices: PriceBook,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._database = database
        self._reader = reader
        self._prices = prices
        self._clock = clock

    async def migrate(
        self,
        name: str,
        to: str,
        *,
        dry_run: bool = False,
        ru_per_second: float | None = None,
        budget_seconds: float | None = None,
        on_progress: Progress = lambda _: None,
    ) -> MigrationReport:
        """Begin or continue a migration.

        A migration of the container to the same version that is not finished is continued, any other one
        takes the place of the last.

        Parameters
        ----------
        dry_run
            Count the documents by version, and write nothing.
        ru_per_second
            Request units that this process spends per second; a tenth of the container's maximum if None.
        budget_seconds
            Seconds after which no further page is begun; None for no limit.

        Raises
        ------
        MigrationError
            The container's documents have no versions, or there is no such version.
        CosmosHttpResponseError, ConflictError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. What was committed stays; the next run continues.
        """
        require_version(name, to)
        rate = catalogued(name).autoscale_max / 10 if ru_per_second is None else ru_per_second
        report = MigrationReport(name, to, dry_run)
        deadline = None if budget_seconds is None else self._clock.monotonic() + budget_seconds
        with measured_cost() as report.cost:
            walk = await self._begin(name, to, dry_run=dry_run)
            run = _Run(name, report, walk, Throttle(rate, self._clock), await self._figures(name))
            _tell(run)
            while (unread := run.walk.unread()) and (deadline is None or self._clock.monotonic() < deadline):
                await self._piece(run, random.choice(unread))
                _tell(run)
                on_progress(report)
        if not dry_run:
            _log.info(
                "documents_migrated",
                source=name,
                schema_version=to,
                finished=report.finished,
                migrated=report.tally.migrated,
                left=report.tally.left.total(),
                **report.cost.log_fields(),
            )
        return report

    async def _figures(self, name: str) -> Figures:
        source = SOURCES.get(name)
        if source is None:
            return partial(reference_figures, name)
        prices = await self._prices.table()

        def of_source(raw: Mapping[str, Any]) -> object:
            document, fact = source.read(raw, prices)
            return document.id, document.user_id, fact

        return of_source

    async def _begin(self, name: str, to: str, *, dry_run: bool) -> MigrationWalk:
        """Return the walk to continue, or a new one, with one cursor per physical partition as it is now."""
        container = self._reader.get_container_client(name)
        rid = str((await container.read(response_hook=record_charge))["_rid"])
        ranges = await physical_ranges(container)
        now = int(self._clock.timestamp())
        if dry_run:
            return MigrationWalk(to, Cursors.from_beginning(rid, ranges, now, after=None))

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            known = MigrationWalk.decode(stored)
            if known is None or known.finished or (known.to, known.cursors.rid) != (to, rid):
                after = None if known is None else known.cursors
                return MigrationWalk(to, Cursors.from_beginning(rid, ranges, now, after=after)).encode()
            aligned = known.aligned(ranges, now)
            return None if aligned == known else aligned.encode()

        walk = MigrationWalk.decode(await self._document(name).update(change))
        assert walk is not None  # noqa: S101  it was encoded above
        return walk

    async def _piece(self, run: _Run, cursor: Cursor) -> None:
        """Migrate the documents of one page, and commit its position."""
        container, rid = self._reader.get_container_client(run.name), run.walk.cursors.rid
        await run.throttle.wait()
        try:
            with measured_cost() as cost:
                page = await read_page(container, rid, cursor.range, cursor.position, limit=PAGE_SIZE)
        except RangeSplitError:
            run.walk = await self._realigned(run)
            return
        except CosmosHttpResponseError as error:
            if error.status_code != 400 or cursor.position is None:
                raise
            await self._commit(run, lambda walk: replace(walk, cursors=walk.cursors.without(cursor)))
            return
        finally:
            run.throttle.spend(cost.request_units)
        tally = Tally()
        await for_each(
            page.documents,
            partial(self._one, run, tally),
            max_concurrency=MAX_CONCURRENT_WRITES,
        )
        claim = replace(cursor, position=page.position)
        ends = self._is_end(run, cursor, page.documents)
        await self._commit(run, lambda walk: walk.advanced(claim, tally, to_the_end=ends))

    def _is_end(self, run: _Run, cursor: Cursor, documents: Any) -> bool:
        """Return whether a page is the last one of its range that may hold an older version."""
        if not documents:
            return True
        newest = max(document["_ts"] for document in documents)
        if newest > (run.walk.cursors.began or 0) + CLOCK_SKEW_SECONDS:
            met = run.beyond.setdefault(cursor.range.low, int(self._clock.timestamp()))
            return bool(newest > met + CLOCK_SKEW_SECONDS)
        return False

    async def _one(self, run: _Run, tally: Tally, raw: Mapping[str, Any]) -> None:
        """Migrate one document. If it was changed meanwhile, the version that replaced it is migrated."""
        decision = self._decide(run, raw)
        version = decision.version
        if version is not None and (not isinstance(decision, Current) or self._was_there(run, raw)):
            tally.versions[version] += 1
        if isinstance(decision, Rewrite) and not run.report.dry_run:
            decision = await retrying(ConflictError)(self._rewrite, run, tally, [raw])
        elif isinstance(decision, Rewrite):
            tally.migrated += 1
            tally.moved += decision.moves
        if isinstance(decision, Left):
            tally.left[decision.field] += 1
            if len(run.report.examples) < MAX_EXAMPLES:
                run.report.examples.append((decision.field, str(raw["id"])))
        tally.ending += isinstance(decision, Ending)
        tally.ageing += isinstance(decision, Ageing)

    def _was_there(self, run: _Run, raw: Mapping[str, Any]) -> bool:
        """Return whether a document was not written after the walk began: so what the walk wrote is not."""
        return run.report.dry_run or bool(raw["_ts"] < (run.walk.cursors.began or 0))

    def _decide(self, run: _Run, raw: Mapping[str, Any]) -> Any:
        return decide(run.name, raw, run.walk.to, now=self._clock.timestamp(), figures=run.figures)

    async def _rewrite(self, run: _Run, tally: Tally, current: list[Mapping[str, Any]]) -> Any:
        """Write a document; return what was decided in the end.

        Parameters
        ----------
        current
            The document as it was read last.

        Raises
        ------
        ConflictError
            It was changed meanwhile, and was read again.
        """
        raw = current[-1]
        await run.throttle.wait()  # first, because the decision says how long the document is still to live
        decision = self._decide(run, raw)
        if not isinstance(decision, Rewrite):
            return decision
        partition = partition_of(raw, _key_of(run.name))
        container = self._database.get_container_client(run.name)
        try:
            with measured_cost() as cost:
                if decision.moves and not await self._copied(decision):
                    return Left(decision.version, _key_of(decision.container))
                if decision.moves:
                    written = await delete_under_etag(container, raw["id"], partition, raw["_etag"])
                else:
                    written = await replace_under_etag(container, decision.body, partition, raw["_etag"])
        except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
            if error.status_code not in REFUSED_STATUSES:
                raise
            return Left(decision.version, "document")
        finally:
            run.throttle.spend(cost.request_units)
        if written:
            tally.migrated += 1
            tally.moved += decision.moves
            return decision
        again = await find_item(container, raw["id"], partition)
        if again is None:
            return decision  # maybe by this run, whose answer was lost: what was copied stays
        if decision.moves and decision.container == run.name:  # it may not delete in another one
            await self._take_back(decision)
        current.append(again)
        raise ConflictError(f"a document of {run.name} was changed while it was migrated")

    async def _copied(self, decision: Rewrite) -> bool:
        """Create a document where it belongs; return False if another document is there."""
        container = self._database.get_container_client(decision.container)
        partition = partition_of(decision.body, _key_of(decision.container))
        if await create_in_partition(container, decision.body, partition):
            return True
        there = await find_item(container, decision.body["id"], partition)
        return there is not None and _own(there) == _own(decision.body)

    async def _take_back(self, decision: Rewrite) -> None:
        """Delete the copy of a document that was edited before it was deleted, unless the copy was too."""
        container = self._database.get_container_client(decision.container)
        partition = partition_of(decision.body, _key_of(decision.container))
        there = await find_item(container, decision.body["id"], partition)
        if there is not None and _own(there) == _own(decision.body):
            await delete_under_etag(container, there["id"], partition, there["_etag"])

    async def _realigned(self, run: _Run) -> MigrationWalk:
        ranges = await physical_ranges(self._reader.get_container_client(run.name))
        now = int(self._clock.timestamp())
        await self._commit(run, lambda walk: walk.aligned(ranges, now))
        return run.walk

    async def _commit(self, run: _Run, change: Callable[[MigrationWalk], MigrationWalk]) -> None:
        """Change the stored walk. What other instances have stored of it stays; another walk stays whole."""
        if run.report.dry_run:
            run.walk = change(run.walk)
            return

        def apply(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            known = MigrationWalk.decode(stored)
            if known is None:
                return change(run.walk).encode()
            return change(known).encode() if known.is_same(run.walk) else None

        stored = MigrationWalk.decode(await self._document(run.name).update(apply))
        if stored is None or not stored.is_same(run.walk):
            raise MigrationError(
                f"Another migration of {run.name} has begun. What this one rewrote stays rewritten."
            )
        run.walk = stored

    def _document(self, name: str) -> ControlDocument:
        return ControlDocument(self._database.get_container_client(FLEET_STATE), Scope.MIGRATIONS, name)


def _tell(run: _Run) -> None:
    report, walk = run.report, run.walk
    report.tally, report.finished = walk.tally, walk.finished
    report.ranges, report.ranges_left = len(walk.cursors.cursors), len(walk.unread())


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the content pipeline wrote of a document: not the usage that the fleet writes daily."""
    return {name: value for name, value in document.items() if name not in {*SYSTEM_FIELDS, "usage_metrics"}}


def _key_of(name: str) -> str:
    return catalogued(name).partition_key.removeprefix("/")
