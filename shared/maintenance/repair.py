"""Repair source documents: read one, replace it under its etag, and mark the poison rows of repaired ones.

A repaired version also arrives through its feed and is counted there. Nothing is counted twice, because the
ledger knows the version. A replay after the repair only marks the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import structlog
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

from shared.address import SourceAddress
from shared.concurrency import for_each
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_document, is_absent
from shared.errors import DocumentError, PoisonNotFoundError, RefusedError, RepairError
from shared.facts import USERS
from shared.ingest.sources import SOURCES, Source
from shared.maintenance.replay import Replayer
from shared.poison.rows import ID_PREFIX, Status, address_of_row, poison_id
from shared.poison.store import PoisonStore
from shared.pricing.price_book import PriceBook

REPAIRED_BY = "fleet"
"""Name in rows that the fleet marked, because their document was repaired."""

ROWS_AT_ONCE = 50
"""Pending rows that one run looks at. Each costs about one request unit, in every run until it is decided."""

CONCURRENCY = 8
"""Rows that one run looks at concurrently."""

SYSTEM_FIELDS = frozenset({"_rid", "_self", "_ts", "_attachments", "_lsn", "_metadata"})
"""Fields that the service writes. It ignores them in a request, so they are left out."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PutReport:
    """A document that was replaced."""

    source: str
    id: str
    etag: str
    replayed: str | None = None
    """Id of the poison row that the new version settled."""


@dataclass(slots=True)
class RepairReport:
    """What a run over pending rows found."""

    looked_at: int = 0
    replayed: list[str] = field(default_factory=list)
    """Rows whose document had been repaired."""
    refused: int = 0
    """Rows whose document has another version now, which fails as well."""


class Repairer:
    """Reads and replaces source documents."""

    def __init__(
        self, *, database: DatabaseProxy, prices: PriceBook, poison: PoisonStore, replayer: Replayer
    ) -> None:
        self._database = database
        self._prices = prices
        self._poison = poison
        self._replayer = replayer

    async def get(self, source: str, document_id: str, user_id: str) -> dict[str, Any]:
        """Return a source document. It contains personal data.

        Raises
        ------
        RepairError
            There is no such source or no such document.
        """
        document = await self._find(source, SourceAddress(document_id, user_id))
        if document is None:
            raise RepairError(f"{source} has no document {document_id!r} of the user {user_id!r}.")
        return document

    async def get_of_row(self, row_id: str) -> tuple[str, dict[str, Any]]:
        """Return the source and the document that a poison row is about.

        Raises
        ------
        PoisonNotFoundError
            There is no such row.
        RepairError
            The row does not say which document it is about, or the document no longer exists.
        """
        row = await self._poison.get(row_id)
        source, address = row["source_container"], address_of_row(row)
        if address is None:
            raise RepairError(f"{row_id} does not say which document it is about, see: fleet poison show")
        document = await self._find(source, address)
        if document is None:
            raise RepairError(f"{source} no longer has the document {address.id!r} of {row_id}.")
        return source, document

    async def put(
        self, source: str, document: Mapping[str, Any], *, by: str, check: bool = True
    ) -> PutReport:
        """Replace a source document, if it is still the version whose ``_etag`` the new one has.

        Parameters
        ----------
        by
            Who repairs it; written into its poison row.
        check
            Refuse a version that the fleet could not count.

        Raises
        ------
        RepairError
            The document is incomplete, cannot be counted, does not exist or was changed: it was not replaced.
            Or it was replaced, and its poison row could not be replayed.
        """
        document_id, etag = _text(document, "id"), _text(document, "_etag")
        user_id = document.get("user_id") if source == USERS else _text(document, "user_id")
        if check:
            await self._require_countable(source, document)
        body = {name: value for name, value in document.items() if name not in SYSTEM_FIELDS}
        try:
            written = await self._container(source).replace_item(
                document_id,
                body,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                response_hook=record_charge,
            )
        except CosmosAccessConditionFailedError:
            raise RepairError(
                f"{document_id!r} was changed after it was read: get it again and repeat the change."
            ) from None
        except CosmosResourceNotFoundError as error:
            if not is_absent(error):
                raise
            raise RepairError(f"{source} has no document {document_id!r} of the user {user_id!r}.") from None
        replayed = await self._replay_row_of(source, document, by)
        return PutReport(source, document_id, str(written["_etag"]), replayed)

    async def replay_repaired(self) -> RepairReport:
        """Replay pending rows whose document has another version than the one that failed.

        A run looks at :data:`ROWS_AT_ONCE` rows from a random id on. Ids are hashes: each has its turn.
        """
        report = RepairReport()
        rows = [row async for row in self._poison.pending_from(_random_id(), limit=ROWS_AT_ONCE)]

        async def one(row: Mapping[str, Any]) -> None:
            report.looked_at += 1
            if not await self._was_repaired(row):
                return
            try:
                await self._replayer.replay(row["id"], by=REPAIRED_BY, attended=False)
            except RefusedError:
                report.refused += 1
            else:
                report.replayed.append(row["id"])

        await for_each(rows, one, max_concurrency=CONCURRENCY)
        if report.replayed or report.refused:
            _log.info("poison_repaired", replayed=len(report.replayed), refused=report.refused)
        return report

    async def _was_repaired(self, row: Mapping[str, Any]) -> bool:
        source, address = row["source_container"], address_of_row(row)
        if source not in SOURCES or address is None:
            return False
        document = await self._find(source, address)
        return document is not None and row["source_etag"] not in (None, document["_etag"])

    async def _replay_row_of(self, source: str, document: Mapping[str, Any], by: str) -> str | None:
        row_id = poison_id(source, SOURCES[source].handler, document)
        try:
            row = await self._poison.get(row_id)
            if row["status"] != Status.PENDING:
                return None
            await self._replayer.replay(row_id, by=by)
        except PoisonNotFoundError:
            return None
        except RefusedError as error:
            raise RepairError(f"The document was replaced. {error}") from None
        return row_id

    async def _require_countable(self, source: str, document: Mapping[str, Any]) -> None:
        try:
            self._source(source).read(document, await self._prices.table())
        except DocumentError as error:
            raise RepairError(f"The fleet could not count this version: {error}") from None

    async def _find(self, source: str, address: SourceAddress) -> dict[str, Any] | None:
        return await find_document(self._container(source), address)

    def _container(self, source: str) -> ContainerProxy:
        return self._database.get_container_client(self._source(source).name)

    def _source(self, name: str) -> Source:
        if name not in SOURCES:
            raise RepairError(f"{name!r} is not a source; the sources are {', '.join(SOURCES)}.")
        return SOURCES[name]


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise RepairError(f"{name} is missing: put a document that was read with get, with its {name}.")
    return value


def _random_id() -> str:
    return f"{ID_PREFIX}{token_hex(16)}"
