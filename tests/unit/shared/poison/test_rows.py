"""Rows of poison: one per document and handler, small enough to store, and pending at first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import DocumentError
from shared.poison.rows import (
    MAX_MESSAGE,
    MAX_ROW_BYTES,
    PARTITION,
    Failure,
    Status,
    poison_id,
    poison_row,
    size_of,
    smallest_row,
    status_fields,
)

NOW = datetime(2025, 8, 5, 13, tzinfo=UTC)
DOCUMENT = {"id": "i1", "user_id": "ann", "_etag": '"1"', "_ts": 5, "_lsn": 9, "user_query": "why"}


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
    }
    assert len(others | {row_id}) == 5


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
        **status_fields(Status.PENDING),
    }
    assert {name: row[name] for name in expected} == expected


def test_only_an_error_of_a_document_names_a_field() -> None:
    assert poison_row(failure(), NOW)["error_field"] is None


def test_a_row_has_as_much_of_the_document_as_fits() -> None:
    row = poison_row(failure(DOCUMENT | {"response_text": "x" * MAX_ROW_BYTES}), NOW)
    assert size_of(row) <= MAX_ROW_BYTES
    assert row["original_truncated"] is True
    assert row["original_document"]["user_query"] == "why"


@pytest.mark.parametrize("document", [DOCUMENT | {"response_text": "x" * 10**6}, ["x"] * 10**5, None, "text"])
def test_the_smallest_row_has_the_ids_and_the_start_of_the_text(document: Any) -> None:
    row = smallest_row(failure(document), NOW)
    assert size_of(row) < 8_000
    assert row["original_truncated"] is True
    ids = {"id", "user_id", "_etag", "_ts", "_lsn"} if isinstance(document, dict) else set()
    assert row["original_document"].keys() == ids | {"cut"}
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
