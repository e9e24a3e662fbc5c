"""Removing a generation: all of it, nothing else, and only when it is not needed any more."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from shared.aggregates.person_record import PersonRecord
from shared.errors import GenerationNeededError
from shared.fleet.wiring import Fleet
from shared.ledger.generations import Generations
from shared.maintenance.remove_generation import (
    DELETES_PER_TRANSACTION,
    GenerationRemover,
    is_of_generation,
)
from shared.settings import Settings
from tests.fakes import FakeContainer, Killed
from tests.unit.shared.world import World as Fleets
from tests.unit.shared.world import interaction

SHARDS = 3
PER_SHARD = DELETES_PER_TRANSACTION + 4


async def no_records(users: Collection[str]) -> dict[str, PersonRecord | None]:
    raise AssertionError(f"nobody refuses, and yet the records of {users} were read")


class World:
    """Two generations, of which the second is complete, and a third of the same digits."""

    def __init__(self) -> None:
        self.state = FakeContainer()
        self.fleet_state = FakeContainer("scope")
        self.settings = Settings(FLEET_GENERATION=2, FLEET_SHARDS=SHARDS)

    def generations(self, number: int) -> Any:
        settings = Settings(FLEET_GENERATION=number, FLEET_SHARDS=SHARDS)
        return Generations(self.fleet_state, settings)  # type: ignore[arg-type]

    def remover(self) -> GenerationRemover:
        return GenerationRemover(
            state=self.state,  # type: ignore[arg-type]
            fleet_state=self.fleet_state,  # type: ignore[arg-type]
            generations=self.generations(2),
            settings=self.settings,
            read_records=no_records,
        )

    def ids(self) -> set[tuple[str, str]]:
        return {*self.state.items, *self.fleet_state.items}

    def of(self, number: int) -> set[tuple[str, str]]:
        return {
            (partition, item_id)
            for partition, item_id in self.ids()
            if partition.startswith(f"{number}:")
            or (partition in ("audit", "builds") and is_of_generation(item_id, number))
        }


async def filled(*, complete: bool = True) -> World:
    world = World()
    for number in (1, 2, 12):
        for shard in range(SHARDS):
            for n in range(PER_SHARD):
                kind = "ledger" if n % 2 else "partial"
                item = {
                    "id": f"{kind}|{n}",
                    "shard": f"{number}:{shard:04d}",
                    "kind": kind,
                    "aggregate": "day",
                }
                await world.state.upsert_item(item)
        usage = {"id": "usage|1", "shard": f"{number}:usage:krishna", "kind": "usage"}
        await world.state.upsert_item(usage)
        for scope, name in (("audit", f"{number}|users"), ("builds", f"views-{number}")):
            await world.fleet_state.upsert_item({"id": name, "scope": scope})
    await world.fleet_state.upsert_item({"id": "gemini-1", "scope": "prices"})
    await world.generations(1).begin()
    await world.generations(2).begin()
    if complete:
        await world.generations(2).complete()
    return world


async def test_all_of_an_earlier_generation_is_deleted_and_nothing_else() -> None:
    world = await filled()
    before, own = world.ids(), world.of(1)
    seen: list[tuple[int, int]] = []
    report = await world.remover().remove(
        1, on_progress=lambda so_far, partitions: seen.append((so_far.partitions, partitions))
    )
    assert (report.documents, report.records, report.partitions) == (SHARDS * PER_SHARD + 1, 2, SHARDS + 1)
    assert world.ids() == before - own
    assert seen[-1] == (SHARDS + 1, SHARDS + 1)
    assert sorted(await world.generations(2).recorded()) == [2]
    assert world.state.requests.count("batch") == 2 * SHARDS + 1


async def test_a_dry_run_counts_the_same_and_deletes_nothing() -> None:
    world = await filled()
    before = world.ids()
    report = await world.remover().remove(1, dry_run=True)
    assert (report.documents, report.records) == (SHARDS * PER_SHARD + 1, 2)
    assert world.ids() == before
    assert sorted(await world.generations(2).recorded()) == [1, 2]


@pytest.mark.parametrize(
    ("number", "complete", "why"),
    [
        (2, True, "FLEET_GENERATION is 2"),
        (3, True, "FLEET_GENERATION is 2"),
        (1, False, "generation 2 has not counted everything"),
    ],
)
async def test_what_is_or_may_be_needed_is_refused(number: int, complete: bool, why: str) -> None:
    world = await filled(complete=complete)
    before = world.ids()
    with pytest.raises(GenerationNeededError, match=why):
        await world.remover().remove(number)
    assert world.ids() == before


async def test_a_removed_generation_is_not_removed_twice() -> None:
    world = await filled()
    await world.remover().remove(1)
    with pytest.raises(GenerationNeededError, match="not recorded: it never began, or it has been removed"):
        await world.remover().remove(1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 10))
async def test_a_removal_that_dies_at_any_piece_is_finished_by_the_next(at: int, when: str) -> None:
    world = await filled()
    before, own = world.ids(), world.of(1)
    left = at

    def die(operation: str, moment: str) -> None:
        nonlocal left
        if operation in ("batch", "delete") and moment == when:
            left -= 1
            if left == 0:
                raise Killed

    world.state.fault = world.fleet_state.fault = die
    with pytest.raises(Killed):
        await world.remover().remove(1)
    assert 1 in await world.generations(2).recorded()
    await world.remover().remove(1)
    assert world.ids() == before - own


async def test_two_removals_at_once_share_the_work() -> None:
    world = await filled()
    before, own = world.ids(), world.of(1)
    await asyncio.gather(world.remover().remove(1), world.remover().remove(1))
    assert world.ids() == before - own


def stamped(document: dict[str, Any], write: int) -> dict[str, Any]:
    return document | {"_ts": 1_756_720_000 + write, "_lsn": write, "_etag": f'"{write}"'}


async def answer(world: Fleets, fleet: Fleet, write: int, *, consents: bool) -> None:
    """Write a version of the person's account, and deliver it. Then the account is deleted."""
    users = world.containers["users"]
    await users.upsert_item({"id": "user_ann", "user_id": "ann", "analytics_consent": consents})
    await fleet.ingest.ingest_batch("users", [users.items["ann", "user_ann"] | {"_lsn": write}])
    await users.delete_item("user_ann", "ann")


async def person_of_second(known: str | None, *, consents_again: bool = False) -> tuple[Fleets, int]:
    """Remove the first generation, in which a person refused whose account was deleted since.

    Parameters
    ----------
    known
        What the second generation has of the person before the refusal: a visit, the account's consent, or
        nothing.
    """
    world = Fleets()
    visit = stamped(interaction(1, "2025-09-01T10:00:00Z"), 1)
    await (await world.fleet()).generations.begin()
    world.settings = Settings(FLEET_SHARDS=2, FLEET_GENERATION=2)
    second = await world.fleet()
    if known == "visit":
        await second.ingest.ingest_batch("user_interactions", [visit])
    if known == "account":
        await answer(world, second, 2, consents=True)
    world.settings = Settings(FLEET_SHARDS=2)
    first = await world.fleet()
    await answer(world, first, 3, consents=False)
    world.settings = Settings(FLEET_SHARDS=2, FLEET_GENERATION=2)
    second = await world.fleet()
    await second.generations.complete()
    if consents_again:
        await answer(world, second, 4, consents=True)
    before = len([each for each in world.state.items.values() if each["shard"].startswith("2:")])
    await second.remover.remove(1, dry_run=True)
    assert len([each for each in world.state.items.values() if each["shard"].startswith("2:")]) == before
    await second.remover.remove(1)
    second = await world.fleet()
    await second.ingest.ingest_batch(
        "user_interactions", [stamped(interaction(2, "2025-09-01T09:00:00Z"), 9)]
    )
    state = [each for each in world.state.items.values() if each["shard"].startswith("2:")]
    await second.publisher.publish(state)
    return world, len(state)


@pytest.mark.parametrize("known", [None, "visit", "account"])
async def test_refusals_of_the_removed_generation_stay_known(known: str | None) -> None:
    world, documents = await person_of_second(known)
    assert documents
    assert not world.documents("user_analytics")


@pytest.mark.parametrize("known", [None, "visit", "account"])
async def test_a_newer_consent_outlives_the_removal(known: str | None) -> None:
    world, _ = await person_of_second(known, consents_again=True)
    assert world.documents("user_analytics")
