"""Units of the fleet's counts. All are integers, so that sums are exact and subtraction undoes addition."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NewType

from xxhash import xxh3_64_digest

NanoUSD = NewType("NanoUSD", int)
"""Money: billionths of a US dollar."""

Micro = NewType("Micro", int)
"""A real number in millionths, for scores and shares. Its sums are exact and independent of order."""

Millis = NewType("Millis", int)
"""A point in time: milliseconds since 1970-01-01T00:00:00Z."""

EventHour = NewType("EventHour", str)
"""The UTC hour of an event, ``2025-08-05T14``."""

Day = NewType("Day", str)
"""A UTC day, ``2025-08-05``."""

Month = NewType("Month", str)
"""A UTC month, ``202508``: the form that the specification uses in ids."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

KILOBYTE = 1_024
MICROS = 1_000_000
NANOS_PER_USD = 1_000_000_000
MILLIS_PER_MINUTE = 60_000
MILLIS_PER_HOUR = 3_600_000
MILLIS_PER_DAY = 86_400_000


@lru_cache(maxsize=65_536)
def hash_key(key: str) -> str:
    """Return a hash of 11 characters for a key that is counted or looked up, but never shown.

    Documents can contain any number of keys, of any length. The probability that two of 80,000 keys have the
    same hash is 1 in 5 billion.
    """
    return urlsafe_b64encode(xxh3_64_digest(key.encode())).rstrip(b"=").decode()


def to_micro(value: float) -> Micro:
    """Return ``value`` as a fixed-point number, rounded half to even."""
    return Micro(round(value * MICROS))


def to_millis(moment: datetime) -> Millis:
    """Return a moment in milliseconds since the epoch, rounded down."""
    return Millis((moment - _EPOCH) // timedelta(milliseconds=1))


def usd(amount: int) -> float:
    """Return an amount of :data:`NanoUSD` in dollars, exact to the nano-dollar when printed."""
    return amount / NANOS_PER_USD


def event_hour(moment: Millis) -> EventHour:
    """Return the hour that contains ``moment``."""
    return _hour_text(moment // MILLIS_PER_HOUR)


@lru_cache(maxsize=16_384)  # two years of hours; formatting an hour costs more than folding a fact
def _hour_text(hours: int) -> EventHour:
    return EventHour(f"{datetime.fromtimestamp(hours * 3600, UTC):%Y-%m-%dT%H}")


def minute_of_day(moment: Millis) -> int:
    """Return the minutes since midnight UTC, 0 to 1439."""
    return moment // MILLIS_PER_MINUTE % 1440


def iso(moment: datetime) -> str:
    """Return an aware ``datetime`` in the form of the specification's documents: ``2025-08-05T14:45:00Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="seconds" if not moment.microsecond else "milliseconds")
    return text.replace("+00:00", "Z")


def month_bounds(month: Month) -> tuple[datetime, datetime]:
    """Return the first and the last second of a month in UTC."""
    start = datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC)
    following = (start + timedelta(days=32)).replace(day=1)
    return start, following - timedelta(seconds=1)


def month_of(day: Day) -> Month:
    """Return the month that contains a day."""
    return Month(day[:4] + day[5:7])


@lru_cache(maxsize=256)
def days_of_month(month: Month) -> tuple[Day, ...]:
    """Return all days of a month."""
    start, end = month_bounds(month)
    return tuple(day_after(Day(f"{start:%Y-%m-%d}"), n) for n in range(end.day))


def day_after(day: Day, days: int) -> Day:
    """Return the day the given number of days later, earlier if negative."""
    return Day((date.fromisoformat(day) + timedelta(days=days)).isoformat())


def month_after(month: Month, months: int) -> Month:
    """Return the month the given number of months later, earlier if negative."""
    count = int(month[:4]) * 12 + int(month[4:]) - 1 + months
    return Month(f"{count // 12:04d}{count % 12 + 1:02d}")


def days_between(earlier: Day, later: Day) -> int:
    """Return how many days ``later`` is after ``earlier``."""
    return (date.fromisoformat(later) - date.fromisoformat(earlier)).days


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def json_bytes(value: Any) -> int:
    """Return the number of bytes of a value as the client sends it: compact JSON in UTF-8."""
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode())
