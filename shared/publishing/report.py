"""The outcome of publishing a batch of documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

import structlog

from shared.cosmos.charges import Cost
from shared.publishing.decide import Delivery, was_missed
from shared.publishing.writer import WriteResult
from shared.views.base import Schedule

_log = structlog.get_logger(__name__)


class Outcome(Enum):
    """The outcome of publishing one document key."""

    PUBLISHED = auto()
    MISSED = auto()
    """Published. The replaced document lacked the delivered change."""
    CURRENT = auto()
    """The published documents carried this state already."""
    ABSENT = auto()
    """Nothing was counted for the key."""
    HELD = auto()
    """Its view is not ready, and there was nothing to delete."""

    @classmethod
    def of(cls, results: Iterable[WriteResult], delivery: Delivery, schedule: Schedule) -> Outcome:
        """Return the outcome of a key whose documents were all decided on and written.

        A document that a timer publishes may lag behind the delivered change. The feed only has to delete it.
        """
        written = [result for result in results if result.written]
        if not written:
            return cls.CURRENT
        missed = any(
            was_missed(result.replaced, delivery)
            for result in written
            if schedule is Schedule.LIVE or result.deleted
        )
        return cls.MISSED if missed else cls.PUBLISHED


@dataclass(slots=True)
class PublishReport:
    """The numbers of documents in a batch, by outcome."""

    partials: int
    """Changed partials that were delivered."""
    published: int = 0
    missed: int = 0
    """Of those, documents that lacked a delivered change: an earlier publication of it was lost."""
    current: int = 0
    """Documents that carried this state already."""
    held: int = 0
    """Documents of views that are being rebuilt, or whose state does not count everything."""
    absent: int = 0
    """Requested documents for which nothing was counted."""
    poisoned: list[str] = field(default_factory=list)
    """Ids of the poison rows."""
    cost: Cost = field(default_factory=Cost)

    def add(self, outcome: Outcome) -> None:
        self.published += outcome in (Outcome.PUBLISHED, Outcome.MISSED)
        self.missed += outcome is Outcome.MISSED
        self.current += outcome is Outcome.CURRENT
        self.absent += outcome is Outcome.ABSENT
        self.held += outcome is Outcome.HELD

    def log(self) -> None:
        _log.info(
            "views_published",
            partials=self.partials,
            published=self.published,
            missed=self.missed,
            current=self.current,
            poisoned=len(self.poisoned),
            **self.cost.log_fields(),
        )
