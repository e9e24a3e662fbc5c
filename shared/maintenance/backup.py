"""Copy the documents of a container into a file and from there into another container, and compare the two.

This stands for the service's own backup where a recovery is rehearsed. A restored document has the content of
the original, a new ``_ts`` and ``_etag``, and as much time to live as the original had left.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.concurrency import batched, for_each
from shared.containers import Container
from shared.cosmos.charges import record_charge
from shared.cosmos.items import partition_of, sdk_partition
from shared.cosmos.queries import Query, run_query
from shared.maintenance.migrate_document import SYSTEM_FIELDS, seconds_left

EVERYTHING = Query("everything", "SELECT * FROM c")

WRITTEN_SINCE = Query("written_since", "SELECT VALUE COUNT(1) FROM c WHERE c._ts > @since")

BLOCK = 500
"""Documents that are in memory at a time, of a few KB each."""

OPERATIONS, BATCH_BYTES = 100, 1_500_000
"""Of one transactional batch at most, below the service's limits."""

MAX_CONCURRENT_BATCHES = 8

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a container holds: equal copies have equal documents."""

    documents: int = 0
    digest: int = 0
    """Sum of the hashes of all documents, in whatever order they were read."""
    newest: int = 0
    """Time of the last write, in seconds since the epoch; 0 without documents."""

    def with_document(self, document: Mapping[str, Any]) -> Copy:
        """Return the copy with one more document."""
        digest = (self.digest + digest_of(document)) % 2**256
        return Copy(self.documents + 1, digest, max(self.newest, int(document.get("_ts", 0))))

    def without(self, other: Copy) -> Copy:
        """Return the copy without the documents of another one, all of which it has."""
        return Copy(self.documents - other.documents, (self.digest - other.digest) % 2**256, self.newest)

    def equals(self, other: Copy) -> bool:
        """Return whether both hold the same documents, whenever these were written."""
        return (self.documents, self.digest) == (other.documents, other.digest)


def digest_of(document: Mapping[str, Any]) -> int:
    """Return the hash of what a document says. Its time to live is not part of it: it becomes less."""
    own = {name: value for name, value in document.items() if name not in SYSTEM_FIELDS and name != "ttl"}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(sha256(text.encode()).digest())


async def export_container(
    container: ContainerProxy, file: Path, keep: Callable[[Document], bool] = lambda _: True
) -> Copy:
    """Write the documents of a container into a file, one line each; return what it holds.

    Parameters
    ----------
    keep
        Says of each document whether it is exported.
    """
    copy = Copy()
    with gzip.open(file, "wt", encoding="utf-8", compresslevel=1) as lines:
        async for document in run_query(container, EVERYTHING, {}):
            if keep(document):
                lines.write(json.dumps(document) + "\n")
                copy = copy.with_document(document)
    return copy


async def describe(container: ContainerProxy) -> Copy:
    """Return what a container holds."""
    copy = Copy()
    async for document in run_query(container, EVERYTHING, {}):
        copy = copy.with_document(document)
    return copy


def read_export(file: Path) -> Iterator[Document]:
    """Yield the documents of an exported container."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


async def restore_container(target: ContainerProxy, described: Container, file: Path, now: float) -> Copy:
    """Write the documents of a file into a container; return those that had expired meanwhile.

    A repetition writes the same again.
    """
    key, expired = described.partition_key.removeprefix("/"), Copy()

    async def write(batch: tuple[Any, list[Document]]) -> None:
        partition, documents = batch
        await target.execute_item_batch(
            [("upsert", (document,)) for document in documents],
            partition_key=sdk_partition(partition),
            response_hook=record_charge,
        )

    for block in batched(read_export(file), BLOCK):
        bodies = []
        for raw in block:
            body = restored(raw, described.default_ttl, now)
            if body is None:
                expired = expired.with_document(raw)
            else:
                bodies.append(body)
        await for_each(_batches(bodies, key), write, max_concurrency=MAX_CONCURRENT_BATCHES)
        await asyncio.sleep(0)
    return expired


def restored(raw: Mapping[str, Any], default_ttl: int | None, now: float) -> Document | None:
    """Return a document as it is written again, None if its time is over."""
    body = {name: value for name, value in raw.items() if name not in SYSTEM_FIELDS}
    left = seconds_left(raw, default_ttl, now)
    if left is None:
        return body
    return body | {"ttl": left} if left > 0 else None


def _batches(documents: list[Document], key: str) -> Iterator[tuple[Any, list[Document]]]:
    """Yield the documents of each partition, as many as a transactional batch may hold."""
    of: dict[Any, list[Document]] = defaultdict(list)
    for document in documents:
        of[partition_of(document, key)].append(document)
    for partition, members in of.items():
        batch: list[Document] = []
        size = 0
        for document in members:
            weight = len(json.dumps(document, ensure_ascii=False).encode(errors="surrogatepass"))
            if batch and (len(batch) == OPERATIONS or size + weight > BATCH_BYTES):
                yield partition, batch
                batch, size = [], 0
            batch.append(document)
            size += weight
        yield partition, batch


VOLATILE = frozenset(
    {
        "state",
        "calculated_at",
        "last_updated",
        "generated_at",
        "data_freshness",
        "next_calculation_due",
        "ttl",
    }
)  # fmt: skip
"""Fields of views that say when and from which state they were calculated."""


def figures_of(document: Mapping[str, Any]) -> Document:
    """Return what a published document says, without when it was calculated."""
    return {n: value for n, value in document.items() if n not in SYSTEM_FIELDS and n not in VOLATILE}


def figures_by_place(documents: Iterable[Mapping[str, Any]], described: Container) -> dict[Any, Document]:
    """Return what published documents say, by partition and id."""
    key = described.partition_key.removeprefix("/")
    return {(partition_of(each, key), each["id"]): figures_of(each) for each in documents}


async def written_since(container: ContainerProxy, since: int) -> int:
    """Return how many documents were written after a second."""
    rows: AsyncIterator[Any] = run_query(container, WRITTEN_SINCE, {"since": since})
    return sum([int(row) async for row in rows])
