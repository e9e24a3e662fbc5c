"""Publish the documents of views: plan, read inputs, render, decide, write.

Publishing is a function of the state in ``view_state``. It may run any number of times, in any number of
instances. Every document carries the state that it was computed from, and the newer state wins (``decide``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import structlog
from tenacity import AsyncRetrying

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.clock import REPLICA_LAG_SECONDS, SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.containers import VIEW_STATE
from shared.cosmos.charges import measured_cost
from shared.cosmos.retries import is_service_fault, retrying
from shared.errors import TransientStaleReadError
from shared.poison.store import PoisonStore
from shared.publishing.consent import ConsentKeeper
from shared.publishing.contents import ContentReader
from shared.publishing.decide import (
    Candidate,
    NeedsRead,
    Stale,
    WriteWhen,
    decide,
    is_final,
    stale_error,
)
from shared.publishing.existing import (
    Address,
    Existing,
    ExistingDocuments,
    LruCache,
)
from shared.publishing.inputs import BatchInputs, InputReader
from shared.publishing.merge import StateMerger
from shared.publishing.merged_state import StoredPartial
from shared.publishing.plan import (
    Delivered,
    DocumentKey,
    batches_within_memory,
    documents_affected_by,
    documents_of_person,
    inputs_of,
    people_pending,
    person_of,
)
from shared.publishing.readiness import ViewReadiness
from shared.publishing.reference import ReferenceReader
from shared.publishing.report import Outcome, PublishReport
from shared.publishing.writer import WRITE_CONFLICTS, ViewWriter, WriteResult
from shared.settings import Settings
from shared.views import VIEWS, view_named
from shared.views.base import Rendered, Schedule
from shared.views.reference import NOTHING_KNOWN

REMEMBERED_STATES = 20_000
"""Document keys of which an instance remembers the state that it published last, of some 350 bytes each. One
that is forgotten is read and rendered again."""

MAX_CONCURRENT_DOCUMENTS = 16
"""Documents that one instance publishes concurrently."""


_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Batch:
    """Documents that are published together, and the states and documents that were read for them."""

    inputs: BatchInputs
    existing: Mapping[DocumentKey, Existing] = field(default_factory=dict)
    always: bool = False
    """Documents are written even if they carry this state already."""
    written: list[DocumentKey] = field(default_factory=list)
    """Those that were created or replaced."""


@dataclass(slots=True)
class _Work:
    """One document key on its way through one or more passes of the five steps."""

    document: DocumentKey
    batch: _Batch
    passes: int = 0
    """The first pass uses the states that were read for the batch. Later passes read their own."""
    stale: list[Stale] = field(default_factory=list)
    """The stale reads so far."""


class Publisher:
    """Publishes the documents of all views from ``view_state``.

    Parameters
    ----------
    clock
        The clock, for views whose documents depend on the time.
    """

    def __init__(
        self,
        *,
        merger: StateMerger,
        contents: ContentReader,
        reference: ReferenceReader,
        existing: ExistingDocuments,
        writer: ViewWriter,
        poison: PoisonStore,
        readiness: ViewReadiness,
        consent: ConsentKeeper,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._consent = consent
        self._inputs = InputReader(merger)
        self._contents = contents
        self._reference = reference
        self._existing = existing
        self._writer = writer
        self._poison = poison
        self._readiness = readiness
        self._generation = settings.generation
        self._clock = clock
        self._last_published = LruCache[DocumentKey, tuple[str, str]](REMEMBERED_STATES)
        """Digest and tick that a document key was published with last."""
        # A lock exists as long as a publication holds it or waits for it.
        self._locks: WeakValueDictionary[DocumentKey, asyncio.Lock] = WeakValueDictionary()

    async def publish(self, changes: Sequence[Mapping[str, Any]]) -> PublishReport:
        """Publish every document of the live views that changed states affect, and follow people's consent.

        An incomplete generation writes nothing, so that partial figures never replace those of an earlier
        generation. Once it is complete, the auditor publishes everything from the beginning of this feed on.

        Parameters
        ----------
        changes
            Documents of ``view_state`` as its change feed delivers them. Ledger pages, and partials of
            another generation, are skipped.

        Raises
        ------
        TransientStaleReadError
            Other instances kept publishing a document, or a replica lagged, through all retries.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. Publishing the same changes again is harmless.
        """
        delivered = self._inputs.parse(changes)
        for user_id in people_pending(delivered):  # first, so that nothing else delays a refusal
            await self.follow_record(user_id, delivered[PartialKey(person.NAME, user_id)])
        return await self._publish_batch(documents_affected_by(delivered, Schedule.LIVE), delivered)

    async def follow_record(self, user_id: str, delivered: Sequence[StoredPartial] = ()) -> None:
        """Bring everything that is published about a person up to date with their record.

        The record of a person who refuses deletes all of it, even while views are held back. Otherwise all of
        it is published again. A record that changes meanwhile stays pending.

        Parameters
        ----------
        delivered
            The person's partial as the change feed delivered it. A replica that does not have it yet lags.

        Raises
        ------
        TransientStaleReadError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`publish`.
        """
        record, revision, etag = await self._consent.read(user_id)
        since = self._clock.timestamp() - REPLICA_LAG_SECONDS
        if any(each.partial.revision > revision and each.written > since for each in delivered):
            raise TransientStaleReadError("the replica that was read lacks a person's newest record")
        if etag is None or not record.pending:
            return
        if record.refused:
            await self._consent.purge(user_id)
        else:
            await self.publish_documents(documents_of_person(user_id, record))
        await self._consent.settle(user_id, etag)

    async def publish_documents(self, documents: Sequence[DocumentKey]) -> PublishReport:
        """Publish documents from the current state. Documents that carry it already are not written.

        Raises
        ------
        TransientStaleReadError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`publish`.
        """
        return await self._publish_batch(documents, {})

    async def publish_again(self, documents: Iterable[DocumentKey]) -> PublishReport:
        """Publish documents from the current state, even if they already carry it.

        For documents that no change of state would publish. They could not be published when their state
        changed last, or an earlier release rendered them wrongly.

        Raises
        ------
        UnknownViewError
            There is no such view.
        GenerationIncompleteError
            This generation has not counted everything yet.
        TransientStaleReadError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`publish`.
        """
        documents = list(documents)
        for document in documents:
            view_named(document.view)
        if documents:
            await self._readiness.require_complete()
        return await self._publish_batch(documents, {}, always=True)

    async def _publish_batch(
        self,
        documents: Sequence[DocumentKey],
        delivered: Delivered,
        *,
        always: bool = False,
    ) -> PublishReport:
        report = PublishReport(partials=sum(map(len, delivered.values())))
        with measured_cost() as report.cost:
            for part in batches_within_memory(documents):
                held = await self._readiness.held_back(part)
                publishable = [each for each in part if each not in held]
                report.held += len(part) - len(publishable)
                if always:
                    batch = await self._read_batch_again(publishable)
                else:
                    batch = await self._read_batch(publishable, delivered)
                try:
                    await for_each(
                        publishable,
                        partial(self._publish_document, batch=batch, report=report),
                        max_concurrency=MAX_CONCURRENT_DOCUMENTS,
                    )
                finally:
                    await self._heed_refusals(batch.written)
        if report.held < len(documents):
            report.log()
        return report

    async def _read_batch(self, documents: Sequence[DocumentKey], delivered: Delivered) -> _Batch:
        inputs = await self._inputs.read_batch(documents, delivered)
        return _Batch(inputs, await self._existing.read_sets(documents))

    async def _read_batch_again(self, documents: Sequence[DocumentKey]) -> _Batch:
        """Read completely: what this instance remembers may be what is wrong."""
        for document in documents:
            self._forget(document)
        return replace(await self._read_batch(documents, {}), always=True)

    async def _publish_document(self, document: DocumentKey, *, batch: _Batch, report: PublishReport) -> None:
        """Publish one document key, with retries. An error that is not the service's goes to poison."""
        work = _Work(document, batch)
        attempt = retrying(*WRITE_CONFLICTS, results=(Stale,))
        try:
            async with self._locks.setdefault(document, asyncio.Lock()):
                outcome: Outcome | Stale | NeedsRead = await attempt(self._update_document, work)
                if isinstance(outcome, NeedsRead):  # the second pass reads, so a third is never needed
                    outcome = await attempt(self._update_document, work)
        except Exception as error:
            if is_service_fault(error):
                raise
            await self._record_poison(document, error, _attempts(attempt), report)
            return
        if not isinstance(outcome, Outcome):
            stale = stale_error(VIEWS[document.view].container, work.stale, self._clock.now())
            if isinstance(stale, TransientStaleReadError):
                raise stale
            await self._record_poison(document, stale, _attempts(attempt), report)
            return
        report.add(outcome)

    async def _update_document(self, work: _Work) -> Outcome | Stale | NeedsRead:
        """Bring the documents of one key up to date, in five steps.

        1. Plan: which states the documents are computed from.
        2. Read the inputs: those of the batch in the first pass, for this key alone in later ones.
        3. Render the documents. Documents of the key's set that are no longer rendered are to be deleted.
        4. Decide what to do with each document, given what is published.
        5. Write it.

        ``Stale`` and ``NeedsRead`` end a pass. The next pass decides on all documents again. Those that carry
        its state already are not written, unless :attr:`WriteWhen.ALWAYS`.
        """
        document, batch, view = work.document, work.batch, VIEWS[work.document.view]
        work.passes += 1
        try:
            # 1. Plan.
            inputs = view.inputs(document.key)
            # 2. Read the inputs. Contents first: they change rarely, and states may change while this reads.
            built = await self._contents.find(view, document.key)
            read = self._inputs.from_batch if work.passes == 1 else self._inputs.read_again
            view_input = replace(await read(inputs, batch.inputs), built=built)
            if view_input.is_empty:
                return Outcome.ABSENT
            tick = view.tick(document.key, self._clock.now())
            if not batch.always and self._last_published.get(document) == (view_input.digest(), tick):
                return Outcome.CURRENT
            reference = await self._reference.read() if view.uses_reference else NOTHING_KNOWN
            collector = view.collector(document.key, tick, reference)
            if collector is not None:
                await self._contents.collect(collector, built)
            # 3. Render. Reads for other documents may add to these states, so rendering must not await.
            stamp, digest = view_input.stamp(self._generation, tick), view_input.digest()
            rendered = list(view.render(document.key, view_input.states(collector, reference), stamp))
            delivery = view_input.delivery(self._generation)
            in_set = await self._read_set(work)
            results, carries_state = list[WriteResult](), True
            for each in (*rendered, *_no_longer_rendered(rendered, in_set or {})):
                # 4. Decide.
                candidate = Candidate(each, stamp, digest, view_input.origin, _write_when(batch, document))
                address = Address(view.container, each.id, each.partition)
                use_memory = candidate.write_when is WriteWhen.STATE_CHANGED
                decision = decide(
                    await self._existing.read(address, in_set, use_memory=use_memory), candidate
                )
                # 5. Write.
                results.append(await self._writer.write(address, decision, remember=not view.skip_unchanged))
                if isinstance(decision, Stale):
                    work.stale.append(decision)
                    self._forget(document)
                if isinstance(decision, Stale | NeedsRead):
                    return decision
                carries_state &= is_final(decision, candidate)
        except Exception:
            self._forget(document)
            raise
        if carries_state:
            self._last_published.put(document, (digest, tick))
        if any(each.written and not each.deleted for each in results):
            batch.written.append(document)
        return Outcome.of(results, delivery, view.schedule)

    async def _heed_refusals(self, written: Iterable[DocumentKey]) -> None:
        """Delete what is published about people who have refused since the state was read."""
        people = {user_id for document in written if (user_id := person_of(document)) is not None}
        for user_id in await self._consent.refusing(people):
            await self._consent.purge(user_id)

    async def _read_set(self, work: _Work) -> Existing | None:
        """Return the published documents of a key's set; None if the key has no set."""
        if work.passes == 1 and work.document in work.batch.existing:
            return work.batch.existing[work.document]
        view = VIEWS[work.document.view]
        document_set = view.document_set(work.document.key)
        return None if document_set is None else await self._existing.read_set(view.container, document_set)

    def _forget(self, document: DocumentKey) -> None:
        """Forget a document's last publication and its inputs."""
        self._inputs.forget(inputs_of(document))
        self._last_published.pop(document)

    async def _record_poison(
        self, document: DocumentKey, error: Exception, attempts: int, report: PublishReport
    ) -> None:
        row_id = await self._poison.record(
            source=VIEW_STATE,
            handler=f"publish_{document.view}",
            document={"id": "|".join(document), "user_id": person_of(document), **document._asdict()},
            error=error,
            attempts=attempts,
        )
        _log.error("view_poisoned", view=document.view, error_type=type(error).__name__)
        report.poisoned.append(row_id)


def _attempts(policy: AsyncRetrying) -> int:
    """Return how often a retry policy has run its function."""
    return int(policy.statistics.get("attempt_number", 1))


def _write_when(batch: _Batch, document: DocumentKey) -> WriteWhen:
    if batch.always:
        return WriteWhen.ALWAYS
    return WriteWhen.CONTENT_CHANGED if VIEWS[document.view].skip_unchanged else WriteWhen.STATE_CHANGED


def _no_longer_rendered(rendered: Iterable[Rendered], in_set: Existing) -> list[Rendered]:
    """Return the documents of a set that must not exist any more."""
    ids = {each.id for each in rendered}
    return [Rendered(i, existing.partition, None) for i, existing in in_set.items() if i not in ids]
