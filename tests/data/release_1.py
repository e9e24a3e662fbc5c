"""The database that the first layout's last release filled: see :mod:`tests.data.make_release_1`."""

from __future__ import annotations

import asyncio
import json
import lzma
from collections import defaultdict
from functools import cache
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from tests.data.make_release_1 import AS_OF, DATA, EXPIRED, SHARDS

__all__ = ["AS_OF", "SHARDS", "documents", "expired", "load"]

Document = dict[str, Any]

CONCURRENT_WRITES = 16


def documents() -> dict[str, list[Document]]:
    """Return the documents by container. ``_ts`` tells when each was written."""
    return {name: found for name, found in _rows().items() if not name.startswith(EXPIRED)}


def expired() -> dict[str, list[Document]]:
    """Return the source documents that the release counted and that have expired since, by container."""
    return {name.removeprefix(EXPIRED): found for name, found in _rows().items() if name.startswith(EXPIRED)}


@cache
def _rows() -> dict[str, list[Document]]:
    found: defaultdict[str, list[Document]] = defaultdict(list)
    with lzma.open(DATA, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            found[row["container"]].append(row["body"])
    return dict(found)


async def load(database: DatabaseProxy) -> None:
    """Write all documents. The containers exist. Each document is written now, as far as the server knows."""
    slots = asyncio.Semaphore(CONCURRENT_WRITES)

    async def write(container: str, document: Document) -> None:
        body = {name: value for name, value in document.items() if name != "_ts"}
        async with slots:
            await database.get_container_client(container).upsert_item(body)

    async with asyncio.TaskGroup() as group:
        for container, found in documents().items():
            for document in found:
                group.create_task(write(container, document))
