"""``person``: on which days a person was here, and what else their other state depends on."""

from __future__ import annotations

from shared.aggregates.base import FOREVER, Contributions, hash_key
from shared.aggregates.tally import Tally
from shared.facts import ConsentFact, Fact, IncidentFact, InteractionFact, SessionFact, Withdrawn
from shared.units import Day, Month, month_after, month_of

NAME = "person"


class Person:
    """One partial per person; its key is the user id.

    Every addition and removal of one of the person's facts writes it. Since it is guarded by its etag, two
    writers cannot count two versions of the same document on different ledger pages at once.
    """

    name = NAME
    ttl = FOREVER

    def owner_of(self, key: str) -> str:
        """Return the user id."""
        return key

    def first_day(self, key: str) -> None:
        """Return None: a person has no period."""

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the person."""
        return (fact.user_id,)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Note what one fact says of the person: at least that the ledger has an entry of theirs."""
        person = into.partial(NAME, fact.user_id)
        match fact:
            case InteractionFact():
                person.count("days", fact.day)
            case SessionFact():
                person.count("session_days", fact.day)
            case IncidentFact():
                person.add("incidents", 1)
                if fact.interaction is not None:
                    person.count("flagged", hash_key(fact.interaction))
            case ConsentFact():
                person.add("accounts", 1)
                person.add("refused", int(fact.refused))


def withdraw(fact: Withdrawn, into: Contributions) -> None:
    """Note that the ledger has an entry of the person that counts nowhere, or nowhere but in consent."""
    person = into.partial(NAME, fact.user_id)
    person.add("withdrawn", 1)
    person.add("refused", int(fact.refused))


def days(person: Tally) -> set[Day]:
    """Return the days on which the person was here."""
    return {Day(day) for day in person.counts("days")}


def active_months(person: Tally) -> set[Month]:
    """Return the months in which the person was here."""
    return {month_of(day) for day in days(person)}


def months(person: Tally) -> set[Month]:
    """Return the months of which there is state of the person."""
    return active_months(person) | {month_of(Day(day)) for day in person.counts("session_days")}


def refused(person: Tally) -> bool:
    """Say whether the person does not agree to user-level analytics."""
    return person.total("refused") > 0


def first_month(person: Tally) -> Month | None:
    """Return the month in which the person was here for the first time."""
    return min(active_months(person), default=None)


def is_flagged(person: Tally, interaction: str) -> bool:
    """Say whether an incident points at one of the person's interactions."""
    return hash_key(interaction) in person.counts("flagged")


def months_affected(before: Tally, after: Tally) -> set[Month]:
    """Return the months of the person that mean something else because of a change beside them."""
    known = months(before) | months(after)
    if refused(before) != refused(after):
        return known
    moved: set[Month | None] = set()
    if first_month(before) != first_month(after):
        moved |= {first_month(before), first_month(after)}
    # Whether somebody came back is said in the month after.
    moved |= {month_after(month, 1) for month in active_months(before) ^ active_months(after)}
    return {month for month in known if month in moved}
