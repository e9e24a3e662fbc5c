"""The date and time functions: ISO 8601 texts in UTC, ticks of 100 ns, and milliseconds since 1970."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from local.cosmos.query.functions import NUMBER, lenient, strict
from local.cosmos.query.values import UNDEFINED

TICKS_PER_SECOND = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?Z?)?")

_UNITS = {
    "day": 86_400 * TICKS_PER_SECOND,
    "hour": 3_600 * TICKS_PER_SECOND,
    "minute": 60 * TICKS_PER_SECOND,
    "second": TICKS_PER_SECOND,
    "millisecond": TICKS_PER_SECOND // 1_000,
    "microsecond": TICKS_PER_SECOND // 1_000_000,
}
"""Ticks of each part of fixed length; nanoseconds are finer than a tick."""

_NAMES = {
    name: part
    for part, names in {
        "year": ("year", "yyyy", "yy"),
        "month": ("month", "mm", "m"),
        "day": ("day", "dd", "d"),
        "hour": ("hour", "hh"),
        "minute": ("minute", "mi", "n"),
        "second": ("second", "ss", "s"),
        "millisecond": ("millisecond", "ms"),
        "microsecond": ("microsecond", "mcs"),
        "nanosecond": ("nanosecond", "ns"),
        "weekday": ("weekday", "dw", "w"),
    }.items()
    for name in names
}


def ticks_of(text: str) -> int | None:
    """Return the ticks since 1970 of an ISO text, or None if it is no time."""
    match = _TEXT.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction = int((match.group(7) or "").ljust(7, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return _seconds(moment) * TICKS_PER_SECOND + fraction


def text_at(ticks: int) -> Any:
    """Return the ISO text with seven decimals, undefined outside the years 1 to 9999."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return UNDEFINED
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:07d}Z".rjust(28, "0")


def _seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86_400 + since.seconds


def _now() -> int:
    since = datetime.now(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * TICKS_PER_SECOND + since.microseconds * 10


for _suffix in ("", "STATIC"):
    lenient("GETCURRENTDATETIME" + _suffix, 0, 0)(lambda: text_at(_now()))
    lenient("GETCURRENTTIMESTAMP" + _suffix, 0, 0)(lambda: _now() // 10_000)
    lenient("GETCURRENTTICKS" + _suffix, 0, 0)(_now)


@strict("DATETIMEADD", str, NUMBER, str)
def _date_time_add(part: str, amount: float, text: str) -> Any:
    name, ticks = _NAMES.get(part.lower()), ticks_of(text)
    if name is None or ticks is None or amount != int(amount):
        return UNDEFINED
    if name in ("year", "month"):
        return _months_later(ticks, int(amount) * (12 if name == "year" else 1))
    if name == "nanosecond":
        return text_at(ticks + int(amount) // 100)
    return text_at(ticks + int(amount) * _UNITS[name]) if name in _UNITS else UNDEFINED


def _months_later(ticks: int, months: int) -> Any:
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    moment = _EPOCH + timedelta(seconds=seconds)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return UNDEFINED
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    moved = moment.replace(year=year, month=month + 1, day=day)
    return text_at(_seconds(moved) * TICKS_PER_SECOND + fraction)


@strict("DATETIMEDIFF", str, str, str)
def _date_time_diff(part: str, start: str, end: str) -> Any:
    name, first, last = _NAMES.get(part.lower()), ticks_of(start), ticks_of(end)
    if name is None or first is None or last is None:
        return UNDEFINED
    if name in ("year", "month"):
        years = int(end[:4]) - int(start[:4])
        return years if name == "year" else years * 12 + int(end[5:7]) - int(start[5:7])
    if name == "nanosecond":
        return (last - first) * 100
    # counts the boundaries of the part that lie between, as the service does
    return last // _UNITS[name] - first // _UNITS[name] if name in _UNITS else UNDEFINED


@strict("DATETIMEPART", str, str)
def _date_time_part(part: str, text: str) -> Any:
    name, ticks = _NAMES.get(part.lower()), ticks_of(text)
    if name is None or ticks is None:
        return UNDEFINED
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    moment = _EPOCH + timedelta(seconds=seconds)
    if name == "weekday":
        return moment.isoweekday() % 7 + 1
    if name in ("millisecond", "microsecond", "nanosecond"):
        return {"millisecond": fraction // 10_000, "microsecond": fraction // 10}.get(name, fraction * 100)
    return getattr(moment, name)


@strict("DATETIMEBIN", str, str, NUMBER, str, least=2)
def _date_time_bin(text: str, part: str, size: float = 1, origin: str = "1970-01-01") -> Any:
    name, ticks, start = _NAMES.get(part.lower()), ticks_of(text), ticks_of(origin)
    if name not in _UNITS or ticks is None or start is None or size != int(size) or size < 1:
        return UNDEFINED
    width = _UNITS[name] * int(size)
    return text_at(start + (ticks - start) // width * width)


@strict("DATETIMEFROMPARTS", *([NUMBER] * 7), least=3)
def _date_time_from_parts(*parts: float) -> Any:
    if any(part != int(part) or part < 0 for part in parts):
        return UNDEFINED
    year, month, day, hour, minute, second, fraction = (*map(int, parts), *([0] * (7 - len(parts))))
    if fraction >= TICKS_PER_SECOND:
        return UNDEFINED
    text = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{fraction:07d}Z"
    return UNDEFINED if ticks_of(text) is None else text


@strict("DATETIMETOTICKS", str)
def _date_time_to_ticks(text: str) -> Any:
    ticks = ticks_of(text)
    return UNDEFINED if ticks is None else ticks


@strict("DATETIMETOTIMESTAMP", str)
def _date_time_to_timestamp(text: str) -> Any:
    ticks = ticks_of(text)
    return UNDEFINED if ticks is None else ticks // 10_000


@strict("TICKSTODATETIME", NUMBER)
def _ticks_to_date_time(ticks: float) -> Any:
    return text_at(int(ticks))


@strict("TIMESTAMPTODATETIME", NUMBER)
def _timestamp_to_date_time(milliseconds: float) -> Any:
    return text_at(int(milliseconds) * 10_000)
