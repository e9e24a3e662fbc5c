"""The specification's analysis periods: days, ISO weeks, months and quarters, all in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Literal

from shared.units import Day, Month, day_after, days_between, days_of_month, iso, month_of

Kind = Literal["daily", "weekly", "monthly", "quarterly"]


@dataclass(frozen=True, slots=True)
class Period:
    """A period. Its label is the one in document ids: ``20250805``, ``2025W32``, ``202508``, ``2025Q3``."""

    kind: Kind
    label: str
    first: Day
    last: Day

    def days(self) -> tuple[Day, ...]:
        """Return its days in order."""
        return _days(self.first, self.last)

    def months(self) -> list[Month]:
        """Return the months that it overlaps, in order."""
        return list(dict.fromkeys(map(month_of, self.days())))

    def before(self) -> Period:
        """Return the period of the same kind before it."""
        return period_of(self.kind, day_after(self.first, -1))

    def after(self) -> Period:
        """Return the period of the same kind after it."""
        return period_of(self.kind, day_after(self.last, 1))

    def days_passed(self, today: Day) -> int:
        """Return how many of its days have begun by ``today``: at least 1, and all of them after its end."""
        return max(1, min(days_between(self.first, today), days_between(self.first, self.last)) + 1)

    def fields(self) -> dict[str, Any]:
        """Return the fields that describe the period in a document."""
        return {
            "analysis_period": self.kind,
            "period_start": day_start(self.first),
            "period_end": iso(
                datetime.combine(date.fromisoformat(self.last), time.max.replace(microsecond=0), UTC)
            ),
        }


REMEMBERED_PERIODS = 4096
"""Two years of days, weeks, months and quarters, three times over. Dates are expensive to compute and shared
between users."""


@lru_cache(maxsize=REMEMBERED_PERIODS)
def _days(first: Day, last: Day) -> tuple[Day, ...]:
    return tuple(day_after(first, n) for n in range(days_between(first, last) + 1))


@lru_cache(maxsize=REMEMBERED_PERIODS)
def period_of(kind: Kind, day: Day) -> Period:
    """Return the period of the given kind that contains a day."""
    match kind:
        case "daily":
            return Period(kind, day.replace("-", ""), day, day)
        case "weekly":
            year, week, weekday = date.fromisoformat(day).isocalendar()
            monday = day_after(day, 1 - weekday)
            return Period(kind, f"{year}W{week:02d}", monday, day_after(monday, 6))
        case "monthly":
            return monthly(month_of(day))
        case "quarterly":
            return _quarter(int(day[:4]), (int(day[5:7]) + 2) // 3)


@lru_cache(maxsize=REMEMBERED_PERIODS)
def parse_period(label: str) -> Period:
    """Return the period of a label.

    Raises
    ------
    ValueError
        The text is not a label, or of a year whose neighbours the calendar does not have.
    """
    if not label.isascii() or not "0001" < label[:4] < "9999":
        raise ValueError(f"{label!r} is not a period: 20250805, 2025W32, 202508 or 2025Q3")
    if match := re.fullmatch(r"(\d{4})W(\d\d)", label):
        return period_of("weekly", Day(date.fromisocalendar(int(match[1]), int(match[2]), 1).isoformat()))
    if match := re.fullmatch(r"(\d{4})Q([1-4])", label):
        return _quarter(int(match[1]), int(match[2]))
    if re.fullmatch(r"\d{6}", label):
        return monthly(Month(label))
    if match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", label):
        return period_of("daily", Day("-".join(match.groups())))
    raise ValueError(f"{label!r} is not a period: 20250805, 2025W32, 202508 or 2025Q3")


def monthly(month: Month) -> Period:
    """Return a month as a period."""
    days = days_of_month(month)
    return Period("monthly", month, days[0], days[-1])


def _quarter(year: int, number: int) -> Period:
    last_month = Month(f"{year}{number * 3:02d}")
    first = Day(f"{year}-{number * 3 - 2:02d}-01")
    return Period("quarterly", f"{year}Q{number}", first, days_of_month(last_month)[-1])


def day_start(day: Day) -> str:
    """Return the first second of a UTC day, in the form that documents use."""
    return f"{day}T00:00:00Z"


def day_text(moment: datetime) -> Day:
    """Return the UTC day of a moment."""
    return Day(f"{moment.astimezone(UTC):%Y-%m-%d}")
