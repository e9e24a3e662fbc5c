"""Publish by a timer: views that may lag, documents that change with time alone, and passage usage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import structlog

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import SCHEDULED_SECONDS
from shared.ledger.generations import Generations
from shared.publishing.content_builds import ContentBuilds
from shared.publishing.passage_usage import PassageUsageWriter
from shared.publishing.people_rounds import PeopleReport, PeopleRounds
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher
from shared.publishing.report import PublishReport
from shared.publishing.rounds import Rounds, Task
from shared.publishing.tiers import TierPublisher
from shared.settings import Settings
from shared.units import Day

PEOPLE_SECONDS = 30.0
"""The share of people in these seconds, so that contents are built however many people there are."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ScheduledReport:
    """What one run published."""

    changed: int = 0
    """States that were written since the last round of the task that read them."""
    aged: int = 0
    """States whose documents change with time alone."""
    pieces: int = 0
    """Pieces of the work over people."""
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
    unfinished: bool = False
    """Whether the time was up. The next run continues."""
    cost: Cost = field(default_factory=Cost)

    def add(self, report: PublishReport) -> None:
        """Count the documents of one publication."""
        self.published += report.published
        self.current += report.current
        self.poisoned += len(report.poisoned)

    def add_run(self, run: ScheduledReport) -> None:
        """Add the run that continued this one. What is left is what it left."""
        for name in (
            each.name for each in fields(self) if each.name not in ("cost", "unfinished", "waiting")
        ):
            setattr(self, name, getattr(self, name) + getattr(run, name))
        self.unfinished, self.waiting = run.unfinished, run.waiting
        self.cost.add(run.cost)


Progress = Callable[[ScheduledReport], None]
"""Called with the report so far, after each run."""


class ScheduledPublisher:
    """Publishes the documents that the change feed of ``view_state`` does not publish, or not soon enough."""

    def __init__(
        self,
        *,
        people: PeopleRounds,
        builds: ContentBuilds,
        tiers: TierPublisher,
        publisher: Publisher,
        usage: PassageUsageWriter,
        generations: Generations,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._people = people
        self._publisher = publisher
        self._builds = builds
        self._tiers = tiers
        self._usage = usage
        self._generations = generations
        self._generation = settings.generation
        self._clock = clock

    async def publish_everything(self, on_progress: Progress = lambda _: None) -> ScheduledReport:
        """Publish all that is due within a day, in as many runs as it takes.

        Raises
        ------
        TransientStaleReadError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`publish_due`.
        """
        report = await self.publish_due(everything=True)
        while report.unfinished:
            on_progress(report)
            report.add_run(await self.publish_due())
        return report

    async def publish_due(self, *, hour: bool = False, everything: bool = False) -> ScheduledReport:
        """Work for people, by tier and on contents, as far as it is due and the time allows.

        1. In each hour: publish the hourly documents of people that changed, and then count people by tier.
        2. In each half day: publish their weeks and quarters that changed, and the documents that change with
           time alone. Once a day, delete again what is published about people who refuse.
        3. Build the contents that are due, publish what shows them, and once a day write the usage of
           passages: see :class:`ContentBuilds`.

        The work goes in pieces. A run ends after :data:`SCHEDULED_SECONDS`, and the next one continues.
        Concurrent and repeated runs are harmless. An incomplete generation publishes nothing, and publishes
        everything once it is complete.

        Parameters
        ----------
        hour
            Begin the work of the hour now, even if it was done in this hour.
        everything
            Begin all of it now, even if it was done in this half day.

        Raises
        ------
        TransientStaleReadError
            Other instances kept publishing a document, or a replica lagged, through all retries.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. The next run repeats the piece and continues.
        """
        report = ScheduledReport()
        if not await self._generations.is_complete():
            _log.info("refresh_held_back", generation=self._generation)
            return report
        began = self._clock.monotonic()
        with measured_cost() as report.cost:
            if hour or everything:
                tasks = Task if everything else (Task.CHANGED_HOURLY,)
                await self._people.update(lambda rounds: rounds.again(list(tasks)))
            if everything:
                await self._builds.list_work([], everything=True)
            people = await self._work_for_people(began + PEOPLE_SECONDS, report)
            contents = await self._build(began + SCHEDULED_SECONDS, report)
            report.unfinished = not (people and contents)
        _log.info(
            "views_refreshed",
            **{each.name: getattr(report, each.name) for each in fields(report) if each.name != "cost"},
            **report.cost.log_fields(),
        )
        return report

    async def _work_for_people(self, deadline: float, report: ScheduledReport) -> bool:
        """Work through the rounds; return whether nothing is left."""
        done, rounds = PeopleReport(), await self._people.read()
        for task in Task:
            rounds = await self._people.work(rounds, task, deadline, self._list_days, done)
            if rounds.tiers.asked and not rounds.of(Task.CHANGED_HOURLY).left:
                rounds = await self._count_tiers(rounds, deadline, report)
        report.changed, report.aged, report.pieces = done.changed, done.aged, done.pieces
        for published in done.published:
            report.add(published)
        return rounds.is_finished(self._clock.now())

    async def _count_tiers(self, rounds: Rounds, deadline: float, report: ScheduledReport) -> Rounds:
        """Count people by tier as far as the time allows; return the rounds as they are stored."""
        request = rounds.tiers
        tiers = await self._tiers.publish(
            self._clock.now(),
            request.months,
            everything=request.everything,
            asked=request.asked,
            deadline=deadline,
        )
        report.published += tiers.published
        return (
            rounds if tiers.unfinished else await self._people.update(lambda known: known.with_tiers(request))
        )

    async def _list_days(self, days: set[Day]) -> None:
        await self._builds.list_work(days)

    async def _build(self, deadline: float, report: ScheduledReport) -> bool:
        """Build contents and publish what shows them, and once a day write the usage of passages.

        Returns
        -------
        bool
            Whether nothing is left that is due.
        """
        builds = await self._builds.run(lambda documents: self._publish(documents, report), deadline)
        report.built, report.waiting = builds.built, builds.waiting
        if builds.is_daily:
            usage = await self._usage.write(self._builds.open_months())
            report.usage, report.absent = usage.patched, usage.absent
            await self._builds.finish_day()
        return not builds.unfinished

    async def _publish(self, documents: Sequence[DocumentKey], report: ScheduledReport) -> None:
        report.add(await self._publisher.publish_documents(documents))
