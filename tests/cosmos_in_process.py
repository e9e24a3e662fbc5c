"""The real database server under the real SDK, in this process and without a network.

A test sets the time of writes, and does what only the service does by itself: merge partitions, and restore a
container to an earlier moment.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import orjson
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from multidict import CIMultiDict

from local.cosmos import reading
from local.cosmos import storage as storing
from local.cosmos.app import App
from local.cosmos.model import Container
from local.cosmos.partitioning import Counter, PhysicalPartition, Range, effective_key
from local.cosmos.storage import IN_MEMORY, Storage
from shared.containers import Container as Described
from shared.cosmos.provisioning import apply_containers

ENDPOINT = "https://localhost/"
KEY = base64.b64encode(b"s" * 64).decode()
DATABASE = "tests"

_CREATED: dict[tuple[object, ...], bytes] = {}
"""Empty databases by number of partitions and descriptions of containers."""


class Answer:
    """An answer as the SDK's pipeline expects it."""

    content_type = "application/json"

    def __init__(self, request: HttpRequest, status: int, headers: CIMultiDict[str], body: bytes) -> None:
        self.request = request
        self.status_code = status
        self.headers = headers
        self.reason = ""
        self._body = body

    def body(self) -> bytes:
        return self._body

    def text(self, encoding: str | None = None) -> str:
        return self._body.decode(encoding or "utf-8")


class InProcessTransport(AsyncHttpTransport[HttpRequest, Any]):
    """Hands requests to an application."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def sleep(self, duration: float) -> None:
        await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, request: HttpRequest, **_: Any) -> Any:
        await asyncio.sleep(0)  # as on a network, others come between
        data = request.data or b""
        body = data.encode() if isinstance(data, str) else bytes(data)
        incoming = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(incoming)

        async def send(message: Any) -> None:
            sent.append(message)

        address = urlsplit(request.url)
        scope = {
            "type": "http",
            "method": request.method,
            "raw_path": address.path.encode("latin-1"),
            "path": address.path,
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in request.headers.items()],
        }
        await self._app(scope, receive, send)
        headers = CIMultiDict((name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"])
        return Answer(request, sent[0]["status"], headers, sent[1]["body"])


@dataclass(frozen=True, slots=True)
class _Snapshot:
    items: list[tuple[str, str, bytes]]
    """Effective key, id and body, in the order of writes."""


class InProcessCosmos:
    """A database server whose clock tells ``now``."""

    def __init__(self, now: Callable[[], float], *, partitions: int = 1) -> None:
        self._storage = Storage(IN_MEMORY)
        self._partitions = partitions
        self.app = App(self._storage, key=KEY, partitions=partitions, endpoint=lambda: ENDPOINT)
        self._now = now

    @contextmanager
    def at_its_time(self) -> Iterator[None]:
        """Let the server's clock tell the time of the test inside the block."""
        clock = SimpleNamespace(time=self._now)
        with patch.object(storing, "time", clock), patch.object(reading, "time", clock):
            yield

    def close(self) -> None:
        self._storage.close()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[DatabaseProxy]:
        """Connect one more client, with a cache of partitions of its own."""
        async with CosmosClient(ENDPOINT, KEY, transport=InProcessTransport(self.app)) as client:
            yield await client.create_database_if_not_exists(DATABASE)

    async def create(self, database: DatabaseProxy, containers: Iterable[Described]) -> None:
        """Create containers in a new database. What was created before in this process is copied."""
        containers = tuple(containers)
        assert not self._storage.containers
        known = (self._partitions, *map(repr, containers))
        if known in _CREATED:
            self._storage._db.deserialize(_CREATED[known])
            self._storage._load()
        else:
            await apply_containers(database, containers)
            _CREATED[known] = self._storage._db.serialize()

    def partitions(self, container: str) -> list[PhysicalPartition]:
        return self._container(container).partitions

    def documents(self, container: str) -> list[dict[str, Any]]:
        """Return all documents as they stand."""
        return [orjson.loads(body) for _, _, body in self._items(self._container(container))]

    def split(self, container: str, number: int) -> None:
        """Split one physical partition."""
        of = self._container(container)
        self._storage.split(of, of.partitions[number % len(of.partitions)])

    def merge(self, container: str, number: int, *, in_order_of_time: bool = False) -> None:
        """Merge one physical partition with the next. Documents keep their sequence numbers.

        The server, which merges nothing by itself, finds documents by ``_ts`` only if later ones have higher
        numbers. With ``in_order_of_time`` they get such.
        """
        of = self._container(container)
        if len(of.partitions) == 1:
            return
        place = number % (len(of.partitions) - 1)
        first, second = of.partitions[place : place + 2]
        lsn = max(first.lsn.value, second.lsn.value)
        merged = PhysicalPartition(
            str(of.next_partition_id),
            Range(first.range.low, second.range.high),
            (*first.parents, first.id, *second.parents, second.id),
            Counter(lsn, lsn),
            max(first.ts, second.ts),
        )
        with self._storage.transaction():
            self._storage._add_partitions(of.number, [merged])
            for gone in (first, second):
                for statement in (
                    "UPDATE items SET partition = ? WHERE container = ? AND partition = ?",
                    "DELETE FROM partitions WHERE ? != id AND container = ? AND id = ?",
                ):
                    self._storage._db.execute(statement, (merged.id, of.number, gone.id))
            if in_order_of_time:
                ordered = (
                    "SELECT number, row_number() OVER (ORDER BY ts, lsn) AS place FROM items"
                    " WHERE container = ?1 AND partition = ?2"
                )
                done = self._storage._db.execute(
                    f"UPDATE items SET lsn = (SELECT place FROM ({ordered}) AS o"  # noqa: S608
                    " WHERE o.number = items.number)"
                    " WHERE container = ?1 AND partition = ?2",
                    (of.number, merged.id),
                )
                merged.lsn = Counter(max(lsn, done.rowcount), max(lsn, done.rowcount))
        of.partitions[place : place + 2] = [merged]

    def snapshot(self, container: str) -> _Snapshot:
        """Return what a restore would bring back."""
        return _Snapshot(self._items(self._container(container)))

    async def restore(self, database: DatabaseProxy, container: ContainerProxy, to: _Snapshot) -> None:
        """Restore a container: its documents are those of the snapshot, and its resource id is new.

        Documents keep their content, etag and time. Sequence numbers begin again.
        """
        definition = await container.read()
        await database.delete_container(container.id)
        await database.create_container(
            container.id,
            definition["partitionKey"],
            indexing_policy=definition["indexingPolicy"],
            default_ttl=definition.get("defaultTtl"),
        )
        of = self._container(container.id)
        with self._storage.transaction():
            for lsn, (epk, item_id, body) in enumerate(to.items, 1):
                (partition,) = of.overlapping(Range(epk, f"{epk}\0"))
                document = orjson.loads(body)
                self._storage._db.execute(
                    "INSERT INTO items (container, partition, epk, id, lsn, ts, expires, etag, body) "
                    "VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?)",
                    (
                        of.number, partition.id, epk, item_id, lsn, document["_ts"],
                        document["_etag"], body,
                    ),
                )  # fmt: skip
                partition.lsn = Counter(lsn, lsn)

    def _container(self, name: str) -> Container:
        return self._storage.containers[DATABASE, name]

    def _items(self, of: Container) -> list[tuple[str, str, bytes]]:
        rows = self._storage._db.execute(
            "SELECT epk, id, body FROM items WHERE container = ? ORDER BY partition, lsn", (of.number,)
        )
        return list(rows)


def key_of(user: str) -> str:
    """Return the effective partition key of a user's documents."""
    return effective_key((user,), hierarchical=False)
