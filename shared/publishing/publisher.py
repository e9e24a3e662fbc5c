"""Publish views: merge the partials of a key, render, and write the document unless it is older.

Publishing is a function of state and may run any number of times, in any number of instances. Each document
says which state it shows; of two publications the one that shows more wins.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any
from weakref import WeakValueDictionary

import structlog
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from tenacity import AsyncRetrying

from shared.aggregates.base import PartialKey
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import is_service_fault, retrying
from shared.errors import UnknownViewError
from shared.ledger.generations import Generations
from shared.poison.store import PoisonStore
from shared.publishing.inputs import (
    Batch,
    DocumentKey,
    Reader,
    Shown,
    emptied,
    person_of,
    portions,
    showing,
    withdrawn,
)
from shared.publishing.merge import OVERLAP_SECONDS, Merger
from shared.publishing.readiness import Builds
from shared.publishing.writer import Published, StaleReadError, Standing, UnconfirmedError, Writer, keep
from shared.settings import Settings
from shared.views import VIEWS
from shared.views.base import Rendered, Schedule, View

CONCURRENCY = 16
"""Documents published at the same time by one instance."""

VIEW_STATE = "view_state"
"""The container that is published from: the source that poison rows of views name."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PublishReport:
    """What became of a batch of changed partials."""

    partials: int
    published: int = 0
    missed: int = 0
    """Of those, documents that did not show what was delivered: somebody else should have published them."""
    current: int = 0
    """Documents that showed this state already."""
    held: int = 0
    """Documents of views that are being rebuilt, or were never counted from the beginning."""
    absent: int = 0
    """Documents that were asked for and that nothing was counted for."""
    poisoned: list[str] = field(default_factory=list)
    """Ids of the poison rows."""
    cost: Cost = field(default_factory=Cost)


class _Outcome(Enum):
    PUBLISHED = auto()
    MISSED = auto()
    """Published, and it was high time."""
    CURRENT = auto()
    ABSENT = auto()
    HELD = auto()


class Publisher:
    """Writes the containers of all views from ``view_state``.

    Parameters
    ----------
    clock
        Tells the time to views whose documents depend on it.
    """

    def __init__(
        self,
        *,
        merger: Merger,
        writer: Writer,
        poison: PoisonStore,
        generations: Generations,
        builds: Builds,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._generations = generations
        self._builds = builds
        self._reader = Reader(merger, writer)
        self._poison = poison
        self._generation = settings.generation
        self._clock = clock
        self._writer = writer
        self._shown: OrderedDict[DocumentKey, tuple[str, str]] = OrderedDict()
        # A lock lives as long as somebody holds it or waits for it.
        self._locks: WeakValueDictionary[DocumentKey, asyncio.Lock] = WeakValueDictionary()

    async def publish(self, changes: Sequence[Mapping[str, Any]]) -> PublishReport:
        """Publish every document of the live views that shows what changed, and take away what must go.

        A generation that is not complete writes nothing, and so never replaces the figures of an earlier
        one by partial ones. Once it is, the auditor publishes everything from the beginning of this feed on.
        What a refusal takes away is taken away even so, and of a view that is being rebuilt.

        Parameters
        ----------
        changes
            Documents of ``view_state`` as its change feed delivers them; ledger pages and partials of
            another generation are passed over.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. Publishing the same changes again is harmless.
        """
        batch = self._reader.take(changes)
        must_go = dict.fromkeys(withdrawn(batch.delivered))
        documents = dict.fromkeys(
            [*showing(batch.delivered, Schedule.LIVE), *must_go, *emptied(batch.delivered)]
        )
        return await self._publish_all(list(documents), batch, must_go)

    async def publish_documents(self, documents: Sequence[DocumentKey]) -> PublishReport:
        """Publish documents from the state as it stands now, unless they show it already.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        return await self._publish_all(documents, Batch())

    async def publish_again(self, documents: Iterable[DocumentKey]) -> PublishReport:
        """Publish documents from the state as it stands now, even if they show it already.

        For what a change of state no longer brings about: a document that could not be published when its
        state last changed, or that an earlier release rendered wrongly.

        Raises
        ------
        UnknownViewError
            There is no such view.
        GenerationIncompleteError
            This generation has not counted everything yet.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        documents = list(documents)
        for document in documents:
            if document.view not in VIEWS:
                raise UnknownViewError(f"{document.view!r} is not a view: {', '.join(VIEWS)}")
        return await self._publish_all(documents, Batch(again=True))

    async def _publish_all(
        self, documents: Sequence[DocumentKey], batch: Batch, must_go: Collection[DocumentKey] = ()
    ) -> PublishReport:
        report = PublishReport(partials=sum(map(len, batch.delivered.values())))
        with measured_cost() as report.cost:
            for portion in portions(documents):
                await self._publish_portion(portion, batch, must_go, report)
        if report.held < len(documents):
            _log_batch(report)
        return report

    async def _publish_portion(
        self,
        asked: Sequence[DocumentKey],
        batch: Batch,
        must_go: Collection[DocumentKey],
        report: PublishReport,
    ) -> None:
        built = await self._may_be_written(asked, again=batch.again)
        held = {document for document in asked if document.view not in built}
        documents = [document for document in asked if document not in held or document in must_go]
        report.held += len(asked) - len(documents)
        part = Batch(batch.delivered, again=batch.again, held=held)

        async def one(document: DocumentKey) -> None:
            await self._publish_isolated(document, part, report)

        if not part.again:
            await self._reader.read(documents, part)
        await for_each(documents, one, at_once=CONCURRENCY)

    async def _may_be_written(self, documents: Sequence[DocumentKey], *, again: bool) -> frozenset[str]:
        """Return the names of the views that are not held back."""
        if not await self._generations.is_complete():
            if again:
                raise self._generations.incomplete()
            _log.info("views_held_back", documents=len(documents))
            return frozenset()
        return await self._builds.built()

    async def _publish_isolated(self, document: DocumentKey, batch: Batch, report: PublishReport) -> None:
        tries = retrying(
            StaleReadError,
            CosmosAccessConditionFailedError,
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
        )
        try:
            async with self._locks.setdefault(document, asyncio.Lock()):
                outcome = await self._publish_document(document, batch, tries)
        except Exception as error:
            if is_service_fault(error) or (isinstance(error, StaleReadError) and error.may_pass):
                raise
            row_id = await self._poison.record(
                source=VIEW_STATE,
                handler=f"publish_{document.view}",
                document={"id": "|".join(document), "user_id": person_of(document), **document._asdict()},
                error=error,
                attempts=tries.statistics.get("attempt_number", 1),
            )
            _log.error("view_poisoned", view=document.view, error_type=type(error).__name__)
            report.poisoned.append(row_id)
        else:
            report.published += outcome in (_Outcome.PUBLISHED, _Outcome.MISSED)
            report.missed += outcome is _Outcome.MISSED
            report.current += outcome is _Outcome.CURRENT
            report.absent += outcome is _Outcome.ABSENT
            report.held += outcome is _Outcome.HELD

    async def _publish_document(self, document: DocumentKey, batch: Batch, tries: AsyncRetrying) -> _Outcome:
        """Bring one document up to date."""
        view = VIEWS[document.view]
        inputs = view.inputs(document.key)
        if batch.again:
            self._forget(document, inputs)
        stale: set[str] = set()
        async for attempt in tries:
            with attempt:
                first = attempt.retry_state.attempt_number == 1
                try:
                    shown = await self._reader.shown(inputs, batch, first=first)
                    standing = batch.standing.get(document) if first else None
                    trusted = first and bool(shown.delivered)
                    try:
                        return await self._write(
                            view, document, shown, standing, batch, confirmed=not trusted
                        )
                    except UnconfirmedError:
                        shown = await self._reader.shown(inputs, batch, first=False)
                        return await self._write(view, document, shown, standing, batch)
                except Exception as error:
                    self._forget(document, inputs)
                    if isinstance(error, StaleReadError):
                        stale.add(error.published.etag)
                        error.may_pass = len(stale) > 1 or self._is_new(error.published)
                    raise
        raise AssertionError("the retry policy either returns or raises")

    def _is_new(self, published: Published) -> bool:
        """Say whether a document shows what was written so lately that a replica may not have it."""
        lag = timedelta(seconds=OVERLAP_SECONDS)
        return published.as_of is not None and self._clock.now() - published.as_of < lag

    def _forget(self, document: DocumentKey, inputs: Iterable[PartialKey]) -> None:
        """Read everything again next time."""
        self._reader.forget(inputs)
        self._shown.pop(document, None)

    async def _write(
        self,
        view: View,
        document: DocumentKey,
        shown: Shown,
        standing: Mapping[str, Standing] | None,
        batch: Batch,
        *,
        confirmed: bool = True,
    ) -> _Outcome:
        if shown.is_empty:
            return _Outcome.ABSENT
        # Others may add to the merges while this waits; from here to the rendering it does not wait.
        stamp, digest = (
            shown.stamp(self._generation, view.tick(document.key, self._clock.now())),
            shown.digest(),
        )
        if self._shown.get(document) == (digest, stamp.tick) and not batch.again:
            return _Outcome.CURRENT
        outcome, open_to_others = _Outcome.CURRENT, False
        documents = list(view.render(document.key, shown.states(), stamp))
        if document in batch.held and any(rendered.body is not None for rendered in documents):
            return _Outcome.HELD
        document_set = view.document_set(document.key)
        if document_set is not None and standing is None:
            (standing,) = await self._writer.find(view.container, [document_set])
        given = {rendered.id for rendered in documents}
        lost = [Rendered(i, there.partition, None) for i, there in (standing or {}).items() if i not in given]
        for rendered in [*documents, *lost]:
            writing = await self._writer.write(
                view.container,
                rendered,
                stamp,
                digest,
                standing,
                again=batch.again,
                keep_equal=view.skip_unchanged,
                confirmed=confirmed,
            )
            open_to_others |= writing.kept or rendered.body is None
            if not writing.done or outcome is _Outcome.MISSED:
                continue
            missed = shown.was_missed(writing.replaced, stamp.generation)
            outcome = _Outcome.MISSED if missed else _Outcome.PUBLISHED
        # Where a document was left, or there is none, somebody who saw less may write still: then it has to
        # be looked at again.
        if not open_to_others:
            keep(self._shown, document, (digest, stamp.tick))
        return outcome


def _log_batch(report: PublishReport) -> None:
    _log.info(
        "views_published",
        partials=report.partials,
        published=report.published,
        missed=report.missed,
        current=report.current,
        poisoned=len(report.poisoned),
        **report.cost.log_fields(),
    )
