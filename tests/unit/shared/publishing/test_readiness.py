"""Readiness: which documents may be written, and what a rebuild records about views."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import GenerationIncompleteError
from shared.ledger.generations import MARGIN_DAYS, Generations
from shared.ledger.retention import CLOSED_DAYS, DEFAULT_RETENTION
from shared.publishing import readiness
from shared.publishing.plan import DocumentKey
from shared.publishing.readiness import REMEMBERED_SECONDS, ViewReadiness
from shared.settings import Settings
from shared.units import Month, month_bounds, to_millis
from shared.views import VIEWS
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.unit.shared.world import World as Fleet
from tests.unit.shared.world import interaction

DAY = DocumentKey("daily_metrics", "2025-08-05")
MONTH = DocumentKey("user_analytics", "202508|ann")


class World:
    def __init__(self) -> None:
        self.fleet_state = FakeContainer("scope")
        self.now = 0.0
        self.margin_days = MARGIN_DAYS
        self.began = datetime(2025, 8, 20, 18, tzinfo=UTC)

    def generations(self, generation: int = 1) -> Generations:
        settings = Settings(FLEET_GENERATION=generation, FLEET_STATE_MARGIN_DAYS=self.margin_days)
        clock = FakeClock(lambda: self.began)
        return Generations(self.fleet_state, settings, clock=clock)  # type: ignore[arg-type]

    async def readiness(self, generation: int = 1) -> ViewReadiness:
        generations = self.generations(generation)
        await generations.begin()
        return ViewReadiness(
            self.fleet_state,  # type: ignore[arg-type]
            Settings(FLEET_GENERATION=generation),
            generations=generations,
            clock=FakeClock(lambda: self.now),
        )


async def test_the_first_release_is_ready_with_all_its_views() -> None:
    readiness = await World().readiness()
    assert await readiness.ready() == VIEWS.keys()
    assert await readiness.held_back([DAY, MONTH]) == frozenset()
    await readiness.require_complete()


@pytest.mark.parametrize(
    ("document", "first"),
    [
        (DAY, "202508"),
        (MONTH, "202508"),
        (DocumentKey("user_analytics_weekly", "2025W40|ann"), "202509"),
        (DocumentKey("user_analytics_quarterly", "2025Q3|ann"), "202507"),
        (DocumentKey("content_popularity_weekly", "2025W37"), "202509"),
        (DocumentKey("content_analytics", "202509"), "202508"),
        (DocumentKey("incidents_by_content", "202509|gita"), "202508"),
    ],
)
async def test_a_document_is_held_back_from_when_its_first_state_is_closed(
    document: DocumentKey, first: str
) -> None:
    world = World()
    world.began = datetime(2000, 1, 1, tzinfo=UTC)
    readiness = await world.readiness()
    source = "abuse_incidents" if document.view == "incidents_by_content" else "user_interactions"

    async def is_held(now: datetime) -> bool:
        world.now = now.timestamp()
        assert DEFAULT_RETENTION.is_closed(source, Month(first), to_millis(now)) == (now >= closed)
        return document in await readiness.held_back([document])

    days = 3 * 365 if document.view == "incidents_by_content" else 365
    closed = month_bounds(Month(first))[1] + timedelta(days=days + MARGIN_DAYS - CLOSED_DAYS)
    assert not await is_held(closed - timedelta(seconds=1))
    assert await is_held(closed)


async def test_figures_of_what_is_left_do_not_replace_those_of_the_whole_period() -> None:
    world = Fleet()
    july, *others = [interaction(n, f"2025-0{n}-12T10:00:00Z") for n in (7, 8, 9)]
    await world.ingest(july, *others)
    await (await world.scheduled()).publish_due(everything=True)
    before = world.documents("user_analytics")["user_analytics_ann_2025Q3"]
    for key in [key for key in world.state.items if "202507|" in key[1] or "2025-07" in key[1]]:
        del world.state.items[key]
    world.now = datetime(2026, 9, 10, tzinfo=UTC)
    await world.ingest(interaction(9, "2025-09-12T10:00:00Z", user_rating=1))
    await world.publish()
    await (await world.scheduled()).publish_due(everything=True)
    assert world.documents("user_analytics")["user_analytics_ann_2025Q3"] == before
    assert before["interaction_metrics"]["total_interactions"] == 3
    assert world.documents("poison_messages") == {}


async def test_a_view_of_a_later_release_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with monkeypatch.context() as earlier:
        known = {name: view for name, view in VIEWS.items() if name != "daily_metrics"}
        earlier.setattr(readiness, "VIEWS", known)
        await (await world.readiness()).ready()
    assert await (await world.readiness()).held_back([DAY, MONTH]) == {DAY}


async def test_an_incomplete_generation_holds_everything_back() -> None:
    world = World()
    await world.readiness()
    readiness = await world.readiness(generation=2)
    assert await readiness.held_back([DAY, MONTH]) == {DAY, MONTH}
    with pytest.raises(GenerationIncompleteError):
        await readiness.require_complete()
    await world.generations(2).complete()
    assert await readiness.held_back([DAY, MONTH]) == frozenset()


async def test_a_rebuild_holds_a_view_back_until_it_counted_and_marks_it_until_it_is_published() -> None:
    readiness = await World().readiness()
    await readiness.hold_back(["daily_metrics"])
    assert await readiness.held_back([DAY, MONTH]) == {DAY}
    await readiness.mark_counted(["daily_metrics"])
    assert await readiness.held_back([DAY]) == frozenset()
    assert await readiness.unpublished() == {"daily_metrics"}
    await readiness.mark_published(["daily_metrics"])
    assert await readiness.unpublished() == frozenset()
    assert "daily_metrics" in await readiness.ready()


async def test_another_instance_notices_within_the_time_that_answers_are_remembered() -> None:
    world = World()
    one, other = await world.readiness(), await world.readiness()
    await other.ready()
    await one.hold_back(["daily_metrics"])
    world.now += REMEMBERED_SECONDS
    assert "daily_metrics" in await other.ready()
    world.now += 0.1
    assert "daily_metrics" not in await other.ready()


async def test_a_period_that_the_sources_no_longer_held_whole_is_held_back_for_good() -> None:
    world = World()
    readiness = await world.readiness()
    earlier = [DocumentKey("daily_metrics", "2025-05-23"), DocumentKey("user_analytics", "202505|ann")]
    later = [DocumentKey("daily_metrics", "2025-05-24"), DocumentKey("user_analytics", "202506|ann")]
    assert await readiness.held_back([*earlier, *later]) == set(earlier)
    await readiness.mark_counted(VIEWS)  # a rebuild reads the same ledger
    assert await readiness.held_back([*earlier, *later]) == set(earlier)


async def test_a_count_that_took_long_moves_the_first_whole_period() -> None:
    world = World()
    await world.readiness()
    readiness = await world.readiness(generation=2)
    world.began += timedelta(days=3)
    await world.generations(2).complete()
    assert await readiness.held_back([DocumentKey("daily_metrics", "2025-05-26"), DAY]) == {
        DocumentKey("daily_metrics", "2025-05-26")
    }


async def test_history_that_was_imported_is_published_as_far_back_as_the_margin_says() -> None:
    world = World()
    world.margin_days += 60
    readiness = await world.readiness()
    edge = [DocumentKey("daily_metrics", "2025-03-24"), DocumentKey("daily_metrics", "2025-03-25")]
    assert await readiness.held_back(edge) == {edge[0]}


async def test_a_malformed_key_is_left_to_the_publisher_which_names_it() -> None:
    readiness = await World().readiness()
    assert await readiness.held_back([DocumentKey("user_analytics", "nonsense")]) == frozenset()
