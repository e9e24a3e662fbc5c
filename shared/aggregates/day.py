"""``day``: everything that is counted by UTC day."""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import STATE_TTL, Contributions, Fact, PersonChange, short
from shared.tally import Tally
from shared.units import Day, Month

NAME = "day"


class DayAggregate:
    """One key per UTC day, ``2025-08-05``."""

    name = NAME
    ttl = STATE_TTL

    def person(self, key: str) -> None:
        """Return None: every shard has a share."""

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the fact's day."""
        return (fact.day,)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one interaction on its day."""
        day = into.to(NAME, fact.day)
        day.add("interactions", 1)
        day.sample("answered", None if fact.answered is None else int(fact.answered))
        day.count("minutes", str(fact.minute_of_day))
        if fact.response_ms is not None:
            day.sample("response_ms", fact.response_ms)
            day.observe("response_ms_histogram", fact.response_ms)
        for name in (
            "retrieval_ms", "chunks", "rag_relevance", "rating", "relevance", "citation_accuracy", "safety"
        ):  # fmt: skip
            day.sample(name, getattr(fact, name))
        day.sample("accurate", None if fact.accurate is None else int(fact.accurate))
        for citation in fact.citations:
            day.add("citations", 1)
            day.sample("citation_relevance", citation.relevance)
            day.count("texts", short(citation.source))
            day.count("passages", short(citation.passage))
        day.count("persona_requests", fact.persona)
        day.sample_by("persona_rating", fact.persona, fact.rating)
        day.sample_by("persona_ms", fact.persona, fact.response_ms)
        day.count("model_requests", fact.model)
        day.count("model_unmeasured", fact.model, int(not fact.measured))
        day.sample_by("model_tokens_in", fact.model, fact.tokens_in)
        day.sample_by("model_tokens_out", fact.model, fact.tokens_out)
        day.sample_by("model_cost", fact.model, fact.cost)
        day.sample_by("model_relevance", fact.model, fact.relevance)


def derive(change: PersonChange, into: Contributions) -> None:
    """Count a person once on each day of activity, as new on the first, and their sessions by day."""
    before, after = person.days(change.person.before), person.days(change.person.after)
    for day in before ^ after:
        into.to(NAME, day).add("active_users", (day in after) - (day in before))
    first, first_after = min(before, default=None), min(after, default=None)
    if first != first_after:
        if first is not None:
            into.to(NAME, first).add("new_users", -1)
        if first_after is not None:
            into.to(NAME, first_after).add("new_users", 1)
    for month, (month_before, month_after) in change.months.items():
        for number in month_before.parts() | month_after.parts():
            change_of_sessions = _sessions(month_after, number) - _sessions(month_before, number)
            into.to(NAME, _day(month, number)).add("sessions", change_of_sessions)


def _sessions(month: Tally, number: str) -> int:
    return len(month.counts(f"{number}:sessions"))


def _day(month: Month, number: str) -> Day:
    return Day(f"{month[:4]}-{month[4:]}-{number}")
