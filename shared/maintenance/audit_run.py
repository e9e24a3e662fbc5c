"""One run of the auditor over one feed: what it has seen, its time, and its report. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.change_feed import FeedRange
from shared.cosmos.charges import Cost
from shared.maintenance.cursors import Cursor, Cursors

PAGE_SIZE, FIRST_PAGE_SIZE = 500, 50
"""Documents that a piece asks for at most, and those of the first piece of a feed and of one that is late.
The service returns fewer if they have more than 4 MB in all."""


@dataclass(slots=True)
class AuditReport:
    """The result of one run over one feed."""

    feed: str
    documents: int = 0
    repaired: int = 0
    """Source documents not counted before. Of ``view_state``: published documents that were out of date."""
    still_in_poison: int = 0
    """Documents that cannot be counted, in the version that is in poison already."""
    caught_up: bool = True
    """False if the run ended before the end of the feed, or if the feed must wait for other feeds."""
    due_at: int | None = None
    """When the next audit has something to do, in seconds since the epoch: until then everything that was not
    read is younger than the delay. None if there is nothing, or if another run is to go on at once."""
    cost: Cost = field(default_factory=Cost)


@dataclass(slots=True)
class AuditRun:
    """One run over one feed."""

    feed: str
    container: ContainerProxy
    horizon: int
    delay: int
    deadline: float
    """When to begin no further piece, on the monotonic clock in seconds."""
    report: AuditReport
    cursors: Cursors
    pace: float = 0.0
    """Seconds that a document took on the slowest page; 0 before the first one."""
    seen: list[FeedRange] = field(default_factory=list)
    """Ranges that this run has read beyond the horizon."""

    def unseen(self) -> list[Cursor]:
        """Return the cursors of the ranges that this run has not read beyond the horizon."""
        return [cursor for cursor in self.cursors.cursors if not cursor.range.is_covered_by(self.seen)]

    def go_on_with(self, cursors: Cursors) -> None:
        """Read on from other cursors. What was seen counts only in the same reading of the same container."""
        if not cursors.is_same_reading(self.cursors):
            self.seen.clear()
        self.cursors = cursors

    def note_pace(self, documents: int, seconds: float) -> None:
        """Note how long the documents of a page took. A page without any says nothing."""
        if documents:
            self.pace = max(self.pace, seconds / documents)

    def page_size(self, now: float) -> int:
        """Return how many documents the next piece is to have: as many as fit into half of the time left."""
        if not self.pace:
            return FIRST_PAGE_SIZE
        fitting = (self.deadline - now) / 2 / self.pace
        return int(min(PAGE_SIZE, max(FIRST_PAGE_SIZE, fitting)))
