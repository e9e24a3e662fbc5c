"""When contents are built, and that what shows them follows, whatever is missed or interrupted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from shared.builds.builder import ContentBuilder, Outcome
from shared.ledger.reader import Selected, Selection, StateReader
from shared.privacy.classes import MIN_PEOPLE
from shared.publishing.content_builds import Work
from shared.units import Day, Month, day_after
from tests.fakes import Killed
from tests.unit.shared.world import World, interaction

TODAY, YESTERDAY, OLDER = "2025-09-15", "2025-09-14", "2025-08-20"


def at(world: World, now: datetime) -> None:
    """Set the time, of the fleet and of what is written to its state."""
    world.now = now
    world.state.write_from(int(now.timestamp()))


def counted(world: World, label: str) -> Any:
    """Return the interactions that a popularity document shows, None without one."""
    kind = "weekly" if "W" in label else "daily"
    shown = world.documents("content_popularity").get(f"content_popularity_{kind}_{label}")
    return None if shown is None else shown["data_points"]


async def test_the_older_a_period_the_later_a_change_of_it_shows() -> None:
    world = World()
    scheduled = await world.scheduled()
    days = {day: day.replace("-", "") for day in (TODAY, YESTERDAY, OLDER)}
    seen: dict[str, list[Any]] = {label: [] for label in (*days.values(), "2025W37", "2025W34")}
    citations = []
    for hour in range(26):
        at(world, datetime(2025, 9, 15, tzinfo=UTC) + timedelta(hours=hour))
        number = 10 * hour
        await world.ingest(
            *(interaction(number + n, f"{day}T00:00:00Z") for n, day in enumerate(days)),
        )
        await scheduled.publish_due()
        for label, counts in seen.items():
            counts.append(counted(world, label))
        month = world.documents("content_analytics")["content_analytics_gita_202508"]
        citations.append(month["usage_metrics"]["total_citations"])
    hours = list(range(1, 27))
    daily = [1] * 24 + [25, 25]
    assert seen["20250915"] == [*hours[:24], 25, 25]  # then it is the day before, and waits for six o'clock
    assert seen["20250914"] == [1] * 6 + [7] * 6 + [13] * 6 + [19] * 6 + [25, 25]
    assert seen["20250820"] == seen["2025W34"] == citations == daily
    assert seen["2025W37"] == daily


async def test_a_change_whose_hint_was_missed_shows_within_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, f"{OLDER}T10:00:00Z"))
    await scheduled.publish_due()

    async def nothing(self: StateReader, generation: int, selection: Selection) -> AsyncIterator[Selected]:
        for row in ():
            yield row

    monkeypatch.setattr(StateReader, "selected", nothing)
    await world.ingest(interaction(2, f"{OLDER}T11:00:00Z"), interaction(3, "2025-07-01T11:00:00Z"))
    world.now += timedelta(hours=1)
    await scheduled.publish_due()
    assert (counted(world, "20250820"), counted(world, "20250701")) == (1, None)
    world.now += timedelta(days=1)
    await scheduled.publish_due()
    assert (counted(world, "20250820"), counted(world, "20250701")) == (2, 1)


async def test_a_period_that_is_over_is_shown_as_of_its_end_without_any_change() -> None:
    world = World()
    scheduled = await world.scheduled()
    before = (YESTERDAY, "2025-09-08", OLDER)
    for number, each in enumerate((TODAY, *before)):
        await world.ingest(interaction(number, f"{each}T10:00:00Z"))
    await scheduled.publish_due()
    day, week = "content_popularity_daily_20250915", "content_popularity_weekly_2025W38"
    text = "content_analytics_gita_202509"
    shown = {name: world.documents("content_popularity")[name]["state"]["tick"] for name in (day, week)}
    assert shown == {day: "2025-09-15T14", week: "2025-09-15T14"}
    assert world.documents("content_analytics")[text]["state"]["tick"] == "2025-09-15T14"
    for days in (1, 8, 20):
        world.now = datetime(2025, 9, 15, 0, 2, tzinfo=UTC) + timedelta(days=days)
        await scheduled.publish_due()
    documents = world.documents("content_popularity")
    assert documents[day]["state"]["tick"] == "2025-09-16T00"
    assert documents[week]["state"]["tick"] == "2025-09-22T00"
    analytics = world.documents("content_analytics")[text]
    assert analytics["state"]["tick"] == "2025-10-01T00"
    assert documents[day]["top_foundational_texts"][0]["trending_score"] == 0.5


async def test_after_an_outage_the_periods_that_ended_meanwhile_are_shown_as_of_their_end() -> None:
    world = World()
    scheduled = await world.scheduled()
    for number, day in enumerate((TODAY, YESTERDAY)):
        await world.ingest(interaction(number, f"{day}T10:00:00Z"))
    await scheduled.publish_due()
    world.now += timedelta(days=17)
    await scheduled.publish_due()
    documents = world.documents("content_popularity")
    assert documents["content_popularity_weekly_2025W38"]["state"]["tick"] == "2025-09-22T00"
    assert documents["content_popularity_daily_20250915"]["state"]["tick"] == "2025-09-16T00"


@pytest.mark.parametrize("hour", [1, 6, 12, 23])
async def test_at_an_unchanged_rate_nothing_rises_or_falls(hour: int) -> None:
    """Six citations in every hour of yesterday, and of today so far."""
    world = World(now=datetime(2025, 9, 15, hour, tzinfo=UTC))
    number = count()
    for day, hours in ((YESTERDAY, 24), (TODAY, hour)):
        for each in range(hours):
            await world.ingest(
                *(interaction(next(number), f"{day}T{each:02d}:{n}0:00Z", f"p{n}") for n in range(6))
            )
    await (await world.scheduled()).publish_due()
    shown = world.documents("content_popularity")["content_popularity_daily_20250915"]
    assert shown["top_foundational_texts"][0]["trending_score"] == 0.5
    assert shown["trending_topics"][0]["growth_rate"] == 0.0


@pytest.mark.parametrize("people", [MIN_PEOPLE - 1, MIN_PEOPLE])
async def test_a_topic_is_shown_if_enough_people_share_it_however_often_they_ask(people: int) -> None:
    world, number = World(), count()
    for day in ("2025-08-04", "2025-08-05"):
        for name in range(people):
            for _ in range(3):
                await world.ingest(interaction(next(number), f"{day}T09:00:00Z", f"p{name}"))
    await (await world.scheduled()).publish_due()
    week = world.documents("content_popularity")["content_popularity_weekly_2025W32"]
    text = world.documents("content_analytics")["content_analytics_gita_202508"]["topic_analytics"]
    shown = (
        [topic["topic"] for topic in week["trending_topics"]],
        week["trending_content"][0]["topic"],
        [topic["topic"] for topic in text["primary_topics"]],
        text["trending_topics"],
    )
    assert shown == ((["duty"], "duty", ["duty"], ["duty"]) if people >= MIN_PEOPLE else ([], None, [], []))


async def test_people_of_different_days_and_parts_are_counted_together() -> None:
    world = World()
    for name in range(MIN_PEOPLE):
        await world.ingest(interaction(name, f"2025-08-{4 + name:02d}T09:00:00Z", f"p{name}"))
    await (await world.scheduled()).publish_due()
    documents = world.documents("content_popularity")
    topics = documents["content_popularity_weekly_2025W32"]["trending_topics"]
    assert [topic["topic"] for topic in topics] == ["duty"]
    assert documents["content_popularity_daily_20250804"]["trending_topics"] == []


async def test_weekly_readers_are_people() -> None:
    case = [
        ("u0", "2025-08-04T09:00:00Z"), ("u1", "2025-08-05T09:00:00Z"), ("u2", "2025-08-06T09:00:00Z")
    ]  # fmt: skip
    world = World()
    await world.ingest(*(interaction(0, moment, "person-1", id=name) for name, moment in case))
    await (await world.scheduled()).publish_due()
    week = world.documents("content_popularity")["content_popularity_weekly_2025W32"]
    assert week["top_foundational_texts"][0]["unique_users"] == 1
    month = world.documents("content_analytics")["content_analytics_gita_202508"]["usage_metrics"]
    assert (month["unique_users_accessed"], month["return_access_rate"]) == (1, 1.0)


async def test_the_share_of_passages_is_null_until_the_day_is_built_and_follows_the_build() -> None:
    world = World()
    publisher, scheduled = await world.publisher(), await world.scheduled()

    def shares() -> tuple[Any, Any]:
        shown = world.documents("daily_metrics")["daily_metrics_20250915"]["content_performance"]
        return shown["total_citations"], shown["content_discovery_rate"]

    await world.ingest(interaction(1, f"{TODAY}T10:00:00Z"))
    await world.publish(publisher)
    assert shares() == (1, None)
    await scheduled.publish_due()
    assert shares() == (1, 1.0)
    await world.ingest(interaction(2, f"{TODAY}T10:00:00Z"))
    await world.publish(publisher)
    assert shares() == (2, 1.0)
    world.now += timedelta(hours=1)
    await scheduled.publish_due()
    assert shares() == (2, 0.5)


async def test_a_run_that_is_interrupted_continues_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for n in range(6):
        await world.ingest(interaction(n, f"{day_after(Day(OLDER), n)}T10:00:00Z"))
    at(world, world.now + timedelta(hours=1))
    built: list[Day] = []
    build_day = ContentBuilder.build_day

    async def dies(self: ContentBuilder, day: Day) -> Outcome:
        if len(built) == 3:
            built.append(day)
            raise Killed
        built.append(day)
        return await build_day(self, day)

    monkeypatch.setattr(ContentBuilder, "build_day", dies)
    with pytest.raises(Killed):
        await (await world.scheduled()).publish_due()
    at(world, world.now + timedelta(hours=1))
    await (await world.scheduled()).publish_due()
    assert set(built[4:]).isdisjoint(set(built[:3]) - {Day(TODAY)})
    assert [counted(world, f"202508{20 + n}") for n in range(6)] == [1] * 6
    month = world.documents("content_analytics")["content_analytics_gita_202508"]
    assert month["usage_metrics"]["total_citations"] == 6


async def test_a_run_ends_in_time_and_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    days = [day_after(Day(OLDER), n) for n in range(5)]
    for n, day in enumerate(days):
        await world.ingest(interaction(n, f"{day}T10:00:00Z"))
    build_day = ContentBuilder.build_day

    async def slow(self: ContentBuilder, day: Day) -> Outcome:
        at(world, world.now + timedelta(seconds=15))
        return await build_day(self, day)

    monkeypatch.setattr(ContentBuilder, "build_day", slow)
    shown = []
    for _ in range(4):
        await (await world.scheduled()).publish_due()
        shown.append(sum(counted(world, day.replace("-", "")) is not None for day in days))
        at(world, world.now + timedelta(minutes=1))
    assert shown[0] < 5
    assert shown == sorted(shown)
    assert shown[-1] == 5
    month = world.documents("content_analytics")["content_analytics_gita_202508"]
    assert month["usage_metrics"]["total_citations"] == 5


async def test_a_day_that_cannot_be_built_waits_and_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.ingest(interaction(1, f"{OLDER}T10:00:00Z"), interaction(2, f"{TODAY}T10:00:00Z"))
    build_day, lags = ContentBuilder.build_day, [True]

    async def late(self: ContentBuilder, day: Day) -> Outcome:
        return Outcome.LATER if lags and day == OLDER else await build_day(self, day)

    monkeypatch.setattr(ContentBuilder, "build_day", late)
    scheduled = await world.scheduled()
    report = await scheduled.publish_due()
    assert (report.waiting, counted(world, "20250820"), counted(world, "20250915")) == (1, None, 1)
    lags.clear()
    world.now += timedelta(days=1)
    assert (await scheduled.publish_due()).waiting == 0
    assert counted(world, "20250820") == 1


async def test_two_instances_at_once_do_no_harm() -> None:
    world = World()
    await world.ingest(*(interaction(n, f"{day_after(Day(OLDER), n)}T10:00:00Z") for n in range(5)))
    one, two = await world.scheduled(), await world.scheduled()
    await asyncio.gather(one.publish_due(), two.publish_due())
    assert [counted(world, f"202508{20 + n}") for n in range(5)] == [1] * 5
    assert not world.containers["poison_messages"].items


async def test_what_has_begun_to_expire_is_neither_built_nor_published() -> None:
    world = World(now=datetime(2025, 9, 15, 14, tzinfo=UTC))
    for number, day in enumerate(("2025-08-31", "2025-09-01")):
        await world.ingest(interaction(number, f"{day}T10:00:00Z"))
    await (await world.scheduled()).publish_due()
    containers = ("content_popularity", "content_analytics", "daily_metrics")
    before = {name: world.documents(name) for name in containers}
    for key, item in list(world.state.items.items()):  # what the service deletes first
        if item["id"].startswith(("partial|day|2025-08", "content|202508")):
            del world.state.items[key]
    at(world, datetime(2026, 10, 4, 14, tzinfo=UTC))  # August ends at midnight, September in a month
    report = await (await world.scheduled()).publish_due(everything=True)
    assert (report.waiting, report.poisoned) == (0, 0)
    assert {name: world.documents(name) for name in containers} == before


def test_the_list_of_work_is_stored_as_it_is() -> None:
    now, months = datetime(2025, 9, 15, 14, tzinfo=UTC), [Month("202509"), Month("202510")]
    work = Work().listing([Day(OLDER)], now, months, everything=False)
    assert Work.decode(json.loads(json.dumps(work.encode()))) == work
    assert Day(OLDER) in work.days
    assert work.compared == set(months)
    assert work.daily
