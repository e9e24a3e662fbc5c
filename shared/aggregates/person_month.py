"""``person_month``: what one person did in one month, day by day."""

from __future__ import annotations

from shared.aggregates.base import STATE_TTL, Contributions, Fact, short
from shared.tally import Tally
from shared.units import Month, to_micro

NAME = "person_month"

COMPLEXITY = {"low": 0.0, "medium": 0.5, "high": 1.0}
"""Where a question's complexity lies between simple and hard; other words are not measured."""


class PersonMonth:
    """One partial per person and month, with a part per day; its key is ``202508|<user id>``."""

    name = NAME
    ttl = STATE_TTL

    def person(self, key: str) -> str:
        """Return the user id."""
        return split_key(key)[1]

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the person's month."""
        return (month_key(fact.month, fact.user_id),)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one interaction on its day."""
        day = into.to(NAME, month_key(fact.month, fact.user_id)).into_part(fact.day[8:])
        day.add("interactions", 1)
        day.add("cited", int(bool(fact.citations)))
        day.count("hours", fact.hour[11:])
        if fact.session_id is not None:
            day.count("sessions", short(fact.session_id))
        day.count("personas", fact.persona)
        if fact.category is not None:
            day.count("categories", fact.category)
        complexity = COMPLEXITY.get(fact.complexity or "")
        day.sample("complexity", None if complexity is None else to_micro(complexity))
        day.sample("rating", fact.rating)
        day.sample("cost", fact.cost)
        day.add("unmeasured", int(not fact.measured))
        for citation in fact.citations:
            day.count("texts", citation.source)
            day.count("passages", short(citation.passage))


def month_key(month: Month, user_id: str) -> str:
    """Return the key of a person's month."""
    return f"{month}|{user_id}"


def split_key(key: str) -> tuple[Month, str]:
    """Return the month and the user id of a key."""
    month, _, user_id = key.partition("|")
    return Month(month), user_id


def by_day(state: Tally) -> dict[str, Tally]:
    """Return the parts of a month by day, ``"05"``, in order."""
    return {day: state.part(day) for day in sorted(state.parts())}
