"""``day``: what interactions, sessions and incidents count on a UTC day, and what follows from people."""

from __future__ import annotations

from typing import Any

from shared.aggregates.base import Changed, Contributions, PersonChange
from shared.aggregates.day import DayAggregate
from shared.aggregates.tally import Tally
from shared.facts import Citation, ConsentFact, Fact, IncidentFact, InteractionFact, SessionFact
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
    cited = [Citation("gita", "2", str(n), Micro(800_000) if n else None) for n in range(3)]
    fact = InteractionFact(
        user_id="ana",
        at=millis("2025-08-05T14:00:00"),
        citations=tuple(cited),
        more_citations=4,
        category="duty",
    )
    day = counted(fact)["2025-08-05"]
    assert day["counts"]["texts"] == {"gita": 3}
    assert day["sums"]["citations"] == 7
    assert day["means"] == {"citation_relevance": [1_600_000, 2]}
    assert not any(
        "passage" in name or "topic" in name for name in {**day["counts"], **day.get("means_by", {})}
    )


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
    before: Tally,
    after: Tally,
    months: dict[Month, Changed] | None = None,
    first_known: Day | None = None,
) -> dict[str, dict[str, Any]]:
    """Return by day what the change of a person means."""
    into = Contributions()
    AGGREGATE.derive(PersonChange("ana", Changed(before, after), first_known, months or {}), into)
    assert {target.aggregate for target in into.deltas} <= {"day"}
    return {target.key: delta.encode() for target, delta in into.deltas.items() if delta}


NEVER = Tally()


def active_on(*days: str, interactions: int = 1) -> Tally:
    person = Tally()
    for day in days:
        person.part(month_of(Day(day))).count("days", day[8:], interactions)
    return person


def test_a_person_is_active_once_on_each_day_and_new_on_the_first() -> None:
    assert derived(NEVER, active_on("2025-08-05", "2025-08-07")) == {
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
    assert derived(active_on("2025-08-05"), active_on("2025-08-05", interactions=2)) == {}


def test_sessions_are_counted_once_on_each_day() -> None:
    def with_sessions(days: dict[str, dict[str, int]]) -> Tally:
        return Tally.decode({"parts": {day: {"counts": {"sessions": ids}} for day, ids in days.items()}})

    before = with_sessions({"05": {"s": 2}})
    after = with_sessions({"05": {"s": 3, "t": 1}, "06": {"t": 1}})
    active = active_on("2025-08-05", "2025-08-06")
    assert derived(active, active, {Month("202508"): Changed(before, after)}) == {
        "2025-08-05": {"sums": {"sessions": 1}},
        "2025-08-06": {"sums": {"sessions": 1}},
    }


def test_a_person_known_from_an_earlier_generation_is_not_new() -> None:
    first_known = Day("2025-08-01")
    assert derived(NEVER, active_on("2025-08-05"), first_known=first_known) == {
        "2025-08-05": {"sums": {"active_users": 1}}
    }


def test_a_day_has_a_share_in_every_shard() -> None:
    assert AGGREGATE.owner_of("2025-08-05") is None
    assert AGGREGATE.first_day("2025-08-05") == "2025-08-05"
