"""The poison container: documents that could not be processed, with their error, until somebody decides.

The shape is the specification's (``_handle_poison_message``) and what an operator needs beyond it: where
the document came from, which handler failed and how, since when and how often, and what became of it.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.catalogue import DAY
from shared.cosmos import record_charge, retrying
from shared.documents.common import DocumentError
from shared.units import iso

PARTITION = "poison_messages"
"""The specification gives all poison documents this partition key."""

MAX_ROW_BYTES = 1_900_000
"""The service stores 2 MB an item; a larger original is kept without its long texts."""

MAX_KEPT_TEXT = 1_000
MAX_TRACE = 8_000

SETTLED_TTL = 90 * DAY
"""Seconds a row is kept once it was replayed, resolved or discarded; pending rows stay."""


class Status(StrEnum):
    """What became of a poison document."""

    PENDING = "pending"
    REPLAYED = "replayed"
    RESOLVED = "resolved"
    DISCARDED = "discarded"


class PoisonNotFoundError(Exception):
    """There is no poison document with this id."""


def poison_id(source: str, handler: str, document: object) -> str:
    """Return the id of the row: the same document failing in the same handler is one row."""
    identity: list[object] = [source, handler]
    if isinstance(document, Mapping) and document.get("id") is not None:
        identity += [document.get("user_id"), document["id"]]
    else:
        identity.append(document)
    digest = sha256(json.dumps(identity, sort_keys=True, default=repr).encode()).hexdigest()[:32]
    return f"poison_{digest}"


class PoisonStore:
    """Rows of ``poison_messages``."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    async def record(
        self, *, source: str, handler: str, document: object, error: Exception, attempts: int
    ) -> str:
        """Write down that a document could not be processed; return the id of its row.

        The same version failing again, because its batch was delivered again, changes nothing but the time
        and the count; a new version makes a settled row pending again.
        """
        row = _row(source, handler, document, error, attempts, datetime.now(UTC))
        async for attempt in retrying(CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            with attempt:
                try:
                    await self._container.create_item(row, response_hook=record_charge)
                except CosmosResourceExistsError:
                    await self._record_again(row)
        return str(row["id"])

    async def _record_again(self, row: dict[str, Any]) -> None:
        known = await self._container.read_item(row["id"], PARTITION, response_hook=record_charge)
        again = {**row, "first_failed_at": known["first_failed_at"]}
        again["attempts"] = known["attempts"] + row["attempts"]
        if known["source_etag"] == row["source_etag"]:
            again |= {key: known[key] for key in ("status", "status_changed_at", "status_changed_by")}
            if "ttl" in known:
                again["ttl"] = known["ttl"]
        await self._replace(again, known["_etag"])

    async def get(self, row_id: str) -> dict[str, Any]:
        """Return one row.

        Raises
        ------
        PoisonNotFoundError
            There is none with this id.
        """
        try:
            return dict(await self._container.read_item(row_id, PARTITION, response_hook=record_charge))
        except CosmosResourceNotFoundError:
            raise PoisonNotFoundError(f"There is no poison document {row_id!r}.") from None

    async def list(self, *, status: Status | None = None, limit: int = 100) -> AsyncIterator[dict[str, Any]]:
        """Yield rows without their documents, the latest failure first."""
        parameters: list[dict[str, object]] = [{"name": "@limit", "value": limit}]
        where = ""
        if status:
            where = "WHERE c.status = @status "
            parameters.append({"name": "@status", "value": status.value})
        items = self._container.query_items(
            "SELECT TOP @limit c.id, c.source_container, c.handler, c.document_id, c.error_type, "  # noqa: S608
            "c.error_field, c.error_message, c.attempts, c.first_failed_at, c.last_failed_at, c.status, "
            f"c.status_changed_at, c.status_changed_by FROM c {where}ORDER BY c.last_failed_at DESC",
            parameters=parameters,
            partition_key=PARTITION,
            response_hook=record_charge,
        )
        async for item in items:
            yield item

    async def settle(self, row_id: str, status: Status, *, by: str) -> dict[str, Any]:
        """Set what became of a row, by whom and when; return the row.

        Raises
        ------
        PoisonNotFoundError
            There is none with this id.
        """
        async for attempt in retrying(CosmosAccessConditionFailedError):
            with attempt:
                row = await self.get(row_id)
                row["status"] = status.value
                row["status_changed_at"] = iso(datetime.now(UTC))
                row["status_changed_by"] = by
                row["requires_manual_review"] = status is Status.PENDING
                row["ttl"] = -1 if status is Status.PENDING else SETTLED_TTL
                await self._replace(row, row["_etag"])
                return row
        raise AssertionError("the retry policy either returns or raises")

    async def _replace(self, row: dict[str, Any], etag: str) -> None:
        await self._container.replace_item(
            row["id"],
            row,
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
            response_hook=record_charge,
        )


def _row(
    source: str, handler: str, document: object, error: Exception, attempts: int, now: datetime
) -> dict[str, Any]:
    fields: Mapping[str, Any] = document if isinstance(document, Mapping) else {}
    kept, cut = _kept(document)
    return {
        "id": poison_id(source, handler, document),
        "partition_key": PARTITION,
        "document_type": "poison_message",
        "original_document": kept,
        "original_truncated": cut,
        "error_message": str(error),
        "failed_at": iso(now),
        "retry_attempts": attempts,
        "requires_manual_review": True,
        "source_container": source,
        "handler": handler,
        "document_id": fields.get("id"),
        "source_partition_key": fields.get("user_id"),
        "source_etag": fields.get("_etag"),
        "error_type": type(error).__name__,
        "error_field": error.field if isinstance(error, DocumentError) else None,
        "trace": "".join(traceback.format_exception(error))[-MAX_TRACE:],
        "first_failed_at": iso(now),
        "last_failed_at": iso(now),
        "attempts": attempts,
        "status": Status.PENDING.value,
        "status_changed_at": None,
        "status_changed_by": None,
    }


def _kept(document: object) -> tuple[object, bool]:
    """Return the document as its row keeps it, and whether long texts had to be cut."""
    plain: object = dict(document) if isinstance(document, Mapping) else document
    if len(json.dumps(plain, ensure_ascii=False, default=repr).encode()) <= MAX_ROW_BYTES:
        return plain, False
    return _without_long_text(plain), True


def _without_long_text(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= MAX_KEPT_TEXT else f"{value[:MAX_KEPT_TEXT]}…"
    if isinstance(value, Mapping):
        return {key: _without_long_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_long_text(item) for item in value[:MAX_KEPT_TEXT]]
    return value
