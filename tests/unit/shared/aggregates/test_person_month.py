"""``person_month``: what one person did in one month, by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import hash_key
from shared.aggregates.person_month import (
    PersonMonth,
    by_day,
    daytime,
    depth_of,
    local_hours,
    month_key,
    split_key,
    summary_of,
)
from shared.aggregates.person_record import MonthSummary
from shared.aggregates.tally import Mean, Tally, merged
from shared.facts import (
    USER_INTERACTIONS,
    Citation,
    ConsentFact,
    Fact,
    IncidentFact,
    InteractionFact,
    SessionFact,
)
from shared.units import Day, Micro, Month, NanoUSD, to_micro, to_millis
from tests.unit.shared.aggregates.fact_strategies import (
    contributions,
    millis,
)

AGGREGATE = PersonMonth()
AT = millis("2025-08-05T14:00:00")


def counted(*some: Fact) -> dict[str, dict[str, Any]]:
    """Return what facts count on the fifth, by key."""
    states = {target.key: delta.encode() for target, delta in contributions(AGGREGATE, some).deltas.items()}
    for state in states.values():
        assert [*state["parts"]] == ["05"]
    return {key: state["parts"]["05"] for key, state in states.items()}


def test_an_interaction_counts_in_the_part_of_its_day() -> None:
    fact = InteractionFact(
        user_id="ana",
        at=AT,
        tokens_in=1,
        tokens_out=1,
        cost=NanoUSD(7),
        persona="krishna",
        session_id="s",
        rating=4,
        category="duty",
        complexity="medium",
        citations=(
            Citation("gita", "2", "47", Micro(900_000)),
            Citation("gita", "2", "47", None),
            Citation("gita", "3", None, None),
        ),
    )
    assert counted(fact) == {
        "202508|ana": {
            "sums": {"interactions": 1, "cited": 1, "in_session": 1},
            "means": {"complexity": [500_000, 1], "rating": [4, 1], "cost": [7, 1]},
            "counts": {
                "hours": {"14": 1},
                "sessions": {hash_key("s"): 1},
                "personas": {"krishna": 1},
                "categories": {"duty": 1},
                "texts": {"gita": 3},
                "passages": {hash_key("gita|2|47"): 2, hash_key("gita|3|"): 1},
            },
        }
    }


def test_an_interaction_that_tells_nothing_counts_as_unmeasured() -> None:
    assert counted(InteractionFact(user_id="ana", at=AT)) == {
        "202508|ana": {
            "sums": {"interactions": 1, "unmeasured": 1},
            "counts": {"hours": {"14": 1}, "personas": {"unknown": 1}},
        }
    }


@pytest.mark.parametrize(
    ("complexity", "mean"),
    [("low", (0, 1)), ("high", (1_000_000, 1)), ("unheard of", (0, 0)), (None, (0, 0))],
)
def test_only_the_specification_s_words_measure_complexity(
    complexity: str | None, mean: tuple[int, int]
) -> None:
    fact = InteractionFact(user_id="ana", at=AT, complexity=complexity)
    day = contributions(AGGREGATE, [fact]).partial("person_month", "202508|ana").part("05")
    assert day.mean_of("complexity") == mean


@pytest.mark.parametrize(
    ("seconds", "length"),
    [(0, "short"), (299, "short"), (300, "medium"), (900, "medium"), (901, "long")],
)
def test_a_session_counts_in_the_part_of_its_day_with_its_length(seconds: int, length: str) -> None:
    fact = SessionFact(
        user_id="ana", at=AT, session_id="s", seconds=seconds, outcome="completed", depth=Micro(250_000)
    )
    assert counted(fact) == {
        "202508|ana": {
            "means": {"session_seconds": [seconds, 1], "depth": [250_000, 1]},
            "counts": {
                "sessions": {hash_key("s"): 1},
                "session_lengths": {length: 1},
                "outcomes": {"completed": 1},
            },
        }
    }


def test_a_session_and_its_interactions_count_under_one_name() -> None:
    month = counted(
        SessionFact(user_id="ana", at=AT, session_id="s"),
        InteractionFact(user_id="ana", at=AT, session_id="s"),
    )["202508|ana"]
    assert month["counts"]["sessions"] == {hash_key("s"): 2}


def test_incidents_and_accounts_count_in_no_month() -> None:
    assert counted(IncidentFact(user_id="ana", at=AT), ConsentFact(user_id="ana", at=AT)) == {}


def test_a_key_holds_the_month_and_a_user_id_of_any_form() -> None:
    assert month_key(Month("202508"), "a|b") == "202508|a|b"
    assert split_key("202508|a|b") == ("202508", "a|b")


def test_the_parts_of_a_month_come_in_the_order_of_its_days() -> None:
    state = Tally()
    for day in ("10", "02", "31"):
        state.part(day).add("interactions", int(day))
    assert [(day, part.total("interactions")) for day, part in by_day(state).items()] == [
        ("02", 2), ("10", 10), ("31", 31)
    ]  # fmt: skip


def month_of(*some: Fact) -> Tally:
    return contributions(AGGREGATE, some).partial("person_month", "202508|ana")


def interaction(at: str, **fields: Any) -> InteractionFact:
    return InteractionFact(user_id="ana", at=millis(at), **fields)


class TestSummary:
    """What a month adds to the figures of its tier."""

    def test_covers_all_days(self) -> None:
        some = (
            interaction("2025-08-05T13:00:00", session_id="s", rating=4, persona="krishna", category="duty"),
            interaction("2025-08-05T23:00:00", session_id="s", rating=2, persona="rumi", category="grief"),
            interaction("2025-08-06T04:00:00", session_id="s", persona="rumi", category="duty"),
            interaction("2025-08-31T18:00:00", session_id="t", persona="rumi"),
            SessionFact(user_id="ana", at=AT, session_id="u", seconds=90),
        )
        assert summary_of(month_of(*some)) == MonthSummary(
            sessions=3,
            depth=Micro(0),
            session_seconds=Mean(90, 1),
            rating=Mean(6, 2),
            persona="rumi",
            category="duty",
            daytime="night",
        )

    def test_of_a_month_without_interactions_is_none(self) -> None:
        assert summary_of(Tally()) is None
        assert summary_of(month_of(SessionFact(user_id="ana", at=AT, session_id="u", seconds=90))) is None

    def test_of_ties_the_first_name_counts(self) -> None:
        some = (interaction(f"2025-08-05T{hour}:00:00", persona=persona) for hour, persona in
                (("05", "rumi"), ("12", "buddha")))  # fmt: skip
        summary = summary_of(month_of(*some))
        assert summary is not None
        assert (summary.persona, summary.daytime, summary.category) == ("buddha", "afternoon", None)


@pytest.mark.parametrize(
    ("hour", "name"),
    [
        (4, "night"), (5, "morning"), (11, "morning"), (12, "afternoon"), (16, "afternoon"),
        (17, "evening"), (21, "evening"), (22, "night"), (0, "night"),
    ],
)  # fmt: skip
def test_the_parts_of_a_day(hour: int, name: str) -> None:
    assert daytime(hour) == name


def counts_of(interactions: int, passages: dict[str, int], texts: dict[str, int], *complexity: int) -> Tally:
    state = Tally()
    state.add("interactions", interactions)
    for name, counts in (("passages", passages), ("texts", texts)):
        for key, count in counts.items():
            state.count(name, key, count)
    for value in complexity:
        state.sample("complexity", value)
    return state


def test_depth_weighs_complexity_citations_and_passages_of_each_text() -> None:
    state = counts_of(2, {"p": 3, "q": 2, "r": 1}, {"gita": 4, "dhammapada": 2}, 500_000, 1_000_000)
    # complexity 0.75; 6 citations / 2 interactions = 3, 3 / (3 + 2) = 0.6; 3 passages / 2 texts = 1.5,
    # 1.5 / (1.5 + 5) = 0.230769; 0.4 * 0.75 + 0.3 * 0.6 + 0.3 * 0.230769 = 0.549231
    assert depth_of(state) == 0.5492


def test_without_complexity_depth_is_the_mean_of_the_other_parts() -> None:
    # 4 / 2 = 2, 2 / (2 + 2) = 0.5; 1 / (1 + 5) = 0.166667; the mean of both
    assert depth_of(counts_of(2, {"p": 4}, {"gita": 4})) == 0.3333


def test_depth_without_citations_is_that_of_the_questions_alone() -> None:
    assert depth_of(counts_of(1, {}, {}, 1_000_000)) == 0.4
    assert depth_of(counts_of(1, {}, {})) == 0.0


def test_depth_of_no_interactions_is_unknown() -> None:
    assert depth_of(counts_of(0, {"p": 4}, {"gita": 4})) is None


def test_a_month_lies_in_the_shard_of_its_person_and_ends_with_its_interactions() -> None:
    assert AGGREGATE.owner_of("202508|ana") == "ana"
    assert AGGREGATE.first_day("202508|ana") == "2025-08-01"
    assert AGGREGATE.source == USER_INTERACTIONS


@given(
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo"]),
)
def test_an_hour_is_that_of_the_person_s_clock(moment: datetime, zone: str) -> None:
    fact = replace(interaction("2025-08-05T14:00:00"), at=to_millis(moment))
    month = contributions(AGGREGATE, [fact]).partial("person_month", month_key(fact.month, fact.user_id))
    (day,) = month.parts().values()
    assert local_hours(day, fact.day, zone) == {moment.astimezone(ZoneInfo(zone)).hour: 1}


@pytest.mark.parametrize("zone", [None, "Europe/Nowhere", "posixrules/..", "America"])
def test_an_unknown_zone_is_utc(zone: str | None) -> None:
    (day,) = month_of(interaction("2025-08-05T14:40:00")).parts().values()
    assert local_hours(day, Day("2025-08-05"), zone) == {14: 1}


def test_the_sessions_own_depth_goes_before_the_score() -> None:
    session = SessionFact(user_id="ana", at=AT, session_id="u", depth=to_micro(0.76))
    facts = interaction("2025-08-05T14:00:00"), session, replace(session, session_id="v", depth=None)
    assert depth_of(merged(month_of(*facts).parts().values())) == 0.76
    assert depth_of(merged(month_of(session).parts().values())) is None
