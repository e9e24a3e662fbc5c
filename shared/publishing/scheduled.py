"""Publish by a timer: views that may lag, documents that change with time alone, and passage usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates import day, person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.person_month import split_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.control import ControlDocument, Scope
from shared.ledger.generations import Generations
from shared.ledger.reader import StateReader
from shared.periods import day_text
from shared.publishing.consent import ConsentKeeper
from shared.publishing.content_builds import ContentBuilds
from shared.publishing.passage_usage import PassageUsageWriter
from shared.publishing.plan import DocumentKey, documents_affected_by
from shared.publishing.publisher import Publisher
from shared.publishing.report import PublishReport
from shared.publishing.tiers import TierPublisher
from shared.settings import Settings
from shared.units import Day
from shared.views import VIEWS
from shared.views.base import Schedule

REREAD_SECONDS = 600
"""Each run also reads the writes of this many seconds before the last run, because clocks differ and replicas
lag. Documents that carry the state already are not written again."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ScheduledReport:
    """What one run published."""

    changed: int = 0
    """States that were written since the last run."""
    aged: int = 0
    """States whose documents change with time alone."""
    published: int = 0
    current: int = 0
    poisoned: int = 0
    built: int = 0
    """Contents of days and months that were built."""
    waiting: int = 0
    """Contents that could not be built, because a replica lagged or a day changed too quickly."""
    usage: int = 0
    """Vectors into which the usage of their passage was written."""
    absent: int = 0
    """Cited passages without a vector, if usage was written."""
    cost: Cost = field(default_factory=Cost)

    def add(self, report: PublishReport) -> None:
        """Count the documents of one publication."""
        self.published += report.published
        self.current += report.current
        self.poisoned += len(report.poisoned)


class ScheduledPublisher:
    """Publishes the documents that the change feed of ``view_state`` does not publish, or not soon enough."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        progress: ContainerProxy,
        publisher: Publisher,
        builds: ContentBuilds,
        tiers: TierPublisher,
        consent: ConsentKeeper,
        usage: PassageUsageWriter,
        generations: Generations,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = StateReader(state)
        self._progress = ControlDocument(progress, Scope.REFRESH, f"views-{settings.generation}")
        self._publisher = publisher
        self._builds = builds
        self._tiers = tiers
        self._consent = consent
        self._usage = usage
        self._generations = generations
        self._generation = settings.generation
        self._clock = clock

    async def publish_due(self, *, everything: bool = False) -> ScheduledReport:
        """Publish the hourly views that changed since the last run, and once in each half day the rest.

        The rest would cost too much hourly: weeks and quarters of people, and documents that change with time
        alone. Then build the contents that are due, publish what shows them, and once a day write the usage
        of passages: see :class:`ContentBuilds`.

        Concurrent and repeated runs are harmless. An incomplete generation publishes nothing, and publishes
        everything once it is complete.

        Parameters
        ----------
        everything
            Publish the rest now, even if it was published in this half day.

        Raises
        ------
        TransientStaleReadError
            Other instances kept publishing a document, or a replica lagged, through all retries.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. The next run repeats the part that was not
            finished: the hourly part, the part of the half day, or the builds that are left.
        """
        now = self._clock.now()
        report, half_day = ScheduledReport(), f"{day_text(now)}{'am' if now.hour < 12 else 'pm'}"
        if not await self._generations.is_complete():
            _log.info("refresh_held_back", generation=self._generation)
            return report
        with measured_cost() as report.cost:
            progress = await self._read_progress()
            changed = await self._keys_written_since(progress["since"])
            report.changed = len(changed)
            await self._publish(documents_affected_by(changed, Schedule.HOURLY), report)
            await self._follow_records()
            await self._publish_tiers(changed, now, progress, half_day, report)
            days = [Day(target.key) for target in changed if target.aggregate == day.NAME]
            await self._builds.list_work(days, everything=everything)
            progress["since"] = int(now.timestamp())
            await self._progress.save(progress)
            if everything or progress["half"] != half_day:
                changed = await self._keys_written_since(progress["half_since"])
                await self._publish(documents_affected_by(changed, Schedule.TWICE_A_DAY), report)
                since = datetime.fromtimestamp(progress["half_since"], UTC)
                await self._publish(await self._documents_changed_by_time(since, now, report), report)
                await self._progress.save(progress | {"half": half_day, "half_since": progress["since"]})
            await self._build(report, limited=not everything)
        _log.info(
            "views_refreshed",
            changed=report.changed,
            aged=report.aged,
            published=report.published,
            current=report.current,
            poisoned=report.poisoned,
            built=report.built,
            waiting=report.waiting,
            usage=report.usage,
            absent=report.absent,
            **report.cost.log_fields(),
        )
        return report

    async def _read_progress(self) -> dict[str, Any]:
        beginning = {"since": REREAD_SECONDS, "half": "", "half_since": REREAD_SECONDS}
        progress = await self._progress.read() or {}
        return {name: progress.get(name, value) for name, value in beginning.items()}

    async def _follow_records(self) -> None:
        """Apply changes of consent that no publication of a change has applied."""
        async for user_id in self._reader.pending_people(self._generation):
            await self._publisher.follow_record(user_id)

    async def _publish_tiers(
        self,
        changed: Iterable[PartialKey],
        now: datetime,
        progress: Mapping[str, Any],
        half_day: str,
        report: ScheduledReport,
    ) -> None:
        """Count people by tier if any has changed. Publish all months in each half day.

        Time changes tiers too, and a change of consent concerns every month of a person.
        """
        months = {split_key(target.key)[0] for target in changed if target.aggregate == person_month.NAME}
        people = any(target.aggregate == person.NAME for target in changed)
        everything = progress["half"] != half_day
        if months or people or everything:
            tiers = await self._tiers.publish(now, months, everything=everything)
            report.published += tiers.published

    async def _purge_refusals(self) -> None:
        """Delete whatever is published about people who refuse, once a day."""
        async for user_id in self._reader.refusing_people(self._generation):
            await self._consent.purge(user_id)

    async def _build(self, report: ScheduledReport, *, limited: bool) -> None:
        """Build contents and publish what shows them, and once a day write the usage of passages."""
        builds = await self._builds.run(lambda documents: self._publish(documents, report), limited=limited)
        report.built, report.waiting = builds.built, builds.waiting
        if builds.is_daily:
            usage = await self._usage.write(self._builds.open_months())
            report.usage, report.absent = usage.patched, usage.absent
            await self._purge_refusals()
            await self._builds.finish_day()

    async def _publish(self, documents: Sequence[DocumentKey], report: ScheduledReport) -> None:
        report.add(await self._publisher.publish_documents(documents))

    async def _documents_changed_by_time(
        self, since: datetime, now: datetime, report: ScheduledReport
    ) -> list[DocumentKey]:
        documents: dict[DocumentKey, None] = {}
        for name, view in VIEWS.items():
            for keys in view.keys_changed_by_time(since, now):
                async for target in self._reader.keys_with_prefix(
                    self._generation, keys.aggregate, keys.prefix
                ):
                    report.aged += 1
                    documents |= dict.fromkeys(
                        DocumentKey(name, key) for key in view.keys_affected_by(target)
                    )
        return list(documents)

    async def _keys_written_since(self, since: int) -> list[PartialKey]:
        keys = self._reader.keys_written_since(self._generation, since - REREAD_SECONDS)
        return [target async for target in keys]
