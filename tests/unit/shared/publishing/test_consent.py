"""Consent: whose documents may be published, what is deleted, and when a change of consent is applied."""

from __future__ import annotations

from typing import Any

from shared.facts import USERS
from shared.publishing.consent import USER_LEVEL_CONTAINERS, ConsentKeeper
from tests.unit.shared.world import World, interaction

ANN = "partial|person|ann"


def keeper(world: World) -> ConsentKeeper:
    return ConsentKeeper(world, world.settings, clock=world.clock)  # type: ignore[arg-type]


def account(consent: bool, user_id: str = "ann") -> dict[str, Any]:
    return {"id": f"u{user_id}", "user_id": user_id, "privacy_settings": {"analytics_consent": consent}}


def stored(world: World) -> dict[str, Any]:
    (item,) = (item for (_, name), item in world.state.items.items() if name == ANN)
    return item


async def world_of_ann(consent: bool = True) -> World:
    world = World()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z", "bob"))
    await world.ingest(account(consent), source=USERS)
    return world


async def publish_about(world: World, user_id: str, *names: str) -> None:
    for container in USER_LEVEL_CONTAINERS:
        for name in names:
            await world.containers[container].upsert_item({"id": name, "user_id": user_id})


def about(world: World, user_id: str) -> set[tuple[str, str]]:
    return {
        (container, name)
        for container in USER_LEVEL_CONTAINERS
        for key, name in world.containers[container].items
        if key == user_id
    }


def test_the_containers_of_people_are_those_that_the_fleet_writes_by_person() -> None:
    assert "user_analytics" in USER_LEVEL_CONTAINERS
    assert not {"users", "user_interactions", "daily_metrics"} & set(USER_LEVEL_CONTAINERS)


class TestRead:
    """The stored record of a person."""

    async def test_comes_with_the_etag_of_its_document(self) -> None:
        world = await world_of_ann(consent=False)
        record, revision, etag = await keeper(world).read("ann")
        expected = True, True, stored(world)["revision"], stored(world)["_etag"]
        assert (record.refused, record.pending, revision, etag) == expected

    async def test_of_an_unknown_person_is_empty(self) -> None:
        record, revision, etag = await keeper(await world_of_ann()).read("nobody")
        assert (record.refused, record.pending, revision, etag) == (False, False, 0, None)


async def test_those_who_refuse_are_found_among_many() -> None:
    world = await world_of_ann()
    people = [f"person{number}" for number in range(450)]
    await world.ingest(*(account(False, user_id) for user_id in people[::50]), source=USERS)
    assert set(await keeper(world).refusing([*people, "ann", "bob"])) == set(people[::50])
    assert await keeper(world).refusing([]) == []


class TestPurge:
    """Deleting what is published about a person."""

    async def test_deletes_everything_about_the_person_and_nothing_else(self) -> None:
        world = await world_of_ann()
        await publish_about(world, "ann", "a", "b")
        await publish_about(world, "bob", "a", "c")
        assert await keeper(world).purge("ann") == 2 * len(USER_LEVEL_CONTAINERS)
        assert about(world, "ann") == set()
        assert len(about(world, "bob")) == 2 * len(USER_LEVEL_CONTAINERS)

    async def test_of_nothing_deletes_nothing(self) -> None:
        assert await keeper(await world_of_ann()).purge("ann") == 0

    async def test_leaves_a_document_that_is_written_meanwhile_to_its_writer(self) -> None:
        world = await world_of_ann()
        await publish_about(world, "ann", "a", "b")
        container = world.containers["user_analytics"]

        def rewrite(operation: str, when: str) -> None:
            if (operation, when) == ("delete", "before"):
                container.fault = lambda *_: None
                container._store({"id": "a", "user_id": "ann"})

        container.fault = rewrite
        await keeper(world).purge("ann")
        assert about(world, "ann") == {("user_analytics", "a")}


class TestSettle:
    """Recording that what is published follows the record."""

    async def test_clears_the_mark_and_nothing_else(self) -> None:
        world = await world_of_ann(consent=False)
        before = dict(stored(world))
        assert await keeper(world).settle("ann", before["_etag"])
        after = dict(stored(world))
        assert after["revision"] == before["revision"] + 1
        assert "pending" not in after["record"]
        assert after["record"] | {"pending": True} == before["record"]
        assert all(after[name] == before[name] for name in ("id", "shard", "kind", "key", "state"))

    async def test_a_record_that_has_changed_stays_pending(self) -> None:
        world = await world_of_ann(consent=False)
        etag = stored(world)["_etag"]
        await world.ingest(interaction(3, "2025-09-13T10:00:00Z"))
        assert not await keeper(world).settle("ann", etag)
        assert stored(world)["record"]["pending"]

    async def test_a_record_that_changes_at_the_same_time_stays_pending(self) -> None:
        world = await world_of_ann(consent=False)
        etag = stored(world)["_etag"]

        def change(operation: str, when: str) -> None:
            if (operation, when) == ("replace", "before"):
                world.state.fault = lambda *_: None
                world.state._store(stored(world))

        world.state.fault = change
        assert not await keeper(world).settle("ann", etag)
        assert stored(world)["record"]["pending"]

    async def test_of_an_unknown_person_is_not_done(self) -> None:
        assert not await keeper(await world_of_ann()).settle("nobody", "etag")
