"""How far a migration has come: stored after each page, so that it can be resumed and shared. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shared.cosmos.change_feed import WHOLE_FEED, FeedRange
from shared.maintenance.cursors import Cursor, Cursors


@dataclass(slots=True)
class Tally:
    """What was done with documents."""

    versions: Counter[str] = field(default_factory=Counter)
    """Documents by the version in which they were found."""
    migrated: int = 0
    """Documents that were rewritten, those that moved among them."""
    moved: int = 0
    """Documents that have another partition or container now."""
    ending: int = 0
    """Documents whose time was over."""
    ageing: int = 0
    """Documents that the archive is to copy first."""
    left: Counter[str] = field(default_factory=Counter)
    """Documents that stay as they are, by the field that is the cause."""

    def add(self, other: Tally) -> None:
        """Add what was done with other documents."""
        self.versions.update(other.versions)
        self.left.update(other.left)
        self.migrated += other.migrated
        self.moved += other.moved
        self.ending += other.ending
        self.ageing += other.ageing

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "versions": dict(self.versions),
            "migrated": self.migrated,
            "moved": self.moved,
            "ending": self.ending,
            "ageing": self.ageing,
            "left": dict(self.left),
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read the stored form."""
        return cls(
            Counter(stored["versions"]),
            stored["migrated"],
            stored["moved"],
            stored["ending"],
            stored["ageing"],
            Counter(stored["left"]),
        )


@dataclass(frozen=True, slots=True)
class MigrationWalk:
    """A walk over the change feed of one container."""

    to: str
    """The version that the documents are brought to."""
    cursors: Cursors
    done: tuple[FeedRange, ...] = ()
    """Ranges that were read to their end."""
    tally: Tally = field(default_factory=Tally)

    @property
    def finished(self) -> bool:
        """Whether all ranges were read to their end."""
        return WHOLE_FEED.is_covered_by(self.done)

    def unread(self) -> list[Cursor]:
        """Return the cursors of the ranges that were not read to their end."""
        return [cursor for cursor in self.cursors.cursors if not cursor.range.is_covered_by(self.done)]

    def is_same(self, other: MigrationWalk) -> bool:
        """Return whether both are the same walk, at whatever point."""
        return self.to == other.to and self.cursors.is_same_reading(other.cursors)

    def advanced(self, claim: Cursor, tally: Tally, *, to_the_end: bool) -> MigrationWalk:
        """Return the walk after one page of a range.

        A page that another instance has committed already is not counted again.
        """
        cursors = self.cursors.claiming(claim)
        together = Tally()
        together.add(self.tally)
        if cursors != self.cursors:
            together.add(tally)
        done = (*self.done, claim.range) if to_the_end and claim.range not in self.done else self.done
        return replace(self, cursors=cursors, tally=together, done=done)

    def aligned(self, ranges: Iterable[FeedRange], now: int) -> MigrationWalk:
        """Return the walk with one cursor for each physical partition as it is now."""
        return replace(self, cursors=self.cursors.aligned(ranges, now))

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            **self.cursors.encode(),
            "to": self.to,
            "done": [list(each) for each in self.done],
            "tally": self.tally.encode(),
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """Read the stored form, None if there is none."""
        cursors = Cursors.decode(stored)
        if stored is None or cursors is None:
            return None
        done = tuple(FeedRange(*each) for each in stored["done"])
        return cls(stored["to"], cursors, done, Tally.decode(stored["tally"]))
