"""Build the contents that are due, and publish what shows them. The work is a list of small pieces.

A piece is one day, month or week: build its content if it is stale, publish the documents that show it, and
take it off the list in ``fleet_state``. A run that ends early leaves its other pieces to the next one.
Several instances may work on one list: a piece that is done twice changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from typing import Any, Self

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates.base import PartialKey
from shared.builds.builder import ContentBuilder, Outcome
from shared.builds.graph import CONTENT, Pace, due_days
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched
from shared.cosmos.control import ControlDocument, Scope
from shared.periods import day_text
from shared.publishing.plan import DocumentKey, documents_affected_by
from shared.settings import Settings
from shared.units import Day, Month, day_after, days_between, month_of
from shared.views.base import Schedule

MONTHS_PER_COMPARISON = 12
"""Months whose days are compared with their contents in one piece."""

MOST_ENDED_DAYS = 40
"""Days after the end of which their periods are published once more, as of their end, after an outage."""

_log = structlog.get_logger(__name__)

Publish = Callable[[Sequence[DocumentKey]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do. Stored after each piece."""

    days: frozenset[Day] = frozenset()
    """Days whose contents may be stale."""
    months: frozenset[Month] = frozenset()
    weeks: frozenset[str] = frozenset()
    """Keys of weekly documents."""
    compared: frozenset[Month] = frozenset()
    """Months whose days have yet to be compared today."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """By pace, the slot in which it was last worked on completely."""
    today: str = ""
    """The day on which the work of a day was listed last."""
    daily: bool = False
    """Whether the work of that day is not complete."""

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None) -> Self:
        """Read the stored form."""
        if stored is None:
            return cls()
        days, months, weeks, compared = (
            frozenset(stored[name]) for name in ("days", "months", "weeks", "compared")
        )
        return cls(days, months, weeks, compared, stored["slots"], stored["today"], stored["daily"])

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "days": sorted(self.days),
            "months": sorted(self.months),
            "weeks": sorted(self.weeks),
            "compared": sorted(self.compared),
            "slots": dict(self.slots),
            "today": self.today,
            "daily": self.daily,
        }

    def listing(
        self, changed: Iterable[Day], now: datetime, open_months: Iterable[Month], *, everything: bool
    ) -> Self:
        """Return the work with the changed days and the running day, and once a day with that of the day."""
        today = day_text(now)
        work = replace(self, days=self.days | {*changed, today})
        if everything:
            work = replace(work, slots={}, today="")
        if work.today == today:
            return work
        ended = _days_from(Day(self.today), today) if self.today else [day_after(today, -1), today]
        return replace(
            work.with_documents_of(*ended),
            days=work.days | {*ended},
            compared=frozenset(open_months),
            today=today,
            daily=True,
        )

    def with_documents_of(self, *days: Day) -> Self:
        """Return the work with the weeks and months that show some days."""
        documents = documents_affected_by([PartialKey(CONTENT, day) for day in days], Schedule.DAILY)
        return replace(
            self,
            weeks=self.weeks | {document.key for document in documents},
            months=self.months | {*map(month_of, days)},
        )


@dataclass(slots=True)
class BuildsReport:
    """What one run did."""

    built: int = 0
    waiting: int = 0
    """Contents that are left for later, because a replica lagged or they changed too quickly."""
    is_daily: bool = False
    """Whether the work of a day was done. The caller then calls :meth:`ContentBuilds.finish_day`."""
    unfinished: bool = False
    """Whether the time was up. The next run continues."""

    def is_done(self, outcome: Outcome) -> bool:
        """Count an outcome. Return whether the content is up to date."""
        self.built += outcome is Outcome.BUILT
        self.waiting += outcome is Outcome.LATER
        return outcome is not Outcome.LATER


class ContentBuilds:
    """Works through the builds of one generation."""

    def __init__(
        self,
        *,
        builder: ContentBuilder,
        progress: ContainerProxy,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._builder = builder
        self._progress = ControlDocument(progress, Scope.REFRESH, f"content-{settings.generation}")
        self._clock = clock

    async def list_work(self, changed: Iterable[Day], *, everything: bool = False) -> None:
        """Add to the list of work.

        Parameters
        ----------
        changed
            Days whose state was written since the last call.
        everything
            List a day's work, even if it was done today.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        now, days, months = self._clock.now(), list(changed), self._builder.open_months()
        await self._update(lambda work: work.listing(days, now, months, everything=everything))

    async def run(self, publish: Publish, deadline: float = inf) -> BuildsReport:
        """Do the work that is due.

        Parameters
        ----------
        publish
            Publishes documents.
        deadline
            When to begin no further piece, on the monotonic clock in seconds. One piece is always done.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. The next run continues.
        """
        report = BuildsReport()
        async with aclosing(self._pieces(publish, report)) as pieces:
            async for left in pieces:
                if self._clock.monotonic() >= deadline:
                    report.unfinished = True
                    _log.info("builds_left", days=len(left.days), months=len(left.months))
                    break
        return report

    async def _pieces(self, publish: Publish, report: BuildsReport) -> AsyncGenerator[Work, None]:
        """Do one piece after the other. Yields what is left after each."""
        now = self._clock.now()
        work = Work.decode(await self._progress.read())
        for months in batched(sorted(work.compared, reverse=True), MONTHS_PER_COMPARISON):
            yield (work := await self._compare(months))
        for day in due_days(work.days, work.slots, now):
            yield (work := await self._day(day, publish, report))
        if work.daily:
            for month in sorted(work.months):
                yield (work := await self._month(month, publish, report))
            for week in sorted(work.weeks):
                yield (work := await self._week(week, publish))
        slots = {pace.name: pace.slot(now) for pace in Pace if pace is not Pace.HOURLY}
        if work.slots != slots:
            work = await self._update(lambda work: replace(work, slots=slots))
        report.is_daily = work.daily

    def open_months(self) -> list[Month]:
        """Return the months that are built."""
        return self._builder.open_months()

    async def finish_day(self) -> None:
        """Record that the day's work is complete."""
        await self._update(lambda work: replace(work, daily=False))

    async def _compare(self, months: Sequence[Month]) -> Work:
        """Find the days of some months that are stale, whatever was hinted."""
        stale = await self._builder.stale_days(min(months), max(months))
        return await self._update(
            lambda work: replace(
                work.with_documents_of(*stale),
                days=work.days | {*stale},
                compared=work.compared.difference(months),
            )
        )

    async def _day(self, day: Day, publish: Publish, report: BuildsReport) -> Work:
        outcome = await self._builder.build_day(day)
        if not report.is_done(outcome):
            return await self._update(lambda work: work)
        targets = [PartialKey(CONTENT, day)]
        live, hourly = (documents_affected_by(targets, s) for s in (Schedule.LIVE, Schedule.HOURLY))
        await publish([*live, *hourly])

        def done(work: Work) -> Work:
            left = replace(work, days=work.days - {day})
            return left if outcome in (Outcome.ABSENT, Outcome.CLOSED) else left.with_documents_of(day)

        return await self._update(done)

    async def _month(self, month: Month, publish: Publish, report: BuildsReport) -> Work:
        if not report.is_done(await self._builder.build_month(month)):
            return await self._update(lambda work: work)
        await publish(documents_affected_by([PartialKey(CONTENT, month)], Schedule.DAILY))
        return await self._update(lambda work: replace(work, months=work.months - {month}))

    async def _week(self, week: str, publish: Publish) -> Work:
        await publish([DocumentKey("content_popularity_weekly", week)])
        return await self._update(lambda work: replace(work, weeks=work.weeks - {week}))

    async def _update(self, change: Callable[[Work], Work]) -> Work:
        """Change the list. Changes of other instances to other pieces are kept."""

        def apply(stored: dict[str, Any] | None) -> dict[str, Any] | None:
            before = Work.decode(stored)
            after = change(before)
            return None if stored is not None and after == before else after.encode()

        return Work.decode(await self._progress.update(apply))


def _days_from(first: Day, last: Day) -> list[Day]:
    days = min(MOST_ENDED_DAYS, max(0, days_between(first, last)))
    return [day_after(last, -back) for back in range(days + 1)]
