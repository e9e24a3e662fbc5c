"""People are counted by tier in a walk over the shards, by several instances, and nobody twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.tally import Tally
from shared.aggregates.tier_counts import STORED_FAVOURITES, TierCounts
from shared.publishing import tiers
from shared.publishing.tiers import TierPublisher
from shared.units import Day, Month
from tests.fake_clock import FakeClock
from tests.unit.shared.world import World, interaction

PEOPLE = 12
SEPTEMBER = Month("202509")


@pytest.fixture
def few_at_once() -> Iterator[None]:
    """Let a query count three people, and a piece two."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiers, "PEOPLE_AT_ONCE", 3)
        patched.setattr(tiers, "PEOPLE_PER_PIECE", 2)
        yield


async def people(number: int = PEOPLE) -> World:
    world = World()
    await world.ingest(*(interaction(n, "2025-09-12T10:00:00Z", f"u{n}") for n in range(number)))
    return world


async def publisher_of(world: World) -> TierPublisher:
    return (await world.fleet()).scheduled._tiers


def new_users(world: World) -> int:
    return int(world.documents("engagement_summary")["engagement_summary_new_202509"]["user_count"])


def stored(world: World) -> list[str]:
    return [name for _, name in world.containers["fleet_state"].items if name.startswith("tiers-")]


async def test_a_small_fleet_is_counted_by_one_query_and_stores_nothing() -> None:
    world = await people()
    publisher = await publisher_of(world)
    world.state.requests.clear()
    report = await publisher.publish(world.now, set())
    assert (report.people, new_users(world)) == (PEOPLE, PEOPLE)
    # Of the people, of the stored days on which people churn, and the write of those that differ.
    assert world.state.requests == ["query", "query", "batch"]
    assert stored(world) == []


@pytest.mark.usefixtures("few_at_once")
async def test_in_pieces_the_same_is_published_and_the_next_time_nobody_counts_at_once() -> None:
    whole = await people()
    await (await publisher_of(whole)).publish(whole.now, {SEPTEMBER})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiers, "PEOPLE_AT_ONCE", 100)
        small = await people()
        await (await publisher_of(small)).publish(small.now, {SEPTEMBER})

    def contents(world: World) -> dict[str, str]:
        return {
            name: document["state"]["content"]
            for name, document in world.documents("engagement_summary").items()
        }

    assert contents(whole) == contents(small)
    assert stored(whole)
    whole.now += timedelta(hours=1)
    await whole.ingest(interaction(99, "2025-09-12T10:00:00Z", "somebody else"))
    report = await (await publisher_of(whole)).publish(whole.now, {SEPTEMBER})
    assert (report.people, new_users(whole)) == (PEOPLE + 1, PEOPLE + 1)


@pytest.mark.usefixtures("few_at_once")
async def test_two_instances_count_everybody_once() -> None:
    world = await people()
    publishers = [await publisher_of(world) for _ in range(3)]
    await asyncio.gather(*(each.publish(world.now, {SEPTEMBER}) for each in publishers))
    assert new_users(world) == PEOPLE


@pytest.mark.usefixtures("few_at_once")
@pytest.mark.parametrize("dies_at", range(1, 40, 3))
async def test_a_count_that_is_broken_off_anywhere_is_continued(dies_at: int) -> None:
    world, numbers = await people(), count(1)

    def fails(_operation: str, _when: str) -> None:
        if next(numbers) == dies_at:
            raise CosmosHttpResponseError(status_code=400, message="no")

    world.containers["fleet_state"].fault = fails
    asked = int(world.now.timestamp())
    with suppress(CosmosHttpResponseError):
        await (await publisher_of(world)).publish(world.now, {SEPTEMBER}, asked=asked)
    world.now += timedelta(minutes=5)
    await (await publisher_of(world)).publish(world.now, {SEPTEMBER}, asked=asked)
    assert new_users(world) == PEOPLE


@pytest.mark.usefixtures("few_at_once")
async def test_a_run_ends_when_its_time_is_up_and_later_ones_count_the_rest() -> None:
    world, seconds = await people(), count(0.0, 1.0)
    world.clock = FakeClock(lambda: world.now, lambda: next(seconds))
    publisher, counted, asked = await publisher_of(world), list[int](), int(world.now.timestamp())
    for _ in range(20):
        world.now += timedelta(minutes=5)
        report = await publisher.publish(
            world.now, {SEPTEMBER}, asked=asked, deadline=world.clock.monotonic() + 2
        )
        counted.append(report.people)
        if not report.unfinished:
            break
    assert max(counted) <= 4
    assert sum(counted) == new_users(world) == PEOPLE


@pytest.mark.usefixtures("few_at_once")
async def test_a_walk_from_before_a_change_is_not_taken_for_its_count() -> None:
    world, seconds = await people(), count(0.0, 1.0)
    world.clock = FakeClock(lambda: world.now, lambda: next(seconds))
    publisher = await publisher_of(world)
    begun = await publisher.publish(world.now, {SEPTEMBER}, deadline=world.clock.monotonic() + 4)
    assert begun.unfinished
    await world.ingest(*(interaction(n, "2025-09-12T11:00:00Z", f"v{n}") for n in range(5)))
    world.now += timedelta(hours=1)
    report = await publisher.publish(world.now, {SEPTEMBER})
    assert report.people == new_users(world) == PEOPLE + 5


def test_stored_counts_are_added_and_have_the_most_frequent_favourites() -> None:
    names = STORED_FAVOURITES + 10
    first, second = TierCounts(Day("2025-09-15")), TierCounts(Day("2025-09-15"))
    first.add_stored({"months": [], "counts": {SEPTEMBER: {}}, "churn": {"came": {}, "left": {}}})
    for number in range(names):
        first.of(SEPTEMBER).part("new").count("personas", f"p{number}", names - number)
    first.of(SEPTEMBER).part("new").add("users", 3)
    first.months.add(SEPTEMBER)
    second.add_stored(first.encode())
    second.add_stored(first.encode())
    part: Tally = second.of(SEPTEMBER).part("new")
    assert part.total("users") == 6
    assert second.months == {SEPTEMBER}
    assert len(part.counts("personas")) == STORED_FAVOURITES
    assert part.counts("personas")["p0"] == 2 * names
