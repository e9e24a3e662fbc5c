"""The auditor: pulls the feeds with cursors of its own, some minutes behind, and repairs what was lost.

The platform moves a trigger's lease on after an invocation that failed without a retry policy, and so loses
the batch for good. The auditor feeds the same documents to the same fold. What was counted is skipped by
the ledger; what was lost is counted now, and reported as repaired.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from shared.cosmos import charging, record_charge
from shared.ingest import Ingest
from shared.publishing import Publisher
from shared.settings import Settings
from shared.sources import SOURCES

SCOPE = "audit"
"""Logical partition of ``fleet_state`` that holds the cursors, one document per feed."""

PAGE_SIZE = 500
BUDGET_SECONDS = 240.0
"""How long one run over all feeds may take: less than the five minutes between two of them."""

VIEW_STATE = "view_state"

_log = structlog.get_logger(__name__)

Repair = Callable[[Sequence[Mapping[str, Any]]], Awaitable[int]]
"""Processes a page and returns how many of its documents had been missed."""


@dataclass(slots=True)
class AuditReport:
    """What one run over one feed found."""

    feed: str
    documents: int = 0
    repaired: int = 0
    """Documents nobody had counted, or views nobody had brought up to date."""
    caught_up: bool = True
    """False if the time was up before the feed's end was reached."""
    requests: int = 0
    request_units: float = 0.0
    seconds: float = 0.0


class Auditor:
    """Audits every source feed, and the feed of ``view_state`` for publications that were missed.

    Parameters
    ----------
    reader
        The database, through a client that nothing else uses: the SDK returns a feed's continuation as the
        last response headers of the client.
    """

    def __init__(
        self,
        *,
        reader: DatabaseProxy,
        cursors: ContainerProxy,
        ingest: Ingest,
        publisher: Publisher,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._cursors = cursors
        self._ingest = ingest
        self._publisher = publisher
        self._delay = settings.audit_delay_seconds

    async def audit_all(self, *, delay_seconds: int | None = None) -> list[AuditReport]:
        """Audit every feed, sources first; return one report each.

        Parameters
        ----------
        delay_seconds
            Leave alone what was written in the last so many seconds; the setting unless given.

        Raises
        ------
        Exception
            What made the audit of a feed fail; of several the first. The others were audited all the same.
        """
        delay = self._delay if delay_seconds is None else delay_seconds
        deadline = time.monotonic() + BUDGET_SECONDS
        reports: list[AuditReport] = []
        failures: list[Exception] = []
        for feed in (*SOURCES, VIEW_STATE):
            try:
                reports.append(await self.audit(feed, delay_seconds=delay, deadline=deadline))
            except Exception as error:  # noqa: BLE001 - one feed must not keep the others from being audited
                _log.exception("audit_failed", feed=feed, error_type=type(error).__name__)
                failures.append(error)
        if failures:
            raise failures[0]
        return reports

    async def audit(self, feed: str, *, delay_seconds: int, deadline: float) -> AuditReport:
        """Audit one feed from its cursors on, until ``deadline`` on the monotonic clock."""
        started = time.monotonic()
        report = AuditReport(feed)
        horizon = int(time.time()) - delay_seconds
        container = self._reader.get_container_client(feed)
        with charging() as charge:
            rid = str((await container.read(response_hook=record_charge))["_rid"])
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
                    if time.monotonic() > deadline:
                        report.caught_up = False
                        break
        report.requests, report.request_units = charge.requests, charge.request_units
        report.seconds = time.monotonic() - started
        log = _log.warning if report.repaired else _log.info
        log(
            "feed_audited",
            feed=feed,
            documents=report.documents,
            repaired=report.repaired,
            caught_up=report.caught_up,
            requests=report.requests,
            request_units=round(report.request_units, 2),
            duration_ms=round(report.seconds * 1000),
        )
        return report

    async def _repair(self, feed: str, documents: Sequence[Mapping[str, Any]]) -> int:
        if not documents:
            return 0
        if feed == VIEW_STATE:
            return (await self._publisher.publish(documents)).published
        return (await self._ingest.take(feed, documents)).changed

    async def _load(self, container: ContainerProxy, feed: str, rid: str) -> list[dict[str, Any]]:
        """Return the cursors of a feed: one per range it had when it was first audited.

        A range that was split since is still read whole; the SDK follows the split. A container that was
        made anew, or restored, has another resource id: it is read from the start, old cursors mean nothing.
        """
        items = self._cursors.query_items(
            "SELECT * FROM c WHERE c.id = @id",
            parameters=[{"name": "@id", "value": feed}],
            partition_key=SCOPE,
            response_hook=record_charge,
        )
        async for item in items:
            ranges: list[dict[str, Any]] = item["ranges"]
            if item.get("rid") == rid:
                return ranges
            _log.warning("audit_cursor_reset", feed=feed)
        return [
            {"feed_range": feed_range, "continuation": None}
            async for feed_range in container.read_feed_ranges()
        ]

    async def _save(self, feed: str, rid: str, ranges: list[dict[str, Any]]) -> None:
        # Two auditors at once would only do the same work twice: the last cursor written is a true one.
        await self._cursors.upsert_item(
            {"id": feed, "scope": SCOPE, "rid": rid, "ranges": ranges}, response_hook=record_charge
        )


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
