"""Contents as inputs of documents: what they carry, and what happens when one is built again meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.builds import content as content_module
from shared.builds.builder import ContentBuilder
from shared.builds.content import Content, Figures
from shared.builds.store import Manifest
from shared.publishing.contents import BuiltInput, ContentReader
from shared.publishing.plan import DocumentKey
from shared.units import Day
from shared.views import VIEWS
from tests.unit.shared.world import World, contents, interaction

MONDAY, TUESDAY = Day("2025-09-01"), Day("2025-09-02")
DAILY = VIEWS["content_popularity_daily"]


def manifest(label: str, revision: int, written: int) -> Manifest:
    return Manifest(label, revision, 1, {}, Figures(revision, 2 * revision, 1), 0, "x", written, "e")


def test_the_revision_and_the_time_cover_all_contents() -> None:
    built = BuiltInput([[manifest("2025-09-02", 5, 100)], [manifest("2025-09-01", 7, 90)]])
    assert (built.revision, built.revision_until(95), built.revision_until(80)) == (12, 7, 0)
    assert built.newest_at == datetime.fromtimestamp(100, UTC)
    assert built.figures == Figures(5, 10, 1)
    assert [target.key for target, _ in built.revisions()] == ["2025-09-02", "2025-09-01"]


def test_contents_that_were_never_built_are_no_input() -> None:
    assert not any(BuiltInput())
    assert BuiltInput().figures is None
    assert BuiltInput([[], [manifest("2025-09-01", 7, 90)]]).figures is None


class Recorder:
    """Collects what it is given."""

    passes = 2

    def __init__(self) -> None:
        self.given: list[tuple[int, list[int]]] = []

    def add(self, number: int, parts: Sequence[Content]) -> None:
        self.given.append((number, [part.all.interactions for part in parts]))


async def two_days() -> tuple[World, ContentReader]:
    world = World()
    await world.ingest(interaction(1, f"{MONDAY}T10:00:00Z"), interaction(2, f"{TUESDAY}T10:00:00Z"))
    for day in (MONDAY, TUESDAY):
        await builder(world).build_day(day)
    return world, contents(world.state, world.settings)


def builder(world: World) -> ContentBuilder:
    return ContentBuilder(state=world.state, settings=world.settings, clock=world.clock)


async def test_a_collector_is_given_all_parts_as_often_as_it_asks() -> None:
    _, reader = await two_days()
    built, recorder = await reader.find(DAILY, "20250902"), Recorder()
    await reader.collect(recorder, built)
    assert recorder.given == [(0, [1, 1]), (1, [1, 1])]
    assert not any(await reader.find(DAILY, "20250910"))
    assert not any(await reader.find(VIEWS["incidents_by_content"], "202509|gita"))


@pytest.mark.parametrize("part_bytes", [100, 10**6])
async def test_a_document_whose_content_is_built_again_meanwhile_shows_the_new_one(
    part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_module, "PART_BYTES", part_bytes)
    world, reader = await two_days()
    collect, stale = ContentReader.collect, list[BuiltInput]()

    async def rebuilt_first(self: ContentReader, collector: Any, built: BuiltInput) -> None:
        if not stale:
            stale.append(built)
            await world.ingest(interaction(3, f"{TUESDAY}T11:00:00Z"))
            world.now += timedelta(hours=3)
            await builder(world).build_day(TUESDAY)
        await collect(self, collector, built)

    monkeypatch.setattr(ContentReader, "collect", rebuilt_first)
    publisher = await world.publisher()
    await publisher.publish_documents([DocumentKey(DAILY.name, "20250902")])
    shown = world.documents("content_popularity")["content_popularity_daily_20250902"]
    assert shown["data_points"] == 2
    with pytest.raises(CosmosResourceNotFoundError):
        await collect(reader, Recorder(), stale[0])
    assert not world.containers["poison_messages"].items
