"""``silence``: the days on which people become inactive or return. No source document records either."""

from __future__ import annotations

from collections.abc import Iterable

from shared.aggregates import person
from shared.aggregates.base import FOREVER, Aggregate, Contributions, PersonChange
from shared.aggregates.tally import Tally
from shared.units import Day, day_after, days_between

NAME = "silence"

CHURNED_AFTER_DAYS = 30
"""Days of inactivity after which a user counts as churned, until the user returns."""

FIRST_YEAR = 2020
"""Earlier dates are clamped to the first day of this year. Later totals are unaffected."""


class Inactivity(Aggregate):
    """One key per year, ``2025``: for each day, the people who become inactive minus the people who return.

    The sum from the first year up to a day is the number of inactive people on that day. People who refuse
    user-level analytics are not counted.
    """

    name = NAME
    ttl = FOREVER

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Move the counts of the days on which a person becomes inactive or returns."""
        before, after = _transitions(change.person.before), _transitions(change.person.after)
        for turns, sign in ((before, -1), (after, 1)):
            for day, amount in turns:
                day = max(day, Day(f"{FIRST_YEAR}-01-01"))
                into.partial(NAME, day[:4]).count("silent", day, sign * amount)


def _transitions(state: Tally) -> Iterable[tuple[Day, int]]:
    """Yield the days on which a person becomes inactive (1) or returns (-1)."""
    if person.refused(state):
        return
    days = sorted(person.days(state))
    for index, day in enumerate(days):
        following = days[index + 1] if index + 1 < len(days) else None
        if following is None or days_between(day, following) > CHURNED_AFTER_DAYS:
            yield day_after(day, CHURNED_AFTER_DAYS), 1
            if following is not None:
                yield following, -1


def years(day: Day) -> list[str]:
    """Return the keys whose sum is the number of inactive people on a day."""
    return [str(year) for year in range(FIRST_YEAR, int(day[:4]) + 1)]


def inactive_on(day: Day, states: Iterable[Tally]) -> int:
    """Return the number of inactive people on a day, from the states of all years up to it."""
    return sum(amount for state in states for turn, amount in state.counts("silent").items() if turn <= day)
