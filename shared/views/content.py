"""What the content views share: comparisons over equal time, and figures of passages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from shared.builds.content import Content, after_first
from shared.builds.rows import CitedRow, Kind
from shared.periods import Period
from shared.units import day_after

TICK = "%Y-%m-%dT%H"
"""The part of the clock that a content view depends on: the UTC hour."""


class Elapsed(NamedTuple):
    """How much of a period had passed when it was shown. Counts of both periods are compared per hour."""

    hours: int
    """Hours of the period that had passed."""
    before: int
    """Hours of the period before it."""
    is_over: bool

    def scaled(self, count: int) -> int:
        """Return a count of the period, in a unit in which it compares with :meth:`scaled_before`."""
        return count * self.before

    def scaled_before(self, count: int) -> int:
        """Return a count of the period before, in the same unit."""
        return count * self.hours


def tick_of(period: Period, now: datetime) -> str:
    """Return the hour as of which a period is shown: the current one, or the first after its end."""
    return min(now.astimezone(UTC), _end(period)).strftime(TICK)


def elapsed_of(period: Period, tick: str) -> Elapsed:
    """Return how much of a period had passed at a tick: whole hours, and at least one."""
    start, at = _start(period), datetime.strptime(tick, TICK).replace(tzinfo=UTC)
    return Elapsed(max(1, _hours(start, at)), _hours(_start(period.before()), start), at >= _end(period))


def _start(period: Period) -> datetime:
    return datetime.fromisoformat(f"{period.first}T00:00:00+00:00")


def _end(period: Period) -> datetime:
    return datetime.fromisoformat(f"{day_after(period.last, 1)}T00:00:00+00:00")


def _hours(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds()) // 3600


def by_passage(content: Content) -> dict[str, CitedRow]:
    """Return the figures of each passage, summed over personas, by ``text|chapter|verse``."""
    found: dict[str, CitedRow] = {}
    for key, row in content.rows(Kind.PASSAGES).items():
        passage = after_first(key)
        found[passage] = found.get(passage, CitedRow()).plus(CitedRow(*row))
    return found


def cited_most(rows: Mapping[str, CitedRow], number: int) -> list[str]:
    """Return the keys of the rows with most citations, at most ``number``. Ties are in order of the keys."""
    return sorted(rows, key=lambda key: (-rows[key].citations, key))[:number]


def percent_change(recent: float | None, earlier: float | None) -> float | None:
    """Return the change in percent. None if either figure is None, or if the earlier one is 0."""
    if recent is None or not earlier:
        return None
    return round(100 * (recent - earlier) / earlier, 2)


def trend_word(recent: float | None, earlier: float | None, *, words: tuple[str, str, str]) -> str | None:
    """Return the word for an increase, a decrease or no change. A change of up to 2 % counts as none.

    Parameters
    ----------
    words
        The words for an increase, a decrease and no change, in this order.
    """
    if recent is None or earlier is None:
        return None
    more, less, same = words
    tolerance = abs(earlier) * 0.02
    if abs(recent - earlier) <= tolerance:
        return same
    return more if recent > earlier else less
