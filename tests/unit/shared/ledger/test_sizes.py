"""One source document never needs more than one transaction may hold, whatever it says."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates import AGGREGATES, contributions
from shared.aggregates.base import PartialKey
from shared.aggregates.document_index import DocumentIndex
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.documents.common import MAX_IDENTIFIER_CHARACTERS
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS
from shared.ingest.sources import SOURCES
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.pages import Entry, Page, entry_size
from shared.ledger.partials import Partial
from shared.ledger.room import NAMES_SHARE, is_owned
from shared.ledger.sizes import (
    ENVELOPE_BYTES,
    MAX_ENTRY_BYTES,
    MAX_MOVED_INCIDENTS,
    MAX_OPERATIONS,
    MAX_PAGE_BYTES,
    PAGE_BYTES,
    RESERVE_BYTES,
)
from shared.ledger.state import decode_state
from shared.ledger.store import ShardStore
from shared.pricing.table import PriceTable, list_prices
from shared.units import EventHour
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.unit.shared.ledger.memory_shard import SHARD

TRANSACTION_BYTES = 1_900_000
"""What the documents of one transaction may have, out of the service's 2 MB for the request."""

PRICES = PriceTable(list_prices())
USER = "𑀩" * MAX_IDENTIFIER_CHARACTERS
NOW = datetime(2025, 9, 20, tzinfo=UTC)

LIMITS = {name: aggregate.max_bytes for name, aggregate in AGGREGATES.items()}

PAGES = 3
"""Pages that one entry changes at most: the one it leaves, a new part, and the first one of the hour."""


class TestConstants:
    """The inequality, from the limits alone."""

    # Before and after a correction: two months of a person, and of days at most those on which a session
    # starts and ends. The first day of a person who loses it or gets another is one more, but an interaction
    # has one day and not two.
    STATES = LIMITS["person"] + 2 * LIMITS["person_month"] + 4 * LIMITS["day"]

    def test_a_document_with_all_states_that_count_it_fits(self) -> None:
        assert PAGES * (ENVELOPE_BYTES + MAX_PAGE_BYTES) + self.STATES <= TRANSACTION_BYTES

    def test_an_incident_fits_with_the_months_of_two_texts(self) -> None:
        states = LIMITS["person"] + 2 * LIMITS["day"] + 2 * LIMITS["incident_month"]
        assert PAGES * (ENVELOPE_BYTES + MAX_PAGE_BYTES) + states <= TRANSACTION_BYTES

    def test_the_operations_of_a_document_and_of_the_incidents_that_follow_it_fit(self) -> None:
        document = PAGES + 1 + 2 + 4
        incident = PAGES + 2 + 1
        assert document + MAX_MOVED_INCIDENTS * incident <= MAX_OPERATIONS

    def test_a_page_that_accepts_an_entry_stays_below_the_limit(self) -> None:
        assert PAGE_BYTES + MAX_ENTRY_BYTES <= MAX_PAGE_BYTES


def raw(source: str, number: int, hour: int, rng: random.Random, document_id: str) -> dict[str, Any]:
    """Return the ``number``-th write of a document that is as large as its model accepts."""
    at = START + timedelta(hours=hour)

    def name() -> str:
        letter = chr(rng.randrange(0x11013, 0x11038))
        return f"{letter * 29}-{letter * 6}{rng.randrange(50):02d}"

    system = {"_ts": int(NOW.timestamp()), "_lsn": number, "_etag": f'"{number:0>36}"'}
    identity = {"id": document_id, "user_id": USER}
    if source == USER_SESSIONS:
        return identity | system | {
            "session_id": "𑀳" * MAX_IDENTIFIER_CHARACTERS, "start_time": at.isoformat(),
            "end_time": (at + timedelta(hours=23)).isoformat(), "duration_seconds": 82_800,
            "status": "completed", "interaction_count": 9_999, "user_satisfaction_rating": 4.999,
            "content_depth_score": 0.123456, "session_quality_score": 0.987654,
        }  # fmt: skip
    if source == ABUSE_INCIDENTS:
        return identity | system | {
            "interaction_id": INTERACTION, "created_at": at.isoformat(), "incident_type": "harassment",
            "severity": "critical", "auto_detected": True, "review_status": name(), "review_decision": "x",
            "flagged_content": {"violation_categories": [name() for _ in range(60)]},
            "actions_taken": [{"action_type": name()} for _ in range(60)],
            "resolution": {"resolution_timestamp": NOW.isoformat()},
        }  # fmt: skip
    return identity | system | {
        "session_id": "𑀳" * MAX_IDENTIFIER_CHARACTERS, "timestamp": at.isoformat(), "response_text": "…",
        "response_time_ms": 86_399_999, "processing_stages": {"content_retrieval_ms": 86_399_999},
        "query_metadata": {"query_complexity": name(), "query_category": name()},
        "response_metadata": {"personality_used": name(), "model_used": name()},
        "foundational_texts_used": [
            {"source": name(), "chapter": name(), "verse": name(), "relevance_score": rng.random()}
            for _ in range(60)
        ],
        "rag_metadata": {"chunks_retrieved": 9_999, "avg_relevance_score": 0.123456}, "user_rating": 5,
        "user_feedback": {"accurate": True},
        "cost_data": {"input_tokens": 9_999_999, "output_tokens": 9_999_999, "model_used": name()},
        "quality_metrics": {"response_relevance": 0.1, "citation_accuracy": 0.2, "safety_score": 0.3},
    }  # fmt: skip


INTERACTION = "interaction_" + "𑀓" * (MAX_IDENTIFIER_CHARACTERS - len("interaction_"))
DOCUMENTS = {
    USER_INTERACTIONS: [INTERACTION],
    USER_SESSIONS: ["𑀲" * MAX_IDENTIFIER_CHARACTERS],
    ABUSE_INCIDENTS: [f"{n}" + "𑀅" * (MAX_IDENTIFIER_CHARACTERS - 1) for n in range(6)],
}


def change_of(source: str, number: int, hour: int, rng: random.Random, document_id: str) -> Change:
    return SOURCES[source].to_change(raw(source, number, hour, rng, document_id), PRICES, False)


@given(source=st.sampled_from(sorted(DOCUMENTS)), seed=st.integers(0, 2**16))
def test_no_document_has_an_entry_above_the_limit(source: str, seed: int) -> None:
    change = change_of(source, 10**15, 0, random.Random(seed), DOCUMENTS[source][0])
    stored = Entry(change.version, change.fact).encode()
    assert entry_size(USER, change.document_id, stored) <= MAX_ENTRY_BYTES


@given(source=st.sampled_from(sorted(DOCUMENTS)), seed=st.integers(0, 2**16))
def test_no_document_adds_more_to_a_state_than_the_room_that_is_reserved(source: str, seed: int) -> None:
    change = change_of(source, 1, 0, random.Random(seed), DOCUMENTS[source][0])
    for target, added in contributions(change.fact).deltas.items():
        assert added.weight <= RESERVE_BYTES, target


class Measured(FakeContainer):
    """Holds that every transaction, and every state in it, keeps its limits."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        """Bytes of the largest transaction."""

    async def execute_item_batch(
        self, operations: list[tuple[Any, ...]], partition_key: str, **options: Any
    ) -> list[dict[str, Any]]:
        bodies = [operation[1][-1] for operation in operations]
        sizes = [len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()) for body in bodies]
        assert len(bodies) <= MAX_OPERATIONS
        assert sum(sizes) <= TRANSACTION_BYTES
        self.largest = max(self.largest, sum(sizes))
        for body, size in zip(bodies, sizes, strict=True):
            document = decode_state(body)
            assert size <= document.weight, body["id"]
            if isinstance(document, Partial):
                assert document.weight <= LIMITS[document.target.aggregate]
            else:
                assert document.size <= MAX_PAGE_BYTES
        return await super().execute_item_batch(operations, partition_key, **options)


START = datetime(2025, 8, 31, tzinfo=UTC)
HOURS = [0, 1, 23, 24, 48]
"""From 2025-08-31T00 on: two months, and three days with those on which sessions end."""


@cache
def full_shard(room: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a shard whose states and pages have room for some bytes more, and its pages for one entry."""
    pages: list[Page] = []
    for source in DOCUMENTS:
        for hour in HOURS:
            page = Page(SHARD, source, EventHour(f"{START + timedelta(hours=hour):%Y-%m-%dT%H}"), revision=1)
            for number in count():
                if page.full:
                    break
                change = change_of(source, number, hour, random.Random(number), f"x{number}")
                page.put("neighbour", change.document_id, Entry(change.version, change.fact))
            page.remove("neighbour", "x0")
            pages.append(page)
    documents: list[Partial | Page] = [*pages]
    for day in ("2025-08-30", "2025-08-31", *(f"2025-09-0{number}" for number in (1, 2, 3))):
        listed = {page.name: page.revision for page in pages if page.hour.startswith(day)}
        partial = Partial(SHARD, PartialKey("day", day), 1, pages=listed)
        fill(partial, partial.state, "persona_requests", room)
        documents.append(partial)
    for month in ("202508", "202509"):
        partial = Partial(SHARD, PartialKey("person_month", f"{month}|{USER}"), 1)
        fill(partial, partial.state.part("05"), "passages", room)
        documents.append(partial)
    record = PersonRecord()
    partial = Partial(SHARD, PartialKey("person", USER), 1, record=record)
    tokens = (LIMITS["person"] - room - partial._measure() - 100) // 6
    record.index = DocumentIndex.decode({f"{USER_SESSIONS}|202507": "zzzz--" * tokens})
    documents.append(partial)
    container = FakeContainer()
    for document in documents:
        container._store(document.encode())
    return container.items


def fill(partial: Partial, state: Tally, group: str, room: int) -> None:
    """Count names in a group until a partial has room for some bytes more."""
    limit = LIMITS[partial.target.aggregate] * (1 if is_owned(partial.target) else NAMES_SHARE)
    missing = int(limit) - room - partial._measure()
    for number in range(missing // 70):
        state.count(group, f"{number:0>60}")


async def no_records(_: Collection[str]) -> dict[str, PersonRecord]:
    return {}


def writer_on(container: FakeContainer) -> ShardWriter:
    return ShardWriter(
        ShardStore(container, cache_bytes=50_000_000),  # type: ignore[arg-type]
        no_records,
        clock=FakeClock(lambda: NOW),
    )


every_document = st.sampled_from([(source, name) for source, names in DOCUMENTS.items() for name in names])


@settings(max_examples=25, deadline=None)
@given(
    versions=st.lists(st.tuples(every_document, st.sampled_from(HOURS)), min_size=2, max_size=8),
    room=st.sampled_from([RESERVE_BYTES // 2, RESERVE_BYTES + 500, 3 * RESERVE_BYTES]),
    seed=st.integers(0, 2**16),
)
def test_the_largest_documents_in_the_fullest_shard_keep_all_limits_whatever_is_corrected(
    versions: list[tuple[tuple[str, str], int]], room: int, seed: int
) -> None:
    asyncio.run(deliver(versions, room, random.Random(seed)))


async def deliver(versions: list[tuple[tuple[str, str], int]], room: int, rng: random.Random) -> Measured:
    container = Measured()
    container.items = dict(full_shard(room))
    writer, outcome = writer_on(container), FoldResult()
    for number, ((source, name), hour) in enumerate(versions, 1):
        await writer.apply(SHARD, source, [change_of(source, number, hour, rng, name)], outcome)
    assert set(outcome.verdicts) <= {Verdict.ADDED, Verdict.REPLACED, Verdict.FULL, Verdict.CROWDED}
    return container


async def test_the_limits_are_reached_and_incidents_follow_their_interaction() -> None:
    names = DOCUMENTS[ABUSE_INCIDENTS]
    incidents = [((ABUSE_INCIDENTS, name), hour) for name, hour in zip(names, (*HOURS, 24), strict=True)]
    interaction = (USER_INTERACTIONS, INTERACTION)
    moved = [*incidents, (interaction, 0), (interaction, 48), (interaction, 24)]
    container = await deliver(moved, 3 * RESERVE_BYTES, random.Random(1))
    assert container.largest > 1_000_000
    texts = {
        item["key"]: item["state"]["sums"]["incidents"]
        for item in container.items.values()
        if item.get("aggregate") == "incident_month" and item["state"]
    }
    assert sum(texts.values()) == len(incidents)
    assert not any(key.endswith("unattributed") for key in texts)
