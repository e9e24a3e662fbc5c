"""Publish by a timer: views that may lag, documents that change with time alone, and passage usage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates import day
from shared.aggregates.base import PartialKey
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.control import ControlDocument, Scope
from shared.ledger.generations import Generations
from shared.ledger.reader import StateReader
from shared.periods import day_text
from shared.publishing.merge import StateMerger
from shared.publishing.passage_usage import PassageUsageWriter
from shared.publishing.plan import DocumentKey, documents_affected_by
from shared.publishing.publisher import Publisher
from shared.publishing.report import PublishReport
from shared.settings import Settings
from shared.units import Day
from shared.views import VIEWS
from shared.views.base import Schedule

REREAD_SECONDS = 600
"""Each run also reads the writes of this many seconds before the last run, because clocks differ and replicas
lag. Documents that carry the state already are not written again."""

DAYS_PER_BATCH = 50
"""Days whose passage usage one batch holds in memory."""

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
    usage: int = 0
    """Passages whose usage was written into their vectors."""
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
        merger: StateMerger,
        usage: PassageUsageWriter,
        generations: Generations,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = StateReader(state)
        self._progress = ControlDocument(progress, Scope.REFRESH, f"views-{settings.generation}")
        self._publisher = publisher
        self._usage = usage
        self._merger = merger
        self._generations = generations
        self._generation = settings.generation
        self._clock = clock

    async def publish_due(self, *, everything: bool = False) -> ScheduledReport:
        """Publish the hourly views that changed since the last run, and once in each half day the rest.

        The rest would cost too much hourly: weeks and quarters of people, documents that change with time
        alone, and passage usage. A passage's usage is written into the document with its embeddings, and
        under load nearly every passage is cited within an hour.

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
            finished: the hourly part, or the part of the half day.
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
            progress["since"] = int(now.timestamp())
            await self._progress.save(progress)
            if everything or progress["half"] != half_day:
                changed = await self._keys_written_since(progress["half_since"])
                await self._publish(documents_affected_by(changed, Schedule.TWICE_A_DAY), report)
                since = datetime.fromtimestamp(progress["half_since"], UTC)
                await self._publish(await self._documents_changed_by_time(since, now, report), report)
                await self._write_usage(changed, report)
                await self._progress.save(progress | {"half": half_day, "half_since": progress["since"]})
        _log.info(
            "views_refreshed",
            changed=report.changed,
            aged=report.aged,
            published=report.published,
            current=report.current,
            poisoned=report.poisoned,
            usage=report.usage,
            **report.cost.log_fields(),
        )
        return report

    async def _read_progress(self) -> dict[str, Any]:
        beginning = {"since": REREAD_SECONDS, "half": "", "half_since": REREAD_SECONDS}
        progress = await self._progress.read() or {}
        return {name: progress.get(name, value) for name, value in beginning.items()}

    async def _write_usage(self, changed: Iterable[PartialKey], report: ScheduledReport) -> None:
        days = [target for target in changed if target.aggregate == day.NAME]
        for batch in batched(days, DAYS_PER_BATCH):
            merged = await self._merger.read_merged(batch)
            states = {Day(target.key): (state.revision, state.state()) for target, state in merged.items()}
            report.usage += (await self._usage.write(states)).patched

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
