"""``day``: what interactions, sessions and incidents count on a UTC day, and what follows from people."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aggregates.base import Changed, Contributions, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.tally import Tally
from shared.facts import (
    USER_INTERACTIONS,
    Citation,
    ConsentFact,
    Fact,
    IncidentFact,
    InteractionFact,
    SessionFact,
)
from shared.units import Day, Micro, Month, NanoUSD, month_of
from tests.unit.shared.aggregates.fact_strategies import (
    contributions,
    millis,
)

AGGREGATE = DayAggregate()


def counted(fact: Fact) -> dict[str, dict[str, Any]]:
    """Return by day what one fact counts."""
    return {target.key: delta.encode() for target, delta in contributions(AGGREGATE, [fact]).deltas.items()}


def test_an_interaction_counts_on_its_day_with_what_it_tells() -> None:
    fact = InteractionFact(
        user_id="ana",
        at=millis("2025-08-05T00:07:30"),
        answered=False,
        tokens_in=100,
        tokens_out=20,
        persona="krishna",
        model="gemini",
        cost=NanoUSD(7),
        rating=4,
    )
    assert counted(fact) == {
        "2025-08-05": {
            "sums": {"interactions": 1},
            "means": {"answered": [0, 1], "rating": [4, 1]},
            "counts": {
                "minutes": {"7": 1},
                "persona_requests": {"krishna": 1},
                "model_requests": {"gemini": 1},
            },
            "means_by": {
                "persona_rating": {"krishna": [4, 1]},
                "persona_cost": {"krishna": [7, 1]},
                "model_tokens_in": {"gemini": [100, 1]},
                "model_tokens_out": {"gemini": [20, 1]},
                "model_cost": {"gemini": [7, 1]},
            },
        }
    }


def test_an_interaction_without_token_counts_is_unmeasured() -> None:
    fact = InteractionFact(user_id="ana", at=millis("2025-08-05T14:00:00"), model="gemini", tokens_in=5)
    assert counted(fact)["2025-08-05"]["counts"]["model_unmeasured"] == {"gemini": 1}


def test_citations_count_by_text_and_all_of_them_in_all() -> None:
    fact = InteractionFact(
        user_id="ana",
        at=millis("2025-08-05T14:00:00"),
        citations=(
            Citation("gita", "2", "47", Micro(900_000)),
            Citation("gita", "2", "47", None),
            Citation("udana", None, None, Micro(700_000)),
        ),
        more_citations=2,
    )
    day = counted(fact)["2025-08-05"]
    assert day["sums"]["citations"] == 5
    assert day["means"]["citation_relevance"] == [1_600_000, 2]
    assert day["counts"]["texts"] == {"gita": 2, "udana": 1}


def test_a_session_is_open_from_its_minute_to_the_minute_after_its_end() -> None:
    fact = SessionFact(
        user_id="ana",
        at=millis("2025-08-05T01:00:20"),
        session_id="s",
        until=millis("2025-08-05T01:10:00"),
        seconds=580,
        outcome="completed",
    )
    assert counted(fact) == {
        "2025-08-05": {
            "means": {"session_seconds": [580, 1]},
            "counts": {"session_outcomes": {"completed": 1}, "open": {"60": 1, "71": -1}},
        }
    }


def test_a_session_over_midnight_is_open_on_the_next_day_from_its_first_minute() -> None:
    fact = SessionFact(
        user_id="ana", at=millis("2025-08-05T23:50:00"), session_id="s", until=millis("2025-08-06T00:05:00")
    )
    assert counted(fact) == {
        "2025-08-05": {"counts": {"open": {"1430": 1}}},
        "2025-08-06": {"counts": {"open": {"0": 1, "6": -1}}},
    }


def test_a_session_of_unknown_end_counts_as_open_on_no_minute() -> None:
    fact = SessionFact(user_id="ana", at=millis("2025-08-05T23:50:00"), session_id="s", seconds=60)
    assert counted(fact) == {"2025-08-05": {"means": {"session_seconds": [60, 1]}}}


def test_an_incident_counts_its_review_and_its_decision() -> None:
    at = millis("2025-08-05T14:00:00")
    found = IncidentFact(user_id="ana", at=at, automatic=True, review="resolved", decision="confirmed")
    reported = IncidentFact(user_id="ana", at=at, automatic=False, decision="confirmed")
    assert counted(found) == {
        "2025-08-05": {
            "sums": {"incidents": 1, "incidents_automatic": 1},
            "counts": {
                "incident_reviews": {"resolved": 1},
                "incident_decisions": {"confirmed": 1},
                "automatic_decisions": {"confirmed": 1},
            },
        }
    }
    assert counted(reported) == {
        "2025-08-05": {"sums": {"incidents": 1}, "counts": {"incident_decisions": {"confirmed": 1}}}
    }


def test_an_account_counts_on_no_day() -> None:
    assert counted(ConsentFact(user_id="ana", at=millis("2025-08-05T14:00:00"))) == {}


def derived(
    before: Tally, after: Tally, months: dict[Month, Changed] | None = None, first_known: Day | None = None
) -> dict[str, dict[str, Any]]:
    """Return by day what the change of a person means."""
    into = Contributions()
    AGGREGATE.derive(PersonChange("ana", Changed(before, after), first_known, months or {}), into)
    assert {target.aggregate for target in into.deltas} <= {"day"}
    return {target.key: delta.encode() for target, delta in into.deltas.items() if delta}


NEVER = Tally()


def active_on(*days: str) -> Tally:
    """Return the state of a person with one interaction for each mention of a day."""
    state = Tally()
    for day in days:
        state.part(month_of(Day(day))).count("days", day[8:])
    return state


def test_a_person_is_active_once_on_each_day_and_new_on_the_first() -> None:
    assert derived(NEVER, active_on(*["2025-08-05"] * 3, "2025-08-07")) == {
        "2025-08-05": {"sums": {"active_users": 1, "new_users": 1}},
        "2025-08-07": {"sums": {"active_users": 1}},
    }


def test_an_earlier_day_that_arrives_late_moves_the_day_on_which_a_person_is_new() -> None:
    assert derived(active_on("2025-08-05"), active_on("2025-08-01", "2025-08-05")) == {
        "2025-08-01": {"sums": {"active_users": 1, "new_users": 1}},
        "2025-08-05": {"sums": {"new_users": -1}},
    }


def test_a_day_that_loses_its_last_interaction_loses_the_person() -> None:
    assert derived(active_on("2025-08-05"), NEVER) == {
        "2025-08-05": {"sums": {"active_users": -1, "new_users": -1}}
    }


def test_another_interaction_on_a_day_changes_nothing() -> None:
    assert derived(active_on("2025-08-05"), active_on("2025-08-05", "2025-08-05")) == {}


@pytest.mark.parametrize(
    ("first_known", "new"), [("2024-03-01", False), ("2025-08-05", True), ("2025-08-06", True)]
)
def test_a_person_who_was_active_before_is_not_new(first_known: str, new: bool) -> None:
    sums = derived(NEVER, active_on("2025-08-05"), first_known=Day(first_known))["2025-08-05"]["sums"]
    assert ("new_users" in sums) is new


def month_with(**sessions: str) -> Tally:
    """Return a month whose days, ``d05``, have sessions, each named by a letter."""
    month = Tally()
    for day, names in sessions.items():
        for name in names:
            month.part(day[1:]).count("sessions", name)
    return month


def test_sessions_are_counted_once_on_each_day() -> None:
    active = active_on("2025-08-05", "2025-08-06")
    months = {
        Month("202508"): Changed(month_with(d05="sss"), month_with(d05="sst", d06="t")),
        Month("202507"): Changed(month_with(d31="uv"), month_with(d31="u")),
    }
    assert derived(active, active, months) == {
        "2025-08-05": {"sums": {"sessions": 1}},
        "2025-08-06": {"sums": {"sessions": 1}},
        "2025-07-31": {"sums": {"sessions": -1}},
    }


def test_a_day_has_a_share_in_every_shard_and_ends_with_its_interactions() -> None:
    assert AGGREGATE.owner_of("2025-08-05") is None
    assert AGGREGATE.first_day("2025-08-05") == "2025-08-05"
    assert AGGREGATE.source == USER_INTERACTIONS
