"""Count archived documents in a generation, as if the feeds delivered them.

A new generation counts the sources, which do not hold any more what has expired. Its months stay open longer
than that: what the archive has of them is passed to the same fold. A document has the version that was
archived, so the ledger tells whether it was counted. The live document decides about versions that differ. So
the archive may be counted at any time, and again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from shared.archive.content import sha256
from shared.archive.restore import newest
from shared.archive.store import CONCURRENCY, Archive, Archived, ErasedAmong, Progress, day_of_prefix
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched, for_each
from shared.containers import ARCHIVED
from shared.cosmos.charges import Cost, measured_cost
from shared.ingest.batch import Ingest
from shared.ingest.sources import SOURCES
from shared.ledger.retention import Retention
from shared.units import Day, month_of, to_millis

BATCH = 500
"""Documents of one batch, as of an audit."""

COUNTABLE = frozenset(SOURCES) & frozenset(ARCHIVED)
"""Containers whose archived documents are counted."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CountReport:
    """The outcome of a count."""

    days: int = 0
    """Archived days whose months are open."""
    documents: int = 0
    counted: int = 0
    """Documents that were not counted before, or in an older version."""
    poisoned: int = 0
    erased: int = 0
    """Documents of erased people: they are not counted."""
    damaged: int = 0
    """Blobs that are gone, or not what was archived: see ``fleet archive verify``."""
    cost: Cost = field(default_factory=Cost)


class ArchiveCounter:
    """Passes archived documents to the fold.

    Parameters
    ----------
    erased_among
        Says which people are erased.
    """

    def __init__(
        self,
        *,
        archive: Archive,
        ingest: Ingest,
        retention: Retention,
        erased_among: ErasedAmong,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._archive = archive
        self._ingest = ingest
        self._retention = retention
        self._erased_among = erased_among
        self._clock = clock

    async def count(self, on_progress: Progress = lambda done: None) -> CountReport:
        """Count what the archive has of months that are still open. Counts nothing twice.

        Raises
        ------
        StorageUnavailableError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            A service did not answer. What was counted stays counted; the next call counts the rest.
        """
        report = CountReport()
        with measured_cost() as report.cost:
            async for prefix in self._archive.days():
                day = day_of_prefix(prefix)
                open_ = () if day is None else self._open(Day(day.isoformat()))
                if not open_:
                    continue
                report.days += 1
                group: list[Archived] = []
                async for each in self._archive.find(prefix):
                    if each.container not in open_:
                        continue
                    # All versions of a document have one owner, and owners come one after the other.
                    if len(group) >= BATCH and group[-1].name.owner != each.name.owner:
                        await self._count_some(group, report)
                        on_progress(report.documents)
                        group = []
                    group.append(each)
                await self._count_some(group, report)
                on_progress(report.documents)
        fields = {n: getattr(report, n) for n in ("documents", "counted", "poisoned", "erased", "damaged")}
        _log.info("archive_counted", **fields, **report.cost.log_fields())
        return report

    def _open(self, day: Day) -> Sequence[str]:
        """Return the containers whose month of a day is open."""
        now = to_millis(self._clock.now())
        return [name for name in COUNTABLE if not self._retention.is_closed(name, month_of(day), now)]

    async def _count_some(self, group: Sequence[Archived], report: CountReport) -> None:
        users = {each.user for each in group if each.user}
        erased = await self._erased_among(users) if users else frozenset()
        wanted = [each for each in newest(group) if each.user not in erased]
        report.erased += len(newest(group)) - len(wanted)
        for some in batched(wanted, BATCH):
            bodies = await for_each(some, self._document, max_concurrency=CONCURRENCY)
            by_source: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for each, body in zip(some, bodies, strict=True):
                report.documents += 1
                if body is None:
                    report.damaged += 1
                else:
                    by_source[each.container].append(body)
            for source, documents in by_source.items():
                ingested = await self._ingest.ingest_batch(source, documents, audited=True)
                report.counted += ingested.counted
                report.poisoned += len(ingested.poisoned)

    async def _document(self, each: Archived) -> dict[str, Any] | None:
        """Return an archived document in its version, None if the blob is not what was archived."""
        found = await self._archive.blobs.read(each.stored.name)
        if found is None or sha256(found[0]) != each.sha256:
            return None
        return {**json.loads(found[0]), "_ts": each.ts, "_etag": each.etag}
