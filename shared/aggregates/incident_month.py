"""``incident_month``: incidents by text and UTC month."""

from __future__ import annotations

from shared.aggregates.base import Aggregate, Contributions
from shared.facts import ABUSE_INCIDENTS, Fact, IncidentFact
from shared.units import KILOBYTE, Day, Month, days_of_month

NAME = "incident_month"

UNATTRIBUTED = "unattributed"
"""Text of incidents that refer to no interaction, or to an answer without citations."""


class IncidentMonth(Aggregate):
    """One key per month and text, ``202508|bhagavad_gita``."""

    name = NAME
    source = ABUSE_INCIDENTS
    max_bytes = 64 * KILOBYTE

    def first_day(self, key: str) -> Day:
        return days_of_month(split_text_key(key)[0])[0]

    def contribute(self, fact: Fact, into: Contributions) -> None:
        if not isinstance(fact, IncidentFact):
            return
        month = into.partial(NAME, text_key(fact.month, _text(fact)))
        month.add("incidents", 1)
        month.count("severities", fact.severity)
        month.count("types", fact.kind)
        if fact.passage is not None and fact.passage.chapter is not None:
            month.count("chapters", fact.passage.chapter)
            if fact.passage.verse is not None:
                month.count("verses", f"{fact.passage.chapter}.{fact.passage.verse}")
        for violation in set(fact.violations):
            month.count("violations", violation)
        if fact.decision is not None:
            month.count("decisions", fact.decision)
        if fact.review is not None:
            month.count("reviews", fact.review)
        for action in fact.actions:
            month.count("actions", action)
        month.sample("resolved_ms", fact.resolved_ms)


def _text(fact: IncidentFact) -> str:
    return UNATTRIBUTED if fact.passage is None else fact.passage.text


def text_key(month: Month, text: str) -> str:
    """Return the key of a text's month."""
    return f"{month}|{text}"


def split_text_key(key: str) -> tuple[Month, str]:
    """Return the month and the text of a key."""
    month, _, text = key.partition("|")
    return Month(month), text
