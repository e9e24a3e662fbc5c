"""Failures of a batch: a document's own, everybody's, and those on the way to poison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import structlog.testing

from shared.errors import TooLargeError
from shared.ingest.batch import MASS_FAILURE_MINIMUM, Ingest
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.shards import ShardId
from shared.ledger.store import ShardStore
from shared.poison.store import PoisonStore
from shared.pricing.table import PriceTable, list_prices
from shared.settings import Settings
from tests.fakes import FakeContainer


class Prices:
    async def table(self) -> PriceTable:
        return PriceTable(list_prices())


class FailingWriter(ShardWriter):
    """Folds into a fake, and fails for the people it is told to."""

    def __init__(self, container: FakeContainer, fails_for: set[str], error: Exception) -> None:
        super().__init__(ShardStore(container, cache_bytes=1_000_000))  # type: ignore[arg-type]
        self.fails_for = fails_for
        self.error = error

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        if any(change.user_id in self.fails_for for change in changes):
            raise self.error
        return await super().apply(shard, source, changes, result)


class Database:
    def __init__(self) -> None:
        self.containers = {
            "view_state": FakeContainer(),
            "poison_messages": FakeContainer("partition_key"),
            "user_interactions": FakeContainer("user_id"),
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    @property
    def poison(self) -> list[dict[str, Any]]:
        return list(self.containers["poison_messages"].items.values())

    def ingest(self, fails_for: set[str], error: Exception) -> Ingest:
        return Ingest(
            database=self,  # type: ignore[arg-type]
            writer=FailingWriter(self.containers["view_state"], fails_for, error),
            prices=Prices(),  # type: ignore[arg-type]
            poison=PoisonStore(self.get_container_client("poison_messages")),
            settings=Settings(document_backoff_seconds=0.0, shards=4),
        )


def interaction(number: int, **change: Any) -> dict[str, Any]:
    return {
        "id": f"i{number}",
        "user_id": f"person-{number}",
        "timestamp": "2025-08-05T13:00:00Z",
        "_ts": 1_754_400_000,
        "_lsn": number,
        "_etag": f'"{number}"',
        **change,
    }


async def test_what_only_some_documents_cannot_go_to_poison_and_the_rest_is_counted() -> None:
    database = Database()
    few = {f"person-{n}" for n in range(MASS_FAILURE_MINIMUM)}
    batch = [interaction(n) for n in range(3 * MASS_FAILURE_MINIMUM)]
    report = await database.ingest(few, ValueError("no")).ingest_batch("user_interactions", batch)
    assert report.counted == 2 * MASS_FAILURE_MINIMUM
    assert {row["document_id"] for row in database.poison} == {f"i{n}" for n in range(MASS_FAILURE_MINIMUM)}


async def test_what_most_of_a_batch_cannot_is_not_its_documents_fault() -> None:
    database = Database()
    most = {f"person-{n}" for n in range(MASS_FAILURE_MINIMUM)}
    batch = [interaction(n) for n in range(2 * MASS_FAILURE_MINIMUM - 1)]
    ingest = database.ingest(most, ValueError("an error of ours"))
    with pytest.raises(ValueError, match="an error of ours"):
        await ingest.ingest_batch("user_interactions", batch)
    assert database.poison == []


async def test_a_withdrawal_that_fails_does_not_keep_its_document_out_of_poison() -> None:
    database = Database()
    bad = interaction(1, timestamp="never")
    with structlog.testing.capture_logs() as logged:
        report = await database.ingest({"person-1"}, TooLargeError("ann's words")).ingest_batch(
            "user_interactions", [bad]
        )
    (said,) = [entry for entry in logged if entry["event"] == "withdrawal_failed"]
    assert (said["error_type"], said["where"].partition(":")[0]) == ("TooLargeError", "test_batch.py")
    assert "ann's words" not in str(logged)
    assert len(report.poisoned) == len(database.poison) == 1
    assert database.poison[0]["error_field"] == "timestamp"


class HalfWay(FailingWriter):
    """Commits the first of several changes, and then fails."""

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        result = await super().apply(shard, source, changes[:1], result)
        if len(changes) > 1:
            raise self.error
        return result


async def test_what_was_committed_before_an_error_is_reported() -> None:
    database = Database()
    ingest = database.ingest(set(), ValueError())
    ingest._writer = HalfWay(database.containers["view_state"], set(), ValueError("half way"))
    batch = [interaction(n, user_id="person-0") for n in range(2)]
    report = await ingest.ingest_batch("user_interactions", batch)
    assert report.folded.verdicts == {Verdict.ADDED: 2, Verdict.SAME: 1}
    assert report.poisoned == []
