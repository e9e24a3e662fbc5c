"""Read every archived blob back, and compare it with the seed. Imports nothing of the fleet.

``python -m tests.archive_check.read_back CONNECTION DOCUMENTS`` prints what is wrong, and ends with 1 if
anything is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from typing import Any
from urllib.parse import quote

from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from tests.archive_check.seed import TIME_FIELDS, container_of, document

AT_ONCE = 16


def expected_name(number: int) -> str:
    """Return the name that the specification gives the blob of a document."""
    made = document(number)
    day = made[TIME_FIELDS[container_of(number)]][:10].replace("-", "/")
    user, name = quote(made["user_id"], safe=""), quote(made["id"], safe="")
    return f"archived/{day}/{user}/{name}.json"


async def read_back(connection: str, documents: int) -> dict[str, Any]:
    """Return the counts of what was found."""
    wanted = {expected_name(number): number for number in range(documents)}
    found: Counter[str] = Counter()
    slots = asyncio.Semaphore(AT_ONCE)
    async with ContainerClient.from_connection_string(connection, "archive") as storage:

        async def compare(blob: BlobProperties) -> None:
            name = blob.name
            async with slots:
                stream = await storage.get_blob_client(name).download_blob()
                content, known = await stream.readall(), stream.properties.metadata
            number = wanted.pop(name)
            body = {field: value for field, value in document(number).items() if field != "session_token"}
            right = json.loads(content) == body and b"secret-" not in content
            hashed = known["sha256"] == hashlib.sha256(content).hexdigest()
            md5 = bytes(stream.properties.content_settings.content_md5) == hashlib.md5(content).digest()  # noqa: S324
            cold = blob.blob_tier == "Cold"
            kind = known["container"] == container_of(number)
            found["right" if right and hashed and md5 and cold and kind else "wrong"] += 1

        some: list[BlobProperties] = []
        async for blob in storage.list_blobs(name_starts_with="archived/"):
            if blob.name in wanted:
                some.append(blob)
            else:
                found["unexpected"] += 1
            if len(some) == 1_000:
                await asyncio.gather(*map(compare, some))
                some.clear()
        await asyncio.gather(*map(compare, some))
        async for _ in storage.list_blobs(name_starts_with="unfinished/"):
            found["unfinished"] += 1
        async for _ in storage.list_blobs(name_starts_with="manifests/"):
            found["parts"] += 1
    names_of = ("right", "wrong", "unexpected", "unfinished", "parts")
    return {name: found[name] for name in names_of} | {"missing": len(wanted)}


def is_right(counts: dict[str, Any], documents: int) -> bool:
    """Return whether every document is there once and right, and nothing else."""
    return counts["right"] == documents and not (counts["wrong"] or counts["unexpected"] or counts["missing"])


if __name__ == "__main__":
    outcome = asyncio.run(read_back(sys.argv[1], int(sys.argv[2])))
    print(json.dumps(outcome))
    sys.exit(0 if is_right(outcome, int(sys.argv[2])) else 1)
