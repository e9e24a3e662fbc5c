"""Which documents are due, and how far each feed range is archived. Pure.

A position is a second: everything of its range that was written until then, and is not changed since, is in
the archive. No second is ever divided, and nothing is written into a second of the past. So a position is
true for every part of its range, and for a whole the earliest position of its parts is: partitions may be
split and merged at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.containers import ARCHIVE_ALERT_DAYS, ARCHIVED, DAY, container
from shared.cosmos.change_feed import FeedRange
from shared.errors import RefusedError

NOTHING = -1
"""The position of a range of which nothing is archived."""

YOUNGEST_DAYS = 1
"""Days between the last write of a document and its copy, at least. The clocks of replicas differ, and
nothing may be written into a second that counts as archived."""


class NotArchivedError(RefusedError):
    """Documents of this container are not archived. The message names those that are."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far one feed range is archived."""

    range: FeedRange
    through: int = NOTHING
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Positions:
    """How far a container is archived, and into which archive."""

    rid: str
    """Resource id of the container. One that was recreated or restored has another."""
    archive: str
    """Id of the archive. Another storage account has nothing of what this one has."""
    positions: Sequence[Position] = ()

    def of(self, feed_range: FeedRange) -> int:
        """Return the position of any range: the earliest of those that it overlaps."""
        parts = [each for each in self.positions if each.range.overlaps(feed_range)]
        if not feed_range.is_covered_by(each.range for each in parts):
            return NOTHING
        return min(each.through for each in parts)

    def claiming(self, claim: Position) -> Positions:
        """Return the positions with one more. What reaches beyond the claim stays as it is."""
        kept: list[Position] = []
        for each in self.positions:
            if not each.range.overlaps(claim.range) or each.through >= claim.through:
                kept.append(each)
                continue
            low, high = each.range
            if low < claim.range.low:
                kept.append(replace(each, range=FeedRange(low, claim.range.low)))
            if high > claim.range.high:
                kept.append(replace(each, range=FeedRange(claim.range.high, high)))
        further = sorted(each.range for each in kept if each.range.overlaps(claim.range))
        low = claim.range.low
        for known in further:
            if known.low > low:
                kept.append(Position(FeedRange(low, known.low), claim.through))
            low = max(low, known.high)
        if low < claim.range.high:
            kept.append(Position(FeedRange(low, claim.range.high), claim.through))
        return replace(self, positions=_joined(kept))

    def encode(self) -> dict[str, Any]:
        """Return the form in which they are stored."""
        return {
            "rid": self.rid,
            "archive": self.archive,
            "positions": [
                {"low": each.range.low, "high": each.range.high, "through": each.through}
                for each in self.positions
            ],
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None, rid: str, archive: str) -> Positions:
        """Return the stored positions; none if they are of another container or archive, or unreadable."""
        match stored:
            case {"rid": found, "archive": of, "positions": list(listed)} if (found, of) == (rid, archive):
                return cls(rid, archive, [each for item in listed if (each := _position(item))])
        return cls(rid, archive)


def _position(stored: object) -> Position | None:
    match stored:
        case {"low": str(low), "high": str(high), "through": int(through)}:
            return Position(FeedRange(low, high), through)
    return None


def _joined(positions: Iterable[Position]) -> list[Position]:
    """Return the positions in order, neighbours with one position as one: splits leave no trace."""
    joined: list[Position] = []
    for each in sorted(positions, key=lambda position: position.range):
        last = joined[-1] if joined else None
        if last is not None and last.through == each.through and last.range.high == each.range.low:
            joined[-1] = replace(last, range=FeedRange(last.range.low, each.range.high))
        else:
            joined.append(each)
    return joined


def archived_containers(name: str | None = None) -> tuple[str, ...]:
    """Return the containers of which aged documents are archived, or the one that is asked for.

    Raises
    ------
    NotArchivedError
        It is not one of them.
    """
    if name is None:
        return ARCHIVED
    if name not in ARCHIVED:
        raise NotArchivedError(f"documents of this container are not archived; those of {_listed()} are")
    return (name,)


def _listed() -> str:
    return ", ".join(ARCHIVED[:-1]) + f" and {ARCHIVED[-1]}"


def due_until(name: str, now: float, older_than_days: int | None = None) -> int:
    """Return the last second of which documents are due, in seconds since the epoch.

    Parameters
    ----------
    older_than_days
        Days since the last write, in place of the container's own.
    """
    days = container(name).archive_after if older_than_days is None else older_than_days
    assert days is not None  # noqa: S101  the callers ask for archived containers
    return int(now) - max(days, YOUNGEST_DAYS) * DAY


def alert_until(name: str, now: float) -> int:
    """Return the last second of which documents that are not archived are an alert: they expire soon."""
    ttl = container(name).default_ttl
    assert ttl is not None  # noqa: S101  archived documents expire
    return int(now) - ttl + ARCHIVE_ALERT_DAYS * DAY
