"""The documents that are published already: single ones, sets, and a bounded memory of single ones."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from azure.cosmos.aio import DatabaseProxy

from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.cosmos.queries import Query, run_query
from shared.publishing.decide import ExistingDocument
from shared.publishing.plan import DocumentKey
from shared.views import VIEWS
from shared.views.base import DocumentSet

REMEMBERED_DOCUMENTS = 10_000
"""Published documents that an instance remembers, of about 800 bytes each. Each saves one read per write."""

MAX_CONCURRENT_SETS = 16
"""Queries for sets of documents that one instance runs concurrently."""

Key = TypeVar("Key")
Value = TypeVar("Value")

Existing = Mapping[str, ExistingDocument]
"""The documents of a set that exist, by id."""


class LruCache(Generic[Key, Value]):
    """Up to ``size`` values by key. Above ``size``, the cache drops the least recently used value."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def put(self, key: Key, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def get(self, key: Key) -> Value | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def pop(self, key: Key) -> Value | None:
        return self._values.pop(key, None)


class Address(NamedTuple):
    """Where a document is stored."""

    container: str
    id: str
    partition: str


class ExistingDocuments:
    """Reads published documents. Remembers those that were written or found last, with their etags."""

    def __init__(self, database: DatabaseProxy) -> None:
        self._database = database
        self._memory = LruCache[Address, ExistingDocument](REMEMBERED_DOCUMENTS)

    def remember(self, address: Address, existing: ExistingDocument) -> None:
        """Record a published document. If it changes, the recorded etag makes the next write fail."""
        self._memory.put(address, existing)

    def forget(self, address: Address) -> None:
        """Drop the record of a document that was deleted, or that may have changed."""
        self._memory.pop(address)

    async def read(
        self, address: Address, in_set: Existing | None = None, *, use_memory: bool = True
    ) -> ExistingDocument | None:
        """Return a published document, None if there is none.

        Parameters
        ----------
        in_set
            The documents of its set, already read. They replace a read if the document is not remembered.
        use_memory
            False if the caller may write nothing afterwards: only a write checks a remembered etag.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        remembered = self._memory.get(address) if use_memory else None
        if remembered is not None:
            return remembered
        if in_set is not None:
            return in_set.get(address.id)
        container = self._database.get_container_client(address.container)
        item = await find_item(container, address.id, address.partition)
        if item is None:
            return None
        return ExistingDocument.decode(item, partition=address.partition, etag=item["_etag"])

    async def read_set(self, container: str, document_set: DocumentSet) -> Existing:
        """Return the documents of one set, by one query.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        (found,) = await self._read_sets(container, [document_set])
        return found

    async def read_sets(self, documents: Iterable[DocumentKey]) -> dict[DocumentKey, Existing]:
        """Return the sets that lie in a single partition, by document. One query reads a partition.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        partitions: dict[tuple[str, str], dict[DocumentKey, DocumentSet]] = defaultdict(dict)
        for document in documents:
            view = VIEWS[document.view]
            try:
                document_set = view.document_set(document.key)
            except ValueError:
                continue  # a malformed key: publishing the document reports the error
            if document_set is not None and document_set.partition is not None:
                partitions[view.container, document_set.partition][document] = document_set
        found: dict[DocumentKey, Existing] = {}

        async def one(container: str, sets: Mapping[DocumentKey, DocumentSet]) -> None:
            found.update(zip(sets, await self._read_sets(container, list(sets.values())), strict=True))

        await for_each(
            ((container, sets) for (container, _), sets in partitions.items()),
            lambda question: one(*question),
            max_concurrency=MAX_CONCURRENT_SETS,
        )
        return found

    async def _read_sets(self, container: str, sets: Sequence[DocumentSet]) -> list[Existing]:
        """Return the documents of each set, by id. All sets have the same partition."""
        items = [item async for item in self._query_sets(container, sets)]
        return [
            {
                item["id"]: ExistingDocument.decode(item, partition=item["partition_key"], etag=item["_etag"])
                for item in items
                if item["analysis_period"] == each.kind and each.first <= item["period_start"] <= each.last
            }
            for each in sets
        ]

    def _query_sets(self, container: str, sets: Sequence[DocumentSet]) -> AsyncIterator[dict[str, Any]]:
        """Query the documents of each kind, from the first to the last start of a period in any set."""
        bounds: dict[str, tuple[str, str]] = {}
        for each in sets:
            first, last = bounds.get(each.kind, (each.first, each.last))
            bounds[each.kind] = (min(first, each.first), max(last, each.last))
        condition = " OR ".join(
            f"(c.analysis_period = @kind{n} AND c.period_start >= @first{n} AND c.period_start <= @last{n})"
            for n in range(len(bounds))
        )
        query = Query(
            "documents_of_sets",
            "SELECT c.id, c.partition_key, c.analysis_period, c.period_start, "  # noqa: S608  names alone
            f"c._etag, c.state, c.calculated_at FROM c WHERE {condition}",
        )
        values = {
            f"{name}{n}": value
            for n, (kind, (first, last)) in enumerate(bounds.items())
            for name, value in (("kind", kind), ("first", first), ("last", last))
        }
        return run_query(
            self._database.get_container_client(container), query, values, partition_key=sets[0].partition
        )
