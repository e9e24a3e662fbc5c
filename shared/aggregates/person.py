"""``person``: the days on which a person was active."""

from __future__ import annotations

from collections.abc import Iterator

from shared.aggregates.base import Aggregate, Contributions
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS, Fact, InteractionFact
from shared.units import KILOBYTE, Day, Month

NAME = "person"


class Person(Aggregate):
    """One partial per person; its key is the user id. A part per month counts the interactions of each day.

    The partial also carries the person's :class:`~shared.aggregates.person_record.PersonRecord`.
    """

    name = NAME
    source = USER_INTERACTIONS
    max_bytes = 256 * KILOBYTE
    recounted = False  # it outlives the ledger's pages

    def owner_of(self, key: str) -> str:
        return key

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count an interaction on its day."""
        if isinstance(fact, InteractionFact):
            into.partial(NAME, fact.user_id).part(fact.month).count("days", fact.day[8:])


def interactions_by_day(person: Tally) -> dict[Day, int]:
    """Return the person's interactions by active day, in order of the days."""
    return dict(sorted(_days(person)))


def _days(person: Tally) -> Iterator[tuple[Day, int]]:
    for month, part in person.parts().items():
        for number, count in part.counts("days").items():
            yield Day(f"{month[:4]}-{month[4:]}-{number}"), count


def active_days(person: Tally) -> set[Day]:
    """Return the days on which the person was active."""
    return {day for day, _ in _days(person)}


def active_months(person: Tally) -> set[Month]:
    """Return the months in which the person was active."""
    return {Month(month) for month in person.parts()}
