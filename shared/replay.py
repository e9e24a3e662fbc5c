"""Replay poison documents: fold the document as it stands now, or the stored copy where it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from shared.fold import Verdict
from shared.ingest import Ingest, read_live
from shared.poison import PoisonChangedError, PoisonStore
from shared.poison_rows import Status
from shared.sources import SOURCES


class ReplayError(Exception):
    """A poison document could not be replayed. The message says why and what to do."""


class Replayer:
    """Replays single rows of ``poison_messages``."""

    def __init__(self, *, database: DatabaseProxy, ingest: Ingest, poison: PoisonStore) -> None:
        self._database = database
        self._ingest = ingest
        self._poison = poison

    async def replay(self, row_id: str, *, by: str) -> dict[str, Any]:
        """Fold the document of a row and mark the row as replayed; return the row.

        Raises
        ------
        PoisonNotFoundError
            There is no such row.
        ReplayError
            It failed again, or its document is gone and the stored copy is not whole.
        """
        row = await self._poison.get(row_id)
        source = row["source_container"]
        if source not in SOURCES:
            raise ReplayError(f"{row_id} comes from {source!r}, which is published again on its next change.")
        document, live = await self._document(row)
        report = await self._ingest.take(source, [document], live=live)
        if report.poisoned:
            again = await self._poison.get(report.poisoned[0])
            raise ReplayError(f"{row_id} failed again: {again['error_message']}")
        if report.folded.verdicts[Verdict.OLDER]:
            raise ReplayError(
                f"{row_id}: a newer version of the document was counted: resolve or discard it."
            )
        try:
            return await self._poison.settle(row_id, Status.REPLAYED, by=by, seen=row)
        except PoisonChangedError as error:
            raise ReplayError(str(error)) from None

    async def _document(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        document_id, user_id = row["document_id"], row["source_partition_key"]
        if isinstance(document_id, str) and isinstance(user_id, str):
            container = self._database.get_container_client(row["source_container"])
            current = await read_live(container, document_id, user_id)
            if current is not None:
                return current, True
        if row["original_truncated"]:
            raise ReplayError(f"{row['id']}: the document is gone, and its stored copy is cut: discard it.")
        return row["original_document"], False
