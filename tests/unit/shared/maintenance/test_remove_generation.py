"""Removing a generation: all of it, nothing else, and only when it is not needed any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.errors import GenerationNeededError
from shared.ledger.generations import Generations
from shared.maintenance.remove_generation import (
    DELETES_PER_TRANSACTION,
    GenerationRemover,
    is_of_generation,
)
from shared.settings import Settings
from tests.fakes import FakeContainer, Killed

SHARDS = 3
PER_SHARD = DELETES_PER_TRANSACTION + 4


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
                item = {"id": f"{kind}|{n}", "shard": f"{number}:{shard:04d}", "kind": kind}
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
