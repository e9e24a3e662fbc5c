"""Rows of poison: whatever a document is, a row of it can be stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.containers import DAY
from shared.errors import DocumentError, PoisonChangedError
from shared.facts import USER_INTERACTIONS
from shared.ingest.sources import SOURCES
from shared.poison.rows import MAX_ROW_BYTES, SMALLER, Status
from shared.poison.store import PoisonStore
from shared.privacy.forms import describe
from tests.fakes import FakeContainer

HALF = "\ud800"
"""Half of a surrogate pair: JSON can escape it, UTF-8 cannot encode it."""


class Strict(FakeContainer):
    """Refuses what the service refuses: items that are too large, or not text."""

    def __init__(self, limit: int = 2 * 1024 * 1024) -> None:
        super().__init__("partition_key")
        self.limit = limit

    async def create_item(self, item: dict[str, Any], **options: Any) -> dict[str, Any]:
        size = len(json.dumps(item, ensure_ascii=False, allow_nan=False).encode())
        if size > self.limit:
            self.requests.append("refused")
            raise CosmosHttpResponseError(status_code=413, message=f"{size} bytes")
        return await super().create_item(item, **options)


async def recorded(document: object, error: Exception | None = None, limit: int = 2**21) -> dict[str, Any]:
    container = Strict(limit)
    row_id = await PoisonStore(container).record(  # type: ignore[arg-type]
        source="user_interactions",
        handler="fold_interactions",
        document=document,
        error=error or ValueError("no"),
        attempts=3,
    )
    (row,) = container.items.values()
    assert row["id"] == row_id
    return row


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


AWKWARD: dict[str, Any] = {
    "one long text": {"user_query": "x" * 2_000_000},
    "many short texts": {"notes": ["y" * 900] * 2_200},
    "many fields": {f"field {n}": n for n in range(100_000)},
    "a long name of a field": {"z" * 2_000_000: 1},
    "letters of three bytes": {"user_query": "धर्म" * 300_000},
    "numbers": {"embedding": [0.123456789] * 160_000},
    "objects in objects": {"tree": {str(a): {str(b): "leaf" * 50 for b in range(100)} for a in range(90)}},
    "half a surrogate pair": {"user_query": HALF, HALF: [HALF], "session_id": HALF},
    "many names": {"content_themes": ["karma_yoga"] * 100_000},
    "many objects": {"foundational_texts_used": [{"source": "gita", "chapter": n} for n in range(40_000)]},
    "long numbers": {"sequence_number": [0.123456789] * 160_000},
    "deep": {"deep": nested(900)},
    "deeper than can be encoded": {"deep": nested(100_000)},
    "no number": {"score": float("nan"), "other": float("inf")},
    "a number of a million digits": {"count": 10**1_000_000},
    "no JSON": {"blob": b"abc", "one": object()},
}


@pytest.mark.parametrize("change", AWKWARD.values(), ids=AWKWARD.keys())
async def test_a_row_can_always_be_stored(change: dict[str, Any]) -> None:
    document = {"id": "i1", "user_id": "ann", "_etag": '"1"', "_ts": 5, **change}
    row = await recorded(document)
    stored = {name: value for name, value in row.items() if name not in ("_etag", "_ts")}
    assert len(json.dumps(stored, ensure_ascii=False, separators=(",", ":")).encode()) <= MAX_ROW_BYTES
    assert row["original_document"]["id"] == "i1"
    assert (row["document_id"], row["source_partition_key"], row["source_etag"]) == ("i1", "ann", '"1"')


NO_OBJECT = [HALF, nested(5_000), nested(100_000), 10**1_000_000, b"bytes", ["x"] * 10**6]


@pytest.mark.parametrize("document", NO_OBJECT, ids=range(len(NO_OBJECT)))
async def test_so_can_that_of_what_is_no_object(document: object) -> None:
    row = await recorded(document)
    assert (row["original_document"], row["original_redacted"]) == (
        f"{describe(document)}, not kept",
        ["document"],
    )


async def test_what_fits_and_may_be_kept_is_kept_whole() -> None:
    document = {
        "id": "i1",
        "user_id": "ann",
        "content_themes": ["धर्म"] * 9_000,
        "user_rating": [1, 2.5, None, True],
    }
    row = await recorded(document)
    assert (row["original_document"], row["original_truncated"]) == (document, False)


async def test_as_much_is_kept_as_fits() -> None:
    row = await recorded({"id": "i1", "sequence_number": [0.5] * 300_000, "content_themes": ["short"]})
    assert row["original_document"]["sequence_number"] == [0.5] * SMALLER[0]
    assert row["original_document"]["content_themes"] == ["short"]
    assert row["original_truncated"] is True


async def test_identity_and_error_are_bounded_too() -> None:
    document = {"id": "i" * 1_000_000, "user_id": ["u"] * 500_000, "_etag": HALF}
    row = await recorded(document, DocumentError("f" * 1_000_000, HALF + "e" * 1_000_000))
    assert [row[name] for name in ("document_id", "source_partition_key", "source_etag")] == [None] * 3
    assert len(row["error_message"]) <= 1_000
    assert len(row["error_field"]) <= 1_000
    assert len(row["trace"]) <= 8_000


async def test_a_row_that_is_refused_all_the_same_is_stored_without_its_document() -> None:
    document = {"id": "i1", "user_id": "ann", "content_themes": ["x"] * 10_000, "_etag": '"1"'}
    row = await recorded(document, limit=8_000)
    assert row["original_document"].keys() == {"id", "user_id", "_etag", "cut"}
    assert (row["original_truncated"], row["trace"], row["status"]) == (True, None, "pending")


class Rows:
    """A store whose rows are those of one document."""

    def __init__(self) -> None:
        self.container = FakeContainer("partition_key")
        self.store = PoisonStore(self.container)  # type: ignore[arg-type]

    async def fail(self, **change: Any) -> str:
        return await self.store.record(
            source="user_interactions",
            handler="fold_interactions",
            document={"id": "i1", "user_id": "ann", "_etag": '"1"', **change},
            error=ValueError("no"),
            attempts=3,
        )


async def test_a_discarded_version_that_is_delivered_again_stays_discarded() -> None:
    rows = Rows()
    row_id = await rows.fail()
    decided = await rows.store.set_status(row_id, Status.DISCARDED, by="me")
    await rows.fail()
    row = await rows.store.get(row_id)
    for name in (
        "status",
        "status_changed_at",
        "status_changed_by",
        "requires_manual_review",
        "ttl",
        "failed_at",
    ):
        assert row[name] == decided[name], name
    assert (row["requires_manual_review"], row["attempts"]) == (False, 6)


async def test_a_failure_without_a_version_is_pending_however_the_last_one_ended() -> None:
    rows = Rows()
    row_id = await rows.fail(_etag=None)
    await rows.store.set_status(row_id, Status.REPLAYED, by="me")
    await rows.fail(_etag=None)
    row = await rows.store.get(row_id)
    assert (row["status"], row["requires_manual_review"], row["ttl"]) == ("pending", True, 365 * DAY)


@pytest.mark.parametrize("first", ['"1"', None])
async def test_what_failed_since_it_was_seen_is_not_settled(first: str | None) -> None:
    rows = Rows()
    seen = await rows.store.get(await rows.fail(_etag=first))
    await rows.fail(_etag=first and '"2"')
    with pytest.raises(PoisonChangedError, match="failed again since: ValueError"):
        await rows.store.set_status(seen["id"], Status.REPLAYED, by="me", seen=seen)
    assert (await rows.store.get(seen["id"]))["status"] == "pending"


async def test_the_same_version_delivered_again_does_not_hinder() -> None:
    rows = Rows()
    seen = await rows.store.get(await rows.fail())
    await rows.fail()
    assert (await rows.store.set_status(seen["id"], Status.REPLAYED, by="me", seen=seen))[
        "status"
    ] == "replayed"


async def test_a_row_that_was_replayed_meanwhile_is_not_decided_again() -> None:
    rows = Rows()
    seen = await rows.store.get(await rows.fail())
    await rows.store.set_status(seen["id"], Status.REPLAYED, by="the day shift", seen=seen)
    with pytest.raises(PoisonChangedError, match="already replayed by the day shift at"):
        await rows.store.set_status(seen["id"], Status.REPLAYED, by="me", seen=seen)
    for status in (Status.RESOLVED, Status.DISCARDED):
        with pytest.raises(PoisonChangedError, match="already replayed"):
            await rows.store.set_status(seen["id"], status, by="me")
    assert (await rows.store.get(seen["id"]))["status_changed_by"] == "the day shift"


def test_half_a_surrogate_pair_is_nobody_s_name() -> None:
    source, error = SOURCES[USER_INTERACTIONS], DocumentError("id", "is missing")
    assert source.to_uncounted({"id": "i1", "user_id": HALF}, error, False) is None
    assert source.to_uncounted({"id": HALF, "user_id": "ann"}, error, False) is None
    assert source.to_uncounted({"id": "i1", "user_id": "ann🙏"}, error, False) is not None
