"""The auditor: reads the feeds with its own cursors, some minutes behind, and counts lost documents.

After an invocation that failed without a retry policy, the platform advances the trigger's lease and the
batch is lost. The auditor passes the same documents to the same fold. The ledger skips counted documents.
Lost documents are counted and reported as repaired.

An audit goes in pieces: one page of one feed range, after which the cursor of that range is committed.
Several instances may audit at once. Each begins with another range.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import VIEW_STATE
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.ingest.batch import Ingest
from shared.ingest.sources import SOURCES
from shared.ledger.generations import Generation, Generations
from shared.publishing.publisher import Publisher
from shared.settings import Settings

PAGE_SIZE = 500
"""Documents of one piece at most. The service returns fewer if they have more than 4 MB in all."""

BUDGET_SECONDS = 45.0
"""Longest duration of one run over all feeds, in seconds: no invocation is to take a minute. Each feed reads
one page even so."""

Position = dict[str, Any]
"""The cursor of one feed range: ``feed_range`` and ``continuation``, None at its beginning."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AuditReport:
    """The result of one run over one feed."""

    feed: str
    documents: int = 0
    repaired: int = 0
    """Source documents not counted before. Of ``view_state``: published documents that were out of date."""
    caught_up: bool = True
    """False if the run ended before the end of the feed, or if the feed must wait for other feeds."""
    cost: Cost = field(default_factory=Cost)


class Auditor:
    """Audits every source feed, and the feed of ``view_state`` for missed publications.

    Parameters
    ----------
    reader
        The database, through a client that nothing else uses. The SDK returns a feed's continuation in the
        client's last response headers.
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
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = reader
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
            The settings contradict the recorded generation.
        Exception
            The first error that made the audit of a feed fail. The other feeds were audited.
        """
        generation = await self._generations.begin()
        delay = self._delay if delay_seconds is None else delay_seconds
        began = int(self._clock.timestamp())
        deadline = self._clock.monotonic() + BUDGET_SECONDS
        reports: list[AuditReport] = []
        failures: list[Exception] = []
        for feed in (*SOURCES, VIEW_STATE):
            try:
                if feed == VIEW_STATE and not await self._may_publish(generation, began - delay, reports):
                    reports.append(AuditReport(feed, caught_up=False))
                    continue
                reports.append(
                    await self.audit(
                        feed, delay_seconds=delay, deadline=deadline, from_beginning=from_beginning
                    )
                )
            except Exception as error:  # noqa: BLE001 - one feed must not prevent the audit of the others
                _log.exception("audit_failed", feed=feed, error_type=type(error).__name__)
                failures.append(error)
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
        horizon = int(self._clock.timestamp()) - delay_seconds
        report = AuditReport(feed)
        container = self._reader.get_container_client(feed)
        with measured_cost() as report.cost:
            rid = str((await container.read(response_hook=record_charge))["_rid"])
            if from_beginning:
                ranges = await self._reset(container, feed, rid)
            else:
                ranges = await self._load(container, feed, rid)
            for position in random.sample(ranges, len(ranges)):
                if not report.caught_up:
                    break
                async for page, continuation in _pages(container, position):
                    due = [document for document in page if document["_ts"] <= horizon]
                    report.documents += len(due)
                    report.repaired += await self._repair(feed, due)
                    if len(due) < len(page):
                        break
                    position["continuation"] = continuation
                    await self._save(feed, rid, ranges, position)
                    if self._clock.monotonic() > deadline:
                        report.caught_up = False
                        break
        log = _log.warning if report.repaired else _log.info
        log(
            "feed_audited",
            feed=feed,
            documents=report.documents,
            repaired=report.repaired,
            caught_up=report.caught_up,
            **report.cost.log_fields(),
        )
        return report

    async def _repair(self, feed: str, documents: Sequence[Mapping[str, Any]]) -> int:
        if not documents:
            return 0
        if feed == VIEW_STATE:
            return (await self._publisher.publish(documents)).missed
        return (await self._ingest.ingest_batch(feed, documents)).changed

    async def _load(self, container: ContainerProxy, feed: str, rid: str) -> list[Position]:
        """Return the cursors of a feed: one per feed range of the first audit.

        A cursor still covers a range that was split afterwards, because the SDK follows the split. A
        recreated or restored container has another resource id. Its old cursors are invalid, so its feed is
        read from the beginning.
        """
        item = await self._cursor(feed).read()
        if item is not None:
            ranges: list[Position] = item["ranges"]
            if item["rid"] == rid:
                return ranges
            _log.warning("audit_cursor_reset", feed=feed)
        return await _from_beginning(container)

    async def _reset(self, container: ContainerProxy, feed: str, rid: str) -> list[Position]:
        """Set all cursors of a feed to its beginning, for this audit and those that continue it."""
        ranges = await _from_beginning(container)
        await self._cursor(feed).save({"rid": rid, "ranges": ranges})
        return ranges

    async def _save(self, feed: str, rid: str, ranges: Sequence[Position], position: Position) -> None:
        """Commit the cursor of one range. Those that other instances committed for other ranges stay.

        Of two instances in one range the last one wins. No harm: both cursors are valid.
        """
        own = position["feed_range"]

        def change(stored: dict[str, Any] | None) -> dict[str, Any]:
            if stored is None or stored["rid"] != rid or _ranges_of(stored["ranges"]) != _ranges_of(ranges):
                return {"rid": rid, "ranges": ranges}
            merged = [position if one["feed_range"] == own else one for one in stored["ranges"]]
            return {"rid": rid, "ranges": merged}

        await self._cursor(feed).update(change)

    def _cursor(self, feed: str) -> ControlDocument:
        """Return the document with a feed's cursors. Each generation has its own, and so reads all feeds."""
        return ControlDocument(self._cursors, Scope.AUDIT, f"{self._generation}|{feed}")


async def _from_beginning(container: ContainerProxy) -> list[Position]:
    return [
        {"feed_range": feed_range, "continuation": None} async for feed_range in container.read_feed_ranges()
    ]


def _ranges_of(positions: Sequence[Position]) -> list[Any]:
    return [position["feed_range"] for position in positions]


async def _pages(container: ContainerProxy, position: Position) -> Any:
    """Yield the pages of a feed range after its cursor, each with the continuation after the page."""
    if position["continuation"] is None:
        feed = container.query_items_change_feed(
            feed_range=position["feed_range"],
            start_time="Beginning",
            max_item_count=PAGE_SIZE,
            response_hook=record_charge,
        )
    else:
        feed = container.query_items_change_feed(
            continuation=position["continuation"], max_item_count=PAGE_SIZE, response_hook=record_charge
        )
    pages: Any = feed.by_page()
    async for page in pages:
        documents = [document async for document in page]
        yield documents, pages.continuation_token
