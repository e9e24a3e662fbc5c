"""The memory of caches, which keep their limits by what they count."""

from __future__ import annotations

import json
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from local.seed.database import database_writes
from local.seed.traffic import TrafficPlan
from shared.aggregates.base import PartialKey
from shared.ingest.sources import SOURCES
from shared.ledger.store import StateCache, _decoded
from shared.publishing.merged_state import MergedState, StoredPartial
from tests.fakes import FakeContainer
from tests.unit.shared.delivery import Instance

PLAN = TrafficPlan(users=120, interactions=250, days=1, seed=7, until=date(2025, 10, 8), malformed_share=0)


async def stored_state() -> dict[str, list[str]]:
    """Return the documents that sample traffic leaves in ``view_state``, as JSON by kind."""
    state = FakeContainer()
    instance = Instance(state)
    batches: dict[str, list[dict[str, object]]] = defaultdict(list)
    for number, write in enumerate(database_writes(PLAN)):
        if write.container in SOURCES:
            stamp = {"_ts": 1_759_900_000 + number, "_lsn": number, "_etag": f'"{number:036}"'}
            batches[write.container].append(write.document | stamp)
    for source, batch in batches.items():
        await instance.ingest(batch, SOURCES[source])
    kinds: dict[str, list[str]] = defaultdict(list)
    for item in state.items.values():
        kinds[item.get("aggregate", item["kind"])].append(json.dumps(item))
    return kinds


async def test_a_cache_takes_no_more_memory_than_it_counts() -> None:
    kinds = await stored_state()
    assert kinds.keys() == {"ledger", "person", "person_month", "day", "incident_month"}
    for kind, texts in kinds.items():
        cache = StateCache(1_000_000_000)
        with traced_memory() as taken:
            for number, document in enumerate(decoded(texts)):
                cache.put(document["shard"], f"{document['id']}|{number}", _decoded(document))
        assert 0.4 * cache._bytes < taken() <= cache._bytes, kind


async def test_merged_states_take_no_more_memory_than_they_count() -> None:
    kinds = await stored_state()
    for kind in kinds.keys() - {"ledger"}:
        merged: dict[PartialKey, MergedState] = {}
        with traced_memory() as taken:
            for number, document in enumerate(decoded(kinds[kind])):
                stored = StoredPartial.decode(document)
                state = merged.setdefault(
                    PartialKey(kind, f"{stored.partial.target.key}|{number}"), MergedState()
                )
                state.add(stored)
        assert taken() <= sum(state.weight for state in merged.values()), kind


def decoded(texts: list[str]) -> Iterator[dict[str, Any]]:
    """Yield at least a hundred documents: few would not outweigh what is made once."""
    for text in (texts * (100 // len(texts) + 1))[:200]:
        yield json.loads(text)


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Trace a block; the result says how many bytes more are held after it."""
    taken = 0
    tracemalloc.start()
    try:
        yield lambda: taken
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
