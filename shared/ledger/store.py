"""Load, cache and commit the state of shards. A commit is one transactional batch, guarded by etags."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosHttpResponseError,
)

from shared.concurrency import batched
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.errors import TooLargeError
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId
from shared.ledger.sizes import MAX_BATCH_BYTES, MAX_OPERATIONS, memory_of
from shared.ledger.state import Deletion, Loaded, StateDocument, Write, decode_state
from shared.ledger.transactions import failed_guards_as_conflicts, guarded_operations

POINT_READS = 3
"""Up to this number, documents are read one by one, at 1 RU each if small. More are read by one query, at
3 RU."""

IDS_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class _Cached:
    loaded: Loaded
    size: int


class StateCache:
    """State documents with their etags. Drops the least recently used first. Also caches absence."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: OrderedDict[tuple[ShardId, str], _Cached] = OrderedDict()
        self._by_shard: dict[ShardId, set[str]] = defaultdict(set)

    def get(self, shard: ShardId, document_id: str) -> _Cached | None:
        """Return a cached document or its cached absence, None if neither is cached."""
        cached = self._items.get((shard, document_id))
        if cached is not None:
            self._items.move_to_end((shard, document_id))
        return cached

    def put(self, shard: ShardId, document_id: str, cached: _Cached) -> None:
        """Cache a document. Drops others if the cache is full."""
        self._drop(shard, document_id)
        self._items[shard, document_id] = cached
        self._by_shard[shard].add(document_id)
        self._bytes += cached.size
        while self._bytes > self._max_bytes and len(self._items) > 1:
            self._drop(*next(iter(self._items)))

    def forget(self, shard: ShardId) -> None:
        """Drop all documents of a shard."""
        for document_id in list(self._by_shard.get(shard, ())):
            self._drop(shard, document_id)

    def _drop(self, shard: ShardId, document_id: str) -> None:
        cached = self._items.pop((shard, document_id), None)
        if cached is None:
            return
        self._bytes -= cached.size
        ids = self._by_shard[shard]
        ids.discard(document_id)
        if not ids:
            del self._by_shard[shard]


class ShardStore:
    """The container ``view_state``, shard by shard.

    Parameters
    ----------
    container
        ``view_state``.
    cache_bytes
        Approximate limit, in bytes, on the memory of cached documents.
    """

    def __init__(self, container: ContainerProxy, *, cache_bytes: int) -> None:
        self._container = container
        self._reader = StateReader(container)
        self._cache = StateCache(cache_bytes)
        self._locks: defaultdict[ShardId, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, shard: ShardId) -> asyncio.Lock:
        """Return the lock for folds into a shard, so that this process never conflicts with itself."""
        return self._locks[shard]

    def forget(self, shard: ShardId) -> None:
        """Drop a shard from the cache. Called after a conflict, or after a commit with an unknown outcome."""
        self._cache.forget(shard)

    async def load(self, shard: ShardId, ids: Collection[str], *, stored: bool = False) -> dict[str, Loaded]:
        """Return the documents with these ids, from the cache or from the container.

        Parameters
        ----------
        stored
            Read the container even if the documents are cached.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        known: dict[str, Loaded] = {}
        absent: list[str] = []
        for document_id in ids:
            cached = None if stored else self._cache.get(shard, document_id)
            if cached is None:
                absent.append(document_id)
            else:
                known[document_id] = cached.loaded
        for document_id, item in (await self._read(shard, absent)).items():
            read = _decoded(item)
            self._cache.put(shard, document_id, read)
            known[document_id] = read.loaded
        return known

    async def commit(self, shard: ShardId, writes: Iterable[Write]) -> None:
        """Write the documents in one transaction, each only if its guard still holds.

        Raises
        ------
        ConflictError
            Another instance changed, created or removed one of them. Nothing was written.
        TooLargeError
            The documents are too many or too large for one transaction. Nothing was written.
        """
        writes = list(writes)
        weight = sum(write.document.weight for write in writes if not isinstance(write, Deletion))
        # The weight is an estimate, which avoids encoding everything twice. The service's check is exact.
        if len(writes) > MAX_OPERATIONS or weight > MAX_BATCH_BYTES:
            raise TooLargeError(f"{len(writes)} operations, about {weight} bytes")
        operations = [_operation(write) for write in writes]
        try:
            with failed_guards_as_conflicts(shard):
                results = await self._container.execute_item_batch(
                    operations, partition_key=shard, response_hook=record_charge
                )
        except (CosmosBatchOperationError, CosmosHttpResponseError) as error:
            if error.status_code == 413:
                raise TooLargeError(f"about {weight} bytes") from error
            raise
        for write, result in zip(writes, results, strict=True):
            stored = _ABSENT if isinstance(write, Deletion) else _cached(write.document, result["eTag"])
            self._cache.put(shard, write.document.id, stored)

    async def _read(self, shard: ShardId, ids: Sequence[str]) -> dict[str, Mapping[str, Any] | None]:
        if len(ids) <= POINT_READS:
            items = await asyncio.gather(
                *(find_item(self._container, document_id, shard) for document_id in ids)
            )
            return dict(zip(ids, items, strict=True))
        found: dict[str, Mapping[str, Any] | None] = dict.fromkeys(ids)
        for chunk in batched(ids, IDS_PER_QUERY):
            async for item in self._reader.documents_by_id(shard, chunk):
                found[item["id"]] = item
        return found


_ABSENT = _Cached(Loaded(None, None), memory_of(0))


def _operation(write: Write) -> tuple[Any, ...]:
    if isinstance(write, Deletion):
        return ("delete", (write.document.id,), {"if_match_etag": write.guard})
    (operation,) = guarded_operations([(write.document.encode(), write.guard)])
    return operation


def _decoded(stored: Mapping[str, Any] | None) -> _Cached:
    if stored is None:
        return _ABSENT
    return _cached(decode_state(stored), stored["_etag"])


def _cached(document: StateDocument, etag: str) -> _Cached:
    return _Cached(Loaded(document, etag), memory_of(document.weight))
