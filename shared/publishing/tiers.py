"""Publish ``engagement_summary``: people by engagement tier, counted from their own state.

A change of a person concerns one tier of each month, and nearly every change is one of a person. So tiers are
not counted with every change. A timer counts all people again, from the summaries in their records.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.aggregates.tier_counts import TierCounts, TierKey, months_to_publish
from shared.cosmos.retries import retrying
from shared.ledger.reader import StateReader
from shared.periods import day_text, monthly
from shared.publishing.decide import Candidate, Stale, WriteWhen, decide, digest_of, stale_error
from shared.publishing.existing import Address, ExistingDocuments
from shared.publishing.readiness import ViewReadiness
from shared.publishing.writer import WRITE_CONFLICTS, ViewWriter
from shared.settings import Settings
from shared.units import Month, month_after, month_of, to_millis
from shared.views.base import Stamp
from shared.views.engagement_summary import NAME, SOURCES, render_tiers

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class TierReport:
    """The outcome of one run."""

    people: int = 0
    """People who were counted."""
    published: int = 0
    """Documents that were written."""
    stale: list[Stale] = field(default_factory=list)


class TierPublisher:
    """Counts the people of a generation by tier, and publishes the documents of the months concerned."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        existing: ExistingDocuments,
        writer: ViewWriter,
        readiness: ViewReadiness,
        settings: Settings,
    ) -> None:
        self._reader = StateReader(state)
        self._existing = existing
        self._writer = writer
        self._readiness = readiness
        self._generation = settings.generation

    async def publish(self, now: datetime, changed: Set[Month], *, everything: bool = False) -> TierReport:
        """Count everybody and publish. Concurrent and repeated runs are harmless: the latest count stays.

        Months that the sources no longer held whole, or of which they did not hold the month before, are left
        as they are.

        Parameters
        ----------
        changed
            The months in which the state of anybody has changed: see :func:`months_to_publish`.
        everything
            Whether to publish all months. A change of consent concerns every month of a person.

        Raises
        ------
        TransientStaleReadError
            Another instance published a later count.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, or other instances kept writing, through all retries.
        """
        report, today = TierReport(), day_text(now)
        first = month_after(min((month_after(month_of(today), -1), *changed)), -1)
        counts = TierCounts(today, None if everything else first)
        await self._count(counts, report)
        tick = f"{today}{'am' if now.hour < 12 else 'pm'}"
        for month in months_to_publish(counts.months, changed, today, everything=everything):
            if not await self._readiness.may_publish(SOURCES, monthly(month_after(month, -1)).first):
                continue
            key = TierKey.at(month, today)
            stamp = Stamp(self._generation, to_millis(now), now, tick if key.as_of == today else key.as_of)
            await retrying(*WRITE_CONFLICTS)(self._publish_month, key, counts, stamp, report)
        if report.stale:
            raise stale_error(NAME, report.stale, now)
        _log.info("tiers_published", people=report.people, published=report.published)
        return report

    async def _count(self, counts: TierCounts, report: TierReport) -> None:
        async for row in self._reader.tiers_of_people(self._generation):
            report.people += 1
            if not row["record"].get("refused"):
                counts.add(Tally.decode(row["state"]), PersonRecord.decode(row["record"]))

    async def _publish_month(
        self, key: TierKey, counts: TierCounts, stamp: Stamp, report: TierReport
    ) -> None:
        before = counts.of(month_after(key.month, -1))
        for rendered in render_tiers(key, counts.of(key.month), before, stamp):
            address = Address(NAME, rendered.id, rendered.partition)
            digest = digest_of([(key.month, stamp.revision)])
            candidate = Candidate(rendered, stamp, digest, write_when=WriteWhen.CONTENT_CHANGED)
            decision = decide(await self._existing.read(address, use_memory=False), candidate)
            if isinstance(decision, Stale):
                report.stale.append(decision)
                return
            result = await self._writer.write(address, decision, remember=False)
            report.published += result.written
