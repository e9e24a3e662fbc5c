"""The archive: its blobs, their metadata and manifests, by day and by person.

A blob's metadata say what its content does not: the container, the version that was archived (``_ts`` and
``_etag``), the generation that had counted it, the part of the manifest that lists it, and the hash.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any, NamedTuple, Self
from uuid import uuid4

from shared.archive.content import Copy, sha256
from shared.archive.manifests import UNFINISHED, Part, finished_name
from shared.archive.names import PREFIX, BlobName, day_prefix, hashed_owner, owner_segment, parse_name
from shared.concurrency import batched, for_each
from shared.cosmos.retries import retrying
from shared.errors import ConflictError
from shared.privacy.keyring import KeyRing
from shared.storage.blobs import BlobStore, Stored

CONTAINER = "archive"
"""The container of the archive in the storage account."""

IDENTITY = "archive.json"
"""The blob that tells this archive from another: a new storage account has nothing of what this one has."""

CONCURRENCY = 16
"""Requests to the storage at the same time, of one piece of work."""


ErasedAmong = Callable[[Collection[str]], Awaitable[AbstractSet[str]]]
"""Returns those of the given user ids whose people are erased."""

Progress = Callable[[int], None]
"""Called with the number of documents that are done."""


class Archived(NamedTuple):
    """A blob of the archive, without its content."""

    name: BlobName
    container: str
    sha256: str
    ts: int
    """When the archived version was written, in seconds since the epoch."""
    etag: str
    """The etag of the archived version."""
    generation: int
    """The generation that had counted it; 0 if none was complete."""
    is_dated: bool
    """Whether its day is the document's own."""
    part: str
    """The part of a manifest that lists it."""
    user: str | None
    """The user id, where neither the name nor the content tells it more cheaply; None if unknown."""
    document: str | None
    """The id of the document, likewise."""
    stored: Stored

    @classmethod
    def of(cls, stored: Stored) -> Self | None:
        """Read a blob's name and metadata. None: the archive did not write it."""
        name, known = parse_name(stored.name), stored.metadata
        if name is None or "sha256" not in known:
            return None
        return cls(
            name,
            known.get("container", ""),
            known["sha256"],
            _whole(known.get("ts")),
            known.get("etag", ""),
            _whole(known.get("generation")),
            known.get("dated") != "written",
            known.get("part", ""),
            name.user_id if name.user_id is not None else _from_metadata(known.get("user")),
            name.document_id if name.document_id is not None else _from_metadata(known.get("document")),
            stored,
        )


def metadata_of(
    copy: Copy, name: BlobName, document: Mapping[str, Any], container: str, *, generation: int, part: str
) -> dict[str, str]:
    """Return the metadata of a copy. Ids are in it where the name has only their start and a hash."""
    metadata = {
        "sha256": sha256(copy.content),
        "container": container,
        "ts": str(document["_ts"]),
        "etag": str(document.get("_etag", "")),
        "generation": str(generation),
        "dated": "own" if copy.is_dated else "written",
        "part": part,
    }
    user = document.get("user_id")
    if "=h" in name.owner and isinstance(user, str):
        metadata["user"] = _to_metadata(user)
    if name.document_id is None:
        metadata["document"] = _to_metadata(copy.document_id)
    return metadata


def _to_metadata(text: str) -> str:
    return urlsafe_b64encode(text.encode(errors="surrogatepass")).decode()


def _from_metadata(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return urlsafe_b64decode(text).decode(errors="surrogatepass")
    except ValueError:
        return None


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0


class ErasedFromArchive(NamedTuple):
    """What was deleted of a person."""

    blobs: int
    entries: int
    """Entries removed from manifests."""


class Archive:
    """The archive of a storage account."""

    def __init__(self, blobs: BlobStore, ring: KeyRing) -> None:
        self.blobs = blobs
        self.ring = ring

    async def identity(self, *, create: bool = True) -> str | None:
        """Return the id of the archive. Without one it gets one, or the result is None."""
        for _ in range(2):
            found = await self.blobs.read(IDENTITY)
            if found is not None:
                return str(json.loads(found[0])["id"])
            if not create:
                return None
            await self.blobs.create(IDENTITY, json.dumps({"id": uuid4().hex}).encode())
        raise ConflictError("the archive's identity was deleted while it was read")

    async def days(self) -> AsyncIterator[str]:
        """Yield the prefix of every archived day, in order."""
        for year in await self.blobs.folders(PREFIX):
            for month in await self.blobs.folders(year):
                for day in await self.blobs.folders(month):
                    yield day

    async def find(self, prefix: str = PREFIX) -> AsyncIterator[Archived]:
        """Yield the archived blobs whose names begin with a prefix, in the order of their names."""
        async for stored in self.blobs.find(prefix):
            found = Archived.of(stored)
            if found is not None:
                yield found

    async def read(self, name: str) -> tuple[bytes, Archived] | None:
        """Return the content of an archived blob; None if there is none of this name."""
        found = await self.blobs.read(name)
        archived = None if found is None else Archived.of(found[1])
        return None if found is None or archived is None else (found[0], archived)

    def owners(self, user_id: str) -> list[str]:
        """Return the segments of a person in names: their id, and their hash under each key of the ring."""
        hashes = [hashed_owner(*each) for each in self.ring.candidates(user_id)]
        return [owner_segment(user_id), *hashes]

    def names_in_copies(self, user_id: str) -> set[str]:
        """Return what copies have as the id of a person: the id, and its hash under each key of the ring."""
        return {user_id, *(hashed.name for hashed in self.ring.candidates(user_id))}

    async def find_person(self, user_id: str) -> AsyncIterator[Archived]:
        """Yield everything that is archived about a person: one listing per archived day and segment."""
        owners = self.owners(user_id)

        async def of_day(day: str) -> list[Archived]:
            return [found for owner in owners async for found in self.find(f"{day}{owner}/")]

        days = [day async for day in self.days()]
        for some in batched(days, CONCURRENCY):
            for found in await for_each(some, of_day, max_concurrency=CONCURRENCY):
                for each in found:
                    yield each

    async def erase_person(self, user_id: str, parts: Collection[str] = ()) -> ErasedFromArchive:
        """Delete everything that is archived about a person, and their entries in manifests.

        It may be cut off at any point, and called again. Call it after nobody reads documents of the person
        in the sources any more, and after the person counts as erased: a page that is being archived looks
        for that once more after its blobs are stored.

        Parameters
        ----------
        parts
            Parts of manifests that may list blobs of the person which are deleted already.
        """
        found = [each async for each in self.find_person(user_id)]
        entries = await self._remove_entries(found)
        deleted = await for_each(
            [each.stored.name for each in found], self.blobs.delete, max_concurrency=CONCURRENCY
        )
        owners = set(self.owners(user_id))
        for part in parts:
            entries += await self._remove_from(finished_name(part), None, owners)
        # Last: until the blobs are deleted, an unfinished part of a process that died leads to them.
        async for stored in self.blobs.find(UNFINISHED):
            entries += await self._remove_from(stored.name, None, owners)
        return ErasedFromArchive(sum(deleted), entries)

    async def _remove_entries(self, found: Iterable[Archived]) -> int:
        """Remove the entries of blobs from the finished parts that list them; return their number."""
        by_part: dict[str, set[str]] = {}
        for each in found:
            by_part.setdefault(each.part, set()).add(each.stored.name)
        removed = 0
        for part, names in by_part.items():
            if part:
                removed += await self._remove_from(finished_name(part), names, set())
        return removed

    async def _remove_from(
        self, part_name: str, names: Collection[str] | None, owners: Collection[str]
    ) -> int:
        async def remove() -> int:
            found = await self.blobs.read(part_name)
            part = None if found is None else Part.decode(found[0], self.ring)
            if found is None or part is None:
                return 0
            gone = {
                name
                for name in part.entries
                if (names is not None and name in names)
                or ((parsed := parse_name(name)) is not None and parsed.owner in owners)
            }
            if not gone:
                return 0
            left = part.without(gone)
            if part_name.startswith(UNFINISHED):
                parsed_names = [parsed for name in gone if (parsed := parse_name(name)) is not None]
                left = left.leading_to({day_prefix(each.day) for each in parsed_names})
            content = left.encode(self.ring)
            await self.blobs.replace(part_name, content, etag=found[1].etag)
            return len(gone)

        return int(await retrying(ConflictError)(remove))


def day_of_prefix(prefix: str) -> date | None:
    """Return the day of a prefix that :meth:`Archive.days` yields."""
    try:
        year, month, day = prefix.removeprefix(PREFIX).strip("/").split("/")
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
