"""The memory of remembered documents, by which caches keep their limits."""

from __future__ import annotations

import json
import tracemalloc
from collections import defaultdict
from datetime import date

from local.seed.database import database_writes
from local.seed.traffic import TrafficPlan
from shared.ingest.sources import SOURCES
from shared.ledger.sizes import memory_of
from shared.ledger.state import Loaded, decode_state
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


async def test_a_remembered_document_takes_no_more_memory_than_is_estimated() -> None:
    kinds = await stored_state()
    assert kinds.keys() == {"ledger", "person", "person_month", "day", "incident_month"}
    for kind, texts in kinds.items():
        texts = (texts * (100 // len(texts) + 1))[:200]  # few documents would not outweigh what is made once
        tracemalloc.start()
        remembered = dict[tuple[str, str], Loaded]()
        for number, text in enumerate(texts):
            document = json.loads(text)
            loaded = Loaded(decode_state(document), document["_etag"])
            remembered[document["shard"], f"{document['id']}|{number}"] = loaded
            del document
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        estimated = sum(memory_of(loaded.document.weight) for loaded in remembered.values())
        assert 0.5 * estimated < taken <= estimated, kind
