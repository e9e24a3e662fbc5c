"""A rebuild goes in pieces of one month: it is resumed after a death, and shared by instances."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates import AGGREGATES
from shared.cosmos.queries import Query
from shared.errors import RefusedError
from shared.facts import ABUSE_INCIDENTS, USER_SESSIONS
from shared.ledger.recount import Recount
from shared.ledger.shards import ShardId
from shared.maintenance import rebuild
from shared.maintenance.rebuild import RebuildReport
from shared.maintenance.rebuild_walk import Stage, Walk
from shared.publishing.publisher import Publisher
from shared.publishing.report import PublishReport
from tests.fakes import FakeContainer, Killed, no_fault
from tests.unit.shared.delivery import Instance
from tests.unit.shared.world import World, interaction

A, B = ShardId("1:0000"), ShardId("1:0001")


async def long_world() -> World:
    """Return a world of three people over months, with sessions that are open at the ends of months."""
    world, numbers = World(), count()
    for month in ("05", "07", "09"):  # with gaps
        for user in range(3):
            await world.ingest(interaction(next(numbers), f"2025-{month}-10T10:00:00Z", f"user{user}"))
    for number, (start, end) in enumerate(
        [("2025-07-31T23:50:00Z", "2025-08-01T00:20:00Z"), ("2025-06-30T23:50:00Z", "2025-07-01T00:20:00Z")]
    ):
        session = {"id": f"s{number}", "user_id": "user1", "start_time": start, "end_time": end}
        await world.ingest(session, source=USER_SESSIONS)
    incident = {"id": "n", "user_id": "user2", "created_at": "2025-05-03T10:00:00Z"}
    await world.ingest(incident, source=ABUSE_INCIDENTS)
    return world


def damage(world: World) -> None:
    """Delete every other count, and change the rest."""
    for number, (key, item) in enumerate(list(world.state.items.items())):
        if item["kind"] != "partial" or item["aggregate"] == "person":
            continue
        if number % 2:
            del world.state.items[key]
        else:
            item["state"] = {"sums": {"interactions": 99}}
    world.folding = Instance(world.state)


async def test_all_months_are_repaired_with_sessions_that_cross_their_ends() -> None:
    world = await long_world()
    sound = world.states()
    assert any("partial|day|2025-08-01" in name for name in sound)
    damage(world)
    for key in [key for key in world.state.items if key[1] == "partial|day|2025-08-01"]:
        del world.state.items[key]  # nothing else is left of August
    report = await (await world.rebuilder()).rebuild([])
    assert world.states() == sound
    assert report.unfinished == []
    assert (await (await world.rebuilder()).rebuild([])).corrected == 0


class Measured(FakeContainer):
    """Records the months of the documents that each reading of pages and partials returns."""

    def __init__(self) -> None:
        super().__init__()
        self.months: list[set[str]] = []

    async def query_items(self, query: Query, **options: Any) -> AsyncIterator[Any]:
        found = set[str]()
        async for item in super().query_items(query, **options):
            if query.name == "documents_between":
                found.add(item["id"].split("|")[2].replace("-", "")[:6])
            yield item
        self.months.append(found)


async def test_a_piece_reads_one_month(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await long_world()
    measured = Measured()
    measured.items = world.state.items
    world.state = world.containers["view_state"] = measured
    counted: list[int] = []
    derive = Recount.derive

    def derived(self: Recount) -> None:
        derive(self)
        counted.append(len({target.key[:7] for target in self.targets() if target.aggregate == "day"}))

    monkeypatch.setattr(Recount, "derive", derived)
    await (await world.rebuilder()).rebuild([])
    assert max(map(len, measured.months)) <= 2  # of sessions, the last day of the month before as well
    assert max(counted) == 1
    assert len(counted) > 5


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


def published(world: World) -> dict[str, str]:
    return {
        f"{name} {item['id']}": item["state"]["content"]
        for name in ("daily_metrics", "user_analytics", "incidents_by_content")
        for item in world.containers[name].items.values()
    }


async def resumed(world: World) -> RebuildReport | None:
    """Resume the rebuild; begin one if there is none."""
    rebuilder = await world.rebuilder()
    try:
        return await rebuilder.rebuild([], resume=True)
    except RefusedError:
        return await rebuilder.rebuild([])


@settings(max_examples=12, deadline=None)
@given(st.data())
async def test_wherever_a_rebuild_dies_it_is_resumed_and_nothing_is_missed(data: st.DataObject) -> None:
    world = await long_world()
    sound = world.states()
    damage(world)
    whole = copy.deepcopy(world)
    operations = Operations(whole)
    await (await whole.rebuilder()).rebuild([])
    for last in data.draw(st.lists(st.integers(1, operations.number), min_size=1, max_size=3)):
        Operations(world, last)
        with suppress(Killed):
            await resumed(world)
        revive(world)
    await resumed(world)
    assert world.states() == sound
    assert published(world) == published(whole)
    readiness = await world.readiness()
    assert await readiness.unpublished() == set()


async def test_a_resumed_rebuild_does_only_what_is_left() -> None:
    world = await long_world()
    whole = copy.deepcopy(world)
    operations = Operations(whole)
    pages = (await (await whole.rebuilder()).rebuild([])).pages
    Operations(world, operations.number // 3)
    with pytest.raises(Killed):
        await (await world.rebuilder()).rebuild([])
    revive(world)
    report = await (await world.rebuilder()).rebuild([], resume=True)
    assert 0 < report.pages < pages
    assert report.shards == 2


async def test_several_instances_share_a_rebuild() -> None:
    world = await long_world()
    sound = world.states()
    damage(world)
    whole = copy.deepcopy(world)
    await (await whole.rebuilder()).rebuild([])
    one, two = await world.rebuilder(), await world.rebuilder()
    begun = asyncio.Event()
    update = one._update

    async def begin(change: Any) -> Any:
        walk = await update(change)
        begun.set()
        return walk

    one._update = begin  # type: ignore[method-assign]

    async def join() -> RebuildReport | None:
        await begun.wait()
        try:
            return await two.rebuild([], resume=True)
        except RefusedError:  # the other instance has ended it
            return None

    await asyncio.gather(one.rebuild([]), join())
    assert world.states() == sound
    assert published(world) == published(whole)


async def test_there_is_nothing_to_resume_before_and_after_a_rebuild() -> None:
    world = await long_world()
    for _ in range(2):
        with pytest.raises(RefusedError, match="no rebuild to resume"):
            await (await world.rebuilder()).rebuild([], resume=True)
        await (await world.rebuilder()).rebuild([])


async def test_a_rebuild_ends_one_that_is_at_work() -> None:
    world = await long_world()
    replaced = False

    async def begin_another() -> None:
        await (await world.rebuilder()).rebuild(["daily_metrics"])

    rebuilder = await world.rebuilder()
    count_next = rebuilder._count_next

    async def and_another_begins(shard: ShardId, position: str, report: RebuildReport) -> str | None:
        nonlocal replaced
        if not replaced:
            replaced = True
            await begin_another()
        return await count_next(shard, position, report)

    rebuilder._count_next = and_another_begins  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="Another rebuild has begun"):
        await rebuilder.rebuild([])


class Lagging(FakeContainer):
    """Answers a rebuild's first readings of pages without the latest page, as a replica that lags."""

    readings = 0
    without: str | None = None

    async def query_items(self, query: Query, **options: Any) -> AsyncIterator[Any]:
        is_pages = query.name == "documents_between"
        async for item in super().query_items(query, **options):
            if is_pages and item["id"] == self.without and self.readings > 0:
                self.readings -= 1
                continue
            yield item


@pytest.mark.parametrize(("readings", "corrected"), [(rebuild.LAG_PASSES, 0), (rebuild.LAG_PASSES + 1, 1)])
async def test_a_page_that_a_day_lists_is_waited_for_before_it_counts_as_lost(
    readings: int, corrected: int
) -> None:
    world = World()
    lagging = Lagging()
    world.state = world.containers["view_state"] = lagging
    world.folding = Instance(lagging)
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"), interaction(2, "2025-09-12T11:00:00Z"))
    sound = world.states()
    lagging.without, lagging.readings = "ledger|user_interactions|2025-09-12T11", readings
    report = await (await world.rebuilder()).rebuild([])
    assert (report.corrected > 0) is bool(corrected)
    assert (world.states() == sound) is not bool(corrected)


async def test_documents_are_published_again_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await long_world()
    publisher = await world.publisher()
    await world.publish(publisher)
    world.state.requests.clear()
    sizes: list[int] = []
    publish_again = Publisher.publish_again

    async def measured(self: Publisher, documents: Any) -> Any:
        documents = [each for each in documents if each.view.startswith("user_analytics")]
        if not documents:
            return PublishReport(0)
        before = len(world.state.requests)
        report = await publish_again(self, documents)
        sizes.append(len(documents))
        assert len(world.state.requests) - before < len(documents) / 3
        return report

    monkeypatch.setattr(Publisher, "publish_again", measured)
    await (await world.rebuilder()).rebuild([])
    assert max(sizes) > 10


def test_every_aggregate_but_the_person_has_a_month_in_its_keys() -> None:
    """A rebuild counts month by month: an aggregate without a month would have to be counted over all."""
    keys = {"day": "2025-08-05", "person_month": "202508|ann", "incident_month": "202508|gita"}
    assert keys.keys() == {name for name, aggregate in AGGREGATES.items() if aggregate.recounted}
    for name, key in keys.items():
        assert AGGREGATES[name].first_day(key) is not None


def test_positions_never_go_back_and_those_of_another_rebuild_or_stage_change_nothing() -> None:
    walk = Walk(3, ("daily_metrics",), Stage.COUNT, {A: "202508", B: ""})
    assert walk.advanced(walk, A, "202507").left == {A: "202508", B: ""}
    assert walk.advanced(walk, B, "202507").left == {A: "202508", B: "202507"}
    done = walk.advanced(walk, A, None)
    assert done.left == {B: ""}
    assert done.advanced(walk, A, "202509") == done
    for other in (Walk(2, (), Stage.COUNT, {}), Walk(3, (), Stage.PUBLISH, {})):
        assert walk.advanced(other, A, None) == walk
    publishing = walk.published_from(walk, {A: "partial|person"})
    assert (publishing.stage, publishing.left) == (Stage.PUBLISH, {A: "partial|person"})
    assert publishing.published_from(walk, {A: "", B: ""}) == publishing


def test_a_walk_is_stored_as_it_is() -> None:
    walk = Walk(3, ("daily_metrics",), Stage.PUBLISH, {A: "x"})
    assert Walk.decode(json.loads(json.dumps(walk.encode()))) == walk


async def test_an_instance_that_comes_to_the_end_after_another_ends_without_an_error() -> None:
    world = await long_world()
    slow, quick = await world.rebuilder(), await world.rebuilder()
    publish_next, overtaken = slow._publish_next, False

    async def overtake(shard: ShardId, position: str, report: RebuildReport) -> str | None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            await quick.rebuild([], resume=True)
        return await publish_next(shard, position, report)

    slow._publish_next = overtake  # type: ignore[method-assign]
    report = await slow.rebuild([])
    assert overtaken
    assert (report.unfinished, report.shards) == ([], 2)
    assert await (await world.readiness()).unpublished() == set()
