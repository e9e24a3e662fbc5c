"""``churn``: of each day, how many people churn on it, and how many could. Counted from their active days.

A visit changes what happens thirty days later, so this is not counted in the fold. A timer reads the active
days of all people and writes one partial per day, into one shard. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from shared.aggregates.base import Aggregate
from shared.aggregates.engagement_tiers import CHURNED_AFTER_DAYS
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS
from shared.units import KILOBYTE, Day, day_after, days_between

NAME = "churn"

PRESENT, LEFT = "present", "left"
"""Sums of a day: people who were not churned at the end of the day before, and those of them who churn."""


class Churn(Aggregate):
    """One key per UTC day, ``2025-08-05``."""

    name = NAME
    source = USER_INTERACTIONS
    max_bytes = KILOBYTE
    recounted = False

    def first_day(self, key: str) -> Day:
        return Day(key)


def first_day_needed(day: Day) -> Day:
    """Return the first day whose activity decides who churns on a day."""
    return day_after(day, -CHURNED_AFTER_DAYS)


class ChurnCounts:
    """Counts people by the days from which and until which they are present, that is, not churned.

    Parameters
    ----------
    today
        The day as of which people are counted. Nothing is known of later days.
    since
        The first day to count, None for all days.
    """

    def __init__(self, today: Day, since: Day | None = None) -> None:
        self._today = today
        self.since = since
        self._came: Counter[Day] = Counter()
        self._left: Counter[Day] = Counter()

    def add(self, active: Iterable[Day]) -> None:
        """Count one person by the days on which they were active, in order."""
        began: Day | None = None
        last: Day | None = None
        for day in active:
            if began is None or last is None:
                began = day
            elif days_between(last, day) > CHURNED_AFTER_DAYS:
                self._add_presence(began, last)
                began = day
            last = day
        if began is not None and last is not None:
            self._add_presence(began, last)

    def _add_presence(self, began: Day, last: Day) -> None:
        left = day_after(last, CHURNED_AFTER_DAYS)
        if self.since is not None:
            if left < self.since:
                return
            began = max(began, day_after(self.since, -1))
        self._came[began] += 1
        self._left[left] += 1

    def encode(self) -> dict[str, Any]:
        """Return the form in which counts are stored until everybody is counted."""
        return {"came": dict(self._came), "left": dict(self._left)}

    def add_stored(self, stored: Mapping[str, Any]) -> None:
        """Add the counts that :meth:`encode` returned, of other people and as of the same day."""
        self._came.update(stored["came"])
        self._left.update(stored["left"])

    def by_day(self) -> dict[Day, Tally]:
        """Return the counts of days up to today, from ``since`` or the day after the first person came."""
        first = self.since
        if first is None:
            if not self._came:
                return {}
            first = day_after(min(self._came), 1)
        before = day_after(first, -1)
        present = _until(self._came, before) - _until(self._left, before)
        counted = {}
        for number in range(days_between(first, self._today) + 1):
            day = day_after(first, number)
            tally = counted[day] = Tally()
            tally.add(PRESENT, present)
            tally.add(LEFT, self._left[day])
            present += self._came[day] - self._left[day]
        return counted


def _until(counts: Mapping[Day, int], last: Day) -> int:
    return sum(number for day, number in counts.items() if day <= last)
