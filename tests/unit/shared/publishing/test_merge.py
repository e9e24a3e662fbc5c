"""Merging: what is remembered between two merges is bounded, and changes no figure."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId
from shared.publishing.merge import StateMerger
from shared.settings import Settings
from tests.fakes import FakeContainer

DAYS = [PartialKey("day", f"2025-08-{number:02d}") for number in range(1, 31)]


async def _count(container: Any, target: PartialKey, revision: int) -> None:
    for shard in range(4):
        state = Tally({"minutes": {str(minute): revision for minute in range(50)}})
        partial = Partial(ShardId(f"1:{shard:04d}"), target, revision, state)
        await container.upsert_item(partial.encode())


@pytest.mark.parametrize("room", [0, 100_000, 10_000_000])
async def test_it_remembers_what_there_is_room_for_and_shows_the_same(room: int) -> None:
    container: Any = FakeContainer()
    merger = StateMerger(container, Settings(FLEET_MERGE_BYTES=room))
    for target in DAYS:
        await _count(container, target, 1)
    one = sum(m.weight for m in (await merger.read_merged(DAYS[:1])).values())
    for revision in (1, 2):
        await _count(container, DAYS[3], revision)
        merges = await merger.read_merged(DAYS)
        assert merges[DAYS[3]].state().counts("minutes") == {
            str(minute): 4 * revision for minute in range(50)
        }
        assert merges[DAYS[4]].state().counts("minutes") == {str(minute): 4 for minute in range(50)}
        assert sum(merge.weight for merge in merger._merged.values()) <= room
    assert len(merger._merged) == min(len(DAYS), room // one)
