"""Ingest a batch of documents. Each is counted exactly once; a bad document fails alone."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import finish_all, for_each
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.retries import document_pause
from shared.documents.versions import newer_version
from shared.errors import ConflictError, DocumentError, FullError, MassFailureError
from shared.facts import USERS
from shared.ingest.folding import Folding, is_not_its_own_fault, take_decided
from shared.ingest.sources import SOURCES, Source
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.people_register import PeopleRegister
from shared.ledger.shards import ShardId
from shared.poison.store import PoisonStore
from shared.pricing.price_book import PriceBook
from shared.pricing.table import PriceTable
from shared.privacy.errors import message_of, place_of
from shared.settings import Settings

POISON_CONCURRENCY = 16
"""Bad documents of one batch that are retried, and written to poison, concurrently."""

MASS_FAILURE_MINIMUM = 5
"""Fold failures from which a batch is retried rather than poisoned, if most of its documents failed."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class IngestReport:
    """The outcome of a batch."""

    documents: int
    replayed: bool = False
    folded: FoldResult = field(default_factory=FoldResult)
    poisoned: list[str] = field(default_factory=list)
    """Ids of the poison rows."""
    still_in_poison: int = 0
    """Documents of an audit that cannot be counted, in the version that is in poison already."""
    shards: int = 0
    cost: Cost = field(default_factory=Cost)

    @property
    def counted(self) -> int:
        """Documents that were counted: new ones and new versions."""
        return self.folded.verdicts[Verdict.ADDED] + self.folded.verdicts[Verdict.REPLACED]

    @property
    def changed(self) -> int:
        """Documents that changed the state: counted, or no longer counted."""
        return self.counted + self.folded.verdicts[Verdict.UNCOUNTED]


class ParsedDocument(NamedTuple):
    """A document as it was delivered, and as the change to fold."""

    raw: object
    change: Change


@dataclass(frozen=True, slots=True)
class _Failure:
    raw: object
    error: Exception


class Ingest:
    """Counts batches of a source's documents in ``view_state``."""

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        writer: ShardWriter,
        prices: PriceBook,
        poison: PoisonStore,
        register: PeopleRegister,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self._writer = writer
        self._register = register
        self._folding = Folding(
            database=database, writer=writer, prices=prices, settings=settings, clock=clock
        )
        self._prices = prices
        self._poison = poison
        self._settings = settings
        self._newer_versions: set[tuple[str, str]] = set()
        """Sources and versions that were reported. There are 10,000 minor versions at most."""

    async def ingest_batch(
        self,
        source_name: str,
        documents: Sequence[object],
        *,
        live: bool = False,
        audited: bool = False,
        replayed: bool = False,
    ) -> IngestReport:
        """Count a batch; return when every document is counted, known to be counted, or in poison.

        Parameters
        ----------
        live
            The documents were read from the source just now, rather than delivered by its feed.
        audited
            The documents are known to have been delivered before, in most cases. A version that is in poison
            has not failed again: its row stays as it is.
        replayed
            The caller says what failed again: it is no error in the log.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError
            The service did not answer, or other instances wrote the same documents, through all retries.
            Parts of the batch may be counted. Ingesting the whole batch again counts nothing twice.
        """
        report = IngestReport(len(documents), replayed)
        source = SOURCES[source_name]
        with measured_cost() as report.cost:
            prices = await self._prices.table()
            parsed, unparsed = parse_changes(source, documents, prices, live)
            self._report_newer_versions(source, parsed)
            by_shard: dict[ShardId, list[ParsedDocument]] = defaultdict(list)
            for document in parsed:
                by_shard[self._folding.shard(document.change)].append(document)
            report.shards = len(by_shard)
            if audited:
                unparsed = await self._leave_in_poison(source, unparsed, live, report)
            # Documents that cannot be parsed wait for their next attempts while the others are folded.
            retried = asyncio.create_task(self._retry_then_poison(source, unparsed, live, report))
            fold, at_once = partial(self._fold_shard, source, report), self._settings.shard_concurrency
            folded = asyncio.create_task(for_each(by_shard.items(), fold, max_concurrency=at_once))
            await finish_all(folded, retried)
            failures = [failure for of_shard in folded.result() for failure in of_shard]
            _raise_on_mass_failure(failures, len(parsed))
            if audited:
                failures = await self._leave_in_poison(source, failures, live, report)
            await self._retry_then_poison(source, failures, live, report)
            for change in report.folded.overridden:
                await self._folding.confirm(source, change, report.folded)
            await self._poison_refused(source, report, audited=audited)
            if report.folded.unknown:
                raise ConflictError(f"the order of {len(report.folded.unknown)} versions is not decided")
        _log_batch(source, documents, report, self._clock.timestamp())
        return report

    def _report_newer_versions(self, source: Source, documents: Sequence[ParsedDocument]) -> None:
        """Warn of versions that this release does not know, once each. The days count the documents."""
        for document in documents:
            assert isinstance(document.raw, Mapping)  # noqa: S101  it was parsed
            version = newer_version(source.document_type, document.raw)
            if version is not None and (source.name, version) not in self._newer_versions:
                self._newer_versions.add((source.name, version))
                _log.warning("newer_schema_version", source=source.name, schema_version=version)

    async def _fold_shard(
        self, source: Source, report: IngestReport, of_shard: tuple[ShardId, list[ParsedDocument]]
    ) -> list[_Failure]:
        """Fold one shard's changes. If they fail, fold each half alone, down to the documents that fail.

        Limit: an error of the service or of contention is raised.
        """
        shard, documents = of_shard
        changes, outcome = [document.change for document in documents], FoldResult()
        try:
            try:
                await self._writer.apply(shard, source.name, changes, outcome)
            finally:
                unclear = take_decided(outcome, report.folded)
            undecided = await self._folding.settle(source, unclear, report.folded)
        except Exception as error:
            if is_not_its_own_fault(error):
                raise
            if len(documents) == 1:
                return [_Failure(documents[0].raw, error)]
        else:
            raw_of = {_identity(document.change): document.raw for document in documents}
            return [_Failure(raw_of[_identity(change)], error) for change, error in undecided]
        middle = len(documents) // 2
        return [
            *await self._fold_shard(source, report, (shard, documents[:middle])),
            *await self._fold_shard(source, report, (shard, documents[middle:])),
        ]

    async def _leave_in_poison(
        self, source: Source, failures: Sequence[_Failure], live: bool, report: IngestReport
    ) -> list[_Failure]:
        """Return the failures whose version is not in poison yet. The rows of the others stay as they are.

        Their earlier versions are uncounted all the same: that may have failed when the row was written.
        """
        held = partial(self._poison.holds, source.name, source.handler)
        known = await for_each(
            [failure.raw for failure in failures], held, max_concurrency=POISON_CONCURRENCY
        )
        new: list[_Failure] = []
        for failure, is_known in zip(failures, known, strict=True):
            if not is_known:
                new.append(failure)
                continue
            report.still_in_poison += 1
            _log.debug("document_still_in_poison", source=source.name)
            await self._uncount(source, failure.raw, failure.error, live, report)
        return new

    async def _retry_then_poison(
        self, source: Source, failures: Sequence[_Failure], live: bool, report: IngestReport
    ) -> None:
        retry = partial(self._retry_document, source, live, report)
        await for_each(failures, retry, max_concurrency=POISON_CONCURRENCY)

    async def _retry_document(
        self, source: Source, live: bool, report: IngestReport, failure: _Failure
    ) -> None:
        """Retry one document alone. After the last attempt, write it to poison."""
        attempts, error = self._settings.document_attempts, failure.error
        for attempt in range(1, attempts):
            await asyncio.sleep(document_pause(attempt, self._settings.document_backoff_seconds))
            try:
                change = source.to_change(failure.raw, await self._prices.table(), live)
                await self._folding.fold_one(source, change, report.folded)
                return
            except Exception as again:
                if is_not_its_own_fault(again):
                    raise
                error = again
        owner = source.owner_of(failure.raw)
        if owner is not None and await self._register.is_erased(owner):
            report.folded.verdicts[Verdict.ERASED] += 1
            return
        await self._uncount(source, failure.raw, error, live, report)
        row_id = await self._poison.record(
            source=source.name, handler=source.handler, document=failure.raw, error=error, attempts=attempts
        )
        _report_poisoned(source, row_id, error, report)

    async def _poison_refused(self, source: Source, report: IngestReport, *, audited: bool) -> None:
        """Record the documents for which a state has no room: one row per person and month, with a count.

        A document for which a shared state has no room has a row of its own.
        """
        rows: Counter[tuple[str, str, str, str | None]] = Counter()
        for change, verdict in report.folded.refused:
            month = change.fact.hour[:7].replace("-", "")
            if verdict is Verdict.CROWDED:
                etag = change.version.etag
                rows[f"a state of the month {month}", change.document_id, change.user_id, etag] += 1
            elif source.name == USERS:
                rows["the record of the person's accounts", "full|accounts", change.user_id, None] += 1
            else:
                rows[f"the person's month {month}", f"full|{month}", change.user_id, None] += 1
        for (what, document_id, user_id, etag_of_one), count in rows.items():
            document = {"id": document_id, "user_id": user_id, "_etag": etag_of_one}
            if audited and await self._poison.holds(source.name, source.handler, document):
                report.still_in_poison += count
                continue
            full = FullError(what)
            row_id = await self._poison.record(
                source=source.name, handler=source.handler, document=document, error=full, attempts=count
            )
            _report_poisoned(source, row_id, full, report)

    async def _uncount(
        self, source: Source, raw: object, error: Exception, live: bool, report: IngestReport
    ) -> None:
        """Subtract the earlier version of a document whose current version cannot be counted, if it must be.

        An error of the service or of contention is raised. Any other error is only logged, because the row in
        poison must be written.
        """
        try:
            change = source.to_uncounted(raw, error, live)
            if change is not None:
                await self._folding.fold_one(source, change, report.folded)
        except Exception as failed:
            if is_not_its_own_fault(failed):
                raise
            _log.error(
                "withdrawal_failed",
                source=source.name,
                error_type=type(failed).__name__,
                where=place_of(failed),
            )


def _identity(change: Change) -> tuple[str, str, str]:
    return change.user_id, change.document_id, change.version.etag


def _report_poisoned(source: Source, row_id: str, error: Exception, report: IngestReport) -> None:
    report.poisoned.append(row_id)
    if report.replayed:
        _log.debug("document_still_in_poison", source=source.name)
        return
    _log.error(
        "document_poisoned",
        source=source.name,
        poison_id=row_id,
        error_type=type(error).__name__,
        field=error.field if isinstance(error, DocumentError) else None,
    )


def _raise_on_mass_failure(failures: Sequence[_Failure], parsed: int) -> None:
    """Raise an error if most of a batch's parsed documents failed.

    At least :data:`MASS_FAILURE_MINIMUM` of them must have failed. The documents are then unlikely to be the
    cause. The cause may be a container that differs from the catalogue, or an error in this code. The lease
    does not advance, so that the lag becomes visible and the whole feed does not go to poison.
    """
    if len(failures) >= MASS_FAILURE_MINIMUM and 2 * len(failures) > parsed:
        _log.error(
            "most_of_batch_failed",
            failed=len(failures),
            documents=parsed,
            error_type=type(failures[0].error).__name__,
        )
        raise MassFailureError(
            f"{len(failures)} of {parsed} documents failed: {message_of(failures[0].error)}"
        ) from None


def parse_changes(
    source: Source, documents: Sequence[object], prices: PriceTable, live: bool
) -> tuple[list[ParsedDocument], list[_Failure]]:
    """Return the documents that can be parsed as changes, and the others with their errors."""
    parsed: list[ParsedDocument] = []
    failures: list[_Failure] = []
    for raw in documents:
        try:
            parsed.append(ParsedDocument(raw, source.to_change(raw, prices, live)))
        except Exception as error:  # noqa: BLE001  the document caused it, whichever type it has
            failures.append(_Failure(raw, error))
    return parsed, failures


def _log_batch(source: Source, documents: Sequence[object], report: IngestReport, now: float) -> None:
    written = [
        raw["_ts"] for raw in documents if isinstance(raw, Mapping) and isinstance(raw.get("_ts"), int)
    ]
    _log.info(
        "batch_folded",
        source=source.name,
        documents=report.documents,
        **{verdict.value: report.folded.verdicts[verdict] for verdict in Verdict},
        poisoned=len(report.poisoned),
        still_in_poison=report.still_in_poison,
        shards=report.shards,
        conflicts=report.folded.conflicts,
        commits=report.folded.commits,
        **report.cost.log_fields(),
        oldest_age_s=round(now - min(written)) if written else None,
    )
