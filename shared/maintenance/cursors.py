"""The auditor's cursors: how far the feed of each physical partition was seen. Pure.

A cursor is a claim: everything in its range up to its position was seen. A claim stays true, so

- a part of a range has the position of the whole, when a partition was split;
- a whole has the earliest position of its parts, when partitions were merged;
- of two positions of the same range, the later one holds.

A position that cannot be read claims nothing: its range is read from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from shared.cosmos.change_feed import FeedRange

CLOCK_SKEW_SECONDS = 60
"""Seconds by which a write may carry an earlier time than the write before it in the feed: the clocks of
replicas differ."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one feed range was seen."""

    range: FeedRange
    position: str | None = None
    """None: nothing was seen."""
    ordered_since: int = 0
    """Since when the times of writes are in the order of the feed, in seconds since the epoch. After a merge
    the feed has what was written before in the order of two sequences, mixed."""

    def seen_beyond(self, horizon: int) -> int:
        """Return the time of a write beyond which the feed holds no write that is older than a horizon."""
        return max(horizon, self.ordered_since) + CLOCK_SKEW_SECONDS

    def encode(self) -> dict[str, Any]:
        """Return the form in which it is stored."""
        return {
            "low": self.range.low,
            "high": self.range.high,
            "position": self.position,
            "ordered_since": self.ordered_since,
        }

    @classmethod
    def decode(cls, stored: object) -> Cursor | None:
        """Return a stored cursor, None if it cannot be read."""
        match stored:
            case {
                "low": str(low),
                "high": str(high),
                "position": str() | None as position,
                "ordered_since": int(ordered_since),
            } if position != "":
                return cls(FeedRange(low, high), position, ordered_since)
        return None


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one feed, one per physical partition."""

    rid: str
    """Resource id of the container. A container that was recreated or restored has another one."""
    reading: int
    """Number of the reading. An audit from the beginning starts the next one."""
    cursors: Sequence[Cursor]
    began: int | None = None
    """When the reading began, in seconds since the epoch. None if that is not recorded."""
    unreadable: int = field(default=0, compare=False)
    """Stored cursors that could not be read."""

    def encode(self) -> dict[str, Any]:
        """Return the form in which they are stored."""
        return {
            "rid": self.rid,
            "reading": self.reading,
            "began": self.began,
            "cursors": [cursor.encode() for cursor in self.cursors],
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None) -> Cursors | None:
        """Return the stored cursors, without those that cannot be read. None if there are none."""
        if stored is None or not isinstance(stored.get("rid"), str):
            return None
        found = stored.get("cursors")
        listed = found if isinstance(found, list) else [None]
        cursors = [cursor for each in listed if (cursor := Cursor.decode(each)) is not None]
        reading, began = stored.get("reading"), stored.get("began")
        return cls(
            stored["rid"],
            reading if isinstance(reading, int) else 0,
            cursors,
            began if isinstance(began, int) else None,
            unreadable=len(listed) - len(cursors),
        )

    @classmethod
    def from_beginning(
        cls, rid: str, ranges: Iterable[FeedRange], now: int, *, after: Cursors | None
    ) -> Cursors:
        """Return the cursors of a reading from the beginning of each range, after an earlier one or none."""
        cursors = [Cursor(each, ordered_since=now) for each in ranges]
        return cls(rid, 1 if after is None else after.reading + 1, cursors, began=now)

    def is_same_reading(self, other: Cursors) -> bool:
        """Return whether both belong to the same reading of the same container."""
        return (self.rid, self.reading) == (other.rid, other.reading)

    @property
    def live_until(self) -> float:
        """Time of the last write that was there when the reading began, in seconds since the epoch.

        What was counted may be of the container before it was restored, and then it is newer than what is
        there. Whether it was restored is not known for sure: the cursors may be lost, or the first ones.
        """
        return -inf if self.began is None else self.began + CLOCK_SKEW_SECONDS

    def aligned(self, ranges: Iterable[FeedRange], now: int) -> Cursors:
        """Return one cursor for each of the ranges, which are those of the physical partitions."""
        return replace(self, cursors=[_cursor_of(each, self.cursors, now) for each in ranges])

    def claiming(self, claim: Cursor) -> Cursors:
        """Return these cursors with one more claim.

        A cursor of a larger range stays: the claim says nothing about the rest of it.
        """
        return replace(self, cursors=[_claimed(cursor, claim) for cursor in self.cursors])

    def without(self, refused: Cursor) -> Cursors:
        """Return these cursors without the position of one of them, which the service refuses."""
        return replace(
            self,
            cursors=[replace(each, position=None) if each == refused else each for each in self.cursors],
        )


def _cursor_of(feed_range: FeedRange, cursors: Iterable[Cursor], now: int) -> Cursor:
    parts = [cursor for cursor in cursors if cursor.range.overlaps(feed_range)]
    if not feed_range.is_covered_by(cursor.range for cursor in parts):
        return Cursor(feed_range, ordered_since=now)
    if len(parts) == 1:
        return replace(parts[0], range=feed_range)
    return Cursor(feed_range, _earliest([cursor.position for cursor in parts]), ordered_since=now)


def _claimed(cursor: Cursor, claim: Cursor) -> Cursor:
    if claim.position is None or not cursor.range.is_covered_by([claim.range]):
        return cursor
    own, claimed = _number(cursor.position), _number(claim.position)
    if own is not None and claimed is not None and own > claimed:
        return cursor
    return replace(cursor, position=claim.position)


def _earliest(positions: Sequence[str | None]) -> str | None:
    """Return the earliest position; None, the beginning, if one of them is no number."""
    numbered = {number: position for position in positions if (number := _number(position)) is not None}
    if len(numbered) < len(set(positions)):
        return None
    return numbered[min(numbered)]


def _number(position: str | None) -> int | None:
    """Return the sequence number in a position, None if there is none."""
    text = (position or "").strip('"')
    return int(text) if text.isascii() and text.isdigit() else None
