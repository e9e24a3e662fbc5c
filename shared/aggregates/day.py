"""``day``: counts by UTC day, of what has few names.

What is counted by passage, chapter or topic is built instead: see :mod:`shared.builds`.
"""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import Aggregate, Contributions, PersonChange
from shared.aggregates.tally import Tally
from shared.facts import USER_INTERACTIONS, Fact, IncidentFact, InteractionFact, SessionFact
from shared.units import KILOBYTE, Day, Millis, Month, event_hour, minute_of_day

NAME = "day"


class DayAggregate(Aggregate):
    """One key per UTC day, ``2025-08-05``."""

    name = NAME
    source = USER_INTERACTIONS
    max_bytes = 160 * KILOBYTE
    """Counts by persona, model, text and minute: in normal use at most 60 KB."""
    bounded = frozenset({"minutes", "open", "response_ms_histogram"})

    def first_day(self, key: str) -> Day:
        return Day(key)

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Count a person on each active day, and as new on the first one. Count the sessions."""
        before, after = person.active_days(change.person.before), person.active_days(change.person.after)
        for day in before ^ after:
            into.partial(NAME, day).add("active_users", (day in after) - (day in before))
        for days, sign in ((before, -1), (after, 1)):
            first = min(days, default=None)
            if first is not None and (change.first_known is None or first <= change.first_known):
                into.partial(NAME, first).add("new_users", sign)
        for month, states in change.months.items():
            parts_before, parts_after = states.before.parts(), states.after.parts()
            for number in parts_before.keys() | parts_after.keys():
                sessions = _sessions(parts_after.get(number)) - _sessions(parts_before.get(number))
                into.partial(NAME, _day(month, number)).add("sessions", sessions)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one fact on its day."""
        match fact:
            case InteractionFact():
                _interaction(fact, into.partial(NAME, fact.day))
            case SessionFact():
                _session(fact, into)
            case IncidentFact():
                _incident(fact, into.partial(NAME, fact.day))
            case _:
                pass


def _interaction(fact: InteractionFact, day: Tally) -> None:
    day.add("interactions", 1)
    _input(fact, day)
    day.sample("answered", None if fact.answered is None else int(fact.answered))
    day.count("minutes", str(fact.minute_of_day))
    if fact.response_ms is not None:
        day.sample("response_ms", fact.response_ms)
        day.observe("response_ms_histogram", fact.response_ms)
    for name in (
        "retrieval_ms", "chunks", "rag_relevance", "rating", "relevance", "citation_accuracy", "safety"
    ):  # fmt: skip
        day.sample(name, getattr(fact, name))
    for name in ("accurate", "helpful", "relevant", "well_cited"):
        verdict = getattr(fact, name)
        day.sample(name, None if verdict is None else int(verdict))
    day.add("filtered", int(fact.filtered))
    day.count("persona_requests", fact.persona)
    day.sample_by("persona_rating", fact.persona, fact.rating)
    day.sample_by("persona_ms", fact.persona, fact.response_ms)
    day.sample_by("persona_relevance", fact.persona, fact.relevance)
    day.sample_by("persona_cost", fact.persona, fact.cost)
    day.count("model_requests", fact.model)
    day.count("model_unmeasured", fact.model, int(not fact.measured))
    day.count("model_inexact", fact.model, int(not fact.exact))
    day.add("totals_differ", int(fact.total_differs))
    day.sample_by("model_tokens_in", fact.model, fact.tokens_in)
    day.sample_by("model_tokens_out", fact.model, fact.tokens_out)
    if fact.kinds is not None:
        day.count("model_tokens_cached", fact.model, fact.kinds.cached)
        day.count("model_tokens_thinking", fact.model, fact.kinds.thinking)
    day.sample_by("model_cost", fact.model, fact.cost)
    day.sample_by("model_relevance", fact.model, fact.relevance)
    day.add("citations", len(fact.citations) + fact.more_citations)
    for citation in fact.citations:
        day.sample("citation_relevance", citation.relevance)
        day.count("texts", citation.text)


def _input(fact: InteractionFact | SessionFact, day: Tally) -> None:
    day.add("dropped_scores", fact.dropped_scores)
    day.add("newer_versions", int(fact.newer_version))


def _session(fact: SessionFact, into: Contributions) -> None:
    """Count a session on the day of its start, and its open minutes on each day that it was open."""
    day = into.partial(NAME, fact.day)
    day.sample("session_seconds", fact.seconds)
    day.sample("session_quality", fact.quality)
    day.sample("session_rating", fact.satisfaction)
    _input(fact, day)
    if fact.outcome is not None:
        day.count("session_outcomes", fact.outcome)
    if fact.until is not None:
        last = _day_at(fact.until)
        day.count("open", str(fact.minute_of_day))
        if last != fact.day:
            into.partial(NAME, last).count("open", "0")
        closed = minute_of_day(fact.until) + 1
        into.partial(NAME, last).count("open", str(closed), -1)


def _incident(fact: IncidentFact, day: Tally) -> None:
    day.add("incidents", 1)
    day.add("newer_versions", int(fact.newer_version))
    day.add("incidents_automatic", int(bool(fact.automatic)))
    if fact.review is not None:
        day.count("incident_reviews", fact.review)
    if fact.decision is not None:
        day.count("incident_decisions", fact.decision)
        if fact.automatic:
            day.count("automatic_decisions", fact.decision)


def _sessions(part: Tally | None) -> int:
    return 0 if part is None else len(part.counts("sessions"))


def _day(month: Month, number: str) -> Day:
    return Day(f"{month[:4]}-{month[4:]}-{number}")


def _day_at(moment: Millis) -> Day:
    return Day(event_hour(moment)[:10])
