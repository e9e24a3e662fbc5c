"""Which periods a generation may publish: those that the sources still held whole when it had counted them.

Of an earlier period the sources hold a part, or nothing, and so does the state. The documents of such a
period stay as an earlier generation has published them: figures of a part never replace those of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from shared.containers import DAY, container
from shared.periods import monthly
from shared.units import Day
from shared.views.keys import period_in

MARGIN_SECONDS = DAY
"""Time in seconds that the sources must have held before a period begins. A session that began on the day
before is counted on the days on which it was open; and clocks differ."""


def publishable(sources: Iterable[str], first: Day, counted: int) -> bool:
    """Return whether the sources held a period whole until its documents were counted.

    Parameters
    ----------
    sources
        The containers that the period's documents are computed from. One that never expires sets no limit.
    first
        First day of the period (UTC).
    counted
        When the generation had counted the sources, in seconds since the epoch. A document that is not
        expired at this time is counted.
    """
    lifetimes = [ttl for ttl in (container(source).default_ttl for source in sources) if ttl]
    begin = datetime.combine(date.fromisoformat(first), time(), UTC).timestamp()
    return all(begin >= counted - lifetime + MARGIN_SECONDS for lifetime in lifetimes if lifetime > 0)


def first_day(key: str, periods: int = 1) -> Day:
    """Return the first day that the documents of a view's key are computed from.

    A key is a day or the label of a period, with further parts after ``|``. A week is computed from the
    months in which it lies, since the state of people is kept by month.

    Parameters
    ----------
    periods
        Number of consecutive periods that a document is computed from, its own included.

    Raises
    ------
    ValueError
        The key names no period.
    """
    period = period_in(key)
    for _ in range(periods - 1):
        period = period.before()
    return monthly(period.months()[0]).first if period.kind == "weekly" else period.first
