"""Failures of a batch: a document's own, everybody's, and those on the way to poison."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from typing import Any

import pytest
import structlog.testing
from azure.core.exceptions import ServiceResponseError
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.person_record import PersonRecord
from shared.errors import ConflictError, MassFailureError, TooLargeError
from shared.ingest.batch import MASS_FAILURE_MINIMUM, Ingest
from shared.ledger.apply import FoldResult, ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.pages import Page
from shared.ledger.people_register import PeopleRegister
from shared.ledger.shards import ShardId
from shared.ledger.store import ShardStore
from shared.poison.rows import Status
from shared.poison.store import PoisonStore
from shared.pricing.table import PriceTable, list_prices
from shared.settings import Settings
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.unit.shared.world import World


class Prices:
    """The list prices.

    Parameters
    ----------
    outages
        What each request raises, in order; None, and every later request, is answered.
    """

    def __init__(self, *outages: Exception | None) -> None:
        self.outages = list(outages)

    async def table(self) -> PriceTable:
        outage = self.outages.pop(0) if self.outages else None
        if outage is not None:
            raise outage
        return PriceTable(list_prices())


CLOCK = FakeClock(lambda: 1_754_400_000)
"""2025-08-05T13:20:00Z"""


async def no_records(_: Collection[str]) -> dict[str, PersonRecord]:
    return {}


class FailingWriter(ShardWriter):
    """Folds into a fake, and fails for the people it is told to."""

    def __init__(self, container: FakeContainer, fails_for: set[str], error: Exception) -> None:
        super().__init__(
            ShardStore(container, cache_bytes=1_000_000),  # type: ignore[arg-type]
            no_records,
            clock=CLOCK,
        )
        self.fails_for = fails_for
        self.error = error

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        if any(change.user_id in self.fails_for for change in changes):
            raise self.error
        return await super().apply(shard, source, changes, result)


class FailingInTurn(ShardWriter):
    """Raises the given errors, one in each call, and then folds into a fake."""

    def __init__(self, container: FakeContainer, *errors: Exception) -> None:
        super().__init__(
            ShardStore(container, cache_bytes=1_000_000),  # type: ignore[arg-type]
            no_records,
            clock=CLOCK,
        )
        self.errors = list(errors)

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        if self.errors:
            raise self.errors.pop(0)
        return await super().apply(shard, source, changes, result)


class Database:
    def __init__(self) -> None:
        self.containers = {
            "view_state": FakeContainer(),
            "poison_messages": FakeContainer("partition_key"),
            "user_interactions": FakeContainer("user_id"),
            "fleet_state": FakeContainer("scope"),
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    @property
    def poison(self) -> list[dict[str, Any]]:
        return list(self.containers["poison_messages"].items.values())

    def counted(self) -> set[str]:
        """Return the ids of the documents in the ledger."""
        state = self.containers["view_state"].items.values()
        pages = [Page.decode(item) for item in state if item["kind"] == "ledger"]
        return {document_id for page in pages for _, document_id, _ in page}

    def ingest(
        self,
        fails_for: set[str],
        error: Exception,
        *,
        writer: ShardWriter | None = None,
        prices: Prices | None = None,
        backoff: float = 0.0,
        shards: int = 4,
    ) -> Ingest:
        return Ingest(
            database=self,  # type: ignore[arg-type]
            writer=writer or FailingWriter(self.containers["view_state"], fails_for, error),
            prices=prices or Prices(),  # type: ignore[arg-type]
            poison=PoisonStore(self.get_container_client("poison_messages")),
            register=PeopleRegister(self.get_container_client("fleet_state"), Settings().key_ring()),
            settings=Settings(document_backoff_seconds=backoff, shards=shards),
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
    with pytest.raises(MassFailureError, match="5 of 9 documents failed: ValueError in") as caught:
        await ingest.ingest_batch("user_interactions", batch)
    assert "an error of ours" not in "".join(traceback.format_exception(caught.value))
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
    ingest._writer = ingest._folding._writer = HalfWay(
        database.containers["view_state"], set(), ValueError("half way")
    )
    batch = [interaction(n, user_id="person-0") for n in range(2)]
    report = await ingest.ingest_batch("user_interactions", batch)
    assert report.folded.verdicts == {Verdict.ADDED: 2, Verdict.SAME: 1}
    assert report.poisoned == []


def unavailable() -> CosmosHttpResponseError:
    return CosmosHttpResponseError(status_code=503, message="try later")


@pytest.mark.parametrize("outage", [unavailable(), ServiceResponseError("reset"), ConflictError("changed")])
async def test_an_outage_while_a_document_is_retried_is_raised_and_poisons_nothing(outage: Exception) -> None:
    database, batch = Database(), [interaction(1)]
    writer = FailingInTurn(database.containers["view_state"], ValueError("no"), outage)
    ingest = database.ingest(set(), ValueError(), writer=writer)
    with pytest.raises(type(outage)):
        await ingest.ingest_batch("user_interactions", batch)
    assert database.poison == []
    report = await ingest.ingest_batch("user_interactions", batch)
    assert (report.counted, report.poisoned) == (1, [])


async def test_an_outage_of_the_fold_is_raised_when_the_other_documents_are_in_poison() -> None:
    database = Database()
    batch = [interaction(1), interaction(2, timestamp="never"), interaction(3, timestamp="never")]
    ingest = database.ingest({"person-1"}, unavailable(), backoff=0.01)
    with pytest.raises(CosmosHttpResponseError):
        await ingest.ingest_batch("user_interactions", [*batch])
    assert {row["document_id"] for row in database.poison} == {"i2", "i3"}


async def test_an_outage_of_a_retry_is_raised_when_the_other_documents_are_counted() -> None:
    database = Database()
    batch = [interaction(1), interaction(2), interaction(3, timestamp="never")]
    ingest = database.ingest(set(), ValueError(), prices=Prices(None, unavailable()))
    with pytest.raises(CosmosHttpResponseError):
        await ingest.ingest_batch("user_interactions", batch)
    assert database.counted() == {"i1", "i2"}
    assert database.poison == []


def row_of(database: Database) -> dict[str, Any]:
    (row,) = database.poison
    return {name: value for name, value in row.items() if name not in ("_ts", "_etag")}


@pytest.mark.parametrize("status", [Status.PENDING, Status.DISCARDED])
async def test_an_audit_leaves_the_row_of_an_unchanged_document_as_it_is(status: Status) -> None:
    database, batch = Database(), [interaction(1, timestamp="never"), interaction(2)]
    ingest = database.ingest(set(), ValueError())
    (row_id,) = (await ingest.ingest_batch("user_interactions", batch)).poisoned
    await ingest._poison.set_status(row_id, status, by="ann")
    before = row_of(database)
    with structlog.testing.capture_logs() as logged:
        report = await ingest.ingest_batch("user_interactions", batch, audited=True)
    assert (report.still_in_poison, report.poisoned, report.changed) == (1, [], 0)
    assert row_of(database) == before
    assert [entry["event"] for entry in logged if entry["log_level"] not in ("debug", "info")] == []
    assert {entry["event"] for entry in logged} == {"document_still_in_poison", "batch_folded"}


async def test_an_audit_finds_a_new_version_that_fails() -> None:
    database = Database()
    ingest = database.ingest(set(), ValueError())
    await ingest.ingest_batch("user_interactions", [interaction(1, timestamp="never")])
    again = interaction(1, timestamp="ever", _etag='"11"')
    report = await ingest.ingest_batch("user_interactions", [again], audited=True)
    assert (report.still_in_poison, len(report.poisoned)) == (0, 1)
    assert row_of(database)["source_etag"] == '"11"'


async def test_an_audit_uncounts_what_the_trigger_could_not() -> None:
    database = Database()
    bad = interaction(1, timestamp="never", _etag='"9"', _lsn=9)
    await database.ingest(set(), ValueError()).ingest_batch("user_interactions", [interaction(1)])
    await database.ingest({"person-1"}, TooLargeError()).ingest_batch("user_interactions", [bad])
    audited = await database.ingest(set(), ValueError()).ingest_batch(
        "user_interactions", [bad], audited=True
    )
    assert (audited.still_in_poison, audited.changed) == (1, 1)


async def test_an_audit_leaves_documents_that_the_fold_refuses_in_poison() -> None:
    database, batch = Database(), [interaction(1), interaction(2), interaction(3)]
    ingest = database.ingest({"person-1"}, ValueError("no"))
    await ingest.ingest_batch("user_interactions", batch)
    before = row_of(database)
    report = await ingest.ingest_batch("user_interactions", batch, audited=True)
    assert (report.still_in_poison, report.poisoned) == (1, [])
    assert row_of(database) == before


class Refusing(ShardWriter):
    """Finds no room for anything.

    Parameters
    ----------
    verdict
        Whose state has no room.
    """

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        result = FoldResult() if result is None else result
        result.refused += [(change, self._verdict) for change in changes]
        return result


@pytest.mark.parametrize(("verdict", "rows"), [(Verdict.FULL, 1), (Verdict.CROWDED, 3)])
async def test_an_audit_refuses_nothing_a_second_time(verdict: Verdict, rows: int) -> None:
    database = Database()
    ingest = database.ingest(set(), ValueError(), writer=Refusing(verdict))
    batch = [interaction(number, user_id="ana") for number in range(3)]
    await ingest.ingest_batch("user_interactions", batch)
    before = list(database.poison)
    assert len(before) == rows
    report = await ingest.ingest_batch("user_interactions", batch, audited=True)
    assert (report.still_in_poison, report.poisoned) == (3, [])
    assert database.poison == before


async def test_a_live_document_is_read_again_only_if_it_took_the_place_of_a_counted_one() -> None:
    database = Database()
    database.containers["user_interactions"] = FakeContainer("user_id", began=1_754_400_100)
    ingest = database.ingest(set(), ValueError())
    live = [interaction(number, _ts=1_754_399_000, _lsn=0, _etag=f'"live {number}"') for number in range(3)]
    await ingest.ingest_batch("user_interactions", [interaction(1, user_rating=5), live[2]])
    source = database.containers["user_interactions"]
    newer = interaction(1, user_rating=4, _etag="")
    await source.upsert_item(newer)  # written after the other was read
    report = await ingest.ingest_batch("user_interactions", live, live=True)
    assert report.folded.verdicts == {Verdict.ADDED: 1, Verdict.REPLACED: 2, Verdict.SAME: 1}
    assert source.requests.count("read") == 2  # the newer version, and that it is the newest
    pages = [
        Page.decode(i) for i in database.containers["view_state"].items.values() if i["kind"] == "ledger"
    ]
    (etag,) = {entry.version.etag for page in pages for _, name, entry in page if name == "i1"}
    assert etag == source.items["person-1", "i1"]["_etag"]


async def test_documents_of_an_erased_person_are_neither_counted_nor_poisoned() -> None:
    world = World()
    fleet = await world.fleet()
    await fleet.register.write_tombstone("ann")
    bad = interaction(1, user_id="ann") | {"timestamp": "no time"}
    report = await fleet.ingest.ingest_batch(
        "user_interactions", [bad, interaction(2, user_id="ann"), interaction(3, user_id="ben")]
    )
    assert report.folded.verdicts == {Verdict.ERASED: 2, Verdict.ADDED: 1}
    assert not report.poisoned
    assert not world.containers["poison_messages"].items
    assert "ann" not in repr(world.state.items)
    for source in ("user_sessions", "abuse_incidents", "users"):
        await fleet.ingest.ingest_batch(source, [{"id": "x", "user_id": "ann", "_ts": 1, "_etag": "x"}])
    assert not world.containers["poison_messages"].items
    assert "ann" not in repr(world.state.items)
