"""The rows of ``poison_messages``. Their size is bounded, and every row can be stored.

A row is written after everything else has failed. A row that is too large, or that cannot be encoded, would
stop the feed. A row therefore stores as much of any document as it can.

What a row says of a document and of its error comes from :mod:`shared.privacy` alone, and a row expires no
later than its document would.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from shared.address import Partition, SourceAddress
from shared.containers import CATALOGUE, DAY, NO_EXPIRY_UNLESS_ITEM_SAYS_SO, VIEW_STATE
from shared.documents.times import canonical_text
from shared.errors import DocumentError
from shared.privacy.classes import Place
from shared.privacy.errors import message_of, trace_of
from shared.privacy.forms import Form, fits
from shared.privacy.redaction import REDACTION, redact
from shared.units import iso

PARTITION = "poison_messages"
"""The specification gives all poison documents this partition key."""

ID_PREFIX = "poison_"
"""What the id of every row begins with."""

MAX_ROW_BYTES = 256 * 1024
"""All rows are in one logical partition, which holds 20 GB: 80,000 rows of this size, or 4 million of the
usual 5 KB. Replay reads the live document. The copy is for operators, and for documents that no longer
exist."""

DECIDED_TTL = 90 * DAY
"""Seconds until a replayed, resolved or discarded row expires, unless its document expires earlier."""

SHORTEST_TTL = DAY
"""Seconds for which a row exists at least, also if its document was delivered just before it expired."""

STATE_LIFETIME = 400 * DAY
"""Seconds that a row about a view document lives: as long as the state of a day."""

_EARLIEST_WRITE = 946_684_800
"""An earlier ``_ts`` than that of the year 2000 is none."""

MAX_MESSAGE = 1_000
MAX_TRACE = 8_000
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
        identity += [_as_delivered(document.get("user_id")), _as_delivered(document["id"])]
        if document.get("user_id", Partition.ABSENT) is None:  # another document than one without the field
            identity.append("null")
    else:
        identity.append(document)
    digest = sha256(json.dumps(_plain(identity), sort_keys=True).encode()).hexdigest()[:32]
    return f"{ID_PREFIX}{digest}"


def _as_delivered(name: object) -> object:
    return canonical_text(name) if isinstance(name, str) else name


def etag_of(document: object) -> object:
    """Return the etag that the row of a document holds, None if it has none."""
    return _reference(_fields(document).get("_etag"))


def address_of_row(row: Mapping[str, Any]) -> SourceAddress | None:
    """Return where the service keeps the document of a row, None if the row does not say it."""
    document_id, partition = row["document_id"], row["source_partition_key"]
    if not isinstance(document_id, str):
        return None
    if partition is None:
        is_null = _fields(row.get("original_document")).get("user_id", Partition.ABSENT) is None
        partition = None if is_null else Partition.ABSENT
    return SourceAddress(document_id, partition)


def poison_row(failure: Failure, now: datetime) -> dict[str, Any]:
    """Return the row of a failure, with as much of the document as fits into :data:`MAX_ROW_BYTES`."""
    row, copy = _without_document(failure, now), redact(failure.source, failure.document, Place.POISON)
    row["original_redacted"] = sorted(copy.paths)
    for limit in (None, *SMALLER):
        kept = _plain(copy.document, limit)
        whole = limit is None and kept == copy.document
        filled = {**row, "original_document": kept, "original_truncated": not whole}
        if size_of(filled) <= MAX_ROW_BYTES:
            return filled
    return smallest_row(failure, now)


def smallest_row(failure: Failure, now: datetime) -> dict[str, Any]:
    """Return a row of a few kilobytes for any document: its ids, and the start of its copy."""
    copy = redact(failure.source, failure.document, Place.POISON)
    kept: dict[str, Any] = {
        name: value
        for name in ("id", "user_id", "_ts", "_etag", "_lsn")
        if (value := _reference(_fields(failure.document).get(name))) is not None
    }
    start = json.dumps(_plain(copy.document, SMALLER[-1]))[:MAX_MESSAGE]
    return {
        **_without_document(failure, now),
        "trace": None,
        "original_redacted": sorted(copy.paths),
        "original_document": {**kept, "cut": start},
        "original_truncated": True,
    }


def size_of(row: Mapping[str, Any]) -> int:
    """Return the size of a row in bytes, as the client sends it. The service measures this size."""
    return len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())


def _without_document(failure: Failure, now: datetime) -> dict[str, Any]:
    fields, error = _fields(failure.document), failure.error
    row: dict[str, Any] = {
        "id": poison_id(failure.source, failure.handler, failure.document),
        "partition_key": PARTITION,
        "document_type": "poison_message",
        "error_message": _text(message_of(error))[:MAX_MESSAGE],
        "failed_at": iso(now),
        "retry_attempts": failure.attempts,
        "source_container": failure.source,
        "handler": failure.handler,
        "document_id": _reference(fields.get("id")),
        "source_partition_key": _reference(fields.get("user_id")),
        "source_etag": etag_of(failure.document),
        "error_type": type(error).__name__,
        "error_field": _text(error.field)[:MAX_MESSAGE] if isinstance(error, DocumentError) else None,
        "trace": _text(trace_of(error))[-MAX_TRACE:],
        "first_failed_at": iso(now),
        "last_failed_at": iso(now),
        "attempts": failure.attempts,
        "redaction": REDACTION,
        "source_expires_at": _text_of(_expiry(failure.source, failure.document, now)),
        **status_fields(Status.PENDING),
    }
    return row | {"ttl": ttl_of(row, now)}


def _text_of(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _expiry(source: str, document: object, now: datetime) -> datetime | None:
    """Return when the source deletes a document by itself, None if it never does."""
    lifetime = STATE_LIFETIME if source == VIEW_STATE else _LIFETIMES.get(source)
    fields = _fields(document)
    own, written = fields.get("ttl"), fields.get("_ts")
    if (
        type(own) is int
        and lifetime is not None
        and (own == NO_EXPIRY_UNLESS_ITEM_SAYS_SO or 0 < own < 2**31)
    ):
        lifetime = own
    if lifetime is None or lifetime == NO_EXPIRY_UNLESS_ITEM_SAYS_SO:
        return None
    latest = now.timestamp()
    if not isinstance(written, int) or not _EARLIEST_WRITE <= written <= latest:
        written = int(latest)
    return datetime.fromtimestamp(written, UTC) + timedelta(seconds=min(lifetime, 100 * 365 * DAY))


_LIFETIMES = {each.name: each.default_ttl for each in CATALOGUE}


def ttl_of(row: Mapping[str, Any], now: datetime) -> int:
    """Return the seconds that a row lives from now on, -1 for ever: as long as its document would.

    A row that was decided lives for :data:`DECIDED_TTL` at most.
    """
    expires = row.get("source_expires_at")
    left = None if expires is None else math.ceil((datetime.fromisoformat(expires) - now).total_seconds())
    if row["status"] != Status.PENDING:
        left = DECIDED_TTL if left is None else min(left, DECIDED_TTL)
    return NO_EXPIRY_UNLESS_ITEM_SAYS_SO if left is None else max(left, SHORTEST_TTL)


def redacted_row(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a row as the current rules make it. A row of an earlier release loses its message and trace.

    Such a message may quote the document. Its copy is made again, and it expires as the document would.
    """
    if row.get("redaction") == REDACTION:
        return dict(row)
    source, document = row["source_container"], row.get("original_document")
    copy = redact(source, document, Place.POISON)
    failed = datetime.fromisoformat(row["first_failed_at"]) if "first_failed_at" in row else now
    current = {
        **row,
        "error_message": earlier_message(row),
        "trace": None,
        "redaction": REDACTION,
        "original_document": copy.document,
        "original_redacted": sorted(copy.paths),
        "source_expires_at": _text_of(_expiry(source, document, failed)),
    }
    return current | {"ttl": ttl_of(current, now)}


def earlier_message(row: Mapping[str, Any]) -> str:
    """Return what may be told of the error of a row that an earlier release wrote: its type and field."""
    where = row.get("error_field") or "document"
    return f"{where}: {row['error_type']}, recorded by an earlier release; replay it for the message"


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
        return value if fits(Form.IDENTIFIER, value) else None
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
