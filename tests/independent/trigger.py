"""What the change feed trigger makes of the texts in a document before a function gets it.

It reads documents with Newtonsoft.Json, which takes some texts for times and writes them in its own form.
This follows that library's rules (``DateTimeParser`` and ``DateTimeUtils``), character by character.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from typing import Any

SHORTEST, LONGEST = 19, 40
FRACTION_DIGITS = 7


def handed_on(value: Any, *, host_offset: int = 0) -> Any:
    """Return a value as a function gets it, on a host whose clock is so many minutes ahead of UTC."""
    match value:
        case dict():
            return {name: handed_on(inner, host_offset=host_offset) for name, inner in value.items()}
        case list():
            return [handed_on(inner, host_offset=host_offset) for inner in value]
        case str():
            return rewritten(value, host_offset)
        case _:
            return value


def rewritten(text: str, host_offset: int) -> str:
    """Return one text as a function gets it."""
    if text.startswith("/Date(") and text.endswith(")/"):
        inside = re.fullmatch(r"(-?[0-9]+)([+-][0-9]{4})?", text[6:-2])
        if inside is None:
            return text
        moment = datetime(1970, 1, 1) + timedelta(milliseconds=int(inside[1]))
        return _iso(moment, f"{moment.microsecond:06}", "local" if inside[2] else "utc", host_offset)
    if not SHORTEST <= len(text) <= LONGEST or text[10] != "T":
        return text
    try:
        day, rest = _day(text[:10]), text[11:]
        clock, rest = _clock(rest[:8]), rest[8:]
        fraction, rest = _fraction(rest)
        kind, offset = _zone(rest)
    except ValueError:
        return text
    if clock >= timedelta(days=1) and fraction.strip("0"):
        return text
    return _iso(day + clock - offset, fraction, kind, host_offset)


def _iso(moment: datetime, fraction: str, kind: str, host_offset: int) -> str:
    digits = fraction.rstrip("0")
    end = ""
    if kind == "utc":
        end = "Z"
    elif kind == "local":
        moment += timedelta(minutes=host_offset)
        end = f"{'-' if host_offset < 0 else '+'}{abs(host_offset) // 60:02}:{abs(host_offset) % 60:02}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' * bool(digits)}{digits}{end}"


def _number(text: str, length: int) -> int:
    if len(text) != length or not all("0" <= character <= "9" for character in text):
        raise ValueError(text)
    return int(text)


def _day(text: str) -> datetime:
    year, month, day = _number(text[:4], 4), _number(text[5:7], 2), _number(text[8:], 2)
    if text[4] != "-" or text[7] != "-" or not year >= 1 or not 1 <= month <= 12:
        raise ValueError(text)
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        raise ValueError(text)
    return datetime(year, month, day)


def _clock(text: str) -> timedelta:
    hour, minute, second = _number(text[:2], 2), _number(text[3:5], 2), _number(text[6:], 2)
    if text[2] != ":" or text[5] != ":" or minute > 59 or second > 59:
        raise ValueError(text)
    if hour > 24 or (hour == 24 and (minute or second)):
        raise ValueError(text)
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _fraction(text: str) -> tuple[str, str]:
    if not text.startswith("."):
        return "", text
    digits = ""
    for character in text[1 : FRACTION_DIGITS + 1]:
        if not "0" <= character <= "9":
            break
        digits += character
    if not digits:
        raise ValueError(text)
    return digits, text[1 + len(digits) :]


def _zone(text: str) -> tuple[str, timedelta]:
    """Return whether a time is of UTC, of the host, or of no zone; and its offset."""
    if text in ("Z", "z"):
        return "utc", timedelta()
    kind, sign, hours, minutes = "none", 1, 0, 0
    if text[:1] in ("+", "-"):
        kind, sign, hours, text = "local", 1 if text[0] == "+" else -1, _number(text[1:3], 2), text[3:]
    if text.startswith(":"):
        text = text[1:]
    if text:
        minutes = _number(text, 2)
    return kind, sign * timedelta(hours=hours, minutes=minutes) if kind == "local" else timedelta()
