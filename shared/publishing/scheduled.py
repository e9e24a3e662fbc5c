"""Refresh the views that are published by the clock: those that may lag an hour, and those that grow old."""

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
from shared.publishing.inputs import DocumentKey, showing
from shared.publishing.merge import Merger
from shared.publishing.passage_usage import UsageWriter
from shared.publishing.publisher import Publisher, PublishReport
from shared.settings import Settings
from shared.units import Day
from shared.views import VIEWS
from shared.views.base import Schedule

OVERLAP_SECONDS = 600
"""What was written so long before the last refresh is looked at again: for clocks that differ, and replicas
that lag. Of documents that say the same already nothing is written."""

DAYS_AT_ONCE = 50

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RefreshReport:
    """What a refresh did."""

    changed: int = 0
    """States that were written since the last refresh."""
    aged: int = 0
    """States whose documents a new day changes."""
    published: int = 0
    current: int = 0
    poisoned: int = 0
    usage: int = 0
    """Passages whose usage was written into their vectors."""
    cost: Cost = field(default_factory=Cost)

    def add(self, report: PublishReport) -> None:
        """Add what became of some documents."""
        self.published += report.published
        self.current += report.current
        self.poisoned += len(report.poisoned)


class Refresher:
    """Publishes what the feed of ``view_state`` does not, or not soon enough."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        progress: ContainerProxy,
        publisher: Publisher,
        merger: Merger,
        usage: UsageWriter,
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

    async def refresh(self, *, everything: bool = False) -> RefreshReport:
        """Publish what changed since the last refresh, and every half day what would cost too much hourly.

        That is what the day changes; people's weeks and quarters; and the usage of passages: each is written
        into a document with its embeddings, and where people ask a lot nearly all are cited within any hour.

        Running it again, or twice at once, is harmless. A generation that is not complete publishes nothing,
        and begins with everything once it is.

        Parameters
        ----------
        everything
            Do not wait for the half day to be over.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. The next refresh repeats what did not end: all
            of it, or what is done every half day.
        """
        now = self._clock.now()
        report, half = RefreshReport(), f"{day_text(now)}{'am' if now.hour < 12 else 'pm'}"
        if not await self._generations.is_complete():
            _log.info("refresh_held_back", generation=self._generation)
            return report
        with measured_cost() as report.cost:
            done = await self._done()
            changed = await self._keys_written_since(done["since"])
            report.changed = len(changed)
            await self._publish(showing(changed, Schedule.HOURLY), report)
            done["since"] = int(now.timestamp())
            await self._save(done)
            if everything or done["half"] != half:
                changed = await self._keys_written_since(done["half_since"])
                await self._publish(showing(changed, Schedule.TWICE_A_DAY), report)
                since = datetime.fromtimestamp(done["half_since"], UTC)
                await self._publish(await self._aged(since, now, report), report)
                await self._write_usage(changed, report)
                await self._save(done | {"half": half, "half_since": done["since"]})
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

    async def _done(self) -> dict[str, Any]:
        nothing = {"since": OVERLAP_SECONDS, "half": "", "half_since": OVERLAP_SECONDS}
        done = await self._progress.read() or {}
        return {name: done.get(name, value) for name, value in nothing.items()}

    async def _save(self, done: dict[str, Any]) -> None:
        await self._progress.save(done)

    async def _write_usage(self, changed: Iterable[PartialKey], report: RefreshReport) -> None:
        days = [target for target in changed if target.aggregate == day.NAME]
        for batch in batched(days, DAYS_AT_ONCE):
            merges = await self._merger.refresh(batch)
            shown = {Day(target.key): (merge.revision, merge.state()) for target, merge in merges.items()}
            report.usage += (await self._usage.write(shown)).patched

    async def _publish(self, documents: Sequence[DocumentKey], report: RefreshReport) -> None:
        report.add(await self._publisher.publish_documents(documents))

    async def _aged(self, since: datetime, now: datetime, report: RefreshReport) -> list[DocumentKey]:
        """Return what the clock changed since it was published last."""
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
        keys = self._reader.keys_written_since(self._generation, since - OVERLAP_SECONDS)
        return [target async for target in keys]
