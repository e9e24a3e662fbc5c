"""Fold changes until each has its final verdict: the live document decides an order that versions do not.

Only the live document knows which of two versions is newer, if one of them has no ``_lsn``. A version that
was delivered is never dropped: either a version that is newer takes its place, or it is folded itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from azure.cosmos.aio import DatabaseProxy

from shared.clock import REPLICA_LAG_SECONDS, Clock
from shared.cosmos.items import find_document
from shared.cosmos.retries import LAG, is_service_fault, retrying
from shared.errors import ConflictError, TransientStaleReadError
from shared.ingest.sources import Source
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change
from shared.ledger.document_version import Version
from shared.ledger.shards import ShardId, shard_of
from shared.pricing.price_book import PriceBook
from shared.settings import Settings


class Undecided(NamedTuple):
    """A change that could not be folded, because of an error with its live document."""

    change: Change
    error: Exception


class Folding:
    """Folds changes of any source to their final verdicts."""

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        writer: ShardWriter,
        prices: PriceBook,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._writer = writer
        self._prices = prices
        self._settings = settings
        self._clock = clock

    def shard(self, change: Change) -> ShardId:
        """Return the shard of a change."""
        return shard_of(change.user_id, shards=self._settings.shards, generation=self._settings.generation)

    async def settle(self, source: Source, unclear: Sequence[Change], result: FoldResult) -> list[Undecided]:
        """Fold versions of unclear order, or those that took their place. Return what could not be folded.

        Parameters
        ----------
        result
            Collects the outcome.

        Raises
        ------
        TransientStaleReadError
            A live document that was read is older than what was delivered: a replica lags.
        Exception
            What is not a document's own fault: see :func:`is_not_its_own_fault`.
        """
        undecided: list[Undecided] = []
        for change in unclear:
            try:
                await self._settle(source, change, result)
            except Exception as error:
                if is_not_its_own_fault(error):
                    raise
                undecided.append(Undecided(change, error))
        return undecided

    async def fold_one(self, source: Source, change: Change, result: FoldResult) -> None:
        """Fold one change to its final verdict. Raises what :meth:`settle` and the writer raise."""
        outcome = await self._writer.apply(self.shard(change), source.name, [change])
        for _, error in await self.settle(source, take_decided(outcome, result), result):
            raise error

    async def confirm(self, source: Source, change: Change, result: FoldResult) -> None:
        """Fold versions that were written after a live one, until the live document is the folded one.

        A live document overrides every version that was counted. Another instance may have counted a newer
        version since the read. The repetition counts that version again.
        """
        latest = change.version
        while True:
            raw = await self._read(source, change, latest)
            if raw is None or raw["_etag"] == latest.etag:
                return
            latest = Version.of(raw)
            await self._fold_live(source, raw, result)

    async def _settle(self, source: Source, delivered: Change, result: FoldResult) -> None:
        """Fold a version of unclear order, or the version that took its place."""
        raw = await self._read(source, delivered, delivered.version)
        if raw is None:
            await self._apply(source, replace(delivered, deleted=True), result)
            return
        if raw["_etag"] == delivered.version.etag:
            await self._apply(source, replace(delivered, live=True), result)
        else:
            await self._fold_live(source, raw, result)
        await self.confirm(source, replace(delivered, version=Version.of(raw)), result)

    async def _fold_live(self, source: Source, raw: Mapping[str, Any], result: FoldResult) -> None:
        """Fold a live document. If it cannot be read, it takes back what an earlier version counted.

        The feed delivers it as well, and it goes to poison there.
        """
        change: Change | None
        try:
            change = source.to_change(raw, await self._prices.table(), True)
        except Exception as error:
            if is_not_its_own_fault(error):
                raise
            change = source.to_uncounted(raw, error, True)
        if change is not None:
            await self._apply(source, change, result)

    async def _apply(self, source: Source, change: Change, result: FoldResult) -> None:
        outcome = await self._writer.apply(self.shard(change), source.name, [change])
        outcome.overridden = []  # the caller that folds a live version confirms it
        result.merge(outcome)

    async def _read(self, source: Source, change: Change, known: Version) -> Mapping[str, Any] | None:
        """Return the live document of a change, None if there is none. It is no older than a known version.

        Raises
        ------
        TransientStaleReadError
            Every read was older.
        """
        if change.address is None:
            return None
        container, address = self._database.get_container_client(source.name), change.address

        async def read() -> Mapping[str, Any] | None:
            raw = await find_document(container, address)
            if raw is not None and self._is_stale(Version.of(raw), known):
                raise TransientStaleReadError(f"a replica of {source.name} lags behind its change feed")
            return raw

        found: Mapping[str, Any] | None = await retrying(TransientStaleReadError, policy=LAG)(read)
        return found

    def _is_stale(self, read: Version, known: Version) -> bool:
        """Return whether a replica that lags may have answered.

        After the longest lag an earlier time means that the service's clock was set back.
        """
        if read.etag == known.etag or read.ts >= known.ts:
            return False
        return self._clock.timestamp() - known.ts < REPLICA_LAG_SECONDS


def take_decided(outcome: FoldResult, result: FoldResult) -> list[Change]:
    """Add an outcome to a result, except for the changes of unclear order. Return those."""
    unclear, outcome.unknown = outcome.unknown, []
    result.merge(outcome)
    return unclear


def is_not_its_own_fault(error: Exception) -> bool:
    """Return whether an error is not the document's: the service's, or that of contention or a lag."""
    return is_service_fault(error) or isinstance(error, ConflictError | TransientStaleReadError)
