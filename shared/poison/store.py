"""The poison container: documents that could not be processed, with their error, until an operator decides.

A row has the specification's fields (``_handle_poison_message``) and more for operators: the source of the
document, the handler and its error, the time and number of failures, and the outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
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
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.cosmos.queries import Query, run_query, with_prefix
from shared.cosmos.retries import retrying
from shared.errors import PoisonAmbiguousError, PoisonChangedError, PoisonNotFoundError
from shared.poison.rows import (
    ID_PREFIX,
    PARTITION,
    Failure,
    Status,
    earlier_message,
    etag_of,
    poison_id,
    poison_row,
    redacted_row,
    smallest_row,
    status_fields,
    ttl_of,
)
from shared.poison.selection import PoisonGroup, Selection, grouped
from shared.privacy.redaction import REDACTION

DECISION_FIELDS = tuple(status_fields(Status.PENDING))
"""Fields that record the outcome of a row. They do not change when the same version fails again."""

EVERY = Selection()
"""All rows."""

MOST_NAMED = 5
"""Ids that are named if a prefix means several rows."""

IDS = Query(
    "poison_ids", "SELECT TOP @limit c.id FROM c WHERE c.id >= @first AND c.id < @after ORDER BY c.id"
)

_PENDING = (
    "SELECT TOP @limit c.id, c.source_container, c.document_id, c.source_partition_key, c.source_etag "
    "FROM c WHERE c.status = @pending AND c.id "
)
PENDING_FROM = Query("poison_pending_from", _PENDING + ">= @start ORDER BY c.id")
PENDING_BEFORE = Query("poison_pending_before", _PENDING + "< @start ORDER BY c.id")
EARLIER_ROWS = Query(
    "earlier_rows", "SELECT * FROM c WHERE NOT IS_DEFINED(c.redaction) OR c.redaction < @redaction"
)

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
            again["ttl"] = ttl_of(again, self._clock.now())
        await self._replace(again, known["_etag"])

    async def holds(self, source: str, handler: str, document: object) -> bool:
        """Return whether this version of a document has a row, decided or not.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        row = await find_item(self._container, poison_id(source, handler, document), PARTITION)
        return row is not None and row["source_etag"] == etag_of(document)

    async def get(self, row_id: str) -> dict[str, Any]:
        """Return one row, without what a row may not hold, whichever release wrote it.

        Raises
        ------
        PoisonNotFoundError
            There is no row with this id.
        """
        row = await find_item(self._container, row_id, PARTITION)
        if row is None:
            raise PoisonNotFoundError(f"There is no poison document {row_id!r}.")
        return redacted_row(row, self._clock.now())

    async def find(self, prefix: str) -> str:
        """Return the id of the one row whose id begins with ``prefix``. The part ``poison_`` may be left out.

        Raises
        ------
        PoisonNotFoundError
            There is no such row.
        PoisonAmbiguousError
            There are several.
        """
        start = prefix if prefix.startswith(ID_PREFIX) else f"{ID_PREFIX}{prefix}"
        values: dict[str, Any] = {**with_prefix(start), "limit": MOST_NAMED + 1}
        ids = [row["id"] async for row in self._query(IDS, values)]
        if start in ids:
            return start
        if not ids:
            raise PoisonNotFoundError(f"There is no poison document {prefix!r}.")
        if len(ids) > 1:
            more = " and more" if len(ids) > MOST_NAMED else ""
            raise PoisonAmbiguousError(
                f"Several poison documents begin with {prefix!r}: {', '.join(ids[:MOST_NAMED])}{more}."
            )
        return str(ids[0])

    async def list(
        self, selection: Selection = EVERY, *, limit: int | None = 100
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield rows without their documents, the latest failure first."""
        async for row in self._query(*selection.rows(limit)):
            if row.pop("redaction", None) != REDACTION:
                row["error_message"] = earlier_message(row)
            yield row

    async def pending_from(self, start: str, *, limit: int) -> AsyncIterator[dict[str, Any]]:
        """Yield up to ``limit`` pending rows in the order of their ids, from ``start`` on and around."""
        left = limit
        for query in (PENDING_FROM, PENDING_BEFORE):
            async for row in self._query(
                query, {"pending": Status.PENDING.value, "start": start, "limit": left}
            ):
                left -= 1
                yield row
            if left <= 0:
                return

    async def count(self, selection: Selection = EVERY) -> int:
        """Return the number of rows."""
        return sum([answer["count"] async for answer in self._query(*selection.count())])

    async def groups(self, selection: Selection = EVERY) -> Sequence[PoisonGroup]:
        """Return the rows grouped by their cause, the largest group first."""
        return grouped([answer async for answer in self._query(*selection.groups())])

    async def redact(self) -> int:
        """Write the rows of earlier releases again by the current rules; return their number.

        A row that changes or expires meanwhile is left: every write makes a row by the current rules.
        """
        redacted = 0
        async for row in self._query(EARLIER_ROWS, {"redaction": REDACTION}):
            try:
                await self._replace(redacted_row(row, self._clock.now()), row["_etag"])
            except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                continue
            redacted += 1
        return redacted

    def _query(self, query: Query, values: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        return run_query(self._container, query, values, partition_key=PARTITION)

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
            Another version of the document has failed after the row was ``seen``, or the row was replayed.
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
        require_not_replayed(row)
        now = self._clock.now()
        row |= status_fields(status, by=by, at=now)
        row["ttl"] = ttl_of(row, now)
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


def require_not_replayed(row: Mapping[str, Any]) -> None:
    """Refuse a row that has been replayed.

    Raises
    ------
    PoisonChangedError
        The row has been replayed; the message says by whom and when.
    """
    if row["status"] == Status.REPLAYED:
        raise PoisonChangedError(
            f"{row['id']}: already replayed by {row['status_changed_by']} at {row['status_changed_at']}"
        )


def _same_failure(row: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    """Return whether a row still records the version that it recorded when it was seen."""
    if row["source_etag"] is None:
        return bool(row["_etag"] == seen["_etag"])
    return bool(row["source_etag"] == seen["source_etag"])
