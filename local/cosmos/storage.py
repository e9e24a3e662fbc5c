"""Durable storage in one SQLite file: databases, containers, items, index terms, the order of writes.

Every acknowledged write is committed to the write-ahead log first: a process killed with -9 loses nothing
it has answered, and shows nothing of a transaction it had not finished.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from local.cosmos.model import Container, Database
from local.cosmos.partitioning import Counter, PhysicalPartition, Range
from local.cosmos.reading import Reader
from local.cosmos.writing import Writer

FORMAT = 4
"""Version of the schema, kept in the file; another version is refused, not guessed at."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
    offer BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, database TEXT NOT NULL, id TEXT NOT NULL,
    body BLOB NOT NULL, offer BLOB NOT NULL, rids INTEGER NOT NULL, UNIQUE (database, id));
CREATE TABLE IF NOT EXISTS partitions (
    container INTEGER NOT NULL, id TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    parents BLOB NOT NULL, lsn INTEGER NOT NULL, PRIMARY KEY (container, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY, container INTEGER NOT NULL, partition TEXT NOT NULL,
    epk TEXT NOT NULL, id TEXT NOT NULL, lsn INTEGER NOT NULL, ts INTEGER NOT NULL, expires INTEGER,
    etag TEXT NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS items_by_key ON items (container, epk, id);
CREATE INDEX IF NOT EXISTS items_by_id ON items (container, id);
CREATE INDEX IF NOT EXISTS items_by_lsn ON items (container, partition, lsn);
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS terms (
    container INTEGER NOT NULL, path TEXT NOT NULL, value, item INTEGER NOT NULL,
    PRIMARY KEY (container, path, value, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unique_keys (
    container INTEGER NOT NULL, epk TEXT NOT NULL, key BLOB NOT NULL, item INTEGER NOT NULL,
    PRIMARY KEY (container, epk, key)) WITHOUT ROWID;
"""

NUMBER_BLOCK = 1_000
"""Numbers set aside at a time: after a crash some are skipped, none is given twice."""


class StorageError(Exception):
    """The database file cannot be used. One sentence."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all writes of one transaction to a physical partition bear."""

    partition: str
    lsn: int
    ts: int


def _only_for_the_owner(path: Path) -> None:
    """Make the file, or take it away from others. SQLite gives what it adds the same permissions."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for file in (path, *path.parent.glob(f"{path.name}-*")):
        file.chmod(0o600)


IN_MEMORY = Path(":memory:")
"""Instead of a file: SQLite keeps everything in memory."""


class Storage:
    """The file, and what is kept of it in memory."""

    def __init__(self, path: Path) -> None:
        if path != IN_MEMORY:
            _only_for_the_owner(path)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        self._open(path)
        self.read = Reader(self._db)
        self.write = Writer(self._db)
        self.databases: dict[str, Database] = {}
        self.containers: dict[tuple[str, str], Container] = {}
        self._taken: list[tuple[Counter, int, int]] = []
        """Counters that the current transaction took numbers from, each as it was before."""
        self._stamps: dict[tuple[int, str], Stamp] = {}
        self.before_commit: Callable[[], None] | None = None
        """Called when everything is written and nothing is committed; a fault rule ends the process here."""
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
        # What was deleted or replaced is overwritten: erased documents are not left in the file.
        self._db.execute("PRAGMA secure_delete = ON")
        # What the process has handed to the kernel survives the process; only a power cut could take it.
        self._db.execute("PRAGMA synchronous = NORMAL")
        # 16 MiB: beyond, the kernel's own cache serves nearly as fast, and the process stays small.
        self._db.execute("PRAGMA cache_size = -16384")
        self._db.execute("PRAGMA wal_autocheckpoint = 4000")
        self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        self.forget_log()

    def forget_log(self) -> None:
        """Move the write-ahead log into the file and empty it: it holds what was replaced since."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self.before_commit is not None:
                self.before_commit()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            # What was set aside inside is not set aside on disk any more. And no reader of the feed may go on
            # from a number that nothing bears: after a crash a write may get it.
            for counter, value, limit in reversed(self._taken):
                counter.value, counter.limit = value, limit
            raise
        finally:
            self._taken.clear()
            self._stamps.clear()

    def _load(self) -> None:
        for number, name, body, offer in self._db.execute("SELECT number, id, body, offer FROM databases"):
            self.databases[name] = Database(number, name, orjson.loads(body), orjson.loads(offer))
        rows = self._db.execute("SELECT number, database, id, body, offer, rids FROM containers").fetchall()
        for number, database, name, body, offer, rids in rows:
            self.containers[database, name] = Container(
                number,
                database,
                name,
                orjson.loads(body),
                orjson.loads(offer),
                self._load_partitions(number),
                Counter(rids, rids),
            )

    def _load_partitions(self, container: int) -> list[PhysicalPartition]:
        rows = self._db.execute(
            "SELECT id, low, high, parents, lsn FROM partitions WHERE container = ? ORDER BY low",
            (container,),
        ).fetchall()
        return [
            PhysicalPartition(
                name,
                Range(low, high),
                tuple(orjson.loads(parents)),
                Counter(lsn, lsn),
                self._last_second(container, name),
            )
            for name, low, high, parents, lsn in rows
        ]

    def _last_second(self, container: int, partition: str) -> int:
        row = self._db.execute(
            "SELECT ts FROM items WHERE container = ? AND partition = ? ORDER BY lsn DESC LIMIT 1",
            (container, partition),
        ).fetchone()
        return int(row[0]) if row else 0

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

    def add_database(self, name: str, body: dict[str, Any], offer: dict[str, Any]) -> Database:
        """Store a new database."""
        cursor = self._db.execute(
            "INSERT INTO databases (id, body, offer) VALUES (?, ?, ?)",
            (name, orjson.dumps(body), orjson.dumps(offer)),
        )
        database = Database(int(cursor.lastrowid or 0), name, body, offer)
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
                "INSERT INTO containers (database, id, body, offer, rids) VALUES (?, ?, ?, ?, 0)",
                (database, name, orjson.dumps(body), orjson.dumps(offer)),
            )
            number = int(cursor.lastrowid or 0)
            self._add_partitions(number, partitions)
        container = Container(number, database, name, body, offer, list(partitions), Counter())
        self.containers[database, name] = container
        return container

    def _add_partitions(self, container: int, partitions: Iterable[PhysicalPartition]) -> None:
        self._db.executemany(
            "INSERT INTO partitions VALUES (?, ?, ?, ?, ?, ?)",
            [
                (container, p.id, p.range.low, p.range.high, orjson.dumps(p.parents), p.lsn.limit)
                for p in partitions
            ],
        )

    def split(self, container: Container, parent: PhysicalPartition) -> list[PhysicalPartition]:
        """Put two physical partitions in the place of one; their items keep their sequence numbers."""
        halves = parent.split(container.next_partition_id)
        with self.transaction():
            self._add_partitions(container.number, halves)
            for half in halves:
                self._db.execute(
                    "UPDATE items SET partition = ? WHERE container = ? AND partition = ? "
                    "AND epk >= ? AND epk < ?",
                    (half.id, container.number, parent.id, half.range.low, half.range.high),
                )
            self._db.execute(
                "DELETE FROM partitions WHERE container = ? AND id = ?", (container.number, parent.id)
            )
        place = container.partitions.index(parent)
        container.partitions[place : place + 1] = halves
        return halves

    def save_offer(self, owner: Database | Container, offer: dict[str, Any]) -> None:
        """Store changed throughput."""
        table = "containers" if isinstance(owner, Container) else "databases"
        self._db.execute(
            f"UPDATE {table} SET offer = ? WHERE number = ?",  # noqa: S608
            (orjson.dumps(offer), owner.number),
        )
        owner.offer = offer

    def replace_container(self, container: Container, body: dict[str, Any]) -> Container:
        """Store changed properties; compute terms and expiry anew where they follow from what changed."""
        changed = Container(
            container.number,
            container.database,
            container.id,
            body,
            container.offer,
            container.partitions,
            container.rids,
        )
        with self.transaction():
            self._db.execute(
                "UPDATE containers SET body = ? WHERE number = ?", (orjson.dumps(body), container.number)
            )
            self.write.rebuild(container, changed)
        self.containers[container.database, container.id] = changed
        return changed

    def drop_container(self, container: Container) -> None:
        """Remove a container with its items."""
        with self.transaction():
            self._drop_container(container)
        del self.containers[container.database, container.id]

    def _drop_container(self, container: Container) -> None:
        for table in ("items", "terms", "unique_keys", "partitions"):
            self._db.execute(f"DELETE FROM {table} WHERE container = ?", (container.number,))  # noqa: S608
        self._db.execute("DELETE FROM containers WHERE number = ?", (container.number,))

    def purge_expired(self, limit: int = 1_000) -> int:
        """Remove up to ``limit`` expired items; return how many were removed."""
        expired = self.read.expired(limit)
        if expired:
            by_number = {container.number: container for container in self.containers.values()}
            with self.transaction():
                for container, item in expired:
                    self.write.delete(by_number[container], item)
        return len(expired)

    # Numbers of writes

    def stamp(self, container: Container, epk: str) -> Stamp:
        """Return what marks the writes of the current transaction to a physical partition."""
        partition = container.partition_of(epk)
        stamp = self._stamps.get((container.number, partition.id))
        if stamp is None:
            lsn = self._take(
                partition.lsn,
                "UPDATE partitions SET lsn = ? WHERE container = ? AND id = ?",
                container.number,
                partition.id,
            )
            # A clock that is set back must not make writes look older than those before them.
            partition.ts = max(partition.ts, int(time.time()))
            stamp = Stamp(partition.id, lsn, partition.ts)
            self._stamps[container.number, partition.id] = stamp
        return stamp

    def next_rid(self, container: Container) -> int:
        """Return the number in the resource id of the next new item."""
        return self._take(container.rids, "UPDATE containers SET rids = ? WHERE number = ?", container.number)

    def _take(self, counter: Counter, save: str, *row: object) -> int:
        """Return a counter's next number, inside a transaction."""
        self._taken.append((counter, counter.value, counter.limit))
        if counter.value >= counter.limit:
            counter.limit = counter.value + NUMBER_BLOCK
            self._db.execute(save, (counter.limit, *row))
        counter.value += 1
        return counter.value
