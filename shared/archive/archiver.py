"""Archive aged documents: plan, then page after page of each feed range.

A page is archived in this order, so that a process may die anywhere:

1. The documents of the next seconds are read: :mod:`shared.archive.pages`.
2. Those of erased people are left out. The others are stored: :mod:`shared.archive.writing`.
3. The position of the range is committed. Without this step the page is archived again, and found stored.

The sources are only read: a write would begin the documents' time to live again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy

from shared.archive import pages
from shared.archive.due import Position, Positions, alert_until, archived_containers, due_until
from shared.archive.manifests import Part, part_id
from shared.archive.store import Archive, ErasedAmong
from shared.archive.writing import Outcome, finish_parts, store_piece
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.containers import container as container_of
from shared.cosmos.change_feed import FeedRange, physical_ranges
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.ledger.generations import Generations
from shared.units import iso

RANGES_AT_ONCE = 4
"""Feed ranges that a command archives concurrently. Each holds one piece of a page, of at most 4 MB."""

_log = structlog.get_logger(__name__)


class Task(NamedTuple):
    """What is left to archive of one feed range. Holds no personal data."""

    container: str
    rid: str
    archive: str
    run: str
    low: str
    high: str
    after: int
    """The position of the range, a second."""
    until: int
    """The last second of which documents are due."""
    generation: int
    """The newest complete generation; 0 if there is none."""

    @property
    def range(self) -> FeedRange:
        """The feed range."""
        return FeedRange(self.low, self.high)


@dataclass(slots=True)
class PageReport:
    """The outcome of one page."""

    container: str
    after: int
    """The position of the range after it."""
    is_last: bool
    """Whether nothing else of the range was due."""
    expiring: int = 0
    """Its documents that would have expired within 14 days: an alert."""
    outcome: Outcome = field(default_factory=Outcome)
    cost: Cost = field(default_factory=Cost)


@dataclass(slots=True)
class ContainerReport:
    """The outcome of a run over one container."""

    container: str
    due: int | None = None
    """Documents that would be archived, in a dry run."""
    ranges: int = 0
    pages: int = 0
    expiring: int = 0
    """Documents that would have expired within 14 days: an alert."""
    outcome: Outcome = field(default_factory=Outcome)
    cost: Cost = field(default_factory=Cost)

    @classmethod
    def decode(cls, report: Mapping[str, Any]) -> Self:
        """Read the sum of pages as JSON has it."""
        outcome, cost = report.get("outcome", {}), report.get("cost", {})
        return cls(
            report["container"],
            ranges=report["ranges"],
            expiring=report.get("expiring", 0),
            outcome=Outcome(**outcome),
            cost=Cost(**cost),
        )

    def add(self, page: PageReport) -> None:
        """Add the outcome of a page."""
        self.pages += not page.is_last
        self.expiring += page.expiring
        self.outcome.add(page.outcome)
        self.cost.add(page.cost)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a container is archived."""

    container: str
    archive_after_days: int
    archived_until: int | None
    """Everything that was written until this second is archived; None if nothing is known to be."""
    due: int
    """Documents that are due and not archived."""
    expiring: int
    """Documents that expire within 14 days and are not archived: an alert."""
    last_run: Mapping[str, Any] | None


Progress = Callable[[int, int], None]
"""Called with the number of documents that are done, and of those that were due."""


class Archiver:
    """Copies aged documents to the archive.

    Parameters
    ----------
    erased_among
        Says which people are erased. Their documents are not archived.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        progress: ContainerProxy,
        archive: Archive,
        generations: Generations,
        erased_among: ErasedAmong,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._database = database
        self._progress = progress
        self._archive = archive
        self._generations = generations
        self._erased_among = erased_among
        self._clock = clock

    async def plan(self, name: str | None = None, *, older_than_days: int | None = None) -> list[Task]:
        """Return what is to do: a task for each feed range of the containers, or of the one that is named.

        Parts of manifests that a process left are completed.

        Raises
        ------
        NotArchivedError
            Documents of this container are not archived.
        """
        now = self._clock.now()
        run = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        names = archived_containers(name)
        identity = await self._archive.identity()
        assert identity is not None  # noqa: S101  it was created
        await finish_parts(self._archive, now, self._erased_among)
        generation = await self._counted_by()
        tasks: list[Task] = []
        for each in names:
            rid, positions, _ = await self._positions(each, identity)
            until = due_until(each, now.timestamp(), older_than_days)
            tasks += [
                Task(each, rid, identity, run, *of, positions.of(of), until, generation)
                for of in await physical_ranges(self._container(each))
            ]
        return tasks

    async def archive_page(self, task: Task) -> PageReport:
        """Archive the next page of a feed range, and commit the position after it.

        Raises
        ------
        StorageUnavailableError, ConflictError, HttpResponseError
            The storage did not answer, or refused: nothing is committed.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The database did not answer.
        """
        report = PageReport(task.container, task.after, is_last=True)
        with measured_cost() as report.cost:
            container = self._container(task.container)
            written = await pages.written(container, task.range, task.after, task.until)
            if written:
                through, number = max(written), 0
                alert = alert_until(task.container, self._clock.timestamp())
                report.expiring = sum(second <= alert for second in written)
                if report.expiring:
                    _log.warning("archive_overdue", source=task.container, documents=report.expiring)
                async for piece in pages.documents(container, task.range, task.after, through):
                    await self._archive_piece(task, f"{through}-{number}", piece, report.outcome)
                    number += 1
                await self._commit(task, through)
                report.after, report.is_last = through, False
        return report

    async def _archive_piece(
        self, task: Task, token: str, piece: Sequence[Mapping[str, Any]], outcome: Outcome
    ) -> None:
        users = {_user(document) for document in piece} - {""}
        erased = await self._erased_among(users)
        kept = [document for document in piece if _user(document) not in erased]
        outcome.erased += len(piece) - len(kept)
        part = Part(
            part_id(task.container, task.run, task.range, f"{token}-{secrets.token_hex(4)}"),
            task.container,
            task.range,
            {},
        )
        await store_piece(
            self._archive,
            part,
            kept,
            generation=task.generation,
            outcome=outcome,
            erased_among=self._erased_among,
        )

    async def finish(self, report: ContainerReport, run: str) -> None:
        """Record that a run over a container has ended, and log what it did."""
        outcome = asdict(report.outcome)
        last = {"run": run, "ended": iso(self._clock.now()), **outcome}

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any]:
            return {**(stored or {}), "last_run": last}

        await self._document(report.container).update(change)
        _log.info("documents_archived", source=report.container, **outcome, **report.cost.log_fields())

    async def run(
        self,
        name: str | None = None,
        *,
        older_than_days: int | None = None,
        dry_run: bool = False,
        on_progress: Progress | None = None,
    ) -> list[ContainerReport]:
        """Archive everything that is due; return one report per container.

        Parameters
        ----------
        on_progress
            With it, what is due is counted first.

        Raises
        ------
        NotArchivedError
            Documents of this container are not archived.
        Exception
            What :meth:`archive_page` raises. Pages that were committed stay archived.
        """
        if dry_run:
            return await self._dry_run(name, older_than_days)
        tasks = await self.plan(name, older_than_days=older_than_days)
        reports = {each: ContainerReport(each) for each in archived_containers(name)}
        due = 0 if on_progress is None else sum([await self._due(task) for task in tasks])

        async def work(task: Task) -> None:
            report = reports[task.container]
            report.ranges += 1
            while True:
                page = await self.archive_page(task)
                report.add(page)
                if on_progress is not None:
                    done = sum(_documents(each.outcome) for each in reports.values())
                    on_progress(done, max(due, done))
                if page.is_last:
                    return
                task = task._replace(after=page.after)

        await for_each(tasks, work, max_concurrency=RANGES_AT_ONCE)
        for report in reports.values():
            await self.finish(report, tasks[0].run)
        return list(reports.values())

    async def _due(self, task: Task) -> int:
        return await pages.count(self._container(task.container), task.range, task.after, task.until)

    async def _dry_run(self, name: str | None, older_than_days: int | None) -> list[ContainerReport]:
        reports = []
        identity = await self._archive.identity(create=False)
        for each in archived_containers(name):
            report = ContainerReport(each)
            with measured_cost() as report.cost:
                _, positions, _ = await self._positions(each, identity or "")
                until = due_until(each, self._clock.timestamp(), older_than_days)
                report.due = await self._not_archived(each, positions, until)
            reports.append(report)
        return reports

    async def status(self, name: str | None = None) -> list[Status]:
        """Return how far containers are archived, what is due, and what expires soon.

        Raises
        ------
        NotArchivedError
            Documents of this container are not archived.
        """
        identity = await self._archive.identity(create=False)
        statuses = []
        for each in archived_containers(name):
            _, positions, last = await self._positions(each, identity or "")
            now, days = self._clock.timestamp(), container_of(each).archive_after
            through = [position.through for position in positions.positions]
            statuses.append(
                Status(
                    each,
                    archive_after_days=days or 0,
                    archived_until=min(through, default=None),
                    due=await self._not_archived(each, positions, due_until(each, now)),
                    expiring=await self._not_archived(each, positions, alert_until(each, now)),
                    last_run=last,
                )
            )
        return statuses

    async def _not_archived(self, name: str, positions: Positions, until: int) -> int:
        """Return how many documents that were written until a second are not archived."""
        counted = self._container(name)
        behind = [(of, after) for of in await physical_ranges(counted) if (after := positions.of(of)) < until]
        return sum([await pages.count(counted, of, after, until) for of, after in behind])

    async def _counted_by(self) -> int:
        """Return the newest complete generation: it has counted everything that is due."""
        known = await self._generations.recorded()
        return max((number for number, each in known.items() if each.complete), default=0)

    async def _positions(self, name: str, identity: str) -> tuple[str, Positions, Any]:
        """Return the resource id of a container, its positions, and the record of the last run."""
        properties = await self._container(name).read(response_hook=record_charge)
        stored = await self._document(name).read()
        rid = str(properties["_rid"])
        return rid, Positions.decode(stored, rid, identity), (stored or {}).get("last_run")

    async def _commit(self, task: Task, through: int) -> None:
        claim = Position(task.range, through)

        def change(stored: Mapping[str, Any] | None) -> dict[str, Any]:
            known = Positions.decode(stored, task.rid, task.archive)
            return {**(stored or {}), **known.claiming(claim).encode()}

        await self._document(task.container).update(change)

    def _document(self, name: str) -> ControlDocument:
        return ControlDocument(self._progress, Scope.ARCHIVE, f"archive-{name}")

    def _container(self, name: str) -> ContainerProxy:
        return self._database.get_container_client(name)


def _user(document: Mapping[str, Any]) -> str:
    """Return the user id of a document, the empty text if it has none that is a text."""
    user_id = document.get("user_id")
    return user_id if isinstance(user_id, str) else ""


def _documents(outcome: Outcome) -> int:
    return outcome.archived + outcome.known + outcome.erased
