"""The auditor: pulls the feeds with cursors of its own, some minutes behind, and repairs what was lost.

The platform moves a trigger's lease on after an invocation that failed without a retry policy, and so loses
the batch for good. The auditor feeds the same documents to the same fold. What was counted is skipped by
the ledger; what was lost is counted now, and reported as repaired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.ingest.batch import Ingest
from shared.ingest.sources import SOURCES
from shared.ledger.generations import Generation, Generations
from shared.publishing.publisher import Publisher
from shared.settings import Settings

PAGE_SIZE = 500
BUDGET_SECONDS = 240.0
"""How long one run over all feeds may take: less than the five minutes between two of them."""

VIEW_STATE = "view_state"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AuditReport:
    """What one run over one feed found."""

    feed: str
    documents: int = 0
    repaired: int = 0
    """Documents nobody had counted; of ``view_state``, documents that did not show what they should."""
    caught_up: bool = True
    """False if the time was up before the feed's end was reached, or the feed has to wait for others."""
    cost: Cost = field(default_factory=Cost)


class Auditor:
    """Audits every source feed, and the feed of ``view_state`` for publications that were missed.

    Parameters
    ----------
    reader
        The database, through a client that nothing else uses: the SDK returns a feed's continuation as the
        last response headers of the client.
    clock
        What was written before now minus the delay is audited.
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
        """Audit every feed, sources first; return one report each.

        A generation is complete once all sources are audited up to a moment after its beginning. Before
        that nothing is published, and ``view_state`` is left for later, to be read from its start.

        Parameters
        ----------
        delay_seconds
            Leave alone what was written in the last so many seconds; the setting unless given.
        from_beginning
            Forget how far the feeds have been audited, and read all that they hold.

        Raises
        ------
        SettingsError
            The settings contradict what is remembered of the generation.
        Exception
            What made the audit of a feed fail; of several the first. The others were audited all the same.
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
            except Exception as error:  # noqa: BLE001 - one feed must not keep the others from being audited
                _log.exception("audit_failed", feed=feed, error_type=type(error).__name__)
                failures.append(error)
        if failures:
            raise failures[0]
        return reports

    async def _may_publish(
        self, generation: Generation, horizon: int, sources: Sequence[AuditReport]
    ) -> bool:
        """Say whether the generation is complete; make it so if the audit of the sources shows it."""
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
            Leave alone what was written in the last so many seconds. Of ``view_state`` what this run wrote
            for the sources is among it, unless the delay is 0.
        deadline
            When to stop, by :meth:`Clock.monotonic`.
        from_beginning
            Do not look for cursors.
        """
        horizon = int(self._clock.timestamp()) - delay_seconds
        report = AuditReport(feed)
        container = self._reader.get_container_client(feed)
        with measured_cost() as report.cost:
            rid = str((await container.read(response_hook=record_charge))["_rid"])
            if from_beginning:
                ranges = await _from_beginning(container)
            else:
                ranges = await self._load(container, feed, rid)
            for position in ranges:
                async for page, continuation in _pages(container, position):
                    due = [document for document in page if document["_ts"] <= horizon]
                    report.documents += len(due)
                    report.repaired += await self._repair(feed, due)
                    if len(due) < len(page):
                        break
                    position["continuation"] = continuation
                    await self._save(feed, rid, ranges)
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

    async def _load(self, container: ContainerProxy, feed: str, rid: str) -> list[dict[str, Any]]:
        """Return the cursors of a feed: one per range it had when it was first audited.

        A range that was split since is still read whole; the SDK follows the split. A container that was
        made anew, or restored, has another resource id: it is read from the start, old cursors mean nothing.
        """
        item = await self._cursor(feed).read()
        if item is not None:
            ranges: list[dict[str, Any]] = item["ranges"]
            if item["rid"] == rid:
                return ranges
            _log.warning("audit_cursor_reset", feed=feed)
        return await _from_beginning(container)

    async def _save(self, feed: str, rid: str, ranges: list[dict[str, Any]]) -> None:
        # Two auditors at once would only do the same work twice: the last cursor written is a true one.
        await self._cursor(feed).save({"rid": rid, "ranges": ranges})

    def _cursor(self, feed: str) -> ControlDocument:
        """Return the document with a feed's cursors: each generation reads all feeds from the beginning."""
        return ControlDocument(self._cursors, Scope.AUDIT, f"{self._generation}|{feed}")


async def _from_beginning(container: ContainerProxy) -> list[dict[str, Any]]:
    return [
        {"feed_range": feed_range, "continuation": None} async for feed_range in container.read_feed_ranges()
    ]


async def _pages(container: ContainerProxy, position: Mapping[str, Any]) -> Any:
    """Yield the pages of a feed range after its cursor, each with the continuation behind it."""
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
