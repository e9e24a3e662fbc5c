"""Read many items: scans, what an index leaves of them, and the order of writes.

Everything comes back lazily, so that a page is as large in memory as the page itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from math import floor

import orjson

from local.cosmos.indexing import Scalar, stored_value
from local.cosmos.model import Container, Item
from local.cosmos.partitioning import PhysicalPartition, Range

COLUMNS = "number, epk, id, lsn, ts, expires, etag, body"

BLOCK = 50
"""Items loaded at a time: enough to make the statement's cost small, and 100 MB if each has 2."""

BLOCK_OF_KEYS = 5_000


class Reader:
    """Reads of many items from the database file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def get(self, container: Container, epk: str, item_id: str) -> Item | None:
        """Return an item that has not expired."""
        row = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND epk = ? AND id = ?",  # noqa: S608
            (container.number, epk, item_id),
        ).fetchone()
        if row is None:
            return None
        item = Item(*row)
        return None if item.expires is not None and item.expires <= time.time() else item

    def expired(self, limit: int) -> list[tuple[int, Item]]:
        """Return items that have expired, each with the number of its container."""
        rows = self._db.execute(
            f"SELECT container, {COLUMNS} FROM items WHERE expires <= ? LIMIT ?",  # noqa: S608
            (int(time.time()), limit),
        )
        return [(container, Item(*columns)) for container, *columns in rows]

    def scan(self, container: Container, keys: Range, *, after: tuple[str, str] = ("", "")) -> Iterator[Item]:
        """Yield the items of a range in the order of effective key and id, those after ``after``."""
        # One bound on one column: SQLite starts there, and does not step over what lies before it.
        epk, item_id = max(after, (keys.low, ""))
        cursor = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND (epk, id) > (?, ?) "  # noqa: S608
            "AND epk < ? AND (expires IS NULL OR expires > ?) ORDER BY epk, id",
            (container.number, epk, item_id, keys.high, int(time.time())),
        )
        for row in cursor:
            yield Item(*row)

    def load(
        self, container: Container, keys: Range, numbers: Iterable[int], *, after: tuple[str, str] = ("", "")
    ) -> Iterator[Item]:
        """Yield those of the items that lie in a range, in the order of ``scan``, those after ``after``."""
        found: list[tuple[str, str, int]] = []
        for part in _blocks(list(numbers), BLOCK_OF_KEYS):
            # The signs keep SQLite from walking through the index of the whole range instead of these rows.
            found += self._db.execute(
                "SELECT epk, id, number FROM items WHERE number IN (SELECT value FROM json_each(?)) "
                "AND +container = ? AND +epk >= ? AND +epk < ?",
                (orjson.dumps(part), container.number, keys.low, keys.high),
            )
        found.sort()
        numbers = [number for epk, item_id, number in found if (epk, item_id) > after]
        yield from self._bodies(numbers, int(time.time()))

    def _bodies(self, numbers: Sequence[int], now: int) -> Iterator[Item]:
        """Yield items by number, in this order, leaving out what has expired."""
        for part in _blocks(numbers, BLOCK):
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM items WHERE number IN (SELECT value FROM json_each(?)) "  # noqa: S608
                "AND (expires IS NULL OR expires > ?)",
                (orjson.dumps(part), now),
            )
            by_number = {row[0]: row for row in rows}
            yield from (Item(*by_number[number]) for number in part if number in by_number)

    # What an index leaves: row numbers, no more than ``most`` and one

    def with_ids(self, container: Container, ids: Sequence[str], most: int) -> set[int]:
        """Return the items that have one of these ids, in any logical partition."""
        return self._collect(
            "SELECT number FROM items WHERE container = ? AND id = ?",
            [(container.number, item_id) for item_id in ids],
            most,
        )

    def with_terms(self, container: Container, terms: Sequence[tuple[str, Scalar]], most: int) -> set[int]:
        """Return the items that have one of these terms."""
        return self._collect(
            "SELECT item FROM terms WHERE container = ? AND path = ? AND value = ?",
            [(container.number, path, stored_value(value)) for path, value in terms],
            most,
        )

    def with_value_between(
        self,
        container: Container,
        path: str,
        low: str | int | float | None,
        high: str | int | float | None,
        most: int,
    ) -> set[int]:
        """Return the items with a value between two of one type, both ends included."""
        known = low if low is not None else high
        # In SQLite's order numbers come before text, and text before bytes (null, false, true).
        lowest: str | float = "" if isinstance(known, str) else float("-inf")
        values = (lowest if low is None else stored_value(low), high if high is None else stored_value(high))
        if values[1] is not None:
            condition, bounds = "value <= ?", values
        else:
            condition, bounds = "value < ?", (values[0], b"" if isinstance(known, str) else "")
        return self._collect(
            f"SELECT item FROM terms WHERE container = ? AND path = ? AND value >= ? AND {condition}",  # noqa: S608
            [(container.number, path, *bounds)],
            most,
        )

    def written_between(
        self, container: Container, low: float | None, high: float | None, most: int
    ) -> set[int]:
        """Return the items last written from the second ``low`` to ``high``, or a few more."""
        bounds: list[tuple[object, ...]] = []
        for partition in container.partitions:
            first = 0 if low is None else self.first_lsn_at(container, partition, floor(low))
            behind = (
                partition.lsn.value + 1
                if high is None
                else self.first_lsn_at(container, partition, floor(high) + 1)
            )
            bounds.append((container.number, partition.id, first, behind))
        return self._collect(
            "SELECT number FROM items WHERE container = ? AND partition = ? AND lsn >= ? AND lsn < ?",
            bounds,
            most,
        )

    def in_logical_partition(self, container: Container, epk: str, most: int) -> int:
        """Return how many items a logical partition has, counting no further than ``most``."""
        row = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM items WHERE container = ? AND epk = ? LIMIT ?)",
            (container.number, epk, most),
        ).fetchone()
        return int(row[0])

    def count_by_partition(self, container: Container) -> dict[str, int]:
        """Return how many items each physical partition has, if it has any."""
        return dict(
            self._db.execute(
                "SELECT partition, count(*) FROM items WHERE container = ? GROUP BY partition",
                (container.number,),
            ).fetchall()
        )

    def _collect(self, statement: str, values: Iterable[tuple[object, ...]], most: int) -> set[int]:
        numbers: set[int] = set()
        for given in values:
            room = most + 1 - len(numbers)
            numbers.update(islice(chain.from_iterable(self._db.execute(statement, given)), room))
            if len(numbers) > most:
                break
        return numbers

    # The order of writes

    def feed(
        self, container: Container, partition: PhysicalPartition, keys: Range, *, after: int
    ) -> Iterator[Item]:
        """Yield a physical partition's items of a range in the order of last writes, behind ``after``."""
        now = int(time.time())
        if keys.is_point:
            rows = self._db.execute(
                "SELECT lsn, number FROM items WHERE container = ? AND epk = ? AND +lsn > ? "
                "AND (expires IS NULL OR expires > ?)",
                (container.number, keys.low, after, now),
            ).fetchall()
            rows.sort()
            yield from self._bodies([number for _, number in rows], now)
            return
        cursor = self._db.execute(
            f"SELECT {COLUMNS} FROM items WHERE container = ? AND partition = ? AND lsn > ? "  # noqa: S608
            "AND epk >= ? AND epk < ? AND (expires IS NULL OR expires > ?) ORDER BY lsn, number",
            (container.number, partition.id, after, keys.low, keys.high, now),
        )
        for row in cursor:
            yield Item(*row)

    def first_lsn_at(self, container: Container, partition: PhysicalPartition, second: int) -> int:
        """Return the lowest sequence number from which on every item was written at this second or later.

        The time of writes never runs backwards within a physical partition, so that halving finds it.
        """
        low, high = 1, partition.lsn.value + 1
        while low < high:
            middle = (low + high) // 2
            row = self._db.execute(
                "SELECT lsn, ts FROM items WHERE container = ? AND partition = ? AND lsn >= ? "
                "ORDER BY lsn LIMIT 1",
                (container.number, partition.id, middle),
            ).fetchone()
            if row is None or row[1] >= second:
                high = middle
            else:
                low = int(row[0]) + 1
        return low


def _blocks(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
