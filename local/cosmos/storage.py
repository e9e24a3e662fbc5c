"""Durable storage in one SQLite file: databases, containers, items, index terms, the order of writes.

Every acknowledged write is committed to the write-ahead log first: a process killed with -9 loses nothing
it has answered, and shows nothing of a transaction it had not finished.
"""

from __future__ import annotations

import base64
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from local.cosmos.indexing import Scalar, sought_paths, terms
from local.cosmos.partitioning import PhysicalPartition, Range

SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, database TEXT NOT NULL, id TEXT NOT NULL,
    body BLOB NOT NULL, offer BLOB NOT NULL, lsn INTEGER NOT NULL, UNIQUE (database, id));
CREATE TABLE IF NOT EXISTS partitions (
    container INTEGER NOT NULL, id TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    PRIMARY KEY (container, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY, container INTEGER NOT NULL, epk TEXT NOT NULL, id TEXT NOT NULL,
    lsn INTEGER NOT NULL, ts INTEGER NOT NULL, expires INTEGER, etag TEXT NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS items_by_key ON items (container, epk, id);
CREATE INDEX IF NOT EXISTS items_by_lsn ON items (container, lsn);
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS terms (
    container INTEGER NOT NULL, path TEXT NOT NULL, value, item INTEGER NOT NULL,
    PRIMARY KEY (container, path, value, item)) WITHOUT ROWID;
"""

LSN_BLOCK = 1_000
"""Sequence numbers set aside at a time: after a crash some are skipped, none is given twice."""

_COLUMNS = "number, epk, id, lsn, ts, expires, etag, body"


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item. The body is the JSON a client gets, system properties included."""

    number: int
    epk: str
    id: str
    lsn: int
    ts: int
    expires: int | None
    etag: str
    body: bytes

    def document(self) -> dict[str, Any]:
        """Return the body, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


@dataclass(slots=True)
class Database:
    """A database."""

    number: int
    id: str
    body: dict[str, Any]


@dataclass(slots=True)
class Container:
    """A container with what every request to it needs at hand."""

    number: int
    database: str
    id: str
    body: dict[str, Any]
    offer: dict[str, Any]
    partitions: list[PhysicalPartition]
    lsn: int
    lsn_limit: int
    sought: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Derive what follows from the properties."""
        self.sought = sought_paths(self.body["indexingPolicy"])

    @property
    def rid(self) -> str:
        """The resource id."""
        return str(self.body["_rid"])

    @property
    def key_paths(self) -> list[str]:
        """The partition key's paths."""
        paths: list[str] = self.body["partitionKey"]["paths"]
        return paths

    @property
    def hierarchical(self) -> bool:
        """Whether the partition key has several levels."""
        return str(self.body["partitionKey"]["kind"]) == "MultiHash"

    def partition_of(self, epk: str) -> PhysicalPartition:
        """Return the physical partition that holds a key."""
        return next(partition for partition in self.partitions if partition.range.holds(epk))


def resource_id(*numbers: int) -> str:
    """Return a resource id in the service's form: 4 bytes a level, 8 for an item, base64."""
    sizes = "II" + "Q" * max(0, len(numbers) - 2)
    packed = b"".join(struct.pack(f">{size}", number) for size, number in zip(sizes, numbers, strict=False))
    return base64.b64encode(packed).decode().replace("/", "-")


class Storage:
    """The file, and what is kept of it in memory."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # What the process has handed to the kernel survives the process; only a power cut could take it.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        self._db.executescript(SCHEMA)
        self._db.execute("PRAGMA foreign_keys = OFF")
        self.databases: dict[str, Database] = {}
        self.containers: dict[tuple[str, str], Container] = {}
        self._load()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _load(self) -> None:
        for number, name, body in self._db.execute("SELECT number, id, body FROM databases"):
            self.databases[name] = Database(number, name, orjson.loads(body))
        rows = self._db.execute("SELECT number, database, id, body, offer, lsn FROM containers").fetchall()
        for number, database, name, body, offer, lsn in rows:
            partitions = self._load_partitions(number)
            self.containers[database, name] = Container(
                number, database, name, orjson.loads(body), orjson.loads(offer), partitions, lsn, lsn
            )

    def _load_partitions(self, container: int) -> list[PhysicalPartition]:
        rows = self._db.execute(
            "SELECT id, low, high FROM partitions WHERE container = ? ORDER BY low", (container,)
        )
        return [PhysicalPartition(name, Range(low, high)) for name, low, high in rows]

    # Databases and containers

    def next_database_number(self) -> int:
        """Return the number the next database gets."""
        return self._next("databases")

    def next_container_number(self) -> int:
        """Return the number the next container gets."""
        return self._next("containers")

    def _next(self, table: str) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(row[0]) + 1 if row else 1

    def add_database(self, name: str, body: dict[str, Any]) -> Database:
        """Store a new database."""
        cursor = self._db.execute(
            "INSERT INTO databases (id, body) VALUES (?, ?)", (name, orjson.dumps(body))
        )
        database = Database(int(cursor.lastrowid or 0), name, body)
        self.databases[name] = database
        return database

    def drop_database(self, name: str) -> None:
        """Remove a database with everything in it."""
        with self.transaction():
            for container in [c for c in self.containers.values() if c.database == name]:
                self._drop_container(container)
            self._db.execute("DELETE FROM databases WHERE id = ?", (name,))
        self.containers = {key: c for key, c in self.containers.items() if key[0] != name}
        del self.databases[name]

    def add_container(
        self,
        database: str,
        name: str,
        body: dict[str, Any],
        offer: dict[str, Any],
        partitions: Sequence[PhysicalPartition],
    ) -> Container:
        """Store a new container with its physical partitions."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO containers (database, id, body, offer, lsn) VALUES (?, ?, ?, ?, 0)",
                (database, name, orjson.dumps(body), orjson.dumps(offer)),
            )
            number = int(cursor.lastrowid or 0)
            self._db.executemany(
                "INSERT INTO partitions VALUES (?, ?, ?, ?)",
                [(number, p.id, p.range.low, p.range.high) for p in partitions],
            )
        container = Container(number, database, name, body, offer, list(partitions), 0, 0)
        self.containers[database, name] = container
        return container

    def save_container(self, container: Container, *, reindex: bool) -> None:
        """Store changed properties or throughput; with ``reindex`` rebuild the terms."""
        container.refresh()
        with self.transaction():
            self._db.execute(
                "UPDATE containers SET body = ?, offer = ? WHERE number = ?",
                (orjson.dumps(container.body), orjson.dumps(container.offer), container.number),
            )
            if reindex:
                self._db.execute("DELETE FROM terms WHERE container = ?", (container.number,))
                for number, body in self._db.execute(
                    "SELECT number, body FROM items WHERE container = ?", (container.number,)
                ).fetchall():
                    self._add_terms(container, number, terms(orjson.loads(body), container.sought))

    def drop_container(self, container: Container) -> None:
        """Remove a container with its items."""
        with self.transaction():
            self._drop_container(container)
        del self.containers[container.database, container.id]

    def _drop_container(self, container: Container) -> None:
        for table in ("items", "terms", "partitions"):
            self._db.execute(f"DELETE FROM {table} WHERE container = ?", (container.number,))  # noqa: S608
        self._db.execute("DELETE FROM containers WHERE number = ?", (container.number,))

    # Items

    def next_lsn(self, container: Container) -> int:
        """Return the next sequence number of a container; call it inside the transaction that uses it."""
        if container.lsn >= container.lsn_limit:
            limit = container.lsn + LSN_BLOCK
            self._db.execute("UPDATE containers SET lsn = ? WHERE number = ?", (limit, container.number))
            container.lsn_limit = limit
        container.lsn += 1
        return container.lsn

    def get(self, container: Container, epk: str, item_id: str) -> Item | None:
        """Return an item that has not expired."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM items WHERE container = ? AND epk = ? AND id = ?",  # noqa: S608
            (container.number, epk, item_id),
        ).fetchone()
        if row is None or (row[5] is not None and row[5] <= time.time()):
            return None
        return Item(*row)

    def put(self, container: Container, item: Item, document: dict[str, Any], previous: Item | None) -> None:
        """Insert an item, or overwrite ``previous``, with its terms."""
        if previous is None:
            # An expired item with this key may still be waiting to be purged.
            self._purge(container, item.epk, item.id)
            cursor = self._db.execute(
                "INSERT INTO items (container, epk, id, lsn, ts, expires, etag, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (container.number, item.epk, item.id, item.lsn, item.ts, item.expires, item.etag, item.body),
            )
            number, old = int(cursor.lastrowid or 0), set()
        else:
            number = previous.number
            self._db.execute(
                "UPDATE items SET lsn = ?, ts = ?, expires = ?, etag = ?, body = ? WHERE number = ?",
                (item.lsn, item.ts, item.expires, item.etag, item.body, number),
            )
            old = terms(previous.document(), container.sought) if container.sought else set()
        if container.sought:
            new = terms(document, container.sought)
            self._remove_terms(container, number, old - new)
            self._add_terms(container, number, new - old)

    def delete(self, container: Container, item: Item) -> None:
        """Remove an item with its terms."""
        self._db.execute("DELETE FROM items WHERE number = ?", (item.number,))
        if container.sought:
            self._remove_terms(container, item.number, terms(item.document(), container.sought))

    def _purge(self, container: Container, epk: str, item_id: str) -> None:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM items WHERE container = ? AND epk = ? AND id = ?",  # noqa: S608
            (container.number, epk, item_id),
        ).fetchone()
        if row is not None:
            self.delete(container, Item(*row))

    def purge_expired(self, limit: int = 1_000) -> int:
        """Remove up to ``limit`` expired items; return how many were removed."""
        rows = self._db.execute(
            f"SELECT container, {_COLUMNS} FROM items WHERE expires <= ? LIMIT ?",  # noqa: S608
            (int(time.time()), limit),
        ).fetchall()
        if rows:
            by_number = {container.number: container for container in self.containers.values()}
            with self.transaction():
                for container, *columns in rows:
                    self.delete(by_number[container], Item(*columns))
        return len(rows)

    def _add_terms(self, container: Container, number: int, new: set[tuple[str, Scalar]]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO terms VALUES (?, ?, ?, ?)",
            [(container.number, path, _term(value), number) for path, value in new],
        )

    def _remove_terms(self, container: Container, number: int, old: set[tuple[str, Scalar]]) -> None:
        self._db.executemany(
            "DELETE FROM terms WHERE container = ? AND path = ? AND value = ? AND item = ?",
            [(container.number, path, _term(value), number) for path, value in old],
        )

    # Reading many

    def scan(self, container: Container, keys: Range, *, after: tuple[str, str] = ("", "")) -> Iterator[Item]:
        """Yield the items of a range in the order of effective key and id, those after ``after``."""
        cursor = self._db.cursor()
        cursor.execute(
            f"SELECT {_COLUMNS} FROM items WHERE container = ? AND (epk, id) > (?, ?) AND epk >= ? "  # noqa: S608
            "AND epk < ? AND (expires IS NULL OR expires > ?) ORDER BY epk, id",
            (container.number, *after, keys.low, keys.high, int(time.time())),
        )
        while rows := cursor.fetchmany(256):
            yield from (Item(*row) for row in rows)

    def by_ids(self, container: Container, keys: Range, ids: Sequence[str]) -> list[Item]:
        """Return the items of a range that have one of these ids, in the order of ``scan``."""
        marks = ", ".join("?" * len(ids))
        return self._select(container, keys, f"id IN ({marks})", tuple(ids))

    def by_terms(self, container: Container, keys: Range, sought: Sequence[tuple[str, Scalar]]) -> list[Item]:
        """Return the items of a range that have one of these terms, in the order of ``scan``."""
        marks = " UNION ".join(
            ["SELECT item FROM terms WHERE container = ? AND path = ? AND value = ?"] * len(sought)
        )
        values = [v for path, value in sought for v in (container.number, path, _term(value))]
        return self._select(container, keys, f"number IN ({marks})", tuple(values))

    def count_terms(self, container: Container, sought: Sequence[tuple[str, Scalar]], limit: int) -> int:
        """Return how many items have one of these terms, counting no further than ``limit``."""
        total = 0
        for path, value in sought:
            rows = self._db.execute(
                "SELECT count(*) FROM "
                "(SELECT 1 FROM terms WHERE container = ? AND path = ? AND value = ? LIMIT ?)",
                (container.number, path, _term(value), limit),
            ).fetchone()
            total += int(rows[0])
        return total

    def _select(self, container: Container, keys: Range, where: str, values: tuple[Any, ...]) -> list[Item]:
        # One logical partition is one key: said so, the index on key and id serves both.
        held, bounds = (
            ("epk = ?", (keys.low,)) if keys.is_point else ("epk >= ? AND epk < ?", (keys.low, keys.high))
        )
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM items WHERE {where} AND container = ? AND {held} "  # noqa: S608
            "AND (expires IS NULL OR expires > ?) ORDER BY epk, id",
            (*values, container.number, *bounds, int(time.time())),
        )
        return [Item(*row) for row in rows]

    def feed(self, container: Container, keys: Range, *, after: int, since: int, limit: int) -> list[Item]:
        """Return the latest versions of items of a range in the order of their writes.

        Parameters
        ----------
        after
            Only writes with a higher sequence number.
        since
            Only writes at or after this second.
        """
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM items WHERE container = ? AND lsn > ? AND epk >= ? AND epk < ? "  # noqa: S608
            "AND ts >= ? AND (expires IS NULL OR expires > ?) ORDER BY lsn LIMIT ?",
            (container.number, after, keys.low, keys.high, since, int(time.time()), limit),
        )
        return [Item(*row) for row in rows]


def _term(value: Scalar) -> Scalar | bytes:
    """Return a value as the index stores it: types stay apart and in order."""
    if value is None or isinstance(value, bool):
        return orjson.dumps(value)
    return value
