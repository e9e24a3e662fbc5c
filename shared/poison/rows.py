"""The rows of ``poison_messages``. Their size is bounded, and every row can be stored.

A row is written after everything else has failed. A row that is too large, or that cannot be encoded, would
stop the feed. A row therefore stores as much of any document as it can.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from shared.errors import DocumentError
from shared.units import iso

PARTITION = "poison_messages"
"""The specification gives all poison documents this partition key."""

ID_PREFIX = "poison_"
"""What the id of every row begins with."""

MAX_ROW_BYTES = 256 * 1024
"""All rows are in one logical partition, which holds 20 GB: 80,000 rows of this size, or 4 million of the
usual 5 KB. Replay reads the live document. The copy is for operators, and for documents that no longer
exist."""

MAX_MESSAGE = 1_000
MAX_TRACE = 8_000
MAX_REFERENCE = 2_048
"""Maximum size of a partition key value in bytes. An id has at most 1,023."""

MAX_DEPTH = 64
"""The service refuses items nested deeper than 128."""

SMALLER = (16_384, 4_096, 1_024, 256, 64)
"""Limits, tried in order until the row fits: characters of a text, and entries of a list or object."""

MAX_INTEGER_BITS = 1_023
"""The service stores numbers as doubles."""


class Status(StrEnum):
    """The outcome of a poison document."""

    PENDING = "pending"
    REPLAYED = "replayed"
    RESOLVED = "resolved"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be processed."""

    source: str
    handler: str
    document: object
    error: Exception
    attempts: int


def poison_id(source: str, handler: str, document: object) -> str:
    """Return the id of the row. A document has one row per handler that it fails in."""
    identity: list[object] = [source, handler]
    if isinstance(document, Mapping) and document.get("id") is not None:
        identity += [document.get("user_id"), document["id"]]
    else:
        identity.append(document)
    digest = sha256(json.dumps(_plain(identity), sort_keys=True).encode()).hexdigest()[:32]
    return f"{ID_PREFIX}{digest}"


def etag_of(document: object) -> object:
    """Return the etag that the row of a document holds, None if it has none."""
    return _reference(_fields(document).get("_etag"))


def poison_row(failure: Failure, now: datetime) -> dict[str, Any]:
    """Return the row of a failure, with as much of the document as fits into :data:`MAX_ROW_BYTES`."""
    row = _without_document(failure, now)
    for limit in (None, *SMALLER):
        kept = _plain(failure.document, limit)
        whole = limit is None and kept == failure.document
        filled = {**row, "original_document": kept, "original_truncated": not whole}
        if size_of(filled) <= MAX_ROW_BYTES:
            return filled
    return smallest_row(failure, now)


def smallest_row(failure: Failure, now: datetime) -> dict[str, Any]:
    """Return a row of a few kilobytes for any document: its ids, and the start of its text."""
    kept: dict[str, Any] = {
        name: value
        for name in ("id", "user_id", "_ts", "_etag", "_lsn")
        if (value := _reference(_fields(failure.document).get(name))) is not None
    }
    start = json.dumps(_plain(failure.document, SMALLER[-1]))[:MAX_MESSAGE]
    return {
        **_without_document(failure, now),
        "trace": None,
        "original_document": {**kept, "cut": start},
        "original_truncated": True,
    }


def size_of(row: Mapping[str, Any]) -> int:
    """Return the size of a row in bytes, as the client sends it. The service measures this size."""
    return len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())


def _without_document(failure: Failure, now: datetime) -> dict[str, Any]:
    fields, error = _fields(failure.document), failure.error
    return {
        "id": poison_id(failure.source, failure.handler, failure.document),
        "partition_key": PARTITION,
        "document_type": "poison_message",
        "error_message": _text(str(error))[:MAX_MESSAGE],
        "failed_at": iso(now),
        "retry_attempts": failure.attempts,
        "source_container": failure.source,
        "handler": failure.handler,
        "document_id": _reference(fields.get("id")),
        "source_partition_key": _reference(fields.get("user_id")),
        "source_etag": etag_of(failure.document),
        "error_type": type(error).__name__,
        "error_field": _text(error.field)[:MAX_MESSAGE] if isinstance(error, DocumentError) else None,
        "trace": _text("".join(traceback.format_exception(error)))[-MAX_TRACE:],
        "first_failed_at": iso(now),
        "last_failed_at": iso(now),
        "attempts": failure.attempts,
        **status_fields(Status.PENDING),
    }


def status_fields(status: Status, *, by: str | None = None, at: datetime | None = None) -> dict[str, Any]:
    """Return the fields that record the outcome of a row."""
    return {
        "status": status.value,
        "status_changed_at": iso(at) if at else None,
        "status_changed_by": by,
        "requires_manual_review": status is Status.PENDING,
    }


def _fields(document: object) -> Mapping[str, Any]:
    return document if isinstance(document, Mapping) else {}


def _reference(value: object) -> object:
    """Return a value that can identify the document, None for any other value."""
    if isinstance(value, str):
        return value if _text(value) == value and len(value.encode()) <= MAX_REFERENCE else None
    return value if isinstance(value, int | float | bool) and _number(value) == value else None


def _plain(value: object, limit: int | None = None, depth: int = 0) -> object:
    """Return a value as JSON that can be encoded and stored, cut to ``limit`` characters or entries."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return _cut(_text(value), limit)
    if not isinstance(value, Mapping | list | tuple):
        return type(value).__name__
    if depth == MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            _cut(_text(str(key)), limit): _plain(item, limit, depth + 1)
            for key, item in list(value.items())[:limit]
        }
    return [_plain(item, limit, depth + 1) for item in value[:limit]]


def _number(value: float) -> object:
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_INTEGER_BITS else f"a number of {value.bit_length()} bits"
    return value if math.isfinite(value) else repr(value)


def _text(value: str) -> str:
    """Return a text without unpaired surrogates. UTF-8 cannot encode them, so they are replaced."""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[:limit]}…"
