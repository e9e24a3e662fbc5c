"""Engagement tiers as they are published, month by month, and as each person's own document shows them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.aggregates.engagement_tiers import CHURNED, NEW, TIERS
from shared.privacy.classes import MIN_PEOPLE
from shared.units import Day, day_after
from shared.views import engagement_summary
from tests.unit.shared.delivery import Document
from tests.unit.shared.world import World, interaction

FIRST = Day("2025-06-20")
NOW = datetime(2025, 9, 15, 14, 47, tzinfo=UTC)


async def publish(world: World) -> None:
    """Publish everything as of one moment, a minute later than before."""
    world.now += timedelta(minutes=1)
    await world.publish()
    await (await world.scheduled()).publish_due(everything=True)


def users(world: World, month: str) -> dict[str, int]:
    """Return the people of each tier that has any in a month."""
    counts = {tier: summary(world, tier, month)["user_count"] for tier in TIERS}
    return {tier: count for tier, count in counts.items() if count}


def summary(world: World, tier: str, month: str) -> Document:
    return world.documents("engagement_summary")[f"engagement_summary_{tier}_{month}"]


def months(world: World) -> set[str]:
    return {name[-6:] for name in world.documents("engagement_summary")}


async def test_a_person_is_new_then_casual_then_churned_until_they_return() -> None:
    world = World(now=NOW)
    await world.ingest(
        interaction(1, "2025-05-20T10:00:00Z"),
        interaction(2, "2025-06-20T10:00:00Z"),
        interaction(3, "2025-08-30T10:00:00Z", "bob"),  # so that August has documents
    )
    await publish(world)
    assert months(world) == {"202505", "202506", "202507", "202508", "202509"}
    assert [users(world, f"20250{month}") for month in range(5, 10)] == [
        {"new": 1},
        {"casual": 1},
        {CHURNED: 1},
        {CHURNED: 1, "new": 1},
        {CHURNED: 1},  # bob is neither here this month nor away for thirty days
    ]
    await world.ingest(interaction(4, "2025-09-14T10:00:00Z"))
    await publish(world)
    assert users(world, "202508") == {CHURNED: 1, "new": 1}
    assert users(world, "202509") == {"casual": 1}


async def test_a_month_that_everybody_was_moved_out_of_is_published_with_nobody() -> None:
    world = World(now=NOW)
    await world.ingest(interaction(1, "2025-06-20T10:00:00Z"), interaction(2, "2025-08-20T10:00:00Z", "bob"))
    await publish(world)
    assert users(world, "202506") == {"new": 1}
    assert summary(world, CHURNED, "202508")["user_count"] == 1
    await world.ingest(interaction(1, "2025-08-21T10:00:00Z"))
    await publish(world)
    assert (users(world, "202506"), users(world, "202507")) == ({}, {})
    assert users(world, "202508") == {"new": 2}
    for tier in TIERS:
        assert summary(world, tier, "202506")["percentage_of_total"] is None


async def test_a_month_that_has_not_begun_loses_its_documents_with_its_people() -> None:
    world = World(now=NOW)
    await world.ingest(interaction(1, "2025-10-01T00:10:00Z"))  # a clock that runs ahead
    await world.ingest(interaction(2, "2025-08-01T00:10:00Z", "bob"))
    await publish(world)
    assert users(world, "202510") == {"new": 1, CHURNED: 1}
    await world.ingest(interaction(1, "2025-09-14T10:00:00Z"))
    await publish(world)
    assert months(world) == {"202508", "202509"}


async def test_sessions_alone_make_nobody_active() -> None:
    world = World(now=NOW)
    session = {"id": "s", "session_id": "s", "user_id": "ann", "start_time": "2025-09-01T10:00:00Z"}
    await world.ingest(session, source="user_sessions")
    await publish(world)
    assert not any(users(world, month) for month in months(world))


async def test_churned_people_show_the_month_in_which_they_were_here_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engagement_summary, "MIN_PEOPLE", 1)
    world = World(now=NOW)
    for number in range(3):
        await world.ingest(interaction(number, f"2025-07-{number + 1:02d}T10:00:00Z", user_rating=2))
    await world.ingest(interaction(9, "2025-08-30T10:00:00Z", "bob"))
    await publish(world)
    churned = summary(world, CHURNED, "202509")
    assert churned["avg_metrics"]["satisfaction_rating"] == 2
    assert churned["avg_metrics"]["sessions_per_month"] == 3
    assert churned["business_value"]["churn_risk"] > 0.5


@pytest.mark.parametrize("people", [MIN_PEOPLE - 1, MIN_PEOPLE])
async def test_names_are_shown_that_are_the_favourites_of_enough_people(people: int) -> None:
    world = World(now=NOW)
    for number in range(people):
        await world.ingest(interaction(number, "2025-08-30T10:00:00Z", f"person {number}"))
    await publish(world)
    patterns = summary(world, NEW, "202508")["common_patterns"]
    assert patterns["content_preferences"] == (["duty"] if people >= MIN_PEOPLE else [])
    assert patterns["preferred_personalities"] == (["krishna"] if people >= MIN_PEOPLE else [])


@pytest.mark.parametrize("people", [1, MIN_PEOPLE - 1, MIN_PEOPLE])
async def test_of_few_people_a_tier_shows_nothing_but_how_many_they_are(people: int) -> None:
    world = World(now=NOW)
    for number in range(people):
        for month in ("07", "08"):
            at = f"2025-{month}-20T10:{number:02d}:00Z"
            await world.ingest(interaction(number + 100 * int(month), at, f"person {number}", user_rating=4))
    await publish(world)
    document = summary(world, "casual", "202508")
    earlier = summary(world, NEW, "202507")
    assert (document["user_count"], document["sample_size"], earlier["user_count"]) == (people,) * 3
    assert document["percentage_of_total"] == 1.0
    measured = [*document["avg_metrics"].values(), document["business_value"]["churn_risk"]]
    patterns = [names for names in document["common_patterns"].values() if names]
    if people < MIN_PEOPLE:
        assert set(measured) == {None}
        assert patterns == []
    else:
        assert document["avg_metrics"]["satisfaction_rating"] == 4
        assert None not in measured[:2]
        assert len(patterns) == 3
    for field in ("retention_trend", "engagement_trend", "satisfaction_trend"):
        assert document["trend_analysis"][field] is None  # nobody was casual the month before


@pytest.mark.parametrize("before", [MIN_PEOPLE - 1, MIN_PEOPLE])
async def test_a_tier_is_not_compared_with_one_of_few_people(before: int) -> None:
    world = World(now=NOW)
    for number in range(MIN_PEOPLE + 1):
        months = ["05", "06", "07"] if number < before else ["05", "07"]
        for month in months:
            at = f"2025-{month}-25T10:{number:02d}:00Z"
            await world.ingest(interaction(number + 100 * int(month), at, f"person {number}"))
    await publish(world)
    trend = summary(world, "casual", "202507")["trend_analysis"]["satisfaction_trend"]
    assert trend == ("stable" if before >= MIN_PEOPLE else None)


PEOPLE = ("ann", "bob", "cid", "dan")
activity = st.dictionaries(
    st.sampled_from(PEOPLE),
    st.dictionaries(st.integers(0, 87).map(lambda n: day_after(FIRST, n)), st.integers(1, 3), min_size=1),
    min_size=1,
)


@settings(
    max_examples=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(activity=activity)
def test_a_person_s_tier_and_churn_risk_are_those_that_the_summary_counts(
    activity: dict[str, dict[Day, int]],
) -> None:
    with patch.object(engagement_summary, "MIN_PEOPLE", 1):
        asyncio.run(_compare(activity))


async def _compare(activity: dict[str, dict[Day, int]]) -> None:
    world = World(now=NOW)
    documents = [
        (user_id, f"{day}T{10 + n:02d}:00:00Z")
        for user_id, days in activity.items()
        for day, interactions in days.items()
        for n in range(interactions)
    ]
    await world.ingest(
        *(interaction(n, timestamp, user_id) for n, (user_id, timestamp) in enumerate(documents))
    )
    await publish(world)
    risks: dict[tuple[str, str], list[float]] = defaultdict(list)
    for document in _all(world, "user_analytics"):
        if document["analysis_period"] == "monthly":
            key = document["id"][-6:], document["user_profile"]["user_tier"]
            risks[key].append(document["predictions"]["churn_risk_score"])
    for document in _all(world, "engagement_summary"):
        tier, month = document["engagement_tier"], document["id"][-6:]
        own, away = risks[month, tier], _away(activity, month) if tier == CHURNED else 0
        assert document["user_count"] == len(own) + away, document["id"]
        if own and not away:
            mean = sum(own) / len(own)
            assert document["business_value"]["churn_risk"] == pytest.approx(mean, abs=2e-4), document["id"]


def _away(activity: dict[str, dict[Day, int]], month: str) -> int:
    """Return how many people are churned in a month in which they have no document of their own."""
    end = min(f"{month[:4]}-{month[4:]}-31", f"{NOW:%Y-%m-%d}")
    begin = f"{month[:4]}-{month[4:]}-01"
    last = [max((day for day in days if day <= end), default=None) for days in activity.values()]
    return sum(1 for day in last if day is not None and day < begin and _days(day, month) >= 30)


def _days(day: str, month: str) -> int:
    at = datetime.fromisoformat(f"{month[:4]}-{month[4:]}-01")
    end = (at.replace(month=at.month % 12 + 1) - at).days
    as_of = min(at.replace(day=end), NOW.replace(tzinfo=None, hour=0, minute=0))
    return (as_of - datetime.fromisoformat(day)).days


async def test_everybody_is_in_one_tier_of_a_month_at_most() -> None:
    world = World(now=NOW)
    visits = "ann 2025-06-25", "ann 2025-07-31", "bob 2025-08-01", "cid 2025-07-01", "cid 2025-08-31"
    for number, visit in enumerate(visits):
        user_id, _, day = visit.partition(" ")
        await world.ingest(interaction(number, f"{day}T10:00:00Z", user_id))
    await publish(world)
    assert {month: sum(users(world, month).values()) for month in months(world)} == {
        "202506": 1,
        "202507": 2,
        "202508": 3,  # ann was here 31 days before its end
        "202509": 2,
    }


def _all(world: World, container: str) -> list[Document]:
    return list(world.containers[container].items.values())
