"""One run of the auditor over one feed: what it has seen, its time, and its report. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.change_feed import FeedRange
from shared.cosmos.charges import Cost
from shared.maintenance.cursors import Cursor, Cursors

PAGE_SIZE, FIRST_PAGE_SIZE = 500, 50
"""Documents that a piece asks for at most, and those of the first piece of a feed. The service returns fewer
if they have more than 4 MB in all."""


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
    report: AuditReport
    cursors: Cursors
    deadline: float = 0.0
    """When to begin no further piece, on the monotonic clock in seconds."""
    page_size: int = field(default_factory=lambda: FIRST_PAGE_SIZE)
    """Documents that the next piece is to have."""
    due_at: int | None = None
    """When the oldest of the documents that were younger than the horizon is due."""
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

    def plan_page(self, documents: int, began: float, now: float) -> None:
        """Plan the next piece: as many documents as fit into the time left, if it goes on as the last one."""
        if documents:
            fitting = documents * (self.deadline - now) / max(now - began, 0.001)
            self.page_size = min(PAGE_SIZE, max(FIRST_PAGE_SIZE, int(fitting)))
