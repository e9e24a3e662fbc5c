"""Take a batch of changes: count each document exactly once, and let a bad one fail alone."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.concurrency import finish_all, for_each
from shared.cosmos.charges import Cost, measured_cost
from shared.cosmos.items import find_item
from shared.cosmos.retries import is_service_fault
from shared.errors import ConflictError, DocumentError
from shared.ingest.sources import SOURCES, Source
from shared.ledger.apply import FoldResult, ShardFolder
from shared.ledger.changes import Change, Verdict
from shared.ledger.shards import ShardId, shard_of
from shared.poison.store import PoisonStore
from shared.pricing.price_book import PriceBook
from shared.pricing.table import PriceTable
from shared.settings import Settings

POISON_CONCURRENCY = 16
"""Bad documents of one batch that are tried and written down at the same time."""

FEWEST_TO_REFUSE = 5
"""Documents that can be read but not folded: from so many in a batch on, if they are most of it, the batch is
held instead."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class IngestReport:
    """What became of a batch."""

    documents: int
    folded: FoldResult = field(default_factory=FoldResult)
    poisoned: list[str] = field(default_factory=list)
    """Ids of the poison rows."""
    shards: int = 0
    cost: Cost = field(default_factory=Cost)

    @property
    def counted(self) -> int:
        """Documents that were counted: new ones and new versions."""
        return self.folded.verdicts[Verdict.ADDED] + self.folded.verdicts[Verdict.REPLACED]

    @property
    def changed(self) -> int:
        """Documents that changed the state: those that were counted, and those taken back."""
        return self.counted + self.folded.verdicts[Verdict.WITHDRAWN]


@dataclass(frozen=True, slots=True)
class _Failure:
    raw: object
    error: Exception


class Ingest:
    """Folds batches of a source's documents into ``view_state``."""

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        folder: ShardFolder,
        prices: PriceBook,
        poison: PoisonStore,
        settings: Settings,
    ) -> None:
        self._database = database
        self._folder = folder
        self._prices = prices
        self._poison = poison
        self._settings = settings

    async def take(self, source_name: str, raws: Sequence[object], *, live: bool = False) -> IngestReport:
        """Fold a batch; return when every document is counted, known to be counted, or in poison.

        Parameters
        ----------
        live
            The documents were read from the source just now, rather than delivered by its feed.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError
            The service did not answer, through all retries. Parts of the batch may be counted; taking the
            whole batch again counts nothing twice.
        """
        report = IngestReport(documents=len(raws))
        source = SOURCES[source_name]
        with measured_cost() as report.cost:
            prices = await self._prices.table()
            good, bad = _parsed(source, raws, prices, live)
            # What cannot be read waits for its attempts while the rest is folded.
            failed = asyncio.ensure_future(self._fold_all(source, good, report))
            await finish_all(failed, self._retry_or_bury(source, bad, live, report))
            _refuse_to_bury_most(failed.result(), len(good))
            await self._retry_or_bury(source, failed.result(), live, report)
            if live:
                for _, change in good:
                    await self._fold_live(source, self._shard(change), change, change.version.etag, report)
        _log_batch(source, raws, report)
        return report

    async def _fold_all(
        self, source: Source, good: Sequence[tuple[object, Change]], report: IngestReport
    ) -> list[_Failure]:
        by_shard: dict[ShardId, list[tuple[object, Change]]] = defaultdict(list)
        for raw, change in good:
            by_shard[self._shard(change)].append((raw, change))
        report.shards = len(by_shard)

        async def fold(shard: ShardId) -> list[_Failure]:
            return await self._fold_isolating(source, shard, by_shard[shard], report)

        folded = await for_each(by_shard, fold, at_once=self._settings.shard_concurrency)
        return [failure for failures in folded for failure in failures]

    async def _fold_isolating(
        self, source: Source, shard: ShardId, pairs: list[tuple[object, Change]], report: IngestReport
    ) -> list[_Failure]:
        """Fold one shard's changes; if they fail through their own fault, find out which of them does."""
        result, failure = FoldResult(), None
        try:
            await self._folder.fold(shard, source.name, [change for _, change in pairs], result)
        except Exception as error:
            if is_service_fault(error) or isinstance(error, ConflictError):
                raise
            failure = error
        finally:
            unknown, result.unknown = result.unknown, []
            report.folded.merge(result)
        await self._resolve(source, shard, unknown, report)
        if failure is None:
            return []
        if len(pairs) == 1:
            return [_Failure(pairs[0][0], failure)]
        middle = len(pairs) // 2
        return [
            *await self._fold_isolating(source, shard, pairs[:middle], report),
            *await self._fold_isolating(source, shard, pairs[middle:], report),
        ]

    async def _resolve(
        self, source: Source, shard: ShardId, unknown: Sequence[Change], report: IngestReport
    ) -> None:
        """Fold the live documents where versions could not be told apart."""
        for change in unknown:
            await self._fold_live(source, shard, change, None, report)

    async def _fold_live(
        self, source: Source, shard: ShardId, of: Change, folded: str | None, report: IngestReport
    ) -> None:
        """Fold a document as it stands now, until it still stands so afterwards.

        What is read live goes before everything that was counted; so a version that came in between, and was
        counted elsewhere, must not be left overwritten by this older one.

        Parameters
        ----------
        folded
            Etag of the version that was folded already.
        """
        container = self._database.get_container_client(source.name)
        while (raw := await find_item(container, of.document_id, of.user_id)) is not None:
            if raw["_etag"] == folded:
                return
            folded = raw["_etag"]
            try:
                change = source.to_change(raw, await self._prices.table(), True)
            except DocumentError:
                return  # the feed delivers this version too, and it fails there with all that belongs to it
            report.folded.merge(await self._folder.fold(shard, source.name, [change]))

    async def _retry_or_bury(
        self, source: Source, bad: Sequence[_Failure], live: bool, report: IngestReport
    ) -> None:
        async def one(failure: _Failure) -> None:
            await self._try_alone(source, failure, live, report)

        await for_each(bad, one, at_once=POISON_CONCURRENCY)

    async def _try_alone(self, source: Source, failure: _Failure, live: bool, report: IngestReport) -> None:
        """Try one document again on its own; after the last attempt it goes to poison."""
        attempts, error = self._settings.document_attempts, failure.error
        for attempt in range(1, attempts):
            pause = self._settings.document_backoff_seconds * 2 ** (attempt - 1)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            try:
                change = source.to_change(failure.raw, await self._prices.table(), live)
                report.folded.merge(await self._folder.fold(self._shard(change), source.name, [change]))
                return
            except Exception as again:
                if is_service_fault(again) or isinstance(again, ConflictError):
                    raise
                error = again
        if isinstance(error, DocumentError):
            await self._withdraw(source, failure.raw, live, report)
        row_id = await self._poison.record(
            source=source.name, handler=source.handler, document=failure.raw, error=error, attempts=attempts
        )
        report.poisoned.append(row_id)
        _log.error(
            "document_poisoned",
            source=source.name,
            poison_id=row_id,
            error_type=type(error).__name__,
            field=error.field if isinstance(error, DocumentError) else None,
        )

    async def _withdraw(self, source: Source, raw: object, live: bool, report: IngestReport) -> None:
        """Take back what an earlier version counted for: this one, which stands now, counts for nothing.

        If that fails through no fault of the service, the row in poison is all the more needed.
        """
        try:
            change = source.to_withdrawal(raw, live)
            if change is not None:
                report.folded.merge(await self._folder.fold(self._shard(change), source.name, [change]))
        except Exception as error:
            if is_service_fault(error) or isinstance(error, ConflictError):
                raise
            # Without the message, which may quote the document.
            where = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "withdrawal_failed",
                source=source.name,
                error_type=type(error).__name__,
                where=f"{Path(where.filename).name}:{where.lineno}",
            )

    def _shard(self, change: Change) -> ShardId:
        return shard_of(change.user_id, shards=self._settings.shards, generation=self._settings.generation)


def _refuse_to_bury_most(failures: Sequence[_Failure], documents: int) -> None:
    """Raise what made most of a batch's good documents fail: that is not the fault of each of them.

    A container that differs from the catalogue, say, or an error of ours: the lease then stays where it is,
    and the lag is seen, instead of a whole feed in poison.
    """
    if len(failures) >= FEWEST_TO_REFUSE and 2 * len(failures) > documents:
        _log.error(
            "most_of_batch_failed",
            failed=len(failures),
            documents=documents,
            error_type=type(failures[0].error).__name__,
        )
        raise failures[0].error


def _parsed(
    source: Source, raws: Sequence[object], prices: PriceTable, live: bool
) -> tuple[list[tuple[object, Change]], list[_Failure]]:
    good: list[tuple[object, Change]] = []
    bad: list[_Failure] = []
    for raw in raws:
        try:
            good.append((raw, source.to_change(raw, prices, live)))
        except Exception as error:  # noqa: BLE001  whatever a document makes the parser do is its own failure
            bad.append(_Failure(raw, error))
    return good, bad


def _log_batch(source: Source, raws: Sequence[object], report: IngestReport) -> None:
    written = [raw["_ts"] for raw in raws if isinstance(raw, Mapping) and isinstance(raw.get("_ts"), int)]
    _log.info(
        "batch_folded",
        source=source.name,
        documents=report.documents,
        **{verdict.value: report.folded.verdicts[verdict] for verdict in Verdict},
        poisoned=len(report.poisoned),
        shards=report.shards,
        conflicts=report.folded.conflicts,
        commits=report.folded.commits,
        **report.cost.log_fields(),
        oldest_age_s=round(time.time() - min(written)) if written else None,
    )
