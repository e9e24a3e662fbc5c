"""The grammar of times in documents.

::

    time = date [ ("T" | "t" | " ") clock [zone] ]
    date = YYYY-MM-DD
    clock = hh:mm [ :ss [ ("." | ",") 1 to 9 digits ] ]
    zone = "Z" | "z" | ("+" | "-") hh [ [":"] mm ]

A time without a zone is UTC. A date alone is its first moment. Digits after the sixth of a second are cut.
24:00:00 is midnight at the end of the day.
The page docs/input.md says the same with examples.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?"
_ZONE = r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
_TIME = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt ]{_CLOCK}{_ZONE}?)?")

_END_OF_DAY = re.compile(r".{11}24:00(?::00(?:[.,]0+)?)?(?![0-9:.,])")

_REQUIREMENT = "must be a time such as 2025-08-05T14:39:15.127Z"

_REWRITTEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
    r"|/Date\((?P<millis>-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/"
)
_SHORTEST_REWRITTEN, _LONGEST_REWRITTEN = len("/Date(0)/"), len("2025-08-05T14:39:15.127000+02:00")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(value: object) -> datetime:
    """Return a time with its zone.

    Raises
    ------
    ValueError
        It is not a time of the grammar, or outside the years 2000 to 2099. The message says what it must be.
    """
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError(_REQUIREMENT)
    try:
        moment = _from_iso(value)
    except ValueError:  # no such day, hour or offset
        raise ValueError(_REQUIREMENT) from None
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must be in the years 2000 to 2099")
    return moment


def canonical_text(text: str) -> str:
    """Return a text that the platform may have rewritten, in the one form that all its rewritings share.

    The change feed trigger rewrites texts that look like times: it drops zeros, and converts to the host's
    zone. Queries return the text as it was written. An id or a name that is such a text is therefore
    converted to UTC, without trailing zeros. Any other text is returned unchanged.
    """
    if not _SHORTEST_REWRITTEN <= len(text) <= _LONGEST_REWRITTEN:
        return text
    found = _REWRITTEN.fullmatch(text)
    if found is None:
        return text
    try:
        millis = found["millis"]
        moment = _from_iso(text) if millis is None else _EPOCH + timedelta(milliseconds=int(millis))
        utc = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
        return (utc.rstrip("0") if "." in utc else utc) + "Z"
    except (ValueError, OverflowError):  # no such day, or outside the years 1 to 9999
        return text


def _from_iso(text: str) -> datetime:
    ends_day = _END_OF_DAY.match(text)
    if ends_day:
        text = f"{text[:11]}00{text[13:]}"
    moment = datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if ends_day else moment
