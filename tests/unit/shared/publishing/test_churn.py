"""The share of people who churn on a day is written by the count of people, and published by the feed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.aggregates.churn import LEFT, PRESENT
from shared.aggregates.tally import Tally
from shared.facts import USERS
from shared.ledger.retention import DEFAULT_RETENTION
from shared.publishing.churn import ChurnWriter
from shared.publishing.tiers import TierPublisher, TierReport
from shared.units import Day, Millis, to_millis
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.world import World, interaction

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

SEPTEMBER_11 = Day("2025-09-11")


async def writer_of(world: World) -> ChurnWriter:
    readiness = await world.readiness()
    return ChurnWriter(
        state=world.state, readiness=readiness, settings=world.settings, retention=DEFAULT_RETENTION
    )


def tally(present: int, left: int) -> Tally:
    counts = Tally()
    counts.add(PRESENT, present)
    counts.add(LEFT, left)
    return counts


def stored(world: World) -> dict[str, Any]:
    return {
        item["key"]: item["state"].get("sums", {})
        for item in world.state.items.values()
        if item.get("aggregate") == "churn"
    }


def rates(world: World) -> dict[str, float | None]:
    return {
        day["date"]: day["business_metrics"]["churn_rate"]
        for day in world.documents("daily_metrics").values()
    }


async def counted() -> World:
    world = World()
    await world.ingest(
        interaction(1, "2025-08-12T10:00:00Z", "ann"),
        interaction(2, "2025-09-11T10:00:00Z", "bob"),
        interaction(3, "2025-08-20T10:00:00Z", "bob"),
        interaction(4, "2025-08-12T11:00:00Z", "cid"),
        interaction(5, "2025-09-11T11:00:00Z", "cid"),
    )
    return world


async def publish_everything(world: World) -> None:
    scheduled, publisher = await world.scheduled(), await world.publisher()
    await scheduled.publish_everything()
    await world.publish(publisher)


async def test_a_day_shows_the_share_of_people_who_churn_on_it() -> None:
    world = await counted()
    await world.publish()
    assert set(rates(world).values()) == {None}
    await publish_everything(world)
    assert rates(world) == {"2025-08-12": None, "2025-08-20": 0.0, "2025-09-11": 0.3333}


async def test_those_who_refuse_count() -> None:
    world = await counted()
    refusal = {"id": "u", "user_id": "ann", "privacy_settings": {"analytics_consent": False}}
    await world.ingest(refusal, source=USERS)
    await publish_everything(world)
    assert rates(world)["2025-09-11"] == 0.3333


async def test_a_person_who_returns_late_is_taken_back() -> None:
    world = await counted()
    await publish_everything(world)
    await world.ingest(interaction(6, "2025-09-10T10:00:00Z", "ann"))
    world.now += timedelta(hours=1)
    await publish_everything(world)
    assert rates(world)["2025-09-11"] == 0.0


async def test_days_before_anybody_came_are_emptied_if_those_who_came_first_leave() -> None:
    world = await counted()
    await publish_everything(world)
    assert rates(world)["2025-08-20"] == 0.0
    await world.ingest(  # the interactions of the first day turn out to be of a later one
        interaction(1, "2025-09-11T10:00:00Z", "ann"), interaction(4, "2025-09-11T11:00:00Z", "cid")
    )
    world.now += timedelta(hours=1)
    await publish_everything(world)
    assert rates(world) == {"2025-08-20": None, "2025-09-11": 0.0}


async def test_every_day_is_emptied_if_nobody_came_before_today() -> None:
    world = await counted()
    await publish_everything(world)
    today = f"{world.now:%Y-%m-%d}T00:00:00Z"
    await world.ingest(
        *(
            interaction(n, today, who)
            for n, who in ((1, "ann"), (2, "bob"), (3, "bob"), (4, "cid"), (5, "cid"))
        )
    )
    world.now += timedelta(hours=1)
    await publish_everything(world)
    assert set(rates(world).values()) == {None}


async def test_a_count_that_time_alone_asks_for_is_followed_by_no_further_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, counts = await counted(), list[int]()
    await publish_everything(world)
    count = TierPublisher.publish

    async def noted(self: TierPublisher, *args: Any, **options: Any) -> TierReport:
        report = await count(self, *args, **options)
        counts.append(report.churn)
        return report

    monkeypatch.setattr(TierPublisher, "publish", noted)
    world.now = datetime(2025, 10, 11, 13, 30, tzinfo=world.now.tzinfo)
    for _ in range(3):
        world.state._written = int(world.now.timestamp())
        await (await world.scheduled()).publish_due()
        world.now += timedelta(hours=1)
    assert len(counts) == 1
    assert counts[0] > 0


async def test_a_count_of_a_later_moment_stays() -> None:
    world = World()
    writer, moment = await writer_of(world), to_millis(world.now)
    assert await writer.write({SEPTEMBER_11: tally(4, 2)}, moment) == 1
    assert await writer.write({SEPTEMBER_11: tally(9, 9)}, Millis(moment - 1)) == 0
    assert await writer.write({SEPTEMBER_11: tally(4, 2)}, Millis(moment + 1)) == 0
    assert stored(world) == {SEPTEMBER_11: {"present": 4, "left": 2}}
    assert await writer.write({SEPTEMBER_11: tally(0, 0)}, Millis(moment + 2)) == 1
    assert stored(world) == {SEPTEMBER_11: {}}


async def test_of_counts_at_once_the_latest_stays() -> None:
    world = World()
    writers = [await writer_of(world) for _ in range(4)]
    days = [Day(f"2025-09-{number:02d}") for number in range(1, 12)]
    moment = to_millis(world.now)
    await asyncio.gather(
        *(
            writer.write(dict.fromkeys(days, tally(10, number)), Millis(moment + number))
            for number, writer in enumerate(writers, 1)
        )
    )
    assert stored(world) == {day: {"present": 10, "left": 4} for day in days}


async def test_a_day_whose_thirty_days_before_have_ended_keeps_its_count() -> None:
    world = World()
    writer = await writer_of(world)
    await writer.write({SEPTEMBER_11: tally(4, 2)}, to_millis(world.now))
    world.now = datetime(2026, 10, 5, tzinfo=world.now.tzinfo)  # August of the year before is closed
    assert await writer.write({SEPTEMBER_11: tally(1, 1)}, to_millis(world.now)) == 0
    assert stored(world) == {SEPTEMBER_11: {"present": 4, "left": 2}}
