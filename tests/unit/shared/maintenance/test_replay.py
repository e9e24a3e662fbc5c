"""Replay: the live document is counted, or its copy if it is gone; a failure leaves the row pending."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest
import structlog

from shared.errors import FullError, PoisonNotFoundError, ReplayError
from shared.facts import USER_INTERACTIONS
from shared.fleet.wiring import Fleet
from shared.ledger.apply import ShardWriter
from shared.poison.rows import MAX_ROW_BYTES
from tests.unit.shared.world import World, interaction

BAD = interaction(1, "2025-09-12T10:00:00Z", user_rating=9)


class Source:
    """Documents of ``user_interactions``, and the fleet that they are delivered to."""

    def __init__(self, fleet: Fleet, world: World) -> None:
        self.fleet = fleet
        self.world = world
        self.container = world.containers[USER_INTERACTIONS]

    async def write(self, document: dict[str, Any]) -> dict[str, Any]:
        """Store a document; return it as the feed delivers it."""
        stored: dict[str, Any] = await self.container.upsert_item(document)
        return stored | {"_lsn": stored["_ts"]}

    async def fail(self, document: dict[str, Any] = BAD) -> str:
        """Store and deliver a document that goes to poison; return the id of its row."""
        report = await self.fleet.ingest.ingest_batch(USER_INTERACTIONS, [await self.write(document)])
        (row_id,) = report.poisoned
        return row_id

    async def status(self, row_id: str) -> str:
        return str((await self.fleet.poison.get(row_id))["status"])

    def counted(self) -> int:
        """Return the number of counted interactions."""
        return sum(
            state.get("sums", {}).get("interactions", 0)
            for name, state in self.world.states().items()
            if "partial|day|" in name
        )


@pytest.fixture
async def source() -> Source:
    world = World()
    return Source(await world.fleet(), world)


async def test_the_corrected_document_is_counted_and_its_row_marked(source: Source) -> None:
    row_id = await source.fail()
    await source.write(BAD | {"user_rating": 4})
    row = await source.fleet.replayer.replay(row_id, by="me")
    assert (row["status"], row["status_changed_by"], row["requires_manual_review"]) == (
        "replayed",
        "me",
        False,
    )
    assert await source.status(row_id) == "replayed"
    assert source.counted() == 1


async def test_a_document_that_fails_again_stays_pending(source: Source) -> None:
    row_id = await source.fail()
    with (
        structlog.testing.capture_logs() as logged,
        pytest.raises(ReplayError, match="failed again: user_rating is 9"),
    ):
        await source.fleet.replayer.replay(row_id, by="me")
    assert [entry["event"] for entry in logged if entry["log_level"] not in ("debug", "info")] == []
    assert await source.status(row_id) == "pending"
    assert source.counted() == 0


async def test_a_document_that_is_gone_stays_gone_unless_its_copy_is_asked_for(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ValueError("an error of ours")

    with monkeypatch.context() as broken:
        broken.setattr(ShardWriter, "apply", fail)
        row_id = await source.fail(BAD | {"user_rating": 4})
    source.container.items.clear()
    with pytest.raises(ReplayError, match="no longer exists at its source"):
        await source.fleet.replayer.replay(row_id, by="me")
    assert (await source.status(row_id), source.counted()) == ("pending", 0)
    row = await source.fleet.replayer.replay(row_id, by="me", stored_copy=True)
    assert row["status"] == "replayed"
    assert source.counted() == 1


async def test_a_replayed_row_is_not_replayed_again(source: Source) -> None:
    row_id = await source.fail()
    await source.write(BAD | {"user_rating": 4})
    replayed = await source.fleet.replayer.replay(row_id, by="the day shift")
    with pytest.raises(ReplayError, match=r"already replayed by the day shift at \d{4}-"):
        await source.fleet.replayer.replay(row_id, by="me")
    assert await source.fleet.poison.get(row_id) == replayed | {"_etag": ANY, "_ts": ANY}


async def test_an_erased_document_does_not_return(source: Source) -> None:
    row_id = await source.fail()
    source.container.items.clear()
    with pytest.raises(ReplayError, match="no longer exists"):
        await source.fleet.replayer.replay(row_id, by="me")
    assert source.counted() == 0


async def test_a_row_that_stands_for_several_documents_is_refused_and_stays_as_it_is(source: Source) -> None:
    row_id = await source.fleet.poison.record(
        source=USER_INTERACTIONS,
        handler="fold_interactions",
        document={"id": "full|202509", "user_id": "ann"},
        error=FullError("the person's month 202509"),
        attempts=7,
    )
    before = await source.fleet.poison.get(row_id)
    with pytest.raises(ReplayError, match="no room for"):
        await source.fleet.replayer.replay(row_id, by="me")
    assert await source.fleet.poison.get(row_id) == before
    assert source.world.state.items == {}


async def test_a_copy_that_is_cut_is_not_counted(source: Source) -> None:
    row_id = await source.fail(BAD | {"sequence_number": [0.5] * MAX_ROW_BYTES})
    source.container.items.clear()
    with pytest.raises(ReplayError, match="the document is gone, and its stored copy is cut"):
        await source.fleet.replayer.replay(row_id, by="me", stored_copy=True)
    assert await source.status(row_id) == "pending"


async def test_a_copy_that_is_older_than_the_counted_version_is_refused(source: Source) -> None:
    row_id = await source.fail()
    good = await source.write(BAD | {"user_rating": 4})
    await source.fleet.ingest.ingest_batch(USER_INTERACTIONS, [good])
    row = source.world.containers["poison_messages"].items["poison_messages", row_id]
    row["original_document"]["user_rating"] = 3
    source.container.items.clear()
    with pytest.raises(ReplayError, match="a newer version of the document was counted"):
        await source.fleet.replayer.replay(row_id, by="me", stored_copy=True)
    assert await source.status(row_id) == "pending"


async def test_a_row_of_a_source_that_is_not_read_is_refused(source: Source) -> None:
    row_id = await source.fleet.poison.record(
        source="retired", handler="fold_retired", document=BAD, error=ValueError("no"), attempts=1
    )
    with pytest.raises(ReplayError, match="comes from 'retired': this release does not read that"):
        await source.fleet.replayer.replay(row_id, by="me")


async def test_a_row_that_does_not_exist_is_refused(source: Source) -> None:
    with pytest.raises(PoisonNotFoundError, match="no poison document 'poison_0'"):
        await source.fleet.replayer.replay("poison_0", by="me")


async def test_a_version_that_fails_during_the_replay_stays_pending(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_id = await source.fail()
    await source.write(BAD | {"user_rating": 4})
    other = Source(await source.world.fleet(), source.world)
    ingest, ingest_batch = source.fleet.ingest, source.fleet.ingest.ingest_batch

    async def and_another_version_fails(*arguments: Any, **options: Any) -> Any:
        report = await ingest_batch(*arguments, **options)
        await other.fail(BAD | {"user_rating": 8})
        return report

    monkeypatch.setattr(ingest, "ingest_batch", and_another_version_fails)
    with pytest.raises(ReplayError, match="has failed again since: user_rating is 8"):
        await source.fleet.replayer.replay(row_id, by="me")
    assert await source.status(row_id) == "pending"
