"""``silence``: when people fell silent, and when they came back. Nobody's event says either."""

from __future__ import annotations

from collections.abc import Iterable

from shared.aggregates import person
from shared.aggregates.base import FOREVER, Contributions, PersonChange
from shared.aggregates.tally import Tally
from shared.facts import Fact
from shared.units import Day, day_after, days_between

NAME = "silence"

CHURNED_AFTER_DAYS = 30
"""So many days after the last time somebody was here they count as churned, until they come back."""

FIRST_YEAR = 2020
"""What lies before counts on this year's first day: how many are churned on a later day is the same."""


class Inactivity:
    """One key per year, ``2025``: for each day how many people are silent from it on, less those who return.

    Added up from the first year on to a day it is the number of people who are silent on that day. A person
    who refuses user-level analytics is not in it.
    """

    name = NAME
    ttl = FOREVER

    def owner_of(self, key: str) -> None:
        """Return None: every shard has a share."""

    def first_day(self, key: str) -> None:
        """Return None: it follows from state that is never forgotten."""

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return nothing: all of it is derived."""
        return ()

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Do nothing: all of it is derived."""


def derive(change: PersonChange, into: Contributions) -> None:
    """Move the days on which a person falls silent, and comes back."""
    before, after = _transitions(change.person.before), _transitions(change.person.after)
    for turns, sign in ((before, -1), (after, 1)):
        for day, amount in turns:
            day = max(day, Day(f"{FIRST_YEAR}-01-01"))
            into.partial(NAME, day[:4]).count("silent", day, sign * amount)


def _transitions(state: Tally) -> Iterable[tuple[Day, int]]:
    """Yield the days on which a person falls silent (1) or comes back (-1)."""
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
    """Return the keys whose sum says who is silent on a day."""
    return [str(year) for year in range(FIRST_YEAR, int(day[:4]) + 1)]


def inactive_on(day: Day, states: Iterable[Tally]) -> int:
    """Return how many people are silent on a day, from the states of all years up to it."""
    return sum(amount for state in states for turn, amount in state.counts("silent").items() if turn <= day)
