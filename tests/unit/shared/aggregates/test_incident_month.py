"""``incident_month``: incidents by month and by the text they are about."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aggregates.incident_month import IncidentMonth, split_text_key, text_key
from shared.facts import ABUSE_INCIDENTS, Fact, IncidentFact, InteractionFact, Passage
from shared.units import Millis, Month
from tests.unit.shared.aggregates.fact_strategies import (
    contributions,
    millis,
)

AGGREGATE = IncidentMonth()
AT = millis("2025-08-31T23:59:59")


def counted(fact: Fact) -> dict[str, dict[str, Any]]:
    """Return by key what one fact counts."""
    return {target.key: delta.encode() for target, delta in contributions(AGGREGATE, [fact]).deltas.items()}


def test_an_incident_counts_in_its_month_under_the_text_it_is_about() -> None:
    fact = IncidentFact(
        user_id="ana",
        at=AT,
        kind="spam",
        severity="low",
        passage=Passage("gita", "2", "47"),
        review="resolved",
        decision="confirmed",
        resolved_ms=Millis(3_000),
        actions=("warned", "blocked", "warned"),
        violations=("threat", "threat", "profanity"),
    )
    assert counted(fact) == {
        "202508|gita": {
            "sums": {"incidents": 1},
            "means": {"resolved_ms": [3_000, 1]},
            "counts": {
                "severities": {"low": 1},
                "types": {"spam": 1},
                "chapters": {"2": 1},
                "verses": {"2.47": 1},
                "violations": {"threat": 1, "profanity": 1},  # what it violates, named once or more often
                "decisions": {"confirmed": 1},
                "reviews": {"resolved": 1},
                "actions": {"warned": 2, "blocked": 1},  # every action of the incident
            },
        }
    }


def test_an_incident_about_no_text_is_unattributed() -> None:
    assert counted(IncidentFact(user_id="ana", at=AT)) == {
        "202508|unattributed": {
            "sums": {"incidents": 1},
            "counts": {"severities": {"unknown": 1}, "types": {"unknown": 1}},
        }
    }


@pytest.mark.parametrize(
    ("passage", "places"),
    [
        (Passage("gita", None, None), {}),
        (Passage("gita", "2", None), {"chapters": {"2": 1}}),
        (Passage("gita", None, "47"), {}),  # a verse of no chapter is no place
    ],
)
def test_chapter_and_verse_count_where_they_are_known(
    passage: Passage, places: dict[str, dict[str, int]]
) -> None:
    counts = counted(IncidentFact(user_id="ana", at=AT, passage=passage))["202508|gita"]["counts"]
    assert {name: counts[name] for name in ("chapters", "verses") if name in counts} == places


def test_facts_of_other_kinds_count_in_no_text() -> None:
    assert counted(InteractionFact(user_id="ana", at=AT)) == {}


def test_a_key_holds_the_month_and_a_text_of_any_name() -> None:
    assert text_key(Month("202508"), "a|b") == "202508|a|b"
    assert split_text_key("202508|a|b") == ("202508", "a|b")


def test_a_month_has_a_share_in_every_shard_and_ends_with_its_incidents() -> None:
    assert AGGREGATE.owner_of("202508|gita") is None
    assert AGGREGATE.first_day("202508|gita") == "2025-08-01"
    assert AGGREGATE.source == ABUSE_INCIDENTS
