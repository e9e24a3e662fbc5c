"""``person_month``: what one person did in one month, day by day."""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import STATE_TTL, Aggregate, Contributions, PersonChange, hash_key
from shared.aggregates.tally import Tally
from shared.facts import Fact, InteractionFact, SessionFact
from shared.units import Day, Month, days_of_month, to_micro

NAME = "person_month"

COMPLEXITY = {"low": 0.0, "medium": 0.5, "high": 1.0}
"""A question's complexity, from simple (0) to hard (1). Any other word counts as not measured."""

SHORT_SESSION, LONG_SESSION = 5 * 60, 15 * 60
"""Bounds in seconds, from the specification: a session below the first is short, above the second long."""

REFUSED = "refused"
"""Set in every month of a person who refuses user-level analytics."""

FIRST = "first"
"""Set in the first month in which a person was active."""


class PersonMonth(Aggregate):
    """One partial per person and month, with a part per day; its key is ``202508|<user id>``.

    Besides the parts it holds two flags. :data:`REFUSED`: the person refuses user-level analytics, so no view
    may show the month. :data:`FIRST`: it is the person's first active month.
    """

    name = NAME
    ttl = STATE_TTL

    def owner_of(self, key: str) -> str:
        return split_key(key)[1]

    def first_day(self, key: str) -> Day:
        return days_of_month(split_key(key)[0])[0]

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Mark the months of a person who refuses user-level analytics, and the first active month.

        Months whose state has expired are skipped, so that a change of consent creates no state.
        """
        for of_person, sign in ((change.person.before, -1), (change.person.after, 1)):
            if person.refused(of_person):
                for month, states in change.months.items():
                    if (states.before if sign < 0 else states.after).parts():
                        into.partial(NAME, month_key(month, change.user_id)).add(REFUSED, sign)
            first = person.first_month(of_person)
            if first is not None:
                into.partial(NAME, month_key(first, change.user_id)).add(FIRST, sign)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one fact on its day."""
        match fact:
            case InteractionFact():
                _interaction(fact, into.partial(NAME, month_key(fact.month, fact.user_id)))
            case SessionFact():
                _session(fact, into.partial(NAME, month_key(fact.month, fact.user_id)))
            case _:
                pass


def _interaction(fact: InteractionFact, month: Tally) -> None:
    day = month.part_writer(fact.day[8:])
    day.add("interactions", 1)
    day.add("cited", int(bool(fact.citations)))
    day.count("hours", fact.hour[11:])
    if fact.session_id is not None:
        day.add("in_session", 1)
        day.count("sessions", hash_key(fact.session_id))
    day.count("personas", fact.persona)
    if fact.category is not None:
        day.count("categories", fact.category)
    complexity = COMPLEXITY.get(fact.complexity or "")
    day.sample("complexity", None if complexity is None else to_micro(complexity))
    day.sample("rating", fact.rating)
    day.sample("cost", fact.cost)
    day.add("unmeasured", int(not fact.measured))
    for citation in fact.citations:
        day.count("texts", citation.text)
        day.count("passages", hash_key(citation.passage.key))


def _session(fact: SessionFact, month: Tally) -> None:
    day = month.part_writer(fact.day[8:])
    day.count("sessions", hash_key(fact.session_id))
    day.sample("session_seconds", fact.seconds)
    day.sample("depth", fact.depth)
    if fact.seconds is not None:
        day.count("session_lengths", _length(fact.seconds))
    if fact.outcome is not None:
        day.count("outcomes", fact.outcome)


def _length(seconds: int) -> str:
    if seconds < SHORT_SESSION:
        return "short"
    return "medium" if seconds <= LONG_SESSION else "long"


def month_key(month: Month, user_id: str) -> str:
    """Return the key of a person's month."""
    return f"{month}|{user_id}"


def split_key(key: str) -> tuple[Month, str]:
    """Return the month and the user id of a key."""
    month, _, user_id = key.partition("|")
    return Month(month), user_id


def by_day(state: Tally) -> dict[str, Tally]:
    """Return the parts of a month by day, ``"05"``, in order of the days."""
    return {day: state.part(day) for day in sorted(state.parts())}
