"""The copies of tombstones in Blob Storage: a restore of the database to an earlier moment loses its own.

A blob has the keyed hash of an erased person, the id of the key, and a time. Applied again after a restore,
the copies put the tombstones back, and find who came back with the restore.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

from shared.privacy.keyring import KeyedHash
from shared.storage.blobs import BlobStore

CONTAINER = "tombstones"


class Tombstone(NamedTuple):
    """An erased person."""

    hashed: KeyedHash
    erased_at: str


class TombstoneBlobs:
    """The copies. Methods raise what those of :class:`~shared.storage.blobs.BlobStore` raise."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, tombstone: Tombstone) -> None:
        """Store a copy. It is the same on every call."""
        content = {
            "key_id": tombstone.hashed.key_id,
            "digest": tombstone.hashed.digest,
            "erased_at": tombstone.erased_at,
        }
        await self._blobs.create(_name(tombstone.hashed), json.dumps(content).encode())

    async def all(self) -> AsyncIterator[Tombstone]:
        """Yield all copies."""
        async for blob in self._blobs.find(""):
            found = await self._blobs.read(blob.name)
            if found is not None:
                content = json.loads(found[0])
                yield Tombstone(KeyedHash(content["key_id"], content["digest"]), str(content["erased_at"]))


def _name(hashed: KeyedHash) -> str:
    return f"{hashed.key_id}/{hashed.digest}.json"
