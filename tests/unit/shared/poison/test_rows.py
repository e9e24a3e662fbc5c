"""Rows of poison: one per document and handler, small enough to store, and pending at first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.address import Partition, SourceAddress
from shared.errors import DocumentError
from shared.poison.rows import (
    DECIDED_TTL,
    MAX_MESSAGE,
    MAX_ROW_BYTES,
    PARTITION,
    SMALLER,
    Failure,
    Status,
    address_of_row,
    poison_id,
    poison_row,
    redacted_row,
    size_of,
    smallest_row,
    status_fields,
    ttl_of,
)

NOW = datetime(2025, 8, 5, 13, tzinfo=UTC)
DOCUMENT = {"id": "i1", "user_id": "ann", "_etag": '"1"', "_ts": 1_754_398_800, "_lsn": 9, "user_rating": 7}


def failure(document: object = DOCUMENT, error: Exception | None = None) -> Failure:
    return Failure("user_interactions", "fold_interactions", document, error or ValueError("no"), 3)


def test_all_versions_of_a_document_have_one_row_per_handler() -> None:
    row_id = poison_id("user_interactions", "fold_interactions", DOCUMENT)
    assert row_id == poison_id("user_interactions", "fold_interactions", DOCUMENT | {"_etag": '"2"'})
    others = {
        poison_id("user_sessions", "fold_interactions", DOCUMENT),
        poison_id("user_interactions", "other", DOCUMENT),
        poison_id("user_interactions", "fold_interactions", DOCUMENT | {"id": "i2"}),
        poison_id("user_interactions", "fold_interactions", DOCUMENT | {"user_id": "bob"}),
        poison_id("user_interactions", "fold_interactions", DOCUMENT | {"user_id": None}),
        poison_id("user_interactions", "fold_interactions", {"id": DOCUMENT["id"]}),
    }
    assert len(others | {row_id}) == 7


def test_a_document_without_an_id_is_known_by_its_content() -> None:
    first, second, again = (poison_id("s", "h", value) for value in (["a"], ["b"], ["a"]))
    assert first == again != second
    without = [poison_id("s", "h", {"user_id": "ann", "n": n}) for n in (1, 2)]
    assert len(set(without)) == 2


def test_a_row_says_what_failed_where_and_why() -> None:
    row = poison_row(failure(error=DocumentError("user_rating", "is 7; must be at most 5")), NOW)
    expected = {
        "id": poison_id("user_interactions", "fold_interactions", DOCUMENT),
        "partition_key": PARTITION,
        "source_container": "user_interactions",
        "handler": "fold_interactions",
        "document_id": "i1",
        "source_partition_key": "ann",
        "source_etag": '"1"',
        "error_type": "DocumentError",
        "error_field": "user_rating",
        "error_message": "user_rating is 7; must be at most 5",
        "attempts": 3,
        "retry_attempts": 3,
        "first_failed_at": "2025-08-05T13:00:00Z",
        "last_failed_at": "2025-08-05T13:00:00Z",
        "original_document": DOCUMENT,
        "original_truncated": False,
        "original_redacted": [],
        **status_fields(Status.PENDING),
    }
    assert {name: row[name] for name in expected} == expected


def test_only_an_error_of_a_document_names_a_field() -> None:
    assert poison_row(failure(), NOW)["error_field"] is None


def test_a_row_has_as_much_of_the_document_as_fits() -> None:
    row = poison_row(failure(DOCUMENT | {"sequence_number": [0.5] * MAX_ROW_BYTES}), NOW)
    assert size_of(row) <= MAX_ROW_BYTES
    assert row["original_truncated"] is True
    assert row["original_document"]["user_rating"] == 7
    assert len(row["original_document"]["sequence_number"]) == SMALLER[0]


def test_a_row_has_nothing_of_secrets_people_and_texts() -> None:
    session = {
        "id": "s1",
        "user_id": "ann",
        "session_token": "eyJhbGciOiJIUzI1NiJ9",
        "location_context": {"ip_hash": "9f86d081", "country": "IN"},
        "user_email": "ann@example.org",
        "interaction_count": "many many",
        "status": "completed",
    }
    row = poison_row(Failure("user_sessions", "fold_sessions", session, ValueError("ann"), 1), NOW)
    assert row["original_document"] == {
        "id": "s1",
        "user_id": "ann",
        "location_context": {},
        "interaction_count": "a text of 9 characters, not kept",
        "status": "completed",
    }
    assert row["original_redacted"] == [
        "*", "interaction_count", "location_context.country", "location_context.ip_hash", "session_token"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "written", "own", "days"),
    [
        ("user_interactions", NOW, None, 365),
        ("user_sessions", NOW, None, 90),
        ("abuse_incidents", NOW, None, 3 * 365),
        ("user_sessions", NOW - timedelta(days=80), None, 10),
        ("user_sessions", NOW - timedelta(days=89, hours=23), None, 1),
        ("user_sessions", NOW - timedelta(days=1_000), None, 1),
        ("user_sessions", NOW + timedelta(days=50), None, 90),
        ("user_sessions", NOW, 20 * 86_400, 20),
        ("user_sessions", NOW, -1, None),
        *[
            ("user_sessions", NOW, own, 90) for own in (0, -2, 2**31, -(10**12), 10**400)
        ],  # no ttl of the service
        ("view_state", NOW, None, 400),
        ("users", NOW, None, None),
    ],
)
def test_a_pending_row_lives_as_long_as_its_document(
    source: str, written: datetime, own: int | None, days: int | None
) -> None:
    document = DOCUMENT | {"_ts": int(written.timestamp())} | ({} if own is None else {"ttl": own})
    row = poison_row(Failure(source, "h", document, ValueError(), 1), NOW)
    assert row["ttl"] == (-1 if days is None else days * 86_400)
    decided = row | status_fields(Status.DISCARDED, by="me", at=NOW)
    assert ttl_of(decided, NOW) == (DECIDED_TTL if days is None else min(DECIDED_TTL, days * 86_400))


@pytest.mark.parametrize("written", ["yesterday", None, True, 5, 10**18, -1])
def test_a_row_without_the_time_of_a_write_lives_from_its_failure(written: object) -> None:
    row = poison_row(failure(DOCUMENT | {"_ts": written}), NOW)
    assert row["ttl"] == 365 * 86_400


def test_a_row_of_an_earlier_release_loses_what_it_may_not_hold() -> None:
    new = poison_row(failure(error=DocumentError("user_rating", "is 9; must be at most 5")), NOW)
    old = {
        name: value for name, value in new.items() if name not in ("redaction", "ttl", "original_redacted")
    }
    old |= {
        "error_message": "user_rating: 'ann@example.org' is no number",
        "trace": "ann@example.org",
        "original_document": DOCUMENT | {"email": "ann@example.org", "user_query": "Who is ann@example.org?"},
    }
    current = redacted_row(old, NOW)
    assert "ann@" not in json.dumps(current)
    assert current["original_document"] == DOCUMENT | {"user_query": "a text of 23 characters, not kept"}
    assert (current["ttl"], current["status"]) == (365 * 86_400, "pending")
    assert redacted_row(current, NOW) == current


@pytest.mark.parametrize("document", [DOCUMENT | {"response_text": "x" * 10**6}, ["x"] * 10**5, None, "text"])
def test_the_smallest_row_has_the_ids_and_the_start_of_the_text(document: Any) -> None:
    row = smallest_row(failure(document), NOW)
    assert size_of(row) < 8_000
    assert row["original_truncated"] is True
    ids = {"id", "user_id", "_etag", "_ts", "_lsn"} if isinstance(document, dict) else set()
    assert row["original_document"].keys() == ids | {"cut"}
    assert "x" * 100 not in json.dumps(row)
    assert len(row["original_document"]["cut"]) <= MAX_MESSAGE


def test_the_size_is_that_of_the_compact_utf8_text() -> None:
    row = {"text": "धर्म", "n": 1}
    assert size_of(row) == len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("status", list(Status))
def test_only_a_pending_row_waits_for_an_operator(status: Status) -> None:
    fields = status_fields(status, by="me", at=NOW)
    assert fields == {
        "status": status.value,
        "status_changed_at": "2025-08-05T13:00:00Z",
        "status_changed_by": "me",
        "requires_manual_review": status is Status.PENDING,
    }


@pytest.mark.parametrize(
    ("document", "address"),
    [
        ({"id": "i", "user_id": "ann"}, SourceAddress("i", "ann")),
        ({"id": "i", "user_id": 7}, SourceAddress("i", 7)),
        ({"id": "i"}, SourceAddress("i", Partition.ABSENT)),
        ({"id": "i", "user_id": None}, SourceAddress("i", None)),
        ({"id": "i", "user_id": ["ann"]}, SourceAddress("i", Partition.ABSENT)),
        ({"id": 7, "user_id": "ann"}, None),
        ({"user_id": "ann"}, None),
        ("no document", None),
    ],
)
def test_a_row_says_where_its_document_is(document: object, address: SourceAddress | None) -> None:
    row = poison_row(Failure("users", "fold_users", document, ValueError("no"), 3), NOW)
    assert address_of_row(row) == address
