"""The auditor: reads the feeds with its own cursors, some minutes behind, and counts lost documents.

After an invocation that failed without a retry policy, the platform advances the trigger's lease and the
batch is lost. The auditor passes the same documents to the same fold. The ledger skips counted documents.
Lost documents are counted and reported as repaired.

An audit goes in pieces: one page of one feed range, after which the cursor of that range is committed.
Several instances may audit at once. Each begins with another range.

A feed is caught up when everything older than the horizon was seen: the ranges that one run has read beyond
the horizon have all keys. Partitions that are split or merged meanwhile do not change that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import VIEW_STATE
from shared.cosmos.change_feed import (
    WHOLE_FEED,
    RangeSplitError,
    physical_ranges,
    read_page,
)
from shared.cosmos.charges import measured_cost, record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.retries import RUN_SECONDS
from shared.ingest.batch import Ingest
from shared.ingest.sources import SOURCES
from shared.ledger.generations import Generation, Generations
from shared.ledger.state_mark import MARK, StateMark
from shared.maintenance.audit_run import AuditReport, AuditRun
from shared.maintenance.cursors import Cursor, Cursors
from shared.publishing.publisher import Publisher
from shared.settings import Settings

STATE_SECONDS = 5.0
"""Time of a run that the sources leave to ``view_state``, which is last."""

_log = structlog.get_logger(__name__)


class Auditor:
    """Audits every source feed, and the feed of ``view_state`` for missed publications.

    Parameters
    ----------
    reader
        The database, through a client that nothing else uses. Each run makes the client read the physical
        partitions again, for all containers.
    clock
        Writes before now minus the delay are audited.
    """

    def __init__(
        self,
        *,
        reader: DatabaseProxy,
        cursors: ContainerProxy,
        ingest: Ingest,
        publisher: Publisher,
        generations: Generations,
        mark: StateMark,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = reader
        self._mark = mark
        self._cursors = cursors
        self._ingest = ingest
        self._publisher = publisher
        self._generations = generations
        self._generation = settings.generation
        self._delay = settings.audit_delay_seconds
        self._clock = clock

    async def audit_all(
        self, *, delay_seconds: int | None = None, from_beginning: bool = False
    ) -> list[AuditReport]:
        """Audit every feed, sources first; return one report per feed.

        A generation is complete when all sources are audited up to a moment after its beginning. Before that
        nothing is published. ``view_state`` is audited afterwards, from its beginning.

        Parameters
        ----------
        delay_seconds
            Skip writes of the last ``delay_seconds`` seconds. The default is the setting.
        from_beginning
            Ignore the cursors and read the feeds from the beginning.

        Raises
        ------
        SettingsError
            The settings contradict the recorded generation, or ``view_state`` was deleted or restored.
        Exception
            The first error that made the audit of a feed fail. The other feeds were audited.
        """
        generation = await self._generations.begin()
        await self._mark.check()
        delay = self._delay if delay_seconds is None else delay_seconds
        began = int(self._clock.timestamp())
        deadline = self._clock.monotonic() + RUN_SECONDS
        reports: list[AuditReport] = []
        failures: list[Exception] = []
        # In another order each time: a source with more to do than a run can keeps none of the others back.
        for source in random.sample(list(SOURCES), len(SOURCES)):
            with _collecting(failures, source):
                until = deadline - STATE_SECONDS
                reports.append(
                    await self.audit(
                        source, delay_seconds=delay, deadline=until, from_beginning=from_beginning
                    )
                )
        reports.sort(key=lambda report: list(SOURCES).index(report.feed))
        with _collecting(failures, VIEW_STATE):
            if await self._may_publish(generation, began - delay, reports):
                state = await self.audit(
                    VIEW_STATE, delay_seconds=delay, deadline=deadline, from_beginning=from_beginning
                )
            else:
                state = _held_back(generation, delay, began, reports)
            reports.append(state)
        if failures:
            raise failures[0]
        return reports

    async def _may_publish(
        self, generation: Generation, horizon: int, sources: Sequence[AuditReport]
    ) -> bool:
        """Return whether the generation is complete. Mark it so if the audit of the sources shows it."""
        if await self._generations.is_complete():
            return True
        if len(sources) < len(SOURCES) or not all(report.caught_up for report in sources):
            return False
        if horizon < generation.began:
            return False
        await self._generations.complete()
        _log.info("generation_complete", generation=self._generation)
        return True

    async def audit(
        self, feed: str, *, delay_seconds: int, deadline: float, from_beginning: bool = False
    ) -> AuditReport:
        """Audit one feed from its cursors on.

        Parameters
        ----------
        delay_seconds
            Skip writes of the last ``delay_seconds`` seconds. In ``view_state`` this includes the writes of
            this run for the sources, unless the delay is 0.
        deadline
            Time of :meth:`Clock.monotonic` at which the audit stops.
        from_beginning
            Ignore the cursors.
        """
        report = AuditReport(feed)
        with measured_cost() as report.cost:
            container = self._reader.get_container_client(feed)
            horizon = int(self._clock.timestamp()) - delay_seconds
            cursors = await self._load(feed, container, from_beginning=from_beginning)
            run = AuditRun(feed, container, horizon, delay_seconds, deadline, report, cursors)
            while unseen := run.unseen():
                if not await self._audit_range(run, random.choice(unseen)):
                    break
            is_still_there = run.cursors.rid == await _rid_of(container)
            report.caught_up = is_still_there and WHOLE_FEED.is_covered_by(run.seen)
            if not report.caught_up:
                report.due_at = None
        log = _log.warning if report.repaired else _log.info
        log(
            "feed_audited",
            feed=feed,
            documents=report.documents,
            repaired=report.repaired,
            still_in_poison=report.still_in_poison,
            caught_up=report.caught_up,
            **report.cost.log_fields(),
        )
        return report

    async def _audit_range(self, run: AuditRun, cursor: Cursor) -> bool:
        """Audit one range beyond the horizon; return False if the time is over.

        The cursor is committed after each page without a write younger than the horizon, but for the mark.
        Later pages are looked through for older ones, and read again by the next run.
        """
        position, holds_younger = cursor.position, False
        beyond = cursor.seen_beyond(run.horizon)
        while True:
            began = self._clock.monotonic()
            try:
                page = await read_page(
                    run.container, run.cursors.rid, cursor.range, position, limit=run.page_size(began)
                )
            except RangeSplitError:
                run.go_on_with(await self._load(run.feed, run.container))
                return self._has_time(run)
            except CosmosHttpResponseError as error:
                if error.status_code != 400 or position is None:
                    raise
                await self._forget(run, replace(cursor, position=position))
                return self._has_time(run)
            due = [document for document in page.documents if document["_ts"] <= run.horizon]
            await self._repair(run, due)
            # Reading alone is fast: it counts only where nothing was due.
            run.note_pace(len(due) or len(page.documents), self._clock.monotonic() - began)
            for document in page.documents:
                # A mark needs no repair. If its page waited for its age, each run would find the documents in
                # it again, and write the mark again: with audits in quick succession there would be no end.
                if document["_ts"] > run.horizon and not _is_mark(run.feed, document):
                    holds_younger = True
                    due_at = document["_ts"] + run.delay
                    run.report.due_at = min(run.report.due_at or due_at, due_at)
            if not holds_younger and page.position != position:
                await self._commit(run, cursor, page.position)
            if not page.documents or any(document["_ts"] > beyond for document in page.documents):
                run.seen.append(cursor.range)
                return True
            position = page.position
            if not self._has_time(run):
                return False

    def _has_time(self, run: AuditRun) -> bool:
        return self._clock.monotonic() <= run.deadline

    async def _repair(self, run: AuditRun, documents: Sequence[Mapping[str, Any]]) -> None:
        """Count or publish what is missing of documents that were read just now.

        In a reading from the beginning, what was written before it counts as the live document: after a
        restore the versions that were counted may be newer than those that exist.
        """
        report = run.report
        documents = [document for document in documents if not _is_mark(run.feed, document)]
        if not documents:
            return
        if not report.documents:  # otherwise the mark of an idle fleet would grow because it has grown
            await self._mark.advance()
        report.documents += len(documents)
        if run.feed == VIEW_STATE:
            report.repaired += (await self._publisher.publish(documents)).missed
            return
        batches: dict[bool, list[Mapping[str, Any]]] = {True: [], False: []}
        for document in documents:
            batches[document["_ts"] <= run.cursors.live_until].append(document)
        for live, batch in batches.items():
            if batch:
                ingested = await self._ingest.ingest_batch(run.feed, batch, live=live, audited=True)
                report.repaired += ingested.changed
                report.still_in_poison += ingested.still_in_poison

    async def _load(self, feed: str, container: ContainerProxy, *, from_beginning: bool = False) -> Cursors:
        """Return the cursors of a feed, one per physical partition as it is now, and store them.

        A recreated or restored container has another resource id. Its feed is read from the beginning.
        """
        rid = await _rid_of(container)
        ranges = await physical_ranges(container)
        now = int(self._clock.timestamp())
        stored_before: list[Mapping[str, Any] | None] = []

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            stored_before.append(stored)
            known = Cursors.decode(stored)
            if known is None or known.rid != rid or from_beginning:
                return Cursors.from_beginning(rid, ranges, now, after=known).encode()
            aligned = known.aligned(ranges, now)
            return None if aligned == known and not known.unreadable else aligned.encode()

        cursors = Cursors.decode(await self._cursor(feed).update(change))
        assert cursors is not None  # noqa: S101  they were encoded above
        before = Cursors.decode(stored_before[-1])
        if before is not None and before.rid != rid:
            _log.warning("audit_cursor_reset", feed=feed)
        elif stored_before[-1] is not None and (before is None or before.unreadable):
            _log.warning("audit_cursor_unreadable", feed=feed)
        return cursors

    async def _commit(self, run: AuditRun, cursor: Cursor, position: str) -> None:
        """Store how far a range was seen. What other auditors stored of other ranges, or beyond, stays.

        After an audit from the beginning has begun meanwhile, nothing is stored: it is to see everything.
        """
        claim = replace(cursor, position=position)

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            known = Cursors.decode(stored)
            if known is None:
                return run.cursors.claiming(claim).encode()
            if not known.is_same_reading(run.cursors):
                return None
            claimed = known.claiming(claim)
            return None if claimed == known else claimed.encode()

        await self._cursor(run.feed).update(change)
        run.cursors = run.cursors.claiming(claim)

    async def _forget(self, run: AuditRun, refused: Cursor) -> None:
        """Read a range from its beginning, because the service refuses the position of its cursor."""
        _log.warning("audit_cursor_unreadable", feed=run.feed)

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            known = Cursors.decode(stored)
            return (run.cursors if known is None else known).without(refused).encode()

        await self._cursor(run.feed).update(change)
        run.cursors = run.cursors.without(refused)

    def _cursor(self, feed: str) -> ControlDocument:
        """Return the document with a feed's cursors. Each generation has its own, and so reads all feeds."""
        return ControlDocument(self._cursors, Scope.AUDIT, f"{self._generation}|{feed}")


@contextmanager
def _collecting(failures: list[Exception], feed: str) -> Iterator[None]:
    """Collect an error of one feed, which must not prevent the audit of the others."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is raised when all feeds are done
        _log.exception("audit_failed", feed=feed, error_type=type(error).__name__)
        failures.append(error)


def _is_mark(feed: str, document: Mapping[str, Any]) -> bool:
    """Say whether a document is the mark of the state. In a source, ``kind`` is a field like any other."""
    return feed == VIEW_STATE and document.get("kind") == MARK


async def _rid_of(container: ContainerProxy) -> str:
    return str((await container.read(response_hook=record_charge))["_rid"])


def _held_back(generation: Generation, delay: int, began: int, sources: Sequence[AuditReport]) -> AuditReport:
    """Return the report of ``view_state`` for a generation that is not complete."""
    due_at = generation.began + delay
    waits = len(sources) == len(SOURCES) and all(report.caught_up for report in sources) and began < due_at
    return AuditReport(VIEW_STATE, caught_up=False, due_at=due_at if waits else None)
