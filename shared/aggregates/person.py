"""``person``: a person's active days, and the other properties that derived state depends on."""

from __future__ import annotations

from shared.aggregates.base import FOREVER, Aggregate, Contributions, hash_key
from shared.aggregates.tally import Tally
from shared.facts import ConsentFact, Fact, IncidentFact, InteractionFact, SessionFact, Uncounted
from shared.units import Day, Month, month_after, month_of

NAME = "person"


class Person(Aggregate):
    """One partial per person; its key is the user id.

    Every addition and every removal of one of the person's facts writes it, guarded by its etag. Two writers
    therefore cannot count two versions of one document on different ledger pages concurrently.
    """

    name = NAME
    ttl = FOREVER

    def owner_of(self, key: str) -> str:
        return key

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Record what one fact says about the person: at least that the ledger has an entry of the person."""
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


def uncount(fact: Uncounted, into: Contributions) -> None:
    """Record an uncounted entry of the person. It counts in no aggregate, except as a refusal of consent."""
    person = into.partial(NAME, fact.user_id)
    person.add("withdrawn", 1)
    person.add("refused", int(fact.refused))


def days(person: Tally) -> set[Day]:
    """Return the person's active days."""
    return {Day(day) for day in person.counts("days")}


def active_months(person: Tally) -> set[Month]:
    """Return the months in which the person was active."""
    return {month_of(day) for day in days(person)}


def months(person: Tally) -> set[Month]:
    """Return the months for which the person has state."""
    return active_months(person) | {month_of(Day(day)) for day in person.counts("session_days")}


def refused(person: Tally) -> bool:
    """Return whether the person refuses user-level analytics."""
    return person.total("refused") > 0


def first_month(person: Tally) -> Month | None:
    """Return the first month in which the person was active."""
    return min(active_months(person), default=None)


def is_flagged(person: Tally, interaction: str) -> bool:
    """Return whether an incident refers to one of the person's interactions."""
    return hash_key(interaction) in person.counts("flagged")


def months_affected(before: Tally, after: Tally) -> set[Month]:
    """Return the person's months whose derived counts change although the months themselves do not."""
    known = months(before) | months(after)
    if refused(before) != refused(after):
        return known
    moved: set[Month | None] = set()
    if first_month(before) != first_month(after):
        moved |= {first_month(before), first_month(after)}
    # The following month counts whether the person returned.
    moved |= {month_after(month, 1) for month in active_months(before) ^ active_months(after)}
    return {month for month in known if month in moved}
