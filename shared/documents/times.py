"""The grammar of times in documents.

::

    time = date [ ("T" | "t" | " ") clock [zone] ]
    date = YYYY-MM-DD
    clock = hh:mm [ :ss [ ("." | ",") 1 to 9 digits ] ]
    zone = "Z" | "z" | ("+" | "-") hh [ [":"] mm ]

A time without a zone is UTC. A date alone is its first moment. Digits after the sixth of a second are cut.
24:00:00 is midnight at the end of the day. A text that the change feed trigger takes for a time is read as
the trigger rewrites it, see :func:`canonical_text`.
The page docs/input.md says the same with examples.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
_ZONE = r"(?:[Zz]|[+-][0-9]{2}(?::?[0-5][0-9])?)"
_TIME = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt ]{_CLOCK}{_ZONE}?)?")

_END_OF_DAY = re.compile(r".{11}24:00(?::00(?:[.,]0+)?)?(?![0-9:.,])")

_REQUIREMENT = "must be a time such as 2025-08-05T14:39:15.127Z"

_REWRITTEN = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,7}+))?"
    r"(?:(?P<utc>[Zz])|(?:(?P<sign>[+-])(?P<hours>[0-9]{2}))?(?::?(?P<minutes>[0-9]{2})|:)?)"
    r"|/Date\((?P<millis>-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/"
)
"""Texts that the change feed trigger takes for times. It is less strict than the grammar: it accepts offsets
of up to 99:99, and ignores two digits, or a colon, where an offset could be."""

_SHORTEST_REWRITTEN, _LONGEST_REWRITTEN = len("/Date(0)/"), len("2025-08-05T14:39:15.1270000+02:00")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(value: object) -> datetime:
    """Return a time with its zone.

    Raises
    ------
    ValueError
        It is not a time of the grammar, or outside the years 2000 to 2099. The message says what it must be.
    """
    if not isinstance(value, str):
        raise ValueError(_REQUIREMENT)
    moment = _in_grammar(value) or _in_grammar(canonical_text(value))
    if moment is None:
        raise ValueError(_REQUIREMENT)
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be in the years 2000 to 2099")
    return moment


def _in_grammar(text: str) -> datetime | None:
    try:
        return _from_iso(text) if _TIME.fullmatch(text) else None
    except ValueError:  # no such day, hour or offset
        return None


def canonical_text(text: str) -> str:
    """Return a text that the platform may have rewritten, in the one form that all its rewritings share.

    The change feed trigger rewrites texts that look like times: it drops zeros at the end of a second, and
    converts a time with an offset to the host's zone. Queries return the text as it was written. An id or a
    name that is such a text is therefore converted to UTC if it has a zone, without zeros at its end. Any
    other text is returned unchanged.
    """
    if not _SHORTEST_REWRITTEN <= len(text) <= _LONGEST_REWRITTEN:
        return text
    found = _REWRITTEN.fullmatch(text)
    if found is None:
        return text
    try:
        return _rewritten(found)
    except (ValueError, OverflowError):  # no such day, or outside the years 1 to 9999
        return text


def may_be_rewritten(text: str) -> bool:
    """Return whether the change feed trigger may deliver a text in another form than it is stored in."""
    return len(text) >= _SHORTEST_REWRITTEN and _REWRITTEN.fullmatch(text) is not None


def _rewritten(found: re.Match[str]) -> str:
    if found["millis"] is not None:
        seconds, millis = divmod(int(found["millis"]), 1000)
        moment, fraction = _EPOCH + timedelta(seconds=seconds), f"{millis:03}"
    else:
        moment, fraction = _from_iso(f"{found['date']}T{found['clock']}"), found["fraction"] or ""
        if found["clock"].startswith("24") and fraction.strip("0"):
            raise ValueError("later than the end of the day")
    if found["sign"]:
        offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        moment = moment - offset if found["sign"] == "+" else moment + offset
    fraction = fraction.rstrip("0")
    return "".join(
        (
            moment.replace(tzinfo=None).isoformat(),
            f".{fraction}" if fraction else "",
            "Z" if found["utc"] or found["sign"] or found["millis"] else "",
        )
    )


def _from_iso(text: str) -> datetime:
    ends_day = _END_OF_DAY.match(text)
    if ends_day:
        text = f"{text[:11]}00{text[13:]}"
    moment = datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if ends_day else moment
