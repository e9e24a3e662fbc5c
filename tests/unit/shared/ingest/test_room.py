"""States without room: what does not fit goes to poison alone, and everybody else is counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from shared.aggregates import AGGREGATES
from shared.ingest.batch import Ingest
from shared.ledger.apply import ShardWriter
from shared.ledger.changes import Verdict
from shared.ledger.state import decode_state
from shared.ledger.store import ShardStore
from tests.fakes import FakeContainer
from tests.long_names import long_name
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.ingest.test_batch import CLOCK, Database, no_records

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

BATCH, BATCHES = 1_000, 2
Document = dict[str, Any]


class Flood(Database):
    """One shard, and an instance that ingests into it."""

    def __init__(self) -> None:
        super().__init__()
        self.state: FakeContainer = self.containers["view_state"]
        store = ShardStore(self.state, cache_bytes=100_000_000)  # type: ignore[arg-type]
        writer = ShardWriter(store, no_records, clock=CLOCK)
        self.instance: Ingest = self.ingest(set(), ValueError(), writer=writer, shards=1)

    async def deliver(self, documents: Iterable[Document]) -> dict[Verdict, int]:
        """Ingest documents in batches; return how many have each verdict."""
        verdicts: dict[Verdict, int] = {}
        batch: list[Document] = []
        commits = 0
        for document in documents:
            batch.append(document)
            if len(batch) == BATCH:
                report = await self.instance.ingest_batch("user_interactions", batch)
                commits += report.folded.commits
                for verdict, number in report.folded.verdicts.items():
                    verdicts[verdict] = verdicts.get(verdict, 0) + number
                batch = []
        assert not batch
        assert commits < sum(verdicts.values()) / 50  # no fold for each document that has no room
        return verdicts

    def assert_within_limits(self) -> None:
        for item in self.state.items.values():
            if item["kind"] == "partial":
                assert decode_state(item).weight <= AGGREGATES[item["aggregate"]].max_bytes


def interaction(number: int, user_id: str, day: str = "2025-08-05", **change: Any) -> Document:
    return {
        "id": f"i{number}", "user_id": user_id, "session_id": f"session-{number}",
        "timestamp": f"{day}T{number % 24:02d}:00:00Z", "_ts": 1_754_500_000, "_lsn": number,
        "_etag": f'"{number}"', **change,
    }  # fmt: skip


async def test_a_person_with_thousands_of_interactions_on_a_day_is_full_and_neighbours_are_counted() -> None:
    flood = Flood()
    documents = [
        interaction(number, f"neighbour{number % 7}" if number % 100 == 0 else "ana")
        | {"foundational_texts_used": [{"source": f"t{number}", "chapter": "1", "verse": str(number)}]}
        for number in range(BATCHES * BATCH)
    ]
    verdicts = await flood.deliver(documents)
    neighbours = BATCHES * BATCH // 100
    assert verdicts.keys() == {Verdict.ADDED, Verdict.FULL}
    assert verdicts[Verdict.ADDED] > 1_000
    assert {f"i{number}" for number in range(0, BATCHES * BATCH, 100)} <= flood.counted()
    assert len(flood.counted()) == verdicts[Verdict.ADDED] > neighbours
    (row,) = flood.poison
    assert (row["source_partition_key"], row["document_id"]) == ("ana", "full|202508")
    assert (row["error_type"], row["attempts"]) == ("FullError", verdicts[Verdict.FULL])
    flood.assert_within_limits()
    # What is full stays as it is: the same documents again, and another month of the person.
    before = {key: item["_etag"] for key, item in flood.state.items.items()}
    again = await flood.deliver(documents[-BATCH:])
    assert again.keys() == {Verdict.SAME, Verdict.FULL}
    assert {key: item["_etag"] for key, item in flood.state.items.items()} == before
    september = interaction(99_999, "ana", "2025-08-06", timestamp="2025-07-31T00:00:00Z")
    report = await flood.instance.ingest_batch("user_interactions", [september])
    assert report.folded.verdicts == {Verdict.ADDED: 1}
    assert len(flood.poison) == 1


async def test_a_correction_that_does_not_fit_leaves_what_was_counted() -> None:
    flood = Flood()
    await flood.deliver(
        interaction(number, "ana") | {"foundational_texts_used": [{"source": f"t{number}"}]}
        for number in range(2 * BATCH)
    )
    counted = sorted(flood.counted(), key=lambda name: int(name[1:]))[0]
    larger = [{"source": long_name(n), "chapter": "1", "verse": "2"} for n in range(10, 20)]
    versions = [
        interaction(int(counted[1:]), "ana", foundational_texts_used=larger)
        | {"_lsn": 100_000 + n, "_etag": f'"later{n}"', "user_rating": n % 5 + 1}
        for n in range(2)
    ]
    before = len(flood.counted())
    for version in versions:
        report = await flood.instance.ingest_batch("user_interactions", [version])
        assert set(report.folded.verdicts) <= {Verdict.REPLACED, Verdict.FULL}
    assert len(flood.counted()) == before
    flood.assert_within_limits()


async def test_thousands_of_personas_on_a_day_crowd_out_documents_alone_and_other_days_are_counted() -> None:
    flood = Flood()
    documents = [
        interaction(number, f"person{number}")
        | {"response_metadata": {"personality_used": f"persona {number} " + "x" * 30}, "user_rating": 5}
        for number in range(BATCHES * BATCH)
    ]
    verdicts = await flood.deliver(documents)
    assert verdicts.keys() == {Verdict.ADDED, Verdict.CROWDED}
    assert len(flood.counted()) == verdicts[Verdict.ADDED] > 500
    rows = {row["document_id"] for row in flood.poison}
    assert len(rows) == len(flood.poison) == verdicts[Verdict.CROWDED]
    assert rows.isdisjoint(flood.counted())
    flood.assert_within_limits()
    tomorrow = [interaction(20_000 + number, f"person{number}", "2025-08-04") for number in range(10)]
    report = await flood.instance.ingest_batch("user_interactions", tomorrow)
    assert report.folded.verdicts == {Verdict.ADDED: 10}


async def test_a_day_full_of_names_counts_documents_with_known_names_in_all_hours_and_minutes() -> None:
    flood = Flood()
    personas = [long_name(number) for number in range(BATCH)]

    def spoken(number: int, user_id: str, persona: str, time: str, milliseconds: int) -> Document:
        return interaction(number, user_id) | {
            "response_metadata": {"personality_used": persona},
            "timestamp": f"2025-08-05T{time}:00Z",
            "response_time_ms": milliseconds,
        }

    verdicts = await flood.deliver(
        spoken(number, f"flood{number % 40}", persona, "03:00", 1_000)
        for number, persona in enumerate(personas)
    )
    assert verdicts[Verdict.CROWDED] > 100
    verdicts = await flood.deliver(
        spoken(BATCH + number, "neighbour", personas[1], f"{number % 24:02d}:{number % 60:02d}", 37 * number)
        for number in range(BATCH)
    )
    assert verdicts == {Verdict.ADDED: BATCH}
    flood.assert_within_limits()
