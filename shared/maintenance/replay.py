"""Replay poison documents: fold the live document. A document that no longer exists is not folded, unless the
operator asks for the stored copy: it may have been erased.

A view that could not be published is published again, from the current state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from shared.containers import VIEW_STATE
from shared.cosmos.items import find_document
from shared.errors import (
    FullError,
    GenerationIncompleteError,
    PoisonChangedError,
    ReplayError,
    UnknownViewError,
)
from shared.ingest.batch import Ingest
from shared.ingest.sources import SOURCES
from shared.ledger.changes import Verdict
from shared.poison.rows import Status, address_of_row
from shared.poison.store import PoisonStore, require_not_replayed
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher


class Replayer:
    """Replays single rows of ``poison_messages``."""

    def __init__(
        self, *, database: DatabaseProxy, ingest: Ingest, publisher: Publisher, poison: PoisonStore
    ) -> None:
        self._database = database
        self._ingest = ingest
        self._publisher = publisher
        self._poison = poison

    async def replay(
        self, row_id: str, *, by: str, stored_copy: bool = False, attended: bool = True
    ) -> dict[str, Any]:
        """Fold or publish the current version of a row's document, mark the row as replayed, and return it.

        Parameters
        ----------
        stored_copy
            Fold the row's own copy if the document no longer exists at its source.
        attended
            An operator reads the exception. Otherwise a document that fails again is an error in the log.

        Raises
        ------
        PoisonNotFoundError
            There is no such row.
        ReplayError
            It was replayed already, or failed again, or its document no longer exists and the stored copy is
            not asked for or incomplete. Nothing is changed.
        """
        row = await self._poison.get(row_id)
        try:
            require_not_replayed(row)
        except PoisonChangedError as error:
            raise ReplayError(str(error)) from None
        if row["source_container"] == VIEW_STATE:
            await self._publish(row)
        elif row["source_container"] in SOURCES:
            await self._fold(row, stored_copy, attended)
        else:
            raise ReplayError(
                f"{row_id} comes from {row['source_container']!r}: this release does not read that."
            )
        try:
            return await self._poison.set_status(row_id, Status.REPLAYED, by=by, seen=row)
        except PoisonChangedError as error:
            raise ReplayError(str(error)) from None

    async def _fold(self, row: Mapping[str, Any], stored_copy: bool, attended: bool) -> None:
        document, live = await self._document(row, stored_copy)
        report = await self._ingest.ingest_batch(
            row["source_container"], [document], live=live, replayed=attended
        )
        await self._require_success(row, report.poisoned)
        if report.folded.verdicts[Verdict.OLDER]:
            raise ReplayError(
                f"{row['id']}: a newer version of the document was counted: resolve or discard it."
            )

    async def _publish(self, row: Mapping[str, Any]) -> None:
        document = row["original_document"]
        try:
            report = await self._publisher.publish_again([DocumentKey(document["view"], document["key"])])
        except (UnknownViewError, GenerationIncompleteError) as error:
            raise ReplayError(f"{row['id']}: {error}") from None
        await self._require_success(row, report.poisoned)
        if report.held:
            raise ReplayError(f"{row['id']}: the document is held back, see docs/publishing.md.")
        if report.absent:
            raise ReplayError(f"{row['id']}: nothing is counted for it any more: resolve or discard it.")

    async def _require_success(self, row: Mapping[str, Any], poisoned: Sequence[str]) -> None:
        if poisoned:
            again = await self._poison.get(poisoned[0])
            raise ReplayError(f"{row['id']} failed again: {again['error_message']}")

    async def _document(self, row: Mapping[str, Any], stored_copy: bool) -> tuple[Mapping[str, Any], bool]:
        address = address_of_row(row)
        if address is not None:
            container = self._database.get_container_client(row["source_container"])
            current = await find_document(container, address)
            if current is not None:
                return current, True
        if row["error_type"] == FullError.__name__:
            raise ReplayError(
                f"{row['id']} stands for documents that a state has no room for, and has none of them: "
                "resolve or discard it."
            )
        if not stored_copy:
            raise ReplayError(
                f"{row['id']}: the document no longer exists at its source: resolve or discard the row, or "
                "ask for its stored copy."
            )
        if row["original_truncated"]:
            raise ReplayError(f"{row['id']}: the document is gone, and its stored copy is cut: discard it.")
        return row["original_document"], False
