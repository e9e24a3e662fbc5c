"""The derived documents: which exist, what each is built from, and at which pace. Pure.

======================  =======================================================  ======================
document                built from                                               pace
======================  =======================================================  ======================
content of a day        the pages of interactions and sessions of the day        :func:`pace_of`
content of a slice      the same of :data:`SLICE_SHARDS` shards, if there are    as its day
                        more shards: the day is then built from its slices
content of a month      the contents of its days                                 once a day
======================  =======================================================  ======================

What views show of a week is computed from the contents of its days. A document is built again when one of its
inputs has another revision, or when its builder has another version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum, auto

from shared.aggregates import day as day_aggregate
from shared.aggregates.base import PartialKey
from shared.concurrency import batched
from shared.ledger.shards import ShardId, all_shards
from shared.periods import day_text
from shared.units import Day, Month, day_after, month_of

CONTENT = "content"
"""Name of the derived document. A view names it as the aggregate of a state that it is computed from."""

SLICE_SHARDS = 64
"""Shards whose pages one build reads. More shards are built in slices, which several instances can share."""


class Pace(Enum):
    """How often a stale document is built."""

    HOURLY = auto()
    """With each run of the timer."""
    SIX_HOURLY = auto()
    DAILY = auto()

    def slot(self, now: datetime) -> str:
        """Return the name of the stretch of time that contains ``now``: one build in each."""
        match self:
            case Pace.HOURLY:
                return now.isoformat()
            case Pace.SIX_HOURLY:
                return f"{day_text(now)}T{now.hour // 6 * 6:02d}"
            case Pace.DAILY:
                return day_text(now)


def pace_of(day: Day, today: Day) -> Pace:
    """Return the pace of a day: hourly while it runs, every six hours on the next day, later once a day."""
    if day >= today:
        return Pace.HOURLY
    return Pace.SIX_HOURLY if day == day_after(today, -1) else Pace.DAILY


def due_days(days: Iterable[Day], slots: Mapping[str, str], now: datetime) -> list[Day]:
    """Return the days that are to be built now, the newest first.

    Parameters
    ----------
    slots
        By the name of each pace, the slot in which its days were built last.
    """
    today = day_text(now)
    due = {pace for pace in Pace if pace is Pace.HOURLY or slots.get(pace.name) != pace.slot(now)}
    return sorted((day for day in days if pace_of(day, today) in due), reverse=True)


def is_day(label: str) -> bool:
    """Return whether the label of a content is a day, ``2025-08-05``, rather than a month, ``202508``."""
    return "-" in label


def month_of_label(label: str) -> Month:
    """Return the month of a content, from its label."""
    return month_of(Day(label[:10])) if is_day(label) else Month(label)


def slices_of(day: Day, *, shards: int, generation: int) -> dict[str, list[ShardId]]:
    """Return the labels of a day's contents that are built from pages, each with its shards."""
    groups = list(batched(all_shards(shards=shards, generation=generation), SLICE_SHARDS))
    if len(groups) == 1:
        return {day: list(groups[0])}
    return {f"{day}.{number:03d}": list(group) for number, group in enumerate(groups)}


def contents_of(target: PartialKey) -> list[PartialKey]:
    """Return the contents that a state belongs to, as states that views name: of a day, its day and month."""
    if target.aggregate != day_aggregate.NAME:
        return []
    return [PartialKey(CONTENT, label) for label in (target.key, month_of(Day(target.key)))]
