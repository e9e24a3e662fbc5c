"""Write items with what is kept beside them: index terms, unique keys, the second of their expiry.

Each call belongs into a transaction of the storage.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any

from local.cosmos.errors import conflict
from local.cosmos.indexing import Term
from local.cosmos.model import Container, Item
from local.cosmos.reading import COLUMNS

REBUILD_BLOCK = 200
"""Items read at a time when an index or the expiry of a container is computed anew."""


class Writer:
    """Writes of items to the database file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def insert(
        self, container: Container, partition: str, item: Item, document: dict[str, Any], terms: set[Term]
    ) -> None:
        """Store a new item in a physical partition.

        Raises
        ------
        ServiceError
            409: another item has its unique key.
        """
        try:
            number = self._insert(container, partition, item)
        except sqlite3.IntegrityError:
            self._remove_expired(container, item)
            number = self._insert(container, partition, item)
        self._add_terms(container, number, terms)
        self._take_keys(container, item.epk, number, container.unique.keys(document))

    def update(
        self, container: Container, previous: Item, item: Item, document: dict[str, Any], terms: set[Term]
    ) -> None:
        """Overwrite an item; of its terms and unique keys only those that changed are touched.

        Raises
        ------
        ServiceError
            409: another item has its unique key.
        """
        number = previous.number
        if item.id != previous.id:
            self._remove_expired(container, item)
        self._db.execute(
            "UPDATE items SET id = ?, lsn = ?, ts = ?, expires = ?, etag = ?, body = ? WHERE number = ?",
            (item.id, item.lsn, item.ts, item.expires, item.etag, item.body, number),
        )
        if not container.index.paths and not container.unique:
            return
        before = previous.document()
        old = container.index.terms(before)
        self._remove_terms(container, number, old - terms)
        self._add_terms(container, number, terms - old)
        held, wanted = container.unique.keys(before), container.unique.keys(document)
        self._give_keys(container, item.epk, held - wanted)
        self._take_keys(container, item.epk, number, wanted - held)

    def delete(self, container: Container, item: Item) -> None:
        """Remove an item with its terms and unique keys."""
        self._db.execute("DELETE FROM items WHERE number = ?", (item.number,))
        if container.index.paths or container.unique:
            document = item.document()
            self._remove_terms(container, item.number, container.index.terms(document))
            self._give_keys(container, item.epk, container.unique.keys(document))

    def rebuild(self, old: Container, new: Container) -> None:
        """Compute terms and expiry anew where they follow from a container's changed properties."""
        reindex = new.index.paths != old.index.paths
        if reindex:
            self._db.execute("DELETE FROM terms WHERE container = ?", (old.number,))
        if reindex or new.default_ttl != old.default_ttl:
            for item in self._every_item(old):
                self._rebuild(new, item, reindex=reindex)

    def _every_item(self, container: Container) -> Iterator[Item]:
        last = ("", "")
        while rows := self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND (epk, id) > (?, ?) "  # noqa: S608
            "ORDER BY epk, id LIMIT ?",
            (container.number, *last, REBUILD_BLOCK),
        ).fetchall():
            yield from (Item(*row) for row in rows)
            last = rows[-1][1:3]

    def _rebuild(self, container: Container, item: Item, *, reindex: bool) -> None:
        document = item.document()
        if reindex:
            self._add_terms(container, item.number, container.index.terms(document))
        expires = expiry(container.default_ttl, document.get("ttl"), item.ts)
        if expires != item.expires:
            self._db.execute("UPDATE items SET expires = ? WHERE number = ?", (expires, item.number))

    def _insert(self, container: Container, partition: str, item: Item) -> int:
        cursor = self._db.execute(
            "INSERT INTO items (container, partition, epk, id, lsn, ts, expires, etag, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                container.number,
                partition,
                item.epk,
                item.id,
                item.lsn,
                item.ts,
                item.expires,
                item.etag,
                item.body,
            ),
        )
        return int(cursor.lastrowid or 0)

    def _remove_expired(self, container: Container, item: Item) -> None:
        """Make room where an item that has expired is still waiting to be purged."""
        stale = self._item("container = ? AND epk = ? AND id = ?", container.number, item.epk, item.id)
        if stale is not None:
            self.delete(container, stale)

    def _item(self, condition: str, *values: object) -> Item | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM items WHERE {condition}", values).fetchone()  # noqa: S608
        return Item(*row) if row else None

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

    def _take_keys(self, container: Container, epk: str, number: int, keys: Iterable[bytes]) -> None:
        for key in keys:
            row = self._db.execute(
                "SELECT item FROM unique_keys WHERE container = ? AND epk = ? AND key = ?",
                (container.number, epk, key),
            ).fetchone()
            holder = self._item("number = ?", row[0]) if row else None
            if holder is not None:
                if holder.expires is None or holder.expires > time.time():
                    raise conflict("Unique index constraint violation.")
                self.delete(container, holder)
            self._db.execute(
                "INSERT INTO unique_keys VALUES (?, ?, ?, ?)", (container.number, epk, key, number)
            )

    def _give_keys(self, container: Container, epk: str, keys: Iterable[bytes]) -> None:
        self._db.executemany(
            "DELETE FROM unique_keys WHERE container = ? AND epk = ? AND key = ?",
            [(container.number, epk, key) for key in keys],
        )


def expiry(default_ttl: int | None, own: object, written: int) -> int | None:
    """Return the second from which on an item is gone: its own ``ttl`` goes before the container's.

    A container without ``defaultTtl`` has expiry off; -1 means never.
    """
    if default_ttl is None:
        return None
    seconds = own if isinstance(own, int) else default_ttl
    return None if seconds == -1 else written + seconds
