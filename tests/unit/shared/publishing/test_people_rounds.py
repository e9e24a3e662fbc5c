"""Work over people goes in pieces: whatever ends a run, the next one continues, and nothing is missed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cosmos.queries import Query
from shared.facts import USERS
from shared.publishing import people_rounds, scheduled, tiers
from shared.publishing.publisher import Publisher
from shared.publishing.rounds import Task
from shared.publishing.scheduled import ScheduledPublisher
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer, Killed, no_fault
from tests.unit.shared.publishing.test_scheduled import an_hour_later
from tests.unit.shared.world import World, interaction

PEOPLE = [f"person{number}" for number in range(7)]
DAYS = ("2025-09-12", "2025-08-03")

OF_PEOPLE = ("user_analytics", "engagement_summary")


@pytest.fixture(autouse=True)
def small_pieces() -> Iterator[None]:
    """Let a piece hold little, so that a handful of people needs many."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people_rounds, "KEYS_PER_PIECE", 4)
        patched.setattr(tiers, "PEOPLE_AT_ONCE", 3)
        patched.setattr(tiers, "PEOPLE_PER_PIECE", 2)
        yield


async def crowd() -> World:
    """Return a world with more people than a piece may hold, one of whom refuses."""
    world = World()
    numbers = count()
    for user_id in PEOPLE:
        await world.ingest(*(interaction(next(numbers), f"{day}T10:00:00Z", user_id) for day in DAYS))
    refusal = {"id": "u", "user_id": PEOPLE[3], "privacy_settings": {"analytics_consent": False}}
    await world.ingest(refusal, source=USERS)
    return world


def published(world: World) -> dict[str, str]:
    """Return what is published about people, by id and person."""
    return {
        f"{name} {item['partition_key']} {item['id']}": item["state"]["content"]
        for name in OF_PEOPLE
        for item in world.documents(name).values()
    } | {
        f"user_analytics {user_id} {item['id']}": item["state"]["content"]
        for (user_id, _), item in world.containers["user_analytics"].items.items()
    }


async def finish(publisher: ScheduledPublisher) -> int:
    """Run until nothing is left; return the number of runs."""
    for runs in count(1):
        if not (await publisher.publish_due()).unfinished:
            return runs
    raise AssertionError


async def expected() -> dict[str, str]:
    """Return what is published if one piece holds everything, and nothing is interrupted."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(people_rounds, "KEYS_PER_PIECE", 500)
        patched.setattr(tiers, "PEOPLE_AT_ONCE", 500)
        world = await crowd()
        report = await (await world.scheduled()).publish_due()
        assert report.pieces == len(Task)
        return published(world)


async def test_in_pieces_the_same_is_published_as_at_once() -> None:
    world = await crowd()
    report = await (await world.scheduled()).publish_due()
    found = published(world)
    assert found == await expected()
    assert len(found) == 6 * 7 + 2 * 5  # two months, days and weeks, and a quarter; tiers of two months
    assert report.pieces > 10
    assert not report.unfinished


async def test_no_piece_reads_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    world, sizes = await crowd(), list[int]()
    publish = Publisher.publish_documents

    async def measured(self: Publisher, documents: Any) -> Any:
        sizes.append(len({document.key.partition("|")[2] for document in documents}))
        return await publish(self, documents)

    monkeypatch.setattr(Publisher, "publish_documents", measured)
    await (await world.scheduled()).publish_due()
    assert 0 < max(sizes) <= 4


async def test_what_changes_later_is_in_the_next_round_alone() -> None:
    world = await crowd()
    publisher = await world.scheduled()
    await publisher.publish_due()
    an_hour_later(world)
    assert (await publisher.publish_due()).changed == 21  # those of the last ten minutes once more
    an_hour_later(world)
    assert (await publisher.publish_due()).changed == 0
    await world.ingest(interaction(99, "2025-09-12T12:00:00Z", PEOPLE[0]))
    an_hour_later(world)
    report = await publisher.publish_due()
    assert report.changed == 3  # the day, the person and their month
    day = world.containers["user_analytics"].items[PEOPLE[0], f"user_analytics_{PEOPLE[0][:8]}_20250912"]
    assert day["interaction_metrics"]["total_interactions"] == 2


class Operations:
    """Counts the operations on all containers, and dies at one of them."""

    def __init__(self, world: World, last: int | None = None) -> None:
        self.number = 0
        self._last = last
        for container in world.containers.values():
            container.fault = self.happens

    def happens(self, _operation: str, _when: str) -> None:
        self.number += 1
        if self.number == self._last:
            raise Killed


def revive(world: World) -> None:
    for container in world.containers.values():
        container.fault = no_fault


@cache
def undisturbed() -> tuple[World, int, dict[str, str]]:
    """Return a crowd, and of a run that nothing disturbs the operations and what it publishes."""

    async def run() -> tuple[World, int, dict[str, str]]:
        world = await crowd()
        whole = copy.deepcopy(world)
        operations = Operations(whole)
        await (await whole.scheduled()).publish_due()
        return world, operations.number, published(whole)

    return asyncio.run(run())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_wherever_a_run_dies_another_instance_goes_on_and_nothing_is_missed(data: st.DataObject) -> None:
    world, operations, right = undisturbed()
    dies_at = data.draw(st.lists(st.integers(1, operations), min_size=1, max_size=3))
    assert asyncio.run(published_after(copy.deepcopy(world), dies_at)) == right


async def published_after(world: World, dies_at: list[int]) -> dict[str, str]:
    for last in dies_at:
        Operations(world, last)
        with suppress(Killed):
            await (await world.scheduled()).publish_due()
        revive(world)
    await finish(await world.scheduled())
    return published(world)


async def test_a_run_that_is_repeated_after_a_death_does_only_what_is_left() -> None:
    world = await crowd()
    whole = copy.deepcopy(world)
    operations = Operations(whole)
    pieces = (await (await whole.scheduled()).publish_due()).pieces
    Operations(world, operations.number * 2 // 3)
    with pytest.raises(Killed):
        await (await world.scheduled()).publish_due()
    revive(world)
    assert (await (await world.scheduled()).publish_due()).pieces < pieces


async def test_two_instances_at_once_publish_everything_once_more_at_most() -> None:
    world = await crowd()
    one, two = await world.scheduled(), await world.scheduled()
    await asyncio.gather(finish(one), finish(two))
    assert published(world) == await expected()
    assert not world.containers["poison_messages"].items


async def test_a_person_with_many_months_is_published_completely() -> None:
    world = World()
    months = [f"{2024 + month // 12}-{month % 12 + 1:02d}" for month in range(9, 21)]
    await world.ingest(*(interaction(n, f"{month}-10T10:00:00Z") for n, month in enumerate(months)))
    await (await world.scheduled()).publish_due()
    names = world.documents("user_analytics").keys()
    assert {name[-8:] for name in names} >= {f"{month.replace('-', '')}10" for month in months}


async def test_a_run_ends_when_its_time_is_up_and_the_next_one_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, seconds = await crowd(), [0.0]
    world.clock = FakeClock(lambda: world.now, lambda: seconds[0])
    publish = Publisher.publish_documents

    async def slow(self: Publisher, documents: Any) -> Any:
        seconds[0] += 2.5
        return await publish(self, documents)

    monkeypatch.setattr(Publisher, "publish_documents", slow)
    publisher = await world.scheduled()
    report = await publisher.publish_due()
    assert report.unfinished
    assert seconds[0] <= scheduled.SCHEDULED_SECONDS + 2.5
    assert 0 < report.pieces < 25
    assert report.built > 0  # people do not use up the time of contents
    await finish(publisher)
    assert published(world) == await expected()


async def test_all_of_it_is_done_by_as_many_runs_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    world, seconds, told = await crowd(), count(0.0, 5.0), list[int]()
    world.clock = FakeClock(lambda: world.now, lambda: next(seconds))
    report = await (await world.scheduled()).publish_everything(lambda so_far: told.append(so_far.pieces))
    assert told == sorted(told)
    assert len(told) > 3
    assert report.pieces >= told[-1]
    assert not report.unfinished
    assert published(world) == await expected()


def requests(world: World) -> list[str]:
    """Return the requests since the last call, by container."""
    made = [
        f"{name} {request}" for name, container in world.containers.items() for request in container.requests
    ]
    for container in world.containers.values():
        assert isinstance(container, FakeContainer)
        container.requests.clear()
    return made


async def test_a_run_with_nothing_to_do_reads_two_documents() -> None:
    world = await crowd()
    publisher = await world.scheduled()
    await publisher.publish_due()
    requests(world)
    world.now += timedelta(minutes=5)
    await publisher.publish_due()
    assert requests(world) == ["fleet_state read"] * 2


async def test_an_hour_in_which_nobody_changed_costs_one_query_for_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, names = await crowd(), list[str]()
    publisher = await world.scheduled()
    for _ in range(2):  # the second one reads what was written in the last minutes again
        await publisher.publish_due()
        an_hour_later(world)
    query_items = FakeContainer.query_items

    async def recorded(self: FakeContainer, query: Query, **options: Any) -> AsyncIterator[Any]:
        names.append(query.name)
        async for row in query_items(self, query, **options):
            yield row

    monkeypatch.setattr(FakeContainer, "query_items", recorded)
    report = await publisher.publish_due()
    assert (report.changed, report.pieces, report.published) == (0, 1, 0)
    of_contents = {"manifests", "day_listings", "partials_by_key"}
    assert [name for name in names if name not in of_contents] == ["selected"]


async def test_pending_records_that_nothing_followed_are_followed_once_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await crowd()
    publisher = await world.scheduled()
    await publisher.publish_due()
    for item in world.state.items.values():
        if item["id"] == f"partial|person|{PEOPLE[0]}":
            item["record"]["pending"] = True  # as if a replica had lagged for an hour
    an_hour_later(world)
    await publisher.publish_due()
    world.now += timedelta(days=1)
    await publisher.publish_due()
    people = [item for item in world.state.items.values() if item.get("aggregate") == "person"]
    assert not any(item["record"].get("pending") for item in people)


async def test_what_is_published_about_people_who_refuse_is_deleted_again_once_a_day() -> None:
    world = await crowd()
    publisher = await world.scheduled()
    await publisher.publish_due()
    left = {"id": "left_over", "user_id": PEOPLE[3], "analysis_period": "daily", "period_start": "2020"}
    world.containers["user_analytics"]._store(left)
    world.now += timedelta(days=1)
    await publisher.publish_due()
    assert not any(user_id == PEOPLE[3] for user_id, _ in world.containers["user_analytics"].items)


async def test_pending_records_fill_a_piece_sooner_because_all_documents_follow_them() -> None:
    world = await crowd()
    for item in world.state.items.values():
        if item.get("aggregate") == "person":
            item["record"]["pending"] = True
    pieces = (await (await world.scheduled()).publish_due()).pieces
    assert pieces > 2 * len(PEOPLE)  # hourly, one for each person and more for their months
    assert not [item for item in world.state.items.values() if item.get("record", {}).get("pending")]
    assert published(world).keys() == (await expected()).keys()
