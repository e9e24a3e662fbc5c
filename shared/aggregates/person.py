"""``person``: on which days a person was here."""

from __future__ import annotations

from shared.aggregates.base import FOREVER, Contributions, Fact
from shared.tally import Tally
from shared.units import Day

NAME = "person"


class Person:
    """One partial per person; its key is the user id.

    Every addition and removal of one of the person's facts changes it. Since it is guarded by its etag, two
    writers cannot count two versions of the same document on different ledger pages at once.
    """

    name = NAME
    ttl = FOREVER

    def person(self, key: str) -> str:
        """Return the user id."""
        return key

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the person."""
        return (fact.user_id,)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one interaction of the person on its day."""
        into.to(NAME, fact.user_id).count("days", fact.day)


def withdraw(user_id: str, into: Contributions) -> None:
    """Note that the ledger has an entry of the person that counts nowhere."""
    into.to(NAME, user_id).add("withdrawn", 1)


def days(person: Tally) -> set[Day]:
    """Return the days on which the person was here."""
    return {Day(day) for day in person.counts("days")}
