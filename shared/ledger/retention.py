"""When state ends: at one date per source and month, whenever it was written. Pure.

State of a month outlives what its source keeps of the month, by a margin. It is closed two days before its
end: from then on nothing of it is counted, corrected or taken back, because the service may delete one of its
documents before another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.containers import container
from shared.facts import USER_INTERACTIONS
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.state import StateDocument
from shared.units import MILLIS_PER_DAY, Day, Millis, Month, month_bounds, month_of, to_millis

CLOSED_DAYS = 2
"""Days before its end from which state is closed."""

PERSON_DAYS = 435
"""Days for which the record of a person without any activity is kept after their account changed. The record
of any other person ends with the last of their documents."""

MAX_TTL = 2**31 - 1
"""The longest time to live that the service accepts, in seconds."""


@dataclass(slots=True)
class Retention:
    """How long state is kept.

    Parameters
    ----------
    margin_days
        Days by which state of a month outlives what its source keeps of the month.
    """

    margin_days: int = 35

    def is_closed(self, source: str, month: Month, now: Millis) -> bool:
        """Return whether nothing of a source's month is counted any more."""
        return now >= self._end(source, month) - CLOSED_DAYS * MILLIS_PER_DAY

    def is_partial_closed(self, target: PartialKey, now: Millis) -> bool:
        """Return whether a partial is not written any more."""
        month = _month_of(target)
        return month is not None and self.is_closed(AGGREGATES[target.aggregate].source, month, now)

    def ttl_of(self, source: str, month: Month, now: Millis) -> int:
        """Return the time to live of what is built from a source's month and written now, in seconds."""
        return _ttl(self._end(source, month), now)

    def set_ttl(self, document: StateDocument, now: Millis) -> None:
        """Set the time to live of a document that is written now: what is left until its end."""
        match document:
            case Page():
                end = self._end(document.source, month_of(Day(document.hour[:10])))
            case Partial() if (month := _month_of(document.target)) is not None:
                end = self._end(AGGREGATES[document.target.aggregate].source, month)
            case Partial():
                end = self._end_of_person(document, now)
        document.ttl = _ttl(end, now)

    def _end(self, source: str, month: Month) -> int:
        """Return the end of a source's month, in milliseconds since the epoch."""
        return _last_kept(source, month) + self.margin_days * MILLIS_PER_DAY

    def _end_of_person(self, partial: Partial, now: Millis) -> int:
        ends = {self._end(USER_INTERACTIONS, Month(month)) for month in partial.state.parts()}
        if partial.record is not None:
            ends |= {self._end(source, month) for source, month in partial.record.index.months()}
        return max(ends, default=now + PERSON_DAYS * MILLIS_PER_DAY)


@lru_cache(maxsize=1_024)
def _last_kept(source: str, month: Month) -> int:
    """Return until when a source keeps documents that were written in a month, in milliseconds."""
    return to_millis(month_bounds(month)[1]) + (container(source).default_ttl or 0) * 1000


DEFAULT_RETENTION = Retention()
"""The retention of the default settings."""


def _ttl(end: int, now: Millis) -> int:
    return max(1, min(MAX_TTL, (end - now) // 1000))


def _month_of(target: PartialKey) -> Month | None:
    first = AGGREGATES[target.aggregate].first_day(target.key)
    return None if first is None else month_of(first)
