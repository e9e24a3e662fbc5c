"""Arguments of commands that are more than words and numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

from shared.clock import SYSTEM_CLOCK, Clock

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

MOST_BACK = timedelta(days=36_500)


def moment(text: str | datetime, *, clock: Clock = SYSTEM_CLOCK) -> datetime:
    """Return the time that an operator means: a day, a time (in UTC if it has no offset), or how long ago.

    Raises
    ------
    typer.BadParameter
        It is none of these.
    """
    if isinstance(text, datetime):
        return text
    if match := re.fullmatch(r"([0-9]{1,7})([mhdw])", text):
        back = timedelta(**{UNITS[match[2]]: int(match[1])})
        if back <= MOST_BACK:
            return clock.now() - back
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "is not a day (2026-11-28), a time (2026-11-28T20:15Z), or how long ago (30m, 6h, 3d, 2w)"
        ) from None
