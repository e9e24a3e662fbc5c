"""Builds equal what is counted at once, whatever is folded, read late or built elsewhere in between."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.builds import builder as builder_module
from shared.builds import content as content_module
from shared.builds import graph
from shared.builds.builder import ContentBuilder, Outcome
from shared.builds.content import Content, merged
from shared.builds.rows import Kind
from shared.builds.store import DERIVED
from shared.units import Day, Month
from tests.fakes import FakeContainer
from tests.long_names import long_name
from tests.unit.shared.builds.interactions import counted, documents
from tests.unit.shared.delivery import Document
from tests.unit.shared.world import World, interaction

MONDAY, SEPTEMBER = Day("2025-09-01"), Month("202509")


def builder(world: World, state: Any = None) -> ContentBuilder:
    return ContentBuilder(state=state or world.state, settings=world.settings, clock=world.clock)


async def content_of(world: World, label: str) -> Content:
    store = builder(world).store
    manifest = await store.find(label)
    assert manifest is not None
    content = Content()
    async for _, _, (part,) in store.read([[manifest]]):
        content.merge(part)
    assert content.figures() == manifest.figures
    return content


def last_versions(written: list[Document]) -> list[Document]:
    return list({(document["user_id"], document["id"]): document for document in written}.values())


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(documents, min_size=1, max_size=10), st.sampled_from([1, 64]), st.sampled_from([10, 10_000]))
def test_a_day_equals_what_is_counted_at_once(written: list[Document], slice_shards: int, most: int) -> None:
    async def run(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(graph, "SLICE_SHARDS", slice_shards)
        patch.setattr(builder_module, "MAX_ROWS", most)
        patch.setattr(content_module, "PART_BYTES", 50 * most)
        world = World()
        for number, document in enumerate(written):
            await world.ingest(document)
            if number == len(written) // 2:
                await builder(world).build_day(MONDAY)
                await builder(world).build_month(SEPTEMBER)
        await builder(world).build_day(MONDAY)
        await builder(world).build_month(SEPTEMBER)
        expected = counted(last_versions(written))
        assert await content_of(world, MONDAY) == expected
        expected.count_readers()
        expected.drop(Kind.WINDOWS)
        assert await content_of(world, SEPTEMBER) == expected
        assert await builder(world).build_day(MONDAY) is Outcome.CURRENT
        assert await builder(world).build_month(SEPTEMBER) is Outcome.CURRENT
        assert await builder(world).stale_days(SEPTEMBER, SEPTEMBER) == []

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(run(patch))


def test_months_are_built_until_their_state_is_about_to_end() -> None:
    months = builder(World()).open_months()
    assert (months[0], months[1], months[-1]) == ("202510", "202509", "202408")
    assert [month for month in months if builder(World()).is_closed(month)] == []


async def test_a_period_without_anything_has_no_content() -> None:
    world = World()
    assert await builder(world).build_day(MONDAY) is Outcome.ABSENT
    assert await builder(world).build_month(SEPTEMBER) is Outcome.ABSENT
    assert await builder(world).stale_days(SEPTEMBER, SEPTEMBER) == []
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"))
    assert await builder(world).stale_days(SEPTEMBER, SEPTEMBER) == [MONDAY]


async def test_a_day_whose_slice_was_built_again_without_it_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "SLICE_SHARDS", 1)
    world = World()
    for number in (1, 2):
        await world.ingest(interaction(number, "2025-09-01T10:00:00Z"))
        if number == 1:
            await builder(world).build_day(MONDAY)
    one = builder(world)
    for label, shards in one._slices(MONDAY).items():  # then the process dies
        await one._build_from_pages(label, MONDAY, shards)
    assert await one.stale_days(SEPTEMBER, SEPTEMBER) == [MONDAY]
    assert await one.build_day(MONDAY) is Outcome.BUILT
    assert await one.stale_days(SEPTEMBER, SEPTEMBER) == []


async def test_a_day_that_loses_everything_stays_and_is_empty() -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"))
    await builder(world).build_day(MONDAY)
    before = await builder(world).store.find(MONDAY)
    await world.ingest(interaction(1, "2025-09-02T10:00:00Z"))
    assert await builder(world).build_day(MONDAY) is Outcome.BUILT
    after = await builder(world).store.find(MONDAY)
    assert before is not None
    assert after is not None
    assert after.revision > before.revision
    assert len(await content_of(world, MONDAY)) == 0


class Between:
    """A container that runs something before its n-th operation, as another instance would."""

    def __init__(self, container: FakeContainer, number: int, work: Callable[[], Awaitable[Any]]) -> None:
        self._container = container
        self._left = number
        self._work = work
        self.ran = False

    async def _step(self) -> None:
        self._left -= 1
        if self._left == -1:
            self.ran = True
            await self._work()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._container, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._step()
            return await operation(*args, **kwargs)

        return call

    async def query_items(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await self._step()
        async for row in self._container.query_items(*args, **kwargs):
            yield row
            await self._step()


@pytest.mark.parametrize("many", [False, True])
async def test_a_fold_or_a_build_between_any_two_steps_changes_nothing(
    many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the content corresponds to the inputs that it names, and the next build makes it current."""
    if many:
        monkeypatch.setattr(builder_module, "MAX_ROWS", 8)
        monkeypatch.setattr(content_module, "PART_BYTES", 400)
    before = [
        interaction(n, f"2025-09-01T1{n % 3}:00:00Z", user, foundational_texts_used=[{"source": f"t{n}"}])
        for n, user in enumerate(("ann", "bob", "cid", "dan"))
    ]
    moved = [before[0] | {"user_rating": 1}, before[1] | {"timestamp": "2025-09-01T23:00:00Z"}]
    ran = 0
    for number in range(200):
        world = World()
        await world.ingest(*before)
        await builder(world).build_day(MONDAY)
        await world.ingest(moved[0])

        async def other(world: World = world, number: int = number) -> None:
            await world.ingest(moved[1])
            if number % 2:
                await builder(world).build_day(MONDAY)

        between = Between(world.state, number, other)
        await builder(world, between).build_day(MONDAY)
        if not between.ran:
            break
        ran += 1
        stale = await builder(world).stale_days(SEPTEMBER, SEPTEMBER)
        expected = [counted(last_versions([*before, moved[0]])), counted(last_versions([*before, *moved]))]
        shown = await content_of(world, MONDAY)
        assert shown == expected[1] if not stale else shown in (expected[0], counted(before))
        await builder(world).build_day(MONDAY)
        assert await content_of(world, MONDAY) == expected[1]
    assert ran > 10


class Lagging:
    """A container whose reads come from a replica that lags behind. Its writes reach the service."""

    def __init__(self, container: FakeContainer, replica: FakeContainer, late: Callable[[str], bool]) -> None:
        self._container = container
        self._replica = replica
        self._late = late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def query_items(self, query: Any, **kwargs: Any) -> Any:
        container = self._replica if self._late(query.name) else self._container
        return container.query_items(query, **kwargs)


@pytest.mark.parametrize(
    "late",
    [
        lambda name: True,
        lambda name: name == "day_listings",
        lambda name: name == "documents_with_prefix",
        lambda name: name == "manifests",
        lambda name: name in ("day_listings", "documents_with_prefix"),
    ],
)
async def test_a_replica_that_lags_never_replaces_what_is_newer(late: Callable[[str], bool]) -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"), interaction(2, "2025-09-01T10:00:00Z", "bob"))
    await builder(world).build_day(MONDAY)
    replica = FakeContainer()
    replica.items = copy.deepcopy(world.state.items)
    await world.ingest(interaction(3, "2025-09-01T10:00:00Z", "cid"))
    await builder(world).build_day(MONDAY)
    expected = await content_of(world, MONDAY)
    manifest = await builder(world).store.find(MONDAY)
    lagging = Lagging(world.state, replica, late)
    assert await builder(world, lagging).build_day(MONDAY) is not Outcome.BUILT
    assert await builder(world).store.find(MONDAY) == manifest
    assert await content_of(world, MONDAY) == expected


async def test_what_one_person_makes_up_in_a_day_is_built_and_does_not_grow_the_partial_of_the_day() -> None:
    world, names = World(), 50
    for number in range(20):
        cited = [
            {"source": "gita", "chapter": f"{number}-{n}", "verse": long_name(n), "relevance_score": 0.5}
            for n in range(names)
        ]
        await world.ingest(
            interaction(number, "2025-09-01T10:00:00Z", "heavy", foundational_texts_used=cited)
        )
    await builder(world).build_day(MONDAY)
    assert (await content_of(world, MONDAY)).figures()[:3] == (20, 200, 200)
    (partial,) = (i for i in world.state.items.values() if i["id"] == f"partial|day|{MONDAY}")
    assert partial["state"]["sums"]["citations"] == 20 * names
    assert len(json.dumps(partial)) < 3_000


async def test_of_builds_at_once_one_writes() -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"))
    outcomes = await asyncio.gather(*(builder(world).build_day(MONDAY) for _ in range(4)))
    assert outcomes.count(Outcome.BUILT) == 1
    assert set(outcomes) <= {Outcome.BUILT, Outcome.CURRENT}
    assert await content_of(world, MONDAY) == counted([interaction(1, "2025-09-01T10:00:00Z")])


@pytest.mark.parametrize("operation", range(4))
@pytest.mark.parametrize("label", [MONDAY, SEPTEMBER])
async def test_what_another_instance_builds_from_older_inputs_meanwhile_is_built_again(
    label: str, operation: int
) -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"))
    await builder(world).build_day(MONDAY)
    await world.ingest(interaction(2, "2025-09-01T10:00:00Z"))
    other = builder(world).store.begin(label, await builder(world).store.find(label))
    await other.add(0, 1, Content())
    between = Between(world.state, operation, lambda: other.commit({}))

    async def build(state: Any) -> Outcome:
        one = builder(world, state)
        return await (one.build_day(MONDAY) if label == MONDAY else one.build_month(SEPTEMBER))

    assert await build(between) is Outcome.BUILT
    assert between.ran
    assert await build(world.state) is Outcome.CURRENT


async def test_a_passage_with_many_topics_fills_small_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "PART_BYTES", 1_000)
    world = World()
    written = [
        interaction(number, "2025-09-01T10:00:00Z", query_metadata={"query_category": long_name(number)})
        for number in range(60)
    ]
    await world.ingest(*written)
    await builder(world).build_day(MONDAY)
    assert await content_of(world, MONDAY) == counted(written)
    stored = [item for item in world.state.items.values() if item["kind"] == DERIVED and "rows" in item]
    assert any(item.get("sheets", 1) > 1 for item in stored)
    assert max(len(json.dumps(item["rows"])) for item in stored) < 4_000


async def test_parts_that_no_manifest_names_are_deleted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "PART_BYTES", 200)
    world = World()
    for number in range(3):
        await world.ingest(interaction(number, "2025-09-01T10:00:00Z"))
        await builder(world).build_day(MONDAY)
        world.now += timedelta(hours=2)
    parts = [i for i in world.state.items.values() if i["kind"] == DERIVED and "label" not in i]
    manifest = await builder(world).store.find(MONDAY)
    assert manifest is not None
    assert {part["build"] for part in parts} == {manifest.build}
    assert len(parts) == manifest.parts


async def test_readers_of_a_week_are_people() -> None:
    world = World()
    for number, day in enumerate(("2025-09-01", "2025-09-01", "2025-09-02")):
        await world.ingest(interaction(number, f"{day}T10:00:00Z"))
    days = [MONDAY, Day("2025-09-02")]
    for day in days:
        await builder(world).build_day(day)
    week = merged([await content_of(world, day) for day in days])
    week.count_readers()
    assert week.rows(Kind.READER_COUNTS) == {"gita": [1, 1]}
