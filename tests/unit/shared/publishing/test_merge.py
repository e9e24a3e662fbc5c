"""Merging: what is remembered between two merges is bounded, and changes no figure."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.clock import REPLICA_LAG_SECONDS
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId, shard_of
from shared.publishing.merge import StateMerger
from shared.publishing.merged_state import MergedState, StoredPartial
from shared.settings import Settings
from tests.fakes import FakeContainer

DAYS = [PartialKey("day", f"2025-08-{number:02d}") for number in range(1, 31)]


async def _count(container: Any, target: PartialKey, revision: int) -> None:
    for shard in range(4):
        state = Tally.decode({"counts": {"minutes": {str(minute): revision for minute in range(50)}}})
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


async def test_a_state_is_read_once_completely_and_then_as_far_as_it_changed() -> None:
    container: Any = FakeContainer()
    merger = StateMerger(container, Settings())
    await _count(container, DAYS[0], 1)
    container.requests.clear()
    for _ in range(2):
        await merger.read_merged(DAYS[:1])
        assert container.requests == ["query"]
        container.requests.clear()
    await merger.read_merged(DAYS[:2])  # one that is remembered, and one that is not
    assert container.requests == ["query", "query"]


@pytest.mark.parametrize("lag", [0, 1, REPLICA_LAG_SECONDS])
async def test_what_a_replica_that_lagged_had_not_seen_is_read_the_next_time(lag: int) -> None:
    container: Any = FakeContainer(began=1000)
    merger = StateMerger(container, Settings())
    await _count(container, DAYS[0], 1)
    key, unseen = container.items.popitem()
    container.write_from(unseen["_ts"] + lag)
    await container.upsert_item(Partial(ShardId("1:0000"), DAYS[1], 1, Tally()).encode())
    for target, revision in ((DAYS[1], 1), (DAYS[0], 3)):  # the newest known write is that of the first
        assert (await merger.read_merged([target]))[target].revision == revision
    container.items[key] = unseen
    assert (await merger.read_merged(DAYS[:1]))[DAYS[0]].revision == 4


async def test_an_older_partial_never_replaces_a_newer_one() -> None:
    state = MergedState()
    for revision in (2, 3, 1):
        partial = Partial(ShardId("1:0000"), DAYS[0], revision, Tally.decode({"sums": {"n": revision}}))
        state.add(StoredPartial(partial, written=revision))
    assert (state.revision, state.state().total("n"), state.newest_at.timestamp()) == (3, 3, 3)
    assert (state.revision_until(2), state.revision_until(3)) == (0, 3)


async def test_states_of_people_are_read_by_one_query_per_shard() -> None:
    container: Any = FakeContainer()
    settings = Settings()
    merger = StateMerger(container, settings)
    months = [PartialKey("person_month", f"2025{month:02d}|ann") for month in range(1, 4)]
    shard = shard_of("ann", shards=settings.shards, generation=1)
    for number, target in enumerate(months, start=1):
        partial = Partial(shard, target, 1, Tally.decode({"sums": {"n": number}}))
        await container.upsert_item(partial.encode())
    container.requests.clear()
    states = await merger.read_owned(months)
    assert [states[target].state().total("n") for target in months] == [1, 2, 3]
    assert container.requests == ["query"]
    with pytest.raises(ValueError, match="is not one person's"):
        await merger.read_owned(DAYS[:1])
