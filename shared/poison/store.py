"""The poison container: documents that could not be processed, with their error, until an operator decides.

A row has the specification's fields (``_handle_poison_message``) and more for operators: the source of the
document, the handler and its error, the time and number of failures, and the outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import DAY
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.cosmos.retries import retrying
from shared.errors import PoisonChangedError, PoisonNotFoundError
from shared.poison.rows import PARTITION, Failure, Status, poison_row, smallest_row, status_fields

DECIDED_TTL = 90 * DAY
"""Seconds until a replayed, resolved or discarded row expires. Pending rows never expire."""

DECISION_FIELDS = (*status_fields(Status.PENDING), "ttl")
"""Fields that record the outcome of a row. They do not change when the same version fails again."""

_log = structlog.get_logger(__name__)


class PoisonStore:
    """Rows of ``poison_messages``."""

    def __init__(self, container: ContainerProxy, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._container = container
        self._clock = clock

    async def record(
        self, *, source: str, handler: str, document: object, error: Exception, attempts: int
    ) -> str:
        """Record a document that could not be processed; return the id of its row.

        The same version can fail again if its batch is delivered again. This changes only the time and the
        count. A new version makes a decided row pending again.
        """
        now, failure = self._clock.now(), Failure(source, handler, document, error, attempts)
        row = poison_row(failure, now)
        try:
            await self._record(row)
        except CosmosHttpResponseError as refused:
            if refused.status_code not in (400, 413):
                raise
            _log.error("poison_row_refused", poison_id=row["id"], status=refused.status_code)
            await self._record(smallest_row(failure, now))
        return str(row["id"])

    async def _record(self, row: dict[str, Any]) -> None:
        await retrying(CosmosAccessConditionFailedError, CosmosResourceNotFoundError)(
            self._create_or_update, row
        )

    async def _create_or_update(self, row: dict[str, Any]) -> None:
        try:
            await self._container.create_item(row, response_hook=record_charge)
        except CosmosResourceExistsError:
            await self._record_again(row)

    async def _record_again(self, row: dict[str, Any]) -> None:
        known = await self._container.read_item(row["id"], PARTITION, response_hook=record_charge)
        again = {**row, "first_failed_at": known["first_failed_at"]}
        again["attempts"] = known["attempts"] + row["attempts"]
        if known["source_etag"] == row["source_etag"] is not None:
            again |= {name: known[name] for name in (*DECISION_FIELDS, "failed_at") if name in known}
        await self._replace(again, known["_etag"])

    async def get(self, row_id: str) -> dict[str, Any]:
        """Return one row.

        Raises
        ------
        PoisonNotFoundError
            There is no row with this id.
        """
        row = await find_item(self._container, row_id, PARTITION)
        if row is None:
            raise PoisonNotFoundError(f"There is no poison document {row_id!r}.")
        return row

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

    async def set_status(
        self, row_id: str, status: Status, *, by: str, seen: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Record the outcome of a row, who decided it and when; return the row.

        Parameters
        ----------
        seen
            The row on which the decision was based.

        Raises
        ------
        PoisonNotFoundError
            There is no row with this id.
        PoisonChangedError
            Another version of the document has failed after the row was ``seen``.
        """
        return await retrying(CosmosAccessConditionFailedError)(
            self._try_set_status, row_id, status, by, seen
        )

    async def _try_set_status(
        self, row_id: str, status: Status, by: str, seen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        row = await self.get(row_id)
        if seen is not None and not _same_failure(row, seen):
            raise PoisonChangedError(f"{row_id} has failed again since: {row['error_message']}")
        row |= status_fields(status, by=by, at=self._clock.now())
        row["ttl"] = -1 if status is Status.PENDING else DECIDED_TTL
        await self._replace(row, row["_etag"])
        return row

    async def _replace(self, row: dict[str, Any], etag: str) -> None:
        await self._container.replace_item(
            row["id"],
            row,
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
            response_hook=record_charge,
        )


def _same_failure(row: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    """Return whether a row still records the version that it recorded when it was seen."""
    if row["source_etag"] is None:
        return bool(row["_etag"] == seen["_etag"])
    return bool(row["source_etag"] == seen["source_etag"])
