"""Durable storage in one SQLite file: databases, containers, items, index terms, the order of writes.

Every acknowledged write is committed to the write-ahead log first: a process killed with -9 loses nothing
it has answered, and shows nothing of a transaction it had not finished.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from local.cosmos.indexing import Term
from local.cosmos.model import Container, Database, Item
from local.cosmos.partitioning import PhysicalPartition, Range
from local.cosmos.reading import COLUMNS, Reader

FORMAT = 2
"""Version of the schema, kept in the file; another version is refused, not guessed at."""

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
CREATE INDEX IF NOT EXISTS items_by_id ON items (container, id);
CREATE INDEX IF NOT EXISTS items_by_lsn ON items (container, lsn);
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS terms (
    container INTEGER NOT NULL, path TEXT NOT NULL, value, item INTEGER NOT NULL,
    PRIMARY KEY (container, path, value, item)) WITHOUT ROWID;
"""

LSN_BLOCK = 1_000
"""Sequence numbers set aside at a time: after a crash some are skipped, none is given twice."""

REBUILD_BLOCK = 200
"""Items read at a time when an index or the expiry of a container is computed anew."""


class StorageError(Exception):
    """The database file cannot be used. One sentence."""


class Storage:
    """The file, and what is kept of it in memory."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        self._open(path)
        self.read = Reader(self._db)
        self.databases: dict[str, Database] = {}
        self.containers: dict[tuple[str, str], Container] = {}
        self._reserved: list[tuple[Container, int]] = []
        self._load()

    def _open(self, path: Path) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        empty = not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if found != FORMAT and not empty:
            self._db.close()
            raise StorageError(
                f"{path} has format {found}, this version of the local server reads {FORMAT}: "
                "remove the directory, or give another one with --data."
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        # What the process has handed to the kernel survives the process; only a power cut could take it.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            # What was set aside inside is not set aside on disk any more.
            for container, limit in reversed(self._reserved):
                container.lsn_limit = limit
            raise
        finally:
            self._reserved.clear()

    def _load(self) -> None:
        for number, name, body in self._db.execute("SELECT number, id, body FROM databases"):
            self.databases[name] = Database(number, name, orjson.loads(body))
        rows = self._db.execute("SELECT number, database, id, body, offer, lsn FROM containers").fetchall()
        for number, database, name, body, offer, lsn in rows:
            last = self._db.execute(
                "SELECT ts FROM items WHERE container = ? ORDER BY lsn DESC LIMIT 1", (number,)
            ).fetchone()
            self.containers[database, name] = Container(
                number,
                database,
                name,
                orjson.loads(body),
                orjson.loads(offer),
                self._load_partitions(number),
                lsn=lsn,
                lsn_limit=lsn,
                ts=last[0] if last else 0,
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
        container = Container(number, database, name, body, offer, list(partitions))
        self.containers[database, name] = container
        return container

    def save_offer(self, container: Container, offer: dict[str, Any]) -> None:
        """Store changed throughput."""
        self._db.execute(
            "UPDATE containers SET offer = ? WHERE number = ?", (orjson.dumps(offer), container.number)
        )
        container.offer = offer

    def replace_container(self, container: Container, body: dict[str, Any]) -> Container:
        """Store changed properties; compute terms and expiry anew where they follow from what changed."""
        changed = Container(
            container.number,
            container.database,
            container.id,
            body,
            container.offer,
            container.partitions,
            container.lsn,
            container.lsn_limit,
            container.ts,
        )
        with self.transaction():
            self._db.execute(
                "UPDATE containers SET body = ? WHERE number = ?", (orjson.dumps(body), container.number)
            )
            reindex = changed.index.paths != container.index.paths
            if reindex:
                self._db.execute("DELETE FROM terms WHERE container = ?", (container.number,))
            if reindex or changed.default_ttl != container.default_ttl:
                for item in self._every_item(container):
                    self._rebuild(changed, item, reindex=reindex)
        self.containers[container.database, container.id] = changed
        return changed

    def _every_item(self, container: Container) -> Iterator[Item]:
        last = -1
        while rows := self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND lsn > ? ORDER BY lsn LIMIT ?",  # noqa: S608
            (container.number, last, REBUILD_BLOCK),
        ).fetchall():
            yield from (Item(*row) for row in rows)
            last = rows[-1][3]

    def _rebuild(self, container: Container, item: Item, *, reindex: bool) -> None:
        document = item.document()
        if reindex:
            self._add_terms(container, item.number, container.index.terms(document))
        expires = expiry(container.default_ttl, document.get("ttl"), item.ts)
        if expires != item.expires:
            self._db.execute("UPDATE items SET expires = ? WHERE number = ?", (expires, item.number))

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

    def next_write(self, container: Container) -> tuple[int, int]:
        """Return sequence number and second of the next write, inside the transaction that makes it."""
        if container.lsn >= container.lsn_limit:
            limit = container.lsn + LSN_BLOCK
            self._db.execute("UPDATE containers SET lsn = ? WHERE number = ?", (limit, container.number))
            self._reserved.append((container, container.lsn_limit))
            container.lsn_limit = limit
        container.lsn += 1
        # A clock that is set back must not make writes look older than those before them.
        container.ts = max(container.ts, int(time.time()))
        return container.lsn, container.ts

    def get(self, container: Container, epk: str, item_id: str) -> Item | None:
        """Return an item that has not expired."""
        item = self._get(container, epk, item_id)
        if item is None or (item.expires is not None and item.expires <= time.time()):
            return None
        return item

    def _get(self, container: Container, epk: str, item_id: str) -> Item | None:
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND epk = ? AND id = ?",  # noqa: S608
            (container.number, epk, item_id),
        ).fetchone()
        return Item(*row) if row else None

    def put(self, container: Container, item: Item, terms: set[Term], previous: Item | None) -> None:
        """Insert an item, or overwrite ``previous``; of its terms only those that changed are touched."""
        old: set[Term] = set()
        if previous is None:
            try:
                number = self._insert(container, item)
            except sqlite3.IntegrityError:
                # An expired item with this key is still waiting to be purged.
                stale = self._get(container, item.epk, item.id)
                if stale is None:
                    raise
                self.delete(container, stale)
                number = self._insert(container, item)
        else:
            number = previous.number
            self._db.execute(
                "UPDATE items SET lsn = ?, ts = ?, expires = ?, etag = ?, body = ? WHERE number = ?",
                (item.lsn, item.ts, item.expires, item.etag, item.body, number),
            )
            if container.index.paths:
                old = container.index.terms(previous.document())
        if old != terms:
            self._remove_terms(container, number, old - terms)
            self._add_terms(container, number, terms - old)

    def _insert(self, container: Container, item: Item) -> int:
        cursor = self._db.execute(
            "INSERT INTO items (container, epk, id, lsn, ts, expires, etag, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (container.number, item.epk, item.id, item.lsn, item.ts, item.expires, item.etag, item.body),
        )
        return int(cursor.lastrowid or 0)

    def delete(self, container: Container, item: Item) -> None:
        """Remove an item with its terms."""
        self._db.execute("DELETE FROM items WHERE number = ?", (item.number,))
        if container.index.paths:
            self._remove_terms(container, item.number, container.index.terms(item.document()))

    def purge_expired(self, limit: int = 1_000) -> int:
        """Remove up to ``limit`` expired items; return how many were removed."""
        rows = self._db.execute(
            f"SELECT container, {COLUMNS} FROM items WHERE expires <= ? LIMIT ?",  # noqa: S608
            (int(time.time()), limit),
        ).fetchall()
        if rows:
            by_number = {container.number: container for container in self.containers.values()}
            with self.transaction():
                for container, *columns in rows:
                    self.delete(by_number[container], Item(*columns))
        return len(rows)

    def _add_terms(self, container: Container, number: int, new: Iterable[Term]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO terms VALUES (?, ?, ?, ?)",
            [(container.number, path, value, number) for path, value in new],
        )

    def _remove_terms(self, container: Container, number: int, old: Iterable[Term]) -> None:
        self._db.executemany(
            "DELETE FROM terms WHERE container = ? AND path = ? AND value = ? AND item = ?",
            [(container.number, path, value, number) for path, value in old],
        )


def expiry(default_ttl: int | None, own: object, written: int) -> int | None:
    """Return the second from which on an item is gone: its own ``ttl`` goes before the container's.

    A container without ``defaultTtl`` has expiry off; -1 means never.
    """
    if default_ttl is None:
        return None
    seconds = own if isinstance(own, int) else default_ttl
    return None if seconds == -1 else written + seconds
