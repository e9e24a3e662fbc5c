"""The SQLite file of a task hub, shared by all hosts of a stack."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    instance_id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    input TEXT,
    parent_instance TEXT,
    parent_execution TEXT,
    parent_number INTEGER,
    status TEXT NOT NULL,
    custom_status TEXT,
    output TEXT,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    token TEXT,
    owner TEXT,
    leased_until REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS instances_by_update ON instances (status, updated);
CREATE TABLE IF NOT EXISTS history (
    instance_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (instance_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT NOT NULL,
    execution_id TEXT,
    kind INTEGER NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_instance ON messages (instance_id, id);
CREATE TABLE IF NOT EXISTS activities (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    input TEXT NOT NULL,
    token TEXT,
    owner TEXT,
    leased_until REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS activities_by_lease ON activities (leased_until, id);
CREATE INDEX IF NOT EXISTS activities_by_instance ON activities (instance_id);
CREATE TABLE IF NOT EXISTS timers (
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    fire_at REAL NOT NULL,
    PRIMARY KEY (instance_id, execution_id, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timers_by_time ON timers (fire_at);
"""
BUSY_SECONDS = 30.0
"""How long a statement waits for the transaction of another host. Transactions take milliseconds."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, and create it with its tables if it does not exist.

    What is committed survives the end of the process, however sudden. A machine that loses its power may lose
    the last moments, but never half a transaction. Deleted rows are overwritten: nothing of a purged
    orchestration can be read from the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.executescript(SCHEMA)
    return connection


class HubFile:
    """The open file. All methods may be called from any thread; they block for milliseconds.

    Raises
    ------
    OSError, sqlite3.Error
        The file cannot be opened, read or written.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read, outside of any transaction."""
        with self._lock:
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Commit everything in the block together, or nothing of it."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def finds(self, question: str, values: tuple[object, ...]) -> bool:
        """Say whether a query finds anything: a host that is idle must not keep others from writing."""
        with self.read() as db:
            return db.execute(question, values).fetchone() is not None

    def shorten(self) -> None:
        """Empty the write-ahead log, in which what was deleted can be read, unless another host uses it."""
        with self.read() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
